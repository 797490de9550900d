"""Judgements: from the values of a metric to a verdict on each hypothesis."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workflow_assets.arms import Aligned, FindArm
from workflow_assets.families import members_of
from workflow_assets.flags import low_n
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.inferences import calibrate_two, control_first, judge_several, judge_two
from workflow_assets.stats.methods import ALL_OF, JOINT, METHODS
from workflow_assets.studies import Asking
from workflow_assets.verdicts import Verdict, decided

if TYPE_CHECKING:
    from workflow_assets.stats.calibrations import Calibration


def judge(declaration: Asking, arm: FindArm) -> dict[str, Verdict]:
    """Judge every hypothesis of an experiment; `arm` gives a metric's values under a treatment.

    p values are adjusted over each family, by its method. A hypothesis that cannot be decided counts in its family with
    p = 1: declaring it does not make the others cheaper.
    """
    verdicts: dict[str, Verdict] = {}
    for family, members in members_of(declaration.hypotheses).items():
        for verdict in _family(declaration, declaration.families[family], members, arm):
            verdicts[verdict.hypothesis.name] = verdict
    return {one.name: verdicts[one.name] for one in declaration.hypotheses}


def _family(
    declaration: Asking, method: str, members: Sequence[Hypothesis], arm: FindArm
) -> Iterable[Verdict]:
    if method in JOINT:
        return _jointly(declaration, method, members, arm)
    verdicts = [_sheltered(one, partial(_judged, declaration, one, arm)) for one in members]
    return [
        decided(dataclasses.replace(verdict, adjustment=method), p)
        for verdict, p in zip(verdicts, adjusted(method, verdicts), strict=True)
    ]


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
    if one.together:
        return _judge_together(declaration, one, arm)
    data = Aligned.of(declaration, one, arm)
    return judge_several(one, data) if one.several else judge_two(declaration, one, data)


def _judge_together(declaration: Asking, one: Hypothesis, arm: FindArm) -> Verdict:
    """Judge a claim about several metrics, that all of its parts hold: its p is the largest of theirs.

    An intersection-union test (Berger 1982): each part is tested at alpha, and no adjustment among them is needed.
    """
    judged = [_sheltered(part, partial(_judged, declaration, part, arm)) for part in one.parts]
    parts = tuple(decided(part, 1.0 if part.p is None else part.p) for part in judged)
    flags = tuple(dict.fromkeys(flag for part in parts for flag in part.flags))
    n = (min(part.n[0] for part in parts), min(part.n[1] for part in parts))
    blank = Verdict(one, "undecidable", "", n=n, flags=flags, parts=parts)
    if lacking := [part for part in parts if part.p is None]:
        told = [f"{part.hypothesis.metrics[0]}: {part.reason}" for part in lacking]
        return dataclasses.replace(blank, reason="; ".join(told))
    p = max(part.p for part in parts if part.p is not None)
    why = "every part must hold, so that p is the largest of theirs (intersection-union test)"
    exact = all(part.exact for part in parts)
    return dataclasses.replace(blank, decision="inconclusive", reason=why, test=ALL_OF, p=p, exact=exact)


def calibrate(declaration: Asking, one: Hypothesis, arm: FindArm, trials: int) -> Calibration:
    """Ask a hypothesis of its own values with the labels permuted, so that there is nothing to find, many times over.

    Raises ValueError for what cannot be judged, and for claims whose labels cannot be permuted.
    """
    joint = declaration.families[one.family]
    if one.together:
        reason = f"is about {len(one.metrics)} metrics: calibrate a claim about each"
    elif one.several:
        reason = "is about several treatments: calibrate a claim about each, which compares two"
    elif joint in JOINT:
        reason = f"is compared by {joint} together with others: adjust its family by 'holm' to calibrate it"
    else:
        return calibrate_two(declaration, one, Aligned.of(declaration, one, arm), trials)
    raise ValueError(f"{one.name} {reason}")


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
        groups = control_first(every, data)
        options: dict[str, Any] = {"confidence": lead.confidence}
        if method in ("dunnett", "tukey"):
            options["paired"] = lead.paired
        if method == "dunnett":
            options["control"] = str(lead.against)
        bounds = compared = getattr(posthoc, method)(groups, **options)
        if method == "dunnett" and (lead.alternative != "two-sided" or lead.margin):
            # The bounds are those on both sides, as of every claim: an open interval refutes nothing.
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
    return [
        decided(dataclasses.replace(verdict, adjustment=method), 1.0 if verdict.p is None else verdict.p)
        for verdict in verdicts
    ]


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
    effect = Effect(
        JOINT[method].effect, sign * pair.estimate, low, high, compared.confidence, compared.estimand
    )
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
