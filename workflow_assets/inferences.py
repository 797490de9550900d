"""Inferences: what the aligned values of two arms, or of several, say about one claim."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_assets.arms import Aligned
from workflow_assets.errors import listing
from workflow_assets.flags import Flag, low_n
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.stats.methods import METHODS, Method
from workflow_assets.streams import generator
from workflow_assets.studies import Asking
from workflow_assets.verdicts import Pair, Size, Verdict

if TYPE_CHECKING:
    from workflow_assets.stats.calibrations import Calibration
    from workflow_assets.stats.claims import Comparison
    from workflow_assets.stats.effects import Effect

RESAMPLES = 9_999

_PAIRS_OF = {
    "repeated_measures_anova": "tukey",
    "friedman": "nemenyi",
    "anova": "tukey",
    "welch_anova": "games_howell",
}
"""Which comparison of all pairs goes with a test of all treatments at once."""


class Chosen(NamedTuple):
    """The test of a claim, why it is this one, and what is known of it; nothing of the user's own."""

    test: str | Callable[..., Any]
    why: str
    method: Method | None
    paired: bool

    def overlooking(self, one: Hypothesis, data: Aligned) -> list[Flag]:
        """Flag replicates that share their data where the test takes them for independent."""
        if self.method is not None and "test_fraction" in self.method.takes:
            return []
        return _overlap(data, self.test if isinstance(self.test, str) else one.test_name)


def _overlap(data: Aligned, test: str) -> list[Flag]:
    if data.overlap is None:
        return []
    return [Flag("overlap", f"the replicates are overlapping re-splits, which {test} does not account for")]


# -- two arms --------------------------------------------------------------------------------------------------------


def judge_two(declaration: Asking, one: Hypothesis, data: Aligned) -> Verdict:
    """Compare two arms; the decision waits for the adjustment over the family."""
    from workflow_assets.stats.comparisons import compare
    from workflow_assets.stats.decisions import undecidable_reason

    x, y = data.values
    n, flags = (len(x), len(y)), data.flags
    if reason := _too_few(one, data) or undecidable_reason(x, y, paired=one.paired):
        return Verdict(one, "undecidable", reason, n=n, note=data.note, flags=tuple(flags))
    flags += low_n(n, one.paired)
    chosen = _choose(declaration, one, data)
    flags += chosen.overlooking(one, data)
    try:
        comparison: Comparison = compare(
            chosen.test,
            x,
            y,
            paired=chosen.paired,
            alternative=one.alternative,
            margin=float(one.margin),
            rng=generator(declaration.seed, f"hypothesis {one.name}"),
            test_fraction=data.overlap,
            resamples=RESAMPLES,
        )
        effects, notes = _effects(declaration, one, data, chosen)
    except ValueError as error:
        reason = f"{one.test_name}: {error}"
        return Verdict(one, "undecidable", reason, one.test_name, n, note=data.note, flags=tuple(flags))
    return Verdict(
        one,
        "inconclusive",
        chosen.why,
        comparison.test,
        n,
        comparison.p,
        None,
        comparison.statistic if math.isfinite(comparison.statistic) else None,
        comparison.df,
        comparison.exact,
        "; ".join(filter(None, (data.note, comparison.note, *notes))),
        effects,
        tuple(flags),
    )


def _is_boolean(declaration: Asking, one: Hypothesis, data: Aligned) -> bool:
    """Whether all values are 0 or 1; means of those lie between them."""
    return declaration.metrics[one.metrics[0]] is bool and not data.note


def _choose(declaration: Asking, one: Hypothesis, data: Aligned) -> Chosen:
    """Choose the test."""
    from workflow_assets.stats.decisions import choose_test

    x, y = data.values
    boolean = _is_boolean(declaration, one, data)
    test, why = choose_test(
        x, y, paired=one.paired, boolean=boolean, overlap=data.overlap, margin=float(one.margin)
    )
    asked: str | Callable[..., Any] = test
    if one.test not in ("auto", test):
        if test == "sign_flip" and one.test in ("paired_t", "corrected_resampled_t", "bayes_correlated_t"):
            why = f"{one.test} was asked for, but {why}"
        else:
            asked, why = one.test, "chosen in the declaration"
    method = METHODS[asked] if isinstance(asked, str) else None
    paired = one.paired if method is None or method.paired is None else method.paired
    return Chosen(asked, why, method, paired)


def _effects(
    declaration: Asking, one: Hypothesis, data: Aligned, chosen: Chosen
) -> tuple[tuple[Effect, ...], list[str]]:
    """Give the effect that the claim is about, with the interval that belongs to the test, then others, and notes."""
    from workflow_assets.stats.effects import mean_difference
    from workflow_assets.stats.means import resampling_inflation
    from workflow_assets.stats.measures import measure

    x, y = data.values
    inflation = 1.0
    if data.overlap is not None and one.paired:
        inflation = resampling_inflation(len(x), data.overlap)
    options: dict[str, Any] = {
        "paired": one.paired,
        "confidence": one.confidence,
        "variance_inflation": inflation,
    }
    rng = generator(declaration.seed, f"effect of hypothesis {one.name}")
    if chosen.method is not None:
        name = chosen.method.effect
        if (
            name in ("mean_difference", "hodges_lehmann")
            and isinstance(one.against, str)
            and _is_boolean(declaration, one, data)
        ):
            name = "share_difference"
        first = {**options, "paired": chosen.paired}
        effects = [measure(name, x, y, rng=rng, resamples=RESAMPLES, **first)]
    else:
        own = getattr(chosen.test, "effect", None)
        effects = [mean_difference(x, y, **options) if own is None else own(x, y, rng=rng, **options)]
    others = ["hedges_g" if isinstance(one.against, str) else "cohens_dz", "cliffs_delta"]
    if not effects[0].name.endswith(("mean_difference", "share_difference")):  # which are the same
        others.insert(0, "mean_difference")
    notes = []
    for other in others:
        if other == effects[0].name:
            continue
        try:
            effects.append(measure(other, x, y, **options))
        except ValueError as error:  # the verdict rests on the first, and stands without it
            notes.append(str(error))
    return tuple(effects), notes


