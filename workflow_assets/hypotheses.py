"""Hypotheses: what is expected of a metric, declared before it is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.flags import override_faults
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.stats.methods import METHODS, PAIRED_TESTS, UNPAIRED_TESTS

Alternative = Literal["greater", "less", "two-sided"]

ALTERNATIVES = ("greater", "less", "two-sided")
TESTS = ("auto", *METHODS)
RESERVED = ("complete",)


@dataclass(frozen=True)
class Hypothesis:
    """A claim about the difference that a treatment makes to a metric.

    The claim is ``treatment - against > margin`` for "greater", ``< -margin`` for "less", and a difference of more
    than `margin` either way for "two-sided". A negative margin claims non-inferiority.

    Args:
        name: an identifier; the name of the asset check in Dagster.
        metric: a declared metric, as ``step.field``.
        treatment: the treatment that the claim is about.
        against: what it is compared with.
        alternative: the direction of the claim.
        margin: how large the difference must at least be, in the metric's own units.
        test: "auto", or one of the tests by name.
        paired: compare within replicates (they share their random streams); False compares the two samples.
        alpha: the accepted rate of false support; intervals have the confidence ``1 - alpha``.
        gate: make the asset check blocking, so that a job exits non-zero when the hypothesis is not supported.
        family: what hypotheses are counted together that ask the same in different words, when they are confirmed; by
            default those that compare the same treatments on the same metric.
        overrides: why flags on the verdict do not matter, by their codes; they are shown, with these reasons.

    >>> Hypothesis("weaker_is_better", metric="score.accuracy", treatment="strong").alternative
    'greater'
    """

    name: str
    metric: str
    treatment: str
    against: str = "baseline"
    alternative: Alternative = "greater"
    margin: float = 0.0
    test: str = "auto"
    paired: bool = True
    alpha: float = 0.05
    gate: bool = False
    description: str = ""
    family: str = ""
    overrides: Mapping[str, str] = field(default_factory=FrozenDict, hash=False)

    def __post_init__(self) -> None:
        for name in ("margin", "alpha"):
            object.__setattr__(self, name, unwrap_scalar(getattr(self, name)))
        faults = [*_text_faults(self), *_number_faults(self), *override_faults(self.overrides)]
        if isinstance(self.overrides, Mapping):
            object.__setattr__(self, "overrides", FrozenDict(self.overrides))
        if self.name in RESERVED:
            faults.append(f"{self.name!r} is the name of a built-in check; choose another")
        if self.alternative not in ALTERNATIVES:
            faults.append(
                f"alternative = {self.alternative!r}: {did_you_mean(str(self.alternative), ALTERNATIVES)}"
            )
        if self.test not in TESTS:
            faults.append(f"test = {self.test!r}: {did_you_mean(str(self.test), TESTS)}")
        elif self.test in UNPAIRED_TESTS and self.paired is True:
            faults.append(f"test = {self.test!r} compares unpaired samples: say paired=False")
        elif self.test in PAIRED_TESTS and self.paired is False:
            faults.append(f"test = {self.test!r} compares pairs: leave out paired=False")
        if self.treatment == self.against:
            faults.append(f"treatment and against are both {self.treatment!r}: nothing is compared")
        if faults:
            raise DeclarationError(
                f"hypothesis {self.name!r}" if isinstance(self.name, str) else "hypothesis", faults
            )

    def claim(self) -> str:
        """Tell the claim in words."""
        difference = f"{self.metric} under {self.treatment} minus under {self.against}"
        if self.alternative == "two-sided":
            return f"{difference} is not 0" if not self.margin else f"{difference} is beyond ±{self.margin:g}"
        sign, bound = (">", self.margin) if self.alternative == "greater" else ("<", -self.margin)
        return f"{difference} {sign} {bound + 0.0:g}"


def _text_faults(one: Any) -> list[str]:
    faults = []
    if fault := identifier_fault(one.name):
        faults.append(f"its name {fault}")
    faults += [
        f"{name} = {excerpt(getattr(one, name))}: expected {what}"
        for name, what in (
            ("metric", "a metric's name, such as 'score.accuracy'"),
            ("treatment", "a treatment's name"),
            ("against", "a treatment's name"),
            ("description", "a text"),
            ("family", "a family's name"),
        )
        if not isinstance(getattr(one, name), str)
    ]
    return faults


def _number_faults(one: Any) -> list[str]:
    faults = []
    if not _is_number(one.margin) or not math.isfinite(one.margin):
        faults.append(f"margin = {excerpt(one.margin)}: expected a finite number")
    elif one.alternative == "two-sided" and one.margin < 0:
        faults.append(f"margin = {one.margin}: a two-sided claim has a margin of 0 or more")
    if not _is_number(one.alpha) or not 0 < one.alpha < 1:
        faults.append(f"alpha = {excerpt(one.alpha)}: expected a rate between 0 and 1")
    faults += [
        f"{name} = {excerpt(getattr(one, name))}: expected True or False"
        for name in ("paired", "gate")
        if not isinstance(getattr(one, name), bool)
    ]
    return faults


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
