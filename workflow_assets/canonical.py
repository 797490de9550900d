"""The one form in which a value enters a compute key.

Two values have the same canonical form exactly when a step cannot tell them apart for the purposes of remembering
its result: ``-0.0`` is ``0.0``, every NaN is the same, a numpy scalar is the Python number it holds, the order of a
dict or a set does not matter (that of an `OrderedDict` does), the type of a container does.
"""

from __future__ import annotations

import collections
import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import inspect
import itertools
import logging
import math
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from workflow_assets.errors import UnkeyableError, excerpt
from workflow_assets.modules import qualified_name, wrapped

DIGEST_BYTES = 20
MAXIMUM_BYTES = 1_000_000

CodeReader = Callable[[Any], str]
"""Gives the canonical form of a function, class or module; the fingerprint knows how."""

StateReader = Callable[[Any], Collection[str] | None]
"""Names the attributes of an object that code changes as it runs, so that they are no constants; None for all of it."""


def digest(*parts: str | bytes, then: Iterable[bytes | bytearray | memoryview] = ()) -> str:
    """Give the cryptographic digest of parts, and of those that come `then`, each kept apart from its neighbours.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in itertools.chain(parts, then):
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def canonical(
    value: object, code: CodeReader | None = None, opaque: bool = False, state: StateReader | None = None
) -> str:
    """Write a value in the form that compute keys are made of.

    `code` writes functions, classes and modules; without it they raise. With `opaque`, what has no canonical form
    is written as the name of its type instead of raising: right for a logger that a function happens to use, wrong
    for a parameter. What `state` names is left out.

    Raises `UnkeyableError` for a value without a canonical form (an open file, a lock, a generator).

    >>> canonical({"b": 1, "a": -0.0}) == canonical({"a": 0.0, "b": 1})
    True
    >>> canonical(1) == canonical(1.0)
    False
    """
    try:
        return _Writer(code, opaque, state).write(value)
    except RecursionError:
        if opaque:
            return f"opaque[{qualified_name(type(value))}]"
        raise UnkeyableError("it is nested too deeply") from None


def parameter_form(value: object, place: str, code: CodeReader | None = None) -> str:
    """Write a parameter's value in canonical form, refusing what a key should not carry.

    Raises `UnkeyableError` that names `place` for values over 1 MB or without a canonical form.
    """
    writer = _Writer(code, opaque=False)
    try:
        form = writer.write(value)
    except (RecursionError, UnkeyableError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UnkeyableError(
            f"{place} = {excerpt(value)} cannot be part of a compute key: {reason}. "
            "Pass a plain value, or load it in a source"
        ) from None
    size = writer.volume + len(form)
    if size > MAXIMUM_BYTES:
        raise UnkeyableError(
            f"{place} holds {size / 1e6:.1f} MB; a parameter holds at most {MAXIMUM_BYTES / 1e6:.0f} MB. "
            "Make it a source"
        )
    return form


def unwrap_scalar(value: Any) -> Any:
    """Turn a numpy scalar (or an array of no dimensions) of a plain kind into the Python value it holds.

    Dates keep their numpy type, whose unit Python's types cannot hold; so do numbers that Python's cannot hold.
    """
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "shape", None) == ():
        dtype = getattr(value, "dtype", None)
        if dtype is not None and dtype.kind in "biufcSU" and dtype.char not in "gG":
            return value.item()
    return value


class _Writer:
    """Writes one value; keeps the path of containers being written, so that a cycle ends."""

    def __init__(self, code: CodeReader | None, opaque: bool, state: StateReader | None = None) -> None:
        self.code = code
        self.opaque = opaque
        self.state = state
        self.open: dict[int, int] = {}
        self.volume = 0  # bytes that are represented by a digest only

    def write(self, value: Any) -> str:
        kind = type(value)
        if kind in _SCALARS:
            return _SCALARS[kind](value)
        value = unwrap_scalar(value)
        kind = type(value)
        if kind in _SCALARS:
            return _SCALARS[kind](value)
        if id(value) in self.open:
            return f"<up {len(self.open) - self.open[id(value)]}>"
        self.open[id(value)] = len(self.open)
        try:
            return self._container(value, kind)
        finally:
            del self.open[id(value)]

    def _container(self, value: Any, kind: type) -> str:
        hidden = self.state(value) if self.state is not None else ()
        if hidden is None:
            return f"state[{self._kind(kind)}]"
        if kind in _CONTAINERS:
            return f"{kind.__name__}{_CONTAINERS[kind](self, value)}"
        if isinstance(value, enum.Enum):
            return f"enum[{self._kind(kind)}.{value.name}={self.write(value.value)}]"
        if isinstance(value, pathlib.PurePath):
            return f"path[{value.as_posix()!r}]"
        if isinstance(value, _CODE) or wrapped(value) is not None:
            return self._code(value)
        if isinstance(value, functools.partial):
            return f"partial[{self.write(value.func)},{self.write(value.args)},{self.write(value.keywords)}]"
        if self.opaque and isinstance(value, logging.Logger | logging.LoggerAdapter):
            return f"opaque[{qualified_name(kind)}]"
        try:
            return self._library_value(value, kind) or self._object(value, kind, hidden)
        except (RecursionError, UnkeyableError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
            return self._without_form(kind, str(error))

    def write_list(self, values: Iterable[Any]) -> str:
        return f"[{','.join(map(self.write, values))}]"

    def write_set(self, values: Iterable[Any]) -> str:
        return f"{{{','.join(sorted(map(self.write, values)))}}}"

    def write_items(self, items: Mapping[Any, Any]) -> str:
        return f"{{{','.join(sorted(map(self._item, items.items())))}}}"

    def write_ordered(self, items: Mapping[Any, Any]) -> str:
        return f"[{','.join(map(self._item, items.items()))}]"

    def write_bytes(self, value: bytes | bytearray) -> str:
        if len(value) <= 64:
            return f"[{value.hex()}]"
        self.volume += len(value)
        return f"[{len(value)} {digest(bytes(value))}]"

    def write_time(self, value: datetime.datetime | datetime.time) -> str:
        zone = value.tzinfo
        offset = (
            None if zone is None else zone.utcoffset(None)
        )  # known without a date only where it never changes
        told = self.write(zone if offset is None else offset)
        return f"[{value.replace(tzinfo=None).isoformat()},{told},{value.fold}]"

    def _item(self, item: tuple[Any, Any]) -> str:
        return f"{self.write(item[0])}:{self.write(item[1])}"

    def _kind(self, kind: Any) -> str:
        return self.code(kind) if self.code is not None else qualified_name(kind)

    def _code(self, value: Any) -> str:
        if isinstance(value, types.MethodType):
            return f"method[{self.write(value.__func__)},{self.write(value.__self__)}]"
        owner = getattr(value, "__self__", None)
        if isinstance(value, types.BuiltinMethodType) and not isinstance(owner, types.ModuleType | None):
            return f"method[{value.__name__!r},{self.write(owner)}]"
        if self.code is not None:
            return f"code[{self.code(value)}]"
        if isinstance(value, types.ModuleType):
            return f"module[{value.__name__}]"
        raise UnkeyableError(f"{excerpt(value)} is code, and no reader of code was given")

    # -- numpy and pandas, which are there if the value is --------------------------------------------------------

    def _library_value(self, value: Any, kind: type) -> str | None:
        library = kind.__module__.partition(".")[0]
        if library == "numpy" and isinstance(
            value, sys.modules["numpy"].ndarray | sys.modules["numpy"].generic
        ):
            return self._array(value, kind.__name__)
        if library == "pandas":
            pandas = sys.modules["pandas"]
            if isinstance(value, pandas.DataFrame):
                columns = [self._column(value.iloc[:, place]) for place in range(value.shape[1])]
                return f"frame[{self._column(value.columns)},{self._column(value.index)},{','.join(columns)}]"
            if isinstance(value, pandas.Series):
                return f"series[{self.write(value.name)},{self._column(value)},{self._column(value.index)}]"
            if isinstance(value, pandas.Index):
                return f"index[{self._column(value)}]"
            if isinstance(value, pandas.api.extensions.ExtensionArray):
                return f"extension[{self._column(pandas.Series(value))}]"
        return None

    def _array(self, array: Any, kind: str = "ndarray") -> str:
        numpy = sys.modules["numpy"]
        if isinstance(array, numpy.ma.MaskedArray):
            return f"masked[{self._array(array.filled())},{self._array(numpy.ma.getmaskarray(array))}]"
        name = "array" if kind in {"ndarray", "memmap"} or not isinstance(array, numpy.ndarray) else kind
        array = numpy.asarray(array)
        dtype = array.dtype
        if dtype.names:
            fields = ",".join(f"{self.write(field)}:{self._array(array[field])}" for field in dtype.names)
            return f"{name}[{array.shape},{fields}]"
        if dtype.hasobject:
            return f"{name}[object,{array.shape},{self.write_list(array.ravel().tolist())}]"
        self.volume += array.nbytes
        if dtype.kind in "fc":
            array = array + dtype.type(0)  # minus zero becomes zero
            unknown = numpy.isnan(array)
            if unknown.any():
                array = numpy.where(unknown, dtype.type(numpy.nan), array)
        if dtype.char in "gG":  # part of their bytes is padding, which holds anything
            return f"{name}[{dtype.str},{array.shape},{','.join(map(repr, array.ravel().tolist()))}]"
        dtype = dtype.newbyteorder("<")
        data = numpy.ascontiguousarray(array, dtype=dtype).reshape(-1).view(numpy.uint8)
        return (
            f"{name}[{dtype.str},{array.shape},{digest(data.tobytes() if data.nbytes < 64 else data.data)}]"
        )

    def _column(self, column: Any) -> str:
        """Write the values and types of an index or a series, without its index."""
        pandas, dtype = sys.modules["pandas"], column.dtype
        name = self.write(getattr(column, "name", None))
        if isinstance(column, pandas.MultiIndex):
            levels = (self._column(column.get_level_values(level)) for level in range(column.nlevels))
            return f"levels[{self.write(tuple(column.names))},{','.join(levels)}]"
        if isinstance(dtype, pandas.CategoricalDtype):
            codes = column.cat.codes if isinstance(column, pandas.Series) else column.codes
            categories = self._column(dtype.categories)
            return f"categories[{name},{dtype.ordered},{categories},{self._array(numpy_of(codes))}]"
        if isinstance(dtype, pandas.DatetimeTZDtype):
            return f"times[{name},{dtype!s},{self._array(numpy_of(column.array.tz_convert(None)))}]"
        return f"column[{name},{dtype!s},{self._array(column.to_numpy())}]"

    # -- any other object ---------------------------------------------------------------------------------------

    def _object(self, value: Any, kind: type, hidden: Collection[str]) -> str:
        name = self._kind(kind)
        if dataclasses.is_dataclass(value):
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return f"object[{name},{self._state({**fields, **getattr(value, '__dict__', {})}, kind, hidden)}]"
        if isinstance(value, tuple):
            return f"object[{name},{self.write_list(value)}]"
        reduced = (
            copyreg.dispatch_table[kind](value) if kind in copyreg.dispatch_table else value.__reduce_ex__(4)
        )
        if isinstance(reduced, str):
            return f"global[{name},{qualified_name(value)},{reduced}]"
        constructor, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        # `arguments` name the class itself where the constructor is the generic one.
        arguments = [argument for argument in arguments if argument is not kind]
        if isinstance(state, dict | None):
            told = self._state(state or {}, kind, hidden)
        elif (
            isinstance(state, tuple)
            and len(state) == 2
            and all(isinstance(part, dict | None) for part in state)
        ):
            told = ",".join(
                self._state(part or {}, kind, hidden) for part in state
            )  # attributes, and those in slots
        else:
            told = self.write(state)
        maker = self._kind(constructor) if isinstance(constructor, _CODE) else self.write(constructor)
        members, entries = self.write_list(items or ()), self.write_items(dict(pairs or ()))
        content = f"{self.write_list(arguments)},{told},{members},{entries}"
        return f"object[{name},{maker},{content}]"

    def _state(self, state: dict[Any, Any], kind: type, hidden: Collection[str]) -> str:
        omitted = {"__doc__", "__module__", *hidden}
        kept = [
            (key, item) for key, item in state.items() if key not in omitted and not _is_cached(kind, key)
        ]
        return self.write_items(dict(kept))

    def _without_form(self, kind: type, reason: str) -> str:
        if self.opaque:
            return f"opaque[{qualified_name(kind)}]"
        raise UnkeyableError(f"{kind.__qualname__} values cannot be written down ({reason})")


_CONTAINERS: dict[type, Callable[[_Writer, Any], str]] = {
    list: _Writer.write_list,
    tuple: _Writer.write_list,
    dict: _Writer.write_items,
    types.MappingProxyType: _Writer.write_items,
    collections.OrderedDict: _Writer.write_ordered,
    set: _Writer.write_set,
    frozenset: _Writer.write_set,
    bytes: _Writer.write_bytes,
    bytearray: _Writer.write_bytes,
    datetime.datetime: _Writer.write_time,
    datetime.time: _Writer.write_time,
}
_CODE = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, types.MethodType)


def numpy_of(values: Any) -> Any:
    """Give the numpy array of a pandas array or series."""
    return values.to_numpy() if hasattr(values, "to_numpy") else values


def _is_cached(kind: type, name: object) -> bool:
    """Whether an attribute was computed from the others when it was first asked for."""
    return isinstance(name, str) and isinstance(
        inspect.getattr_static(kind, name, None), functools.cached_property
    )


def _float(value: float) -> str:
    return "nan" if math.isnan(value) else (value + 0.0).hex()


_SCALARS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "none",
    bool: lambda value: "true" if value else "false",
    int: lambda value: f"{value:x}",
    float: _float,
    complex: lambda value: f"complex[{_float(value.real)},{_float(value.imag)}]",
    str: lambda value: f"{len(value)}'{value}'",
    type(Ellipsis): lambda _: "...",
    range: lambda value: (
        f"range[{len(value)},{value[0] if value else 0},{value.step if len(value) > 1 else 1}]"
    ),
    datetime.date: lambda value: f"date[{value.isoformat()}]",
    datetime.timedelta: lambda value: f"timedelta[{value.days},{value.seconds},{value.microseconds}]",
    decimal.Decimal: lambda value: f"decimal[{value!s}]",
    fractions.Fraction: lambda value: f"fraction[{value!s}]",
    uuid.UUID: lambda value: f"uuid[{value.hex}]",
    re.Pattern: lambda value: f"pattern[{value.pattern!r},{value.flags}]",
}
