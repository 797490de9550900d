"""Workflows: steps that are run once, together, and what came of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from workflow_assets.alterations import Alterable
from workflow_assets.automations import WorkflowSchedule
from workflow_assets.callables import WorkflowFunction
from workflow_assets.compositions import Composition
from workflow_assets.datums import Datum
from workflow_assets.declarations import Declaration
from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.executions import Execution
from workflow_assets.hooks import Hooks, read_hooks
from workflow_assets.outcomes import CellOutcome
from workflow_assets.plans import Plan
from workflow_assets.registries import Registry
from workflow_assets.samples import OnSample, Rows, SampleRun, label_of, sampled
from workflow_assets.standings import (
    Standings,
    Watch,
    planned_keys,
    stored_steps,
)
from workflow_assets.store.base import MemoryStore, Store
from workflow_assets.tellings import hint_text
from workflow_assets.treatments import BASELINE
from workflow_assets.workflow_results import WorkflowResult

EVERYTHING = "everything"
"""What the run over all rows is called beside samples."""


def _read_store(name: str, store: Any) -> Store:
    if store is None:
        return MemoryStore()
    if not isinstance(store, Store):
        told = f"store is {excerpt(store)}: expected a store, such as FileStore('folder')"
        raise DeclarationError(f"workflow {name!r}", [f"{told}; inputs are given by name"])
    return store


class SingleRun(Declaration):
    """What is run of a workflow: an experiment of one cell, whose steps have one datum each."""

    def partition(self, treatment: str, replicate: str) -> str:  # noqa: ARG002 - of the base
        """Name no partition: the assets have none."""
        return ""

    @classmethod
    def of(cls, workflow: Composition) -> SingleRun:
        """Declare it; inputs may be left to each run."""
        return cls(workflow.name, workflow, description=workflow.description)


class Workflow(Alterable):
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

    def sample(
        self, rows: Rows, store: Store, inputs: Mapping[str, Any] | None = None
    ) -> tuple[SampleRun, dict[str, int]]:
        """Give what is run over the first rows of inputs and sources, and how many of which; see `run`."""
        cut, limits = sampled(self.bound(inputs or {}), rows, store)
        replicates = OnSample(1, label=label_of(rows))
        return SampleRun(cut.name, cut, replicates=replicates, description=cut.description), limits

    def run(
        self,
        store: Store | None = None,
        *,
        steps: Iterable[str] | None = None,
        backend: Any = None,
        workers: int | None = None,
        capacity: Mapping[str, float | str] | None = None,
        resources: Mapping[str, Any] | None = None,
        force: Iterable[str] = (),
        hooks: Hooks | Iterable[Hooks] | None = None,
        rows: Rows | None = None,
        watch: Watch | None = None,
        **inputs: Any,
    ) -> WorkflowResult:
        """Find or compute what the steps give; what fails costs only what follows from it.

        Args:
            store: where data are kept; a fresh store in memory by default.
            steps: only these, and what they need; all by default.
            backend: who executes them; see `Experiment.run`.
            workers: how many at a time.
            capacity: how much this machine has of what steps need in their ``resources=``, such as ``{"gpu": 1}``.
            resources: what steps find in ``ctx.resources``.
            force: steps to compute again although they are stored, with what follows from them.
            hooks: functions that are told when the run and its steps begin and end.
            rows: run over a sample: the first so many rows of each input and source that is a list, a frame or an
                array; or of some of them, ``{"orders": 100}``. The store keeps it beside the run over everything, see
                `results`.
            watch: a function that is told the document of the result whenever a step's state changes. Where worker
                processes execute the steps, it is told of the beginning and the end only.
            inputs: values of the workflow's inputs.

        Raises `DeclarationError` for an input without a value, or of a wrong type.
        """
        store = _read_store(self.name, store)
        again = tuple(force)
        limits: dict[str, int] = {}
        bound = self.bound(inputs)
        if rows is None:
            declaration = bound.declaration()
        else:
            declaration, limits = self.sample(rows, store, inputs)
        plan = Plan(declaration, store)
        execution = Execution(backend, workers, capacity, resources=resources, hooks=read_hooks(hooks))
        chosen, _ = execution.check(declaration)
        standings = None
        if watch is not None:
            keys = planned_keys(plan)
            stored = set(store.find_all(keys.values()))
            there = stored_steps(self.wired, keys, stored, again)
            standings = Standings(self.name, self.wired, keys, there, watch, limits)
            shared = chosen is None or chosen.capabilities.shares_memory
            execution = replace(execution, hooks=(*execution.hooks, standings.hooks(steps=shared)))
        (outcome,) = execution.cells(plan, store, plan.cells(), steps, force=again)
        wanted = frozenset(plan.declaration.slots if steps is None else steps)
        result = WorkflowResult(bound, outcome, store, wanted, rows=rows, sampled=limits)
        if standings is not None:
            standings.tell(result.document())
        return result

    def function(self, *steps: str, resources: Mapping[str, Any] | None = None) -> WorkflowFunction:
        """Give the workflow as a plain function of its inputs, which stores nothing and costs next to nothing.

        Sources are loaded now. It gives the value of a step, or the values of several by name; all by default. What it
        gives is what `run` gives.

        >>> from workflow_assets import step
        >>> @step
        ... def doubled(number: int) -> int:
        ...     return 2 * number
        >>> double = Workflow("double", [doubled], inputs={"number": int}).function("doubled")
        >>> double(number=21)
        42
        """
        some = {name: one.holding(None) if one.is_empty else one for name, one in self.inputs.items()}
        plan = Plan(SingleRun.of(self.holding(some)), MemoryStore())
        return WorkflowFunction(self, plan, steps, resources)

    def results(self, store: Store) -> dict[str, WorkflowResult]:
        """Give what a store keeps of the workflow: the last run over "everything", and over each sample, "rows=100".

        Steps that have nothing there are "pending", as are those that failed.
        """
        kept: dict[str, dict[str, str]] = {}
        for slot in self:
            for partition, key in store.references((self.name, slot)).items():
                label = partition.partition("|")[0]
                if key:
                    kept.setdefault(label if "=" in label else EVERYTHING, {})[slot] = key
        found = store.find_all(key for keys in kept.values() for key in keys.values())
        made = {}
        for label in sorted(kept, key=lambda label: (label != EVERYTHING, label)):
            records = {slot: found[key] for slot, key in kept[label].items() if key in found}
            outcome = CellOutcome(BASELINE, label, 0, records, frozenset(), None, {}, {})
            limits = {} if label == EVERYTHING else _limits_in(label)
            rows = limits.get("rows", limits or None)
            made[label] = WorkflowResult(self, outcome, store, frozenset(), rows=rows, sampled=limits)
        return made

    def schedule(
        self,
        cron: str,
        *,
        timezone: str = "UTC",
        name: str = "",
        running: bool = True,
        parameters: Mapping[str, Any] | None = None,
        rows: Rows | None = None,
        force: Iterable[str] = (),
        **inputs: Any,
    ) -> WorkflowSchedule:
        """Let Dagster run the workflow at given times; hand what this gives to `to_dagster(automations=[...])`.

        Args:
            cron: minute, hour, day of the month, month and day of the week: ``"0 3 * * *"`` is 3 o'clock each night.
            timezone: what the hours are of.
            name: what it is called in Dagster; to be given where a workflow has several schedules.
            running: False to leave it off until somebody turns it on in the UI.
            parameters: values by ``step.parameter``, for these runs.
            rows: run over a sample, as for `run`.
            force: steps to compute again although they are stored, such as those that ask a service.
            inputs: values of the workflow's inputs, for these runs.

        Raises `DeclarationError` for times that are none; what the runs are given is checked by `to_dagster`.
        """
        return WorkflowSchedule(
            self.name, cron, timezone, name, running, dict(parameters or {}), inputs, rows, tuple(force)
        )

    def datum(self, step: str) -> Datum:
        """Give what stands for a step's result, or for an input: to look at, and to hand to steps.

        Raises `UnknownNameError` for a name that the workflow does not have.
        """
        pending = self[step]
        given = self.inputs.get(step)
        gives = self.wired.nodes[step].step.gives if given is None else given.returns
        return Datum.awaited(pending, hint_text(gives))


def _limits_in(label: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (part.partition("=") for part in label.split(" "))}
