"""The JSON document of a datum: what it may hold, and what is wrong with one that somebody else has written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from workflow_assets.errors import CodecError, DeclarationError, did_you_mean, excerpt
from workflow_assets.faults import Faults
from workflow_assets.store import classes
from workflow_assets.store.trees import Reader

FORMAT = "1"
"""The version of the document."""

VALUE, REFERENCE, COMPOSITE, PENDING = "value", "reference", "composite", "pending"

FIELDS = {VALUE: {"value"}, REFERENCE: {"key"}, COMPOSITE: {"parts"}, PENDING: {"why", "key"}}
"""What each kind has besides format, kind, alias and type."""

_HEAD = {"format", "kind", "alias", "type"}
_TEXTS = ("alias", "type", "key", "why")
_DEEPEST = 50
_NO_CLASSES = frozenset({*classes.KINDS, "enum", "flag"})


def checked(document: Any) -> Mapping[str, Any]:
    """Give a document that is sound, of one or of its JSON text.

    Raises `DeclarationError` with every fault, each at its place.
    """
    if isinstance(document, str | bytes):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise DeclarationError("datum", [f"this is no JSON: {excerpt(str(error))}"]) from None
    faults = Faults()
    _check(document, "$", faults, 0)
    if faults:
        raise DeclarationError("datum", list(faults))
    sound: Mapping[str, Any] = document
    return sound


def value_of(tree: Any) -> Any:
    """Give the value that a document holds; no class is looked up for it but those of plain values."""
    return _Plain().read(tree)


class _Plain(Reader):
    """Reads plain values; a class would be made by whoever has written its name."""

    def _tagged(self, tag: str, content: Any) -> Any:
        if tag in _NO_CLASSES:
            raise CodecError(f"${tag} names a class, and a document of a datum holds plain values")
        return super()._tagged(tag, content)


def _check(document: Any, place: str, faults: Faults, deep: int) -> None:
    if not isinstance(document, Mapping):
        faults.add(f"{place}: {excerpt(document)} is no object with format, kind, alias and type")
        return
    if document.get("format") != FORMAT:
        faults.add(f"{place}.format: {excerpt(document.get('format'))}; this version reads {FORMAT!r}")
        return
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        near = did_you_mean(kind if isinstance(kind, str) else "", FIELDS)
        faults.add(f"{place}.kind: {excerpt(kind)} is no kind of datum: {near}")
        return
    known = _HEAD | FIELDS[kind]
    for name in sorted(known - set(document)):
        faults.add(f"{place}.{name}: is missing, which a {kind} has")
    for name in sorted(str(one) for one in set(document) - known):
        faults.add(f"{place}.{excerpt(name)}: is nothing that a {kind} has: {did_you_mean(name, known)}")
    for name in _TEXTS:
        if name in known and name in document and not isinstance(document[name], str):
            faults.add(f"{place}.{name}: {excerpt(document[name])} is no text")
    if kind == VALUE and "value" in document:
        try:
            value_of(document["value"])
        except Exception as error:  # noqa: BLE001 - whatever is written there
            faults.add(f"{place}.value: cannot be read: {type(error).__name__}: {excerpt(str(error))}")
    if kind == COMPOSITE and "parts" in document:
        _check_parts(document["parts"], f"{place}.parts", faults, deep)


def _check_parts(parts: Any, place: str, faults: Faults, deep: int) -> None:
    if deep >= _DEEPEST:
        faults.add(f"{place}: it is nested more than {_DEEPEST} levels deep")
    elif isinstance(parts, Mapping):
        for name, one in parts.items():
            _check(one, f"{place}.{name}", faults, deep + 1)
    elif isinstance(parts, list):
        for at, one in enumerate(parts):
            _check(one, f"{place}[{at}]", faults, deep + 1)
    else:
        faults.add(f"{place}: {excerpt(parts)} is neither a list nor an object")
