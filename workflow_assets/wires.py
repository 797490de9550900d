"""Wires: what an argument is taken from, whole, in parts or item by item."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from workflow_assets.errors import ContractError, did_you_mean

_UNTOLD = inspect.Parameter.empty


class From(NamedTuple):
    """What an argument is taken from: a step or source, and which of its outputs; "" for the whole."""

    name: str
    output: str = ""


class Part(NamedTuple):
    """One leaf of an argument that is made of several: where it stands, and which output it takes."""

    place: str
    output: str = ""


def parts_of(template: Any) -> Iterator[Any]:
    """Give the leaves of nested lists and mappings, in their order."""
    if isinstance(template, Mapping):
        for inner in template.values():
            yield from parts_of(inner)
    elif isinstance(template, list):
        for inner in template:
            yield from parts_of(inner)
    else:
        yield template


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """Put values in the place of what is taken from some names, or their outputs.

    >>> filled([From("a"), From("b", "x"), 3], {"b": {"x": 1}})
    [From(name='a', output=''), 1, 3]
    """
    if isinstance(template, From):
        if template.name not in values:
            return template
        value = values[template.name]
        return pick(value, template.output) if template.output else value
    if isinstance(template, Mapping):
        return {name: filled(inner, values) for name, inner in template.items()}
    return [filled(inner, values) for inner in template] if isinstance(template, list) else template


def assembled(template: Any, arguments: Mapping[str, Any]) -> Any:
    """Make an argument of several of its parts; raise `ContractError` for an output that the data do not have."""
    if isinstance(template, Mapping):
        return {name: assembled(inner, arguments) for name, inner in template.items()}
    if isinstance(template, list):
        return [assembled(inner, arguments) for inner in template]
    value = arguments[template.place]
    return pick(value, template.output) if template.output else value


def pick(value: Any, output: str) -> Any:
    """Take one output of several: an item of a mapping, or a field.

    Raises `ContractError` where there is none of that name.
    """
    if isinstance(value, Mapping):
        if output in value:
            return value[output]
        known: Iterable[str] = map(str, value)
    else:
        known = output_names(type(value)) or ()
        if output in known:
            return getattr(value, output)
    raise ContractError(f"there is no output {output!r}: {did_you_mean(output, list(known))}")


def output_names(hint: Any) -> tuple[str, ...] | None:
    """Give the names of the outputs that a declared result has; None where it does not tell."""
    for names in ("__dataclass_fields__", "model_fields", "_fields", "__annotations__"):
        if isinstance(hint, type) and (found := getattr(hint, names, None)):
            return tuple(found)
    return None


def item_type(hint: Any) -> Any:
    """Give what the items of a declared collection are, if it says so.

    >>> item_type(list[int]), item_type(dict[str, float])
    (<class 'int'>, <class 'float'>)
    """
    origin, inner = get_origin(hint), get_args(hint)
    if not isinstance(origin, type) or not inner or inner[-1] is ...:
        return _UNTOLD
    if issubclass(origin, Mapping) and len(inner) == 2:
        return inner[1]
    return inner[0] if len(inner) == 1 and issubclass(origin, Iterable) else _UNTOLD


def collection_type(item: Any, value: Any) -> Any:
    """Give the type of a collection of items of a declared type, if it says so.

    >>> collection_type(int, [1, 2]), collection_type(int, {"a": 1})
    (list[int], dict[str, int])
    """
    if item is _UNTOLD:
        return _UNTOLD
    if type(value) is list:
        return types.GenericAlias(list, (item,))
    return types.GenericAlias(dict, (str, item)) if type(value) is dict else _UNTOLD


def item_of(hint: Any, kind: type) -> Any:
    """Give what a list or mapping of a declared type holds, if it says so."""
    origin, inner = get_origin(hint), get_args(hint)
    if issubclass(kind, list) and origin in (list, Sequence) and inner:
        return inner[0]
    return (
        inner[1] if issubclass(kind, Mapping) and origin in (dict, Mapping) and len(inner) == 2 else _UNTOLD
    )


def rows_of(value: Any) -> list[dict[str, Any]] | None:
    """Give the rows of a frame as mappings; None for what is no frame."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        rows: list[dict[str, Any]] = value.to_dict("records")
        return rows
    return None