def calibrate_two(declaration: Asking, one: Hypothesis, data: Aligned, trials: int) -> Calibration:
    """Ask a claim of its own values with the labels permuted, so that there is nothing to find, many times over."""
    from workflow_assets.stats.calibrations import false_positive_rate
    from workflow_assets.stats.decisions import undecidable_reason

    x, y = data.values
    if reason := undecidable_reason(x, y, paired=one.paired):
        raise ValueError(f"{one.name} cannot be calibrated: {reason}")
    chosen = _choose(declaration, one, data)
    if not chosen.paired and not isinstance(one.against, str):
        raise ValueError(
            f"{one.name} compares with a number by {one.test_name}: there is no second arm whose labels to permute"
        )
    return false_positive_rate(
        chosen.test,
        x,
        y,
        paired=chosen.paired,
        rng=generator(declaration.seed, f"calibration of hypothesis {one.name}"),
        alternative=one.alternative,
        margin=float(one.margin),
        alpha=one.alpha,
        trials=trials,
        resamples=max(199, round(1 / one.alpha) - 1),
        test_fraction=data.overlap,
    )


# -- several arms ----------------------------------------------------------------------------------------------------


def judge_several(one: Hypothesis, data: Aligned) -> Verdict:
    """Ask whether several arms differ at all, and which pairs do."""
    from workflow_assets.stats import omnibus, posthoc

    sizes = [len(values) for values in data.values]
    n, flags = (min(sizes), max(sizes)), [*data.flags, *low_n((min(sizes), max(sizes)), one.paired)]
    if reason := _too_few(one, data):
        return Verdict(one, "undecidable", reason, n=n, note=data.note, flags=tuple(flags))
    groups = control_first(one, data)
    test, why = one.test_name, "chosen in the declaration"
    if test == "auto":
        test = "repeated_measures_anova" if one.paired else "welch_anova"
        why = (
            "paired by replicate: analysis of variance with repeated measures, corrected for unequal correlations"
            if one.paired
            else "unpaired: Welch's analysis of variance, which lets the treatments spread differently"
        )
    flags += _overlap(data, test)
    try:
        try:
            answer = getattr(omnibus, test)(groups)
        except ValueError as error:
            if test != "repeated_measures_anova":
                raise
            # Differences without any spread are agreement, and no reason to say nothing: ranks see it.
            why = (
                f"{test} was asked for, but {error}"
                if one.test == test
                else f"{error}: ranks see the agreement"
            )
            test = "friedman"
            answer = omnibus.friedman(groups)
    except ValueError as error:
        return Verdict(one, "undecidable", f"{test}: {error}", test, n, note=data.note, flags=tuple(flags))
    notes = [data.note, answer.note]
    pairs: tuple[Pair, ...] = ()
    if test in _PAIRS_OF:
        options = {"paired": one.paired} if _PAIRS_OF[test] == "tukey" else {}
        try:
            compared = getattr(posthoc, _PAIRS_OF[test])(groups, confidence=one.confidence, **options)
            pairs = tuple(Pair(_PAIRS_OF[test], *_told(pair)) for pair in compared.pairs)
        except ValueError as error:  # the verdict stands without them
            notes.append(f"{_PAIRS_OF[test]}: {error}")
    return Verdict(
        one,
        "inconclusive",
        why,
        test,
        n,
        answer.p,
        statistic=answer.statistic,
        df=answer.df[0],
        note="; ".join(filter(None, notes)),
        flags=tuple(flags),
        sizes=tuple(Size(*size) for size in answer.sizes),
        pairs=pairs,
    )


def _too_few(one: Hypothesis, data: Aligned) -> str | None:
    """Say that there are too few values, and of which treatment; None if each has two."""
    sizes = [len(values) for values in data.values]
    if min(sizes) >= 2:
        return None
    cure = "at least 2 are needed to judge chance: add replicates, or mend the cells that failed"
    if one.paired and isinstance(one.against, str):
        whose = "replicate has a value" if sizes[0] == 1 else "replicates have values"
        under = "both" if len(sizes) == 2 else "all of"
        return f"{sizes[0]} {whose} under {under} {listing(one.arms)}: {cure}"
    few = next(name for name, size in zip(one.arms, sizes, strict=False) if size < 2)
    count = sizes[one.arms.index(few)]
    return f"{few} has {count} value{'' if count == 1 else 's'}: {cure}"


def control_first(one: Hypothesis, data: Aligned) -> dict[str, list[float]]:
    """Give the values of each arm, beginning with what the others are compared with: pairs tell treatment − control."""
    *others, control = zip(one.arms, data.values, strict=True)
    return dict([control, *others])


def _told(pair: Any) -> tuple[Any, ...]:
    return pair.x, pair.y, pair.estimate, pair.low, pair.high, pair.p
