"""Over GraphQL, as a front end does it: a parameter edit is run configuration, a structural one a new document."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster_graphql.schema import create_schema

from workflow_assets_tests.orchestration.roundabouts import (
    ASSETS,
    LOCATION,
    RELOAD,
    VALIDATE,
    document,
    edited,
    fields_of,
    selector,
    write_document,
    write_location,
)

Ask = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A code location that reads a folder of documents."""
    return write_location(tmp_path / "location")


@pytest.fixture
def ask(folder: Path, persistent_instance: dg.DagsterInstance) -> Iterator[Ask]:
    """Send a GraphQL query to a workspace in this process."""
    schema = create_schema()
    numbers = itertools.count()
    with ExitStack() as stack:

        def loaded() -> WorkspaceProcessContext:
            # A location in this process is not reloaded, and a file that was loaded is not read again.
            file = folder / f"location_{next(numbers)}.py"
            file.write_text((folder / "location.py").read_text())
            code = LoadableTargetOrigin(python_file=str(file), attribute="defs")
            origin = InProcessCodeLocationOrigin(code, location_name=LOCATION)
            return stack.enter_context(
                WorkspaceProcessContext(persistent_instance, InProcessWorkspaceLoadTarget(origin))
            )

        context = loaded()

        def asked(query: str, **variables: Any) -> Any:
            nonlocal context
            if query == RELOAD:
                context = loaded()
                return {}
            request = context.create_request_context()
            answer = schema.execute_async(query, context_value=request, variables=variables)
            result = asyncio.run(answer)
            assert not result.errors, result.errors
            return result.data

        yield asked


def validated(ask: Ask, **told: Any) -> list[tuple[str, str]]:
    """The faults of a run's configuration: each field's path, and a message."""
    config = {"ops": {"cruncher__steps": {"config": told}}}
    answer = ask(VALIDATE, selector=selector("cruncher"), config=config)["isPipelineConfigValid"]
    return fields_of(answer.get("errors", []))


def assets(ask: Ask) -> set[str]:
    """The assets of the location, as a front end sees them."""
    return {"/".join(one["assetKey"]["path"]) for one in ask(ASSETS)["assetNodes"]}


def test_graphql_tells_the_path_of_each_field_that_is_wrong(ask: Ask) -> None:
    assert validated(ask, inputs={"numbers": [1, 2]}) == []
    assert validated(ask, inputs={"numbers": [1, 2]}, steps={"scale": {"k": "three"}}) == [
        ("RUNTIME_TYPE_MISMATCH", "config.steps.scale.k")
    ]
    assert validated(ask, inputs={"numbers": "many"}, steps={"scale": {"q": 1}}) == [
        ("RUNTIME_TYPE_MISMATCH", "config.inputs.numbers"),
        ("FIELD_NOT_DEFINED", "config.steps.scale"),
    ]
    assert validated(ask) == [("MISSING_REQUIRED_FIELD", "config")]


def test_a_structural_edit_is_a_new_document_and_a_reload(ask: Ask, folder: Path) -> None:
    before = assets(ask)
    assert before == {"cruncher/numbers", "cruncher/scale", "cruncher/total"}
    write_document(folder, edited())
    assert assets(ask) == before, "nothing changes by itself"
    ask(RELOAD)
    assert assets(ask) == {*before, "cruncher/again"}
    assert validated(ask, inputs={"numbers": [1]}, steps={"again": {"k": 4}}) == []


def test_a_bad_edit_is_seen_after_the_reload_and_mended_by_the_next(ask: Ask, folder: Path) -> None:
    write_document(folder, document(steps=[{"id": "scale", "step": "scael", "arguments": {}}]))
    ask(RELOAD)
    (bad,) = ask(ASSETS)["assetNodes"]
    assert bad["assetKey"]["path"] == ["documents", "cruncher_json"]
    assert "$.steps[0].step" in bad["description"]
    assert "did you mean 'scale'?" in bad["description"]
    write_document(folder, document())
    ask(RELOAD)
    assert assets(ask) == {"cruncher/numbers", "cruncher/scale", "cruncher/total"}
