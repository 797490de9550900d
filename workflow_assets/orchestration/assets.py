"""An experiment's assets: sources, steps over the grid of treatments and replicates, and the results."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from workflow_assets.confirmations import configuration
from workflow_assets.declarations import Declaration
from workflow_assets.errors import UnknownNameError
from workflow_assets.executions import Execution
from workflow_assets.experiments import Experiment
from workflow_assets.orchestration.archives import archive_metadata
from workflow_assets.orchestration.checks import Spanning, blocking_reasons, check_specs, evaluate
from workflow_assets.orchestration.configurations import ResultsConfig, RunConfig
from workflow_assets.orchestration.events import MaterializationLog, datum_metadata
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets.orchestration.keys import (
    cell_of,
    input_keys,
    partitions,
    preregistration_key,
    results_key,
    source_key,
    source_keys,
    step_key,
)
from workflow_assets.orchestration.logs import followed
from workflow_assets.orchestration.pools import needs_tags
from workflow_assets.orchestration.tables import store_table
from workflow_assets.orchestration.top_ups import top_up_metadata
from workflow_assets.orchestration.types import column_schema
from workflow_assets.orchestration.versions import CodeVersions
from workflow_assets.plans import Plan
from workflow_assets.plots.base import Plot
from workflow_assets.plots.galleries import gallery
from workflow_assets.resources import PerWorker
from workflow_assets.results import Result
from workflow_assets.runs import Run
from workflow_assets.sources import AssetSource, Source
from workflow_assets.store.base import Store
from workflow_assets.summaries import markdown_summary, markdown_timings, terminal_summary
from workflow_assets.tables import describe_failures

TRACING = (
    "workflow_assets.trace(store, key), for a materialisation's key, tells code, parameters, inputs and seed"
)
"""Said once for each asset, since each of thousands of materialisations would have to be stored with it."""


MOST_PICTURE = 300_000
"""Bytes of a picture that goes into an event, which Dagster stores and loads whole."""

TERMINAL = 120
"""Columns of a line in Dagster's log."""

SOURCES = "sources"
"""The entry of the results' metadata that names the content of each source that they are made of."""


Begin = Callable[[], tuple[Experiment, Mapping[str, Any]]]
"""Preregisters, and gives the experiment of a confirmation and what to tell of it in metadata."""


def source_assets(source: Source[Any], experiment: Declaration, store: Store) -> dg.AssetsDefinition:
    """Compile a source: an unpartitioned asset, shared by the experiments that name it."""
    versions = CodeVersions(experiment)
    spec = dg.AssetSpec(
        source_key(source),
        description=source.description or f"The source {source.name}.",
        code_version=versions.source(source),
        kinds={"python", "source"},
        group_name="sources",
        owners=list(source.owners),
        tags=dict(source.tags),
        metadata={"version": source.version or "digest of the content", "provenance": TRACING},
    ).with_io_manager_key(DATUMS)

    @dg.multi_asset(specs=[spec], name="source__" + "__".join(source.asset))
    def load_source(
        context: dg.AssetExecutionContext, config: RunConfig
    ) -> Iterator[dg.MaterializeResult[None]]:
        run = Run(
            plan_of(context, experiment, store),
            store,
            force=[name for name in config.force if name == source.name],
            run_id=context.run.run_id,
        )
        record = run.source(source.name)
        yield dg.MaterializeResult(
            asset_key=source_key(source),
            metadata=datum_metadata(record),
            data_version=dg.DataVersion(record.key),
        )

    return load_source


def step_assets(
    experiment: Experiment,
    store: Store,
    resources: Mapping[str, Any],
    execution: Execution,
    pool: str | None = None,
    partitions_per_run: int | None = None,
) -> dg.AssetsDefinition:
    """Compile the steps: one multi-asset over the grid, for work by partition.

    A backfill takes at most `partitions_per_run` cells at a time to a run. Dagster cuts along rows of the grid, never
    across their ends, so that each chunk is a range that holds its own cells and no others.
    """
    versions = CodeVersions(experiment)
    specs = [
        step_spec(experiment, slot, versions, **_variants(experiment, slot))
        for slot in experiment.asset_slots
    ]

    @dg.multi_asset(
        specs=specs,
        name=f"{experiment.name}__steps",
        can_subset=True,
        partitions_def=partitions(experiment),
        backfill_policy=(
            dg.BackfillPolicy.single_run()
            if partitions_per_run is None
            else dg.BackfillPolicy.multi_run(partitions_per_run)
        ),
        required_resource_keys=resource_names(resources),
        op_tags=needs_tags([experiment], execution),
        pool=pool,
    )
    def compute_steps(
        context: dg.AssetExecutionContext, config: RunConfig
    ) -> Iterator[dg.MaterializeResult[None]]:
        slots = [key.path[-1] for key in context.selected_asset_keys]
        cells = [cell_of(key) for key in context.partition_keys]
        if not cells:
            raise dg.Failure(
                "the range of partitions is empty: does it end before it starts?", allow_retries=False
            )
        plan = plan_of(context, experiment, store)
        chosen = config.execution(execution, resources_of(context, resources))
        run_id = context.run.run_id
        log = MaterializationLog(context, experiment, plan, slots)
        failures = []
        latest: dict[str, str] = {}
        outcomes = chosen.cells(plan, store, cells, slots, force=config.force, run_id=run_id)
        for outcome in followed(context, outcomes, log, len(cells)):
            if outcome.failure is not None:
                failures.append(outcome.failure)
            latest = {slot: record.key for slot, record in outcome.records.items()}
        if failures:
            raise dg.Failure(describe_failures(failures, len(cells)), allow_retries=False)
        if results_key(experiment.name) in context.job_def.asset_layer.executable_asset_keys:
            # Without outputs, `results` in the same run would be skipped. Dagster marks every partition of the run
            # with them, so the true events are logged once more, after them.
            for slot in experiment.asset_slots:
                if slot in slots:
                    key = step_key(experiment.name, slot)
                    yield dg.MaterializeResult(asset_key=key, data_version=dg.DataVersion(latest[slot]))
            again = MaterializationLog(context, experiment, plan, slots)
            for outcome in Run(plan, store, run_id=run_id).cells(cells, slots):
                again.add(outcome)
            again.write()

    return compute_steps


