"""Diaries: what a run tells of the steps of a workflow while it goes on, so that it can be read from its events.

One op computes all steps, so that Dagster itself knows of their materialisations only, and of these when all is done.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData

from workflow_assets.errors import excerpt, listing
from workflow_assets.executions import Execution
from workflow_assets.hooks import Hooks, StepEvent
from workflow_assets.orchestration.events import datum_metadata
from workflow_assets.scenes import COMPLETED, FAILED, SKIPPED
from workflow_assets.store.base import Record, Store
from workflow_assets.workflows import WorkflowResult

WORKFLOW = "workflow_assets/workflow"
"""The tag of the op of a workflow: its name, and its steps in their order."""

RUNNING = "running"

MOST_SHOWN = 10_000
"""Bytes of a value that is loaded again, so that its metadata can show it."""

EXCERPT = 300
"""Characters that are shown of it."""

STEP, STATE, KIND, MESSAGE, TRACEBACK = "step", "state", "kind", "message", "traceback"


def workflow_tag(name: str, steps: Sequence[str]) -> dict[str, str]:
    """Give the tag by which a run's account knows the steps, also before they are begun."""
    return {WORKFLOW: json.dumps({"name": name, "steps": list(steps)})}


class Diary:
    """Tells Dagster's event log that steps begin, have ended, failed or were skipped."""

    def __init__(self, context: dg.AssetExecutionContext, store: Store) -> None:
        self.context = context
        self.store = store
        self._step = context.get_step_execution_context()

    def following(self, execution: Execution) -> Execution:
        """Give an execution whose steps are told of as they begin and end."""
        hooks = Hooks(before_step=self._begins, after_step=self._ends)
        return replace(execution, hooks=(*execution.hooks, hooks))

    def close(self, result: WorkflowResult) -> str:
        """Tell of what failed and what was skipped for it; give it as one text, "" where all is well."""
        lines = []
        for slot, failure in result.failures.items():
            told = {KIND: failure.kind, MESSAGE: failure.message, TRACEBACK: failure.traceback}
            self._tell(f"Step {slot!r} failed: {failure.kind}: {failure.message}", slot, FAILED, told)
            self.context.log.error("Step %r failed\n%s", slot, failure.traceback)
            skipped = [
                one for one, state in result.states.items() if state == SKIPPED and result.cause(one) == slot
            ]
            for one in skipped:
                reason = f"it follows from {slot!r}, which failed"
                self._tell(f"Step {one!r} was skipped: {reason}", one, SKIPPED, {MESSAGE: reason})
            lines.append(f"{failure}\n{failure.traceback}".rstrip())
            if skipped:
                were = "was" if len(skipped) == 1 else "were"
                lines.append(f"{listing(skipped)} {were} skipped, since what step {slot!r} gives is missing.")
        return "\n".join(lines)

    def metadata(self, record: Record) -> dict[str, Any]:
        """Give the metadata of a materialisation; what is small is shown in it."""
        metadata = datum_metadata(record)
        if record.size <= MOST_SHOWN:
            metadata["preview"] = excerpt(self.store.load(record), EXCERPT)
        return metadata

    def _begins(self, event: StepEvent) -> None:
        again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
        self._tell(f"Step {event.step!r} begins{again}", event.step, RUNNING, {})

    def _ends(self, event: StepEvent) -> None:
        if event.error is None:
            told = f"Step {event.step!r} took {event.seconds:.3g} s"
            self._tell(told, event.step, COMPLETED, {"seconds": event.seconds})
            return
        kind, message = type(event.error).__qualname__, str(event.error)
        text = f"Step {event.step!r} raised {kind}: {message}"
        self._tell(text, event.step, FAILED, {KIND: kind, MESSAGE: message})

    def _tell(self, message: str, step: str, state: str, told: Mapping[str, Any]) -> None:
        metadata: Mapping[str, Any] = {STEP: step, STATE: state, **told}
        event = DagsterEvent.engine_event(self._step, message, EngineEventData(metadata))
        self.context.instance.report_dagster_event(event, self._step.run_id, logging.DEBUG)
