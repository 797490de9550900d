"""Bringing a parameter's value to its annotated type, without guessing.

From Python, a value is taken as it is, a whole number as a float, and a numpy scalar as the number it holds. What
JSON and YAML cannot tell apart or cannot write is taken as they write it: a list for a tuple or a set and a tuple for
a list, text for a path, a date or bytes, a mapping for a dataclass or a model, a member of an enumeration by its value.
Text is never a number, a boolean is never an integer, and ``1.0`` is no `int`.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import functools
import json
import typing
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from workflow_assets.contracts.checkers import checker, plain_number
from workflow_assets.contracts.hints import marks_of, plain_hint, says_nothing, union_members
from workflow_assets.errors import ContractError, did_you_mean, excerpt


def coerce(value: Any, annotation: Any, place: str) -> Any:
    """Bring a parameter's value to its annotated type: ``1`` is ``1.0`` for a float, a numpy scalar is a number.

    Raises `ContractError` that names `place` where the value does not fit; nothing is guessed (``"1"`` is no int).

    >>> coerce([1, 2], tuple[float, ...], "model.sizes")
    (1.0, 2.0)
    """
    value = _plain(value)
    if says_nothing(annotation):
        return value
    look = checker(annotation)
    adapter = adapter_or_none(annotation)
    if adapter is not None:
        try:
            value = _validated(adapter, value)
        except ValidationError as error:
            told = look(value) if look is not None and error.__cause__ is None else None
            told = told or _told(error)
            raise ContractError(f"{place}: {told}{_near(value, annotation)}") from None
    if look is not None and (fault := look(value)):
        raise ContractError(f"{place}: {fault}")
    return value


def _validated(adapter: TypeAdapter[Any], value: Any) -> Any:
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        try:
            text = json.dumps(value)
        except (TypeError, ValueError, RecursionError):
            text = ""
        if not text:
            raise
        try:
            return adapter.validate_json(text, strict=True)
        except ValidationError as as_written:
            if _AS_LISTS & {one["type"] for one in error.errors()} and _is_inside(as_written):
                raise as_written from error  # a list is no fault, but what is in it
        raise


_AS_LISTS = {"tuple_type", "set_type", "frozen_set_type"}
_OF_LENGTH = {"missing", "too_long"}


def _is_inside(error: ValidationError) -> bool:
    """Whether what is wrong is not the value itself, nor how long it is."""
    return all(one["loc"] and one["type"] not in _OF_LENGTH for one in error.errors())


def _plain(value: Any) -> Any:
    """Unwrap numpy's scalars, inside Python's own containers too."""
    kind = type(value)
    if kind is list or kind is tuple or kind is set or kind is frozenset:
        return kind(map(_plain, value))
    if kind is dict:
        return {_plain(key): _plain(item) for key, item in value.items()}
    return plain_number(value)


def adapter_or_none(annotation: Any) -> TypeAdapter[Any] | None:
    """Build what validates a type; None for one that pydantic does not know, or would answer with an iterator."""
    if _holds_iterator(annotation):
        return None
    try:
        return _adapter(annotation)
    except TypeError:  # not hashable
        return None


@functools.lru_cache(maxsize=1024)
def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    try:
        if _has_configuration(annotation):
            return TypeAdapter(annotation)
        return TypeAdapter(annotation, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
    except Exception:  # noqa: BLE001 - pydantic has many ways of not knowing a type
        return None


def _has_configuration(annotation: Any) -> bool:
    kind = get_origin(annotation) or annotation
    if typing.is_typeddict(kind):
        return True
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))


_ITERATORS = (
    collections.abc.Iterable,
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncIterator,
)


def _holds_iterator(annotation: Any) -> bool:
    base = plain_hint(marks_of(annotation)[0])
    return (get_origin(base) or base) in _ITERATORS or any(
        _holds_iterator(argument) for argument in get_args(base) if not isinstance(argument, list)
    )


def _told(error: ValidationError) -> str:
    faults = []
    for fault in error.errors()[:3]:
        where = ".".join(map(str, fault["loc"]))
        message = f"{fault['msg'][:1].lower()}{fault['msg'][1:]}"
        faults.append(
            f"{where}: {message}, got {excerpt(fault['input'])}"
            if where
            else f"{message}, got {excerpt(fault['input'])}"
        )
    return "; ".join(faults)


def _near(value: Any, annotation: Any) -> str:
    """Name the values of an enumeration, for one that is none of them."""
    for one in union_members(annotation) or (annotation,):
        if isinstance(one, type) and issubclass(one, enum.Enum):
            values = [str(member.value) for member in one]
            return f": {did_you_mean(str(value), values)}"
    return ""


def to_plain(value: Any, annotation: Any) -> Any:
    """Give a value as JSON would have it by its declared type; as it is where that says nothing.

    >>> to_plain((1, 2), tuple[int, ...])
    [1, 2]
    """
    adapter = None if says_nothing(annotation) else adapter_or_none(annotation)
    if adapter is None:
        return value
    try:
        return adapter.dump_python(value, mode="json", warnings=False)
    except Exception:  # noqa: BLE001 - whatever a type's own serialiser raises, the value has no such form
        return value
