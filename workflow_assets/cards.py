"""Cards: data, steps and workflows as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_assets.flows import flow
from workflow_assets.markups import rows_of, safe, shown, tag, view
from workflow_assets.scenes import FAILED, MARKS, STATES, Card, Column, Seen, Story
from workflow_assets.views import blocks, contract, grid_rows, process_rows

_FLOW = 110


def datum_card(one: Seen) -> str:
    """Show a datum: what is known of it, its first rows, and what it is made of."""
    return view([tag("div", _datum(one), "box")])


def _datum(one: Seen, deep: int = 3) -> str:
    head = tag("span", shown(one.alias or "datum"), "title")
    kind = f' <span class="type">{shown(one.type)}</span>' if one.type else ""
    parts = [f'<div>{head}{kind} <span class="faint">{safe(one.kind)}</span></div>']
    parts.append(tag("div", tag("code", shown(one.preview.line))))
    if one.preview.rows:
        parts.append(rows_of(one.preview.columns, [list(map(shown, row)) for row in one.preview.rows]))
    if one.facts:
        told = "<br>".join(f"{safe(name)}: {shown(text)}" for name, text in one.facts)
        parts.append(tag("div", told, "faint"))
    if one.parts and deep:
        rows = [[safe(place), _datum(inner, deep - 1)] for place, inner in one.parts]
        parts.append(rows_of(["part", "datum"], rows))
        if one.more:
            parts.append(tag("div", f"… and {one.more:,} more", "faint"))
    return "\n".join(parts)


def step_card(one: Card) -> str:
    """Show a step: its signature, what it takes and gives, what it is for, and its code."""
    parts = [
        tag("div", tag("code", shown(one.signature)), "title"),
        tag("div", tag("code", shown(contract(one)))),
    ]
    if one.description:
        parts += [tag("p", shown(part)) for part in one.description.split("\n\n")]
    facts = [[safe(name), tag("code", shown(text))] for name, text in (*one.values, *one.traits)]
    if facts:
        parts.append(rows_of(["", ""], facts))
    if one.source:
        parts.append(f"<details><summary>code</summary><pre>{safe(one.source.rstrip())}</pre></details>")
    return view([tag("div", "\n".join(parts), "box")])


def story_card(story: Story) -> str:
    """Show a workflow: what it begins with, its steps with their states, what failed, and who hands data to whom."""
    return view(_story(story))


def _story(story: Story) -> list[str]:
    count = f"{len(story.stages):,} step{'s' * (len(story.stages) != 1)}"
    status = f" {_state(story.status)}" if story.status else ""
    parts = [
        f'<div><span class="title">{shown(story.name)}</span> <span class="faint">{count}</span>{status}</div>'
    ]
    if story.description:
        parts.append(tag("div", shown(story.description)))
    if story.starts:
        starts = [
            [shown(one.id), tag("span", shown(one.type), "type"), tag("code", shown(one.shown))]
            for one in story.starts
        ]
        parts.append(rows_of(["begins with", "type", "value"], starts))
    header, rows = process_rows(story)
    state = header.index("status")
    parts.append(
        rows_of(
            header,
            [[_state(cell) if at == state else shown(cell) for at, cell in enumerate(row)] for row in rows],
        )
    )
    for stage in story.stages:
        if stage.status == FAILED and stage.error:
            kind, message = stage.error
            parts.append(tag("div", f"✗ {shown(stage.id)}: {shown(kind)}: {shown(message)}", "state failed"))
    drawn = "\n".join(map(safe, flow(story, _FLOW)))
    parts.append(f"<details><summary>flow</summary><pre>{drawn}</pre></details>")
    return parts


def _state(status: str) -> str:
    kind = status if status in STATES else "pending"
    return tag("span", f"{MARKS.get(status, '·')} {safe(status)}", f"state {kind}")


def grid_card(columns: Sequence[Column]) -> str:
    """Show what steps gave item by item."""
    parts = []
    for block in blocks(columns):
        header, rows, rest = grid_rows(block)
        parts.append(rows_of(header, [list(map(shown, row)) for row in rows]))
        if rest:
            parts.append(tag("div", f"… and {rest:,} more items", "faint"))
    return view(parts)
