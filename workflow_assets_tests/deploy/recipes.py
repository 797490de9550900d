"""The recipes in `deploy/`, read as data."""

import json
from pathlib import Path
from string import Template
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
RECIPES = ("local", "postgres", "docker", "kubernetes", "ecs")
FILLED = {
    "IMAGE": "account.example/workflow-assets:1",
    "PROXY_IMAGE": "account.example/workflow-assets-proxy:1",
    "AWS_REGION": "eu-central-1",
    "DAGSTER_PG_HOST": "database.example",
    "DAGSTER_LOGS_BUCKET": "logs-of-runs",
    "DATA_BUCKET": "data-of-runs",
    "WORKFLOW_ASSETS_STORE": "s3://data-of-runs/study",
    "LOG_GROUP": "/ecs/workflow-assets",
    "EXECUTION_ROLE_ARN": "arn:aws:iam::123456789012:role/execution",
    "TASK_ROLE_ARN": "arn:aws:iam::123456789012:role/task",
    "SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:workflow-assets-AbCdEf",
}


def settings(recipe: str) -> dict[str, Any]:
    """Give what a recipe's instance file says."""
    found = yaml.safe_load((DEPLOY / recipe / "dagster.yaml").read_text())
    assert isinstance(found, dict)
    return found


def installed(recipe: str, folder: Path, *, encrypted: bool = False) -> Path:
    """Put a recipe's instance file into a home for Dagster; the database of the tests knows no encryption."""
    home = folder / f"home-{recipe}"
    home.mkdir()
    text = (DEPLOY / recipe / "dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(
        text if encrypted else text.replace("sslmode: require", "sslmode: disable")
    )
    return home


def task() -> dict[str, Any]:
    """Give the task of the recipe for Amazon, filled in as `envsubst` does."""
    filled = Template((DEPLOY / "ecs" / "task-definition.json").read_text()).substitute(FILLED)
    return dict(json.loads(filled))
