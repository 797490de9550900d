"""Dispatches: a run whose cells are found or computed by the workers of a backend.

What is stored is found here; only what is missing is handed out. A datum that several cells share is handed out first,
as a unit of its own, and computed once; then the cells. Units are put together into tasks that take about as long as it
is worth to talk about them, so that a worker is given a thousand cells of a millisecond, or one of an hour.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice

from workflow_assets.backends.base import (
    POLL,
    Backend,
    Ended,
    Pool,
    PoolBrokenError,
    StepTimeoutError,
    WorkerLostError,
)
from workflow_assets.callers import timeout_message
from workflow_assets.cells import Planned
from workflow_assets.mirrors import Copies
from workflow_assets.nodes import Node, ancestors, most, needs_of
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.plans import Plan, PlannedSource, PlannedStep
from workflow_assets.runs import ReplicateCells, Run
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Record
from workflow_assets.tasks import Done, Known, Reference, Setup, Task, Unit, outcome_of

logger = logging.getLogger("workflow_assets")

_WORTH = 0.1
"""Seconds that a task should take: a hundred times what it takes to hand it out and to take it back."""

_PLANNED = 64
"""How many replicates are looked for in the store at a time."""

_LIVES = 2
"""How often a worker may die over a unit: once may be chance, or somebody else's fault."""

_BREAKS = 3
"""How often a pool may break and be opened anew."""


