"""Sequences: testing after every replicate, and topping up until there is a decision, without inflating errors.

An ordinary test that is looked at after every replicate finds something sooner or later, whether there is something or
not: with 30 looks about one time in four. The tests here may be looked at whenever one likes, and replicates may be
added for as long as one likes, for whatever reason: their p-values are small *ever* with the stated probability only,
and all intervals of a sequence hold the truth at once. The price: a decision takes more replicates than the best fixed
number would have (see `sequential_t`), though few if the effect is large.

Replicates count in the order in which they are given, which must be that in which they were made, and may not depend on
their values. Unpaired arms are compared in that order too, the first of one with the first of the other, so that values
without a partner wait for one.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workflow_assets.errors import did_you_mean
from workflow_assets.stats.claims import Alternative, Comparison, Direction, Tail, check_alpha, judge
from workflow_assets.stats.courses import Course, Matched, NormalCourse, ShareCourse, matched
from workflow_assets.stats.decisions import Decision, decide
from workflow_assets.stats.effects import Effect
from workflow_assets.stats.samples import FloatArray, check_confidence

LARGEST_LOG_E = 700.0


def sequential_t(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool = True,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Test a mean difference so that one may look after every replicate, and add more until there is a decision.

    p is the smallest 1 / e that the replicates have reached so far, e being the mixture of t likelihood ratios that
    `martingales.log_student` describes: it stays small once it was small, and is at most alpha *ever* with probability
    alpha at most. For differences that are normal, of whatever spread. Of others, those that are symmetric, as they are
    where a treatment changes nothing at all, keep to alpha 0.05 within about 1 % (heavy tails 1.7 %, only +1 and -1 6 %
    within 100 looks); for skewed ones it matters how soon one looks, as with any t-test (`first` in `sequential`).

    The price at alpha 0.05, for a one-sided claim: to find an effect of 1 (0.5, 0.3) standard deviations of the
    differences with 90 % probability, a t-test with that many pairs from the outset takes 11 (36, 97), and this one
    11 (34, 94) pairs on average, and at most 18 (66, 192) in nine cases of ten.

    The statistic is the mean difference; a difference that is the same in every pair can be judged.

    >>> x, y = [5.1, 4.9, 6.2, 5.7, 6.1, 5.5, 5.9], [4.8, 4.1, 5.9, 5.0, 5.2, 5.1, 5.0]
    >>> result = sequential_t(x, y, alternative="greater")
    >>> round(result.p, 4), result.note
    (0.0114, 'anytime-valid: e-value 87.9 after 7 of 7 pairs')
    """
    arms = matched(x, y, alternative, margin, paired=paired)
    return _judge("sequential_t", NormalCourse(arms.samples), arms, alternative, margin, paired=paired)


