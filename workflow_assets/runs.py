"""Runs: executing a plan, cell by cell, so that one cell's failure is its own.

A cell is one pass through the steps that it needs. What is stored is not computed; what is computed is stored before
anyone uses it; and what a step is handed is its own copy, equal to what a later run would read from the store.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.contexts import Context
from workflow_assets.contracts import Checker, Metrics, checker, metric_type
from workflow_assets.errors import (
    CodecError,
    ContractError,
    CorruptDatumError,
    GlobalRandomnessError,
    StoreError,
    UnknownNameError,
    did_you_mean,
)
from workflow_assets.plans import Plan, PlannedSource, PlannedStep, provenance_of
from workflow_assets.steps import REQUIRED, private_copy
from workflow_assets.store.base import Asset, Record, Store
from workflow_assets.store.codecs import Encoded, encode, independent_copy
from workflow_assets.streams import GlobalGenerator, generator, integer, seeded_globals

logger = logging.getLogger("workflow_assets")

REFERENCES_AT_ONCE = 2_000
"""How many cells may pass before their references are written down."""

Planned = PlannedStep | PlannedSource


@dataclass(frozen=True)
class Failure:
    """Why a cell failed: the step, the exception, and where the cell was in the grid."""

    step: str
    treatment: str
    replicate: str
    seed: int
    kind: str
    message: str
    traceback: str = field(repr=False)

    def __str__(self) -> str:
        return f"step {self.step!r}: {self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What became of one cell: the records of its steps' data, and the failure if there was one.

    `computed` names the slots that were computed now; the others were stored, or shared with an earlier cell.
    """

    treatment: str
    replicate: str
    seed: int
    records: Mapping[str, Record]
    computed: frozenset[str]
    failure: Failure | None
    steps: Mapping[str, PlannedStep] = field(repr=False)
    keys: Mapping[PlannedStep, str] = field(repr=False)

    def key(self, slot: str) -> str:
        """Give the compute key of a slot in this cell, whether or not it was wanted."""
        return self.keys[self.steps[slot]]

    def metrics(self) -> dict[str, Any]:
        """Give the cell's metrics by their full names."""
        return {
            f"{slot}.{name}" if name else slot: value
            for slot, record in self.records.items()
            for name, value in record.metrics.items()
        }


class _Handle:
    """A datum in this run: its record, and its value while that is worth holding."""

    __slots__ = ("computed", "encoded", "record")

    def __init__(self, record: Record, encoded: Encoded | None, computed: bool) -> None:
        self.record = record
        self.encoded = encoded
        self.computed = computed

    def value(self, store: Store) -> Any:
        """Give a copy that is the caller's own."""
        if self.encoded is not None:
            return independent_copy(self.encoded, pickles=store.pickles)
        return store.load(self.record)


_Outcome = _Handle | Failure


