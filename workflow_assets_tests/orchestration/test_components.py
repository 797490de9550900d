"""Workflows and experiments in a project's defs folder, as `dg` scaffolds and loads them."""

import importlib
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.core.package_entry import get_package_objects_in_module

from workflow_assets.orchestration.components import WorkflowComponent
from workflow_assets.store.places import open_store

TYPE = "workflow_assets.WorkflowComponent"

PYTHON = '''
from workflow_assets import Experiment, step

@step
def measured(replicate: int, shift: float = 0.0) -> float:
    """Measure."""
    return replicate + shift

study = Experiment("study", [measured], {"shifted": {"measured.shift": 1.0}}, replicates=2)
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with an empty defs folder, and a store of its own."""
    root = tmp_path / "project"
    (root / "garden" / "defs").mkdir(parents=True)
    (root / "garden" / "__init__.py").touch()
    (root / "garden" / "defs" / "__init__.py").touch()
    (root / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "garden"\n'
    )
    monkeypatch.setenv("WORKFLOW_ASSETS_STORE", str(tmp_path / "store"))
    monkeypatch.syspath_prepend(str(root))
    yield root
    for name in [one for one in sys.modules if one.split(".")[0] == "garden"]:
        del sys.modules[name]


def write(folder: Path, name: str, attributes: str) -> Path:
    """Write a component of a project."""
    folder = folder / "garden" / "defs" / name
    folder.mkdir()
    (folder / "defs.yaml").write_text(f"type: {TYPE}\nattributes:\n{attributes}")
    return folder


def scaffold(project: Path, name: str) -> Path:
    """Scaffold a component, as `dg scaffold defs` does."""
    from dagster.components.component_scaffolding import scaffold_object

    folder = project / "garden" / "defs" / name
    folder.mkdir()
    scaffold_object(folder, TYPE, None, "yaml", project)
    return folder


def test_what_is_scaffolded_loads_and_runs(project: Path, instance: dg.DagsterInstance) -> None:
    scaffold(project, "sums")
    defs = dg.load_from_defs_folder(path_within_project=project / "garden")
    assert defs.resolve_job_def("sums").execute_in_process(instance=instance).success
    assert open_store(project.parent / "store").load_asset(("sums", "total")) == 6


def test_several_components_and_an_experiment_of_python_live_side_by_side(
    project: Path, instance: dg.DagsterInstance
) -> None:
    scaffold(project, "sums")
    scaffold(project, "more_sums")
    folder = write(project, "studies", "  members: ['.declared:study']\n  backend: serial\n")
    (folder / "declared.py").write_text(PYTHON)
    defs = dg.load_from_defs_folder(path_within_project=project / "garden")
    names = {job.name for job in defs.get_repository_def().get_all_jobs()}
    assert names >= {"sums", "more_sums", "study"}


def test_a_component_schedules_what_its_documents_declare(project: Path) -> None:
    folder = scaffold(project, "sums")
    file = folder / "defs.yaml"
    schedule = (
        "  schedules:\n    - {workflow: sums, cron: '0 3 * * *', rows: 2, parameters: {total.scale: 3}}\n"
    )
    file.write_text(file.read_text() + schedule)
    defs = dg.load_from_defs_folder(path_within_project=project / "garden")
    found = defs.resolve_schedule_def("sums_schedule")
    assert (found.cron_schedule, found.job_name) == ("0 3 * * *", "sums")


def test_the_registry_of_dg_finds_the_component_where_users_import_it_from() -> None:
    import workflow_assets

    told = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (module,) = told["project"]["entry-points"]["dagster_dg_cli.registry_modules"].values()
    assert [name for name, _ in get_package_objects_in_module(importlib.import_module(module))] == [
        "WorkflowComponent"
    ]
    assert workflow_assets.WorkflowComponent is WorkflowComponent


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ("  members: ['declared']\n", "expected module:name"),
        ("  members: ['.declared:stduy']\n", "has no 'stduy'"),
        ("  documents: nowhere\n  registry: '.declared:study'\n", "is no folder: make it"),
        ("  docments: here\n", "docments"),
    ],
)
def test_what_is_not_where_it_is_said_to_be_is_told(project: Path, attributes: str, told: str) -> None:
    folder = write(project, "studies", attributes)
    (folder / "declared.py").write_text(PYTHON)
    with pytest.raises(Exception, match=r"defs\.yaml") as caught:
        dg.load_from_defs_folder(path_within_project=project / "garden")
    said = []
    error: BaseException | None = caught.value
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    assert told in "\n".join(said)


def test_the_component_describes_its_attributes() -> None:
    model = WorkflowComponent.get_model_cls()
    assert model is not None
    schema = model.model_json_schema()
    assert schema["properties"].keys() == {
        "documents",
        "registry",
        "members",
        "store",
        "backend",
        "workers",
        "pool",
        "schedules",
    }
