"""Where Dagster's own files lie on one machine: in one folder of the project, as absolute paths.

`dagster.yaml` cannot hold the path of a folder that is not known before the project is cloned, so these classes find
it: the folder named by ``WORKFLOW_ASSETS_HOME``, or ``.workflow_assets`` beside the nearest `dagster.yaml`.
"""

import os
from pathlib import Path
from typing import Any

from dagster._config import StringSource
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

FOLDER = ".workflow_assets"


def home() -> Path:
    """Give the absolute folder that run-time files lie in."""
    named = os.environ.get("WORKFLOW_ASSETS_HOME")
    if named:
        return Path(named).expanduser().absolute()
    here = Path.cwd()
    project = next((folder for folder in (here, *here.parents) if (folder / "dagster.yaml").exists()), here)
    return project / FOLDER


def store_place() -> str | Path:
    """Give where the datum store is: what ``WORKFLOW_ASSETS_STORE`` names, or a folder beside Dagster's own files."""
    return os.environ.get("WORKFLOW_ASSETS_STORE") or home() / "store"


def _place(config: dict[str, Any]) -> str:
    folder = home() / str(config["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


class EmbeddedStorage(DagsterSqliteStorage):
    """Runs, events and schedules in SQLite files in the project's folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Describe the configuration: the folder's name."""
        return {"folder": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "EmbeddedStorage":
        """Open the storage."""
        return cls(_place(config_value), inst_data=inst_data)


class EmbeddedArtifactStorage(LocalArtifactStorage):
    """What Dagster itself keeps as files, in the project's folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Describe the configuration: the folder's name."""
        return {"folder": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "EmbeddedArtifactStorage":
        """Open the storage."""
        return cls(_place(config_value), inst_data=inst_data)


class EmbeddedComputeLogs(LocalComputeLogManager):
    """What steps print, in the project's folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Describe the configuration: the folder's name."""
        return {"folder": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "EmbeddedComputeLogs":
        """Open the logs."""
        return cls(_place(config_value), inst_data=inst_data)
