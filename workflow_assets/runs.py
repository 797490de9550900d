"""Runs: executing a plan, cell by cell, so that one cell's failure is its own.

A cell is one pass through the steps that it needs. What is stored is not computed; what is computed is stored before
anyone uses it; and what a step is handed is its own copy, equal to what a later run would read from the store.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from workflow_assets.callers import Caller, Place, Recorded
from workflow_assets.contracts.annotations import checker
from workflow_assets.errors import (
    CodecError,
    ContractError,
    CorruptDatumError,
    StoreError,
    UnknownNameError,
    did_you_mean,
)
from workflow_assets.plans import Plan, PlannedSource, PlannedStep
from workflow_assets.provenance import Origins, peak_memory
from workflow_assets.references import References
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Record, Store
from workflow_assets.store.codecs import Encoded, encode, independent_copy
from workflow_assets.streams import GlobalGenerator

logger = logging.getLogger("workflow_assets")

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


class CellOutcome(NamedTuple):
    """What became of one cell: the records of its steps' data, and the failure if there was one.

    `computed` names the slots that were computed now; the others were stored, or shared with an earlier cell.
    """

    treatment: str
    replicate: str
    seed: int
    records: Mapping[str, Record]
    computed: frozenset[str]
    failure: Failure | None
    steps: Mapping[str, PlannedStep]
    keys: Mapping[PlannedStep, str]

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
        self.forced = self._forced_steps(list(force))
        self.constants: dict[Planned, _Outcome] = {}
        self.callers: dict[PlannedStep, Caller] = {}
        self.watch = GlobalGenerator()
        self.references = References(store, plan.declaration.name)
        self.origins = Origins(store, self.run_id)
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
            self.references.write()

    def source(self, name: str) -> Record:
        """Load a source into the store if it is not there; give its record.

        Raises whatever its loader raises.
        """
        cell = _Cell(self, Place("", "", "", 0), {})
        outcome = cell.outcome(self.plan.sources[name])
        if isinstance(outcome, Failure):
            raise RuntimeError(f"source {name!r} failed:\n{outcome.traceback}")
        self.references.write()
        return outcome.record

    def _replicate(
        self, key: str, treatments: Sequence[str], wanted: frozenset[str] | None
    ) -> Iterator[CellOutcome]:
        replicate = self.plan.replicates[key]
        seed = self.plan.seed(replicate)
        keys = self.plan.keys(replicate, seed)
        shared: dict[Planned, _Outcome] = {}
        told: set[PlannedStep] = set()
        for treatment in treatments:
            cell = _Cell(self, Place(treatment, key, replicate.identity, seed), keys, shared)
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
                self.references.note((slot,), f"{key}|{treatment}", outcome.record.key)
            self.references.cell_done()
            yield CellOutcome(treatment, key, seed, records, frozenset(computed), failure, steps, keys)
        for planned, outcome in shared.items():
            if isinstance(outcome, _Handle) and not (isinstance(planned, PlannedStep) and planned.varies):
                outcome.computed = False  # told once; the next replicate shares it

    def caller(self, step: PlannedStep) -> Caller:
        """Give what calls a step."""
        if step not in self.callers:
            self.callers[step] = Caller(step, self.resources, self.watch)
        return self.callers[step]

    def _forced_steps(self, names: Sequence[str]) -> set[Planned]:
        known = {*(step.name for step in self.plan.steps), *self.plan.sources}
        for name in names:
            if name not in known:
                raise UnknownNameError(
                    f"experiment {self.plan.declaration.name!r} has no step or source {name!r} to force: "
                    f"{did_you_mean(name, sorted(known))}"
                )
            if name in self.plan.sources and isinstance(self.plan.sources[name].source, AssetSource):
                raise UnknownNameError(
                    f"source {name!r} is a Dagster asset and not computed here: materialise it instead of forcing it"
                )
        forced: set[Planned] = {source for name, source in self.plan.sources.items() if name in names}
        for step in self.plan.steps:  # each follows what it depends on
            if step.name in names or any(given in forced for _, given in step.inputs):
                forced.add(step)
        return forced


class _Cell:
    """One pass through the steps of a treatment, for one replicate."""

    def __init__(
        self,
        run: Run,
        place: Place,
        keys: Mapping[PlannedStep, str],
        shared: dict[Planned, _Outcome] | None = None,
    ) -> None:
        self.run = run
        self.place = place
        self.keys = keys
        self.shared = {} if shared is None else shared

    def outcome(self, planned: Planned) -> _Outcome:
        """Find a datum or compute it; the same failure is not met twice."""
        known = self._known(planned)
        if planned not in known:
            known[planned] = outcome = self._obtain(planned)
            if (
                isinstance(planned, PlannedSource)
                and isinstance(outcome, _Handle)
                and not isinstance(planned.source, AssetSource)  # who materialises it says what it holds
            ):
                self.run.references.note((planned.name,), "", outcome.record.key)
        if known is not self.shared:
            self.shared[planned] = known[planned]
        return known[planned]

    def _known(self, planned: Planned) -> dict[Planned, _Outcome]:
        varies = isinstance(planned, PlannedStep) and planned.varies
        return self.shared if varies else self.run.constants

    def _key(self, planned: Planned) -> str:
        return planned.key if isinstance(planned, PlannedSource) else self.keys[planned]

    def _obtain(self, planned: Planned) -> _Outcome:
        """Find a datum that may be used, or compute it in place of one that may not."""
        if planned in self.run.forced:
            return self._compute(planned, replaces=True)
        record = self.run.store.find(self._key(planned))
        if record is not None and record.current:
            return _Handle(record, None, computed=False)
        return self._compute(planned, replaces=record is not None)

    def _compute(self, planned: Planned, replaces: bool) -> _Outcome:
        """Compute a datum and store it before anyone uses it."""
        store = self.run.store
        evaluated = self._evaluate(planned)
        if isinstance(evaluated, Failure):
            return evaluated
        try:
            place = f"the result of {planned.name!r}"
            encoded = encode(evaluated.value, pickles=store.pickles, place=place)
        except CodecError as error:
            return self._failure(planned, error)
        provenance = self._provenance(planned, evaluated.seconds)
        record = store.put_encoded(
            self._key(planned),
            encoded,
            metrics=evaluated.metrics,
            provenance=provenance,
            records=tuple(one for one in evaluated.recorded if one[2] or one[0] not in evaluated.metrics),
            replace=replaces,
        )
        if record.provenance.get("run") != self.run.run_id:
            # Another run was first: its value is the one that stands, and that what follows is computed from.
            return _Handle(record, None, computed=False)
        return _Handle(record, encoded, computed=True)

    def _evaluate(self, planned: Planned) -> _Evaluated | Failure:
        """Call the function of a step or source; whatever it raises is the cell's failure."""
        if not self.run.compute:
            return self._failure(
                planned, LookupError("it is not stored; materialise the results to compute it")
            )
        started = time.perf_counter()
        try:
            if isinstance(planned, PlannedSource):
                value = planned.source()
                look = checker(planned.source.returns)
                if look is not None and (fault := look(value)):
                    raise ContractError(f"source {planned.name!r} returned a wrong value: {fault}")
                return _Evaluated(value, {}, [], time.perf_counter() - started)
            arguments = {}
            for parameter, given in planned.inputs:
                arguments[parameter] = argument = self._argument(given)
                if isinstance(argument, Failure):
                    return argument
            caller = self.run.caller(planned)
            started = time.perf_counter()
            value, recorded = caller.call(arguments, self.place)
            seconds = time.perf_counter() - started
            return _Evaluated(value, caller.metrics(value, recorded), recorded, seconds)
        except StoreError as error:
            if isinstance(error, CodecError):
                return self._failure(planned, error)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this cell's alone
            return self._failure(planned, error)

    def _argument(self, given: Planned) -> Any:
        """Give what an input parameter is handed, the consumer's own; or the failure that prevents it."""
        if isinstance(given, PlannedStep) and given.node.step.transient:
            evaluated = self._evaluate(given)
            return evaluated if isinstance(evaluated, Failure) else evaluated.value
        outcome = self.outcome(given)
        if isinstance(outcome, Failure):
            return outcome
        try:
            return outcome.value(self.run.store)
        except (CorruptDatumError, CodecError) as error:
            if outcome.computed:
                raise
            logger.warning("%s; computing it again", error)
        self._known(given)[given] = outcome = self._compute(given, replaces=True)
        return outcome if isinstance(outcome, Failure) else outcome.value(self.run.store)

    def _provenance(self, planned: Planned, seconds: float) -> dict[str, Any]:
        made: dict[str, Any] = {"made": self.run.origins.note(planned)}
        if isinstance(planned, PlannedStep):
            made["inputs"] = planned.input_keys(self.keys)
            if planned.varies:
                made["replicate"], made["seed"] = self.place.replicate, self.place.seed
        made["seconds"] = round(seconds, 6)
        made["created"] = round(time.time(), 3)
        made["peak_memory"] = peak_memory()
        made["run"] = self.run.run_id
        return made

    def _failure(self, planned: Planned, error: Exception) -> Failure:
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__") in _OURS:
            trace = trace.tb_next  # begin where the user's code does
        text = "".join(traceback.format_exception(type(error), error, trace))
        place = self.place
        return Failure(
            planned.name,
            place.treatment,
            place.replicate,
            place.seed,
            type(error).__qualname__,
            str(error) or repr(error),
            text,
        )


class _Evaluated(NamedTuple):
    """What a call came to."""

    value: Any
    metrics: Mapping[str, Any]
    recorded: Recorded
    seconds: float


_OURS = {__name__, Caller.__module__}
