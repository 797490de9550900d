"""Checkers: functions that say what is wrong with a value, built from a type hint."""

from __future__ import annotations

import collections.abc
import sys
import typing
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.contracts.hints import Unresolved, marks_of, plain_hint, says_nothing, union_members
from workflow_assets.errors import did_you_mean, excerpt

Checker = Callable[[Any], "str | None"]
"""Says what is wrong with a value; None if nothing is."""

MetricType = type[float] | type[int] | type[bool] | type[str]


class Reported:
    """What `Metrics` are: apart, since a worker whose steps declare none needs no pydantic."""


def metric_type(annotation: Any) -> MetricType | None:
    """Give the plain type of a metric's annotation; None for what is no metric.

    >>> metric_type(float | None)
    <class 'float'>
    """
    annotation = plain_hint(marks_of(plain_hint(annotation))[0])
    members = union_members(annotation)
    if members is not None:
        some = [member for member in members if member is not type(None)]
        annotation = plain_hint(some[0]) if len(some) == 1 else None
    if annotation in (float, int, bool, str):
        return annotation  # type: ignore[no-any-return]
    return _numpy_number(annotation)


def _numpy_number(annotation: Any) -> MetricType | None:
    """Give the Python type whose values a scalar type of numpy holds."""
    if (
        isinstance(annotation, type)
        and annotation.__module__ == "numpy"
        and annotation.__name__ != "timedelta64"
    ):
        families: dict[str, MetricType] = {
            "floating": float,
            "integer": int,
            "bool": bool,
            "bool_": bool,
            "str_": str,
        }
        return next((families[one.__name__] for one in annotation.__mro__ if one.__name__ in families), None)
    return None


def plain_number(value: Any) -> Any:
    """Give the Python value that a numpy scalar holds, for a long float the nearest."""
    value = unwrap_scalar(value)
    if _numpy_number(type(value)) is float and not isinstance(value, float):
        return float(value)
    return value


def describe(annotation: Any) -> str:
    """Write a type the way a user wrote it.

    >>> describe(list[int]), describe(float)
    ('list[int]', 'float')
    """
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, Unresolved):
        return annotation.text
    if isinstance(annotation, str):
        return annotation
    base, marks = marks_of(annotation)
    if marks:
        return f"{describe(base)} with {', '.join(map(repr, marks))}"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__
    members = union_members(annotation)
    if members is not None:
        return " | ".join(map(describe, members))
    text = getattr(annotation, "__name__", "") if not get_args(annotation) else ""
    return text or str(annotation).replace("typing.", "").replace("collections.abc.", "").replace(
        "numpy.", ""
    )


