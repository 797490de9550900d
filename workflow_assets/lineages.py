"""Lineages: which step made a datum of which data, told as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from workflow_assets.layouts import clipped, one_line
from workflow_assets.provenance import Provenance

_LINES = 200
_DEEPEST = 50


class Traced(Protocol):
    """What a lineage tells of a datum."""

    @property
    def alias(self) -> str:
        """What it is called."""

    @property
    def key(self) -> str:
        """Under which it is stored."""

    @property
    def preview(self) -> str:
        """What is seen of it."""

    @property
    def provenance(self) -> Provenance | None:
        """What made it."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What its step was handed."""

    @property
    def members(self) -> Mapping[str, Any]:
        """What it is made of."""


def lineage(one: Traced, width: int) -> list[str]:
    """Tell a datum, and below it what its step was handed, and so on; what was told already is told once.

    Of a lineage that branches very much, the first lines are told.
    """
    lines: list[str] = []
    for text in _told(one, "", "", {}):
        if len(lines) == _LINES:
            return [*lines, "… and more"]
        lines.append(clipped(text, width))
    return lines


def call_text(made: Provenance) -> str:
    """Tell what was called with which parameters."""
    told = ", ".join(f"{name}={one_line(value)}" for name, value in made.parameters.items())
    return f"{one_line(made.step)}({told})" if made.parameters or made.inputs else one_line(made.step)


def _told(one: Traced, before: str, stem: str, known: dict[str, bool]) -> Iterator[str]:
    made = one.provenance
    named = one_line(one.alias) or "datum"
    if made is not None and made.step:
        call = call_text(made)
        named = call if not before or one.alias == made.step else f"{named} = {call}"
    again = bool(one.key) and one.key in known
    inner = one.members or one.inputs
    yield f"{before}{named}: {one.preview}{'  (see above)' if again and inner else ''}"
    if again or not inner:
        return
    known[one.key] = True
    if len(stem) > 3 * _DEEPEST:
        yield f"{stem}╰─ …"
        return
    for at, part in enumerate(inner.values()):
        last = at == len(inner) - 1
        yield from _told(part, f"{stem}{'╰' if last else '├'}─ ", f"{stem}{' ' if last else '│'}  ", known)
