"""Workflows: steps that are run once, together, and what came of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from workflow_assets.compositions import Composition
from workflow_assets.declarations import Declaration
from workflow_assets.errors import UnknownNameError, WorkflowFailedError, did_you_mean
from workflow_assets.executions import Execution
from workflow_assets.hooks import Hooks, read_hooks
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.plans import Plan
from workflow_assets.steps import Registry
from workflow_assets.store.base import MemoryStore, Record, Store

COMPLETED, FAILED, SKIPPED = "completed", "failed", "skipped"


class SingleRun(Declaration):
    """What is run of a workflow: an experiment of one cell, whose steps have one datum each."""

    def partition(self, treatment: str, replicate: str) -> str:  # noqa: ARG002 - of the base
        """Name no partition: the assets have none."""
        return ""

    @classmethod
    def of(cls, workflow: Composition) -> SingleRun:
        """Declare it; inputs may be left to each run."""
        return cls(workflow.name, workflow, description=workflow.description)


class Workflow(Composition):
    """Steps that are wired to each other, and run once: by names, by call, or from a document.

    >>> from workflow_assets import Workflow, step
    >>> @step
    ... def evens(numbers: list[int]) -> list[int]:
    ...     return [one for one in numbers if one % 2 == 0]
    >>> @step
    ... def total(evens: list[int]) -> int:
    ...     return sum(evens)
    >>> by_name = Workflow("even_sum", [evens, total], inputs={"numbers": [1, 2, 3, 4]})
    >>> with Workflow("even_sum") as by_call:
    ...     numbers = by_call.input("numbers", [1, 2, 3, 4])
    ...     result = total(evens(numbers))
    >>> by_name == by_call, by_call.run()["total"]
    (True, 6)
    """

    def document(self) -> dict[str, Any]:
        """Give the workflow as a document, which holds nothing but what JSON has; see `docs/documents.md`.

        Raises `DocumentError` with the place of each value that no document can hold.
        """
        from workflow_assets.writings import write_workflow

        return write_workflow(self)

    @classmethod
    def from_document(
        cls, told: Mapping[str, Any] | str | Path, registry: Registry, *, pinned: bool = False
    ) -> Self:
        """Read a workflow from a mapping, a text (JSON or YAML), or a file.

        With `pinned`, a document is refused that was written with other code of its steps. Raises `DocumentError` with
        every fault, each at its place.
        """
        from workflow_assets.readers import tree_of
        from workflow_assets.readings import read_workflow

        return read_workflow(tree_of(told), registry, cls, pinned=pinned)

    def declaration(self, inputs: Mapping[str, Any] | None = None) -> Declaration:
        """Give what is run: an experiment of one cell, which plans, keys, stores and backends know."""
        return SingleRun.of(self.bound(inputs or {}))

    def run(
        self,
        store: Store | None = None,
        *,
        steps: Iterable[str] | None = None,
        backend: Any = None,
        workers: int | None = None,
        resources: Mapping[str, Any] | None = None,
        force: Iterable[str] = (),
        hooks: Hooks | Iterable[Hooks] | None = None,
        **inputs: Any,
    ) -> WorkflowResult:
        """Find or compute what the steps give; what fails costs only what follows from it.

        Args:
            store: where data are kept; a fresh store in memory by default.
            steps: only these, and what they need; all by default.
            backend: who executes them; see `Experiment.run`.
            workers: how many at a time.
            resources: what steps find in ``ctx.resources``.
            force: steps to compute again although they are stored, with what follows from them.
            hooks: functions that are told when the run and its steps begin and end.
            inputs: values of the workflow's inputs.

        Raises `DeclarationError` for an input without a value, or of a wrong type.
        """
        store = MemoryStore() if store is None else store
        declaration = self.declaration(inputs)
        plan = Plan(declaration, store)
        execution = Execution(backend, workers, resources=resources, hooks=read_hooks(hooks))
        execution.check(declaration)
        (outcome,) = execution.cells(plan, store, plan.cells(), steps, force=tuple(force))
        return WorkflowResult(
            self, outcome, store, frozenset(plan.declaration.slots if steps is None else steps)
        )


class WorkflowResult:
    """What came of each step of a workflow: its state, and its value, read when asked for."""

    def __init__(
        self, workflow: Composition, outcome: CellOutcome, store: Store, wanted: frozenset[str]
    ) -> None:
        self.workflow = workflow
        self.store = store
        self._outcome = outcome
        self._wanted = wanted

    @cached_property
    def states(self) -> dict[str, str]:
        """The state of each step, in their order: "completed", "failed", "skipped" or "pending"."""
        return {slot: self._state(slot) for slot in self.workflow}

    def _state(self, slot: str) -> str:
        if slot in self._outcome.records:
            return COMPLETED
        failure = self._outcome.failures.get(slot)
        if failure is not None:
            return FAILED if failure.step == slot else SKIPPED
        # What is not stored has a state by what follows from it.
        if any(one.step == slot for one in self._outcome.failures.values()):
            return FAILED
        return (
            COMPLETED
            if self.workflow.wired.nodes[slot].step.transient and slot in self._wanted
            else "pending"
        )

    @property
    def status(self) -> str:
        """The state of the whole: "failed" if a step failed."""
        return FAILED if self._outcome.failures else COMPLETED

    @property
    def failures(self) -> dict[str, Failure]:
        """The failures of the steps that failed themselves."""
        return {one.step: one for one in self._outcome.failures.values()}

    def cause(self, step: str) -> str:
        """Give the step whose failure cost this one its value; "" where it has one."""
        failure = self._outcome.failures.get(step)
        return "" if failure is None else failure.step

    @property
    def computed(self) -> frozenset[str]:
        """The steps that were computed now; the others were stored."""
        return self._outcome.computed

    def record(self, step: str) -> Record:
        """Give the record of a step's datum.

        Raises `WorkflowFailedError` if it has none, with the failure, and `UnknownNameError` for another name.
        """
        if step in self._outcome.records:
            return self._outcome.records[step]
        if step not in self.states:
            raise UnknownNameError(f"no step is called {step!r}: {did_you_mean(step, self.states)}")
        if failure := self._outcome.failures.get(step):
            raise WorkflowFailedError(
                f"step {step!r} was {self.states[step]}: {failure}\n{failure.traceback}"
            )
        raise UnknownNameError(f"step {step!r} keeps nothing: it is transient, or was not asked for")

    def __getitem__(self, step: str) -> Any:
        """Give a step's value, a fresh object each time; raise as `record` does."""
        return self.store.load(self.record(step))

    def __iter__(self) -> Iterator[str]:
        return iter(self.states)

    def __repr__(self) -> str:
        told = ", ".join(f"{step}: {state}" for step, state in self.states.items())
        return f"WorkflowResult({self.workflow.name}: {told})"
