"""What a step takes and gives, read from its type hints.

A contract is checked twice: when steps are composed (an edge from `str` to `int` is refused) and when they run
(element types of containers, dtype and dimensions of arrays, columns of frames). Where a hint says nothing that can
be checked, nothing is checked.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import ContractError, did_you_mean, excerpt, listing


class Metrics(BaseModel):
    """The numbers that a step reports, declared so that a misspelt metric is an error before anything runs.

    Fields are `float`, `int`, `bool` or `str`, or any of these `| None`. A field of the step `score` is the metric
    ``score.<field>``. numpy scalars are accepted as the Python numbers that they hold.

    >>> class Score(Metrics):
    ...     accuracy: float
    >>> Score(accuracy=1).accuracy
    1.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, values: Any) -> Any:
        return (
            {key: unwrap_scalar(item) for key, item in values.items()} if isinstance(values, dict) else values
        )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        for name, field in cls.model_fields.items():
            if metric_type(field.annotation) is None:
                raise TypeError(
                    f"{cls.__qualname__}.{name} is declared as {describe(field.annotation)}: "
                    "a metric is a float, int, bool or str, or one of these | None"
                )


MetricType = type[float] | type[int] | type[bool] | type[str]


def metric_type(annotation: Any) -> MetricType | None:
    """Give the plain type of a metric's annotation; None for what is no metric.

    >>> metric_type(float | None)
    <class 'float'>
    """
    if get_origin(annotation) in {Union, types.UnionType}:
        members = [member for member in get_args(annotation) if member is not type(None)]
        annotation = members[0] if len(members) == 1 else None
    return annotation if annotation in (float, int, bool, str) else None


@dataclasses.dataclass(frozen=True)
class Array:
    """The dtype and dimensions of an array, for `Annotated`.

    `shape` may hold None where a length is free.

    >>> Image = Annotated[object, Array(dtype="uint16", ndim=2)]
    """

    dtype: str | None = None
    ndim: int | None = None
    shape: tuple[int | None, ...] | None = None

    def fault(self, value: Any) -> str | None:
        """Say what about an array breaks the declaration, or None."""
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
        if shape is None or dtype is None:
            return f"expected an array, got {_kind(value)}"
        if self.dtype is not None and str(dtype) != self.dtype:
            return f"expected dtype {self.dtype}, got {dtype}"
        if self.ndim is not None and len(shape) != self.ndim:
            return f"expected {self.ndim} dimensions, got {len(shape)} (shape {shape})"
        if self.shape is not None and (
            len(shape) != len(self.shape)
            or any(want not in (None, have) for want, have in zip(self.shape, shape, strict=True))
        ):
            return f"expected shape {self.shape}, got {shape}"
        return None

    def excludes(self, other: Array) -> bool:
        """Tell whether no array can satisfy both declarations."""
        mine = self.ndim if self.shape is None else len(self.shape)
        theirs = other.ndim if other.shape is None else len(other.shape)
        return (None not in (self.dtype, other.dtype) and self.dtype != other.dtype) or (
            None not in (mine, theirs) and mine != theirs
        )


