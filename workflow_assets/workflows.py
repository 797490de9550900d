"""Workflows: steps that are run once, together, and what came of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from workflow_assets.alterations import Alterable
from workflow_assets.callables import WorkflowFunction
from workflow_assets.cards import grid_card, story_card
from workflow_assets.compositions import Composition
from workflow_assets.datums import Datum
from workflow_assets.declarations import Declaration
from workflow_assets.errors import (
    DeclarationError,
    UnknownNameError,
    WorkflowFailedError,
    did_you_mean,
    excerpt,
)
from workflow_assets.executions import Execution
from workflow_assets.hooks import Hooks, read_hooks
from workflow_assets.item_stores import items_key, partial_key
from workflow_assets.layouts import for_terminal, terminal_width
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.plans import Plan
from workflow_assets.previews import items_of
from workflow_assets.registries import Registry
from workflow_assets.samples import OnSample, Rows, SampleRun, label_of, sampled
from workflow_assets.scenes import COMPLETED, FAILED, PENDING, SKIPPED, Column, Story
from workflow_assets.standings import Standings, Watch, document, error_entry, planned_keys, step_entry
from workflow_assets.store.base import MemoryStore, Record, Store
from workflow_assets.tellings import hint_text, story_of
from workflow_assets.treatments import BASELINE
from workflow_assets.views import flow, grid, line, process

_LARGE = 64_000_000
"""Bytes of a datum whose items are not shown one by one."""

_SHOWN = 10
"""Items that are shown of a collection of which some failed."""

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
            there = [slot for slot, key in keys.items() if key in stored and slot not in force]
            standings = Standings(self.name, self.wired, keys, there, watch)
            shared = chosen is None or chosen.capabilities.shares_memory
            execution = replace(execution, hooks=(*execution.hooks, standings.hooks(steps=shared)))
        (outcome,) = execution.cells(plan, store, plan.cells(), steps, force=tuple(force))
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

    def datum(self, step: str) -> Datum:
        """Give what stands for a step's result, or for an input: to look at, and to hand to steps.

        Raises `UnknownNameError` for a name that the workflow does not have.
        """
        pending = self[step]
        declared = self.inputs[step] if step in self.inputs else self.wired.nodes[step].step
        return Datum.awaited(pending, hint_text(declared.returns))


class WorkflowResult:
    """What came of each step of a workflow: its state, and its value, read when asked for."""

    def __init__(
        self,
        workflow: Composition,
        outcome: CellOutcome,
        store: Store,
        wanted: frozenset[str],
        *,
        rows: Rows | None = None,
        sampled: Mapping[str, int] | None = None,
    ) -> None:
        self.workflow = workflow
        self.store = store
        self.rows = rows
        """How many rows were asked for, if this is a sample; None for everything."""
        self.sampled = dict(sampled or {})
        """How many rows at most each input and source was cut to."""
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
            COMPLETED if self.workflow.wired.nodes[slot].step.transient and slot in self._wanted else PENDING
        )

    @property
    def status(self) -> str:
        """The state of the whole: "failed" if a step failed."""
        return FAILED if self._outcome.failures else COMPLETED

    @property
    def failures(self) -> dict[str, Failure]:
        """The failures of the steps that failed themselves."""
        found = self._outcome.failures
        return {one.step: found.get(one.step, one) for one in found.values()}

    def items(self, step: str) -> list[dict[str, Any]]:
        """Tell of each item of a step that is called on each: key, status, error and seconds (0 if it was stored).

        Raises `UnknownNameError` for a step that is called on the whole, or was not called yet.
        """
        if step not in self.states:
            raise UnknownNameError(f"no step is called {step!r}: {did_you_mean(step, self.states)}")
        record = self.store.find(items_key(self._outcome.key(step)))
        if record is None:
            raise UnknownNameError(
                f"nothing is known of items of {step!r}: is it called on each, and has it run?"
            )
        table = self.store.load(record)
        return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]

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
            own = self.states[step] == FAILED and failure.step == step
            why = f"{failure}" if own else f"step {step!r} was {self.states[step]}, since {failure}"
            raise WorkflowFailedError(f"{why}\n{failure.traceback}")
        raise UnknownNameError(f"step {step!r} keeps nothing: it is transient, or was not asked for")

    def __getitem__(self, step: str) -> Any:
        """Give a step's value, a fresh object each time; raise as `record` does."""
        return self.store.load(self.record(step))

    def __iter__(self) -> Iterator[str]:
        return iter(self.states)

    # -- looking ------------------------------------------------------------------------------------------------------

    def datum(self, step: str) -> Datum:
        """Give a step's result, or an input, to look at; nothing is loaded, and what is missing says why.

        Raises `UnknownNameError` for a name that the workflow does not have.
        """
        if (given := self.workflow.inputs.get(step)) is not None:
            held = given.value
            return (
                held
                if isinstance(held, Datum)
                else Datum.value(held, alias=step, type=hint_text(given.returns))
            )
        if step not in self.states:
            raise UnknownNameError(f"no step is called {step!r}: {did_you_mean(step, self.states)}")
        kind = hint_text(self.workflow.wired.nodes[step].step.returns)
        key = self._outcome.key(step)
        if step in self._outcome.records:
            return Datum.of(self.store, self._outcome.records[step].key, alias=step, type=kind)
        state = self.states[step]
        failure = self._outcome.failures.get(step)
        why = f"{state}: {failure}" if failure else f"{state}, and not kept"
        return Datum.pending(step, type=kind, why=why, key=key)

    def document(self) -> dict[str, Any]:
        """Give what came of each step as plain JSON: its state, the key of its datum, metrics, seconds, error."""
        steps = []
        for slot, state in self.states.items():
            record = self._outcome.records.get(slot)
            failure = self.failures.get(slot)
            metrics = {} if record is None else record.metrics
            steps.append(
                step_entry(
                    slot,
                    state,
                    self._outcome.key(slot),
                    {f"{slot}.{name}" if name else slot: value for name, value in metrics.items()},
                    None if record is None else record.seconds,
                    None if failure is None else error_entry(failure),
                )
            )
        return document(self.workflow.name, self.status, steps)

    @cached_property
    def story(self) -> Story:
        """What views show of it, as plain values."""
        more: dict[str, dict[str, Any]] = {}
        for slot in self.states:
            record = self._outcome.records.get(slot)
            failure = self.failures.get(slot)
            more[slot] = {
                "shown": self.datum(slot).preview if record is not None else "",
                "seconds": None if record is None else record.seconds,
                "stored": record is not None and slot not in self.computed,
                "error": None if failure is None else (failure.kind, failure.message),
            }
        return story_of(self.workflow, self.states, self.status, more)

    def columns(self) -> list[Column]:
        """Give what the inputs and the steps gave, item by item: the first of each."""
        made = []
        for name, one in self.workflow.inputs.items():
            if not one.is_empty:
                made.append(Column(name, *items_of(one())))
        for node in self.workflow.wired:
            follows = tuple(dict.fromkeys(node.inputs.values()))
            record = self._outcome.records.get(node.slot)
            if record is None and (items := self._items_shown(node.slot)) is not None:
                made.append(Column(node.slot, *items, follows))
            elif record is None:
                made.append(Column(node.slot, (self.states[node.slot],), None, follows))
            elif record.size > _LARGE:
                made.append(Column(node.slot, (self.datum(node.slot).preview,), None, follows))
            else:
                made.append(Column(node.slot, *items_of(self.store.load(record)), follows))
        return made

    def _items_shown(self, slot: str) -> tuple[tuple[str, ...], int] | None:
        """Tell what the first items came to of which some failed; None where that is not known."""
        record = self.store.find(partial_key(self._outcome.key(slot)))
        if record is None:
            return None
        _, _, values = self.store.load(record)
        rows = self.items(slot)
        shown = [
            items_of([value])[0][0] if row["status"] == COMPLETED else f"{row['status']}: {row['error']}"
            for row, value in zip(rows[:_SHOWN], values, strict=False)
        ]
        return tuple(shown), len(rows)

    def grid(self) -> Grid:
        """Tell item by item what the steps gave: a row for each item, a column for each step."""
        return Grid(self.columns())

    def line(self) -> str:
        """Tell it as a line: each step with its state."""
        return _text(line(self.story, terminal_width()))

    def flow(self) -> str:
        """Draw which step handed its data to which, each with its state."""
        return _text(flow(self.story, terminal_width()))

    def __str__(self) -> str:
        return _text(process(self.story, terminal_width()))

    def _repr_html_(self) -> str:
        return story_card(self.story)

    def __repr__(self) -> str:
        told = ", ".join(f"{step}: {state}" for step, state in self.states.items())
        sample = "" if self.rows is None else f", {label_of(self.rows)}"
        return f"WorkflowResult({self.workflow.name}{sample}: {told})"


def _limits_in(label: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (part.partition("=") for part in label.split(" "))}


class Grid:
    """What the steps of a workflow gave, item by item: printed as text, and shown as HTML in notebooks."""

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns

    def __str__(self) -> str:
        return _text(grid(self.columns, terminal_width()))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return grid_card(self.columns)


def _text(lines: list[str]) -> str:
    return for_terminal("\n".join(lines))
