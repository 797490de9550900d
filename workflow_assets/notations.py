"""Notations: what JSON and YAML have in common, which is all that documents hold, within bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from workflow_assets.errors import DocumentError, did_you_mean, excerpt
from workflow_assets.mappings import FrozenDict

MOST_CHARACTERS = 32_000_000
MOST_VALUES = 4_000_000
MOST_DIGITS = 100
DEEPEST = 64
_LARGEST = 10**MOST_DIGITS

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPARISONS = 5_000


class Places:
    """Collects faults with their places in a document; suggests near names as long as that takes no time to speak of.

    >>> places = Places()
    >>> places.add(at(at("$.steps", 2), "step"), "there is no such step")
    >>> places.faults
    [('$.steps[2].step', 'there is no such step')]
    """

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []
        self._comparisons = _COMPARISONS

    def add(self, path: str, sentence: str) -> None:
        """Note a fault, unless it is known."""
        if not self.faults or self.faults[-1] != (path, sentence):
            self.faults.append((path, sentence))

    def near(self, name: Any, candidates: Iterable[str]) -> str:
        """Name near matches; only tell how many names there are where many were compared already."""
        known = list(candidates)
        self._comparisons -= len(known)
        if self._comparisons < 0:
            return f"there are {len(known)}"
        return did_you_mean(str(name)[:200], known)

    def refuse(self, subject: str) -> None:
        """Raise `DocumentError` if there are faults."""
        if self.faults:
            raise DocumentError(subject, list(dict.fromkeys(self.faults)))


def at(path: str, key: object) -> str:
    """Give the place of what stands in a place under a key or index.

    >>> at(at("$", "inputs"), "odd name")
    "$.inputs['odd name']"
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if isinstance(key, str) and _NAME.fullmatch(key) else f"{path}[{excerpt(key)}]"


class Refused:
    """Stands where a text has something that no document may hold."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


class Doubled(dict[str, Any]):
    """A mapping in whose text keys stand more than once."""

    doubles: tuple[str, ...] = ()


def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a mapping, and remember keys that stand more than once."""
    made = dict(items)
    if len(made) == len(items):
        return made
    doubled = Doubled(made)
    seen: set[str] = set()
    doubled.doubles = tuple(dict.fromkeys(key for key, _ in items if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return doubled


def whole(text: str) -> Any:
    """Read a whole number."""
    if len(text) > MOST_DIGITS:
        return Refused(f"a number of {len(text)} digits: at most {MOST_DIGITS} are read; write it as a text")
    return int(text)


def fraction(text: str) -> Any:
    """Read a number with a fraction or an exponent."""
    number = float(text)
    if math.isinf(number):
        return Refused(f"{excerpt(text, 40)} is too large for a number")
    return number


class Sound(dict[str, Any]):
    """A document whose text was found to hold nothing but what JSON has, within bounds."""


def sound_keys(tree: Any, *, ascii_only: bool) -> int | None:
    """Count the keys of a tree, read from a text, that is within bounds; None if that is not sure.

    It asks the same as `plain`, in a tenth of the time, since it names no places.
    """
    level: list[Any] = [tree]
    keys = values = 0
    for _ in range(DEEPEST):
        inner: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                if not ascii_only and text_fault(value):
                    return None
            elif kind is dict:
                keys += len(value)
                inner.extend(value.values())
                if not ascii_only and any(map(text_fault, value)):
                    return None
            elif kind is list:
                inner.extend(value)
            elif value is not None and kind is not bool and number_fault(value):
                return None
        values += len(inner)
        if values > MOST_VALUES:
            return None
        if not inner:
            return keys
        level = inner
    return None


def plain(tree: Any, places: Places, path: str = "$") -> Any:
    """Give a tree of only what JSON has; note everything else, with its place."""
    return dict(tree) if type(tree) is Sound else _Copier(places).copy(tree, path, 0)


class _Copier:
    def __init__(self, places: Places) -> None:
        self.places = places
        self.values = 0

    def copy(self, value: Any, path: str, depth: int) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            if self.values == MOST_VALUES + 1:
                self.places.add(path, f"here the document has more than {MOST_VALUES:,} values")
            return None
        kind = type(value)
        if kind is str:
            if not value.isascii() and (sentence := text_fault(value)):
                self.places.add(path, f"it {sentence}")
            return value
        if kind is bool or value is None:
            return value
        if depth > DEEPEST:
            self.places.add(path[:400], f"it is nested more than {DEEPEST} deep")
            return None
        if kind is list:
            return [self.copy(inner, f"{path}[{place}]", depth + 1) for place, inner in enumerate(value)]
        if kind in (dict, Doubled, FrozenDict):
            return self._mapping(value, path, depth)
        if sentence := number_fault(value):
            self.places.add(path, sentence)
            return None
        return value

    def _mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        for key in getattr(value, "doubles", ()):
            self.places.add(at(path, key), "the key stands here more than once: keep one")
        made = {}
        for key, inner in value.items():
            if type(key) is not str:
                self.places.add(at(path, excerpt(key)), f"the key is {_what(key)}: keys are texts; quote it")
                continue
            if sentence := text_fault(key):
                self.places.add(at(path, key), f"the key {sentence}")
                continue
            made[key] = self.copy(inner, at(path, key), depth + 1)
        return made


def text_fault(text: str) -> str | None:
    """Say why a text cannot be written; None if it can."""
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has half of a surrogate pair, which is no character"
    return None


def number_fault(value: Any) -> str | None:
    """Say why what should be a number is none of JSON's; None if it is one."""
    if type(value) is int:
        if -_LARGEST < value < _LARGEST:
            return None
        return f"a number of more than {MOST_DIGITS} digits: write it as a text"
    if type(value) is float:
        if math.isfinite(value):
            return None
        return f"{value} is no JSON: write null, or leave it out"
    if isinstance(value, Refused):
        return value.sentence
    return f"{excerpt(value)} is {_what(value)}, which JSON does not have{_CURES.get(type(value), '')}"


_CURES: dict[type, str] = {
    tuple: ": write a list, and annotate the parameter as a tuple",
    set: ": write a list, and annotate the parameter as a set",
    frozenset: ": write a list, and annotate the parameter as a frozenset",
    bytes: ": write a text, and annotate the parameter as bytes",
}


def _what(value: object) -> str:
    kind = type(value).__qualname__
    return f"{'an' if kind[0] in 'aeiouAEIOU' else 'a'} {kind}"
