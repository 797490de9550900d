"""Documents: workflows and experiments as JSON or YAML, for editors, files and other programs.

A document holds data only: steps and sources are named by the slugs that they are registered under, and nothing in it
is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflow_assets.compositions import Composition
from workflow_assets.declarations import Declaration
from workflow_assets.errors import DocumentError, did_you_mean, excerpt
from workflow_assets.experiments import Experiment
from workflow_assets.protocols import read_experiment
from workflow_assets.readers import KINDS, kind_of, tree_of
from workflow_assets.readings import read_workflow
from workflow_assets.registries import Registry
from workflow_assets.texts import to_json, to_yaml
from workflow_assets.workflows import Workflow
from workflow_assets.writings import write_experiment, write_workflow

__all__ = ["from_document", "to_document", "to_json", "to_yaml"]


def to_document(told: Composition | Declaration) -> dict[str, Any]:
    """Give the document of a workflow or an experiment, which holds nothing but what JSON has.

    `to_json` and `to_yaml` write it as text. Raises `DocumentError` with the place of each value
    that no document can hold: nothing is changed silently.
    """
    return write_workflow(told) if isinstance(told, Composition) else write_experiment(told)


def from_document(
    told: Mapping[str, Any] | str | Path, registry: Registry, *, pinned: bool = False
) -> Workflow | Experiment:
    """Read a workflow or an experiment from a mapping, a text (JSON or YAML), or a file.

    Args:
        told: the document; a text is never the name of a file, for which there is `Path`.
        registry: where steps and sources are found by their slugs.
        pinned: refuse a document that was written with other code of its steps; by default a `DocumentWarning` tells.

    Raises `DocumentError` with every fault, each at its place.
    """
    if not isinstance(registry, Registry):
        raise DocumentError(
            "document", [("$", f"registry is {excerpt(registry)}: give Registry([step, ...])")]
        )
    tree = tree_of(told)
    kind = kind_of(tree)
    if not kind:
        given = tree.get("kind") if isinstance(tree, Mapping) else tree
        hint = did_you_mean(str(given)[:40], KINDS)
        path = "$.kind" if isinstance(tree, Mapping) and "kind" in tree else "$"
        raise DocumentError("document", [(path, f"kind = {excerpt(given)}: {hint}")])
    if kind == "workflow":
        return read_workflow(tree, registry, Workflow, pinned=pinned)
    return read_experiment(tree, registry, Experiment, pinned=pinned)
