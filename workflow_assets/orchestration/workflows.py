"""A workflow's assets and job: its steps without partitions, found or computed together in one op."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from workflow_assets.errors import WorkflowAssetsError, excerpt
from workflow_assets.executions import Execution
from workflow_assets.orchestration.assets import TRACING, plan_of, resource_names, resources_of, step_spec
from workflow_assets.orchestration.configurations import RunConfig
from workflow_assets.orchestration.diaries import Diary, workflow_tag
from workflow_assets.orchestration.events import MaterializationLog
from workflow_assets.orchestration.forms import configured, workflow_schema
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets.orchestration.keys import job_name, source_key, step_key, steps_name
from workflow_assets.orchestration.logs import forwarded
from workflow_assets.orchestration.pools import needs_tags, told_tags
from workflow_assets.orchestration.versions import CodeVersions
from workflow_assets.outcomes import CellOutcome
from workflow_assets.plans import Plan
from workflow_assets.sources import AssetSource, Given
from workflow_assets.store.base import Store
from workflow_assets.workflows import SingleRun, Workflow, WorkflowResult


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
    def compute_steps(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        told: Mapping[str, Any] = context.op_execution_context.op_config
        config = RunConfig(**{name: told[name] for name in RunConfig.model_fields if name in told})
        try:
            chosen = configured(workflow, told)
            plan = plan_of(context, SingleRun.of(chosen), store)
        except WorkflowAssetsError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        yield from _computed(
            context,
            chosen,
            plan,
            config.execution(execution, resources_of(context, resources)),
            config.force,
        )

    return compute_steps


def _computed(
    context: dg.AssetExecutionContext, workflow: Workflow, plan: Plan, execution: Execution, force: list[str]
) -> Iterator[dg.MaterializeResult[None]]:
    """Find or compute what is selected, and tell what came of each step."""
    store = plan.store
    selected = {tuple(key.path): key for key in context.selected_asset_keys}
    slots = [slot for slot in plan.declaration.asset_slots if (workflow.name, slot) in selected]
    inputs = [one for one in workflow.inputs.values() if one.asset in selected]
    log = MaterializationLog(context, plan.declaration, plan, slots)
    diary = Diary(context, store)
    with forwarded(context.log, "{step}: "):
        backend, _ = execution.check(plan.declaration)
        if backend is None or backend.capabilities.shares_memory:
            execution = diary.following(execution)
        (outcome,) = execution.cells(plan, store, plan.cells(), slots, force=force, run_id=context.run.run_id)
    log.tell_sources(but=[one.name for one in inputs])
    for one in inputs:
        record = store.find(plan.sources[one.name].key)
        assert record is not None, "the plan has stored it"
        yield dg.MaterializeResult(
            asset_key=source_key(one),
            metadata=diary.metadata(record),
            data_version=dg.DataVersion(record.key),
            tags=log.source_tags(one, record.key),
        )
    for slot in slots:
        if slot in outcome.records:
            yield _materialisation(workflow.name, slot, outcome, log, diary)
    result = WorkflowResult(workflow, outcome, store, frozenset(slots))
    if result.failures:
        raise dg.Failure(diary.close(result), allow_retries=False)


def _materialisation(
    name: str, slot: str, outcome: CellOutcome, log: MaterializationLog, diary: Diary
) -> dg.MaterializeResult[None]:
    record = outcome.records[slot]
    metadata = diary.metadata(record)
    metadata["stored"] = "computed now" if slot in outcome.computed else "was stored"
    return dg.MaterializeResult(
        asset_key=step_key(name, slot),
        metadata=metadata,
        data_version=dg.DataVersion(record.key),
        tags=log.step_tags(slot, outcome, record, log.pointer()),
    )


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
