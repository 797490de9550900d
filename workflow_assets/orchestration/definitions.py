"""Experiments compiled to Dagster in one call."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from workflow_assets.errors import DeclarationError
from workflow_assets.experiments import Experiment
from workflow_assets.orchestration.assets import results_assets, source_assets, step_assets
from workflow_assets.orchestration.events import enable_batches
from workflow_assets.orchestration.io_managers import DATUMS, DatumIOManager
from workflow_assets.orchestration.jobs import experiment_job
from workflow_assets.orchestration.storage import store_place
from workflow_assets.sources import AssetSource, Source
from workflow_assets.store.base import Store
from workflow_assets.store.places import open_store


def to_dagster(
    *experiments: Experiment,
    store: Store | str | os.PathLike[str] | None = None,
    resources: Mapping[str, Any] | None = None,
) -> dg.Definitions:
    """Compile experiments to Dagster: assets, checks, a job for each, and the IO manager over the datum store.

    Args:
        experiments: all experiments of the code location, so that they share sources and store.
        store: the datum store, or its place: a folder, or ``s3://bucket/prefix``; by default what the environment
            variable ``WORKFLOW_ASSETS_STORE`` names, or a folder beside Dagster's own files.
        resources: Dagster resources, which steps find in ``ctx.resources``; the assets you add yourself can use them
            too.

    Merge the result with your own definitions through `dagster.Definitions.merge`. Raises `DeclarationError` for two
    experiments of one name, two sources of one name, or a name that is both.
    """
    if not isinstance(store, Store):
        store = open_store(store_place() if store is None else store)
    enable_batches()
    given = dict(resources or {})
    if DATUMS in given:
        raise DeclarationError(
            "to_dagster", [f"the resource {DATUMS!r} is the IO manager's; choose another name"]
        )
    assets: list[dg.AssetsDefinition] = []
    for source, experiment in _sources(experiments).values():
        assets.append(source_assets(source, experiment, store))
    for experiment in experiments:
        assets.append(step_assets(experiment, store, given))
        assets.append(results_assets(experiment, store, given))
    return dg.Definitions(
        assets=assets,
        jobs=[experiment_job(experiment) for experiment in experiments],
        resources={**given, DATUMS: DatumIOManager(store)},
        executor=dg.in_process_executor,
    )


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
