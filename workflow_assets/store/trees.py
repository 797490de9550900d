"""Plain Python values as JSON, exactly: what JSON has no word for is an object with one key, which begins with ``$``.

A dataclass, pydantic model or named tuple is written as its class and its fields, and what is inside them in turn. A
member that is no tree, such as an array, is left to whoever asked.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import struct
import sys
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

from workflow_assets.errors import CodecError, excerpt
from workflow_assets.store import classes

_LONGEST_INTEGER = 10_000
"""Bits of an integer that is written in digits: Python refuses to read very long ones."""

_DEEPEST = 100
"""Levels of a tree: reading and writing call themselves for each."""


class NestingError(Exception):
    """A value holds itself, or is nested too deeply to be written as a tree."""


def to_json(tree: Any) -> str:
    """Give the one text of a tree, in ASCII."""
    kind = type(tree)
    if kind is float:
        return repr(tree)
    return encode_basestring_ascii(tree) if kind is str else _encode(tree)


def plain_to_json(value: Any) -> str | None:
    """Give the text of a value that is its own tree, as most are, at the speed of JSON; None for any other."""
    try:
        if not (is_plain(value) or (type(value) in _NESTED and is_tree(value))):
            return None
        text = to_json(value)
    except (ValueError, RecursionError):  # NaN, or a number of thousands of digits
        return None
    return None if '"$' in text or "\\ud" in text else text  # what may be a mark, or half a character


def from_json(text: str | bytes) -> Any:
    """Give the tree of a text; raise `ValueError` for what is none."""
    return _decode(text if isinstance(text, str) else text.decode())


_decode = json.JSONDecoder().decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def is_plain(value: Any) -> bool:
    """Tell whether a value is its own tree, and immutable."""
    kind = type(value)
    if kind is str:
        return value.isascii() or _is_text(value)
    if kind is float:
        return math.isfinite(value)
    return value is None or kind is bool or (kind is int and value.bit_length() <= _LONGEST_INTEGER)


class Writer:
    """Writes one value as a tree.

    `member` is asked for the tree that stands for what is none, given the value and its place in the whole; `claim`
    is asked first for one that would be a tree, and gives None for what shall be one. Afterwards, `refers` tells
    whether the tree names a class. Raises `NestingError` for a value that holds itself.
    """

    def __init__(
        self, member: Callable[[Any, str], Any], claim: Callable[[Any, str], Any] | None = None
    ) -> None:
        self._member = member
        self._claim = claim
        self.refers = False
        self._open: set[int] = set()
        self._trail: list[Any] = []

    def write(self, value: Any) -> Any:
        """Give the tree of a value."""
        if is_plain(value):
            return value
        kind = type(value)
        if kind is list or kind is tuple:
            items = value if _all_plain(value) else self._items(value, enumerate(value))
            return items if kind is list else {"$tuple": items}
        if kind is dict:
            return self._dict(value)
        if kind is set or kind is frozenset:
            items = self._items(value, enumerate(value))
            return {f"${kind.__name__}": sorted(items, key=_encode)}  # the same bytes in every process
        if self._claim is not None and (claimed := self._claim(value, self.place)) is not None:
            return claimed
        if kind in _TO_TEXT:
            tag, text = _TO_TEXT[kind]
            return {f"${tag}": text(value)}
        written = self._named(value)
        return self._member(value, self.place) if written is None else written

    @property
    def place(self) -> str:
        """Where in the whole the writer is; "" only for the whole itself."""
        return ".".join(
            str(part) or "''" if type(part) in (str, int) else excerpt(part) for part in self._trail
        )

    def _items(self, value: Any, named: Iterable[tuple[Any, Any]]) -> list[Any]:
        if id(value) in self._open or len(self._open) > _DEEPEST:
            raise NestingError
        self._open.add(id(value))
        written = []
        for place, item in named:
            if not is_plain(item):
                self._trail.append(place)
                item = self.write(item)  # noqa: PLW2901
                self._trail.pop()
            written.append(item)
        self._open.discard(id(value))
        return written

    def _fields(self, value: Any, fields: dict[str, Any]) -> dict[str, Any]:
        return dict(zip(fields, self._items(value, fields.items()), strict=True))

    def _dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        if set(map(type, value)) <= _TEXT and _are_names(value):
            return value if _all_plain(value.values()) else self._fields(value, value)
        keys = self._items(value, ((f"key {place}", key) for place, key in enumerate(value)))
        return {"$dict": list(zip(keys, self._items(value, value.items()), strict=True))}

    def _named(self, value: Any) -> dict[str, Any] | None:
        """Write what is known by its class, or by its type in a library."""
        kind = type(value)
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.generic):
            return self._numpy(value) if kind.__module__ == "numpy" else None
        if kind is datetime.datetime or kind is datetime.time:
            zone = write_zone(value.tzinfo)
            parts = [value.replace(tzinfo=None).isoformat(), value.fold, zone]
            return None if zone is False else {f"${kind.__name__}": parts}
        if isinstance(value, enum.Enum):
            name = classes.name_of(kind)
            if name is None:
                return None
            self.refers = True
            if kind.__members__.get(value.name) is value:
                return {"$enum": [name, value.name]}
            return {"$flag": [name, value.value]} if isinstance(value, enum.Flag) else None
        state = classes.take_apart(value)
        name = classes.name_of(kind) if state is not None else None
        if state is None or name is None:
            return None
        self.refers = True
        return {f"${state.kind}": [name, self._fields(value, state.fields), *map(self.write, state.more)]}

    def _numpy(self, value: Any) -> dict[str, Any] | None:
        kind, name = value.dtype.kind, type(value).__name__
        if kind in "biu":
            return {"$numpy": [name, value.item()]}
        if kind == "f" and value.dtype.itemsize <= 8 and math.isfinite(value):
            return {"$numpy": [name, value.item()]}
        if kind == "U":
            return {"$numpy": [name, self.write("".join(value))]}  # str() drops its zeros
        if kind == "S":
            return {"$numpy": [name, self.write(bytes(value))]}
        if kind in "fcmM":
            return {"$scalar": [value.dtype.str, base64.b64encode(value.tobytes()).decode()]}
        return None


class Reader:
    """Reads trees.

    `member` is given what stands for a member, and gives its value. With `imports` off, classes are looked up only in
    modules that are already loaded.
    """

    def __init__(self, member: Callable[[Any], Any] | None = None, *, imports: bool = False) -> None:
        self._member = member
        self._imports = imports

    def read(self, tree: Any) -> Any:
        """Give the value of a tree; raise `CodecError` for a mark that has no meaning."""
        if type(tree) is list:
            return tree if _all_plain(tree) else [self.read(item) for item in tree]
        if type(tree) is not dict:
            return tree
        if len(tree) == 1:
            tag, content = next(iter(tree.items()))
            if tag[:1] == "$":
                return self._tagged(tag[1:], content)
        return {key: self.read(item) for key, item in tree.items()}

    def _tagged(self, tag: str, content: Any) -> Any:
        if tag in _FROM_TEXT:
            return _FROM_TEXT[tag](content)
        if tag == "dict":
            return {self.read(key): self.read(item) for key, item in content}
        if tag in _COLLECTIONS:
            return _COLLECTIONS[tag](map(self.read, content))
        if tag in {"datetime", "time"}:
            text, fold, zone = content
            return getattr(datetime, tag).fromisoformat(text).replace(fold=fold, tzinfo=read_zone(zone))
        if tag in {"numpy", "scalar"}:
            return self._numpy(tag, *content)
        if tag in {"enum", "flag"}:
            return self._enum(tag, *content)
        if tag in classes.KINDS:
            name, fields, *more = content
            values = {key: self.read(item) for key, item in fields.items()}
            return classes.put_together(tag, classes.find(name, self._imports), values, *map(self.read, more))
        if tag == "member" and self._member is not None:
            return self._member(content)
        raise CodecError(f"the stored value has the unknown mark ${tag}")

    def _enum(self, tag: str, name: str, content: Any) -> Any:
        cls = classes.find(name, self._imports)
        if not issubclass(cls, enum.Enum if tag == "enum" else enum.Flag):
            raise CodecError(f"the stored value is a {name}, which is no {tag}")
        return cls.__members__[content] if tag == "enum" else cls(int(content))

    def _numpy(self, tag: str, name: str, content: Any) -> Any:
        import numpy as np

        if tag == "scalar":
            return np.frombuffer(base64.b64decode(content), dtype=np.dtype(str(name)))[0]
        kind = vars(np).get(name)  # asking numpy itself may import
        held = self.read(content)
        if (
            not isinstance(kind, type)
            or not issubclass(kind, np.generic)
            or type(held) not in _HELD.get(np.dtype(kind).kind, ())
        ):
            raise CodecError(f"the stored value is a numpy {name}, and numpy has no such type")
        return kind(held)


def write_zone(zone: Any) -> Any:
    """Give the tree of a time zone; False for one that is not of the standard library, or has a name of its own."""
    if zone is None:
        return None
    if type(zone) is datetime.timezone:
        offset = zone.utcoffset(None)
        nameless = zone == datetime.timezone(offset) and zone.tzname(None) == datetime.timezone(
            offset
        ).tzname(None)
        return offset / datetime.timedelta(microseconds=1) if nameless else False
    zoneinfo = sys.modules.get("zoneinfo")
    return zone.key or False if zoneinfo is not None and type(zone) is zoneinfo.ZoneInfo else False


def read_zone(zone: Any) -> datetime.tzinfo | None:
    """Give the time zone of a tree."""
    if zone is None:
        return None
    if isinstance(zone, str):
        import zoneinfo

        return zoneinfo.ZoneInfo(zone)
    return datetime.timezone(datetime.timedelta(microseconds=zone)) if zone else datetime.UTC


def _is_text(value: str) -> bool:
    """Tell whether JSON keeps a text: two lone surrogates side by side would be read as one character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_tree(value: Any, depth: int = 0) -> bool:
    """Tell whether all in a dict or list is of JSON's own types."""
    items = value
    if type(value) is dict:
        items = value.values()
        if not set(map(type, value)) <= _TEXT:
            return False
    nested = set(map(type, items)) - _PLAIN
    return not nested or (
        nested <= _NESTED
        and depth < _DEEPEST
        and all(is_tree(item, depth + 1) for item in items if type(item) in _NESTED)
    )