class Dispatch:
    """Executes the cells of a run on a backend.

    Args:
        run: the run, which looks for what is stored, and notes what partitions hold.
        backend: whose workers compute.
        setup: what they need; its store is the run's, or one that its workers can reach.
        capacity: how much there is of what steps need; enough of it for each step.
        copies: copies data between the run's store and that of the workers, if they are two.
    """

    def __init__(
        self,
        run: Run,
        backend: Backend,
        setup: Setup,
        capacity: Mapping[str, float],
        copies: Copies | None = None,
    ) -> None:
        self.run = run
        self.plan: Plan = run.plan
        self.backend = backend
        self.setup = setup
        self.capacity = capacity
        self.copies = copies
        self._numbers = {step: number for number, step in enumerate(self.plan.steps)}
        self._needs = {step: needs_of(step) for step in self.plan.steps}
        self._constants: dict[Planned, Node] = {}
        self._ready: deque[Node] = deque()
        self._flying: dict[int, list[Node]] = {}
        self._used: Counter[str] = Counter()  # amounts need not be whole
        self._tasks = 0
        self._left = 0  # cells that are not done
        self._seconds = 0.0  # that a unit takes, as far as is known
        self._breaks = 0
        self._several = False

    def cells(
        self, cells: Sequence[tuple[str, str]], slots: frozenset[str] | None = None
    ) -> Iterator[CellOutcome]:
        """Execute cells and yield the outcome of each as it is known, in any order.

        Raises `StoreError` where a store fails, and `PoolBrokenError` where there are no workers any more.
        """
        self.plan.check_cells(cells)
        by_replicate: dict[str, list[str]] = {}
        for treatment, replicate in cells:
            by_replicate.setdefault(replicate, []).append(treatment)
        self._several = len(by_replicate) > 1
        self._left = len(cells)
        pending = iter(by_replicate.items())
        pool: Pool | None = None
        with ExitStack() as stack:
            stack.enter_context(self.run.claim)
            stack.callback(self.run.references.write)
            self.run.claim_sources()
            try:
                while self._left:
                    while len(self._ready) < self._enough(pool) and (
                        group := list(islice(pending, _PLANNED))
                    ):
                        yield from self._planned(group, slots)
                    if not self._ready and not self._flying:
                        continue  # all of the last group was stored
                    try:
                        pool = self.backend.open(self.setup) if pool is None else pool
                        self._submit(pool)
                        for ended in pool.wait(POLL):
                            yield from self._settled(ended)
                    except PoolBrokenError as error:
                        self._recover(error)
                        broken, pool = pool, None
                        if broken is not None:
                            broken.close(kill=True)
            finally:
                if pool is not None:
                    pool.close(kill=self._left > 0)

    # -- planning -----------------------------------------------------------------------------------------------

    def _enough(self, pool: Pool | None) -> int:
        """Give how many units are worth having ready."""
        return 1 if pool is None else 2 * pool.workers * self._size(pool)

    def _planned(
        self, group: Iterable[tuple[str, list[str]]], slots: frozenset[str] | None
    ) -> Iterator[CellOutcome]:
        """Look for the data of some replicates; yield the cells that lack none, and make units of the others."""
        run = self.run
        replicates = [ReplicateCells(run, key, treatments) for key, treatments in group]
        run.claim.add([key for replicate in replicates for key in replicate.keys.values()])
        run.found = {}
        keys = (key for replicate in replicates for key in replicate.keys.values())
        run.look([*keys, *(source.key for source in self.plan.sources.values())])
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
            for outcome in replicate.outcomes(slots):
                self._left -= 1
                yield outcome

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
            before: list[Node] = []
            own: list[Planned] = []
            for planned in needed:
                constant = not (isinstance(planned, PlannedStep) and planned.varies)
                nodes = self._constants if constant else shared
                if planned not in nodes and counts[planned] < 2 and not (constant and self._several):
                    own.append(planned)
                    continue
                if planned not in nodes:
                    holder = None if constant else replicate
                    unit = Unit("" if constant else replicate.key, "", self._reference(planned))
                    above = ancestors(planned)
                    among = [node for node in before if node.needed[0] in above]
                    nodes[planned] = self._add(unit, holder, [planned], among)
                before.append(nodes[planned])
            self._add(Unit(replicate.key, treatment, None), replicate, own, before)

    def _add(
        self, unit: Unit, replicate: ReplicateCells | None, needed: Sequence[Planned], before: Sequence[Node]
    ) -> Node:
        node = Node(unit, replicate, needed, before, self._needs_of(needed))
        for one in before:
            if one.outcome is None:
                one.after.append(node)
        self._queue(node)
        return node

    def _queue(self, node: Node, *, first: bool = False) -> None:
        """Let a unit wait for those before it, or for a worker."""
        node.waits = sum(one.outcome is None for one in node.before)
        if not node.waits:
            (self._ready.appendleft if first else self._ready.append)(node)

    def _reference(self, planned: Planned) -> Reference:
        return planned.name if isinstance(planned, PlannedSource) else self._numbers[planned]

    def _needs_of(self, needed: Iterable[Planned]) -> Mapping[str, float]:
        return most(self._needs[planned] for planned in needed if isinstance(planned, PlannedStep))

    # -- handing out ----------------------------------------------------------------------------------------------

    def _size(self, pool: Pool) -> int:
        """Give how many units make a task: few while it is not known how long they take, and towards the end."""
        if not self._seconds:
            return 1
        fair = self._left // (3 * pool.workers)
        return max(1, min(int(_WORTH / self._seconds), fair))

    def _submit(self, pool: Pool) -> None:
        """Hand out what is ready, as far as there are workers for it."""
        while self._ready and len(self._flying) < pool.workers + pool.ahead:
            nodes = self._gather(self._size(pool))
            if not nodes:
                return
            self._tasks += 1
            task = Task(
                self._tasks,
                tuple(node.unit for node in nodes),
                tuple(self._known(nodes)),
                any(node.again for node in nodes),
            )
            needs = most(node.needs for node in nodes)
            self._flying[task.number] = nodes
            self._used.update(needs)
            pool.submit(task, needs)

    def _gather(self, size: int) -> list[Node]:
        """Take units that are ready, with those that become so by them: they find the data at hand."""
        nodes: list[Node] = []
        skipped: list[Node] = []
        followers: deque[Node] = deque()
        while len(nodes) < size and (followers or self._ready):
            following = bool(followers)
            node = followers.popleft() if following else self._ready.popleft()
            if (node.alone and nodes) or not self._fits(node, nodes):
                if not following:
                    skipped.append(node)
                continue
            nodes.append(node)
            node.waits = 0
            if node.alone:
                break
            followers.extend(
                one
                for one in node.after
                if one.waits and all(other.outcome is not None or other in nodes for other in one.before)
            )
        self._ready.extendleft(reversed(skipped))
        return nodes

    def _fits(self, node: Node, nodes: Sequence[Node]) -> bool:
        """Tell whether there is enough of what a unit needs, beside what is being done."""
        if self.backend.capabilities.counts:
            return not nodes or node.needs == nodes[0].needs  # a task goes to a worker that has all it needs
        if not node.needs:
            return True
        needs = most([node.needs, *(one.needs for one in nodes)])
        return all(self._used[name] + amount <= self.capacity[name] for name, amount in needs.items())

    def _known(self, nodes: Sequence[Node]) -> Iterator[Known]:
        """Tell what became of the data before some units, where they are not done in the same task."""
        for one in {one: None for node in nodes for one in node.before if one not in nodes}:
            assert one.unit.shared is not None
            assert one.outcome is not None
            yield Known(one.unit.shared, one.unit.replicate, one.outcome)
        for node in nodes:
            for reference, failure in node.lost.items():
                varies = isinstance(reference, int) and self.plan.steps[reference].varies
                yield Known(reference, node.unit.replicate if varies else "", failure)

    # -- taking back ----------------------------------------------------------------------------------------------

    def _settled(self, ended: Ended) -> Iterator[CellOutcome]:
        """Take note of how a task ended; yield the cells that are done."""
        nodes = self._flying.pop(ended.task.number, None)
        if nodes is None:
            return
        self._used.subtract(most(node.needs for node in nodes))
        if isinstance(ended.outcome, Done):
            yield from self._taken(nodes, ended.outcome)
        elif isinstance(ended.outcome, WorkerLostError):
            self._lose(nodes, ended.outcome)
        else:
            raise ended.outcome

    def _taken(self, nodes: Sequence[Node], done: Done) -> Iterator[CellOutcome]:
        seconds = done.seconds / len(nodes)
        self._seconds = 0.5 * (self._seconds + seconds) if self._seconds else seconds
        for name, key in done.sources.items():
            self.run.references.note((name,), "", key)
        by_unit = {node.unit: node for node in nodes}
        for shared in done.shared:
            node = by_unit[shared.unit]
            node.computed = shared.computed or self._is_ours(shared.outcome)
            self._release(node, shared.outcome)
        for cell in done.cells:
            node = by_unit[Unit(cell.replicate, cell.treatment, None)]
            assert node.replicate is not None
            computed = set(cell.computed)
            steps = self.plan.by_treatment[cell.treatment]
            for slot, record in cell.records.items():
                # Dask begins a task again by itself, and the last attempt finds what the first has stored.
                if steps[slot] in node.needed and self._is_ours(record):
                    computed.add(slot)
            for before in node.before:
                if before.computed:
                    computed.update(slot for slot in cell.records if steps[slot] is before.needed[0])
                    before.computed = False  # it is told once, with the first cell that uses it
            whole = cell._replace(computed=frozenset(computed))
            outcome = outcome_of(whole, self.plan, node.replicate.seed, node.replicate.keys)
            if self.copies is not None:
                self.copies.back(outcome.records.values())
            self.run.note(outcome)
            self._left -= 1
            yield outcome

    def _is_ours(self, outcome: Record | Failure) -> bool:
        return isinstance(outcome, Record) and outcome.provenance.get("run") == self.run.run_id

    def _release(self, node: Node, outcome: Record | Failure) -> None:
        """Let go those that wait for a datum."""
        node.outcome = outcome
        if self.copies is not None and isinstance(outcome, Record):
            self.copies.back([outcome])
        for follower in reversed(node.after):
            if follower.waits:
                follower.waits -= 1
                if not follower.waits:
                    self._ready.appendleft(follower)
        node.after.clear()

    # -- losing ---------------------------------------------------------------------------------------------------

    def _lose(self, nodes: Sequence[Node], error: WorkerLostError) -> None:
        """Have units done again whose worker was lost: who was at fault goes alone, and has few lives."""
        by_unit = {node.unit: node for node in nodes}
        culprit = nodes[0] if len(nodes) == 1 else None
        reference: Reference | None = None
        if error.culprit is not None:
            culprit, reference = by_unit[error.culprit.unit], error.culprit.reference
        if culprit is None:
            for node in nodes:
                node.alone = True
        elif isinstance(error, StepTimeoutError):
            self._time_out(culprit, error)
        else:
            culprit.alone = True
            culprit.deaths += 1
            logger.warning("%s; what it was doing is done again", error)
            if culprit.deaths >= _LIVES:
                at_fault = [reference] if reference is not None else [*map(self._reference, culprit.needed)]
                self._fail(culprit, at_fault, "WorkerLostError", str(error))
        for node in reversed(nodes):
            node.again = True
            if node.outcome is None:
                self._queue(node, first=True)

    def _time_out(self, node: Node, error: StepTimeoutError) -> None:
        """Have a step that took too long called again, if it may be, or let it have failed."""
        assert error.culprit is not None
        reference = error.culprit.reference
        assert isinstance(reference, int)
        step = self.plan.steps[reference].node.step
        node.timeouts[reference] += 1
        worthwhile = issubclass(TimeoutError, step.retries.on)
        if not worthwhile or node.timeouts[reference] > step.retries.times:
            self._fail(node, [reference], "TimeoutError", timeout_message(step.name, step.timeout))

    def _fail(self, node: Node, references: Iterable[Reference], kind: str, message: str) -> None:
        """Let steps of a unit have failed that nobody lived to tell of."""
        for reference in references:
            name = reference if isinstance(reference, str) else self.plan.steps[reference].name
            seed = node.replicate.seed if node.replicate is not None else 0
            treatment, replicate = node.unit.treatment, node.unit.replicate
            node.lost[reference] = Failure(name, treatment, replicate, seed, kind, message, message)
        if node.unit.shared is not None:
            self._release(node, next(iter(node.lost.values())))

    def _recover(self, error: PoolBrokenError) -> None:
        """Have what was being done done by a new pool."""
        self._breaks += 1
        if self._breaks > _BREAKS:
            raise error
        logger.warning("%s; starting other workers", error)
        flying = [node for nodes in self._flying.values() for node in nodes]
        self._flying.clear()
        self._used.clear()
        for node in reversed(flying):
            node.again = True
            self._queue(node, first=True)
