"""Schedules and sensors: what Dagster's daemon starts the job of an experiment or a workflow by."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from workflow_assets.automations import Schedule, Watch, WorkflowSchedule
from workflow_assets.errors import DeclarationError, UnknownNameError, did_you_mean, excerpt
from workflow_assets.experiments import Experiment
from workflow_assets.orchestration.assets import SOURCES
from workflow_assets.orchestration.forms import INPUTS, ROWS, STEPS, in_json, launch_faults
from workflow_assets.orchestration.keys import results_key, steps_name
from workflow_assets.orchestration.top_ups import until_config
from workflow_assets.plans import source_content
from workflow_assets.store.base import Store
from workflow_assets.top_ups import rule_faults
from workflow_assets.workflows import Workflow


def automation_faults(
    automations: Any, experiments: Mapping[str, Experiment], workflows: Mapping[str, Workflow]
) -> list[str]:
    """Say what is wrong with automations: what is none, whose experiment is not there, who share a name."""
    if not isinstance(automations, Sequence):
        return [
            f"automations = {excerpt(automations)}: expected a list, such as [study.schedule('0 3 * * *')]"
        ]
    faults: list[str] = []
    names: set[str] = set()
    for one in automations:
        if not isinstance(one, Schedule | Watch | WorkflowSchedule):
            faults.append(
                f"{excerpt(one)} is no automation: expected what experiment.schedule(...) or .watch(...) gives"
            )
            continue
        if isinstance(one, WorkflowSchedule):
            faults += _workflow_faults(one, workflows)
        elif one.experiment not in experiments:
            near = did_you_mean(one.experiment, experiments)
            faults.append(
                f"automation {one.name!r} is of the experiment {one.experiment!r}, not given here: {near}"
            )
        elif isinstance(one, Schedule) and one.until is not None:
            known = experiments[one.experiment]
            wrong = rule_faults(known, one.until, one.hypotheses or None, peek=one.peek)
            faults += [f"automation {one.name!r}: {fault}" for fault in wrong]
        elif isinstance(one, Watch) and one.source not in experiments[one.experiment].sources:
            near = did_you_mean(one.source, experiments[one.experiment].sources)
            faults.append(f"automation {one.name!r} watches {one.source!r}, which is not read: {near}")
        if one.name in names:
            faults.append(f"two automations are called {one.name!r}: give one of them another name=")
        names.add(one.name)
    return faults


def _workflow_faults(one: WorkflowSchedule, workflows: Mapping[str, Workflow]) -> list[str]:
    if one.workflow not in workflows:
        near = did_you_mean(one.workflow, workflows)
        return [f"automation {one.name!r} is of the workflow {one.workflow!r}, not given here: {near}"]
    try:
        told = _op_config(one)
        wrong = launch_faults(workflows[one.workflow], told)
    except DeclarationError as error:
        wrong = list(error.faults)
    return [f"automation {one.name!r}: {fault}" for fault in wrong]


def _op_config(one: WorkflowSchedule) -> dict[str, Any]:
    """Give the configuration of the op of a workflow.

    Raises `DeclarationError` for what no configuration can tell.
    """
    given: dict[str, Any] = {}
    if one.inputs:
        given[INPUTS] = in_json(one.inputs)
    steps: dict[str, dict[str, Any]] = {}
    for address, value in in_json(one.parameters).items():
        step, _, parameter = address.partition(".")
        steps.setdefault(step, {})[parameter] = value
    if steps:
        given[STEPS] = steps
    if one.rows is not None:
        given[ROWS] = one.rows if isinstance(one.rows, int) else dict(one.rows)
    return given | ({"force": list(one.force)} if one.force else {})


def schedule_definition(
    schedule: Schedule | WorkflowSchedule, job: Any, config: Mapping[str, Any]
) -> dg.ScheduleDefinition:
    """Compile a schedule whose runs have the experiment's run configuration, unless it has a rule of its own.

    Raises `DeclarationError` for a cron expression that Dagster does not take.
    """
    if isinstance(schedule, WorkflowSchedule):
        what, name = "workflow", schedule.workflow
        op = _op_config(schedule)
        own: Any = {"ops": {steps_name(schedule.workflow): {"config": op}}} if op else {}
    else:
        what, name = "experiment", schedule.experiment
        own = until_config(schedule.experiment, schedule.until, schedule.hypotheses, peek=schedule.peek)
    status = dg.DefaultScheduleStatus.RUNNING if schedule.running else dg.DefaultScheduleStatus.STOPPED
    try:
        return dg.ScheduleDefinition(
            name=schedule.name,
            job=job,
            cron_schedule=schedule.cron,
            execution_timezone=schedule.timezone,
            default_status=status,
            run_config=own or dict(config),
            description=f"Runs the {what} {name}.",
        )
    except dg.DagsterInvalidDefinitionError as error:
        raise DeclarationError(
            f"the schedule of {what} {name!r}", [f"Dagster does not take it: {error}"]
        ) from error


def sensor_definition(
    watch: Watch, experiment: Experiment, store: Store, job: Any, config: Mapping[str, Any]
) -> dg.SensorDefinition:
    """Compile a watch: a sensor that asks for a run, once per change of the source since the latest results."""

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        event = context.instance.get_latest_materialization_event(results_key(experiment.name))
        made = event.asset_materialization if event is not None else None
        if event is None or made is None:
            return dg.SensorResult(
                skip_reason=f"{experiment.name!r} has no results yet: run it once, and this looks after them"
            )
        try:
            version = source_content(experiment, watch.source, store)
        except UnknownNameError:
            raise  # it says what to do
        except Exception as error:
            raise RuntimeError(
                f"the source {watch.source!r} cannot be loaded ({type(error).__name__}: {error}), so that nobody knows "
                f"whether it has changed; the next look is in {watch.every} s"
            ) from error
        told = made.metadata.get(SOURCES)
        known: Any = told.value if isinstance(told, dg.JsonMetadataValue) else {}
        if known.get(watch.source) == version:
            return dg.SensorResult(skip_reason=f"the results are made of this version of {watch.source!r}")
        # With the results that are out of date, since a version may come back after another.
        key = f"{version} after {event.timestamp}"
        if context.cursor == key:
            return dg.SensorResult(
                skip_reason=f"a run for this version of {watch.source!r} was asked for; if it failed, run it again"
            )
        return dg.SensorResult([dg.RunRequest(run_key=key, run_config=config)], cursor=key)

    status = dg.DefaultSensorStatus.RUNNING if watch.running else dg.DefaultSensorStatus.STOPPED
    return dg.SensorDefinition(
        name=watch.name,
        evaluation_fn=look,
        job=job,
        minimum_interval_seconds=watch.every,
        default_status=status,
        description=f"Runs the experiment {watch.experiment} when the source {watch.source} has a new version.",
    )
