"""Diaries: what a run tells of the steps of a workflow while it goes on, so that it can be read from its events.

One op computes all steps, so that Dagster itself knows of their materialisations only, and of these when all is done.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData

from workflow_assets.echoes import Echo, Listener, echoing
from workflow_assets.errors import listing
from workflow_assets.executions import Execution
from workflow_assets.mappings import FrozenDict
from workflow_assets.orchestration.events import report, step_event
from workflow_assets.orchestration.exhibits import SAMPLE, item_metadata
from workflow_assets.scenes import COMPLETED, FAILED, RUNNING, SKIPPED
from workflow_assets.standings import skipped_entry
from workflow_assets.workflow_results import WorkflowResult

logger = logging.getLogger("workflow_assets")

WORKFLOW = "workflow_assets/workflow"
"""The tag of the op of a workflow: its name, and its steps in their order."""

PERIOD = 0.5
"""Seconds that an event is held back while others come: who follows a run is that far behind."""

STEP, STEPS, STATE, KEYS = "step", "steps", "state", "keys"
KIND, MESSAGE, TRACEBACK = "kind", "message", "traceback"


def workflow_tag(name: str, steps: Sequence[str]) -> dict[str, str]:
    """Give the tag by which a run's account knows the steps, also before they are begun."""
    return {WORKFLOW: json.dumps({"name": name, "steps": list(steps)})}


class Diary:
    """Tells Dagster's event log that steps begin, have ended, failed or were skipped: many events at a time.

    As a context manager, it sees to it that nothing is left untold, and that what is told is not long in coming.
    """

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self.context = context
        self._step = context.get_step_execution_context()
        self._listener = Listener(context.run.run_id, self._heard)
        self._pending: list[tuple[DagsterEvent, float]] = []
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._some, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._write_by_and_by, name="diary", daemon=True)

    def __enter__(self) -> Self:
        """Listen to what steps do."""
        self._thread.start()
        self._listener.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Write what is left."""
        self._listener.__exit__()
        self._closed.set()
        self._some.set()
        self._thread.join()
        self.write()

    def following(self, execution: Execution) -> Execution:
        """Give an execution whose steps are told of as they begin and end."""
        return replace(execution, hooks=(*execution.hooks, echoing()))

    def begin(self, keys: Mapping[str, str], stored: Sequence[str], sampled: Mapping[str, int]) -> None:
        """Tell the keys of what the steps give, which of these are stored, and of how many rows of what."""
        said = f"The data of {len(stored)} of {len(keys)} steps are stored"
        told: dict[str, Any] = {KEYS: dict(keys), STEPS: list(stored), STATE: COMPLETED}
        self._tell(said, told | ({SAMPLE: dict(sampled)} if sampled else {}))

    def close(self, result: WorkflowResult) -> str:
        """Tell of what failed and what was skipped for it; give it as one text, "" where all is well."""
        transient = [slot for slot, state in result.states.items() if state == COMPLETED]
        transient = [slot for slot in transient if result.workflow.wired.nodes[slot].step.transient]
        if transient:
            said = f"{listing(transient)} {'is' if len(transient) == 1 else 'are'} transient: nothing is kept"
            self._tell(said, {STEPS: transient, STATE: COMPLETED})
        lines = []
        for slot, failure in result.failures.items():
            told: dict[str, Any] = {
                KIND: failure.kind,
                MESSAGE: failure.message,
                TRACEBACK: failure.traceback,
            }
            told |= item_metadata(result, slot)
            self._tell_of(f"Step {slot!r} failed: {failure.kind}: {failure.message}", slot, FAILED, told)
            self.context.log.error("Step %r failed\n%s", slot, failure.traceback)
            skipped = [
                one for one, state in result.states.items() if state == SKIPPED and result.cause(one) == slot
            ]
            for one in skipped:
                entry = skipped_entry(slot)
                self._tell_of(f"Step {one!r} was skipped: {entry[MESSAGE]}", one, SKIPPED, entry)
            lines.append(f"{failure}\n{failure.traceback}".rstrip())
            if skipped:
                were = "was" if len(skipped) == 1 else "were"
                lines.append(f"{listing(skipped)} {were} skipped, since what step {slot!r} gives is missing.")
        return "\n".join(lines)

    def _heard(self, echo: Echo, moment: float) -> None:
        if echo.seconds is None:
            again = f" (attempt {echo.attempt})" if echo.attempt > 1 else ""
            self._tell_of(f"Step {echo.step!r} begins{again}", echo.step, RUNNING, moment=moment)
        elif not echo.kind:
            text = f"Step {echo.step!r} took {echo.seconds:.3g} s"
            self._tell_of(text, echo.step, COMPLETED, {"seconds": echo.seconds}, moment)
        else:
            text = f"Step {echo.step!r} raised {echo.kind}: {echo.message}"
            self._tell_of(text, echo.step, FAILED, {KIND: echo.kind, MESSAGE: echo.message}, moment)

    def _tell_of(
        self,
        message: str,
        step: str,
        state: str,
        told: Mapping[str, Any] = FrozenDict(),
        moment: float | None = None,
    ) -> None:
        self._tell(message, {STEP: step, STATE: state, **told}, moment)

    def _tell(self, message: str, metadata: Mapping[str, Any], moment: float | None = None) -> None:
        kind = dg.DagsterEventType.ENGINE_EVENT
        event = step_event(self._step, kind, message, EngineEventData(metadata))
        with self._lock:
            self._pending.append((event, moment or time.time()))
            self._some.set()

    def _write_by_and_by(self) -> None:
        while not self._closed.is_set():
            self._some.wait()
            if not self._closed.wait(PERIOD):
                self.write()

    def write(self) -> None:
        """Write what is pending."""
        with self._writing:  # whoever comes later, comes later in the log
            with self._lock:
                pending, self._pending = self._pending, []
                if not self._closed.is_set():
                    self._some.clear()
            try:
                report(self.context.instance, self._step.run_id, pending)
            except Exception:  # it is told, and no result is lost for it
                logger.exception("%d events of steps are not in Dagster's log", len(pending))
