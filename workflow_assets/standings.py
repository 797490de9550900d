"""Standings: where each step of a workflow stands, told as a JSON document, also while it runs."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from workflow_assets.errors import DeclarationError, excerpt, message_of
from workflow_assets.hooks import Hooks, StepEvent
from workflow_assets.outcomes import Failure
from workflow_assets.plans import Plan
from workflow_assets.scenes import COMPLETED, FAILED, PENDING, RUNNING, SKIPPED
from workflow_assets.store.trees import Writer
from workflow_assets.wirings import WiredSteps

logger = logging.getLogger("workflow_assets")

FORMAT = "1"
"""The version of the document of a result."""

Watch = Callable[[dict[str, Any]], object]


def step_entry(
    step: str,
    status: str,
    key: str | None,
    metrics: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    error: Mapping[str, str] | None = None,
    items: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Give what a document tells of a step; how many items came to what is told of a step on each."""
    return {
        "id": step,
        "status": status,
        "key": key,
        "metrics": Writer(_refused).write(dict(metrics or {})),
        "seconds": seconds,
        "error": None if error is None else dict(error),
        "items": None if items is None else dict(items),
    }


def _refused(value: Any, _: str) -> Any:
    return excerpt(value)


def error_entry(failure: Failure) -> dict[str, str]:
    """Give what a document tells of an exception."""
    return {"kind": failure.kind, "message": failure.message, "traceback": failure.traceback}


def skipped_entry(cause: str) -> dict[str, str]:
    """Give what a document tells of why a step was skipped: the one that failed."""
    return {"kind": "Skipped", "message": f"it follows from {cause!r}, which failed", "traceback": ""}


def error_of(error: BaseException) -> dict[str, str]:
    """Give what a document tells of an exception that has just been raised, whatever its own methods do."""
    message = message_of(error)
    lines = traceback.format_tb(error.__traceback__)
    kind = type(error).__qualname__
    return {"kind": kind, "message": message, "traceback": "".join([*lines, f"{kind}: {message}"])}


def document(
    workflow: str, status: str, steps: Iterable[Mapping[str, Any]], sampled: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Give the document of a run, finished or not; `sampled` says of how many rows of what, if it is of a sample."""
    told = {
        "format": FORMAT,
        "kind": "result",
        "workflow": workflow,
        "status": status,
        "steps": [dict(step) for step in steps],
    }
    return told | ({"sample": dict(sampled)} if sampled else {})


def planned_keys(plan: Plan) -> dict[str, str]:
    """Give the compute key of each step of a workflow."""
    ((treatment, replicate),) = plan.cells()
    chosen = plan.replicates[replicate]
    keys = plan.keys(chosen, plan.seed(chosen))
    return {slot: keys[step] for slot, step in plan.by_treatment[treatment].items()}


def stored_steps(
    wired: WiredSteps, keys: Mapping[str, str], stored: Container[str], force: Iterable[str]
) -> list[str]:
    """Give the steps whose data are there, and will not be computed again: not those that follow from a forced one."""
    again = set(force)
    for slot, node in wired.nodes.items():
        if not again.isdisjoint(node.inputs.values()):
            again.add(slot)
    return [slot for slot in wired.nodes if keys[slot] in stored and slot not in again]


class Standings:
    """Follows one run of a workflow, and tells a function the document of it whenever a step's state changes.

    Args:
        name: the workflow's.
        wired: its steps.
        keys: of the data of its steps.
        stored: the steps whose data are there before the run.
        watch: what is told; one that raises is logged once, and the run goes on.
        sampled: how many rows of what are read, if not all.
    """

    def __init__(
        self,
        name: str,
        wired: WiredSteps,
        keys: Mapping[str, str],
        stored: Iterable[str],
        watch: Watch,
        sampled: Mapping[str, int] | None = None,
    ) -> None:
        if not callable(watch):
            raise DeclarationError("run", [f"watch = {excerpt(watch)}: expected a function of one argument"])
        self._name = name
        self._wired = wired
        self._keys = keys
        self._states = dict.fromkeys(wired.nodes, PENDING) | dict.fromkeys(stored, COMPLETED)
        self._seconds: dict[str, float] = {}
        self._errors: dict[str, dict[str, str]] = {}
        self._watch = watch
        self._sampled = sampled
        self._lock = threading.Lock()
        self._raised = False

    def hooks(self, *, steps: bool) -> Hooks:
        """Give the hooks that follow the run: with `steps`, where these are executed in this process."""
        if not steps:
            return Hooks(before_run=self._begin)
        return Hooks(before_run=self._begin, before_step=self._before, after_step=self._after)

    def document(self, status: str = RUNNING) -> dict[str, Any]:
        """Give the document as it is now."""
        entries = []
        causes: dict[str, str] = {}
        for slot, node in self._wired.nodes.items():
            state = self._states[slot]
            error = self._errors.get(slot) if state == FAILED else None
            cause = next((causes[name] for name in node.inputs.values() if name in causes), None)
            if state == FAILED:
                causes[slot] = slot
            elif cause is not None and state == PENDING:
                causes[slot], state, error = cause, SKIPPED, skipped_entry(cause)
            entries.append(step_entry(slot, state, self._keys[slot], None, self._seconds.get(slot), error))
        return document(self._name, status, entries, self._sampled)

    def tell(self, told: dict[str, Any]) -> None:
        """Hand a document to whoever watches."""
        try:
            self._watch(told)
        except Exception:
            if not self._raised:
                self._raised = True
                logger.exception("watch=%s raised; the run goes on, and says so once", excerpt(self._watch))

    def _begin(self, _: object) -> None:
        with self._lock:
            self.tell(self.document())

    def _before(self, event: StepEvent) -> None:
        with self._lock:
            self._states[event.step] = RUNNING
            self.tell(self.document())

    def _after(self, event: StepEvent) -> None:
        with self._lock:
            self._seconds[event.step] = event.seconds
            self._states[event.step] = COMPLETED if event.error is None else FAILED
            if event.error is not None:
                self._errors[event.step] = error_of(event.error)
            self.tell(self.document())
