"""Which names are safe as asset keys, partition keys and names of files.

Dagster forbids some characters in partition keys of two dimensions, file systems forbid others: a name is checked
once, where it is declared, and never mended silently.
"""

from __future__ import annotations

import re

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LONGEST = 120
_UNSAFE = {"|": "joins dimensions", ",": "separates keys", "[": "opens a range", "]": "closes a range"}


def identifier_fault(name: object) -> str | None:
    """Say why a name cannot be that of an experiment, step, source or hypothesis; None if it can.

    >>> identifier_fault("my study")
    "is not an identifier; letters, digits and underscores are: 'my_study'"
    """
    if not isinstance(name, str):
        return f"is a {type(name).__qualname__}, not a string"
    if not IDENTIFIER.fullmatch(name):
        mended = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "name"
        mended = f"_{mended}" if mended[0].isdigit() else mended
        return f"is not an identifier; letters, digits and underscores are: {mended!r}"
    if len(name) > LONGEST:
        return f"has {len(name)} characters; at most {LONGEST} fit into a file's name"
    return None


def partition_fault(name: object) -> str | None:
    """Say why a name cannot be a partition key (a treatment or a unit); None if it can.

    >>> partition_fault("a|b")
    "contains '|', which joins dimensions in a partition key"
    >>> partition_fault("P1/A01") is None
    True
    """
    if not isinstance(name, str):
        return f"is a {type(name).__qualname__}, not a string"
    if not name or name != name.strip():
        return "is empty or begins or ends with white space"
    for character, use in _UNSAFE.items():
        if character in name:
            return f"contains {character!r}, which {use} in a partition key"
    if "..." in name:
        return "contains '...', which stands for a range of partitions"
    if not name.isprintable():
        return "contains a character that cannot be printed"
    if len(name.encode()) > LONGEST:
        return f"has {len(name.encode())} bytes; at most {LONGEST} fit into a file's name"
    return None
