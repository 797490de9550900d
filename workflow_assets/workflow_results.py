"""Workflow results: what came of each step of a workflow that has run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from workflow_assets.cards import grid_card, story_card
from workflow_assets.compositions import Composition
from workflow_assets.datums import Datum
from workflow_assets.errors import ItemsFailedError, UnknownNameError, WorkflowFailedError, did_you_mean
from workflow_assets.item_stores import items_key, partial_key
from workflow_assets.layouts import for_terminal, terminal_width
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.previews import items_of
from workflow_assets.samples import Rows, label_of
from workflow_assets.scenes import COMPLETED, FAILED, PENDING, SKIPPED, Column, Story
from workflow_assets.standings import (
    document,
    error_entry,
    skipped_entry,
    step_entry,
)
from workflow_assets.store.base import Record, Store
from workflow_assets.tellings import hint_text, story_of
from workflow_assets.views import flow, grid, line, process

_LARGE = 64_000_000
"""Bytes of a datum whose items are not shown one by one."""

_ITEMS_FAILED = ItemsFailedError.__name__
_SHOWN = 10
"""Items that are shown of a collection of which some failed."""


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

    def item_counts(self, step: str) -> dict[str, int] | None:
        """Count the items of a step on each by what they came to; those "stored" were completed before this run.

        None for a step that is called on the whole, or was not called on its items.
        """
        failure = self.failures.get(step)
        called = self.states[step] == COMPLETED or (failure is not None and failure.kind == _ITEMS_FAILED)
        if not called or not self.workflow.wired.nodes[step].step.over:
            return None
        table = self.items(step)
        counts = Counter(item["status"] for item in table)
        fresh = step in self.computed or step not in self._outcome.records
        stored = [item for item in table if item["status"] == COMPLETED and not (fresh and item["seconds"])]
        return {**{state: counts[state] for state in (COMPLETED, FAILED, SKIPPED)}, "stored": len(stored)}

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
        kind = hint_text(self.workflow.wired.nodes[step].step.gives)
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
            metrics = {} if record is None else record.metrics
            steps.append(
                step_entry(
                    slot,
                    state,
                    self._outcome.key(slot),
                    {f"{slot}.{name}" if name else slot: value for name, value in metrics.items()},
                    None if record is None else record.seconds,
                    self._error(slot, state),
                    self.item_counts(slot),
                )
            )
        return document(self.workflow.name, self.status, steps, self.sampled)

    def _error(self, slot: str, state: str) -> dict[str, str] | None:
        if state == SKIPPED:
            return skipped_entry(self.cause(slot))
        return error_entry(self.failures[slot]) if state == FAILED else None

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
