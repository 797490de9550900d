"""The one form in which a value enters a compute key.

Two values have the same canonical form exactly when a step cannot tell them apart for the purposes of remembering
its result: ``-0.0`` is ``0.0``, every NaN is the same, a numpy scalar is the Python number it holds, the order of a
dict or a set does not matter, the type of a container does.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable
from typing import Any

from workflow_assets.errors import UnkeyableError, excerpt

DIGEST_BYTES = 20
MAXIMUM_BYTES = 1_000_000

CodeReader = Callable[[Any], str]
"""Gives the canonical form of a function, class or module; the fingerprint knows how."""


def digest(*parts: str | bytes) -> str:
    """Give the cryptographic digest of parts, each kept apart from its neighbours.

    >>> digest("ab", "c") == digest("a", "bc")
    False
    """
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def canonical(value: object, code: CodeReader | None = None, opaque: bool = False) -> str:
    """Write a value in the form that compute keys are made of.

    `code` writes functions, classes and modules; without it they raise. With `opaque`, what has no canonical form
    is written as the name of its type instead of raising: right for a logger that a function happens to use, wrong
    for a parameter.

    Raises `UnkeyableError` for a value without a canonical form (an open file, a lock, a generator).

    >>> canonical({"b": 1, "a": -0.0}) == canonical({"a": 0.0, "b": 1})
    True
    >>> canonical(1) == canonical(1.0)
    False
    """
    return _Writer(code, opaque).write(value)


def parameter_form(value: object, place: str, code: CodeReader | None = None) -> str:
    """Write a parameter's value in canonical form, refusing what a key should not carry.

    Raises `UnkeyableError` that names `place` for values over 1 MB or without a canonical form.
    """
    writer = _Writer(code, opaque=False)
    try:
        form = writer.write(value)
    except UnkeyableError as error:
        raise UnkeyableError(
            f"{place} = {excerpt(value)} cannot be part of a compute key: {error}. "
            "Pass a plain value, or load it in a source"
        ) from None
    if writer.volume + len(form) > MAXIMUM_BYTES:
        raise UnkeyableError(
            f"{place} holds {(writer.volume + len(form)) / 1e6:.1f} MB; a parameter holds at most "
            f"{MAXIMUM_BYTES / 1e6:.0f} MB. Make it a source"
        )
    return form


def qualified_name(thing: Any) -> str:
    """Give the module and qualified name of a function or class.

    >>> qualified_name(datetime.date)
    'datetime:date'
    """
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or type(thing).__qualname__
    return f"{module_name(getattr(thing, '__module__', None) or type(thing).__module__)}:{name}"


def module_name(name: str) -> str:
    """Give a module the name under which others import it, also where it runs as a script.

    A key must not depend on whether ``study.py`` was imported or started.
    """
    if name != "__main__":
        return name
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    return pathlib.PurePath(getattr(main, "__file__", None) or "__main__").stem


def unwrap_scalar(value: Any) -> Any:
    """Turn a numpy scalar (or an array of no dimensions) of a plain kind into the Python value it holds.

    Dates keep their numpy type, whose unit Python's types cannot hold.
    """
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "shape", None) == ():
        dtype = getattr(value, "dtype", None)
        if dtype is not None and dtype.kind in "biufcSU" and dtype.itemsize <= 16 and dtype.char not in "gG":
            return value.item()
    return value


_CODE = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, types.MethodType)


class _Writer:
    """Writes one value; keeps the path of containers being written, so that a cycle ends."""

    def __init__(self, code: CodeReader | None, opaque: bool) -> None:
        self.code = code
        self.opaque = opaque
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
        if kind is list or kind is tuple:
            return f"{kind.__name__}[{','.join(map(self.write, value))}]"
        if kind is dict:
            return f"dict{{{self._items(value.items())}}}"
        if kind is set or kind is frozenset:
            return f"{kind.__name__}{{{','.join(sorted(map(self.write, value)))}}}"
        if isinstance(value, enum.Enum):
            return f"enum[{qualified_name(kind)}.{value.name}={self.write(value.value)}]"
        if isinstance(value, pathlib.PurePath):
            return f"path[{value.as_posix()!r}]"
        if isinstance(value, _CODE):
            return self._code(value)
        if isinstance(value, functools.partial):
            return f"partial[{self.write(value.func)},{self.write(value.args)},{self.write(value.keywords)}]"
        if isinstance(value, types.MappingProxyType):
            return f"mapping{{{self._items(value.items())}}}"
        library = kind.__module__.partition(".")[0]
        if library == "numpy" and hasattr(value, "dtype"):
            return self._array(value)
        if library == "pandas" and hasattr(value, "to_numpy"):
            return self._frame(value, kind)
        return self._object(value, kind)

    def _items(self, items: Any) -> str:
        return ",".join(sorted(f"{self.write(key)}:{self.write(item)}" for key, item in items))

    def _code(self, value: Any) -> str:
        if isinstance(value, types.MethodType):
            return f"method[{self.write(value.__func__)},{self.write(value.__self__)}]"
        if self.code is not None:
            return f"code[{self.code(value)}]"
        if isinstance(value, types.ModuleType):
            return f"module[{value.__name__}]"
        raise UnkeyableError(f"{excerpt(value)} is code, and no reader of code was given")

    def _array(self, array: Any) -> str:
        if array.dtype.hasobject:
            return f"array[{array.dtype.str},{array.shape},{','.join(map(self.write, array.ravel().tolist()))}]"
        self.volume += array.nbytes
        masked = f",{self._array(array.mask)}" if hasattr(array, "mask") and array.dtype.names is None else ""
        data = array.filled() if masked else array
        fields = repr(array.dtype.descr) if array.dtype.names else array.dtype.str
        return f"array[{fields},{array.shape},{digest(data.tobytes())}{masked}]"

    def _frame(self, frame: Any, kind: type) -> str:
        if hasattr(frame, "columns"):
            columns = ",".join(self._frame(frame.iloc[:, place], kind) for place in range(frame.shape[1]))
            return f"frame[{self._frame(frame.columns, kind)},{self._frame(frame.index, kind)},{columns}]"
        values = ",".join(map(self.write, frame.tolist())) if frame.dtype.kind not in "biufM" else ""
        if not values:
            values = self._array(frame.to_numpy())
        index = self._frame(frame.index, kind) if hasattr(frame, "index") else ""
        return f"{kind.__name__}[{frame.dtype!r},{self.write(getattr(frame, 'name', None))},{values},{index}]"

    def _object(self, value: Any, kind: type) -> str:
        name = qualified_name(kind)
        code = f"{name}={self.code(kind)}" if self.code is not None else name
        if dataclasses.is_dataclass(value):
            fields = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
            return f"object[{code},{self._items(fields)}]"
        if isinstance(value, tuple):
            return f"object[{code},{','.join(map(self.write, value))}]"
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            return self._without_form(value, f"{kind.__qualname__} values cannot be written down ({error})")
        if isinstance(reduced, str):
            return f"global[{code},{reduced}]"
        constructor, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
        # `arguments` name the class itself where the constructor is the generic one.
        arguments = [argument for argument in arguments if argument is not kind]
        members = [self.write(item) for item in items or ()]
        entries = self._items(pairs or ())
        content = f"{self.write(arguments)},{self.write(state)},[{','.join(members)}],{{{entries}}}"
        return f"object[{code},{qualified_name(constructor)},{content}]"

    def _without_form(self, value: Any, reason: str) -> str:
        if self.opaque:
            return f"opaque[{qualified_name(type(value))}]"
        raise UnkeyableError(reason)


def _float(value: float) -> str:
    return "nan" if value != value else (value + 0.0).hex()


_SCALARS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "none",
    bool: lambda value: "true" if value else "false",
    int: lambda value: f"{value:x}",
    float: _float,
    complex: lambda value: f"complex[{_float(value.real)},{_float(value.imag)}]",
    str: lambda value: f"{len(value)}'{value}'",
    bytes: lambda value: f"bytes[{digest(value)}]" if len(value) > 64 else f"bytes[{value.hex()}]",
    bytearray: lambda value: f"bytearray[{digest(bytes(value))}]",
    type(Ellipsis): lambda value: "...",
    range: lambda value: f"range[{value.start},{value.stop},{value.step}]",
    slice: lambda value: f"slice[{value!r}]",
    datetime.datetime: lambda value: f"datetime[{value.isoformat()},{value.tzinfo!r},{value.fold}]",
    datetime.date: lambda value: f"date[{value.isoformat()}]",
    datetime.time: lambda value: f"time[{value.isoformat()},{value.tzinfo!r},{value.fold}]",
    datetime.timedelta: lambda value: f"timedelta[{value!r}]",
    decimal.Decimal: lambda value: f"decimal[{value!s}]",
    fractions.Fraction: lambda value: f"fraction[{value!s}]",
    uuid.UUID: lambda value: f"uuid[{value.hex}]",
    re.Pattern: lambda value: f"pattern[{value.pattern!r},{value.flags}]",
}
