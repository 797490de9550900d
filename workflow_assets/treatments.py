"""Treatments: named changes to a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_assets.errors import DeclarationError
from workflow_assets.sources import Source
from workflow_assets.steps import Step

BASELINE = "baseline"
"""The treatment that changes nothing. It always exists and comes first."""


@dataclass(frozen=True)
class Treatment:
    """What to change: parameter values, swapped steps, swapped sources.

    A swapped step fills the slot of the step that it replaces: it is wired by its own parameters' names, keeps the
    slot's random stream, and keeps those parameters of the experiment that it has too.

    >>> Treatment({"model.C": 0.01}).parameters
    {'model.C': 0.01}
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, Step[..., Any]] = field(default_factory=dict)
    sources: Mapping[str, Source[Any]] = field(default_factory=dict)
    description: str = ""

    def __post_init__(self) -> None:
        faults = []
        for place, kind in (("parameters", object), ("steps", Step), ("sources", Source)):
            value = getattr(self, place)
            if not isinstance(value, Mapping):
                faults.append(f"{place} is a {type(value).__qualname__}, not a mapping")
                continue
            for key, member in value.items():
                if not isinstance(key, str):
                    faults.append(f"{place} has the key {key!r}, which is not a string")
                elif not isinstance(member, kind):
                    decorator = place.removesuffix("s")
                    faults.append(
                        f"{place}[{key!r}] is a {type(member).__qualname__}, not a {decorator}: decorate it with "
                        f"@{decorator}"
                    )
            object.__setattr__(self, place, dict(value))
        if faults:
            raise DeclarationError("treatment", faults)

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return bool(self.parameters or self.steps or self.sources)

    def summary(self) -> str:
        """Tell the change in one line."""
        parts = [f"{name} = {value!r}" for name, value in self.parameters.items()]
        swapped: dict[str, Step[..., Any] | Source[Any]] = {**self.steps, **self.sources}
        parts += [f"{name} → {member.slug}" for name, member in swapped.items()]
        return self.description or ", ".join(parts) or "no change"
