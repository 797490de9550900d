"""Accounts: what came of a workflow's run on Dagster, as a document, also while it goes on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.events import AssetObservationData, EngineEventData, StepMaterializationData
from dagster._core.events.log import EventLogEntry

from workflow_assets.errors import UnknownNameError, did_you_mean
from workflow_assets.orchestration.diaries import (
    KEYS,
    KIND,
    MESSAGE,
    STATE,
    STEP,
    STEPS,
    TRACEBACK,
    WORKFLOW,
)
from workflow_assets.orchestration.exhibits import ITEMS, SAMPLE
from workflow_assets.orchestration.keys import step_key, steps_name
from workflow_assets.scenes import COMPLETED, FAILED, PENDING, RUNNING, SKIPPED
from workflow_assets.standings import document, step_entry

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
    dg.DagsterEventType.ASSET_OBSERVATION,
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
    steps = {step: _Told() for step in known[name]}
    error = None
    sampled: dict[str, int] = {}
    for entry in instance.all_logs(run_id, of_type=_TELLING):
        error = _heard(entry, name, steps, sampled) or error
    if run.is_finished:
        for one in steps.values():
            if one.state == RUNNING:  # its process was ended
                one.state, one.error = FAILED, _INTERRUPTED
    entries = [
        step_entry(slot, one.state, one.key, one.metrics, one.seconds, one.error, one.items)
        for slot, one in steps.items()
    ]
    told = document(name, _STATUSES.get(run.status, PENDING), entries, sampled)
    if error is not None and not any(one.error for one in steps.values()):
        told["error"] = error  # of the run as a whole: its configuration, or the store
    return told


_INTERRUPTED = {"kind": "Interrupted", "message": "the run ended while it was computed", "traceback": ""}


@dataclass
class _Told:
    """What events tell of a step."""

    state: str = PENDING
    key: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: Mapping[str, str] | None = None
    items: Mapping[str, int] | None = None


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


def _heard(
    entry: EventLogEntry, workflow: str, steps: Mapping[str, _Told], sampled: dict[str, int]
) -> dict[str, str] | None:
    """Note what an event tells of the workflow's steps; give the error that it tells of the whole."""
    event = entry.dagster_event
    if event is None:
        return None
    data = event.event_specific_data
    if isinstance(data, StepMaterializationData | AssetObservationData):
        made = data.materialization if isinstance(data, StepMaterializationData) else data.asset_observation
        slot = made.asset_key.path[-1]
        if slot in steps and made.asset_key == step_key(workflow, slot):
            _note_made(steps[slot], slot, {name: one.value for name, one in made.metadata.items()})
    elif isinstance(data, EngineEventData) and event.step_key == steps_name(workflow):
        told: Any = {name: one.value for name, one in data.metadata.items()}
        sampled |= told.get(SAMPLE, {})
        for slot, key in told.get(KEYS, {}).items():
            steps[slot].key = key
        for slot in told.get(STEPS, [told.get(STEP)]):
            if slot in steps:
                _note(steps[slot], told)
    elif (error := getattr(data, "error", None)) is not None:
        cause = error.cause or error
        return {KIND: cause.cls_name or "", MESSAGE: cause.message.strip(), TRACEBACK: cause.to_string()}
    return None


def _note_made(step: _Told, slot: str, told: Mapping[str, Any]) -> None:
    metrics = {}
    for name, value in told.items():
        kind, _, metric = name.partition(": ")
        if kind == METRIC:
            metrics[f"{slot}.{metric}" if metric else slot] = value
    step.state, step.error = COMPLETED, None
    step.key, step.metrics, step.seconds, step.items = told["key"], metrics, told["seconds"], _items(told)


def _note(step: _Told, told: Mapping[str, Any]) -> None:
    step.state, step.error = told[STATE], None
    step.items = _items(told)
    if step.state == COMPLETED:
        step.seconds = told.get("seconds")
    elif step.state in (FAILED, SKIPPED):
        step.error = {KIND: told[KIND], MESSAGE: told[MESSAGE], TRACEBACK: told.get(TRACEBACK, "")}


def _items(told: Mapping[str, Any]) -> dict[str, int] | None:
    counts = {
        name.removeprefix(f"{ITEMS}: "): value
        for name, value in told.items()
        if name.startswith(f"{ITEMS}: ")
    }
    return counts or None
