"""The recipes in `deploy/`, read as data."""

from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
RECIPES = ("local", "postgres", "docker", "kubernetes", "ecs")


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
