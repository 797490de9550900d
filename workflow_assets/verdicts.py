"""Verdicts: what the data say about each hypothesis of an experiment, and how it was decided."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_assets.flags import Flag
from workflow_assets.hypotheses import Hypothesis

if TYPE_CHECKING:
    from workflow_assets.stats.effects import Effect

RESAMPLES = 9_999


class Size(NamedTuple):
    """How large the differences among several treatments are, in one number, and in words what it is."""

    name: str
    value: float
    meaning: str


class Pair(NamedTuple):
    """What is known of two of several treatments: the estimate of x - y, its interval and p, adjusted for all pairs."""

    procedure: str
    x: str
    y: str
    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Verdict:
    """What the data say about a hypothesis.

    `decision` is "supported" (the adjusted p is at most alpha, in the stated direction and beyond the margin),
    "refuted" (the interval excludes the claim, or one part of it), "inconclusive" (neither), or "undecidable" (`reason`
    says why). `effect` is the mean difference in the metric's own units, `effects` has the standardised ones too; each
    has an interval. `parts` has the verdicts on each metric of a claim about several. `flags` name what a reader should
    know before trusting the verdict, overridden or not. `preregistration` is the digest of the one that the verdict
    answers, "" for a verdict of exploration.
    """

    hypothesis: Hypothesis
    decision: str
    reason: str
    test: str | None = None
    n: tuple[int, int] = (0, 0)
    p: float | None = None
    p_adjusted: float | None = None
    statistic: float | None = None
    df: float | None = None
    exact: bool = False
    note: str = ""
    effects: tuple[Effect, ...] = ()
    flags: tuple[Flag, ...] = ()
    preregistration: str = ""
    adjustment: str = "holm"
    sizes: tuple[Size, ...] = ()
    pairs: tuple[Pair, ...] = ()
    parts: tuple[Verdict, ...] = ()

    @property
    def effect(self) -> Effect | None:
        """What the claim is about: the mean difference in the metric's own units, unless the test is about another."""
        return self.effects[0] if self.effects else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval of the effect."""
        return (self.effects[0].low, self.effects[0].high) if self.effects else None

    @property
    def estimand(self) -> str:
        """What the effect estimates, in words."""
        one = self.hypothesis
        if one.together:
            return "; ".join(part.estimand for part in self.parts)
        if one.several:
            return f"whether {one.metrics[0]} differs among {', '.join(one.arms)}"
        second = f"that under {one.against}" if isinstance(one.against, str) else f"a fixed {one.against:g}"
        if self.effect is None or self.effect.name == "mean_difference":
            pairing = "per replicate" if one.paired else "between the two samples"
            return f"mean of {one.metric} under {one.treatment} minus {_that(one.against)}, {pairing}"
        return f"{self.effect.estimand}, for x = {one.metric} under {one.treatment} and y = {second}"

    @property
    def supported(self) -> bool:
        """Whether the claim is supported."""
        return self.decision == "supported"

    @property
    def accepted(self) -> bool:
        """Whether the decision is one that the hypothesis's check and gate let pass."""
        return self.decision in self.hypothesis.accept

    @property
    def clean(self) -> bool:
        """Whether there is no flag at all: one that was overridden is still one."""
        return not self.flags

    @property
    def confirmed(self) -> bool:
        """Whether the claim is supported by a preregistered confirmation, on data that nobody had seen before.

        Flags may be on it besides: see `clean`.
        """
        stale = any(flag.code in ("reused_data", "peeking") for flag in self.flags)
        return self.supported and bool(self.preregistration) and not stale

    def as_dict(self) -> dict[str, Any]:
        """Give the verdict as plain values, ready for JSON; `text` is what it says in words."""
        one = self.hypothesis
        return {
            "hypothesis": one.name,
            "description": one.description,
            "claim": one.claim(),
            "metric": one.metric if isinstance(one.metric, str) else list(one.metric),
            "treatment": one.treatment if isinstance(one.treatment, str) else list(one.treatment),
            "against": one.against,
            "paired": one.paired,
            "gate": one.gate,
            "accept": list(one.accept),
            "decision": self.decision,
            "reason": self.reason,
            "test": self.test,
            "n": list(self.n),
            "statistic": self.statistic,
            "df": self.df,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "exact": self.exact,
            "alpha": one.alpha,
            "margin": one.margin,
            "alternative": one.alternative,
            "estimand": self.estimand,
            "effect": None if self.effect is None else dataclasses.asdict(self.effect),
            "effects": [dataclasses.asdict(effect) for effect in self.effects],
            "note": self.note,
            "text": str(self),
            "flags": [flag.as_dict() for flag in self.flags],
            "preregistration": self.preregistration,
            "family": one.family,
            "adjustment": self.adjustment,
            "sizes": [size._asdict() for size in self.sizes],
            "pairs": [pair._asdict() for pair in self.pairs],
            "parts": [part.as_dict() for part in self.parts],
        }

    def __str__(self) -> str:
        one = self.hypothesis
        head = f"{one.name}: {self.decision} ({one.claim()})"
        flags = [f"! {flag.told()}" for flag in self.flags]
        if one.together and self.p is not None and self.p_adjusted is not None:
            return "\n  ".join([head, *self._about_parts(), *flags])
        if self.p is None or self.p_adjusted is None or (self.effect is None and not one.several):
            return "\n  ".join([head, self.reason, *flags])
        if self.effect is None:
            return "\n  ".join([head, *self._about_several(), *flags])
        effect = self.effect
        pairs = f"{self.n[0]} pairs" if one.paired else f"{self.n[0]} and {self.n[1]} values"
        others = ", ".join(
            f"{other.name} {other.estimate:.3g} [{other.low:.3g}, {other.high:.3g}]"
            for other in self.effects[1:]
        )
        interval = f"[{effect.low:+.4g}, {effect.high:+.4g}] at {effect.confidence:.0%}"
        lines = [
            head,
            f"{effect.estimate:+.4g} {interval}: {self.estimand}",
            f"{self.test}, {pairs}: p = {self.p:.3g}, adjusted {self.p_adjusted:.3g}; {self.reason}",
            *([others] if others else []),
            *([self.note] if self.note else []),
            *([f"preregistered as {self.preregistration}"] if self.preregistration else []),
            *flags,
        ]
        return "\n  ".join(lines)

    def _about_parts(self) -> list[str]:
        """Tell what is known of each metric, and of all together."""
        lines = [f"p = {self.p:.3g}, adjusted {self.p_adjusted:.3g}; {self.reason}"]
        for part in self.parts:
            told = f"{part.hypothesis.metrics[0]}: {part.decision}, p = {part.p:.3g} ({part.test})"
            if (effect := part.effect) is not None:
                interval = f"[{effect.low:+.4g}, {effect.high:+.4g}] at {effect.confidence:.0%}"
                told += f", {effect.estimate:+.4g} {interval}"
            lines.append(told)
        return [*lines, *([f"preregistered as {self.preregistration}"] if self.preregistration else [])]

    def _about_several(self) -> list[str]:
        """Tell what is known of several treatments, and of those pairs that differ."""
        sizes = ", ".join(f"{size.name} {size.value:.3g}" for size in self.sizes)
        least, most = self.n
        each = f"{least}" if least == most else f"{least} to {most}"
        what = "replicates" if self.hypothesis.paired else "values each"
        alpha = self.hypothesis.alpha
        return [
            f"{self.test}, {each} {what}: p = {self.p:.3g}, adjusted {self.p_adjusted:.3g}; {self.reason}",
            *([sizes] if sizes else []),
            *(
                f"{pair.x} − {pair.y}: {pair.estimate:+.4g} [{pair.low:+.4g}, {pair.high:+.4g}], "
                f"p = {pair.p:.3g} ({pair.procedure})"
                for pair in self.pairs
                if pair.p <= alpha
            ),
            *([self.note] if self.note else []),
        ]


def _that(against: str | float) -> str:
    return f"that under {against}" if isinstance(against, str) else f"{against:g}"


def decided(verdict: Verdict, p_adjusted: float) -> Verdict:
    """Give the verdict with the decision that its p value leads to, adjusted for all that was asked."""
    from workflow_assets.stats.decisions import decide

    if verdict.p is None:
        return verdict
    one = verdict.hypothesis
    if one.together:  # which one part that is refuted refutes
        against = any(part.decision == "refuted" for part in verdict.parts)
        decision = "supported" if p_adjusted <= one.alpha else "refuted" if against else "inconclusive"
        return dataclasses.replace(verdict, decision=decision, p_adjusted=p_adjusted)
    if one.several:  # nothing speaks against a difference of some kind
        decision = "supported" if p_adjusted <= one.alpha else "inconclusive"
        return dataclasses.replace(verdict, decision=decision, p_adjusted=p_adjusted)
    decision = decide(
        p_adjusted, verdict.interval, alternative=one.alternative, margin=float(one.margin), alpha=one.alpha
    )
    return dataclasses.replace(verdict, decision=str(decision), p_adjusted=p_adjusted)
