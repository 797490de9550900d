"""What steps need, told to Dagster: tags that a launcher reads, and the pool whose slots limit how many runs there are.

One op computes all steps of an experiment, cell by cell, and counts what they need within the run; what Dagster is told
is what the op needs as a whole.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from workflow_assets.declarations import Declaration
from workflow_assets.errors import listing
from workflow_assets.executions import Execution
from workflow_assets.traits import MEMORY, most, read_resources

CPUS, GPU = "cpus", "gpu"
NEEDS = "workflow_assets/resources"
KUBERNETES = "dagster-k8s/config"


def needs_tags(experiments: Iterable[Declaration], execution: Execution) -> dict[str, Any]:
    """Give the tags of an op that computes an experiment, or of a run of several; none where no step needs anything.

    Kubernetes is asked for what the workers need at a time, as far as their number is declared, and no more than the
    declared capacity.
    """
    needed = most(step.resources for experiment in experiments for step in experiment.steps)
    if not needed:
        return {}
    capacity, _ = read_resources(execution.capacity or {})
    asked = {
        name: max(amount, min(amount * (execution.workers or 1), capacity.get(name, math.inf)))
        for name, amount in needed.items()
    }
    tags: dict[str, Any] = {NEEDS: {name: _whole(amount) for name, amount in needed.items()}}
    limits = {}
    if MEMORY in asked:
        limits["memory"] = str(math.ceil(asked[MEMORY]))
    if GPU in asked:
        limits["nvidia.com/gpu"] = str(math.ceil(asked[GPU]))
    requests = {**limits, **({"cpu": f"{asked[CPUS]:g}"} if CPUS in asked else {})}
    if requests:
        given = {"requests": requests, **({"limits": limits} if limits else {})}
        tags[KUBERNETES] = {"container_config": {"resources": given}}
    return tags


def pool_of(experiment: Declaration, chosen: str | None) -> tuple[str | None, list[str]]:
    """Give the pool of the ops of an experiment, and what is wrong with it.

    A countable resource is its own pool; cpus and memory are the machine's, which a slot says nothing about.
    """
    countable = dict.fromkeys(name for step in experiment.steps for name in step.resources)
    names = [name for name in countable if name not in {CPUS, MEMORY}]
    if chosen is not None or len(names) < 2:
        return chosen or next(iter(names), None), []
    several = (
        f"steps of {experiment.name!r} need {listing(names)}, and a Dagster op takes a slot of one pool only"
    )
    cure = f"say which one limits how many runs there are at a time, as in to_dagster(..., pool={names[0]!r})"
    return None, [f"{several}: {cure}"]


def _whole(amount: float) -> float | int:
    return int(amount) if amount == int(amount) else amount


def told_tags(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Give the tags that a job bears, too: its run is where the ops are executed."""
    return {KUBERNETES: tags[KUBERNETES]} if KUBERNETES in tags else {}
