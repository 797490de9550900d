"""Nodes: the units of a run that are to be done, and which waits for which."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from workflow_assets.mirrors import Copies
from workflow_assets.outcomes import CellOutcome, Failure, Share, ShareDone
from workflow_assets.plans import PlannedSource, PlannedStep
from workflow_assets.runs import ReplicateCells, Run
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Record
from workflow_assets.tasks import Reference, Unit
from workflow_assets.traits import most
from workflow_assets.works import Planned


@dataclass(eq=False, slots=True)
class Node:
    """A unit that is to be done, after those `before` it; `needed` are the data that it lacks of its own."""

    unit: Unit
    replicate: ReplicateCells | None
    needed: Sequence[Planned]
    before: Sequence[Node]
    needs: Mapping[str, float]
    after: list[Node] = field(default_factory=list)
    waits: int = 0
    outcome: Record | Failure | ShareDone | None = None
    computed: bool = False
    deaths: int = 0
    losses: int = 0
    timeouts: Counter[Reference] | None = None
    lost: dict[Reference, Failure] | None = None
    again: bool = False
    alone: bool = False


class Graph:
    """The units of a run that are still to be done, made replicate by replicate.

    Args:
        run: looks for what is stored.
        several: whether there are several replicates, so that they share what varies with none.
        copies: copies data to where workers find them, if that is another store.
        idle: how many workers there are, if the cells are too few for them: each datum is a unit then, and so is each
            worker's share of the items that a step is called on. 0 where cells keep all workers busy.
        waits_only: whether workers do only coroutines side by side.
    """

    def __init__(
        self, run: Run, *, several: bool, copies: Copies | None, idle: int = 0, waits_only: bool = False
    ) -> None:
        self.run = run
        self.several = several
        self.copies = copies
        self.idle = idle
        self.waits_only = waits_only
        self.ready: deque[Node] = deque()
        self._numbers = {step: number for number, step in enumerate(run.plan.steps)}
        self._needs = {step: needs_of(step) for step in run.plan.steps}
        self._demanding = any(self._needs.values())
        self._constants: dict[Planned, Node] = {}

    def plan(
        self, group: Iterable[tuple[str, list[str]]], slots: frozenset[str] | None
    ) -> Iterator[CellOutcome]:
        """Look for the data of some replicates; yield the cells that lack none, and make units of the others."""
        run = self.run
        replicates = [ReplicateCells(run, key, treatments) for key, treatments in group]
        run.claim.add([key for replicate in replicates for key in replicate.keys.values()])
        run.found = {}
        keys = (key for replicate in replicates for key in replicate.keys.values())
        run.look([*keys, *(source.key for source in self.run.plan.sources.values())])
        for replicate in replicates:
            lacking = {}
            whole = []
            for cell in replicate.cells:
                needed = self._lacking(replicate, (step for _, step in cell.wanted(slots)))
                if needed:
                    lacking[cell.place.treatment] = needed
                else:
                    whole.append(cell)
            if lacking:
                self._arrange(replicate, lacking)
            replicate.cells = whole
            yield from replicate.outcomes(slots)

    def _lacking(self, replicate: ReplicateCells, wanted: Iterable[Planned]) -> dict[Planned, None]:
        """Give what has to be computed so that these data are there, each after what it is made from."""
        needed: dict[Planned, None] = {}
        seen: set[Planned] = set()

        def walk(planned: Planned) -> None:
            if planned in seen:
                return
            seen.add(planned)
            if isinstance(planned, PlannedSource):
                if not isinstance(planned.source, AssetSource) and not self._is_there(planned, planned.key):
                    needed[planned] = None
                return
            transient = planned.node.step.transient
            if transient or not self._is_there(planned, replicate.keys[planned]):
                for _, given in planned.inputs:
                    walk(given)
                if not transient:
                    needed[planned] = None

        for planned in wanted:
            walk(planned)
        return needed

    def _is_there(self, planned: Planned, key: str) -> bool:
        record = self.run.found.get(key)
        if record is None or not record.current or planned in self.run.forced:
            return False
        if self.copies is not None:
            self.copies.out(record)
        return True

    def _arrange(self, replicate: ReplicateCells, lacking: Mapping[str, Mapping[Planned, None]]) -> None:
        """Make the units of a replicate: the data that several cells lack, then the cells."""
        counts = Counter(planned for needed in lacking.values() for planned in needed)
        shared: dict[Planned, Node] = {}
        for treatment, needed in lacking.items():
            nodes_of: dict[Planned, Node] = {}
            own: list[Planned] = []
            for planned in needed:
                constant = not (isinstance(planned, PlannedStep) and planned.varies)
                nodes = self._constants if constant else shared
                alone = counts[planned] < 2 and not (constant and self.several) and not self.idle
                if planned not in nodes and alone:
                    own.append(planned)
                    continue
                if planned not in nodes:
                    holder = None if constant else replicate
                    unit = Unit("" if constant else replicate.key, "", self.reference(planned))
                    among = [nodes_of[one] for one in stored_inputs(planned) if one in nodes_of]
                    among = self._shares(unit, holder, planned, among)
                    nodes[planned] = self._add(unit, holder, [planned], among)
                nodes_of[planned] = nodes[planned]
            self._add(Unit(replicate.key, treatment, None), replicate, own, list(nodes_of.values()))

    def _shares(
        self, unit: Unit, replicate: ReplicateCells | None, planned: Planned, before: list[Node]
    ) -> list[Node]:
        """Have the items of a step called by all workers first; give what the step waits for."""
        step = planned.node.step if isinstance(planned, PlannedStep) else None
        if step is None or not step.over or self.idle < 2 or (self.waits_only and not step.is_coroutine):
            return before
        shares = [
            self._add(unit._replace(share=Share(first, self.idle)), replicate, [planned], before)
            for first in range(self.idle)
        ]
        return [*before, *shares]

    def _add(
        self, unit: Unit, replicate: ReplicateCells | None, needed: Sequence[Planned], before: Sequence[Node]
    ) -> Node:
        node = Node(unit, replicate, needed, before, self._needs_of(needed))
        for one in before:
            if one.outcome is None:
                one.after.append(node)
        self.queue(node)
        return node

    def queue(self, node: Node, *, first: bool = False) -> None:
        """Let a unit wait for those before it, or for a worker."""
        node.waits = sum(one.outcome is None for one in node.before)
        if not node.waits:
            (self.ready.appendleft if first else self.ready.append)(node)

    def reference(self, planned: Planned) -> Reference:
        """Name a datum in messages to workers."""
        return planned.name if isinstance(planned, PlannedSource) else self._numbers[planned]

    def _needs_of(self, needed: Iterable[Planned]) -> Mapping[str, float]:
        if not self._demanding:
            return _NOTHING
        return most(self._needs[planned] for planned in needed if isinstance(planned, PlannedStep))

    def release(self, node: Node, outcome: Record | Failure | ShareDone) -> None:
        """Let go those that wait for a datum."""
        node.outcome = outcome
        if self.copies is not None and isinstance(outcome, Record):
            self.copies.back([outcome])
        for follower in reversed(node.after):
            if follower.waits:
                follower.waits -= 1
                if not follower.waits:
                    self.ready.appendleft(follower)
        node.after.clear()


def needs_of(step: PlannedStep) -> Mapping[str, float]:
    """Give what computing a datum needs, with the transient steps that are computed on the way."""
    above = [
        needs_of(given)
        for _, given in step.inputs
        if isinstance(given, PlannedStep) and given.node.step.transient
    ]
    return most([step.node.step.resources, *above])


_NOTHING: Mapping[str, float] = {}


def stored_inputs(planned: Planned) -> set[Planned]:
    """Give the stored data that a datum is made from, directly or by transient steps."""
    found: set[Planned] = set()
    pending = [planned]
    while pending:
        one = pending.pop()
        for _, given in one.inputs if isinstance(one, PlannedStep) else ():
            if isinstance(given, PlannedStep) and given.node.step.transient:
                pending.append(given)
            else:
                found.add(given)
    return found
