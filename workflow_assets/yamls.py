"""YAML without what makes it dangerous: no tags, no dates, no ambiguous booleans, and aliases that cannot explode."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from workflow_assets.errors import DocumentError, excerpt
from workflow_assets.notations import DEEPEST, MOST_VALUES, Refused, fraction, pairs, whole

_LOADER: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # the second where PyYAML was built without libyaml

_CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_CONSTANTS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_UNENDING = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def parse_yaml(text: str) -> Any:
    """Read one document of YAML as JSON would be read.

    Raises `DocumentError` for a text that is none, with the line, and for one that is too deep or has too many values.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except DocumentError:
        raise
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise DocumentError("document", [("$", f"it is no YAML: {line}{problem}")]) from None
    except (RecursionError, UnicodeError, ValueError) as error:
        raise DocumentError("document", [("$", f"it is no YAML: {excerpt(str(error))}")]) from None
    if not builder.done:
        raise DocumentError("document", [("$", "it is empty")])
    return builder.done[0][0]


class _Builder:
    """Builds a tree from events one by one, so that bounds hold while it grows."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, int]] = []
        self.open: list[tuple[bool, list[tuple[Any, int]], str | None, Any]] = []
        self.anchors: dict[str, tuple[Any, int] | None] = {}
        self.values = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._anchored(event, (_scalar(event), 1))
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(self.open) > DEEPEST:
                _refuse(event, f"it is nested more than {DEEPEST} deep")
            if event.anchor:
                self.anchors[event.anchor] = None
            self.open.append((isinstance(event, yaml.MappingStartEvent), [], event.anchor, event))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            is_mapping, parts, anchor, start = self.open.pop()
            made: Any = _mapping(parts) if is_mapping else [value for value, _ in parts]
            if start.tag not in (None, "!"):
                made = Refused(f"the tag {excerpt(start.tag)} is not read: leave it out")
            size = 1 + sum(count for _, count in parts)
            if anchor:
                self.anchors[anchor] = (made, size)
            self._add(event, (made, size), 1)

    def _anchored(self, event: Any, made: tuple[Any, int]) -> None:
        if event.anchor:
            self.anchors[event.anchor] = made
        self._add(event, made, 1)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            _refuse(event, f"the alias *{event.anchor} has no anchor before it")
        made = self.anchors[event.anchor]
        if made is None:
            _refuse(event, f"the alias *{event.anchor} stands inside what it repeats")
        assert made is not None
        self._add(event, made, made[1])

    def _add(self, event: Any, made: tuple[Any, int], size: int) -> None:
        self.values += size
        if self.values > MOST_VALUES:
            _refuse(event, f"here the document has more than {MOST_VALUES:,} values")
        if not self.open and self.done:
            _refuse(event, "a second document begins: give one")
        (self.open[-1][1] if self.open else self.done).append(made)


def _refuse(event: Any, sentence: str) -> None:
    mark = event.start_mark
    raise DocumentError("document", [("$", f"line {mark.line + 1}, column {mark.column + 1}: {sentence}")])


def _mapping(parts: list[tuple[Any, int]]) -> Any:
    values = [value for value, _ in parts]
    keys, inner = values[::2], values[1::2]
    if all(type(key) is str for key in keys):
        return pairs(list(zip(keys, inner, strict=True)))
    made: dict[Any, Any] = {}
    for key, value in zip(keys, inner, strict=True):
        try:
            if key in made:
                return Refused(f"the key {excerpt(key)} stands here more than once: keep one")
            made[key] = value
        except TypeError:
            return Refused(f"the key {excerpt(key)} is no text: keys are texts")
    return made


def _scalar(event: Any) -> Any:
    text = event.value
    if event.tag not in (None, "!"):
        return Refused(f"the tag {excerpt(event.tag)} is not read: leave it out, and quote what is a text")
    if event.style or event.tag == "!":  # that of a bare text is "" or None, by the parser
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _WHOLE.fullmatch(text):
        return whole(text)
    if _FRACTION.fullmatch(text):
        return fraction(text)
    return Refused(f"{text} is no JSON: write null, or leave it out") if _UNENDING.fullmatch(text) else text


class _Writer(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True


_BARE = re.compile(r"[A-Za-z_$][A-Za-z0-9_$./-]*(?: [A-Za-z0-9_$./()]+)*")
_NOT_BARE = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What some version of YAML reads as something else than a text."""


def _text(writer: Any, text: str) -> Any:
    bare = _BARE.fullmatch(text) and text.lower() not in _NOT_BARE
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else '"')


def _number(writer: Any, number: float) -> Any:
    assert math.isfinite(number)
    mantissa, e, exponent = repr(number).partition("e")
    text = f"{mantissa}{'' if '.' in mantissa else '.0'}{e}{exponent}"
    return writer.represent_scalar("tag:yaml.org,2002:float", text)


_Writer.add_representer(str, _text)
_Writer.add_representer(float, _number)


def write_yaml(document: Mapping[str, Any]) -> str:
    """Write YAML that both of its versions read alike."""
    text: str = yaml.dump(
        document,
        Dumper=_Writer,
        sort_keys=False,
        allow_unicode=True,
        width=math.inf,
        default_flow_style=False,
    )
    return text
