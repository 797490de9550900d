"""Scenes: what views show of data, steps and workflows, as plain values; runs of any kind can fill them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PENDING, RUNNING, COMPLETED, FAILED, SKIPPED = "pending", "running", "completed", "failed", "skipped"
STATES = (PENDING, RUNNING, COMPLETED, FAILED, SKIPPED)
MARKS = {PENDING: "·", RUNNING: "▸", COMPLETED: "✓", FAILED: "✗", SKIPPED: "–"}


@dataclass(frozen=True)
class Preview:
    """What is seen of a value without the value: one short line, and the first rows where it has any.

    Args:
        line: of about 50 characters.
        type: the name of its type, "" where that is not known.
        columns: the headers of the first rows.
        rows: the first rows, as texts.
        length: how many items it has, where it is list-like.
    """

    line: str
    type: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    length: int | None = None


@dataclass(frozen=True)
class Seen:
    """A datum.

    Args:
        kind: "value", "reference", "composite" or "pending".
        alias: its human label.
        type: the name of its type.
        preview: what is seen of its value; for one that is pending, why it has none.
        facts: what else is known of it, each with its name: key, size, step.
        parts: the first of what it is made of, by place.
        more: how many parts there are besides.
    """

    kind: str
    alias: str
    type: str
    preview: Preview
    facts: tuple[tuple[str, str], ...] = ()
    parts: tuple[tuple[str, Seen], ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Card:
    """A step as a function: what it takes and gives, what it is for, and its source code."""

    name: str
    signature: str
    takes: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, str], ...]
    gives: str
    description: str
    source: str
    traits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stage:
    """A step as it stands in a workflow.

    Args:
        id: its name in the workflow.
        function: the slug of what it calls.
        inputs: what each input parameter is handed, as text.
        follows: the names of the steps and inputs that it is handed data of.
        values: the configured parameters, as text.
        gives: the type of its result.
        status: one of `STATES`.
        seconds: how long it took.
        stored: whether it was found instead of computed.
        shown: a preview of its result.
        error: the exception's name and message.
    """

    id: str
    function: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    follows: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    gives: str = ""
    status: str = PENDING
    seconds: float | None = None
    stored: bool = False
    shown: str = ""
    error: tuple[str, str] | None = None


@dataclass(frozen=True)
class Start:
    """What a workflow begins with: an input or a source, its type, and a preview of its value."""

    id: str
    type: str = ""
    shown: str = ""


@dataclass(frozen=True)
class Story:
    """A workflow as an ordered list of steps.

    Args:
        name: the workflow's.
        starts: its inputs and sources.
        stages: its steps, each after those that it follows.
        description: what it is for.
        status: "" for a workflow that was not run.
        groups: the names of sub-workflows, and the steps of each.
    """

    name: str
    starts: tuple[Start, ...]
    stages: tuple[Stage, ...]
    description: str = ""
    status: str = ""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """What one step gave, item by item; `items` are the first of `length`. A single value has no length."""

    id: str
    items: tuple[str, ...]
    length: int | None
    follows: tuple[str, ...] = ()
