"""Preregistrations: what a confirmation will ask of which data, written down before the data exist."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from workflow_assets.canonical import digest
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.modules import qualified_name
from workflow_assets.names import identifier_fault
from workflow_assets.traits import is_count

UNLIMITED = "unlimited"
Attempts = int | Literal["unlimited"]

# What a hypothesis is called, how it is shown and what is done about it is no part of what it claims.
_NO_CLAIM = frozenset({"name", "description", "gate", "accept", "overrides"})


def claim_of(one: Hypothesis) -> dict[str, Any]:
    """Give all that a hypothesis claims and how it is tested as plain values; its name is no part of that."""
    return {
        name: _plain(getattr(one, name))
        for name in sorted(part.name for part in dataclasses.fields(one))
        if name not in _NO_CLAIM
    }


def family_of(one: Hypothesis) -> str:
    """Name the family whose attempts are counted together: the declared one, or what is compared on which metric.

    >>> family_of(Hypothesis("better", metric="score", treatment="strong"))
    'score: strong against baseline'
    """
    return one.family or f"{', '.join(sorted(one.metrics))}: {one.treatment} against {one.against}"


def _plain(value: Any) -> Any:
    if callable(value):
        return qualified_name(value)
    if isinstance(value, Mapping):
        return {name: list(said) for name, said in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


@dataclass(frozen=True)
class Preregistration:
    """What was declared before the first cell of a confirmation was computed.

    `replicates` are the keys of the fresh ones: "first" and "count", or "units". `claims` has what each hypothesis
    claims, by name; `families` which family each is of, and for each family the number of this attempt and how many
    the first of them declared. `code` has the fingerprints of steps and sources, `parameters` the values in effect,
    `sources` the keys of their content.
    """

    experiment: str
    number: int
    attempt: int
    claims: Mapping[str, Mapping[str, Any]]
    families: Mapping[str, str]
    tries: Mapping[str, tuple[int, Attempts]]
    replicates: Mapping[str, Any]
    seed: int
    configuration: str
    code: Mapping[str, str] = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)
    sources: Mapping[str, str] = field(repr=False)
    git: Mapping[str, Any] | None
    who: str
    when: str

    @cached_property
    def digest(self) -> str:
        """The digest of all that it says; a verdict names it."""
        return digest("preregistration", json.dumps(self.as_dict(), sort_keys=True))

    def as_dict(self) -> dict[str, Any]:
        """Give it as plain values."""
        told = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        told["tries"] = {family: list(tried) for family, tried in self.tries.items()}
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Preregistration:
        """Read what `as_dict` gave."""
        tries = {family: (tried[0], tried[1]) for family, tried in told["tries"].items()}
        return cls(**{**told, "tries": tries})

    def spent(self, hypothesis: str) -> tuple[int, Attempts]:
        """Give the number of this attempt in the hypothesis's family, and how many were declared."""
        return self.tries[self.families[hypothesis]]

    def __str__(self) -> str:
        kept = self.replicates
        fresh = (
            ", ".join(kept["units"])
            if "units" in kept
            else f"{kept['first']:04d} to {kept['first'] + kept['count'] - 1:04d}"
        )
        git = self.git
        lines = [
            f"preregistration {self.digest}",
            f"  experiment  {self.experiment}, confirmation {self.number}, by {self.who} on {self.when}",
            f"  replicates  {fresh}, seed {self.seed}",
        ]
        for name, claim in self.claims.items():
            number, declared = self.spent(name)
            told = ", ".join(f"{part} {value}" for part, value in claim.items() if value not in ("", None))
            lines.append(f"  hypothesis  {name}: {told}; attempt {number} of {declared}")
        if git:
            lines.append(f"  git         {git['commit']}{' with changes' if git['dirty'] else ''}")
        return "\n".join(lines)


def attempts_fault(attempts: Any) -> str | None:
    """Say why something is no number of attempts; None if it is."""
    if attempts is None or attempts == UNLIMITED or is_count(attempts):
        return None
    return f"attempts = {excerpt(attempts)}: expected a whole number of 1 or more, or 'unlimited'"


@dataclass(frozen=True)
class Confirmation:
    """A confirmation to be compiled to Dagster: see `Experiment.confirmation`.

    >>> Confirmation("study", ("better",)).name
    'study_confirms_better'
    """

    experiment: str
    hypotheses: tuple[str, ...]
    replicates: int | Sequence[str] = 30
    attempt: int = 1
    attempts: Attempts | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.name == "":
            object.__setattr__(self, "name", f"{self.experiment}_confirms_{'_'.join(self.hypotheses)}")
        faults = [] if is_count(self.attempt) else [_ATTEMPT.format(excerpt(self.attempt))]
        if fault := identifier_fault(self.name):
            faults.append(f"its name {fault}")
        if fault := attempts_fault(self.attempts):
            faults.append(fault)
        if not self.hypotheses:
            faults.append("it names no hypothesis to confirm")
        if faults:
            raise DeclarationError(f"a confirmation of experiment {self.experiment!r}", faults)


_ATTEMPT = "attempt = {}: expected a whole number of 1 or more"


def chosen(hypotheses: Sequence[Hypothesis], names: Sequence[str], experiment: str) -> tuple[Hypothesis, ...]:
    """Give the hypotheses of these names; raise `DeclarationError` naming near matches."""
    known = {one.name: one for one in hypotheses}
    faults = [
        f"experiment {experiment!r} has no hypothesis {excerpt(name)} to confirm: {did_you_mean(str(name), known)}"
        for name in names
        if name not in known
    ]
    if faults:
        raise DeclarationError("confirmation", faults)
    return tuple(known[name] for name in dict.fromkeys(names))
