"""Experiments compiled to Dagster in one call."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from workflow_assets.automations import Automation, Schedule, Watch, WorkflowSchedule
from workflow_assets.declarations import Declaration
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.executions import Execution
from workflow_assets.experiments import Experiment
from workflow_assets.hooks import Hooks, read_hooks
from workflow_assets.orchestration.archives import folder_fault
from workflow_assets.orchestration.assets import results_assets, source_assets, step_assets
from workflow_assets.orchestration.automations import (
    automation_faults,
    schedule_definition,
    sensor_definition,
)
from workflow_assets.orchestration.confirmations import (
    confirmation_assets,
    confirmation_faults,
    confirmation_job,
    preregistration_assets,
)
from workflow_assets.orchestration.events import enable_batches
from workflow_assets.orchestration.families import family_assets, family_faults, family_job
from workflow_assets.orchestration.io_managers import DATUMS, DatumIOManager
from workflow_assets.orchestration.jobs import experiment_job
from workflow_assets.orchestration.keys import family_job_name
from workflow_assets.orchestration.members import Members, document_assets, files_of, read_documents
from workflow_assets.orchestration.pools import needs_tags, pool_of
from workflow_assets.orchestration.storage import store_place
from workflow_assets.orchestration.top_ups import until_config
from workflow_assets.orchestration.workflows import workflow_assets, workflow_job
from workflow_assets.preregistrations import Confirmation
from workflow_assets.registries import Registry
from workflow_assets.resources import PerWorker
from workflow_assets.store.base import Store
from workflow_assets.store.places import open_store
from workflow_assets.top_ups import rule_faults
from workflow_assets.traits import is_count
from workflow_assets.unions import spanning
from workflow_assets.workflows import Workflow

if TYPE_CHECKING:
    from workflow_assets.stats.sequences import Until


def to_dagster(
    *members: Experiment | Workflow,
    store: Store | str | os.PathLike[str] | None = None,
    resources: Mapping[str, Any] | None = None,
    backend: Any = None,
    workers: int | None = None,
    capacity: Mapping[str, float | str] | None = None,
    max_failures: int | None = None,
    hooks: Hooks | Iterable[Hooks] | None = None,
    pool: str | None = None,
    automations: Sequence[Automation] = (),
    partitions_per_run: int | Mapping[str, int] | None = None,
    confirmations: Sequence[Confirmation] = (),
    until: "Until | Mapping[str, Until] | None" = None,
    bundles: str | os.PathLike[str] | None = None,
    documents: str | os.PathLike[str] | None = None,
    registry: Registry | None = None,
) -> dg.Definitions:
    """Compile experiments and workflows to Dagster: assets, checks, a job for each, and the IO manager over the store.

    Args:
        members: all experiments and workflows of the code location, so that they share sources and store.
        store: the datum store, or its place: a folder, or ``s3://bucket/prefix``; by default what the environment
            variable ``WORKFLOW_ASSETS_STORE`` names, or a folder beside Dagster's own files.
        resources: Dagster resources, which steps find in ``ctx.resources``; the assets you add yourself can use them
            too. What is given with `per_worker` is opened by each worker that executes steps.
        backend: who executes the cells of a run, unless its configuration says otherwise; see `Experiment.run`.
        workers: how many cells at a time.
        capacity: how much a machine has of what steps need.
        max_failures: begin no more cells of a run after so many have failed.
        hooks: functions that are told when a run, its cells and steps begin and end.
        pool: whose slots limit how many runs there are at a time; by default the one resource, such as ``gpu``, that
            steps need besides cpus and memory.
        automations: what ``experiment.schedule(...)``, ``experiment.watch(...)`` and ``workflow.schedule(...)`` give:
            the daemon runs the jobs.
        partitions_per_run: how many cells a run of a backfill takes at most, of all experiments or by the names of
            some; the daemon launches as many runs as that needs, side by side as the instance's queue allows. None
            leaves each row of the grid to one run.
        confirmations: what ``experiment.confirmation(...)`` gives: each is a job of its own, whose results are
            downstream of its preregistration.
        until: when the declared replicates are enough, as for `Experiment.top_up`: what the jobs of all experiments, or
            of those named, do when a launch says nothing else. None computes all replicates.
        bundles: the folder into which each run that makes results writes an archive of them, as `Result.bundle` does.
        documents: a folder of documents, or one, read whenever the code location loads. One that cannot be read is left
            out, and an asset in its place says why.
        registry: where documents find steps and sources by their slugs.

    Families of claims that experiments share are assets too, with the verdicts adjusted over all of them; each has a
    job, ``family_speed``, that runs its experiments first.

    Merge the result with your own definitions through `dagster.Definitions.merge`. Raises `DeclarationError` for two
    experiments, sources, automations or confirmations of one name, a name that is of two of them, an automation or
    confirmation of an experiment that is not among these, a rule that some cannot be topped up by, and a family that
    experiments share and that is not adjusted by one method in all of them.
    """
    if not isinstance(store, Store):
        store = open_store(store_place() if store is None else store)
    enable_batches()
    given = dict(resources or {})
    if DATUMS in given:
        raise DeclarationError(
            "to_dagster", [f"the resource {DATUMS!r} is the IO manager's; choose another name"]
        )
    execution = Execution(backend, workers, capacity, max_failures, hooks=read_hooks(hooks))
    declared = Members()
    if wrong := [fault for member in members for fault in declared.add(member)]:
        raise DeclarationError("to_dagster", wrong)
    _pools(declared.declarations.values(), pool)
    if documents is not None and registry is None:
        raise DeclarationError("to_dagster", ["documents name steps by their slugs: give registry=Registry"])
    registry = Registry() if registry is None else registry
    bad = list(
        read_documents([] if documents is None else files_of(Path(documents)), registry, declared, pool)
    )
    experiments = declared.experiments
    sources = declared.sources
    pools = _pools(declared.declarations.values(), pool)
    assets: list[dg.AssetsDefinition] = []
    for source, experiment in sources.values():
        assets.append(source_assets(source, experiment, store))
    by_name = {experiment.name: experiment for experiment in experiments}
    if faults := [
        *_chunk_faults(partitions_per_run, by_name),
        *automation_faults(automations, by_name, {one.name: one for one in declared.workflows}),
        *confirmation_faults(confirmations, by_name),
        *family_faults(
            by_name, [*by_name, *(one.name for one in confirmations if isinstance(one, Confirmation))]
        ),
        *_until_faults(until, by_name),
        *([fault] if bundles is not None and (fault := folder_fault(bundles)) else []),
    ]:
        raise DeclarationError("to_dagster", faults)
    chunks = (
        partitions_per_run
        if isinstance(partitions_per_run, Mapping)
        else dict.fromkeys(by_name, partitions_per_run)
    )
    rules = until if isinstance(until, Mapping) else dict.fromkeys(by_name, until)
    configs = {name: until_config(name, rules.get(name)) for name in by_name}
    families = spanning(experiments)
    for experiment in experiments:
        chosen = pools[experiment.name]
        per_run = chunks.get(experiment.name)
        assets.append(step_assets(experiment, store, given, execution, chosen, per_run))
        assets.append(
            results_assets(experiment, store, given, execution, chosen, spanning=families, bundles=bundles)
        )
    jobs = {
        name: experiment_job(experiment, needs_tags([experiment], execution), configs[name])
        for name, experiment in by_name.items()
    }
    for one in confirmations:
        experiment = by_name[one.experiment]
        chosen = pools[experiment.name]
        assets.append(preregistration_assets(one, experiment, store))
        assets.append(
            confirmation_assets(one, experiment, store, given, execution, chosen, families, bundles)
        )
        jobs[one.name] = confirmation_job(one, experiment, needs_tags([experiment], execution))
    for workflow in declared.workflows:
        assets.append(workflow_assets(workflow, store, given, execution, pools[workflow.name]))
        needs = needs_tags([declared.declarations[workflow.name]], execution)
        jobs[workflow.name] = workflow_job(workflow, needs)
    assets += [document_assets(one, registry) for one in bad]
    for family, sharing in families.items():
        assets.append(family_assets(family, sharing, store))
        needs = needs_tags(sharing.values(), execution)
        jobs[family_job_name(family)] = family_job(family, sharing, needs, configs)
    return dg.Definitions(
        assets=assets,
        jobs=list(jobs.values()),
        schedules=[
            schedule_definition(one, jobs[one.workflow], {})
            if isinstance(one, WorkflowSchedule)
            else schedule_definition(one, jobs[one.experiment], configs[one.experiment])
            for one in automations
            if isinstance(one, Schedule | WorkflowSchedule)
        ],
        sensors=[
            sensor_definition(
                one, by_name[one.experiment], store, jobs[one.experiment], configs[one.experiment]
            )
            for one in automations
            if isinstance(one, Watch)
        ],
        resources={
            **{name: _for_dagster(one) for name, one in given.items()},
            DATUMS: DatumIOManager.of(store),
        },
        executor=dg.in_process_executor,
    )


def _until_faults(until: Any, experiments: Mapping[str, Experiment]) -> list[str]:
    if until is None:
        return []
    given = until if isinstance(until, Mapping) else dict.fromkeys(experiments, until)
    faults = []
    for name, rule in given.items():
        if name not in experiments:
            near = did_you_mean(str(name), experiments)
            faults.append(f"until names the experiment {name!r}, which is not given here: {near}")
        elif rule is not None:
            faults += [f"until of {name!r}: {fault}" for fault in rule_faults(experiments[name], rule)]
    return faults


def _pools(experiments: Iterable[Declaration], chosen: str | None) -> dict[str, str | None]:
    pools: dict[str, str | None] = {}
    faults: list[str] = []
    for experiment in experiments:
        pools[experiment.name], wrong = pool_of(experiment, chosen)
        faults += wrong
    if faults:
        raise DeclarationError("to_dagster", faults)
    return pools


def _for_dagster(given: Any) -> Any:
    """Let assets of the user's own have what workers open, too: Dagster opens one for each of their steps."""
    if not isinstance(given, PerWorker):
        return given

    @dg.resource
    def opened() -> Iterator[Any]:
        with given.opened() as value:
            yield value

    return opened


def _chunk_faults(partitions_per_run: Any, experiments: Mapping[str, Experiment]) -> list[str]:
    what = "a whole number of cells, 1 or more"
    if partitions_per_run is None:
        return []
    if not isinstance(partitions_per_run, Mapping):
        if is_count(partitions_per_run):
            return []
        return [
            f"partitions_per_run = {excerpt(partitions_per_run)}: expected {what}, or {{experiment: cells}}"
        ]
    faults = []
    for name, count in partitions_per_run.items():
        if name not in experiments:
            near = did_you_mean(str(name), experiments)
            faults.append(
                f"partitions_per_run names the experiment {name!r}, which is not given here: {near}"
            )
        if not is_count(count):
            faults.append(f"partitions_per_run[{name!r}] = {excerpt(count)}: expected {what}")
    return faults