def results_assets(
    experiment: Experiment,
    store: Store,
    resources: Mapping[str, Any],
    execution: Execution,
    pool: str | None = None,
    begin: Begin | None = None,
    spanning: Spanning | None = None,
    bundles: str | os.PathLike[str] | None = None,
) -> dg.AssetsDefinition:
    """Compile the results: an unpartitioned asset that completes the grid, judges it and says so in checks.

    With `begin`, they are those of a confirmation: downstream of its preregistration, not of the steps' assets. Checks
    on claims whose family is `spanning` experiments say where the verdict over all of these is. Archives are written
    to the folder `bundles`.
    """
    name = experiment.name
    key = results_key(name)
    slots = () if begin else experiment.asset_slots
    steps = [step_key(name, slot) for slot in slots]
    spec = dg.AssetSpec(
        key,
        deps=[preregistration_key(name)] * bool(begin) + [*steps, *source_keys(experiment)],
        description=f"{experiment.description or f'The results of the experiment {name}.'}\n\n"
        "A tidy table with a row for every cell; materialising it computes every cell that is not stored.",
        code_version=CodeVersions(experiment).results,
        kinds={"python", "table"},
        group_name=name,
        owners=list(experiment.owners),
        tags=dict(experiment.tags),
        metadata={
            "treatments": list(experiment.treatments),
            "replicates": len(experiment.replicates),
            "provenance": TRACING,
        },
    ).with_io_manager_key(DATUMS)

    @dg.multi_asset(
        specs=[spec],
        check_specs=check_specs(experiment, spanning or {}),
        name=f"{name}__results",
        can_subset=True,
        required_resource_keys=resource_names(resources),
        op_tags=needs_tags([experiment], execution),
        pool=pool,
    )
    def complete_grid(context: dg.AssetExecutionContext, config: ResultsConfig) -> Iterator[Any]:
        begun, more = begin() if begin else (experiment, {})
        plan = plan_of(context, begun, store)
        materialise = key in context.selected_asset_keys
        chosen = config.execution(execution, resources_of(context, resources))
        log = MaterializationLog(context, begun, plan, slots)

        def compute(declared: Experiment, replicates: list[str] | None = None) -> Result:
            cells = plan.cells(None, replicates)
            outcomes = chosen.cells(
                plan, store, cells, force=config.force, run_id=context.run.run_id, compute=materialise
            )
            shown = followed(context, outcomes, log, len(cells)) if materialise else outcomes
            return Result.collect(declared, shown, store, configuration(plan).digest)

        result = compute(begun) if config.until is None else config.until.topped_up(begun, compute)
        unwritten: list[str] = []
        if materialise:
            record = store_table(experiment.name, result, store, context.run.run_id)
            told = {**_results_metadata(result, record.key, plan), **top_up_metadata(result), **more}
            if folder := bundles if config.bundles is None else config.bundles:
                archive, unwritten = archive_metadata(result, folder)
                told |= archive
            yield dg.MaterializeResult(
                asset_key=key,
                metadata=told,
                data_version=dg.DataVersion(record.key),
                tags=log.pointer_tags([*steps, *source_keys(experiment)]),
            )
        context.log.info(_told(lambda: terminal_summary(result.report(), TERMINAL), str))
        checks = [check.name for check in context.selected_asset_check_keys]
        yield from evaluate(experiment, result, checks, spanning or {})
        if reasons := [*blocking_reasons(result, checks), *unwritten]:
            raise dg.Failure("\n".join(reasons), allow_retries=False)

    return complete_grid


