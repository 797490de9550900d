"""Runs: executing a plan, cell by cell, so that one cell's failure is its own.

A cell is one pass through the steps that it needs. What is stored is not computed; what is computed is stored before
anyone uses it; and what a step is handed is its own copy, equal to what a later run would read from the store.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from workflow_assets.callers import Caller, Place, Recorded
from workflow_assets.contracts.annotations import checker
from workflow_assets.errors import (
    CodecError,
    ContractError,
    CorruptDatumError,
    StoreError,
)
from workflow_assets.outcomes import CellOutcome, Failure, Handle, Outcome
from workflow_assets.plans import Plan, PlannedSource, PlannedStep
from workflow_assets.provenance import Origins, peak_memory
from workflow_assets.references import References
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Record, Store
from workflow_assets.store.codecs import encode
from workflow_assets.streams import GlobalGenerator

logger = logging.getLogger("workflow_assets")

Planned = PlannedStep | PlannedSource

_WAVE = 64
"""How many cells are claimed at a time, and looked for and stored together where that takes long."""

_LARGE = 1 << 20
"""What is larger than this is stored at once: its value is not held while others are computed."""


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
        self.forced = plan.following(force)
        self.constants: dict[Planned, Outcome] = {}
        self.callers: dict[PlannedStep, Caller] = {}
        self.watch = GlobalGenerator()
        self.references = References(store, plan.declaration.name)
        self.claim = store.claim()
        self.origins = Origins(store, self.run_id, self.claim)
        self.pool: Executor | None = None
        self.found: Mapping[str, Record | None] = {}
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
        pending = iter(by_replicate.items())
        size = max(1, _WAVE // len(self.plan.by_treatment))
        with ExitStack() as stack:
            stack.enter_context(self.claim)
            stack.callback(self.references.write)
            if self.compute:
                self.claim.add([source.key for source in self.plan.sources.values()])
            if self.compute and self.store.at_once > 1:
                self.pool = stack.enter_context(ThreadPoolExecutor(self.store.at_once))
                stack.callback(self.pool.shutdown, cancel_futures=True)
            while wave := list(islice(pending, size)):
                yield from self._wave(wave, wanted)

    def source(self, name: str) -> Record:
        """Load a source into the store if it is not there; give its record.

        Raises whatever its loader raises.
        """
        source = self.plan.sources[name]
        with self.claim:
            self.claim.add([source.key])
            outcome = _Cell(self, Place("", "", "", 0), {}).outcome(source)
            if isinstance(outcome, Failure):
                raise RuntimeError(f"source {name!r} failed:\n{outcome.traceback}")
            self.references.write()
            return outcome.record

    def _wave(
        self, wave: Sequence[tuple[str, Sequence[str]]], wanted: frozenset[str] | None
    ) -> Iterator[CellOutcome]:
        """Execute the cells of some replicates.

        Where looking and putting take long, both are done for many cells at once: step by step, not cell by cell.
        """
        replicates = [_Replicate(self, key, treatments) for key, treatments in wave]
        if self.compute:
            self.claim.add([key for replicate in replicates for key in replicate.keys.values()])
        if self.store.at_once > 1:
            keys = {key for replicate in replicates for key in replicate.keys.values()}
            self.found = dict.fromkeys(keys) | self.store.find_all(keys)
            for step in self.plan.steps:
                for replicate in replicates:
                    replicate.obtain(step, wanted)
        for replicate in replicates:
            yield from replicate.outcomes(wanted)

    def caller(self, step: PlannedStep) -> Caller:
        """Give what calls a step."""
        if step not in self.callers:
            self.callers[step] = Caller(step, self.resources, self.watch)
        return self.callers[step]


class _Replicate:
    """The cells of one replicate, which share their streams and their data."""

    def __init__(self, run: Run, key: str, treatments: Sequence[str]) -> None:
        replicate = run.plan.replicates[key]
        self.run = run
        self.key = key
        self.seed = run.plan.seed(replicate)
        self.keys = run.plan.keys(replicate, self.seed)
        self.shared: dict[Planned, Outcome] = {}
        self.cells = [
            _Cell(run, Place(treatment, key, replicate.identity, self.seed), self.keys, self.shared)
            for treatment in treatments
        ]

    def obtain(self, step: PlannedStep, wanted: frozenset[str] | None) -> None:
        """Find or compute the data of one step, where a cell wants it."""
        for cell in self.cells:
            if any(step is mine for _, mine in cell.wanted(wanted)):
                cell.outcome(step)

    def outcomes(self, wanted: frozenset[str] | None) -> Iterator[CellOutcome]:
        """Find or compute the data of all cells."""
        told: set[PlannedStep] = set()
        for cell in self.cells:
            treatment = cell.place.treatment
            records: dict[str, Record] = {}
            computed: list[str] = []
            failure: Failure | None = None
            for slot, step in cell.wanted(wanted):
                outcome = cell.outcome(step)
                if isinstance(outcome, Failure):
                    failure = failure or replace(
                        outcome, treatment=treatment, replicate=self.key, seed=self.seed
                    )
                    continue
                records[slot] = record = outcome.record
                if outcome.computed and step not in told:
                    computed.append(slot)
                told.add(step)
                if self.run.compute:  # else nothing is written
                    self.run.references.note((slot,), f"{self.key}|{treatment}", record.key)
            self.run.references.cell_done()
            steps = self.run.plan.by_treatment[treatment]
            yield CellOutcome(
                treatment, self.key, self.seed, records, frozenset(computed), failure, steps, self.keys
            )
        for planned, outcome in self.shared.items():
            if isinstance(outcome, Handle) and not (isinstance(planned, PlannedStep) and planned.varies):
                outcome.shared()  # told once; the next replicate shares it


class _Cell:
    """One pass through the steps of a treatment, for one replicate."""

    def __init__(
        self,
        run: Run,
        place: Place,
        keys: Mapping[PlannedStep, str],
        shared: dict[Planned, Outcome] | None = None,
    ) -> None:
        self.run = run
        self.place = place
        self.keys = keys
        self.shared = {} if shared is None else shared

    def wanted(self, slots: frozenset[str] | None) -> Iterator[tuple[str, PlannedStep]]:
        """Give the steps whose data are stored, or those of them that are asked for."""
        for slot, step in self.run.plan.by_treatment[self.place.treatment].items():
            if not step.node.step.transient and (slots is None or slot in slots):
                yield slot, step

    def outcome(self, planned: Planned) -> Outcome:
        """Find a datum or compute it; the same failure is not met twice."""
        known = self._known(planned)
        if planned not in known:
            known[planned] = outcome = self._obtain(planned)
            if (
                isinstance(planned, PlannedSource)
                and isinstance(outcome, Handle)
                and not isinstance(planned.source, AssetSource)  # who materialises it says what it holds
            ):
                self.run.references.note((planned.name,), "", outcome.record.key)
        if known is not self.shared:
            self.shared[planned] = known[planned]
        return known[planned]

    def _known(self, planned: Planned) -> dict[Planned, Outcome]:
        varies = isinstance(planned, PlannedStep) and planned.varies
        return self.shared if varies else self.run.constants

    def _key(self, planned: Planned) -> str:
        return planned.key if isinstance(planned, PlannedSource) else self.keys[planned]

    def _obtain(self, planned: Planned) -> Outcome:
        """Find a datum that may be used, or compute it in place of one that may not."""
        if planned in self.run.forced:
            return self._compute(planned, replaces=True)
        key = self._key(planned)
        record = self.run.found[key] if key in self.run.found else self.run.store.find(key)
        if record is not None and record.current:
            return Handle(record)
        return self._compute(planned, replaces=record is not None)

    def _compute(self, planned: Planned, replaces: bool) -> Outcome:
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
        put = partial(
            store.put_encoded,
            self._key(planned),
            encoded,
            metrics=evaluated.metrics,
            provenance=provenance,
            records=tuple(one for one in evaluated.recorded if one[2] or one[0] not in evaluated.metrics),
            replace=replaces,
        )
        pool = self.run.pool
        stored = put() if pool is None or encoded.size > _LARGE else pool.submit(put)
        return Handle(stored, encoded, self.run.run_id)

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