def sequential_shares(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool = True,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Test a difference of shares of 0/1 values so that one may look after every replicate, and add more.

    As `sequential_t`, by betting on the differences (`martingales.log_betting`): no assumption but that replicates are
    independent, and exact for any margin; for margin 0 it is the mixture over the chances of a win among the pairs that
    differ. The statistic is the difference of the shares.

    >>> x, y = [1, 1, 1, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    >>> round(sequential_shares(x, y, alternative="greater").p, 4)
    0.0176
    """
    arms = matched(x, y, alternative, margin, paired=paired)
    course = ShareCourse(arms.samples)
    return _judge("sequential_shares", course, arms, alternative, margin, paired=paired)


def sequential_mean_difference(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say by how much x exceeds y on average, with an interval that holds however often one looks.

    The confidence sequence of `sequential_t` after these replicates: the mean differences that it refutes in neither
    direction. Wider than an interval for a fixed number of replicates, by two thirds after 30 pairs.

    Raises ValueError where there are too few pairs for any bound: at 95 % confidence, fewer than 6.

    >>> effect = sequential_mean_difference([3, 5, 4, 6, 5, 7, 5], [1, 2, 3, 3, 3, 4, 2], paired=True)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (2.429, 1.047, 3.81)
    """
    arms = _arms(x, y, confidence, paired=paired)
    return _effect(
        "sequential_mean_difference",
        NormalCourse(arms.samples),
        arms,
        confidence,
        variance_inflation,
        "mean",
        math.inf,
    )


def sequential_share_difference(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say by how much the share of 1 in x exceeds that in y, with an interval that holds however often one looks.

    The confidence sequence of `sequential_shares` after these replicates.

    >>> effect = sequential_share_difference([1, 1, 1, 0, 1, 1], [0, 0, 1, 0, 0, 1], paired=True)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.5, -0.389, 0.939)
    """
    arms = _arms(x, y, confidence, paired=paired)
    course = ShareCourse(arms.samples)
    return _effect(
        "sequential_share_difference", course, arms, confidence, variance_inflation, "share of 1", 1.0
    )


@dataclass(frozen=True, eq=False)
class Sequence:
    """What is known after each replicate: all arrays hold one value for each number `n` of pairs.

    `e_values` measure the evidence for the claim (1 is none; for a two-sided claim half the larger side, for
    equivalence the smaller one), `p` is anytime-valid, `low` and `high` hold the true mean difference for all n at once
    with confidence 1 - alpha. They never widen: were they to contradict each other, which they do with probability
    alpha at most, they stay where they were.
    """

    test: str
    alternative: Alternative
    margin: float
    alpha: float
    n: npt.NDArray[np.int64]
    estimates: FloatArray
    e_values: FloatArray
    p: FloatArray
    low: FloatArray
    high: FloatArray
    decisions: tuple[Decision, ...]

    @property
    def decision(self) -> Decision:
        """The decision after all replicates."""
        return self.decisions[-1]

    @property
    def width(self) -> float:
        """How far the bounds lie apart after all replicates."""
        return float(self.high[-1] - self.low[-1])

    @property
    def decided_at(self) -> int | None:
        """After how many pairs the claim was supported or refuted first; None when it was not."""
        for n, decision in zip(self.n, self.decisions, strict=True):
            if decision in (Decision.SUPPORTED, Decision.REFUTED):
                return int(n)
        return None


def sequential(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool = True,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    alpha: float = 0.05,
    test: str = "sequential_t",
    first: int = 1,
) -> Sequence:
    """Follow a claim from replicate to replicate: evidence, p, bounds and decision after each.

    `first` is the number of pairs of the first look. Differences that are skewed need a later one, for a t-test errs
    with few of them: of exponential ones, which are as skewed as any, 17 % are called significant within 100 looks from
    the first on, but 6 % from the 30th on.

    >>> course = sequential([3, 5, 4, 6, 5, 7, 5], [1, 2, 3, 3, 3, 4, 2], alternative="greater")
    >>> course.decided_at, str(course.decision), round(float(course.p[-1]), 4)
    (5, 'supported', 0.0078)
    """
    if test not in ("sequential_t", "sequential_shares"):
        raise ValueError(
            f"there is no sequential test called {test!r}: "
            f"{did_you_mean(test, ['sequential_t', 'sequential_shares'])}"
        )
    check_alpha(alpha)
    if first < 1:
        raise ValueError(f"first is {first}: the first look is after 1 pair or more")
    arms = matched(x, y, alternative, margin, paired=paired)
    samples = arms.samples
    n = np.arange(first, samples.x.size + 1)
    if not n.size:
        raise ValueError(f"there are {samples.x.size} pairs, and the first look is after {first}")
    course: Course = NormalCourse(samples) if test == "sequential_t" else ShareCourse(samples)
    logs = {side: course.log_evidence(side)[first - 1 :] for side in _sides(alternative)}
    ever = {side: np.maximum.accumulate(log_e) for side, log_e in logs.items()}
    low, high = _nested(*course.bounds(alpha / 2, slice(first - 1, None)))
    p = np.array([_combined(values, alternative) for values in zip(*ever.values(), strict=True)])
    decisions = tuple(
        decide(float(one), (float(least), float(most)), alternative=alternative, margin=margin, alpha=alpha)
        for one, least, most in zip(p, low, high, strict=True)
    )
    return Sequence(
        test=test,
        alternative=alternative,
        margin=margin,
        alpha=alpha,
        n=n,
        estimates=course.estimates()[first - 1 :],
        e_values=np.array([_evidence(values, alternative) for values in zip(*logs.values(), strict=True)]),
        p=p,
        low=low,
        high=high,
        decisions=decisions,
    )


@dataclass(frozen=True)
class Until:
    """When to stop adding replicates: `n_max` at the latest, sooner when all is decided or known well enough.

    With `decided`, one goes on until every decision is "supported" or "refuted"; with a `width`, until every interval
    is at most that wide; with both, until both are so. Right with the tests of this module only: with any other, every
    look is another chance to err.

    >>> until = Until(n_max=40, first=10, batch=5)
    >>> until.next_n()
    10
    >>> until.next_n(10, decisions=["inconclusive", "supported"])
    15
    >>> until.next_n(15, decisions=["refuted", "supported"]) is None
    True
    """

    n_max: int
    decided: bool = True
    width: float | None = None
    first: int = 10
    batch: int = 5

    def __post_init__(self) -> None:
        if not 2 <= self.first <= self.n_max:
            raise ValueError(
                f"first is {self.first} and n_max {self.n_max}: give at least 2 replicates, and at most n_max"
            )
        if self.batch < 1:
            raise ValueError(f"batch is {self.batch}: add at least 1 replicate at a time")
        if self.width is not None and not 0 < self.width < math.inf:
            raise ValueError(f"width is {self.width}: give a positive number, in the units of the metric")

    def next_n(
        self, n: int = 0, *, decisions: Iterable[str] = (), widths: Iterable[float] = ()
    ) -> int | None:
        """Say how many replicates to have next, after n of them; None when it is time to stop.

        `decisions` and `widths` are those of all claims that are followed, after n replicates.
        """
        if n < self.first:
            return self.first
        if n >= self.n_max or self.reason(n, decisions=decisions, widths=widths):
            return None
        return min(n + self.batch, self.n_max)

    def reason(self, n: int, *, decisions: Iterable[str] = (), widths: Iterable[float] = ()) -> str:
        """Say why to stop after n replicates; nothing ("") when there is no reason yet."""
        said, wide = list(decisions), list(widths)
        goals = []
        if self.decided:
            goals.append(bool(said) and all(one in ("supported", "refuted") for one in said))
        if self.width is not None:
            goals.append(bool(wide) and all(one <= self.width for one in wide))
        if goals and all(goals):
            return "; ".join(
                (["every claim is decided"] if self.decided else [])
                + ([f"every interval is at most {self.width:g} wide"] if self.width is not None else [])
            )
        return f"there are {n} replicates, as many as there may be" if n >= self.n_max else ""


def _arms(x: npt.ArrayLike, y: npt.ArrayLike, confidence: float, *, paired: bool) -> Matched:
    check_confidence(confidence)
    return matched(x, y, "two-sided", 0.0, paired=paired)


def _judge(
    test: str, course: Course, arms: Matched, alternative: Alternative, margin: float, *, paired: bool
) -> Comparison:
    def tail(direction: Direction) -> Tail:
        log_e = course.log_evidence(direction)
        best = int(np.argmax(log_e))
        e = math.exp(min(log_e[best], LARGEST_LOG_E))
        note = f"anytime-valid: e-value {e:.3g} after {best + 1} of {log_e.size} pairs"
        if arms.waiting:
            note += f"; {arms.waiting} values of the larger arm have no partner yet"
        return Tail(float(course.estimates()[-1]), math.exp(-max(0.0, log_e[best])), note=note)

    return judge(test, arms.samples, tail, alternative, margin, paired=paired)


def _effect(
    name: str,
    course: Course,
    arms: Matched,
    confidence: float,
    variance_inflation: float,
    what: str,
    limit: float,
) -> Effect:
    if not 1 <= variance_inflation < math.inf:
        raise ValueError(f"variance_inflation is {variance_inflation}: give a finite factor of at least 1")
    low, high = (float(bound[-1]) for bound in course.bounds((1 - confidence) / 2, slice(-1, None)))
    estimate = float(course.estimates()[-1])
    if not math.isfinite(high - low):
        raise ValueError(
            f"{arms.samples.x.size} pairs are too few for bounds that hold at every look with {confidence:.4g} "
            f"confidence: add replicates"
        )
    wider = math.sqrt(variance_inflation)
    return Effect(
        name=name,
        estimate=estimate,
        low=max(estimate - wider * (estimate - low), -limit),
        high=min(estimate + wider * (high - estimate), limit),
        confidence=confidence,
        estimand=f"the {what} of x minus that of y, at every look",
    )


def _sides(alternative: Alternative) -> tuple[Direction, ...]:
    if alternative in ("greater", "less"):
        return (1,) if alternative == "greater" else (-1,)
    return (1, -1)


def _combined(log_e: Iterable[float], alternative: Alternative) -> float:
    """The p-value of one or two sides, as `claims.judge` combines them."""
    p = [max(math.exp(-max(0.0, one)), np.finfo(np.float64).tiny) for one in log_e]
    return float(max(p) if alternative == "equivalent" else min(1.0, len(p) * min(p)))


def _evidence(log_e: Iterable[float], alternative: Alternative) -> float:
    e = [math.exp(min(one, LARGEST_LOG_E)) for one in log_e]
    return min(e) if alternative == "equivalent" else max(e) / len(e)


def _nested(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Intersect all intervals so far, up to the first one that would leave nothing.

    An interval of no width, of differences that have not varied yet, binds none that follow.
    """
    point = low == high
    within = np.maximum.accumulate(np.where(point, -np.inf, low))
    without = np.minimum.accumulate(np.where(point, np.inf, high))
    apart = np.flatnonzero(within > without)
    if apart.size:
        within[apart[0] :], without[apart[0] :] = within[apart[0] - 1], without[apart[0] - 1]
    return np.where(point, low, within), np.where(point, high, without)
