"""A folder of documents becomes assets and jobs; a bad one is left out, and says why."""

import json
import logging
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflow_assets import Experiment, MemoryStore, Registry, Workflow, step, to_dagster
from workflow_assets.documents import to_document
from workflow_assets.errors import DeclarationError
from workflow_assets_tests.orchestration.studies import checks, failure_text

registry = Registry()


@registry.add
@step
def scale(x: int, k: int = 2) -> int:
    """Multiply."""
    return x * k


def document(name: str = "scaling", k: int = 3) -> dict[str, Any]:
    with Workflow(name) as workflow:
        scale(workflow.input("n", 5), k=k)
    return to_document(workflow)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two documents, of which one names an unknown step."""
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "good.json").write_text(json.dumps(document()))
    bad = json.dumps(document("other")).replace('"scale"', '"scael"')
    (folder / "bad one.json").write_text(bad)
    (folder / "notes.txt").write_text("no document")
    return folder


def test_documents_become_assets_and_jobs_and_a_bad_one_says_what_is_wrong(
    folder: Path, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    with caplog.at_level(logging.ERROR, "workflow_assets"):
        defs = to_dagster(documents=folder, registry=registry, store=store)
    assert "bad one.json is left out:\n  $.steps" in caplog.text
    assert "did you mean 'scale'?" in caplog.text
    graph = defs.get_repository_def().asset_graph
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "scaling/n",
        "scaling/scale",
        "documents/bad_one_json",
    }
    told = graph.get(dg.AssetKey(["documents", "bad_one_json"])).description
    assert told is not None
    assert "- `$.steps" in told
    assert "did you mean 'scale'?" in told
    assert defs.resolve_job_def("scaling").execute_in_process(instance=instance).success
    assert store.load_asset(("scaling", "scale")) == 15


def test_a_document_of_an_experiment_is_one_beside_those_of_python(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    @registry.add
    @step
    def measured(replicate: int, shift: float = 0.0) -> float:
        return replicate + shift

    study = Experiment("study", [measured], {"shifted": {"measured.shift": 1.0}}, replicates=2)
    (folder / "study.json").write_text(json.dumps(to_document(study)))
    own = Workflow("own", [scale], inputs={"x": 1})
    store = MemoryStore()
    defs = to_dagster(own, documents=folder, registry=registry, store=store)
    names = {job.name for job in defs.get_repository_def().get_all_jobs()}
    assert names >= {"own", "scaling", "study"}
    assert defs.resolve_job_def("study").execute_in_process(instance=instance).success
    assert store.load_asset(("study", "measured"), "0001|shifted") == 2.0


def test_the_check_of_a_bad_document_fails_until_it_is_mended(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    defs = to_dagster(documents=folder, registry=registry, store=MemoryStore())
    (asset,) = [one for one in defs.assets or [] if isinstance(one, dg.AssetsDefinition) and one.check_keys]
    result = dg.materialize([asset], instance=instance, raise_on_error=False)
    assert not result.success
    assert "did you mean 'scale'?" in failure_text(result)
    assert not checks(result)["readable"].passed
    (folder / "bad one.json").write_text(json.dumps(document("other")))
    mended = dg.materialize([asset], instance=instance)
    assert checks(mended)["readable"].passed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"{", "$"),
        (b"\xff\xfe", "$"),
        (b"[]", "$"),
        (json.dumps(document("scaling", 4)).encode(), "two workflows are called 'scaling'"),
    ],
    ids=["torn", "no text", "another thing", "a name twice"],
)
def test_whatever_is_wrong_with_a_document_costs_it_alone(folder: Path, text: bytes, told: str) -> None:
    (folder / "bad one.json").unlink()
    (folder / "worse.json").write_bytes(text)
    defs = to_dagster(documents=folder, registry=registry, store=MemoryStore())
    graph = defs.get_repository_def().asset_graph
    assert {job.name for job in defs.get_repository_def().get_all_jobs()} >= {"scaling"}
    assert told in str(graph.get(dg.AssetKey(["documents", "worse_json"])).description)


def test_a_folder_that_is_not_there_and_a_missing_registry_are_told(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="is no folder: make it"):
        to_dagster(documents=tmp_path / "none", registry=registry, store=MemoryStore())
    with pytest.raises(DeclarationError, match="give registry=Registry"):
        to_dagster(documents=tmp_path, store=MemoryStore())
