"""A Postgres for the recipes, and their instance files as Dagster loads them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from workflow_assets_tests.deploy.databases import database
from workflow_assets_tests.deploy.recipes import installed

SETTINGS = {
    "DAGSTER_LOGS_BUCKET": "logs-of-runs",
    "WORKFLOW_ASSETS_STORE": "s3://data-of-runs/study",
    "WORKFLOW_ASSETS_KEY": "k" * 32,
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "tester",
    "AWS_SECRET_ACCESS_KEY": "never-to-be-shown",
    "KUBERNETES_SERVICE_HOST": "127.0.0.1",
    "KUBERNETES_SERVICE_PORT": "1",
}


@pytest.fixture(scope="package")
def postgres() -> Iterator[dict[str, str]]:
    """A server with the environment that leads to it."""
    with database() as settings:
        yield settings


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a recipe takes from its environment, and what a pod finds of its cluster."""
    for name, value in {**SETTINGS, "WORKFLOW_ASSETS_HOME": str(tmp_path / "runs")}.items():
        monkeypatch.setenv(name, value)
    for name in ("token", "certificate"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(
        "kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(tmp_path / "certificate")
    )


@pytest.fixture
def opened(
    environment: None, postgres: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], DagsterInstance]]:
    """Open a recipe's instance, on the Postgres if it wants one."""
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    instances = []

    def instance(recipe: str) -> DagsterInstance:
        instances.append(DagsterInstance.from_config(str(installed(recipe, tmp_path))))
        return instances[-1]

    yield instance
    for one in instances:
        one.dispose()