class Columns:
    """The columns of a DataFrame and their types, for `Annotated`.

    A type is `float`, `int`, `bool`, `str`, ``"datetime"``, ``"category"``, the name of a dtype, or None for any.
    With ``exact=True`` no other columns may be there.

    >>> Table = Annotated[object, Columns(radius=float, label="category")]
    """

    def __init__(
        self, columns: Mapping[str, Any] | None = None, /, *, exact: bool = False, **named: Any
    ) -> None:
        self.columns: dict[str, Any] = {**(columns or {}), **named}
        self.exact = exact
        unknown = [
            repr(kind)
            for kind in self.columns.values()
            if not isinstance(kind, str | None) and kind not in _KINDS
        ]
        if unknown:
            raise TypeError(
                f"Columns cannot check {', '.join(unknown)}: expected float, int, bool, str, 'datetime', 'category', "
                "the name of a dtype, or None"
            )

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={describe(kind)}" for name, kind in self.columns.items())
        return f"Columns({inside}{', exact' if self.exact else ''})"

    def fault(self, value: Any) -> str | None:
        """Say what about a frame breaks the declaration, or None."""
        dtypes = getattr(value, "dtypes", None)
        if dtypes is None or not hasattr(value, "columns"):
            return f"expected a DataFrame, got {_kind(value)}"
        present = [str(name) for name in value.columns]
        for name, kind in self.columns.items():
            if name not in present:
                return f"column {name!r} is missing: {did_you_mean(name, present)}"
            if not _is_kind(value[name].dtype, kind):
                return f"column {name!r} should be {describe(kind)}, and is {value[name].dtype}"
        surplus = [name for name in present if name not in self.columns]
        if self.exact and surplus:
            return f"columns {listing(surplus)} are not declared, and the declaration is exact"
        return None

    def excludes(self, other: Columns) -> bool:
        """Tell whether no frame can satisfy both declarations."""
        for one, two in ((self, other), (other, self)):
            if one.exact and set(two.columns) - set(one.columns):
                return True
        shared = self.columns.keys() & other.columns.keys()
        return any(
            None not in (self.columns[name], other.columns[name])
            and self.columns[name] != other.columns[name]
            for name in shared
        )


_KINDS = {float: "f", int: "iu", bool: "b", str: "OUT"}


def _is_kind(dtype: Any, kind: Any) -> bool:
    if kind is None:
        return True
    if kind is str:
        return str(dtype) in {"object", "str", "string"} or dtype.kind in "UT"
    if kind in _KINDS:
        return bool(dtype.kind in _KINDS[kind])
    if kind == "datetime":
        return bool(dtype.kind == "M")
    return bool(str(dtype) == kind)


Checker = Callable[[Any], "str | None"]


@dataclasses.dataclass(frozen=True)
class Unresolved:
    """A hint that names something which is not there at run time, as under ``if TYPE_CHECKING``: unchecked."""

    text: str


def read_hints(function: Callable[..., Any], local_names: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a function's type hints one by one, so that one that cannot be resolved does not hide the others."""
    try:
        return typing.get_type_hints(function, localns=dict(local_names or {}), include_extras=True)
    except Exception:  # noqa: BLE001 - whatever a hint raises, the others can be read
        inner = inspect.unwrap(function)
        names = {**getattr(inner, "__globals__", {}), **(local_names or {})}
        return {name: _resolve(hint, names) for name, hint in getattr(inner, "__annotations__", {}).items()}


def _resolve(hint: Any, names: dict[str, Any]) -> Any:
    if hint is None:
        return type(None)
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, names)  # noqa: S307 - the user's own annotation, as typing.get_type_hints does
    except Exception:  # noqa: BLE001
        return Unresolved(hint)


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
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        return f"{describe(base)} with {', '.join(map(repr, marks))}"
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


# -- at run time ------------------------------------------------------------------------------------------------------


