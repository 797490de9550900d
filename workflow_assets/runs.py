"""Runs: executing a plan, cell by cell, so that one cell's failure is its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice

from workflow_assets.callers import Place
from workflow_assets.canonical import digest
from workflow_assets.cells import Cell
from workflow_assets.mappings import FrozenDict
from workflow_assets.outcomes import CellOutcome, Failure, Handle, Outcome
from workflow_assets.plans import PlannedStep
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Record
from workflow_assets.works import Planned, Work

NONE: Mapping[str, Failure] = FrozenDict()

_WAVE = 64
"""How many cells are claimed at a time, and stored together where that takes long."""

_AHEAD = 16
"""For how many waves data are looked for at once, where that takes long."""

_FRESH = 5.0
"""For how many seconds a datum that was not found is not looked for again."""


class Run(Work):
    """One execution of a plan over some of its cells.

    Args:
        plan: what to execute.
        store: where data are looked for and kept.
        force: slots and sources to compute again although they are stored; what follows from them is, too.
        resources: what steps find in ``ctx.resources``.
        run_id: noted in the provenance of what is computed.
        listeners: the hooks that are told of cells and steps.
        compute: False to look only at what is stored; a cell that is not is a failure that says so.

    Raises `UnknownNameError` for a forced name that the experiment does not have, and `StoreError` at once if the
    store cannot be written.
    """

    def cells(
        self, cells: Iterable[tuple[str, str]] | None = None, slots: Iterable[str] | None = None
    ) -> Iterator[CellOutcome]:
        """Execute cells, given as (treatment, replicate key), and yield the outcome of each as it is known.

        With `slots`, only those are wanted; what they need and is not stored is computed too.
        """
        chosen = self.plan.cells() if cells is None else list(cells)
        wanted = None if slots is None else frozenset(slots)
        pending = iter(self.plan.by_replicate(chosen).items())
        size = max(1, _WAVE // len(self.plan.by_treatment))
        with ExitStack() as stack:
            stack.enter_context(self.claim)
            stack.callback(self.surroundings.close)
            stack.callback(self.references.write)
            if self.compute:
                self.claim_sources()
            if self.compute and self.store.at_once > 1:
                self.pool = stack.enter_context(ThreadPoolExecutor(self.store.at_once))
                stack.callback(self.pool.shutdown, cancel_futures=True)
            ahead = size if self.store.at_once == 1 else size * _AHEAD
            while group := [ReplicateCells(self, *one) for one in islice(pending, ahead)]:
                if self.compute:
                    self.claim.add([key for replicate in group for key in replicate.keys.values()])
                if self.store.at_once > 1:
                    self.found = {}
                    self.look(key for replicate in group for key in replicate.keys.values())
                for start in range(0, len(group), size):
                    yield from self.wave(group[start : start + size], wanted)

    def source(self, name: str) -> Record:
        """Load a source into the store if it is not there; give its record.

        Raises whatever its loader raises.
        """
        source = self.plan.sources[name]
        with self.claim:
            self.claim.add([source.key])
            outcome = Cell(self, Place("", "", "", 0), {}).outcome(source)
            if isinstance(outcome, Failure):
                raise RuntimeError(f"source {name!r} failed:\n{outcome.traceback}")
            self.references.write()
            return outcome.record

    def look(self, keys: Iterable[str]) -> None:
        """Look for data, many at once."""
        asked = dict.fromkeys(keys)
        self.found = {**self.found, **asked, **self.store.find_all(asked)}
        self.looked = time.monotonic()

    def wave(
        self, replicates: Sequence[ReplicateCells], wanted: frozenset[str] | None
    ) -> Iterator[CellOutcome]:
        """Execute the cells of some replicates.

        Where putting takes long, it is done for many cells at once: step by step, not cell by cell.
        """
        if self.store.at_once > 1:
            if time.monotonic() - self.looked > _FRESH:  # another run may have been quicker
                keys = [key for replicate in replicates for key in replicate.keys.values()]
                self.look(key for key in keys if self.found.get(key) is None)
            for step in self.plan.steps:
                for replicate in self._own_order(replicates):
                    replicate.obtain(step, wanted)
        apart = False
        for number, replicate in enumerate(replicates):
            if self.lost and not apart:
                self._work_apart(replicates[number:], wanted)
                apart = True
            yield from replicate.outcomes(wanted)

    def note(self, outcome: CellOutcome) -> None:
        """Note what the partitions of a cell hold."""
        if self.compute:  # else nothing is written
            declaration = self.plan.declaration
            partition = declaration.partition(outcome.treatment, outcome.replicate)
            for slot, record in outcome.records.items():
                self.references.note((declaration.name, slot), partition, record.key)
            self.references.cell_done()

    def _own_order(self, replicates: Iterable[ReplicateCells]) -> list[ReplicateCells]:
        """Give an order that no other run follows: two would else go hand in hand, and compute everything twice."""
        return sorted(replicates, key=lambda replicate: digest(self.run_id, replicate.key))

    def _work_apart(self, replicates: Iterable[ReplicateCells], wanted: frozenset[str] | None) -> None:
        """Find or compute the data of some replicates beside another run."""
        left = deque(self._own_order(replicates))
        while left:
            replicate = left.popleft()
            if not replicate.work(wanted):
                left.append(replicate)  # another run is at it: by and by it will be stored

    def claim_sources(self) -> None:
        """Claim the sources, and note those that are stored: nobody asks for them where all else is stored, too."""
        sources = self.plan.sources
        self.claim.add([planned.key for planned in sources.values()])
        for planned in sources.values():
            if not isinstance(planned.source, AssetSource) and self.store.find(planned.key) is not None:
                self.references.note(planned.source.asset, "", planned.key)


class ReplicateCells:
    """The cells of one replicate, which share their streams and their data."""

    def __init__(
        self, run: Run, key: str, treatments: Sequence[str], known: Mapping[Planned, Outcome] | None = None
    ) -> None:
        replicate = run.plan.replicates[key]
        self.run = run
        self.key = key
        self.identity = replicate.identity
        self.seed = run.plan.seed(replicate)
        self.keys = run.plan.keys(replicate, self.seed)
        self.shared: dict[Planned, Outcome] = dict(known or {})
        self.cells = [
            Cell(run, Place(treatment, key, replicate.identity, self.seed), self.keys, self.shared)
            for treatment in treatments
        ]

    def obtain(self, step: PlannedStep, wanted: frozenset[str] | None) -> None:
        """Find or compute the data of one step, where a cell wants it."""
        for cell in self.cells:
            if any(step is mine for _, mine in cell.wanted(wanted)):
                cell.begin()
                cell.outcome(step)

    def work(self, wanted: frozenset[str] | None) -> bool:
        """Find or compute the data of all cells, unless another run turns out to be at it; say if all are there."""
        lost = self.run.lost
        for cell in self.cells:
            cell.begin()
        outcomes = (cell.outcome(step) for cell in self.cells for _, step in cell.wanted(wanted))
        return all(self.run.lost == lost for _ in outcomes)

    def outcomes(self, wanted: frozenset[str] | None) -> Iterator[CellOutcome]:
        """Find or compute the data of all cells."""
        told: set[PlannedStep] = set()
        for cell in self.cells:
            cell.begin()
            treatment = cell.place.treatment
            records: dict[str, Record] = {}
            computed: list[str] = []
            failures: dict[str, Failure] = {}
            for slot, step in cell.wanted(wanted):
                outcome = cell.outcome(step)
                if isinstance(outcome, Failure):
                    failures[slot] = replace(outcome, treatment=treatment, replicate=self.key, seed=self.seed)
                    continue
                records[slot] = outcome.record
                if outcome.computed and step not in told:
                    computed.append(slot)
                told.add(step)
            steps = self.run.plan.by_treatment[treatment]
            failure = next(iter(failures.values()), None)
            told_cell = CellOutcome(
                treatment,
                self.key,
                self.seed,
                records,
                frozenset(computed),
                failure,
                steps,
                self.keys,
                failures or NONE,
            )
            self.run.note(told_cell)
            yield told_cell
        for planned, outcome in self.shared.items():
            if isinstance(outcome, Handle) and not (isinstance(planned, PlannedStep) and planned.varies):
                outcome.shared()  # told once; the next replicate shares it
