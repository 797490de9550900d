"""A workflow's assets and job: its steps without partitions, found or computed together in one op."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import DagsterEvent

from workflow_assets.declarations import Declaration
from workflow_assets.errors import WorkflowAssetsError, excerpt
from workflow_assets.executions import Execution
from workflow_assets.orchestration.assets import TRACING, plan_of, resource_names, resources_of, step_spec
from workflow_assets.orchestration.configurations import RunConfig
from workflow_assets.orchestration.diaries import Diary, workflow_tag
from workflow_assets.orchestration.events import MaterializationLog, datum_metadata, observed
from workflow_assets.orchestration.exhibits import SAMPLE, item_metadata, step_metadata, value_metadata
from workflow_assets.orchestration.forms import ROWS, configured, workflow_schema
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets.orchestration.keys import job_name, source_key, step_key, steps_name
from workflow_assets.orchestration.logs import forwarded
from workflow_assets.orchestration.pools import needs_tags, told_tags
from workflow_assets.orchestration.versions import CodeVersions
from workflow_assets.outcomes import CellOutcome
from workflow_assets.plans import Plan
from workflow_assets.samples import Rows, label_of
from workflow_assets.sources import AssetSource, Given
from workflow_assets.standings import planned_keys, stored_steps
from workflow_assets.store.base import Store
from workflow_assets.workflow_results import WorkflowResult
from workflow_assets.workflows import SingleRun, Workflow

SAMPLE_TAG = "workflow_assets/sample"
"""The tag of a run over a sample, which names the sample."""

Told = dg.MaterializeResult[None] | DagsterEvent


def workflow_assets(
    workflow: Workflow,
    store: Store,
    resources: Mapping[str, Any],
    execution: Execution,
    pool: str | None = None,
) -> dg.AssetsDefinition:
    """Compile a workflow: an asset for each input and each stored step, computed by one op."""
    declaration = SingleRun.of(workflow)
    versions = CodeVersions(declaration)
    inputs = [one for one in workflow.inputs.values() if one.name in declaration.sources]
    specs = [
        *(_input_spec(one, versions) for one in inputs),
        *(step_spec(declaration, slot, versions) for slot in declaration.asset_slots),
    ]

    @dg.multi_asset(
        specs=specs,
        name=steps_name(workflow.name),
        can_subset=True,
        config_schema=workflow_schema(workflow),
        required_resource_keys=resource_names(resources),
        op_tags={
            **needs_tags([declaration], execution),
            **workflow_tag(workflow.name, [node.slot for node in workflow.wired]),
        },
        pool=pool,
    )
    def compute_steps(context: dg.AssetExecutionContext) -> Iterator[Told]:
        told: Mapping[str, Any] = context.op_execution_context.op_config
        config = RunConfig(**{name: told[name] for name in RunConfig.model_fields if name in told})
        chosen = config.execution(execution, resources_of(context, resources))
        rows: Rows | None = told.get(ROWS)
        try:
            asked = configured(workflow, told)
            declaration: Declaration = SingleRun.of(asked)
            plan = plan_of(context, declaration, store)
            sampled: dict[str, int] = {}
            if rows is not None:
                declaration, sampled = asked.sample(rows, store)
                plan = Plan(declaration, store)
        except WorkflowAssetsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        if rows is not None:
            context.instance.add_run_tags(context.run.run_id, {SAMPLE_TAG: label_of(rows)})
        selected = {tuple(key.path) for key in context.selected_asset_keys}
        slots = [slot for slot in declaration.asset_slots if (workflow.name, slot) in selected]
        with Diary(context) as diary:
            outcome = _computed(context, asked, plan, slots, chosen, config.force, diary, sampled)
            whole = slots == list(declaration.asset_slots)
            wanted = frozenset(asked if whole else slots)
            result = WorkflowResult(asked, outcome, store, wanted, rows=rows, sampled=sampled)
            if rows is None:
                inputs = [one for one in asked.inputs.values() if one.asset in selected]
                yield from _materialised(context, plan, result, outcome, slots, inputs)
            else:
                yield from observed(
                    context, [_observation(result, slot) for slot in slots if slot in outcome.records]
                )
            said = diary.close(result)
            if said:
                raise dg.Failure(said, metadata=_items(result), allow_retries=False)

    return compute_steps


def _computed(
    context: dg.AssetExecutionContext,
    asked: Workflow,
    plan: Plan,
    slots: list[str],
    execution: Execution,
    force: list[str],
    diary: Diary,
    sampled: Mapping[str, int],
) -> CellOutcome:
    """Find or compute what is selected."""
    keys = planned_keys(plan)
    found = plan.store.find_all(keys[slot] for slot in slots)
    diary.begin(keys, stored_steps(asked.wired, keys, found, force), sampled)
    with forwarded(context.log, "{step}: "):
        (outcome,) = diary.following(execution).cells(
            plan, plan.store, plan.cells(), slots, force=force, run_id=context.run.run_id
        )
    diary.write()  # before what is said of their data
    return outcome


def _materialised(
    context: dg.AssetExecutionContext,
    plan: Plan,
    result: WorkflowResult,
    outcome: CellOutcome,
    slots: list[str],
    inputs: list[Given],
) -> Iterator[Told]:
    """Tell what the assets hold now."""
    log = MaterializationLog(context, plan.declaration, plan, slots)
    log.tell_sources(but=[one.name for one in inputs])
    made = []
    for one in inputs:
        record = plan.store.find(plan.sources[one.name].key)
        assert record is not None, "the plan has stored it"
        told = {**value_metadata(plan.store, record), **datum_metadata(record)}
        made.append(
            dg.AssetMaterialization(source_key(one), metadata=told, tags=log.source_tags(one, record.key))
        )
    # An upper bound of the ids that the events of this run have: each is made from those before it.
    pointer = str(int(log.pointer()) + len(made) + len(slots))
    for slot in slots:
        if (record := outcome.records.get(slot)) is not None:
            told = step_metadata(result, slot)
            tags = log.step_tags(slot, outcome, record, pointer)
            made.append(
                dg.AssetMaterialization(step_key(result.workflow.name, slot), metadata=told, tags=tags)
            )
    yield from _told(context, log, made)


def _observation(result: WorkflowResult, slot: str) -> dg.AssetObservation:
    """Describe what a step gave for a sample: its asset still holds what it gave for everything."""
    assert result.rows is not None
    told = {SAMPLE: label_of(result.rows), **step_metadata(result, slot)}
    return dg.AssetObservation(step_key(result.workflow.name, slot), metadata=told)


def _items(result: WorkflowResult) -> dict[str, Any]:
    """Tell of the items of steps on each that failed."""
    return {
        f"{slot}: {name}": one
        for slot in result.failures
        for name, one in item_metadata(result, slot).items()
    }


def _told(
    context: dg.AssetExecutionContext, log: MaterializationLog, made: Iterable[dg.AssetMaterialization]
) -> Iterator[Told]:
    """Log materialisations together, but for outputs that others wait for in the same run: these have to be yielded.

    Dagster takes milliseconds for an output that is yielded, the more, the more there are. The events that are logged
    are handed on, so that they are among those of a run in this process.
    """
    step = context.get_step_execution_context()
    by_output = context.job_def.dependency_structure.output_to_downstream_inputs_for_node(
        step.node_handle.name
    )
    awaited = {
        context.assets_def.keys_by_output_name[output.output_name]
        for output, after in by_output.items()
        if after
    }
    pending: list[dg.AssetMaterialization] = []
    for one in made:
        if one.asset_key not in awaited:
            pending.append(one)
            continue
        yield from log.log(pending)
        pending = []
        version = dg.DataVersion((one.tags or {})[DATA_VERSION_TAG])
        yield dg.MaterializeResult(
            asset_key=one.asset_key, metadata=one.metadata, data_version=version, tags=one.tags
        )
    yield from log.log(pending)


def workflow_job(workflow: Workflow, needs: Mapping[str, Any]) -> Any:
    """Compile the job of a workflow's name: its inputs, its sources and its steps."""
    declaration = SingleRun.of(workflow)
    sources = [
        source_key(source) for source in declaration.sources.values() if not isinstance(source, AssetSource)
    ]
    steps = [step_key(workflow.name, slot) for slot in declaration.asset_slots]
    return dg.define_asset_job(
        job_name(workflow.name),
        selection=dg.AssetSelection.assets(*sources, *steps),
        description=workflow.description or f"Run the workflow {workflow.name}.",
        tags=told_tags(needs),
    )


def _input_spec(one: Given, versions: CodeVersions) -> dg.AssetSpec:
    value = "each run's own" if one.is_empty else excerpt(one.value)
    return dg.AssetSpec(
        source_key(one),
        skippable=True,
        description=one.description,
        code_version=versions.source(one),
        kinds={"input"},
        group_name=one.owner,
        metadata={"value": value, "provenance": TRACING},
    ).with_io_manager_key(DATUMS)