def checker(annotation: Any) -> Checker | None:  # noqa: C901 - one line for each kind of hint
    """Build the function that says what is wrong with a value, or None where nothing can be checked."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _all_of(
            [checker(arguments[0]), *(mark.fault for mark in arguments[1:] if hasattr(mark, "fault"))]
        )
    if origin in {Union, types.UnionType}:
        return _any_of([checker(member) for member in arguments], annotation)
    if origin is Literal:
        return lambda value: (
            None if value in arguments else f"expected one of {arguments}, got {excerpt(value)}"
        )
    if isinstance(annotation, NewType):
        return checker(annotation.__supertype__)
    if isinstance(annotation, TypeVar):
        return None
    if typing.is_typeddict(annotation):
        return _typed_dict(annotation)
    if origin is None:
        return _plain(annotation)
    if _is_numpy(origin):
        return _array(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return _mapping(origin, *arguments[:2]) if len(arguments) == 2 else _instance(origin)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Collection) and len(arguments) == 1:
        return _collection(origin, arguments[0])
    if isinstance(origin, type) and issubclass(origin, collections.abc.Iterable) and len(arguments) == 1:
        return _collection(origin, arguments[0])
    return _plain(origin) if isinstance(origin, type) else None


def _plain(annotation: Any) -> Checker | None:
    if annotation is None:
        annotation = type(None)
    if annotation in (Any, object) or not isinstance(annotation, type):
        return None
    if getattr(annotation, "_is_protocol", False) and not getattr(annotation, "_is_runtime_protocol", False):
        return None
    if annotation is type(None):
        return lambda value: None if value is None else f"expected None, got {_kind(value)}"
    if annotation in _NUMBERS:
        return _number(annotation, _NUMBERS[annotation])
    return _instance(annotation)


_NUMBERS: dict[type, tuple[type, ...]] = {int: (int,), float: (float, int), complex: (complex, float, int)}


def _number(wanted: type, accepted: tuple[type, ...]) -> Checker:
    def check(value: Any) -> str | None:
        plain = unwrap_scalar(value)
        if isinstance(plain, accepted) and not isinstance(plain, bool):
            return None
        return f"expected {describe(wanted)}, got {_kind(value)} {excerpt(value)}"

    return check


def _instance(wanted: type) -> Checker:
    def check(value: Any) -> str | None:
        if isinstance(value, wanted) or isinstance(unwrap_scalar(value), wanted):
            return None
        return f"expected {describe(wanted)}, got {_kind(value)} {excerpt(value)}"

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
        return f"expected {wanted}, got {_kind(value)} {excerpt(value)}"

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
    inner = [checker(argument) for argument in arguments]

    def check(value: Any) -> str | None:
        if not isinstance(value, tuple):
            return f"expected a tuple, got {_kind(value)} {excerpt(value)}"
        if len(value) != len(inner):
            return f"expected a tuple of {len(inner)}, got {len(value)} items"
        for place, (item, look) in enumerate(zip(value, inner, strict=True)):
            if look is not None and (fault := look(item)):
                return f"item {place}: {fault}"
        return None

    return check


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
    fields = {name: checker(hint) for name, hint in typing.get_type_hints(annotation).items()}

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return f"expected a dict, got {_kind(value)} {excerpt(value)}"
        for name in sorted(annotation.__required_keys__ - value.keys()):
            return f"key {name!r} is missing"
        for name, look in fields.items():
            if look is not None and name in value and (fault := look(value[name])):
                return f"[{name!r}]: {fault}"
        return None

    return check


def _is_numpy(origin: Any) -> bool:
    return isinstance(origin, type) and origin.__module__ == "numpy" and origin.__name__ == "ndarray"


def _array(arguments: tuple[Any, ...]) -> Checker:
    ndim, scalar = _array_parts(arguments)

    def check(value: Any) -> str | None:
        numpy = sys.modules["numpy"]
        if not isinstance(value, numpy.ndarray):
            return f"expected an array, got {_kind(value)} {excerpt(value)}"
        if scalar is not None and not issubclass(value.dtype.type, scalar):
            return f"expected dtype {scalar.__name__}, got {value.dtype}"
        if ndim is not None and value.ndim != ndim:
            return f"expected {ndim} dimensions, got {value.ndim} (shape {value.shape})"
        return None

    return check


def _array_parts(arguments: tuple[Any, ...]) -> tuple[int | None, type | None]:
    """Give the number of dimensions and the scalar type in ``numpy.ndarray[shape, dtype[scalar]]``."""
    shape = get_args(arguments[0])
    ndim = len(shape) if shape and Ellipsis not in shape else None
    scalar = (get_args(arguments[1]) or (None,))[0] if len(arguments) > 1 else None
    return ndim, scalar if isinstance(scalar, type) else None


def _kind(value: Any) -> str:
    return type(value).__qualname__


# -- when composing ---------------------------------------------------------------------------------------------------


def compatible(produced: Any, consumed: Any) -> bool:
    """Tell whether a value of one declared type may be handed to a parameter of another.

    False only where no value fits: a subclass may be expected where its base is produced, since what arrives is
    checked again when it runs.

    >>> compatible(str, int), compatible(int, float), compatible(list[str], list[int])
    (False, True, False)
    """
    if _says_nothing(produced) or _says_nothing(consumed):
        return True
    for one, two in ((produced, consumed), (consumed, produced)):
        if get_origin(one) is Annotated:
            base, *marks = get_args(one)
            others = get_args(two)[1:] if get_origin(two) is Annotated else ()
            pairs = [(mark, other) for mark in marks for other in others if type(mark) is type(other)]
            if any(mark.excludes(other) for mark, other in pairs if hasattr(mark, "excludes")):
                return False
            return compatible(base, two) if one is produced else compatible(two, base)
        if isinstance(one, NewType):
            return compatible(*((one.__supertype__, two) if one is produced else (two, one.__supertype__)))
    if get_origin(produced) in {Union, types.UnionType}:
        return all(compatible(member, consumed) for member in get_args(produced))
    if get_origin(consumed) in {Union, types.UnionType}:
        return any(compatible(produced, member) for member in get_args(consumed))
    if get_origin(produced) is Literal:
        look = checker(consumed)
        return look is None or all(look(value) is None for value in get_args(produced))
    if get_origin(consumed) is Literal:
        look = checker(produced)
        return look is None or any(look(value) is None for value in get_args(consumed))
    return _compatible_classes(produced, consumed)


def _says_nothing(annotation: Any) -> bool:
    return (
        annotation in (Any, object, inspect.Parameter.empty)
        or isinstance(annotation, Unresolved | TypeVar | str)
        or getattr(annotation, "_is_protocol", False)
    )


def _compatible_classes(produced: Any, consumed: Any) -> bool:
    one, two = (_class(annotation) for annotation in (produced, consumed))
    if one is None or two is None:
        return True
    if two in _NUMBERS and one in (bool, int, float, complex):
        return one in _NUMBERS[two] or (one is bool and two is int)
    try:
        if not issubclass(one, two) and not issubclass(two, one):
            return False
    except TypeError:
        return True
    inside, wanted = get_args(produced), get_args(consumed)
    if not inside or not wanted:
        return True
    if _is_numpy(one):
        (mine, mine_type), (other, other_type) = _array_parts(inside), _array_parts(wanted)
        if None not in (mine, other) and mine != other:
            return False
        if mine_type is None or other_type is None:
            return True
        return issubclass(mine_type, other_type) or issubclass(other_type, mine_type)
    if one is tuple and two is tuple and Ellipsis not in (*inside, *wanted) and len(inside) != len(wanted):
        return False
    pairs = [pair for pair in zip(inside, wanted, strict=False) if Ellipsis not in pair]
    return all(compatible(mine, theirs) for mine, theirs in pairs)


def _class(annotation: Any) -> type | None:
    if annotation is None:
        return type(None)
    if typing.is_typeddict(annotation):
        return dict
    origin = get_origin(annotation) or annotation
    return origin if isinstance(origin, type) else None


# -- parameters -------------------------------------------------------------------------------------------------------


def coerce(value: Any, annotation: Any, place: str) -> Any:
    """Bring a parameter's value to its annotated type: ``1`` is ``1.0`` for a float, a numpy scalar is a number.

    Raises `ContractError` that names `place` where the value does not fit; nothing is guessed (``"1"`` is no int).
    """
    value = unwrap_scalar(value)
    if _says_nothing(annotation):
        return value
    try:
        adapter = _adapter(annotation)
    except Exception:  # noqa: BLE001 - pydantic has no schema for it; our own check is left
        look = checker(annotation)
        fault = look(value) if look is not None else None
        if fault:
            raise ContractError(f"{place}: {fault}") from None
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, (*fault['loc'], '')))} {fault['msg'].lower()}".strip()
            for fault in error.errors()[:3]
        )
        raise ContractError(
            f"{place} = {excerpt(value)}: expected {describe(annotation)} ({faults})"
        ) from None


@functools.lru_cache(maxsize=1024)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    if isinstance(annotation, type) and (
        issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)
    ):
        return TypeAdapter(annotation)  # which brings its own configuration
    return TypeAdapter(annotation, config=ConfigDict(strict=True, arbitrary_types_allowed=True))
