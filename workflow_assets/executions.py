"""Executions: the cells of a plan, found or computed by whoever was chosen for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from typing import Any

from workflow_assets.backends.base import Backend
from workflow_assets.backends.choices import check_needs, choose
from workflow_assets.confirmations import note_failures, note_run
from workflow_assets.declarations import Declaration
from workflow_assets.dispatches import Dispatch
from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.hooks import Hooks, Listeners
from workflow_assets.item_stores import is_of_items
from workflow_assets.ledgers import lenient
from workflow_assets.mirrors import Copies
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.plans import Plan
from workflow_assets.progress import Tally
from workflow_assets.runs import Run
from workflow_assets.store.base import MemoryStore, Store
from workflow_assets.tasks import Setup
from workflow_assets.traits import is_count

logger = logging.getLogger("workflow_assets")


@dataclass(frozen=True)
class Execution:
    """How cells are executed: by whom, and when to give up.

    Args:
        backend: a name, a backend or an executor; see `choose`.
        workers: how many cells at a time, for a backend that is named.
        capacity: how much there is of what steps need.
        max_failures: after so many failed cells, no more are begun.
        resources: what steps find in ``ctx.resources``.
        hooks: what is told of the run, its cells and steps.
    """

    backend: Any = None
    workers: int | None = None
    capacity: Mapping[str, Any] | None = None
    max_failures: int | None = None
    resources: Mapping[str, Any] | None = None
    hooks: tuple[Hooks, ...] = ()

    def check(self, declaration: Declaration) -> tuple[Backend | None, Mapping[str, float]]:
        """Give the backend, and how much there is of what steps need.

        Raises `DeclarationError` for what an experiment's steps need and the backend cannot do, and `UnknownNameError`
        for a backend that there is not.
        """
        most = self.max_failures
        if most is not None and not is_count(most):
            raise DeclarationError(
                "run", [f"max_failures = {excerpt(most)}: expected a whole number of 1 or more"]
            )
        backend = choose(self.backend, self.workers, declaration.steps)
        return backend, check_needs(declaration.steps, self.capacity, backend)

    def cells(
        self,
        plan: Plan,
        store: Store,
        cells: Sequence[tuple[str, str]],
        slots: Iterable[str] | None = None,
        *,
        force: Iterable[str] = (),
        run_id: str = "",
        compute: bool = True,
    ) -> Iterator[CellOutcome]:
        """Find or compute cells, and yield the outcome of each as it is known, in any order.

        With `slots`, only those are wanted; what they need and is not stored is computed too. Without `compute`, a cell
        that is not stored is a failure that says so.
        """
        backend, capacity = self.check(plan.declaration)
        cells = list(dict.fromkeys(cells))

        @cache
        def begin() -> None:
            if compute:
                with lenient(f"the run of {plan.declaration.name}"):
                    note_run(plan, store, cells, run_id)

        forced = tuple(force)
        listeners = Listeners(self.hooks, plan.declaration.name, run_id or plan.nonce)
        run = Run(
            plan,
            store,
            force=forced,
            resources=self.resources,
            run_id=run_id,
            listeners=listeners,
            compute=compute,
        )
        if backend is None or not compute:
            begin()
            outcomes = run.cells(cells, slots)
        else:
            outcomes = self._dispatched(run, backend, capacity, forced, cells, slots, begin)
        with closing(outcomes):  # type: ignore[type-var] # a generator
            known = outcomes if self.max_failures is None else self._stopping(plan, outcomes, cells)
            told = _told(known, listeners, len(cells)) if listeners.functions else known
            yield from _noted(told, plan, store) if compute else told

    def _dispatched(
        self,
        run: Run,
        backend: Backend,
        capacity: Mapping[str, float],
        force: tuple[str, ...],
        cells: Sequence[tuple[str, str]],
        slots: Iterable[str] | None,
        begin: Callable[[], None],
    ) -> Iterator[CellOutcome]:
        wanted = None if slots is None else frozenset(slots)
        if limits := backend.limits():
            logger.info("backend %s: %s", backend.name, limits)
        with ExitStack() as stack:
            copies = None
            if isinstance(run.store, MemoryStore) and not backend.capabilities.shares_memory:
                name = run.plan.declaration.name
                items = [asset for asset in run.store.assets() if is_of_items(asset, name)]
                copies = stack.enter_context(Copies(run.store, items))
            setup = Setup(
                run.plan,
                run.store if copies is None else copies.outbox,
                run.run_id,
                force,
                wanted,
                dict(self.resources or {}),
                run.listeners,
                () if copies is None else (copies.folder,),
            )
            yield from Dispatch(run, backend, setup, capacity, copies).cells(cells, wanted, begin)

    def _stopping(
        self, plan: Plan, outcomes: Iterator[CellOutcome], cells: Iterable[tuple[str, str]]
    ) -> Iterator[CellOutcome]:
        """Begin no more cells after too many have failed; those that were not begun have failed, too."""
        left = dict.fromkeys(cells)
        failed = 0
        for outcome in outcomes:
            del left[outcome.treatment, outcome.replicate]
            failed += outcome.failure is not None
            yield outcome
            if failed == self.max_failures:
                break
        message = f"it was not run, since {failed} cells had failed (max_failures={self.max_failures})"
        for treatment, key in left:
            replicate = plan.replicates[key]
            seed = plan.seed(replicate)
            steps = plan.by_treatment[treatment]
            slot = next(iter(steps))
            failure = Failure(slot, treatment, key, seed, "NotRunError", message, message)
            yield CellOutcome(
                treatment, key, seed, {}, frozenset(), failure, steps, plan.keys(replicate, seed)
            )


def _noted(outcomes: Iterator[CellOutcome], plan: Plan, store: Store) -> Iterator[CellOutcome]:
    """Note in the ledger which cells failed, when all are known."""
    failed = []
    for outcome in outcomes:
        if outcome.failure is not None:
            failed.append((outcome.treatment, outcome.replicate))
        yield outcome
    if failed:
        with lenient(f"the failures of {plan.declaration.name}"):
            note_failures(plan, store, failed)


def _told(outcomes: Iterator[CellOutcome], listeners: Listeners, cells: int) -> Iterator[CellOutcome]:
    """Tell the hooks of the run, and of each cell that is done."""
    listeners.run("before_run", cells)
    tally = Tally(cells)
    error: BaseException | None = None
    try:
        for outcome in outcomes:
            tally.add(outcome)
            listeners.after_cell(outcome)
            yield outcome
    except BaseException as raised:
        error = raised
        raise
    finally:
        counts = {"done": tally.done, "stored": tally.stored, "failed": tally.failed}
        listeners.run("after_run", cells, **counts, seconds=tally.seconds, error=error)
