"""Tasks: parts of a run that are done elsewhere, what is sent there, and what comes back.

Who does a task is a worker: a run of its own over the same plan and store, in another process or thread. A worker
finds or computes what it is asked for as any run does, so that the result does not depend on how the work was cut; what
it is told to be known already is only spared.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from workflow_assets.callers import Place, Surroundings
from workflow_assets.cells import Cell
from workflow_assets.hooks import Listeners
from workflow_assets.outcomes import Failure, Handle, Outcome, Share, ShareDone
from workflow_assets.plans import Plan, PlannedSource, PlannedStep
from workflow_assets.references import References
from workflow_assets.runs import ReplicateCells, Run
from workflow_assets.store.base import Asset, Record, Store
from workflow_assets.store.outboxes import Outbox
from workflow_assets.works import Planned

Reference = int | str
"""Names something planned: the number of a step, or the name of a source."""


class Unit(NamedTuple):
    """The smallest piece of work: one cell, or a datum that several cells share.

    Args:
        replicate: its key; "" for a datum that all replicates share.
        treatment: the cell's; "" for a datum.
        shared: which datum; None for a cell.
        share: which of its items only, if those are to be stored ahead of it.
    """

    replicate: str
    treatment: str
    shared: Reference | None
    share: Share | None = None


class Known(NamedTuple):
    """What became of a datum elsewhere."""

    reference: Reference
    replicate: str
    outcome: Record | Failure | ShareDone


class Task(NamedTuple):
    """Units that are done one after the other, data before the cells that share them.

    `again` says that an earlier attempt may have done a part of it.
    """

    number: int
    units: tuple[Unit, ...]
    known: tuple[Known, ...]
    again: bool = False


class CellDone(NamedTuple):
    """What became of a cell."""

    treatment: str
    replicate: str
    records: Mapping[str, Record]
    computed: frozenset[str]
    failure: Failure | None
    failures: Mapping[str, Failure]


class SharedDone(NamedTuple):
    """What became of a datum that several cells share."""

    unit: Unit
    outcome: Record | Failure | ShareDone
    computed: bool


class Done(NamedTuple):
    """What a task came to.

    `others` are data that are part of it and named by none of its units, if nobody else knows of them; `sources` are
    the keys of those that were loaded, `referred` what was noted of the items of collections, `seconds` how long it
    took.
    """

    shared: Sequence[SharedDone]
    cells: Sequence[CellDone]
    others: Sequence[Record]
    sources: Mapping[Asset, str]
    referred: Mapping[Asset, Mapping[str, str]]
    seconds: float


@dataclass(frozen=True)
class Setup:
    """What every worker of a run needs, sent once; `folders` last no longer than the run."""

    plan: Plan
    store: Store
    run_id: str
    force: tuple[str, ...] = ()
    slots: frozenset[str] | None = None
    resources: Mapping[str, object] = field(default_factory=dict)
    listeners: Listeners = field(default_factory=Listeners)
    folders: tuple[str, ...] = ()


class Worker:
    """Does tasks, one at a time.

    Args:
        setup: what it needs.
        surroundings: what steps are executed in, if others are executed beside them.
    """

    def __init__(self, setup: Setup, surroundings: Surroundings | None = None) -> None:
        self.run = Run(
            setup.plan,
            setup.store,
            force=setup.force,
            resources=setup.resources,
            run_id=setup.run_id,
            listeners=setup.listeners,
            surroundings=surroundings,
        )
        self.slots = setup.slots
        self._task = 0
        self._sharing: int | None = None
        self._places: dict[tuple[str, str], int] = {}
        self.run.references = self._loaded = _Loaded(setup.store)
        if setup.store.at_once > 1:
            self.run.pool = ThreadPoolExecutor(setup.store.at_once)

    def perform(self, task: Task) -> Done:
        """Do a task.

        Raises `StoreError` where the store fails; what a step or source raises is a failure in what is returned.
        """
        started = time.perf_counter()
        self._task = task.number
        self._places = {(unit.replicate, unit.treatment): number for number, unit in enumerate(task.units)}
        run = self.run
        run.again = task.again
        varying = self._take(task.known)
        treatments: dict[str, list[str]] = {}
        for unit in task.units:
            of_replicate = treatments.setdefault(unit.replicate, [])
            if unit.shared is None:
                of_replicate.append(unit.treatment)
        replicates = {
            key: ReplicateCells(run, key, names, varying.get(key)) for key, names in treatments.items() if key
        }
        if run.store.at_once > 1:
            run.found = {}
            run.look(key for replicate in replicates.values() for key in replicate.keys.values())
        shared = []
        for number, unit in enumerate(task.units):
            if unit.shared is not None:
                self._sharing = number
                shared.append(self._share(unit, replicates.get(unit.replicate)))
        self._sharing = None
        cells = [
            CellDone(one.treatment, one.replicate, one.records, one.computed, one.failure, one.failures)
            for one in run.wave([one for one in replicates.values() if one.cells], self.slots)
        ]
        store = self.run.store
        if isinstance(store, Outbox) and any(map(self._is_for_others, task.units)):
            store.publish()
        others = self._others(shared, cells)
        referred = store.referred() if isinstance(store, Outbox) else {}
        return Done(shared, cells, others, self._loaded.taken(), referred, time.perf_counter() - started)

    def doing(self, place: Place) -> tuple[int, int]:
        """Give which task is being done, and which of its units, at a place in the grid."""
        number = self._places[place.replicate, place.treatment] if self._sharing is None else self._sharing
        return self._task, number

    def close(self) -> None:
        """Let go of what was opened."""
        with ExitStack() as stack:
            stack.callback(self.run.claim.__exit__, None, None, None)
            if self.run.pool is not None:
                stack.callback(self.run.pool.shutdown, cancel_futures=True)
            self.run.surroundings.close()  # first: who cancels does not wait for long

    def _take(self, known: Iterable[Known]) -> dict[str, dict[Planned, Outcome]]:
        """Take note of what is known; give what belongs to single replicates."""
        varying: dict[str, dict[Planned, Outcome]] = {}
        for reference, replicate, outcome in known:
            planned = find(self.run.plan, reference)
            if isinstance(outcome, ShareDone):
                assert isinstance(planned, PlannedStep)
                shares = self.run.shares.setdefault((planned, replicate), {})
                shares[outcome.share.first] = outcome
                continue
            told = Handle(outcome) if isinstance(outcome, Record) else outcome
            if replicate:
                varying.setdefault(replicate, {})[planned] = told
            else:
                self.run.constants.setdefault(planned, told)
        return varying

    def _others(self, shared: Iterable[SharedDone], cells: Iterable[CellDone]) -> list[Record]:
        """Give what an outbox keeps that is not told with cells and shared data."""
        store = self.run.store
        if not isinstance(store, Outbox):
            return []
        kept = store.taken()
        for one in shared:
            if isinstance(one.outcome, Record):
                kept.pop(one.outcome.key, None)
        for cell in cells:
            for record in cell.records.values():
                kept.pop(record.key, None)
        return list(kept.values())

    def _is_for_others(self, unit: Unit) -> bool:
        """Whether others look into the store for what came of the items of a unit."""
        planned = None if unit.shared is None else find(self.run.plan, unit.shared)
        return isinstance(planned, PlannedStep) and bool(planned.node.step.over)

    def _share(self, unit: Unit, replicate: ReplicateCells | None) -> SharedDone:
        assert unit.shared is not None
        planned = find(self.run.plan, unit.shared)
        if replicate is None:
            treatment = planned.treatments[0] if isinstance(planned, PlannedStep) else ""
            cell = Cell(self.run, Place(treatment, "", "", 0), self.run.plan.constant_keys)
        else:
            assert isinstance(planned, PlannedStep)
            place = Place(planned.treatments[0], unit.replicate, replicate.identity, replicate.seed)
            cell = Cell(self.run, place, replicate.keys, replicate.shared)
        if unit.share is not None:
            assert isinstance(planned, PlannedStep)
            return SharedDone(unit, cell.share(planned, unit.share), computed=False)
        outcome = cell.outcome(planned)
        if isinstance(outcome, Failure):
            return SharedDone(unit, outcome, computed=False)
        computed = outcome.computed
        outcome.shared()
        return SharedDone(unit, outcome.record, computed)


class _Loaded(References):
    """Notes the sources that were loaded; the run that is being helped notes what partitions hold."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._sources: dict[Asset, str] = {}

    def note(self, asset: Asset, partition: str, key: str) -> None:
        if not partition:
            self._sources[asset] = key

    def cell_done(self) -> None:
        pass

    def write(self) -> None:
        pass

    def taken(self) -> dict[Asset, str]:
        """Give what was noted, once."""
        sources, self._sources = self._sources, {}
        return sources


def find(plan: Plan, reference: Reference) -> PlannedStep | PlannedSource:
    """Give what a reference names."""
    return plan.sources[reference] if isinstance(reference, str) else plan.steps[reference]
