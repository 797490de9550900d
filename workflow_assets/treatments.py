"""Treatments: named changes to a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.mappings import FrozenDict
from workflow_assets.sources import Source
from workflow_assets.steps import Step, private_copy
from workflow_assets.traits import is_count

BASELINE = "baseline"
"""The treatment that changes nothing. It always exists and comes first."""


@dataclass(frozen=True)
class Treatment:
    """What to change: parameter values, swapped steps, swapped sources.

    A swapped step fills the slot of the step that it replaces: it is wired by its own parameters' names, keeps the
    slot's random stream, and keeps those parameters of the experiment that it has too. `tuned` tells how many
    configurations were tried until this one was chosen: a comparison with less effort on the other side is flagged.

    Raises `DeclarationError` with every fault.

    >>> Treatment({"model.C": 0.01}).parameters
    {'model.C': 0.01}
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Step[..., Any]] = field(default_factory=dict)
    sources: Mapping[str, Source[Any]] = field(default_factory=dict)
    description: str = ""
    tuned: int | None = None

    def __post_init__(self) -> None:
        faults: list[str] = []
        for place, kind in (("parameters", object), ("steps", Step), ("sources", Source)):
            value: Any = getattr(self, place)
            if value is not None and not isinstance(value, Mapping):
                faults.append(
                    f"{place} is a {type(value).__qualname__}: expected a mapping such as {_EXAMPLES[place]}"
                )
                continue
            for key, member in (value or {}).items():
                if fault := _member_fault(place, kind, key, member):
                    faults.append(fault)
            object.__setattr__(
                self, place, FrozenDict({key: _own(member) for key, member in (value or {}).items()})
            )
        description: Any = self.description
        if not isinstance(description, str):
            faults.append(f"description = {excerpt(description)}: expected a text")
        if self.tuned is not None and not (is_count(self.tuned) or self.tuned == 0):
            faults.append(
                f"tuned = {excerpt(self.tuned)}: expected how many configurations were tried, 0 or more"
            )
        if faults:
            raise DeclarationError("treatment", faults)

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return bool(self.parameters or self.steps or self.sources)

    def summary(self) -> str:
        """Tell the change in one line."""
        parts = [f"{name} = {excerpt(value)}" for name, value in self.parameters.items()]
        parts += [f"{name} → {step.slug}" for name, step in self.steps.items()]
        parts += [f"{name} → {source.slug}" for name, source in self.sources.items()]
        return self.description or ", ".join(parts) or "no change"


_EXAMPLES = {
    "parameters": "{'step.parameter': value}",
    "steps": "{'slot': step}",
    "sources": "{'name': source}",
}


def _member_fault(place: str, kind: type, key: object, member: object) -> str | None:
    if not isinstance(key, str):
        return f"{place} has the key {excerpt(key)}, which is not a text"
    if place == "parameters" and isinstance(member, Step | Source):
        what = type(member).__name__.lower()
        slot = key.partition(".")[0]
        return f"{key!r} is set to a {what}: to swap a {what}, write Treatment({what}s={{{slot!r}: {member.name}}})"
    if isinstance(member, kind):
        return None
    what = place.removesuffix("s")
    return f"{place}[{key!r}] is a {type(member).__qualname__}, not a {what}: decorate it with @{what}"


def _own(member: Any) -> Any:
    """Copy a value, so that the treatment stays as it is when the caller's is changed."""
    try:
        return private_copy(member)
    except Exception:  # noqa: BLE001 - what cannot be copied is told where its place in the workflow is known
        return member
