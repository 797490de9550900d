"""Experiments compiled to Dagster in one call."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from workflow_assets.automations import Automation, Schedule, Watch
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.executions import Execution
from workflow_assets.experiments import Experiment
from workflow_assets.hooks import Hooks, read_hooks
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
from workflow_assets.orchestration.pools import needs_tags, pool_of
from workflow_assets.orchestration.storage import store_place
from workflow_assets.preregistrations import Confirmation
from workflow_assets.resources import PerWorker
from workflow_assets.sources import AssetSource, Source
from workflow_assets.store.base import Store
from workflow_assets.store.places import open_store
from workflow_assets.traits import is_count
from workflow_assets.unions import spanning


def to_dagster(
    *experiments: Experiment,
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
) -> dg.Definitions:
    """Compile experiments to Dagster: assets, checks, a job for each, and the IO manager over the datum store.

    Args:
        experiments: all experiments of the code location, so that they share sources and store.
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
        automations: what ``experiment.schedule(...)`` and ``experiment.watch(...)`` give: the daemon runs the jobs.
        partitions_per_run: how many cells a run of a backfill takes at most, of all experiments or by the names of
            some; the daemon launches as many runs as that needs, side by side as the instance's queue allows. None
            leaves each row of the grid to one run.
        confirmations: what ``experiment.confirmation(...)`` gives: each is a job of its own, whose results are
            downstream of its preregistration.

    Merge the result with your own definitions through `dagster.Definitions.merge`. Raises `DeclarationError` for two
    experiments, sources, automations or confirmations of one name, a name that is of two of them, and an automation or
    confirmation of an experiment that is not among these.
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
    sources = _sources(experiments)
    pools = _pools(experiments, pool)
    assets: list[dg.AssetsDefinition] = []
    for source, experiment in sources.values():
        assets.append(source_assets(source, experiment, store))
    declared = {experiment.name: experiment for experiment in experiments}
    if faults := [
        *_chunk_faults(partitions_per_run, declared),
        *automation_faults(automations, declared),
        *confirmation_faults(confirmations, declared),
        *family_faults(declared, [*declared, *(one.name for one in confirmations)]),
    ]:
        raise DeclarationError("to_dagster", faults)
    chunks = (
        partitions_per_run
        if isinstance(partitions_per_run, Mapping)
        else dict.fromkeys(declared, partitions_per_run)
    )
    families = spanning(experiments)
    for experiment in experiments:
        chosen = pools[experiment.name]
        per_run = chunks.get(experiment.name)
        assets.append(step_assets(experiment, store, given, execution, chosen, per_run))
        assets.append(results_assets(experiment, store, given, execution, chosen, spanning=families))
    jobs = {
        name: experiment_job(experiment, needs_tags([experiment], execution))
        for name, experiment in declared.items()
    }
    for one in confirmations:
        experiment = declared[one.experiment]
        chosen = pools[experiment.name]
        assets.append(preregistration_assets(one, experiment, store))
        assets.append(confirmation_assets(one, experiment, store, given, execution, chosen))
        jobs[one.name] = confirmation_job(one, experiment, needs_tags([experiment], execution))
    for family, sharing in families.items():
        assets.append(family_assets(family, sharing, store))
        jobs[family_job_name(family)] = family_job(family, sharing, needs_tags(sharing.values(), execution))
    return dg.Definitions(
        assets=assets,
        jobs=list(jobs.values()),
        schedules=[
            schedule_definition(one, jobs[one.experiment]) for one in automations if isinstance(one, Schedule)
        ],
        sensors=[
            sensor_definition(one, declared[one.experiment], store, jobs[one.experiment])
            for one in automations
            if isinstance(one, Watch)
        ],
        resources={**{name: _for_dagster(one) for name, one in given.items()}, DATUMS: DatumIOManager(store)},
        executor=dg.in_process_executor,
    )


def _pools(experiments: Sequence[Experiment], chosen: str | None) -> dict[str, str | None]:
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


def _sources(experiments: Sequence[Any]) -> dict[str, tuple[Source[Any], Experiment]]:
    faults: list[str] = []
    names: set[str] = set()
    found: dict[str, tuple[Source[Any], Experiment]] = {}
    for experiment in experiments:
        if not isinstance(experiment, Experiment):
            faults.append(f"{experiment!r} is a {type(experiment).__qualname__}, not an experiment")
            continue
        if experiment.name in names:
            faults.append(f"two experiments are called {experiment.name!r}")
        names.add(experiment.name)
        for name, source in experiment.sources.items():
            if isinstance(source, AssetSource):
                continue
            known, other = found.setdefault(name, (source, experiment))
            if known is not source:
                faults.append(
                    f"experiments {other.name!r} and {experiment.name!r} read different sources called {name!r}; "
                    "they would be one asset: rename one of them"
                )
    if faults:
        raise DeclarationError("to_dagster", faults)
    return found


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
