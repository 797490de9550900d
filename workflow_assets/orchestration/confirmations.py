"""Confirmations as assets: the preregistration, and downstream of it the confirmatory results and their checks."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from workflow_assets.confirmations import confirming, preregister
from workflow_assets.errors import did_you_mean, excerpt
from workflow_assets.executions import Execution
from workflow_assets.experiments import Experiment
from workflow_assets.orchestration.assets import plan_of, results_assets
from workflow_assets.orchestration.checks import Spanning
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets.orchestration.keys import (
    PREREGISTRATION,
    preregistration_key,
    results_key,
    source_key,
    source_keys,
)
from workflow_assets.orchestration.pools import told_tags
from workflow_assets.orchestration.versions import CodeVersions
from workflow_assets.preregistrations import Confirmation, Preregistration, chosen
from workflow_assets.replicates import Replicates
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Store


def preregistration_assets(one: Confirmation, experiment: Experiment, store: Store) -> dg.AssetsDefinition:
    """Compile the preregistration: materialised again unchanged, it is the same one."""
    key = preregistration_key(one.name)

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                key,
                deps=source_keys(experiment),
                description=f"What {one.name} asks of which fresh replicates, written before any is computed.",
                code_version=CodeVersions(experiment).results,
                kinds={"python"},
                group_name=one.name,
                owners=list(experiment.owners),
                tags=dict(experiment.tags),
            ).with_io_manager_key(DATUMS)
        ],
        name=f"{one.name}__preregistration",
    )
    def preregister_hypotheses(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        plan_of(context, experiment, store)  # which sees to it that assets upstream are in this store
        written = preregister(experiment, store, one)
        context.log.info(str(written))
        yield dg.MaterializeResult(
            asset_key=key, metadata=_metadata(written), data_version=dg.DataVersion(written.digest)
        )

    return preregister_hypotheses


def confirmation_assets(
    one: Confirmation,
    experiment: Experiment,
    store: Store,
    resources: Mapping[str, Any],
    execution: Execution,
    pool: str | None = None,
    spanning: Spanning | None = None,
    bundles: str | os.PathLike[str] | None = None,
) -> dg.AssetsDefinition:
    """Compile the results of a confirmation: fresh cells computed after the preregistration, and their verdicts."""

    def begin() -> tuple[Experiment, Mapping[str, Any]]:
        written = preregister(experiment, store, one)  # the same one, unless code or data have changed since
        return confirming(experiment, written, one.name), _metadata(written)

    hypotheses = chosen(experiment.hypotheses, one.hypotheses, experiment.name)
    before = experiment.confirming(hypotheses, Replicates.read(one.replicates), name=one.name)
    return results_assets(before, store, resources, execution, pool, begin, spanning, bundles)


def confirmation_job(one: Confirmation, experiment: Experiment, needs: Mapping[str, Any]) -> Any:
    """Compile the job of a confirmation's name: sources, preregistration, results and the checks on them."""
    sources = [
        source_key(source) for source in experiment.sources.values() if not isinstance(source, AssetSource)
    ]
    keys = [preregistration_key(one.name), results_key(one.name), *sources]
    return dg.define_asset_job(
        one.name,
        selection=dg.AssetSelection.assets(*keys),
        description=f"Confirm {', '.join(one.hypotheses)} of the experiment {experiment.name}.",
        tags={**told_tags(needs), **experiment.tags},
    )


def confirmation_faults(confirmations: Sequence[Any], experiments: Mapping[str, Experiment]) -> list[str]:
    """Say what is wrong with the confirmations that are given to `to_dagster`."""
    faults, names = [], set(experiments)
    for one in confirmations:
        if not isinstance(one, Confirmation):
            faults.append(
                f"confirmations has {excerpt(one)}: expected what experiment.confirmation(...) gives"
            )
            continue
        if one.experiment not in experiments:
            faults.append(
                f"confirmation {one.name!r} is of the experiment {one.experiment!r}, which is not given here: "
                f"{did_you_mean(one.experiment, experiments)}"
            )
        if one.name in names:
            faults.append(f"the name {one.name!r} is taken: give one confirmation another, name='...'")
        names.add(one.name)
    return faults


def _metadata(written: Preregistration) -> dict[str, Any]:
    git = written.git
    return {
        PREREGISTRATION: written.digest,
        "preregistered": written.when,
        "preregistered as": dg.MetadataValue.md(f"```\n{written}\n```"),
        "commit": f"{git['commit']}{' with changes' if git['dirty'] else ''}" if git else "none",
    }
