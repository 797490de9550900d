"""Dispatches: a run whose cells are found or computed by the workers of a backend.

What is stored is found here; only what is missing is handed out. A datum that several cells share is handed out first,
as a unit of its own, and computed once; then the cells. Units are put together into tasks that take about as long as it
is worth to talk about them, so that a worker is given a thousand cells of a millisecond, or one of an hour.
"""

from __future__ import annotations

import gc
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice

from workflow_assets.backends.base import (
    POLL,
    Backend,
    Ended,
    Pool,
    PoolBrokenError,
    StepTimeoutError,
    WorkerLostError,
    cores,
)
from workflow_assets.callers import timeout_message
from workflow_assets.mirrors import Copies
from workflow_assets.nodes import Graph, Node
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.plans import Plan
from workflow_assets.runs import Run
from workflow_assets.tasks import Done, Known, Reference, Setup, Task, Unit
from workflow_assets.traits import most

logger = logging.getLogger("workflow_assets")

_WORTH = 100
"""How many times as long as handing it out a task should take."""

_GROWTH = 8
"""How many times as large as any before it a task may be: the first units need not be like the others."""

_PLANNED = 64
"""How many replicates are looked for in the store at a time."""

_LIVES = 2
"""How often a worker may die over a unit: once may be chance, or somebody else's fault."""

_LOSSES = 8
"""How often a unit may be lost while its worker was in the middle of no step."""

_BREAKS = 3
"""How often a pool may break and be opened anew."""


