"""Verdicts: what the data say about each hypothesis of an experiment, and how it was decided."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_assets.declarations import Declaration
from workflow_assets.flags import Flag, budgets, dropping, low_n
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.streams import generator

if TYPE_CHECKING:
    from workflow_assets.stats.claims import Comparison
    from workflow_assets.stats.effects import Effect

RESAMPLES = 9_999


@dataclass(frozen=True)
class Arm:
    """A metric's values under one treatment, by replicate: `expected` many, less those of `failed` cells."""

    treatment: str
    metric: str
    values: Mapping[str, Any]
    expected: int
    failed: int


@dataclass(frozen=True)
class Verdict:
    """What the data say about a hypothesis.

    `decision` is "supported" (the adjusted p is at most alpha, in the stated direction and beyond the margin),
    "refuted" (the interval excludes the claim), "inconclusive" (neither), or "undecidable" (`reason` says why).
    `effect` is the mean difference in the metric's own units, `effects` has the standardised ones too; each has an
    interval. `flags` name what a reader should know before trusting the verdict, overridden or not. `preregistration`
    is the digest of the one that the verdict answers, "" for a verdict of exploration.
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

    @property
    def effect(self) -> Effect | None:
        """The mean difference, in the metric's own units."""
        return self.effects[0] if self.effects else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval of the mean difference."""
        return (self.effects[0].low, self.effects[0].high) if self.effects else None

    @property
    def estimand(self) -> str:
        """What the effect estimates, in words."""
        one = self.hypothesis
        pairing = "per replicate" if one.paired else "between the two samples"
        return f"mean of {one.metric} under {one.treatment} minus that under {one.against}, {pairing}"

    @property
    def supported(self) -> bool:
        """Whether the claim is supported."""
        return self.decision == "supported"

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
        """Give the verdict as plain values, ready for JSON."""
        one = self.hypothesis
        return {
            "hypothesis": one.name,
            "claim": one.claim(),
            "decision": self.decision,
            "reason": self.reason,
            "test": self.test,
            "n": list(self.n),
            "statistic": self.statistic,
            "df": self.df,
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "alpha": one.alpha,
            "margin": one.margin,
            "alternative": one.alternative,
            "estimand": self.estimand,
            "effects": [dataclasses.asdict(effect) for effect in self.effects],
            "note": self.note,
            "flags": [flag.as_dict() for flag in self.flags],
            "preregistration": self.preregistration,
        }

    def __str__(self) -> str:
        one = self.hypothesis
        head = f"{one.name}: {self.decision} ({one.claim()})"
        if self.effect is None or self.p is None or self.p_adjusted is None:
            return "\n  ".join([head, self.reason, *(f"! {flag.told()}" for flag in self.flags)])
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
            *(f"! {flag.told()}" for flag in self.flags),
        ]
        return "\n  ".join(lines)


def judge(declaration: Declaration, arm: Callable[[str, str], Arm]) -> dict[str, Verdict]:
    """Judge every hypothesis of an experiment; `arm` gives a metric's values under a treatment.

    p values are adjusted by Holm's method over all hypotheses of the experiment. An undecidable one counts in the
    family with p = 1: declaring a hypothesis that cannot be decided does not make the others cheaper.
    """
    from workflow_assets.stats.decisions import holm

    verdicts = [_compare(declaration, one, arm) for one in declaration.hypotheses]
    adjusted = holm([1.0 if verdict.p is None else verdict.p for verdict in verdicts])
    return {
        verdict.hypothesis.name: decided(verdict, p) for verdict, p in zip(verdicts, adjusted, strict=True)
    }


def decided(verdict: Verdict, p_adjusted: float) -> Verdict:
    """Give the verdict with the decision that its p value leads to, adjusted for all that was asked."""
    from workflow_assets.stats.decisions import decide

    if verdict.p is None:
        return verdict
    one = verdict.hypothesis
    decision = decide(
        p_adjusted, verdict.interval, alternative=one.alternative, margin=float(one.margin), alpha=one.alpha
    )
    return dataclasses.replace(verdict, decision=str(decision), p_adjusted=p_adjusted)


def _compare(declaration: Declaration, one: Hypothesis, arm: Callable[[str, str], Arm]) -> Verdict:
    """Compare two arms; the decision waits for the adjustment over all hypotheses."""
    from workflow_assets.stats.comparisons import compare
    from workflow_assets.stats.decisions import choose_test, undecidable_reason
    from workflow_assets.stats.effects import cliffs_delta, hedges_g, mean_difference
    from workflow_assets.stats.means import resampling_inflation

    first, second = arm(one.treatment, one.metric), arm(one.against, one.metric)
    flags = [*_failure_flags(first), *_failure_flags(second)]
    x, y, dropped = _aligned(first, second, one.paired)
    flags += dropped
    flags += dropping([(arm.treatment, arm.expected - _usable(arm), arm.expected) for arm in (first, second)])
    flags += budgets({name: declaration.treatments[name].tuned for name in (one.treatment, one.against)})
    n = (len(x), len(y))
    if reason := undecidable_reason(x, y, paired=one.paired):
        return Verdict(one, "undecidable", reason, n=n, flags=tuple(flags))
    flags += low_n(n, one.paired)
    overlap = declaration.replicates.test_fraction
    boolean = declaration.metrics[one.metric] is bool
    margin = float(one.margin)
    test, why = choose_test(x, y, paired=one.paired, boolean=boolean, overlap=overlap, margin=margin)
    if one.test not in ("auto", test):
        if test == "sign_flip" and one.test in ("paired_t", "corrected_resampled_t"):
            why = f"{one.test} was asked for, but {why}"
        else:
            test, why = one.test, "chosen in the declaration"
            if overlap is not None:
                flags.append(_overlap(test))
    elif overlap is not None and test != "corrected_resampled_t":
        flags.append(_overlap(test))
    confidence = 1 - one.alpha
    inflation = resampling_inflation(n[0], overlap) if overlap is not None and one.paired else 1.0
    try:
        comparison: Comparison = compare(
            test,
            x,
            y,
            alternative=one.alternative,
            margin=margin,
            rng=generator(declaration.seed, f"hypothesis {one.name}"),
            test_fraction=overlap,
            resamples=RESAMPLES,
        )
        difference = mean_difference(
            x, y, paired=one.paired, confidence=confidence, variance_inflation=inflation
        )
    except ValueError as error:
        return Verdict(one, "undecidable", f"{test}: {error}", test, n, flags=tuple(flags))
    effects, notes = [difference], [comparison.note] if comparison.note else []
    for measure in (hedges_g, cliffs_delta):
        try:
            effects.append(
                measure(x, y, paired=one.paired, confidence=confidence, variance_inflation=inflation)
            )
        except ValueError as error:  # the verdict rests on the difference, and stands without it
            notes.append(str(error))
    statistic = comparison.statistic if math.isfinite(comparison.statistic) else None
    return Verdict(
        one,
        "inconclusive",
        why,
        test,
        n,
        comparison.p,
        None,
        statistic,
        comparison.df,
        comparison.exact,
        "; ".join(notes),
        tuple(effects),
        tuple(flags),
    )


def _overlap(test: str) -> Flag:
    return Flag("overlap", f"the replicates are overlapping re-splits, which {test} does not account for")


def _usable(arm: Arm) -> int:
    return sum(math.isfinite(value) for value in arm.values.values())


def _failure_flags(arm: Arm) -> list[Flag]:
    told = []
    if arm.failed:
        told.append(f"{arm.failed} of {arm.expected} cells of {arm.treatment} failed and are left out")
    missing = arm.expected - arm.failed - len(arm.values)
    if missing:
        told.append(
            f"{missing} of {arm.expected} cells of {arm.treatment} have no {arm.metric} and are left out"
        )
    return [Flag("dropped_cells", one) for one in told]


def _aligned(first: Arm, second: Arm, paired: bool) -> tuple[list[float], list[float], list[Flag]]:
    """Give the two arms' finite values, by replicate where they are paired, and say what was dropped."""
    one, two = ({key: float(value) for key, value in arm.values.items()} for arm in (first, second))
    flags = []
    for arm, values in ((first, one), (second, two)):
        unusable = [key for key, value in values.items() if not math.isfinite(value)]
        if unusable:
            told = f"{len(unusable)} values of {arm.metric} under {arm.treatment} are not finite and are left out"
            flags.append(Flag("dropped_cells", told))
        for key in unusable:
            del values[key]
    if not paired:
        return list(one.values()), list(two.values()), flags
    both = [key for key in one if key in two]
    return [one[key] for key in both], [two[key] for key in both], flags
