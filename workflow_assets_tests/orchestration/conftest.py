"""An instance of Dagster in a temporary folder, and a study to run on it."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from workflow_assets import FileStore
from workflow_assets_tests.orchestration.studies import Bench, Study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study in a folder of its own."""
    folder = tmp_path / "study"
    folder.mkdir()
    return Study(folder, monkeypatch)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A fresh instance in memory: the same queries as on disk, in a tenth of the time."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def persistent_instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A fresh instance with its storage on disk."""
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home), overrides={"telemetry": {"enabled": False}}) as instance:
        yield instance


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """A fresh store in a folder."""
    return FileStore(tmp_path / "store")


@pytest.fixture
def bench(study: Study, store: FileStore, instance: dg.DagsterInstance) -> Bench:
    """The study compiled for the instance."""
    return Bench(study.experiment(), store, instance)


@pytest.fixture(autouse=True)
def no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are told without pictures, which take most of the time of a small run, unless a test wants `pictures`.

    A picture that fails costs nothing else, so that none is needed to see whether the rest of a run is right.
    """
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("workflow_assets.orchestration.assets.gallery", lambda report: [])


@pytest.fixture
def pictures() -> None:
    """Results are told with pictures."""