_COLLECT = 50_000
"""How many more objects there may be before garbage is looked for: what is known of cells is no garbage."""


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Look for garbage more seldom, unless whoever runs this has decided on it: a quarter of the run's time else."""
    standing = gc.get_threshold()
    seldom = gc.isenabled() and 0 < standing[0] < _COLLECT
    if seldom:
        gc.set_threshold(_COLLECT, *standing[1:])
    try:
        yield
    finally:
        if seldom and gc.get_threshold()[0] == _COLLECT:
            gc.set_threshold(*standing)


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
        self._flying: dict[int, list[Node]] = {}
        self._used: Counter[str] = Counter()  # amounts need not be whole
        self._tasks = 0
        self._left = 0  # cells that are not done
        self._seconds = 0.0  # that a unit takes, as far as is known
        self._largest = 1  # task that has been done
        self._breaks = 0

    def cells(
        self,
        cells: Sequence[tuple[str, str]],
        slots: frozenset[str] | None = None,
        begin: Callable[[], object] = lambda: None,
    ) -> Iterator[CellOutcome]:
        """Execute cells and yield the outcome of each as it is known, in any order.

        `begin` is called before any is known or handed out, and not where there are no workers to be had.

        Raises `StoreError` where a store fails, and `PoolBrokenError` where there are no workers any more.
        """
        by_replicate = self.plan.by_replicate(cells)
        workers = getattr(self.backend, "workers", None) or cores()
        self._idle = workers if len(cells) < workers else 0
        self._graph = Graph(
            self.run,
            several=len(by_replicate) > 1,
            copies=self.copies,
            idle=self._idle,
            waits_only=self.backend.capabilities.waits_only,
        )
        self._left = len(cells)
        pending = iter(by_replicate.items())
        pool: Pool | None = None
        with ExitStack() as stack:
            stack.enter_context(_collecting_seldom())
            stack.enter_context(self.run.claim)
            stack.callback(self.run.references.write)
            self.run.claim_sources()
            try:
                while self._left:
                    while len(self._graph.ready) < self._enough(pool) and (
                        group := list(islice(pending, _PLANNED))
                    ):
                        for outcome in self._graph.plan(group, slots):
                            self._left -= 1
                            begin()
                            yield outcome
                    if not self._left:
                        break  # the rest was stored
                    assert self._graph.ready or self._flying, "units wait for each other"
                    try:
                        pool = self.backend.open(self.setup) if pool is None else pool
                        begin()
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

    # -- handing out ----------------------------------------------------------------------------------------------

    def _enough(self, pool: Pool | None) -> int:
        """Give how many units are worth having ready."""
        return 1 if pool is None else 2 * pool.workers * self._size(pool)

    def _size(self, pool: Pool) -> int:
        """Give how many units make a task: few while it is not known how long they take, and towards the end."""
        if not self._seconds:
            return 1
        worth = int(_WORTH * pool.handover / self._seconds)
        left = len(self._graph.ready) if self._idle else self._left
        fair = left // (3 * pool.workers)
        return max(1, min(worth, _GROWTH * self._largest, fair))

    def _submit(self, pool: Pool) -> None:
        """Hand out what is ready, as far as there are workers for it."""
        while self._graph.ready and len(self._flying) < pool.workers + pool.ahead:
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
        nodes: dict[Node, None] = {}
        skipped: list[Node] = []
        followers: deque[Node] = deque()
        while len(nodes) < size and (followers or self._graph.ready):
            following = bool(followers)
            node = followers.popleft() if following else self._graph.ready.popleft()
            if node in nodes or (node.alone and nodes) or not self._fits(node, nodes):
                if not following:
                    skipped.append(node)
                continue
            nodes[node] = None
            node.waits = 0
            if node.alone:
                break
            last = self._chain(node, nodes) if self._idle else node
            followers.extend(one for one in last.after if one.waits and _is_ready(one, nodes))
        self._graph.ready.extendleft(reversed(skipped))
        return list(nodes)

    def _chain(self, node: Node, nodes: dict[Node, None]) -> Node:
        """Take what follows from one unit alone, and from nothing else: data stay where they are; give the last."""
        while True:
            data = [one for one in node.after if one.unit.shared is not None]
            following = data or node.after
            if len(following) != 1:
                return node
            (one,) = following
            if not one.waits or one.alone or not self._fits(one, nodes) or not _is_ready(one, nodes):
                return node
            nodes[one] = None
            one.waits = 0
            node = one

    def _fits(self, node: Node, nodes: Iterable[Node]) -> bool:
        """Tell whether there is enough of what a unit needs, beside what is being done."""
        if self.backend.capabilities.counts:
            # A task goes to a worker that has all it needs.
            return all(node.needs == one.needs for one in nodes)
        if not node.needs:
            return True
        needs = most([node.needs, *(one.needs for one in nodes)])
        return all(self._used[name] + amount <= self.capacity[name] for name, amount in needs.items())

    def _known(self, nodes: Sequence[Node]) -> Iterator[Known]:
        """Tell what became of the data before some units, where they are not done in the same task."""
        inside = set(nodes)
        for one in {one: None for node in nodes for one in node.before if one not in inside}:
            assert one.unit.shared is not None
            assert one.outcome is not None
            yield Known(one.unit.shared, one.unit.replicate, one.outcome)
        for node in nodes:
            for reference, failure in (node.lost or {}).items():
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
        if done.cells or self._idle:  # what cells share may take much longer than they, or less
            seconds = done.seconds / len(nodes)
            self._seconds = 0.5 * (self._seconds + seconds) if self._seconds else seconds
            self._largest = max(self._largest, len(nodes))
        for asset, key in done.sources.items():
            self.run.references.note(asset, "", key)
        for asset, held in done.referred.items():
            self.run.store.refer(asset, held)
        if self.copies is not None:
            self.copies.back(done.others)
        by_unit = {node.unit: node for node in nodes}
        for shared in done.shared:
            node = by_unit[shared.unit]
            node.computed = shared.computed
            self._graph.release(node, shared.outcome)
        for cell in done.cells:
            node = by_unit[Unit(cell.replicate, cell.treatment, None)]
            assert node.replicate is not None
            computed = cell.computed
            steps = self.plan.by_treatment[cell.treatment]
            for before in node.before:
                if before.computed:
                    computed |= {slot for slot in cell.records if steps[slot] is before.needed[0]}
                    before.computed = False  # it is told once, with the first cell that uses it
            seed, keys = node.replicate.seed, node.replicate.keys
            outcome = CellOutcome(
                *(cell.treatment, cell.replicate, seed, cell.records, computed, cell.failure, steps, keys),
                cell.failures,
            )
            if self.copies is not None:
                self.copies.back(outcome.records.values())
            self.run.note(outcome)
            self._left -= 1
            yield outcome

    # -- losing ---------------------------------------------------------------------------------------------------

    def _lose(self, nodes: Sequence[Node], error: WorkerLostError) -> None:
        """Have units done again whose worker was lost: who was at fault goes alone, and has few lives."""
        by_unit = {node.unit: node for node in nodes}
        culprit = nodes[0] if len(nodes) == 1 else None
        reference: Reference | None = None
        if error.culprit is not None:
            culprit, reference = by_unit[error.culprit.unit], error.culprit.reference
        for node in nodes:
            node.losses += 1
        if error.idle and max(node.losses for node in nodes) < _LOSSES:
            logger.warning("%s; another takes its place", error)
        elif culprit is None:
            for node in nodes:
                node.alone = True
        elif isinstance(error, StepTimeoutError):
            self._time_out(culprit, error)
        else:
            culprit.alone = True
            culprit.deaths += 1
            logger.warning("%s; what it was doing is done again", error)
            if culprit.deaths >= _LIVES:
                at_fault = (
                    [reference] if reference is not None else [*map(self._graph.reference, culprit.needed)]
                )
                self._fail(culprit, at_fault, "WorkerLostError", str(error))
        for node in reversed(nodes):
            node.again = True
            if node.outcome is None:
                self._graph.queue(node, first=True)

    def _time_out(self, node: Node, error: StepTimeoutError) -> None:
        """Have a step that took too long called again, if it may be, or let it have failed."""
        assert error.culprit is not None
        reference = error.culprit.reference
        assert isinstance(reference, int)
        step = self.plan.steps[reference].node.step
        node.timeouts = node.timeouts or Counter()
        node.timeouts[reference] += 1
        worthwhile = issubclass(TimeoutError, step.retries.on)
        if not worthwhile or node.timeouts[reference] > step.retries.times:
            self._fail(node, [reference], "TimeoutError", timeout_message(step.name, step.timeout))

    def _fail(self, node: Node, references: Iterable[Reference], kind: str, message: str) -> None:
        """Let steps of a unit have failed that nobody lived to tell of."""
        node.lost = lost = node.lost or {}
        for reference in references:
            name = reference if isinstance(reference, str) else self.plan.steps[reference].name
            seed = node.replicate.seed if node.replicate is not None else 0
            treatment, replicate = node.unit.treatment, node.unit.replicate
            lost[reference] = Failure(name, treatment, replicate, seed, kind, message, message)
        if node.unit.shared is not None:
            self._graph.release(node, next(iter(lost.values())))

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
            self._graph.queue(node, first=True)


def _is_ready(node: Node, among: Mapping[Node, None]) -> bool:
    """Tell whether all before a unit is done, or will be in the same task."""
    return all(one.outcome is not None or one in among for one in reversed(node.before))