class Run:
    """One execution of a plan over some of its cells.

    Args:
        plan: what to execute.
        store: where data are looked for and kept.
        force: slots and sources to compute again although they are stored; what follows from them is, too.
        resources: what steps find in ``ctx.resources``.
        run_id: noted in the provenance of what is computed.
        compute: False to look only at what is stored; a cell that is not is a failure that says so.

    Raises `UnknownNameError` for a forced name that the experiment does not have, and `StoreError` at once if the
    store cannot be written.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        *,
        force: Iterable[str] = (),
        resources: Mapping[str, Any] | None = None,
        run_id: str = "",
        compute: bool = True,
    ) -> None:
        self.plan = plan
        self.store = store
        self.resources = dict(resources or {})
        self.run_id = run_id or plan.nonce
        self.compute = compute
        self._forced = self._forced_steps(list(force))
        self._constants: dict[Planned, _Outcome] = {}
        self._callers: dict[PlannedStep, _Caller] = {}
        self._global = GlobalGenerator()
        self._references = _References(store, plan.declaration.name)
        if compute:
            store.check_writable()

    def cells(
        self, cells: Iterable[tuple[str, str]] | None = None, slots: Iterable[str] | None = None
    ) -> Iterator[CellOutcome]:
        """Execute cells, given as (treatment, replicate key), and yield the outcome of each as it is known.

        With `slots`, only those are wanted; what they need and is not stored is computed too.
        """
        chosen = self.plan.cells() if cells is None else list(cells)
        self.plan.check_cells(chosen)
        by_replicate: dict[str, list[str]] = {}
        for treatment, replicate in chosen:
            by_replicate.setdefault(replicate, []).append(treatment)
        wanted = None if slots is None else frozenset(slots)
        try:
            for replicate, treatments in by_replicate.items():
                yield from self._replicate(replicate, treatments, wanted)
        finally:
            self._references.write()

    def source(self, name: str) -> Record:
        """Load a source into the store if it is not there; give its record.

        Raises whatever its loader raises.
        """
        cell = _Cell(self, "", "", 0, {})
        outcome = cell.outcome(self.plan.sources[name])
        if isinstance(outcome, Failure):
            raise RuntimeError(f"source {name!r} failed:\n{outcome.traceback}")
        self._references.write()
        return outcome.record

    def _replicate(self, key: str, treatments: Sequence[str], wanted: frozenset[str] | None) -> Iterator[CellOutcome]:
        replicate = self.plan.replicates[key]
        seed = self.plan.seed(replicate)
        keys = self.plan.keys(replicate, seed)
        shared: dict[Planned, _Outcome] = {}
        told: set[PlannedStep] = set()
        for treatment in treatments:
            cell = _Cell(self, treatment, key, seed, keys, shared)
            records: dict[str, Record] = {}
            computed: list[str] = []
            failure: Failure | None = None
            steps = self.plan.by_treatment[treatment]
            for slot, step in steps.items():
                if step.node.step.transient or (wanted is not None and slot not in wanted):
                    continue
                outcome = cell.outcome(step)
                if isinstance(outcome, Failure):
                    failure = failure or replace(outcome, treatment=treatment, replicate=key, seed=seed)
                    continue
                records[slot] = outcome.record
                if outcome.computed and step not in told:
                    computed.append(slot)
                told.add(step)
                self._references.note((slot,), f"{key}|{treatment}", outcome.record.key)
            self._references.cell_done()
            yield CellOutcome(treatment, key, seed, records, frozenset(computed), failure, steps, keys)
        for step, outcome in shared.items():
            if isinstance(outcome, _Handle) and isinstance(step, PlannedStep) and not step.varies:
                outcome.computed = False  # told once; the next replicate shares it

    def _forced_steps(self, names: Sequence[str]) -> set[Planned]:
        known = {*(step.slot for step in self.plan.steps), *self.plan.sources}
        for name in names:
            if name not in known:
                raise UnknownNameError(
                    f"experiment {self.plan.declaration.name!r} has no step or source {name!r} to force: "
                    f"{did_you_mean(name, sorted(known))}"
                )
        forced: set[Planned] = {source for name, source in self.plan.sources.items() if name in names}
        for step in self.plan.steps:  # each follows what it depends on
            if step.slot in names or any(given in forced for _, given in step.inputs):
                forced.add(step)
        return forced


class _Cell:
    """One pass through the steps of a treatment, for one replicate."""

    def __init__(
        self,
        run: Run,
        treatment: str,
        replicate: str,
        seed: int,
        keys: Mapping[PlannedStep, str],
        shared: dict[Planned, _Outcome] | None = None,
    ) -> None:
        self.run = run
        self.treatment = treatment
        self.replicate = replicate
        self.seed = seed
        self.keys = keys
        self.shared = {} if shared is None else shared

    def outcome(self, planned: Planned) -> _Outcome:
        """Find a datum or compute it; the same failure is not met twice."""
        varies = isinstance(planned, PlannedStep) and planned.varies
        known = self.shared if varies else self.run._constants
        if planned not in known:
            known[planned] = outcome = self._find(planned) or self._compute(planned, planned in self.run._forced)
            if isinstance(planned, PlannedSource) and isinstance(outcome, _Handle):
                self.run._references.note((planned.source.name,), "", outcome.record.key)
        if not varies:
            self.shared[planned] = known[planned]
        return known[planned]

    def _key(self, planned: Planned) -> str:
        return planned.key if isinstance(planned, PlannedSource) else self.keys[planned]

    def _find(self, planned: Planned) -> _Handle | None:
        if planned in self.run._forced:
            return None
        record = self.run.store.find(self._key(planned))
        return _Handle(record, None, computed=False) if record is not None and record.current else None

    def _compute(self, planned: Planned, replaces: bool) -> _Outcome:
        store = self.run.store
        if not self.run.compute:
            name = planned.source.name if isinstance(planned, PlannedSource) else planned.slot
            return self._failure(name, LookupError("it is not stored; materialise the results to compute it"), None)
        started = time.perf_counter()
        try:
            if isinstance(planned, PlannedSource):
                name, caller = planned.source.name, None
                value, recorded = planned.source(), []
                look = checker(planned.source.returns)
                if look is not None and (fault := look(value)):
                    raise ContractError(f"source {name!r} returned a wrong value: {fault}")
            else:
                name, caller = planned.slot, self._caller(planned)
                arguments = {}
                for parameter, given in planned.inputs:
                    argument = self._argument(given)
                    if isinstance(argument, Failure):
                        return argument
                    arguments[parameter] = argument
                started = time.perf_counter()
                value, recorded = caller.call(arguments, self)
            seconds = time.perf_counter() - started
            metrics = caller.metrics(value, recorded) if caller is not None else {}
            encoded = encode(value, pickles=store.pickles, place=f"the result of {name!r}")
        except StoreError as error:
            if not isinstance(error, CodecError):
                raise
            return self._failure(name, error, None)
        except Exception as error:
            return self._failure(name, error, error.__traceback__)
        provenance = self._provenance(planned, seconds)
        key = self._key(planned)
        if isinstance(planned, PlannedStep) and planned.node.step.transient:
            record = Record(key, encoded.codec, "", 0, metrics=metrics, provenance=provenance)
            return _Handle(record, encoded, computed=True)
        tagged = tuple((metric, item, tags) for metric, item, tags in recorded if tags or metric not in metrics)
        record = store.put_encoded(
            key, encoded, metrics=metrics, provenance=provenance, records=tagged, replace=replaces or self._is_stale(key)
        )
        if record.provenance is not provenance and record.provenance.get("run") != self.run.run_id:
            return _Handle(record, None, computed=False)  # another run was first: its value is the one that stands
        return _Handle(record, encoded, computed=True)

    def _is_stale(self, key: str) -> bool:
        """Whether a record stands under the key that must not be used, such as a pickle of another version."""
        standing = self.run.store.find(key)
        return standing is not None and not standing.current

    def _argument(self, given: Planned) -> Any:
        outcome = self.outcome(given)
        if isinstance(outcome, Failure):
            return outcome
        try:
            return outcome.value(self.run.store)
        except (CorruptDatumError, CodecError) as error:
            if outcome.computed:
                raise
            logger.warning("%s; computing it again", error)
        known = self.shared if isinstance(given, PlannedStep) and given.varies else self.run._constants
        known[given] = outcome = self._compute(given, replaces=True)
        return outcome if isinstance(outcome, Failure) else outcome.value(self.run.store)

    def _caller(self, step: PlannedStep) -> _Caller:
        callers = self.run._callers
        if step not in callers:
            callers[step] = _Caller(step)
        return callers[step]

    def _provenance(self, planned: Planned, seconds: float) -> dict[str, Any]:
        if isinstance(planned, PlannedSource):
            made: dict[str, Any] = {"source": planned.source.name, "code": planned.fingerprint.digest}
        else:
            made = provenance_of(planned, self.keys)
            if planned.varies:
                made["replicate"], made["seed"] = self.replicate, self.seed
        made["seconds"] = round(seconds, 6)
        made["created"] = round(time.time(), 3)
        made["run"] = self.run.run_id
        return made

    def _failure(self, step: str, error: Exception, trace: Any) -> Failure:
        while trace is not None and trace.tb_frame.f_globals.get("__name__") == __name__:
            trace = trace.tb_next  # begin where the user's code does
        text = "".join(traceback.format_exception(type(error), error, trace))
        message = str(error) or repr(error)
        return Failure(step, self.treatment, self.replicate, self.seed, type(error).__qualname__, message, text)


class _Caller:
    """Calls one step: checks what goes in and what comes out, and gives it its own random stream."""

    def __init__(self, step: PlannedStep) -> None:
        node = step.node
        self.step = step
        self.function: Callable[..., Any] = node.step.function
        self.settings = dict(node.settings)
        self.copied = [name for name, value in self.settings.items() if private_copy(value) is not value]
        self.inputs: dict[str, Checker] = {}
        for name, given in step.inputs:
            annotation = node.step.parameters[name].annotation
            produced = given.source.returns if isinstance(given, PlannedSource) else given.node.step.returns
            look = checker(annotation) if annotation is not REQUIRED and annotation != produced else None
            if look is not None:
                self.inputs[name] = look
        self.result = checker(node.step.returns) if node.step.returns is not REQUIRED else None
        self.scalar = metric_type(node.step.returns)
        self.given = node.step.given
        self.declared = (
            {name: kind for name, kind in node.step.metrics.items() if node.step.records and name in node.step.records.model_fields}
            if node.step.records is not None
            else None
        )

    def call(self, arguments: dict[str, Any], cell: _Cell) -> tuple[Any, list[tuple[str, Any, dict[str, Any]]]]:
        """Call the step's function; give its value, and what it recorded."""
        slot, stream, step = self.step.slot, self.step.stream, self.step.node.step
        for name, look in self.inputs.items():
            if fault := look(arguments[name]):
                raise ContractError(f"step {slot!r} was handed a wrong {name!r}: {fault}")
        arguments.update(self.settings)
        for name in self.copied:
            arguments[name] = private_copy(self.settings[name])
        context = None
        if self.given:
            if "rng" in self.given:
                arguments["rng"] = generator(cell.seed, stream)
            if "seed" in self.given:
                arguments["seed"] = integer(cell.seed, stream)
            if "replicate" in self.given:
                arguments["replicate"] = cell.run.plan.replicates[cell.replicate].identity
            if "treatment" in self.given:
                arguments["treatment"] = cell.treatment
            if "ctx" in self.given:
                context = Context(slot, cell.treatment, cell.replicate, cell.run.resources, self.declared)
                arguments["ctx"] = context
        guard: AbstractContextManager[None] = (
            seeded_globals(cell.seed, stream) if step.legacy_rng else nullcontext()
        )
        watch = cell.run._global
        before = watch.position()
        with guard:
            value = self.function(**arguments)
        if not step.legacy_rng and before is not None and watch.position() != before:
            raise GlobalRandomnessError(
                f"step {slot!r} drew from numpy's global generator, perhaps inside a library that was given no seed: "
                "take `rng` or `seed` as a parameter and pass it on, or declare @step(legacy_rng=True)"
            )
        if self.result is not None and (fault := self.result(value)):
            raise ContractError(f"step {slot!r} returned a wrong value: {fault}")
        if self.scalar is not None:
            value = unwrap_scalar(value)
            if self.scalar is float and type(value) is int:
                value = float(value)
        return value, context.recorded() if context is not None else []

    def metrics(self, value: Any, recorded: list[tuple[str, Any, dict[str, Any]]]) -> dict[str, Any]:
        """Give the metrics by the names that the step declares."""
        metrics: dict[str, Any] = {}
        if isinstance(value, Metrics):
            metrics.update(value)
        elif "" in self.step.node.step.metrics:
            metrics[""] = value
        if self.declared is not None:
            metrics.update({name: item for name, item, tags in recorded if not tags})
        return metrics


class _References:
    """Notes which datum each partition holds, and writes down what changed, many at a time."""

    def __init__(self, store: Store, experiment: str) -> None:
        self.store = store
        self.experiment = experiment
        self.held: dict[Asset, dict[str, str]] = {}
        self.pending: dict[Asset, dict[str, str]] = {}
        self.cells = 0

    def note(self, parts: Asset, partition: str, key: str) -> None:
        """Note a datum of a step (with its partition) or of a source (without)."""
        asset = (self.experiment, *parts) if partition else parts
        if asset not in self.held:
            self.held[asset] = self.store.references(asset)
        if self.held[asset].get(partition) != key:
            self.held[asset][partition] = key
            self.pending.setdefault(asset, {})[partition] = key

    def cell_done(self) -> None:
        """Write down what is pending, now and then."""
        self.cells += 1
        if self.cells % REFERENCES_AT_ONCE == 0:
            self.write()

    def write(self) -> None:
        """Write down what is pending."""
        pending, self.pending = self.pending, {}
        for asset, keys in pending.items():
            self.store.refer(asset, keys)
