"""Nodes: the units of a run, and which waits for which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from workflow_assets.cells import Planned
from workflow_assets.outcomes import Failure
from workflow_assets.plans import PlannedStep
from workflow_assets.runs import ReplicateCells
from workflow_assets.store.base import Record
from workflow_assets.tasks import Reference, Unit


@dataclass(eq=False, slots=True)
class Node:
    """A unit that is to be done, after those `before` it; `needed` are the data that it lacks of its own."""

    unit: Unit
    replicate: ReplicateCells | None
    needed: Sequence[Planned]
    before: Sequence[Node]
    needs: Mapping[str, float]
    after: list[Node] = field(default_factory=list)
    waits: int = 0
    outcome: Record | Failure | None = None
    computed: bool = False
    deaths: int = 0
    losses: int = 0
    timeouts: Counter[Reference] | None = None
    lost: dict[Reference, Failure] | None = None
    again: bool = False
    alone: bool = False


def needs_of(step: PlannedStep) -> Mapping[str, float]:
    """Give what computing a datum needs, with the transient steps that are computed on the way."""
    above = [
        needs_of(given)
        for _, given in step.inputs
        if isinstance(given, PlannedStep) and given.node.step.transient
    ]
    return most([step.node.step.resources, *above])


def most(needs: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    """Give what is needed where one is done after the other."""
    most: dict[str, float] = {}
    for one in needs:
        for name, amount in one.items():
            most[name] = max(most.get(name, 0.0), amount)
    return most


def ancestors(planned: Planned) -> set[Planned]:
    """Give all that a datum is made from."""
    found: set[Planned] = set()
    pending = [planned]
    while pending:
        one = pending.pop()
        if isinstance(one, PlannedStep):
            fresh = [given for _, given in one.inputs if given not in found]
            found.update(fresh)
            pending += fresh
    return found
