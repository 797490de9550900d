"""Schemas: what an editor can build a form from."""

from typing import Literal

import jsonschema
import pandas as pd
import pytest

from workflow_assets import Workflow, document_schema, step, step_schema


@step
def cleaned(
    frame: pd.DataFrame,
    method: Literal["mean", "median"] = "median",
    limits: tuple[float, float] = (0.0, 1.0),
    columns: list[str] | None = None,
    name: str = "",
) -> pd.DataFrame:
    """Fill what is missing.

    Args:
        frame: rows with holes.
        method: what takes the place
            of a hole.
        limits (two numbers): the least and the most.
        columns: which.
        name: of whom.

    Raises nothing.
    """
    return frame


def test_a_step_tells_its_parameters_with_defaults_and_descriptions():
    schema = step_schema(cleaned)
    assert schema["description"] == "Fill what is missing."
    assert schema["required"] == ["frame"]
    properties = schema["properties"]
    assert properties["frame"] == {
        "description": "rows with holes. Of a type that JSON does not have: wire it."
    }
    assert properties["method"] == {
        "enum": ["mean", "median"],
        "type": "string",
        "default": "median",
        "description": "what takes the place of a hole.",
    }
    assert properties["limits"]["default"] == [0.0, 1.0]
    assert properties["limits"]["description"] == "the least and the most."
    assert properties["columns"]["anyOf"] == [
        {"type": "array", "items": {"type": "string"}},
        {"type": "null"},
    ]


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        ({"frame": None, "method": "mean", "limits": [0, 2]}, True),
        ({"frame": None, "method": "mode"}, False),
        ({"frame": None, "limits": [0]}, False),
        ({"frame": None, "colour": 1}, False),
        ({"method": "mean"}, False),
    ],
)
def test_the_schema_of_a_step_tells_sound_configuration_from_other(values, valid):
    validator = jsonschema.Draft202012Validator(step_schema(cleaned))
    assert validator.is_valid(values) is valid


@pytest.mark.parametrize("kind", ["workflow", "experiment"])
def test_the_schemas_of_documents_are_schemas(kind):
    jsonschema.Draft202012Validator.check_schema(document_schema(kind))


def test_the_schema_of_documents_tells_a_document_from_others():
    validator = jsonschema.Draft202012Validator(document_schema("workflow"))
    document = Workflow("flow", [cleaned], inputs={"frame": pd.DataFrame}).document()
    assert validator.is_valid(document)
    assert not validator.is_valid({**document, "colour": 1})
    assert not validator.is_valid({**document, "steps": []})
    assert not validator.is_valid({**document, "steps": [{**document["steps"][0], "arguments": {"a": 1}}]})