def _are_names(keys: dict[str, Any]) -> bool:
    """Tell whether keys are texts that are not taken for our marks."""
    joined = "".join(keys)
    return (joined.isascii() and "$" not in joined) or all(key[:1] != "$" and _is_text(key) for key in keys)


def _all_plain(items: Collection[Any]) -> bool:
    """Tell whether all are their own trees, at C's speed for long lists of numbers or texts."""
    kinds = set(map(type, items))
    if kinds == {float}:
        return all(map(math.isfinite, items))
    if kinds == {int}:
        return max(map(int.bit_length, items)) <= _LONGEST_INTEGER
    if kinds == {str} and all(map(str.isascii, items)):
        return True
    return kinds <= {bool, type(None)} or (kinds <= _PLAIN and all(map(is_plain, items)))


_HELD: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (float,),
    "U": (str,),
    "S": (bytes,),
}
"""What a scalar of numpy is made from, by the kind of its type: of a number, it may make as many bytes."""
_PLAIN = {type(None), bool, int, str, float}
_TEXT = {str}
_NESTED = {dict, list}


def _bytes_text(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


def _float_text(value: float) -> str | list[str]:
    """Give the text of a float that is not finite; NaN has bits that may differ, as those of ∞ - ∞ do."""
    bits = struct.pack(">d", value)
    return repr(value) if math.isinf(value) or bits == struct.pack(">d", math.nan) else ["nan", bits.hex()]


def _timedelta_text(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _float(text: str | list[str]) -> float:
    if isinstance(text, str):
        return float(text)
    value: float = struct.unpack(">d", bytes.fromhex(text[1]))[0]
    return value


_TO_TEXT: dict[type, tuple[str, Callable[[Any], Any]]] = {
    bytes: ("bytes", _bytes_text),
    bytearray: ("bytearray", _bytes_text),
    int: ("int", hex),
    float: ("float", _float_text),
    str: ("str", lambda value: _bytes_text(value.encode("utf-8", "surrogatepass"))),
    complex: ("complex", lambda value: [_float_text(value.real), _float_text(value.imag)]),
    range: ("range", lambda value: [hex(value.start), hex(value.stop), hex(value.step)]),
    decimal.Decimal: ("decimal", str),
    fractions.Fraction: ("fraction", lambda value: [hex(value.numerator), hex(value.denominator)]),
    uuid.UUID: ("uuid", str),
    datetime.date: ("date", datetime.date.isoformat),
    datetime.timedelta: ("timedelta", _timedelta_text),
    pathlib.PosixPath: ("path", str),
    pathlib.PurePosixPath: ("purepath", str),
}
_FROM_TEXT: dict[str, Callable[[Any], Any]] = {
    "bytes": base64.b64decode,
    "bytearray": lambda text: bytearray(base64.b64decode(text)),
    "int": lambda text: int(text, 16),
    "float": _float,
    "str": lambda text: base64.b64decode(text).decode("utf-8", "surrogatepass"),
    "complex": lambda parts: complex(*map(_float, parts)),
    "range": lambda parts: range(*(int(part, 16) for part in parts)),
    "decimal": decimal.Decimal,
    "fraction": lambda parts: fractions.Fraction(*(int(part, 16) for part in parts)),
    "uuid": uuid.UUID,
    "date": datetime.date.fromisoformat,
    "timedelta": lambda parts: datetime.timedelta(*parts),
    "path": pathlib.Path,
    "purepath": pathlib.PurePosixPath,
}
_COLLECTIONS: dict[str, Callable[[Iterator[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
