"""Flow maps: which step hands its data to which, drawn in text, with branches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from workflow_assets.layouts import breadth, clipped, one_line
from workflow_assets.scenes import COMPLETED, FAILED, MARKS, PENDING, RUNNING, SKIPPED, Stage, Story

LONG = 4
"""So many steps in a row that call one function are told as one."""

_MOST = 200
_LABEL = 32
_NARROW = 24
_ARROW = " ──▶ "
_FORK = len(" ─┬─▶ ")


@dataclass(frozen=True)
class Unit:
    """What is told as one: a step, a sub-workflow, or a long chain of calls of one function."""

    id: str
    stages: tuple[Stage, ...]
    follows: tuple[str, ...]
    kind: str = "step"

    @property
    def status(self) -> str:
        """The gravest of the states; pending before all is done."""
        states = {stage.status for stage in self.stages}
        for one in (FAILED, RUNNING):
            if one in states:
                return one
        if len(states) == 1:
            return self.stages[0].status
        return PENDING if PENDING in states else SKIPPED if SKIPPED in states else COMPLETED

    @property
    def label(self) -> str:
        """Its name, and how many steps it stands for."""
        name = one_line(self.id)
        if self.kind == "group":
            return f"[{name}: {len(self.stages)} steps]"
        return f"{name} ×{len(self.stages)}" if self.kind == "chain" else name

    @property
    def seconds(self) -> float | None:
        """How long its steps took together."""
        known = [stage.seconds for stage in self.stages if stage.seconds is not None]
        return sum(known) if known else None


def units(story: Story, *, chains: bool = True) -> list[Unit]:
    """Give the steps, those of a sub-workflow and those of a long chain as one, in an order in which each follows."""
    group_of: dict[str, str] = {}
    known = {stage.id for stage in story.stages}
    for name, members in story.groups.items():
        for one in members:
            if one in known:
                group_of.setdefault(one, f"group {name}")
    merged = _merged(story.stages, group_of)
    if merged is None:  # the steps of a group stand on both sides of another
        group_of = {}
        merged = _merged(story.stages, group_of) or []
    return _chained(merged) if chains else merged


def _merged(stages: Sequence[Stage], group_of: Mapping[str, str]) -> list[Unit] | None:
    blocks: dict[str, list[Stage]] = {}
    for stage in stages:
        blocks.setdefault(group_of.get(stage.id, f"step {stage.id}"), []).append(stage)
    place = {stage.id: block for block, members in blocks.items() for stage in members}
    made: dict[str, Unit] = {}
    for block, members in blocks.items():
        kind, _, name = block.partition(" ")
        follows = [
            place[one].partition(" ")[2] if one in place else one
            for stage in members
            for one in stage.follows
            if place.get(one) != block
        ]
        made[block] = Unit(name, tuple(members), tuple(dict.fromkeys(follows)), kind)
    return _ordered(list(made.values()))


def _ordered(some: list[Unit]) -> list[Unit] | None:
    names = {unit.id for unit in some}
    done: set[str] = set()
    order: list[Unit] = []
    left = some
    while left:
        later = []
        for unit in left:
            if all(one in done or one not in names for one in unit.follows):
                order.append(unit)
                done.add(unit.id)
            else:
                later.append(unit)
        if len(later) == len(left):
            return None
        left = later
    return order


def _chained(some: list[Unit]) -> list[Unit]:
    uses: dict[str, int] = {}
    for unit in some:
        for one in unit.follows:
            uses[one] = uses.get(one, 0) + 1
    made: list[Unit] = []
    run: list[Unit] = []
    renamed: dict[str, str] = {}

    def close() -> None:
        if len(run) < LONG:
            made.extend(run)
        else:
            first, last = run[0], run[-1]
            name = f"{first.id} … {last.id}"
            renamed[last.id] = name
            made.append(
                Unit(name, tuple(stage for unit in run for stage in unit.stages), first.follows, "chain")
            )
        run.clear()

    for unit in some:
        before = run[-1] if run else None
        fits = (
            before is not None
            and unit.kind == before.kind == "step"
            and unit.follows == (before.id,)
            and uses.get(before.id) == 1
            and _alike(unit.stages[0], before.stages[0])
        )
        if not fits:
            close()
        run.append(unit)
    close()
    return [
        Unit(unit.id, unit.stages, tuple(renamed.get(one, one) for one in unit.follows), unit.kind)
        for unit in made
    ]


def _alike(one: Stage, other: Stage) -> bool:
    return (one.function, one.status, one.values, one.error) == (
        other.function,
        other.status,
        other.values,
        other.error,
    )


def line(story: Story, width: int) -> list[str]:
    """Tell a workflow as one line, with the state of each step; it is wrapped where it is long."""
    names = [one_line(one.id) for one in story.starts]
    parts = [", ".join(names)] if names else []
    for unit in units(story):
        mark = f" {MARKS.get(unit.status, '·')}" if story.status else ""
        parts.append(f"{unit.label}{mark}")
    return _flowing(parts, " → ", width)


def _flowing(parts: Iterable[str], arrow: str, width: int, lead: int = 0) -> list[str]:
    """Join parts to lines; `lead` columns of the first are taken."""
    lines: list[str] = []
    now = ""
    room = width - lead
    for number, part in enumerate(parts):
        piece = f"{arrow}{part}" if number else part
        if now and breadth(now) + breadth(piece) > room:
            lines.append(now)
            now, room = f" {piece}", width
        else:
            now += piece
        now = clipped(now, room)
    return [*lines, now] if now else lines


@dataclass
class _Map:
    """A flow map while it is drawn: each unit stands where the longest way leads to it."""

    labels: dict[str, str]
    children: dict[str, list[str]] = field(default_factory=dict)
    breadths: dict[str, int] = field(default_factory=dict)

    def tall(self, order: Sequence[str]) -> None:
        """Put the longest branch first, so that it goes straight on."""
        below: dict[str, int] = {}
        for name in reversed(order):
            inner = self.children.get(name, [])
            inner.sort(key=lambda one: -below[one])
            below[name] = 1 + max((below[one] for one in inner), default=0)
            further = max((self.breadths[one] + _FORK for one in inner), default=0)
            self.breadths[name] = breadth(self.labels[name]) + further

    def drawn(self, name: str, width: int, lead: int = 0) -> list[str]:
        """Draw a unit with all that stands behind it; `lead` columns of the first line are taken."""
        run = [name]
        while len(inner := self.children.get(run[-1], [])) == 1:
            run += inner
        lines = _flowing([self.labels[one] for one in run], _ARROW, width, lead)
        if not inner:
            return lines
        stem = breadth(lines[-1]) + 2 + (lead if len(lines) == 1 else 0)
        room = width - stem - 4
        if max(self.breadths[one] for one in inner) <= room:
            return self._beside(lines, inner, stem, width)
        return self._below(lines, inner, width)

    def _beside(self, lines: list[str], inner: Sequence[str], stem: int, width: int) -> list[str]:
        """Let the longest branch go on in the line."""
        for number, one in enumerate(inner):
            last = number == len(inner) - 1
            for at, text in enumerate(self.drawn(one, width - stem - 4)):
                if at:
                    lines.append(f"{' ' * stem}{' ' if last else '│'}   {text}")
                elif number:
                    lines.append(f"{' ' * stem}{'╰' if last else '├'}─▶ {text}")
                else:
                    lines[-1] += f" ─┬─▶ {text}"
        return lines

    def _below(self, lines: list[str], inner: Sequence[str], width: int) -> list[str]:
        """Let the longest branch come last, so that what stands behind it has the whole width."""
        width = max(width - 2, _NARROW)
        *short, main = reversed(inner)
        for one in short:
            for at, text in enumerate(self.drawn(one, max(width - 4, _NARROW))):
                lines.append(f"  │   {text}" if at else f"  ├─▶ {text}")
        for at, text in enumerate(self.drawn(main, width, 4)):
            lines.append(f"  {text}" if at else f"  ╰─▶ {text}")
        return lines


def flow(story: Story, width: int) -> list[str]:
    """Draw which step hands its data to which; what a step takes besides is named behind it."""
    some = units(story)
    rest = len(some) - _MOST
    some = some[:_MOST]
    starts = [one.id for one in story.starts]
    known = {*starts, *(unit.id for unit in some)}
    depth = dict.fromkeys(starts, 0)
    children: dict[str, list[str]] = {}
    labels = {name: clipped(one_line(name), _LABEL) for name in starts}
    behind: set[str] = set()
    for unit in some:
        follows = [one for one in unit.follows if one in known]
        main = max(follows, key=lambda one: depth[one], default=None)
        depth[unit.id] = 0 if main is None else depth[main] + 1
        others = [clipped(one_line(one), _LABEL) for one in follows if one != main]
        label = clipped(unit.label, _LABEL)
        if story.status:
            label += f" {MARKS.get(unit.status, '·')}"
        labels[unit.id] = label + (f" (+ {clipped(', '.join(others), _LABEL)})" if others else "")
        if main is not None:
            children.setdefault(main, []).append(unit.id)
            behind.add(unit.id)
    drawing = _Map(labels, children)
    order = [*starts, *(unit.id for unit in some)]
    drawing.tall(order)
    lines = [
        clipped(text, width)
        for name in order
        if name not in behind and (name not in starts or children.get(name))
        for text in drawing.drawn(name, width)
    ]
    return [*lines, f"… and {rest:,} more steps"] if rest > 0 else lines
