"""Accounts: what came of a workflow's run on Dagster, as a document, also while it goes on."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.events import EngineEventData, StepMaterializationData
from dagster._core.events.log import EventLogEntry

from workflow_assets.errors import UnknownNameError, did_you_mean
from workflow_assets.orchestration.diaries import (
    KIND,
    MESSAGE,
    RUNNING,
    STATE,
    STEP,
    STEPS,
    TRACEBACK,
    WORKFLOW,
)
from workflow_assets.orchestration.keys import step_key, steps_name
from workflow_assets.scenes import COMPLETED, FAILED, PENDING, SKIPPED

FORMAT, KIND_OF_DOCUMENT = "1", "result"


METRIC = "metric"

_STATUSES = {
    dg.DagsterRunStatus.STARTED: RUNNING,
    dg.DagsterRunStatus.CANCELING: RUNNING,
    dg.DagsterRunStatus.SUCCESS: COMPLETED,
    dg.DagsterRunStatus.FAILURE: FAILED,
    dg.DagsterRunStatus.CANCELED: FAILED,
}

_TELLING = {
    dg.DagsterEventType.ENGINE_EVENT,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}


def run_document(instance: dg.DagsterInstance, run_id: str, workflow: str | None = None) -> dict[str, Any]:
    """Tell what came of a workflow in a run: the state of each step, its key, metrics, seconds, and its error.

    A step is "pending", "running", "completed", "failed" or "skipped". What a key stands for is read from the store.

    Args:
        instance: Dagster's instance.
        run_id: the run.
        workflow: its name, where a run is of several.

    Raises `UnknownNameError` for a run that the instance does not have, or that is not of this workflow.
    """
    run = instance.get_run_by_id(run_id)
    if run is None:
        raise UnknownNameError(f"Dagster's instance has no run {run_id!r}")
    known = _workflows(instance, run)
    if workflow is None and len(known) != 1:
        what = f"is of {len(known)} workflows: name one" if known else "is of no workflow"
        raise UnknownNameError(f"run {run_id!r} {what}; {did_you_mean('', known)}")
    name = next(iter(known)) if workflow is None else workflow
    if name not in known:
        raise UnknownNameError(f"run {run_id!r} is not of workflow {name!r}: {did_you_mean(name, known)}")
    steps = {step: _step(step) for step in known[name]}
    error = None
    for entry in instance.all_logs(run_id, of_type=_TELLING):
        error = _told(entry, name, steps) or error
    status = _STATUSES.get(run.status, PENDING)
    if run.is_finished:
        for step in steps.values():
            if step["status"] == RUNNING:  # its process was ended
                message = "the run ended while it was computed"
                step |= {
                    "status": FAILED,
                    "error": {"kind": "Interrupted", "message": message, "traceback": ""},
                }
    document: dict[str, Any] = {
        "format": FORMAT,
        "kind": KIND_OF_DOCUMENT,
        "workflow": name,
        "status": status,
        "steps": list(steps.values()),
    }
    if error is not None and not any(step["error"] for step in steps.values()):
        document["error"] = error  # of the run as a whole: its configuration, or the store
    return document


def _workflows(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, list[str]]:
    """Give the steps of the workflows that a run is of."""
    if run.job_snapshot_id is None:
        return {}
    found = {}
    for op in instance.get_job_snapshot(run.job_snapshot_id).node_defs_snapshot.op_def_snaps:
        if WORKFLOW in op.tags:
            told = json.loads(op.tags[WORKFLOW])
            found[told["name"]] = told["steps"]
    return found


def _step(name: str) -> dict[str, Any]:
    return {"id": name, "status": PENDING, "key": None, "metrics": {}, "seconds": None, "error": None}


def _told(entry: EventLogEntry, workflow: str, steps: Mapping[str, dict[str, Any]]) -> dict[str, str] | None:
    """Note what an event tells of the workflow's steps; give the error that it tells of the whole."""
    event = entry.dagster_event
    if event is None:
        return None
    data = event.event_specific_data
    if isinstance(data, StepMaterializationData):
        made = data.materialization
        slot = made.asset_key.path[-1]
        if slot in steps and made.asset_key == step_key(workflow, slot):
            steps[slot] |= _completed(slot, {name: one.value for name, one in made.metadata.items()})
    elif isinstance(data, EngineEventData) and event.step_key == steps_name(workflow):
        told: Any = {name: one.value for name, one in data.metadata.items()}
        for slot in told.get(STEPS, [told.get(STEP)]):
            if slot in steps:
                _note(steps[slot], told)
    elif (error := getattr(data, "error", None)) is not None:
        cause = error.cause or error
        return {
            "kind": cause.cls_name or "",
            "message": cause.message.strip(),
            "traceback": cause.to_string(),
        }
    return None


def _completed(slot: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": COMPLETED,
        "key": metadata["key"],
        "metrics": dict(_metrics(slot, metadata)),
        "seconds": metadata["seconds"],
        "error": None,
    }


def _metrics(slot: str, metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in metadata.items():
        kind, _, metric = name.partition(": ")
        if kind == METRIC:
            yield f"{slot}.{metric}" if metric else slot, value


def _note(step: dict[str, Any], told: Mapping[str, Any]) -> None:
    state = told[STATE]
    step["status"] = state
    step["error"] = None
    if state == COMPLETED:
        step["seconds"] = told.get("seconds")
    elif state in (FAILED, SKIPPED):
        step["error"] = {
            "kind": told.get(KIND, "Skipped"),
            "message": told[MESSAGE],
            "traceback": told.get(TRACEBACK, ""),
        }