def plan_of(context: dg.AssetExecutionContext, experiment: Declaration, store: Store) -> Plan:
    """Plan an experiment; raise `UnknownNameError` where an asset that it reads has its newest value elsewhere."""
    for source in experiment.sources.values():
        if isinstance(source, AssetSource):
            _check_upstream(context, source)
    return Plan(experiment, store)


def _check_upstream(context: dg.AssetExecutionContext, source: AssetSource) -> None:
    """Raise `UnknownNameError` where an asset's newest value went elsewhere, so that the store's is an old one."""
    event = context.instance.get_latest_materialization_event(source_key(source))
    made = event.asset_materialization if event else None
    if made is not None and not {"key", "keys"} & set(made.metadata):
        raise UnknownNameError(
            f"source {source.name!r} reads the Dagster asset {'/'.join(source.asset)!r}, whose newest value is not in "
            f"this store: declare the asset with io_manager_key={DATUMS!r}, and materialise it again"
        )


def step_spec(declaration: Declaration, slot: str, versions: CodeVersions, **more: Any) -> dg.AssetSpec:
    """Describe the asset of a step; `more` is metadata."""
    node = declaration.workflow.nodes[slot]
    step = node.step
    metadata: dict[str, Any] = {
        "parameters": {name: repr(value) for name, value in node.settings.items()},
        "fingerprint": versions.fingerprint(slot),
        **more,
        "random": step.random,
        "provenance": TRACING,
    }
    if (schema := column_schema(step.gives)) is not None:
        metadata["dagster/column_schema"] = schema
    return dg.AssetSpec(
        step_key(declaration.name, slot),
        deps=list(input_keys(declaration, slot).values()),
        skippable=True,
        description=step.description or f"The step {slot}.",
        code_version=versions.slots[slot],
        kinds={"python", "random"} if step.random else {"python"},
        group_name=declaration.name,
        owners=list(step.owners or declaration.owners),
        tags={**declaration.tags, **step.tags},
        metadata=metadata,
    ).with_io_manager_key(DATUMS)


def _variants(experiment: Experiment, slot: str) -> dict[str, Any]:
    """Tell which treatments change a step, and which functions they put in its place."""
    variants = {id(step): step for one in experiment.workflows.values() for step in [one.nodes[slot].step]}
    told: dict[str, Any] = {"changed by": _changes(experiment, slot)}
    if len(variants) > 1:
        told["functions"] = sorted({variant.slug for variant in variants.values()})
    return told


def _changes(experiment: Experiment, slot: str) -> dict[str, str]:
    changes = {}
    taken = experiment.workflow.nodes[slot].inputs.values() if slot in experiment.workflow.nodes else ()
    for name, treatment in experiment.treatments.items():
        told = [
            f"{address} = {value!r}"
            for address, value in treatment.parameters.items()
            if address.startswith(f"{slot}.") or address in taken
        ]
        told += [f"→ {step.slug}" for swapped, step in treatment.steps.items() if swapped == slot]
        if told:
            changes[name] = ", ".join(told)
    return changes


def resources_of(context: dg.AssetExecutionContext, resources: Mapping[str, Any]) -> dict[str, Any]:
    """Give what steps find in ``ctx.resources``: what Dagster has opened, and how each worker opens its own."""
    ours = {name: given for name, given in resources.items() if isinstance(given, PerWorker)}
    return {**ours, **{name: getattr(context.resources, name) for name in resource_names(resources)}}


def resource_names(resources: Mapping[str, Any]) -> set[str]:
    """Give the resources that Dagster opens; the others are opened by each worker."""
    return {name for name, given in resources.items() if not isinstance(given, PerWorker)}


def _results_metadata(result: Result, key: str, plan: Plan) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "key": key,
        "dagster/row_count": len(result.outcomes),
        "failed": len(result.failures),
        "summary": _told(lambda: markdown_summary(result.report())),
        "steps": _told(lambda: markdown_timings(result.report())),
    }
    if plan.sources:
        metadata[SOURCES] = {name: planned.key for name, planned in plan.sources.items()}
    try:
        report = result.report()
    except Exception:  # noqa: BLE001 - the summary says it
        return metadata
    for name, plot in gallery(report):
        entry = "plot" if name == "estimation" else f"plot of {name}"
        metadata[entry] = dg.MetadataValue.md(_picture(plot))
    return metadata


def _told(tell: Callable[[], str], show: Callable[[str], Any] = dg.MetadataValue.md) -> Any:
    """Tell of results that are stored; that this fails does not lose them."""
    try:
        return show(tell())
    except Exception as error:  # noqa: BLE001 - whatever it is, the results stand
        return show(f"The results are stored; telling of them raised {type(error).__name__}: {error}")


def _picture(plot: Plot | str) -> str:
    if isinstance(plot, str):
        return plot
    if len(plot.data) > MOST_PICTURE:
        return f"{plot.title}: the picture is too large to be kept here; `result.report(path)` shows it"
    return f"![{plot.title}]({plot.uri()})"
