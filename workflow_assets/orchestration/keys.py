"""How an experiment's parts are called in Dagster."""

import re
from typing import Any

import dagster as dg
from dagster._core.definitions.utils import DISALLOWED_NAMES

from workflow_assets.declarations import Declaration
from workflow_assets.sources import Given, Source

REPLICATE, TREATMENT = "replicate", "treatment"
RESULTS = "results"
COMPLETE = "complete"
PREREGISTRATION = "preregistration"
FAMILIES = "families"


def step_key(experiment: str, slot: str) -> dg.AssetKey:
    """Give the asset key of a step."""
    return dg.AssetKey([experiment, slot])


def source_key(source: Source[Any]) -> dg.AssetKey:
    """Give the asset key of a source, which experiments share."""
    return dg.AssetKey(source.asset)


def source_keys(declaration: Declaration) -> list[dg.AssetKey]:
    """Give the asset keys of all sources of an experiment."""
    return [source_key(source) for source in declaration.sources.values()]


def input_keys(declaration: Declaration, slot: str) -> dict[str, dg.AssetKey]:
    """Give the asset keys of what a step depends on, by the names of sources and steps.

    Dagster looks one edge far for new data. So that it calls stale all that a run would compute anew, steps depend
    directly on every source upstream that is known by its content; a declared version is in their code versions, and so
    is the value of a workflow's input.
    """
    names = dict.fromkeys(declaration.dependencies(slot))
    sources = declaration.sources
    by_content = {name for name, one in sources.items() if one.version is None and not isinstance(one, Given)}
    pending = list(names) if by_content else []  # else the way up a thousand steps leads nowhere
    seen = set(pending)
    while pending:
        name = pending.pop(0)
        if name in by_content:
            names[name] = None
        elif name not in sources:
            more = [one for one in declaration.dependencies(name) if one not in seen]
            seen.update(more)
            pending += more
    return {
        name: source_key(declaration.sources[name])
        if name in declaration.sources
        else step_key(declaration.name, name)
        for name in names
    }


def steps_name(workflow: str) -> str:
    """Give the name of the op that computes a workflow: where its run configuration stands."""
    return f"{workflow}__steps"


def job_name(workflow: str) -> str:
    """Give the name of a workflow's job: its own, unless Dagster keeps that for itself."""
    return f"{workflow}_" if workflow in DISALLOWED_NAMES else workflow


def results_key(experiment: str) -> dg.AssetKey:
    """Give the asset key of an experiment's results."""
    return dg.AssetKey([experiment, RESULTS])


def preregistration_key(confirmation: str) -> dg.AssetKey:
    """Give the asset key of the preregistration of a confirmation."""
    return dg.AssetKey([confirmation, PREREGISTRATION])


def family_key(family: str) -> dg.AssetKey:
    """Give the asset key of a family that spans experiments; what no key takes in its name becomes ``_``."""
    return dg.AssetKey([FAMILIES, re.sub(r"\W", "_", family, flags=re.ASCII)])


def family_job_name(family: str) -> str:
    """Give the name of the job of a family that spans experiments."""
    return f"family_{family_key(family).path[-1]}"


def claim_name(experiment: str, hypothesis: str) -> str:
    """Give the name of the check on a claim of a family that spans experiments."""
    return f"{experiment}__{hypothesis}"


def partition_key(treatment: str, replicate: str) -> dg.MultiPartitionKey:
    """Give the partition key of a cell."""
    return dg.MultiPartitionKey({REPLICATE: replicate, TREATMENT: treatment})


def cell_of(key: str) -> tuple[str, str]:
    """Give the treatment and replicate of a partition key."""
    assert isinstance(key, dg.MultiPartitionKey), f"{key!r} has no dimensions"
    return key.keys_by_dimension[TREATMENT], key.keys_by_dimension[REPLICATE]


def partitions(declaration: Declaration) -> dg.MultiPartitionsDefinition:
    """Give the grid of treatments and replicates."""
    return dg.MultiPartitionsDefinition(
        {
            TREATMENT: dg.StaticPartitionsDefinition(list(declaration.treatments)),
            REPLICATE: dg.StaticPartitionsDefinition(declaration.replicates.keys),
        }
    )
