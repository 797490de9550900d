"""Forms: what a run of a workflow can be given, as a schema that the launchpad shows and a launch is held to.

Each step's configuration and the workflow's inputs are fields with types, defaults and descriptions, so that whoever
sets a wrong one is told its path before anything runs.
"""

import enum
import inspect
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from datetime import date, time
from pathlib import PurePath
from typing import Any, Literal, TypeVar, get_args, get_origin, is_typeddict
from uuid import UUID

import dagster as dg
from dagster._config import validate_config
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from workflow_assets.alterations import Alterable
from workflow_assets.compositions import Composition
from workflow_assets.contracts.coercions import coerce
from workflow_assets.contracts.hints import marks_of, plain_hint, says_nothing, union_members
from workflow_assets.errors import ContractError, DeclarationError, excerpt
from workflow_assets.mappings import FrozenDict
from workflow_assets.orchestration.configurations import RunConfig
from workflow_assets.sources import Given
from workflow_assets.wirings import Node

W = TypeVar("W", bound=Alterable)

INPUTS, STEPS, ROWS = "inputs", "steps", "rows"

MOST_STEPS, MOST_TEXT = 40, 500
"""Steps, and characters of inputs, up to which the launchpad begins with their values; else it offers the names."""

_UNTOLD = inspect.Parameter.empty
"""Stands for a value that JSON cannot tell."""

_SCALARS: Mapping[Any, Any] = {bool: dg.Bool, int: dg.Int, float: dg.Float, str: dg.String}

_TEXTS = (PurePath, date, time, UUID, bytes)
"""What JSON writes as text, and `coerce` reads from it."""


def workflow_schema(workflow: Composition) -> dict[str, Any]:
    """Give the schema of a run's configuration: the fields of all runs, the inputs, and the steps' parameters."""
    schema: dict[str, Any] = dict(RunConfig.to_fields_dict())
    steps = {node.slot: _step_field(workflow, node) for node in workflow.wired if _settable(workflow, node)}
    inputs = dict(_input_fields(workflow))
    if inputs:
        schema[INPUTS] = _group(inputs, "What the workflow begins with.", shown=_is_short(inputs))
    if workflow.given:
        schema[ROWS] = _rows_field(source.name for source in workflow.given)
    if steps:
        shown = len(steps) <= MOST_STEPS
        schema[STEPS] = _group(steps, "Parameters of the steps, for this run.", shown=shown)
    return schema


def _rows_field(names: Iterable[str]) -> dg.Field:
    each = {name: dg.Field(dg.Int, is_required=False, description=f"Of {name!r}.") for name in names}
    return dg.Field(
        dg.ScalarUnion(dg.Int, _shape(each)),
        is_required=False,
        description="Run over a sample: the first so many rows of each input and source that has rows, or of those "
        "that are named. The assets keep what they hold of everything.",
    )


def configured(workflow: W, config: Mapping[str, Any]) -> W:
    """Give the workflow with the values of a run's configuration.

    What is set to what the workflow says anyway is left as it is: JSON knows no tuples, and keys do.

    Raises `DeclarationError` or `ContractError` for values that do not fit.
    """
    calls = dict(workflow.calls)
    for slot, settings in config.get(STEPS, {}).items():
        node = workflow.wired.nodes[slot]
        new = {
            name: value for name, value in settings.items() if not _same(value, _told(node.settings[name]))
        }
        if new:
            calls[slot] = replace(calls[slot], values=FrozenDict({**calls[slot].values, **new}))
    given = {
        name: coerce(value, _hint(workflow, workflow.inputs[name]), f"input {name!r}")
        for name, value in config.get(INPUTS, {}).items()
        if workflow.inputs[name].is_empty or not _same(value, _told(workflow.inputs[name].value))
    }
    return workflow.changed(calls).bound(given)


def launch_faults(workflow: Alterable, config: Mapping[str, Any]) -> list[str]:
    """Say what is wrong with a configuration, before any run is launched with it."""
    checked = validate_config(dg.Field(_shape(workflow_schema(workflow))).config_type, config)
    if not checked.success:
        return [error.message for error in checked.errors or ()]
    rows = config.get(ROWS, {})
    if wrong := [number for number in (rows.values() if isinstance(rows, Mapping) else [rows]) if number < 1]:
        return [f"rows = {wrong[0]}: expected a whole number of 1 or more"]
    try:
        configured(workflow, config)
    except (ContractError, DeclarationError) as error:
        return list(error.faults) if isinstance(error, DeclarationError) else [str(error)]
    return []


