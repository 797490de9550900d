"""Texts: JSON and YAML, read within bounds and with nothing executed, and written so that they come back.

YAML is read as it is since version 1.2: ``yes`` and ``2026-01-01`` are texts. Tags are refused, so that nothing can be
constructed but what JSON has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from workflow_assets.errors import DocumentError
from workflow_assets.notations import (
    DEEPEST,
    MOST_CHARACTERS,
    Refused,
    Sound,
    fraction,
    pairs,
    sound_keys,
    whole,
)


def parse(text: str, *, yaml: bool | None = None) -> Any:
    """Read JSON or YAML; by default a text that begins with ``{`` is JSON.

    Raises `DocumentError` for a text that is neither, with the line, and for one that is too large; what else is wrong
    stands in the tree as `Refused` and `Doubled`, and is told by `plain`.
    """
    if len(text) > MOST_CHARACTERS:
        raise DocumentError("document", [("$", f"it is longer than {MOST_CHARACTERS:,} characters")])
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise DocumentError("document", [("$", "it is empty")])
    if text.lstrip()[0] in "{[" if yaml is None else not yaml:
        return _parse_json(text)
    from workflow_assets.yamls import parse_yaml

    return parse_yaml(text)


def _parse_json(text: str) -> Any:
    return _sound(text) or _looked_through(text)


def _sound(text: str) -> Sound | None:
    """Read a text in which all is well; None for others, and for those of which that is not sure.

    Each key has a colon, so that no key stands twice in it if there are as many colons as keys; where texts have
    colons, those count that are behind a quotation mark, as they are but where somebody wrote spaces between.
    """
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        return None
    keys = sound_keys(tree, ascii_only=text.isascii() and "\\u" not in text)
    is_sound = keys == text.count(":") or (keys == text.count('":') and not _APART.search(text))
    return Sound(tree) if type(tree) is dict and is_sound else None


_APART = re.compile(r"\s:")


def _looked_through(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=pairs,
            parse_int=whole,
            parse_float=fraction,
            parse_constant=lambda name: Refused(f"{name} is no JSON: write null, or leave it out"),
        )
    except json.JSONDecodeError as error:
        sentence = f"it is no JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        sentence = f"it is nested more than {DEEPEST} deep"
    raise DocumentError("document", [("$", sentence)])


def to_json(document: Mapping[str, Any]) -> str:
    """Write a document as JSON."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_yaml(document: Mapping[str, Any]) -> str:
    """Write a document as YAML, which every version of it reads alike."""
    from workflow_assets.yamls import write_yaml

    return write_yaml(document)
