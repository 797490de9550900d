"""JSON schemas of declared types: what an editor builds a form from, and checks a document against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from workflow_assets.contracts.coercions import adapter_or_none
from workflow_assets.contracts.hints import says_nothing

DIALECT = "https://json-schema.org/draft/2020-12/schema"

ABSENT: Any = object()
"""Stands for the default of what has none."""


def schema_of(annotation: Any) -> dict[str, Any] | None:
    """Give the JSON schema of a type's values, ``{}`` where the type is left open; None where JSON cannot hold them.

    >>> schema_of(list[int])
    {'items': {'type': 'integer'}, 'type': 'array'}
    >>> schema_of(type) is None
    True
    """
    if says_nothing(annotation):
        return {}
    adapter = adapter_or_none(annotation)
    if adapter is None:
        return None
    try:
        return adapter.json_schema()
    except Exception:  # noqa: BLE001 - pydantic has many ways of not having a schema
        return None


def schema_of_all(types: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Give the JSON schema of an object, of each member's type and default (`ABSENT` if it has none).

    Members whose values JSON cannot hold are left out.

    >>> schema_of_all({"k": (int, 2)})["properties"]
    {'k': {'type': 'integer', 'default': 2}}
    """
    open_ones = [name for name, (annotation, _) in types.items() if says_nothing(annotation)]
    adapters: dict[str, TypeAdapter[Any]] = {
        name: adapter
        for name, (annotation, _) in types.items()
        if name not in open_ones
        and schema_of(annotation) is not None
        and (adapter := adapter_or_none(annotation)) is not None
    }
    made, shared = TypeAdapter.json_schemas(  # together, so that two classes of one name get two definitions
        [(name, "validation", adapter) for name, adapter in adapters.items()]
    )
    properties: dict[str, Any] = {}
    for name, (_, default) in types.items():
        if name not in adapters and name not in open_ones:
            continue
        properties[name] = dict(made[name, "validation"]) if name in adapters else {}
        written = ABSENT if default is ABSENT else _written(default, adapters.get(name))
        if written is not ABSENT:
            properties[name]["default"] = written
    required = [name for name in properties if types[name][1] is ABSENT]
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
        **({"$defs": shared["$defs"]} if "$defs" in shared else {}),
    }


def _written(value: Any, adapter: TypeAdapter[Any] | None) -> Any:
    """Write a default as JSON does; `ABSENT` where it cannot."""
    try:
        plain = (
            value
            if value is None or adapter is None
            else adapter.dump_python(value, mode="json", warnings=False)
        )
        return json.loads(json.dumps(plain, allow_nan=False))
    except Exception:  # noqa: BLE001 - whatever the value's own methods raise, there is a form without it
        return ABSENT