def in_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tell values in JSON, as a configuration does.

    Raises `DeclarationError` for those that it cannot tell.
    """
    told = {name: _told(value) for name, value in values.items()}
    if faults := [
        f"{name} = {excerpt(values[name])}: no run configuration can tell it"
        for name, value in told.items()
        if value is _UNTOLD
    ]:
        raise DeclarationError("run configuration", faults)
    return told


def _group(fields: Mapping[str, dg.Field], description: str, *, shown: bool) -> dg.Field:
    """Put fields together; where they are `shown`, the launchpad begins with their defaults."""
    if shown or any(one.is_required for one in fields.values()):
        return dg.Field(_shape(fields), description=description)
    return dg.Field(_shape(fields), is_required=False, description=description)


def _is_short(fields: Mapping[str, dg.Field]) -> bool:
    defaults = [one.default_value for one in fields.values() if one.default_provided]
    return len(json.dumps(defaults)) <= MOST_TEXT


def _settable(workflow: Composition, node: Node) -> list[str]:
    """Give the parameters that a run can set: what is handed on is none, nor is what JSON cannot tell."""
    wires = workflow.calls[node.slot].wires
    return [
        name
        for name, value in node.settings.items()
        if name in node.step.parameters
        and name not in wires
        and (_told(value) is not _UNTOLD or _is_number(value))
    ]


def _step_field(workflow: Composition, node: Node) -> dg.Field:
    fields = {}
    for name in _settable(workflow, node):
        parameter = node.step.parameters[name]
        place = f"{workflow.name}__{node.slot}__{name}"
        fields[name] = _field(parameter.annotation, _told(node.settings[name]), place, required=False)
    return dg.Field(_shape(fields), description=node.step.description or f"The step {node.slot}.")


def _input_fields(workflow: Composition) -> Iterator[tuple[str, dg.Field]]:
    for name, one in workflow.inputs.items():
        place = f"{workflow.name}__inputs__{name}"
        if one.is_empty:
            yield name, _field(_hint(workflow, one), _UNTOLD, place, required=True)
        elif (told := _told(one.value)) is not _UNTOLD:
            yield name, _field(_hint(workflow, one), told, place, required=False)


def _hint(workflow: Composition, one: Given) -> Any:
    """Give the type of an input: the one that is declared, or that of the first parameter which takes it."""
    if not says_nothing(one.returns):
        return one.returns
    for node in workflow.wired:
        for place, provider in node.inputs.items():
            if provider == one.name and place in node.step.parameters and place not in node.templates:
                return node.step.parameters[place].annotation
    return one.returns


def _field(hint: Any, default: Any, place: str, *, required: bool) -> dg.Field:
    kind = config_type(hint, place)
    described = _description(hint)
    if default is None and not _takes_none(hint) and kind is not dg.Any:
        kind = dg.Noneable(kind)
    if default is _UNTOLD:
        return dg.Field(kind, is_required=required, description=described)
    try:
        return dg.Field(kind, default_value=default, description=described)
    except dg.DagsterInvalidConfigError:  # a value that Python takes, and Dagster's type does not
        return dg.Field(dg.Any, default_value=default, description=described)


def config_type(hint: Any, place: str) -> Any:
    """Give the type of configuration that tells values of a type hint; `Any` where there is none.

    Args:
        hint: the type hint.
        place: a name for the type, which is unique.

    >>> config_type(dict[str, Any], "options") is dg.Any
    False
    """
    hint = plain_hint(marks_of(plain_hint(hint))[0])
    if says_nothing(hint):
        return dg.Any
    if hint in _SCALARS:
        return _SCALARS[hint]
    if _takes_none(hint):
        members = [one for one in union_members(hint) or () if one is not type(None)]
        inner = config_type(members[0], place) if len(members) == 1 else dg.Any
        return inner if inner is dg.Any else dg.Noneable(inner)
    if names := _choices(hint):
        return dg.Enum(place, [dg.EnumValue(name) for name in names])
    return _container(hint, place)


def _container(hint: Any, place: str) -> Any:
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if not isinstance(origin, type):
        return dg.Any
    if issubclass(origin, _TEXTS):
        return dg.String
    if is_dataclass(origin) or is_typeddict(origin) or issubclass(origin, BaseModel):
        return _mapping()
    if issubclass(origin, Mapping) or origin is dict:
        if len(inner) == 2 and inner[0] is str:
            return _mapping(config_type(inner[1], place))
        return _mapping()
    if issubclass(origin, list | tuple | set | frozenset) or origin is Sequence:
        items = inner[:1] if len(inner) == 1 or inner[1:] == (...,) else ()
        return dg.Array(config_type(items[0], place) if items else dg.Any)
    return dg.Any


def _shape(fields: Mapping[str, dg.Field]) -> Any:
    return dg.Shape(fields)  # type: ignore[no-untyped-call]


def _mapping(values: Any = None) -> Any:
    return dg.Permissive() if values is None else dg.Map(str, values)  # type: ignore[no-untyped-call]


def _choices(hint: Any) -> list[str]:
    """Give the texts that a type allows, if it is a choice of texts."""
    values: list[Any] = []
    if get_origin(hint) is Literal:
        values = list(get_args(hint))
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        values = [member.value for member in hint]
    return values if all(isinstance(one, str) for one in values) else []


def _takes_none(hint: Any) -> bool:
    return type(None) in (union_members(plain_hint(marks_of(plain_hint(hint))[0])) or ())


def _description(hint: Any) -> str | None:
    """Give what pydantic's ``Field(description=...)`` or a plain text says in an annotated type."""
    for mark in marks_of(plain_hint(hint))[1]:
        said = mark if isinstance(mark, str) else getattr(mark, "description", None)
        if isinstance(said, str):
            return said
    return None


def _told(value: Any) -> Any:
    """Tell a value in JSON; `_UNTOLD` where that cannot be."""
    try:
        told = to_jsonable_python(value)
        json.dumps(told, allow_nan=False)
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        return _UNTOLD
    return told


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _same(value: Any, told: Any) -> bool:
    """Whether two values in JSON are written alike: 1, 1.0 and True are equal to Python alone."""
    return told is not _UNTOLD and json.dumps(value, sort_keys=True) == json.dumps(told, sort_keys=True)
