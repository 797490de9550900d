"""Schemas: what documents look like, as JSON Schema, so that editors can build forms."""

from __future__ import annotations

from typing import Any, Literal

from workflow_assets.contracts.schemas import DIALECT
from workflow_assets.hypotheses import ALTERNATIVES, DECISIONS
from workflow_assets.names import IDENTIFIER, LONGEST
from workflow_assets.notations import DEEPEST
from workflow_assets.stats.methods import ADJUSTMENTS, JOINT
from workflow_assets.writings import VERSION

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 1}
_NAME = {"type": "string", "pattern": f"^{IDENTIFIER.pattern}$", "maxLength": LONGEST}
_SLUG = {"type": "string", "minLength": 1}
_ANYTHING: dict[str, Any] = {}
_UI = {"description": "A front end's own data, kept as they are."}


def _object(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": False, **more}


def _mapping(values: Any, keys: Any = None) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, **({"propertyNames": keys} if keys else {})}


def _list(items: Any, least: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, **({"minItems": least} if least else {})}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _use() -> dict[str, Any]:
    return {
        "step": {**_SLUG, "description": "The slug that the step is registered under."},
        "code_version": {
            **_TEXT,
            "description": "The fingerprint of the code that the document was written with.",
        },
        "execution": _ref("execution"),
        "each": _ref("each"),
    }


def _definitions() -> dict[str, Any]:
    retries = _object(
        {
            "times": {"type": "integer", "minimum": 0},
            "wait": {"type": "number", "minimum": 0},
            "backoff": {"type": "number", "minimum": 1},
            "longest": {"type": "number", "minimum": 0},
        },
        "times",
    )
    return {
        "argument": {
            "oneOf": [
                _object(
                    {"from": {**_SLUG, "description": "A step, input or source, or step.output."}}, "from"
                ),
                _object({"value": _ANYTHING}, "value"),
                _object({"list": _list(_ref("argument"))}, "list"),
                _object({"dict": _mapping(_ref("argument"))}, "dict"),
            ]
        },
        "execution": _object(
            {
                "retries": {"anyOf": [{"type": "integer", "minimum": 0}, retries]},
                "timeout": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]},
                "resources": _mapping({"type": ["number", "string"]}),
                "memo": {"type": "boolean"},
                "transient": {"type": "boolean"},
                "stream": {"type": ["string", "null"]},
            },
            description="Traits that this use of the step has otherwise than its declaration.",
        ),
        "each": _object(
            {"of": _list(_NAME, 1), "combine": {"enum": ["zip", "product"]}},
            "of",
            description="The parameters that are handed one item at a time, and how several are taken together.",
        ),
        "step": _object(
            {"id": _NAME, **_use(), "arguments": _mapping(_ref("argument"), _TEXT), "ui": _UI}, "id", "step"
        ),
        "input": _object(
            {
                "type": {**_TEXT, "description": "Such as list[int], or as a step is annotated."},
                "value": _ANYTHING,
            }
        ),
    }


def _head(kind: str) -> dict[str, Any]:
    return {
        "kind": {"const": kind},
        "version": {"const": VERSION},
        "name": _NAME,
        "description": _TEXT,
        "inputs": _mapping(_ref("input"), _NAME),
        "groups": _mapping({**_list(_NAME, 1), "uniqueItems": True}, _NAME),
        "sources": _mapping(_SLUG),
        "steps": _list(_ref("step"), 1),
        "ui": _UI,
    }


def document_schema(kind: Literal["workflow", "experiment"] = "workflow") -> dict[str, Any]:
    """Give the JSON Schema of the documents of a kind. What it cannot say, reading a document tells.

    >>> document_schema("experiment")["properties"]["kind"]
    {'const': 'experiment'}
    """
    properties, definitions = _head(kind), _definitions()
    if kind == "experiment":
        properties |= _experiment()
        definitions |= _parts_of_experiments()
    return {
        "$schema": DIALECT,
        "title": f"A document of workflow_assets: {kind}, version {VERSION}",
        "description": f"Nested at most {DEEPEST} deep; keys stand once.",
        **_object(properties, "kind", "version", "name", "steps"),
        "$defs": definitions,
    }


def _experiment() -> dict[str, Any]:
    return {
        "workflow": {
            **_NAME,
            "description": "The name of the workflow that it is made of, if it is another.",
        },
        "treatments": _mapping(_ref("treatment")),
        "design": _object(
            {
                "factors": _mapping(_ref("factor")),
                "blocks": _mapping(_ref("factor")),
                "settings": _mapping(_mapping({"type": ["string", "number"]})),
            },
            "factors",
            "settings",
        ),
        "replicates": {"anyOf": [_COUNT, _list(_SLUG, 1), _ref("replicates")]},
        "hypotheses": _list(_ref("hypothesis")),
        "families": _mapping({"enum": [*ADJUSTMENTS, *JOINT]}),
        "seed": {"type": "integer", "minimum": 0},
        "owners": _list(_TEXT),
        "tags": _mapping(_TEXT),
    }


def _parts_of_experiments() -> dict[str, Any]:
    level = {"anyOf": [_list(_TEXT, 1), _mapping(_list(_TEXT, 1))]}
    direction = {"enum": list(ALTERNATIVES)}
    number = {"type": "number"}
    part = {"anyOf": [direction, _object({"alternative": direction, "margin": number}, "alternative")]}
    return {
        "treatment": _object(
            {
                "parameters": _mapping(_ANYTHING),
                "steps": _mapping(_object(_use(), "step")),
                "sources": _mapping(_SLUG),
                "description": _TEXT,
                "tuned": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]},
            }
        ),
        "factor": _object(
            {
                "levels": _mapping(_ANYTHING),
                "bounds": {**_list(number, 2), "maxItems": 2},
                "log": {"type": "boolean"},
            }
        ),
        "replicates": _object(
            {
                "count": _COUNT,
                "units": level,
                "first": {"type": "integer", "minimum": 0},
                "test_fraction": {
                    "anyOf": [{**number, "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "null"}]
                },
                "levels": _list(_NAME, 1),
                "unit": _NAME,
                "block": _NAME,
                "crossed": {"type": "boolean"},
            }
        ),
        "hypothesis": _object(
            {
                "name": _NAME,
                "metric": {"anyOf": [_SLUG, _mapping(part)]},
                "treatment": {"anyOf": [_SLUG, _list(_SLUG, 1)]},
                "against": {"type": ["string", "number"]},
                "alternative": {"enum": [*ALTERNATIVES, None]},
                "margin": number,
                "test": _TEXT,
                "paired": {"type": "boolean"},
                "alpha": {**number, "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                "gate": {"type": "boolean"},
                "accept": _list({"enum": list(DECISIONS)}, 1),
                "description": _TEXT,
                "family": _TEXT,
                "overrides": _mapping(_TEXT),
            },
            "name",
            "metric",
            "treatment",
        ),
    }
