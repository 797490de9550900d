"""Judgements: from the values of a metric to a verdict on each hypothesis."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workflow_assets.arms import Aligned, FindArm
from workflow_assets.errors import listing
from workflow_assets.families import members_of
from workflow_assets.flags import Flag, low_n
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.stats.methods import JOINT, METHODS
from workflow_assets.streams import generator
from workflow_assets.studies import Asking
from workflow_assets.verdicts import Pair, Size, Verdict, decided

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


def judge(declaration: Asking, arm: FindArm) -> dict[str, Verdict]:
    """Judge every hypothesis of an experiment; `arm` gives a metric's values under a treatment.

    p values are adjusted over each family, by its method. A hypothesis that cannot be decided counts in its family with
    p = 1: declaring it does not make the others cheaper.
    """
    verdicts: dict[str, Verdict] = {}
    for family, members in members_of(declaration.hypotheses).items():
        method = declaration.families[family]
        for verdict in _family(declaration, method, members, arm):
            verdicts[verdict.hypothesis.name] = dataclasses.replace(verdict, adjustment=method)
    return {one.name: verdicts[one.name] for one in declaration.hypotheses}


def _family(
    declaration: Asking, method: str, members: Sequence[Hypothesis], arm: FindArm
) -> Iterable[Verdict]:
    if method in JOINT:
        return _jointly(declaration, method, members, arm)
    verdicts = [_sheltered(one, partial(_judged, declaration, one, arm)) for one in members]
    return [decided(*pair) for pair in zip(verdicts, adjusted(method, verdicts), strict=True)]


def adjusted(method: str, verdicts: Sequence[Verdict]) -> list[float]:
    """Adjust the p values of verdicts for each other; one that cannot be decided counts with p = 1."""
    from workflow_assets.stats.families import adjust

    raw = [1.0 if verdict.p is None else verdict.p for verdict in verdicts]
    # A posterior probability is no error rate: nothing is to be adjusted, for it or by it.
    counted = [place for place, verdict in enumerate(verdicts) if not _is_posterior(verdict)]
    if method != "none" and counted:
        for place, p in zip(counted, adjust(method, [raw[place] for place in counted]), strict=True):
            raw[place] = float(p)
    return raw


def _is_posterior(verdict: Verdict) -> bool:
    return verdict.test is not None and verdict.test in METHODS and METHODS[verdict.test].posterior


def _sheltered(one: Hypothesis, judged: Callable[[], Verdict]) -> Verdict:
    """Judge one hypothesis; whatever goes wrong is its own, and costs no result."""
    try:
        return judged()
    except ValueError as error:  # which says what about the values is wrong
        return Verdict(one, "undecidable", str(error))
    except Exception as error:  # noqa: BLE001 - the user's own test among them
        return Verdict(one, "undecidable", f"judging it raised {type(error).__name__}: {error}")


def _judged(declaration: Asking, one: Hypothesis, arm: FindArm) -> Verdict:
    data = Aligned.of(declaration, one, arm)
    return _judge_several(one, data) if one.several else _judge_two(declaration, one, data)


# -- two arms --------------------------------------------------------------------------------------------------------


def _judge_two(declaration: Asking, one: Hypothesis, data: Aligned) -> Verdict:
    """Compare two arms; the decision waits for the adjustment over the family."""
    from workflow_assets.stats.comparisons import compare
    from workflow_assets.stats.decisions import undecidable_reason

    x, y = data.values
    n, flags = (len(x), len(y)), data.flags
    if reason := _too_few(one, data) or undecidable_reason(x, y, paired=one.paired):
        return Verdict(one, "undecidable", reason, n=n, note=data.note, flags=tuple(flags))
    flags += low_n(n, one.paired)
    test, why = _choose(declaration, one, data)
    method = METHODS.get(test) if isinstance(test, str) else None
    if data.overlap is not None and (method is None or "test_fraction" not in method.takes):
        name = test if isinstance(test, str) else one.test_name
        told = f"the replicates are overlapping re-splits, which {name} does not account for"
        flags.append(Flag("overlap", told))
    paired = one.paired if method is None or method.paired is None else method.paired
    try:
        comparison: Comparison = compare(
            test,
            x,
            y,
            paired=paired,
            alternative=one.alternative,
            margin=float(one.margin),
            rng=generator(declaration.seed, f"hypothesis {one.name}"),
            test_fraction=data.overlap,
            resamples=RESAMPLES,
        )
        effects, notes = _effects(declaration, one, data, test)
    except ValueError as error:
        reason = f"{one.test_name}: {error}"
        return Verdict(one, "undecidable", reason, one.test_name, n, note=data.note, flags=tuple(flags))
    return Verdict(
        one,
        "inconclusive",
        why,
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


def _choose(declaration: Asking, one: Hypothesis, data: Aligned) -> tuple[str | Callable[..., Any], str]:
    """Choose the test, and say why it is this one."""
    from workflow_assets.stats.decisions import choose_test

    x, y = data.values
    boolean = declaration.metrics[one.metric] is bool and not data.note  # means of 0 and 1 lie between them
    test, why = choose_test(
        x, y, paired=one.paired, boolean=boolean, overlap=data.overlap, margin=float(one.margin)
    )
    if one.test in ("auto", test):
        return test, why
    if test == "sign_flip" and one.test in ("paired_t", "corrected_resampled_t", "bayes_correlated_t"):
        return test, f"{one.test} was asked for, but {why}"
    return one.test, "chosen in the declaration"


def _effects(
    declaration: Asking, one: Hypothesis, data: Aligned, test: str | Callable[..., Any]
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
    if isinstance(test, str):
        name = METHODS[test].effect
        shares = declaration.metrics[one.metric] is bool and not data.note
        if shares and isinstance(one.against, str) and name in ("mean_difference", "hodges_lehmann"):
            name = "share_difference"
        known = METHODS[test].paired
        first = {**options, "paired": one.paired if known is None else known}
        effects = [measure(name, x, y, rng=rng, resamples=RESAMPLES, **first)]
    else:
        own = getattr(test, "effect", None)
        effects = [mean_difference(x, y, **options) if own is None else own(x, y, rng=rng, **options)]
    notes = []
    for other in (
        "mean_difference",
        "hedges_g" if isinstance(one.against, str) else "cohens_dz",
        "cliffs_delta",
    ):
        if other == effects[0].name or (other == "mean_difference" and "mean of" in effects[0].estimand):
            continue
        if other == "mean_difference" and effects[0].name == "share_difference":
            continue  # which is the same
        try:
            effects.append(measure(other, x, y, **options))
        except ValueError as error:  # the verdict rests on the first, and stands without it
            notes.append(str(error))
    return tuple(effects), notes


def calibrate(declaration: Asking, one: Hypothesis, arm: FindArm, trials: int) -> Calibration:
    """Ask a hypothesis of its own values with the labels permuted, so that there is nothing to find, many times over.

    Raises ValueError for what cannot be judged, and for claims whose labels cannot be permuted.
    """
    from workflow_assets.stats.calibrations import false_positive_rate
    from workflow_assets.stats.decisions import undecidable_reason

    if one.several:
        raise ValueError(
            f"{one.name} is about several treatments: calibrate a claim about each, which compares two"
        )
    joint = declaration.families[one.family]
    if joint in JOINT:
        raise ValueError(
            f"{one.name} is compared by {joint} together with others: adjust its family by 'holm' to calibrate it"
        )
    data = Aligned.of(declaration, one, arm)
    x, y = data.values
    if reason := undecidable_reason(x, y, paired=one.paired):
        raise ValueError(f"{one.name} cannot be calibrated: {reason}")
    test, _ = _choose(declaration, one, data)
    method = METHODS.get(test) if isinstance(test, str) else None
    paired = one.paired if method is None or method.paired is None else method.paired
    if not paired and not isinstance(one.against, str):
        raise ValueError(
            f"{one.name} compares with a number by {one.test_name}: there is no second arm whose labels to permute"
        )
    return false_positive_rate(
        test,
        x,
        y,
        paired=paired,
        rng=generator(declaration.seed, f"calibration of hypothesis {one.name}"),
        alternative=one.alternative,
        margin=float(one.margin),
        alpha=one.alpha,
        trials=trials,
        resamples=max(199, round(1 / one.alpha) - 1),
        test_fraction=data.overlap,
    )


# -- several arms ----------------------------------------------------------------------------------------------------


def _judge_several(one: Hypothesis, data: Aligned) -> Verdict:
    """Ask whether several arms differ at all, and which pairs do."""
    from workflow_assets.stats import omnibus, posthoc

    sizes = [len(values) for values in data.values]
    n, flags = (min(sizes), max(sizes)), [*data.flags, *low_n((min(sizes), max(sizes)), one.paired)]
    if reason := _too_few(one, data):
        return Verdict(one, "undecidable", reason, n=n, note=data.note, flags=tuple(flags))
    groups = _control_first(one, data)
    test, why = one.test_name, "chosen in the declaration"
    if test == "auto":
        test = "repeated_measures_anova" if one.paired else "welch_anova"
        why = (
            "paired by replicate: analysis of variance with repeated measures, corrected for unequal correlations"
            if one.paired
            else "unpaired: Welch's analysis of variance, which lets the treatments spread differently"
        )
    if data.overlap is not None:
        told = f"the replicates are overlapping re-splits, which {test} does not account for"
        flags.append(Flag("overlap", told))
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


def _control_first(one: Hypothesis, data: Aligned) -> dict[str, list[float]]:
    """Give the values of each arm, beginning with what the others are compared with: pairs tell treatment − control."""
    *others, control = zip(one.arms, data.values, strict=True)
    return dict([control, *others])


def _told(pair: Any) -> tuple[Any, ...]:
    return pair.x, pair.y, pair.estimate, pair.low, pair.high, pair.p


def _jointly(declaration: Asking, method: str, members: Sequence[Hypothesis], arm: FindArm) -> list[Verdict]:
    """Judge claims about pairs by one comparison of all their treatments."""
    from workflow_assets.stats import posthoc

    lead = members[0]
    treatments = tuple(dict.fromkeys(name for one in members for name in one.arms[::-1]))
    every = dataclasses.replace(
        lead,
        name="together",
        treatment=treatments[1:],
        against=treatments[0],
        alternative="two-sided",
        margin=0.0,
        test="auto",
    )
    try:
        data = Aligned.of(declaration, every, arm)
        groups = _control_first(every, data)
        options: dict[str, Any] = {"confidence": lead.confidence}
        if method in ("dunnett", "tukey"):
            options["paired"] = lead.paired
        if method == "dunnett":
            options["control"] = str(lead.against)
        bounds = compared = getattr(posthoc, method)(groups, **options)
        if method == "dunnett":  # bounds on both sides, as of every claim: an open interval refutes nothing
            claim: dict[str, Any] = {"alternative": lead.alternative, "margin": float(lead.margin)}
            compared = posthoc.dunnett(groups, **options, **claim)
    except ValueError as error:
        apart = f"{method}: {error}; so the claims are judged one by one, and adjusted by Holm's method"
        return [
            dataclasses.replace(verdict, note="; ".join(filter(None, (apart, verdict.note))))
            for verdict in _family(declaration, "holm", members, arm)
        ]
    found = {
        (pair.x, pair.y): dataclasses.replace(pair, low=other.low, high=other.high)
        for pair, other in zip(compared.pairs, bounds.pairs, strict=True)
    }
    verdicts = [_sheltered(one, partial(_of_pair, one, data, method, compared, found)) for one in members]
    return [decided(verdict, 1.0 if verdict.p is None else verdict.p) for verdict in verdicts]


def _of_pair(
    one: Hypothesis, data: Aligned, method: str, compared: Any, found: Mapping[tuple[str, str], Any]
) -> Verdict:
    from workflow_assets.stats.effects import Effect

    assert isinstance(one.treatment, str)
    assert isinstance(one.against, str)
    sizes = dict(compared.n)
    n = (sizes[one.treatment], sizes[one.against])
    pair, sign = found.get((one.treatment, one.against)), 1.0
    if pair is None:
        pair, sign = found[one.against, one.treatment], -1.0
    low, high = sorted((sign * pair.low, sign * pair.high))
    name = "mean_difference" if "mean" in compared.estimand and "rank" not in compared.estimand else method
    effect = Effect(name, sign * pair.estimate, low, high, compared.confidence, compared.estimand)
    why = f"compared together with the other claims of its family, by {method}"
    note = "; ".join(filter(None, (data.note, compared.note, "p and interval hold for all of them at once")))
    df = pair.df if math.isfinite(pair.df) else None
    flags = (*data.flags, *low_n(n, one.paired))
    return Verdict(
        one,
        "inconclusive",
        why,
        method,
        n,
        pair.p,
        None,
        sign * pair.statistic,
        df,
        False,
        note,
        (effect,),
        flags,
    )
