"""Verdicts: what the data say about each hypothesis of an experiment, and how it was decided."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workflow_assets.declarations import Declaration
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.levels import Levels, nesting_flag
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
    interval. `flags` name what a reader should know before trusting the verdict.
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
    flags: tuple[str, ...] = ()

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
    def accepted(self) -> bool:
        """Whether the decision is one that the hypothesis's check and gate let pass."""
        return self.decision in self.hypothesis.accept

    def as_dict(self) -> dict[str, Any]:
        """Give the verdict as plain values, ready for JSON; `text` is what it says in words."""
        one = self.hypothesis
        return {
            "hypothesis": one.name,
            "description": one.description,
            "claim": one.claim(),
            "metric": one.metric,
            "treatment": one.treatment,
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
            "flags": [str(flag) for flag in self.flags],
            "text": str(self),
        }

    def __str__(self) -> str:
        one = self.hypothesis
        head = f"{one.name}: {self.decision} ({one.claim()})"
        if self.effect is None or self.p is None or self.p_adjusted is None:
            return "\n  ".join([head, self.reason, *(f"! {flag}" for flag in self.flags)])
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
            *(f"! {flag}" for flag in self.flags),
        ]
        return "\n  ".join(lines)


def judge(declaration: Declaration, arm: Callable[[str, str], Arm]) -> dict[str, Verdict]:
    """Judge every hypothesis of an experiment; `arm` gives a metric's values under a treatment.

    p values are adjusted by Holm's method over all hypotheses of the experiment. An undecidable one counts in the
    family with p = 1: declaring a hypothesis that cannot be decided does not make the others cheaper.
    """
    from workflow_assets.stats.families import holm

    verdicts = [_sheltered(declaration, one, arm) for one in declaration.hypotheses]
    adjusted = holm([1.0 if verdict.p is None else verdict.p for verdict in verdicts])
    return {
        verdict.hypothesis.name: _decide(verdict, p) for verdict, p in zip(verdicts, adjusted, strict=True)
    }


def _sheltered(declaration: Declaration, one: Hypothesis, arm: Callable[[str, str], Arm]) -> Verdict:
    """Compare two arms; whatever goes wrong is one hypothesis's own, and costs no result."""
    try:
        return _compare(declaration, one, arm)
    except ValueError as error:  # which says what about the values is wrong
        return Verdict(one, "undecidable", str(error))
    except Exception as error:  # noqa: BLE001 - the user's own test among them
        return Verdict(one, "undecidable", f"judging it raised {type(error).__name__}: {error}")


def _decide(verdict: Verdict, p_adjusted: float) -> Verdict:
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
    from workflow_assets.stats.dominances import cliffs_delta
    from workflow_assets.stats.effects import mean_difference
    from workflow_assets.stats.means import resampling_inflation
    from workflow_assets.stats.standardised import hedges_g

    assert isinstance(one.treatment, str)
    first = arm(one.treatment, one.metric)
    second = arm(one.against, one.metric) if isinstance(one.against, str) else _level(one.against, first)
    flags = [*_failure_flags(first), *_failure_flags(second)]
    x, y, dropped, aggregated = _aligned(first, second, one.paired, declaration.replicates.levels)
    flags += dropped
    if nested := nesting_flag(declaration.replicates.units or (), declaration.replicates.levels):
        flags.append(nested)
    n = (len(x), len(y))
    if reason := undecidable_reason(x, y, paired=one.paired):
        return Verdict(one, "undecidable", reason, n=n, flags=tuple(flags))
    overlap = declaration.replicates.test_fraction
    boolean = declaration.metrics[one.metric] is bool and not aggregated  # means of 0 and 1 lie between them
    margin = float(one.margin)
    test: str | Callable[..., Any]
    test, why = choose_test(x, y, paired=one.paired, boolean=boolean, overlap=overlap, margin=margin)
    if one.test not in ("auto", test):
        if test == "sign_flip" and one.test in ("paired_t", "corrected_resampled_t"):
            why = f"{one.test} was asked for, but {why}"
        else:
            test, why = one.test, "chosen in the declaration"
            if overlap is not None:
                flags.append(f"the replicates are overlapping re-splits, which {test} does not account for")
    elif overlap is not None and test != "corrected_resampled_t":
        flags.append(f"the replicates are overlapping re-splits, which {test} does not account for")
    confidence = one.confidence
    inflation = resampling_inflation(n[0], overlap) if overlap is not None and one.paired else 1.0
    try:
        comparison: Comparison = compare(
            test,
            x,
            y,
            paired=one.paired,
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
        return Verdict(one, "undecidable", f"{one.test_name}: {error}", one.test_name, n, flags=tuple(flags))
    effects, notes = [difference], [note for note in (aggregated, comparison.note) if note]
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
        comparison.test,
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


def _level(value: float, like: Arm) -> Arm:
    """Give an arm that holds a fixed number wherever another has a value."""
    return Arm(f"{value:g}", like.metric, dict.fromkeys(like.values, value), len(like.values), 0)


def _failure_flags(arm: Arm) -> list[str]:
    flags = []
    if arm.failed:
        flags.append(f"{arm.failed} of {arm.expected} cells of {arm.treatment} failed and are left out")
    missing = arm.expected - arm.failed - len(arm.values)
    if missing:
        flags.append(
            f"{missing} of {arm.expected} cells of {arm.treatment} have no {arm.metric} and are left out"
        )
    return flags


def _aligned(
    first: Arm, second: Arm, paired: bool, levels: Levels | None
) -> tuple[list[float], list[float], list[str], str]:
    """Give the two arms' finite values, by unit where they are paired; say what was dropped and what aggregated."""
    one, two = ({key: float(value) for key, value in arm.values.items()} for arm in (first, second))
    flags = []
    for arm, values in ((first, one), (second, two)):
        unusable = [key for key, value in values.items() if not math.isfinite(value)]
        if unusable:
            flags.append(
                f"{len(unusable)} values of {arm.metric} under {arm.treatment} are not finite and are left out"
            )
        for key in unusable:
            del values[key]
    aggregated = ""
    if levels is not None:
        one, two, aggregated = levels.align(one, two, paired=paired)
    if not paired:
        return list(one.values()), list(two.values()), flags, aggregated
    both = [key for key in one if key in two]
    return [one[key] for key in both], [two[key] for key in both], flags, aggregated