def checker(annotation: Any) -> Checker | None:
    """Build the function that says what is wrong with a value, or None where nothing can be checked."""
    annotation = plain_hint(annotation)
    base, marks = marks_of(annotation)
    if marks:
        return _all_of(
            [checker(base), *(mark.fault for mark in marks if callable(getattr(mark, "fault", None)))]
        )
    if says_nothing(annotation):
        return None
    members = union_members(annotation)
    if members is not None:
        return _any_of([checker(member) for member in members], annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _literal(arguments)
    if typing.is_typeddict(origin or annotation):
        return _typed_dict(origin or annotation)
    if origin is None or annotation is typing.Tuple:  # noqa: UP006 - which a user may have written
        return _plain(origin or annotation)
    if origin is type:
        return _class(arguments[0])
    if is_array_type(origin):
        return _array(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return _mapping(origin, *arguments) if len(arguments) == 2 else _instance(origin)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Iterable) and len(arguments) == 1:
        return _collection(origin, arguments[0])
    return _plain(origin)


def _plain(annotation: Any) -> Checker | None:
    if not isinstance(annotation, type):
        return None
    if annotation is type(None):
        return lambda value: (
            None if value is None else f"expected None, got {kind_of(value)} {excerpt(value)}"
        )
    if annotation in NUMBERS:
        return _number(annotation, NUMBERS[annotation])
    try:
        isinstance(None, annotation)
    except TypeError:  # a protocol that is for type checkers only
        return None
    return _instance(annotation)


NUMBERS: dict[type, tuple[type, ...]] = {int: (int,), float: (float, int), complex: (complex, float, int)}
"""Which types of Python count as a number of a type; a boolean does not."""


def _number(wanted: type, accepted: tuple[type, ...]) -> Checker:
    def check(value: Any) -> str | None:
        plain = plain_number(value)
        if isinstance(plain, accepted) and not isinstance(plain, bool):
            return None
        return f"expected {describe(wanted)}, got {kind_of(value)} {excerpt(value)}"

    return check


def _instance(wanted: type) -> Checker:
    number = _numpy_number(wanted)
    inside = None if number is None else _plain(number)  # a number of numpy's may have become one of Python's

    def check(value: Any) -> str | None:
        if isinstance(value, wanted) or isinstance(unwrap_scalar(value), wanted):
            return None
        if inside is not None and type(value).__module__ == "builtins" and inside(value) is None:
            return None
        return f"expected {describe(wanted)}, got {kind_of(value)} {excerpt(value)}"

    return check


def _class(wanted: Any) -> Checker | None:
    if not isinstance(wanted, type) or wanted is Any:
        return _instance(type)

    def check(value: Any) -> str | None:
        if isinstance(value, type) and issubclass(value, wanted):
            return None
        return f"expected {describe(wanted)} or a subclass, got {excerpt(value)}"

    return check


def _literal(options: tuple[Any, ...]) -> Checker:
    def check(value: Any) -> str | None:
        plain = unwrap_scalar(value)
        if any(type(plain) is type(option) and plain == option for option in options):
            return None
        told = f"expected {' or '.join(map(repr, options))}, got {kind_of(value)} {excerpt(value)}"
        texts = [option for option in options if isinstance(option, str)]
        near = did_you_mean(plain, texts) if isinstance(plain, str) else ""
        return f"{told}: {near}" if near.startswith("did") else told

    return check


def _all_of(checks: list[Checker | None]) -> Checker | None:
    active = [check for check in checks if check is not None]
    if not active:
        return None
    return lambda value: next((fault for check in active if (fault := check(value))), None)


def _any_of(checks: list[Checker | None], annotation: Any) -> Checker | None:
    active = [check for check in checks if check is not None]
    if len(active) < len(checks):
        return None
    wanted = describe(annotation)

    def check(value: Any) -> str | None:
        if any(check(value) is None for check in active):
            return None
        return f"expected {wanted}, got {kind_of(value)} {excerpt(value)}"

    return check


def _collection(origin: type, element: Any) -> Checker:
    outer, inner = _instance(origin), checker(element)

    def check(value: Any) -> str | None:
        fault = outer(value)
        if fault or inner is None or not isinstance(value, collections.abc.Collection):
            return fault  # an iterator would be used up by looking
        for place, item in enumerate(value):
            if fault := inner(item):
                return f"item {place}: {fault}"
        return None

    return check


def _tuple(arguments: tuple[Any, ...]) -> Checker:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _collection(tuple, arguments[0])
    if any(_is_unpacked(argument) for argument in arguments):
        return _instance(tuple)
    inner = [checker(argument) for argument in arguments]

    def check(value: Any) -> str | None:
        if not isinstance(value, tuple):
            return f"expected a tuple, got {kind_of(value)} {excerpt(value)}"
        if len(value) != len(inner):
            return f"expected a tuple of {len(inner)}, got {len(value)} items"
        for place, (item, look) in enumerate(zip(value, inner, strict=True)):
            if look is not None and (fault := look(item)):
                return f"item {place}: {fault}"
        return None

    return check


def _is_unpacked(argument: Any) -> bool:
    """Whether it is as ``*tuple[int, ...]`` in ``tuple[str, *tuple[int, ...]]``."""
    return get_origin(argument) is typing.Unpack or bool(getattr(argument, "__unpacked__", False))


def _mapping(origin: type, key: Any, item: Any) -> Checker:
    outer, keys, items = _instance(origin), checker(key), checker(item)

    def check(value: Any) -> str | None:
        if fault := outer(value):
            return fault
        for name, entry in value.items():
            if keys is not None and (fault := keys(name)):
                return f"key {excerpt(name)}: {fault}"
            if items is not None and (fault := items(entry)):
                return f"[{excerpt(name)}]: {fault}"
        return None

    return check


def _typed_dict(annotation: Any) -> Checker:
    try:
        hints = typing.get_type_hints(annotation, include_extras=True)
    except Exception:  # noqa: BLE001 - whatever a hint raises that names what is not there at run time
        hints = {}
    fields = {name: checker(hint) for name, hint in hints.items()}

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return f"expected a dict, got {kind_of(value)} {excerpt(value)}"
        for name in sorted(annotation.__required_keys__ - value.keys()):
            return f"key {name!r} is missing: {did_you_mean(name, map(str, value))}"
        for name, look in fields.items():
            if look is not None and name in value and (fault := look(value[name])):
                return f"[{name!r}]: {fault}"
        return None

    return check


def is_array_type(origin: Any) -> bool:
    """Tell whether a type is numpy's array, without importing numpy."""
    return isinstance(origin, type) and origin.__module__ == "numpy" and origin.__name__ == "ndarray"


def _array(arguments: tuple[Any, ...]) -> Checker:
    ndim, scalars = array_parts(arguments)

    def check(value: Any) -> str | None:
        if not isinstance(value, sys.modules["numpy"].ndarray):
            return f"expected an array, got {kind_of(value)} {excerpt(value)}"
        if scalars and not issubclass(value.dtype.type, scalars):
            return f"expected dtype {' or '.join(scalar.__name__ for scalar in scalars)}, got {value.dtype}"
        if ndim is not None and value.ndim != ndim:
            return f"expected {dimensions(ndim)}, got {value.ndim} (shape {value.shape})"
        return None

    return check


def array_parts(arguments: tuple[Any, ...]) -> tuple[int | None, tuple[type, ...]]:
    """Give the number of dimensions and the scalar types in ``numpy.ndarray[shape, dtype[scalar]]``."""
    shape = get_args(arguments[0])
    ndim = len(shape) if shape and Ellipsis not in shape else None
    scalar = (get_args(arguments[1]) or (None,))[0] if len(arguments) > 1 else None
    kinds = [get_origin(one) or one for one in union_members(scalar) or (scalar,)]
    return ndim, tuple(kinds) if all(isinstance(kind, type) and kind is not Any for kind in kinds) else ()


def dimensions(count: int) -> str:
    """Say how many dimensions."""
    return "1 dimension" if count == 1 else f"{count} dimensions"


def kind_of(value: Any) -> str:
    """Name the type of a value for a message."""
    return type(value).__qualname__
