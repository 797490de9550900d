"""The job of an experiment: unpartitioned, so that one launch runs all of it."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from workflow_assets.declarations import Declaration
from workflow_assets.orchestration.keys import results_key, source_key
from workflow_assets.orchestration.pools import told_tags
from workflow_assets.sources import AssetSource


def experiment_job(experiment: Declaration, needs: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    """Compile the job of an experiment's name: its sources, its results and all checks on them.

    Args:
        experiment: what to run.
        needs: the tags of its ops; a run executes them in its own process, so that its launcher has to know.
        config: the run configuration of a launch that gives none.

    An asset that somebody else materialises is not part of it: its own schedule says when it is made anew.
    """
    sources = [
        source_key(source) for source in experiment.sources.values() if not isinstance(source, AssetSource)
    ]
    return dg.define_asset_job(
        experiment.name,
        selection=dg.AssetSelection.assets(results_key(experiment.name), *sources),
        description=experiment.description or f"Run the whole experiment {experiment.name}.",
        tags={**told_tags(needs), **experiment.tags},
        config=dict(config),
    )
