"""Post-hoc comparisons: which of several treatments differ, told so that no false one is among them.

Each compares all treatments with one control or all with each other, and gives for each pair an adjusted p-value and a
simultaneous interval: with a confidence of 95 %, all intervals hold their true values at once. None of them needs an
omnibus test to be significant first. Arms are given by the name of their treatment (`groups`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from workflow_assets.stats.claims import check_claim, check_p, possible
from workflow_assets.stats.families import holm
from workflow_assets.stats.groups import Arms, Groups, several_samples
from workflow_assets.stats.ranges import dunnett_sf, studentized_range_sf, upper_point

Side = Literal["greater", "less", "two-sided"]


@dataclass(frozen=True)
class PairResult:
    """What is known of one pair: the estimate of x - y, its error, and both adjusted for all pairs asked about.

    `statistic` is the estimate (less the margin) divided by its standard error, `df` the degrees of freedom of that
    error (infinite where it is known), `p` the adjusted p-value and `low` to `high` the simultaneous interval.
    """

    x: str
    y: str
    estimate: float
    error: float
    statistic: float
    df: float
    p: float
    low: float
    high: float

    def __post_init__(self) -> None:
        check_p(self.p)
        if not self.low <= self.estimate <= self.high:
            raise ValueError(f"the interval {self.low} to {self.high} must hold the estimate {self.estimate}")


@dataclass(frozen=True)
class Posthoc:
    """What one procedure says about all its pairs, in the order in which the treatments were given.

    >>> result = tukey({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0], "c": [7.0, 8.0, 9.0]})
    >>> [(pair.x, pair.y, pair.estimate) for pair in result.pairs]
    [('b', 'a', 2.0), ('c', 'a', 6.0), ('c', 'b', 4.0)]
    """

    test: str
    pairs: tuple[PairResult, ...]
    alternative: Side
    margin: float
    confidence: float
    n: tuple[tuple[str, int], ...]
    paired: bool
    estimand: str
    note: str = ""

    def pair(self, x: str, y: str) -> PairResult:
        """Find the pair of two treatments, in the order in which it was compared."""
        for pair in self.pairs:
            if (pair.x, pair.y) == (x, y):
                return pair
        known = ", ".join(f"{pair.x} - {pair.y}" for pair in self.pairs)
        raise ValueError(f"{self.test} did not compare {x!r} with {y!r} in this order: choose one of {known}")


def dunnett(
    groups: Arms,
    *,
    control: str,
    paired: bool = False,
    alternative: Side = "two-sided",
    margin: float = 0.0,
    confidence: float = 0.95,
) -> Posthoc:
    """Compare every treatment with one control, if all spread alike.

    Dunnett (1955), single-step; R: multcomp::glht(aov, linfct = mcp(treatment = "Dunnett")), which draws what is
    integrated here and so agrees within its own error (1e-3 unless told otherwise). Sizes may differ. `paired` takes
    the variance left by treatments and blocks, as aov(value ~ treatment + block): it assumes that all differences
    between treatments vary alike. One-sided claims have one-sided intervals, the other bound being infinite. A `margin`
    is measured in the direction of the claim, as for two arms; two-sided, it makes the p-value cautious. For
    equivalence ask whether an interval lies within the margin.

    >>> scores = {"base": [5.1, 4.9, 6.2], "wide": [4.8, 4.1, 5.9], "deep": [7.6, 8.1, 7.9]}
    >>> result = dunnett(scores, control="base")
    >>> [(pair.x, round(pair.estimate, 3), round(pair.p, 4)) for pair in result.pairs]
    [('wide', -0.467, 0.6316), ('deep', 2.467, 0.0077)]
    """
    if alternative not in ("greater", "less", "two-sided"):
        raise ValueError(
            f"alternative is {alternative!r}: choose 'greater', 'less' or 'two-sided'; for equivalence, ask whether "
            f"the simultaneous interval lies within the margin"
        )
    check_claim(alternative, margin)
    several = several_samples(groups, paired=paired)
    error, df = _common_error(several, paired=paired)
    base = several.index(control)
    others = [i for i in range(len(several.names)) if i != base]
    sizes = np.array(several.sizes, dtype=np.float64)
    shares = sizes[others] / (sizes[others] + sizes[base])
    two_sided = alternative == "two-sided"

    def sf(t: float) -> float:
        return dunnett_sf(t, shares, df, two_sided=two_sided)

    reach = _dunnett_point(tuple(shares.tolist()), df, 1.0 - _checked(confidence), two_sided)
    direction = -1.0 if alternative == "less" else 1.0
    shift = math.ldexp(margin, -several.exponent)
    pairs = []
    for i in others:
        estimate = float(several.means[i] - several.means[base])
        scale = math.sqrt(error * (1 / sizes[i] + 1 / sizes[base]))
        t = ((abs(estimate) if two_sided else direction * estimate) - shift) / scale
        statistic = t * (math.copysign(1.0, estimate) if two_sided else direction)
        low = -math.inf if alternative == "less" else estimate - reach * scale
        high = math.inf if alternative == "greater" else estimate + reach * scale
        pairs.append(
            _result(
                several, i, base, estimate, scale, statistic=statistic, df=df, p=sf(t), low=low, high=high
            )
        )
    return _posthoc(
        "dunnett", several, pairs, confidence, paired=paired, alternative=alternative, margin=margin
    )


def tukey(groups: Arms, *, paired: bool = False, confidence: float = 0.95) -> Posthoc:
    """Compare every treatment with every other, if all spread alike.

    Tukey's honest significant difference, for unequal sizes after Kramer (1956), which is slightly cautious then; R:
    TukeyHSD(aov). `paired` takes the variance left by treatments and blocks, as TukeyHSD(aov(value ~ treatment +
    block), "treatment"): it assumes that all differences between treatments vary alike. Here p and bounds are good to
    1e-11; in R p is as good as ptukey (see `ranges`), and the bounds to 1e-4.

    >>> scores = {"a": [5.1, 4.9, 6.2], "b": [4.8, 4.1, 5.9], "c": [7.6, 8.1, 7.9]}
    >>> [(pair.x, pair.y, round(pair.p, 4)) for pair in tukey(scores).pairs]
    [('b', 'a', 0.692), ('c', 'a', 0.0102), ('c', 'b', 0.0044)]
    """
    several = several_samples(groups, paired=paired)
    error, df = _common_error(several, paired=paired)
    scales = [[math.sqrt(error * (1 / m + 1 / n)) for m in several.sizes] for n in several.sizes]
    pairs = _all_pairs(several, scales, [[df] * len(scales)] * len(scales), confidence)
    return _posthoc("tukey", several, pairs, confidence, paired=paired)


def games_howell(groups: Arms, *, confidence: float = 0.95) -> Posthoc:
    """Compare every independent treatment with every other, however differently they spread.

    Games and Howell (1976): Tukey's studentized range with Welch's error and degrees of freedom for each pair; R:
    ptukey(sqrt(2) * t.test(x, y)$statistic, k, t.test(x, y)$parameter). Needs at least 2 values each, about 6 for the
    error rate to be held well.

    >>> scores = {"a": [5.1, 4.9, 6.2], "b": [4.8, 4.1, 5.9], "c": [7.6, 8.1, 7.9]}
    >>> [(pair.x, pair.y, round(pair.p, 4)) for pair in games_howell(scores).pairs]
    [('b', 'a', 0.7744), ('c', 'a', 0.0324), ('c', 'b', 0.0447)]
    """
    several = several_samples(groups, paired=False, least=2)
    shares = several.variances() / np.array(several.sizes)
    k = len(several.names)
    scales = [[0.0] * k for _ in range(k)]
    dfs = [[1.0] * k for _ in range(k)]
    for i, j in _later_first(k):
        if shares[i] + shares[j] == 0:
            raise ValueError(
                f"neither {several.names[i]} nor {several.names[j]} varies: a standard error of zero cannot be divided "
                f"by; tukey takes the spread of all treatments together"
            )
        scales[i][j] = math.sqrt(shares[i] + shares[j])
        part = float(shares[i] / (shares[i] + shares[j]))
        dfs[i][j] = 1.0 / (part**2 / (several.sizes[i] - 1) + (1 - part) ** 2 / (several.sizes[j] - 1))
    return _posthoc(
        "games_howell", several, _all_pairs(several, scales, dfs, confidence), confidence, paired=False
    )


def nemenyi(groups: Arms, *, confidence: float = 0.95) -> Posthoc:
    """Compare the ranks of every treatment with those of every other, over the replicates (blocks) of both.

    Nemenyi (1963), as in Demšar (2006): mean ranks differ if by the critical difference q sqrt(k (k + 1) / (6 b)); R:
    ptukey(abs(difference) / sqrt(k * (k + 1) / (12 * b)), k, Inf). The error is that of ranks without ties; with ties
    it is too large, so the test is cautious. Rank 1 is the smallest value, as in `friedman`: a positive difference says
    that x has the larger values. The intervals hold their coverage where treatments are nearly alike and are too wide
    where they are not.

    >>> scores = {"a": [1.0, 2.0, 3.0, 4.0], "b": [1.5, 2.5, 2.9, 4.5], "c": [3.0, 4.0, 5.0, 6.0]}
    >>> [(pair.x, pair.y, pair.estimate, round(pair.p, 4)) for pair in nemenyi(scores).pairs]
    [('b', 'a', 0.5, 0.7593), ('c', 'a', 1.75, 0.0356), ('c', 'b', 1.25, 0.1805)]
    """
    several, means, scale = _mean_ranks(groups)
    k = len(means)
    scales, dfs = [[scale] * k] * k, [[math.inf] * k] * k
    pairs = _all_pairs(several, scales, dfs, confidence, means=means)
    return _posthoc("nemenyi", several, pairs, confidence, paired=True, estimand=RANK_ESTIMAND)


def ranks_against(groups: Arms, *, control: str, confidence: float = 0.95) -> Posthoc:
    """Compare the ranks of every treatment with those of one control, over the replicates (blocks) of both.

    Demšar (2006): z = difference of mean ranks / sqrt(k (k + 1) / (6 b)), p-values after Holm. More powerful than
    `nemenyi` where only the control is of interest. The intervals are Bonferroni's, which go with z but may hold 0
    where Holm rejects. Ties and the sign are as in `nemenyi`.

    >>> scores = {"a": [1.0, 2.0, 3.0, 4.0], "b": [1.5, 2.5, 2.9, 4.5], "c": [3.0, 4.0, 5.0, 6.0]}
    >>> [
    ...     (pair.x, round(pair.statistic, 3), round(pair.p, 4))
    ...     for pair in ranks_against(scores, control="a").pairs
    ... ]
    [('b', 0.707, 0.4795), ('c', 2.475, 0.0267)]
    """
    several, means, scale = _mean_ranks(groups)
    base = several.index(control)
    others = [i for i in range(len(means)) if i != base]
    estimates = [means[i] - means[base] for i in others]
    raw = [2.0 * float(special.ndtr(-abs(estimate) / scale)) for estimate in estimates]
    reach = -float(special.ndtri((1.0 - _checked(confidence)) / (2 * len(others)))) * scale
    pairs = [
        PairResult(
            several.names[i], control, estimate, scale, estimate / scale, math.inf, possible(p), estimate - reach,
            estimate + reach,
        )
        for i, estimate, p in zip(others, estimates, holm(raw), strict=True)
    ]  # fmt: skip
    return _posthoc("ranks_against", several, pairs, confidence, paired=True, estimand=RANK_ESTIMAND)


RANK_ESTIMAND = "the mean rank of x minus that of y within a block, 1 being the smallest value"


def _common_error(several: Groups, *, paired: bool) -> tuple[float, float]:
    error, df = several.block_error() if paired else several.pooled_error()
    if error == 0:
        where = (
            "the differences between treatments are the same in every block" if paired else "nothing varies"
        )
        raise ValueError(f"{where}: a spread of zero cannot be divided by")
    return error, df


def _mean_ranks(groups: Arms) -> tuple[Groups, list[float], float]:
    """Rank within blocks; also give the standard error of a difference of two mean ranks."""
    several = several_samples(groups, paired=True)
    ranks = several.block_ranks()
    k, b = ranks.shape
    if np.all(ranks == ranks[0, 0]):
        raise ValueError("all treatments are equal in every block: there is nothing to rank")
    return several, [float(row.mean()) for row in ranks], math.sqrt(k * (k + 1) / (6 * b))


def _later_first(k: int) -> list[tuple[int, int]]:
    """List all pairs, each with the treatment that was given later first: what is new less what it is new to."""
    return [(i, j) for j in range(k) for i in range(j + 1, k)]


def _all_pairs(
    several: Groups,
    scales: Sequence[Sequence[float]],
    dfs: Sequence[Sequence[float]],
    confidence: float,
    *,
    means: Sequence[float] | None = None,
) -> list[PairResult]:
    """Compare all pairs by the studentized range, whose unit is the standard error of a difference over root 2."""
    k = len(several.names)
    level = 1.0 - _checked(confidence)
    pairs = []
    for i, j in _later_first(k):
        of = several.means if means is None else means
        estimate, scale, df = float(of[i] - of[j]), scales[i][j], dfs[i][j]
        p = studentized_range_sf(math.sqrt(2.0) * abs(estimate) / scale, k, df)
        reach = _range_point(k, df, level) / math.sqrt(2.0) * scale
        low, high, statistic = estimate - reach, estimate + reach, estimate / scale
        if means is None:
            pairs.append(
                _result(several, i, j, estimate, scale, statistic=statistic, df=df, p=p, low=low, high=high)
            )
        else:
            pairs.append(
                PairResult(
                    several.names[i],
                    several.names[j],
                    estimate,
                    scale,
                    statistic,
                    df,
                    possible(p),
                    low,
                    high,
                )
            )
    return pairs


def _result(
    several: Groups,
    i: int,
    j: int,
    estimate: float,
    error: float,
    *,
    statistic: float,
    df: float,
    p: float,
    low: float,
    high: float,
) -> PairResult:
    """Put one pair into the user's units."""
    restore: Callable[[float], float] = several.restore
    names = several.names[i], several.names[j]
    return PairResult(
        *names, restore(estimate), restore(error), statistic, df, possible(p), restore(low), restore(high)
    )


def _posthoc(
    test: str,
    several: Groups,
    pairs: Sequence[PairResult],
    confidence: float,
    *,
    paired: bool,
    alternative: Side = "two-sided",
    margin: float = 0.0,
    estimand: str | None = None,
) -> Posthoc:
    return Posthoc(
        test=test,
        pairs=tuple(pairs),
        alternative=alternative,
        margin=margin,
        confidence=confidence,
        n=tuple(zip(several.names, several.sizes, strict=True)),
        paired=paired,
        estimand=estimand
        or ("the mean of x minus y over blocks" if paired else "the mean of x minus the mean of y"),
    )


@lru_cache(maxsize=256)
def _dunnett_point(shares: tuple[float, ...], df: float, level: float, two_sided: bool) -> float:
    return upper_point(lambda t: dunnett_sf(t, np.array(shares), df, two_sided=two_sided), level)


@lru_cache(maxsize=256)
def _range_point(k: int, df: float, level: float) -> float:
    return upper_point(lambda q: studentized_range_sf(q, k, df), level)


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: give a share between 0 and 1, as in 0.95")
    return confidence
