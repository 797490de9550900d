"""Views: data, steps and workflows as text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from workflow_assets.flows import Unit, flow, line, units
from workflow_assets.layouts import (
    boxed,
    breadth,
    clipped,
    narrowest,
    one_line,
    padded,
    span,
    table,
    visible,
    wrapped,
)
from workflow_assets.scenes import FAILED, Card, Column, Seen, Story

__all__ = ["card", "datum_box", "datum_line", "flow", "grid", "line", "process"]

_MOST_ROWS = 200
"""Steps that a list of them has, after those of one kind are folded."""


def datum_line(one: Seen) -> str:
    """Tell a datum in one line.

    >>> from workflow_assets.scenes import Preview
    >>> datum_line(Seen("value", "The Answer", "int", Preview("42")))
    '[value] "The Answer" <int> = 42'
    """
    named = f' "{clipped(one_line(one.alias), 40)}"' if one.alias else ""
    kind = f" <{clipped(one_line(one.type), 40)}>" if one.type else ""
    shown = one_line(one.preview.line)
    join = " " if one.kind in ("pending", "composite") else " = "
    return f"[{one.kind}]{named}{kind}{join}{shown}"


def datum_box(one: Seen, width: int) -> list[str]:
    """Tell a datum in a box: what is known of it, and what is seen of its value."""
    facts = [("kind", one.kind), *([("type", one.type)] if one.type else []), *one.facts]
    wide = max(breadth(name) for name, _ in facts)
    known = [
        f"{padded('' if at else name, wide)}  {part}"
        for name, text in facts
        for at, part in enumerate(wrapped(one_line(text), width - wide - 8))
    ]
    seen = [one_line(one.preview.line)]
    if one.preview.rows:
        seen += ["", *table(one.preview.columns, one.preview.rows, width - 4)]
    parts = [text for place, inner in one.parts for text in _parts(place, inner, width - 4)]
    if one.more:
        parts.append(f"… and {one.more:,} more")
    return boxed(one_line(one.alias) or "datum", [known, parts or seen], width)


def _parts(place: str, one: Seen, width: int, deep: int = 3) -> list[str]:
    lines = [clipped(f"{place}  {datum_line(one)}", width)]
    if deep:
        for name, inner in one.parts:
            lines += [f"   {text}" for text in _parts(name, inner, width - 3, deep - 1)]
        if one.more:
            lines.append(f"   … and {one.more:,} more")
    return lines


def contract(one: Card) -> str:
    """Tell what a step takes and gives."""
    takes = ", ".join(f"{name}: {kind}" if kind else name for name, kind in one.takes) or "nothing"
    return f"{takes} → [{one.name}] → {one.gives or 'anything'}"


def card(one: Card, width: int) -> list[str]:
    """Tell a step: its signature, what it takes and gives, what it is for, and its code."""
    inner = width - 4
    told = visible(one.description).split("\n") if one.description else []
    pairs = [(one_line(name), text) for name, text in (*one.values, *one.traits)]
    wide = max((breadth(name) for name, _ in pairs), default=0)
    return boxed(
        one_line(one.name),
        [
            textwrap.wrap(one_line(one.signature), inner, subsequent_indent="    "),
            textwrap.wrap(one_line(contract(one)), inner, subsequent_indent="    "),
            [part for text in told for part in (textwrap.wrap(text, inner) or [""])],
            [f"{padded(name, wide)}  {one_line(text)}" for name, text in pairs],
            visible(one.source).rstrip().split("\n") if one.source else [],
        ],
        width,
    )


_SPARED = ("values", "function", "gives", "inputs", "time")
"""Columns that are left out, one after the other, where a terminal is too narrow for all."""


def process(story: Story, width: int) -> list[str]:
    """Tell a workflow as the list of its steps: what each calls, is handed, and came to."""
    counted = f"{len(story.stages):,} step{'s' * (len(story.stages) != 1)}"
    title = f"{one_line(story.name)}: {counted}" + (f", {story.status}" if story.status else "")
    lines = [clipped(title, width)]
    if story.description:
        lines += textwrap.wrap(one_line(story.description), width)
    for start in story.starts:
        kind = f": {one_line(start.type)}" if start.type else ""
        shown = f" = {one_line(start.shown)}" if start.shown else ""
        lines.append(clipped(f"  {one_line(start.id)}{kind}{shown}", width))
    header, rows = process_rows(story)
    for name in _SPARED:
        if name in header and narrowest(header, rows) > width:
            rows = [[cell for cell, over in zip(row, header, strict=True) if over != name] for row in rows]
            header = [over for over in header if over != name]
    lines += ["", *table(header, rows, width)]
    if (rest := len(units(story)) - _MOST_ROWS) > 0:
        lines.append(f"… and {rest:,} more")
    failed = [stage for stage in story.stages if stage.status == FAILED and stage.error]
    for stage in failed:
        assert stage.error is not None
        said = one_line(f"✗ {stage.id}: {stage.error[0]}: {stage.error[1]}")
        lines += ["", *textwrap.wrap(said, width, subsequent_indent="  ")]
    return lines


def process_rows(story: Story) -> tuple[list[str], list[list[str]]]:
    """Give the header and the rows of the list of steps; columns that would be empty are left out."""
    ran = bool(story.status)
    rows = []
    number = 1
    for unit in units(story)[:_MOST_ROWS]:
        count = len(unit.stages)
        first = unit.stages[0]
        rows.append(
            [
                str(number) if count == 1 else f"{number}–{number + count - 1}",
                unit.label,
                first.function if unit.kind != "group" else "sub-workflow",
                _handed(unit),
                ", ".join(f"{name}={text}" for name, text in first.values.items())
                if unit.kind != "group"
                else "",
                (unit.stages[-1].shown if ran else "") or unit.stages[-1].gives,
                unit.status,
                span(unit.seconds) + (" (stored)" if ran and all(one.stored for one in unit.stages) else ""),
            ]
        )
        number += count
    header = ["#", "step", "function", "inputs", "values", "gives", "status", "time"]
    kept = [at for at in range(len(header)) if at in (0, 1, 6) or any(row[at] for row in rows)]
    if all(stage.function == stage.id for stage in story.stages):
        kept.remove(2)
    return [header[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _handed(unit: Unit) -> str:
    if unit.kind == "group":
        return ", ".join(unit.follows)
    return ", ".join(
        text if text == name else f"{name} ← {text}" for name, text in unit.stages[0].inputs.items()
    )


def blocks(columns: Sequence[Column]) -> list[list[Column]]:
    """Put columns together whose rows are the same items; what makes one of many, or more of one, begins anew."""
    made: list[list[Column]] = []
    where: dict[str, list[Column]] = {}
    for one in columns:
        block = None
        for name in one.follows:
            known = where.get(name)
            if known is not None and one.length is not None and known[0].length == one.length:
                block = known
        if block is None and one.length is None and made and made[-1][-1].length is None:
            block = made[-1]
        if block is None:
            block = []
            made.append(block)
        block.append(one)
        where[one.id] = block
    return made


def grid(columns: Sequence[Column], width: int) -> list[str]:
    """Tell what steps gave item by item: a row for each item, a column for each step."""
    lines: list[str] = []
    for block in blocks(columns):
        header, rows, rest = grid_rows(block)
        for part, indices in _pages(header, rows, width):
            if lines:
                lines.append("")
            lines += table(part, [[row[at] for at in indices] for row in rows], width)
        if rest:
            lines.append(f"… and {rest:,} more items")
    return lines


def grid_rows(block: Sequence[Column]) -> tuple[list[str], list[list[str]], int]:
    """Give the header and the rows of one block, and how many items are not among them."""
    length = block[0].length
    shown = 1 if length is None else max((len(one.items) for one in block), default=0)
    first = [""] if length is None else [str(at) for at in range(shown)]
    header = ["" if length is None else "#", *(one_line(one.id) for one in block)]
    rows = [
        [first[at], *(one.items[at] if at < len(one.items) else "" for one in block)] for at in range(shown)
    ]
    return header, rows, 0 if length is None else max(length - shown, 0)


def _pages(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int
) -> list[tuple[list[str], list[int]]]:
    """Split columns that do not fit beside each other, each page with the items' numbers."""
    pages: list[list[int]] = [[0]]
    used = wide_first = max([breadth(header[0]), *(breadth(row[0]) for row in rows)], default=0)
    for at in range(1, len(header)):
        wide = min(max([breadth(header[at]), *(breadth(one_line(row[at])) for row in rows)]), 24)
        if used + 2 + wide > width and len(pages[-1]) > 1:
            pages.append([0])
            used = wide_first
        pages[-1].append(at)
        used += 2 + wide
    return [([header[at] for at in page], page) for page in pages]
