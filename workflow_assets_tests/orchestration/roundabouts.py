"""A code location that reads a folder of documents, and what a front end asks of it over GraphQL."""

import json
from pathlib import Path
from typing import Any

LOCATION = "roundabout"

CODE = '''
from pathlib import Path

from workflow_assets import Registry, step, to_dagster

HERE = Path(__file__).parent
registry = Registry()


@registry.add
@step
def scale(x: list[int], k: int = 2) -> list[int]:
    """Multiply each."""
    return [k * one for one in x]


@registry.add
@step
def total(x: list[int]) -> int:
    """Add up."""
    if sum(x) < 0:
        raise ValueError("below zero")
    return sum(x)


defs = to_dagster(documents=HERE / "documents", registry=registry, store=HERE / "store")
'''

VALIDATE = """query ($selector: PipelineSelector!, $config: RunConfigData) {
  isPipelineConfigValid(pipeline: $selector, mode: "default", runConfigData: $config) {
    __typename
    ... on RunConfigValidationInvalid { errors {
      message reason stack { entries { __typename
        ... on EvaluationStackPathEntry { field: fieldName } } } } } } }"""


def selector(job: str) -> dict[str, str]:
    """Name a job of the location."""
    return {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "pipelineName": job,
    }


RELOAD = f"""mutation {{ reloadRepositoryLocation(repositoryLocationName: "{LOCATION}") {{
  __typename ... on WorkspaceLocationEntry {{ loadStatus locationOrLoadError {{ __typename
    ... on PythonError {{ message }} }} }} }} }}"""

ASSETS = """{ assetNodes { assetKey { path } description } }"""

LAUNCH = """mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { reason stack { entries { ... on EvaluationStackPathEntry {
    field: fieldName } } } } }
  ... on PythonError { message } } }"""


def document(**more: Any) -> dict[str, Any]:
    """The document of the cruncher, which each run gives its numbers."""
    return {
        "kind": "workflow",
        "version": 1,
        "name": "cruncher",
        "inputs": {"numbers": {"type": "list[int]"}},
        "steps": [
            {"id": "scale", "step": "scale", "arguments": {"x": {"from": "numbers"}, "k": {"value": 3}}},
            {"id": "total", "step": "total", "arguments": {"x": {"from": "scale"}}},
        ],
        **more,
    }


def edited() -> dict[str, Any]:
    """The same with one more step in between."""
    told = document()
    first, last = told["steps"]
    between = {"id": "again", "step": "scale", "arguments": {"x": {"from": "scale"}}}
    last["arguments"] = {"x": {"from": "again"}}
    return {**told, "steps": [first, between, last]}


def write_location(folder: Path) -> Path:
    """Write the location's files."""
    (folder / "documents").mkdir(parents=True)
    (folder / "location.py").write_text(CODE)
    write_document(folder, document())
    return folder


def write_document(folder: Path, told: dict[str, Any]) -> None:
    """Write the document that the location reads."""
    (folder / "documents" / "cruncher.json").write_text(json.dumps(told))


def fields_of(errors: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The reason of each fault of a run's configuration, and the path of its field within the op."""
    return [
        (
            error["reason"],
            ".".join([one["field"] for one in error["stack"]["entries"] if "field" in one][2:]),
        )
        for error in errors
    ]
