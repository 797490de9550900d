"""The round trip of a workflow with a real webserver: parameters by run configuration, structure by a reload."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflow_assets.orchestration.accounts import run_document
from workflow_assets_tests.browser.servers import Server, happens, serve
from workflow_assets_tests.orchestration.roundabouts import (
    ASSETS,
    LAUNCH,
    LOCATION,
    RELOAD,
    edited,
    fields_of,
    selector,
    write_document,
    write_location,
)

pytestmark = pytest.mark.slow

DAGSTER = Path(sys.executable).parent / "dagster"
PATIENCE = 90.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the server's instance is."""
    home = tmp_path / "instance"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return home


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[Server]:
    """`dagster dev` on a location that reads a folder of documents."""
    folder = write_location(tmp_path / "location")
    (folder / "workspace.yaml").write_text(
        f"load_from:\n  - python_file: {{relative_path: location.py, location_name: {LOCATION}}}\n"
    )
    python_path = str(Path(__file__).parents[2])
    with serve([DAGSTER, "dev"], folder, DAGSTER_HOME=str(home), PYTHONPATH=python_path) as server:
        yield server


def launched(server: Server, **told: Any) -> Any:
    """Launch the job of the workflow, as a front end does."""
    at = {**selector("cruncher"), "jobName": "cruncher"}
    del at["pipelineName"]
    config = {"ops": {"cruncher__steps": {"config": told}}}
    params = {"selector": at, "mode": "default", "runConfigData": config}
    return server.ask(LAUNCH, params=params)["launchRun"]


def came_of(server: Server, home: Path, **told: Any) -> dict[str, Any]:
    """Launch it, wait for its end, and give what came of it."""
    run = launched(server, **told)["run"]["runId"]
    assert happens(lambda: server.status(run) in {"SUCCESS", "FAILURE"}, PATIENCE), server.told()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return run_document(instance, run)


def states(document: dict[str, Any]) -> dict[str, str]:
    return {step["id"]: step["status"] for step in document["steps"]}


def test_a_workflow_is_edited_run_and_told_over_graphql(server: Server, home: Path) -> None:
    wrong = launched(server, inputs={"numbers": [1, 2]}, steps={"scale": {"k": "three"}})
    assert wrong["__typename"] == "RunConfigValidationInvalid"
    assert fields_of(wrong["errors"]) == [("RUNTIME_TYPE_MISMATCH", "config.steps.scale.k")]

    first = came_of(server, home, inputs={"numbers": [1, 2]})
    assert (first["status"], first["steps"][-1]["metrics"]) == ("completed", {"total": 9})
    other = came_of(server, home, inputs={"numbers": [1, 2]}, steps={"scale": {"k": 10}})
    assert other["steps"][-1]["metrics"] == {"total": 30}
    assert other["steps"][0]["key"] != first["steps"][0]["key"]

    write_document(server.folder, edited())
    reloaded = server.ask(RELOAD)["reloadRepositoryLocation"]
    assert reloaded["locationOrLoadError"]["__typename"] == "RepositoryLocation"
    assert ["cruncher", "again"] in [one["assetKey"]["path"] for one in server.ask(ASSETS)["assetNodes"]]
    longer = came_of(server, home, inputs={"numbers": [1, 2]})
    assert longer["steps"][-1]["metrics"] == {"total": 18}
    assert longer["steps"][0]["key"] == first["steps"][0]["key"], (
        "what is upstream of the edit is not changed"
    )

    failed = came_of(server, home, inputs={"numbers": [-1]})
    assert states(failed) == {"scale": "completed", "again": "completed", "total": "failed"}
    error = failed["steps"][-1]["error"]
    assert (error["kind"], error["message"]) == ("ValueError", "below zero")
    assert "in total" in error["traceback"]
