"""Locations: by how much x exceeds y where the mean is not what is asked about.

Medians, the Hodges-Lehmann shift, ratios of means and interquartile means; called as every effect is (`effects`).
"""

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.bootstraps import check_resamples, draws, percentile_bounds
from workflow_assets.stats.effects import Effect, located, prepare, upper
from workflow_assets.stats.ranks import EXACT_RANKS_BELOW
from workflow_assets.stats.samples import FloatArray, Samples, as_sample, is_constant, merge_ties
from workflow_assets.stats.selections import smallest_sums

# R's quantiles of discrete distributions let rounding pass in their favour.
_FUZZ = 10 * sys.float_info.epsilon


def median_difference(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say by how much x typically exceeds y: by the median.

    Paired: the median of the differences, with the order statistics that the sign test leaves, which hold the true
    median in at least `confidence` of samples of any continuous distribution (10 pairs: 97.9 %, 12: 96.1 %).
    Fewer than 6 pairs have no 95 %: the interval is their whole range, and its confidence the 1 - 2^(1 - n) of that.

    Unpaired: the median of x minus the median of y, which is not the median of the differences. Interval of Price and
    Bonett (2002), "Distribution-free confidence intervals for difference and ratio of medians": normal quantiles, and
    for each arm a standard error told from two of its order statistics. Made for continuous values and 8 of them or
    more in each arm; where most values are equal it is too narrow.

    >>> median_difference(
    ...     [3.0, 5.0, 4.0, 9.0, 6.0, 8.0], [1.0, 2.0, 3.0, 2.0, 7.0, 4.0], paired=True
    ... ).estimate
    2.5
    """
    samples = prepare(x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation)
    if paired:
        differences = np.sort(samples.differences())
        n = differences.size
        tail = (1.0 - confidence) / 2
        counts = special.bdtr(np.arange(n // 2 + 1), n, 0.5)  # P(at most so many of n below their median)
        rank = int(np.sum(counts < tail - tail * _FUZZ))
        reached = confidence if rank else min(confidence, 1.0 - 2.0 ** (1 - n))
        rank = max(rank, 1)
        bounds = float(differences[rank - 1]), float(np.median(differences)), float(differences[n - rank])
        estimand = "the median of x minus y over pairs"
    else:
        arms = np.sort(samples.x), np.sort(samples.y)
        estimate = float(np.median(arms[0]) - np.median(arms[1]))
        reach = float(special.ndtri(upper(confidence))) * math.hypot(*map(_median_error, arms))
        bounds, reached = (estimate - reach, estimate, estimate + reach), confidence
        estimand = "the median of x minus the median of y"
    return located(
        "median_difference", samples, bounds,
        confidence=reached, variance_inflation=variance_inflation, estimand=estimand,
    )  # fmt: skip


def _median_error(ascending: FloatArray) -> float:
    """Give Price and Bonett's standard error of a median: an order-statistic interval over its normal width."""
    n = ascending.size
    rank = max(1, round((n + 1) / 2 - math.sqrt(n)))
    z = -float(special.ndtri(special.bdtr(rank - 1, n, 0.5)))
    return float(ascending[n - rank] - ascending[rank - 1]) / (2 * z)


def hodges_lehmann(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say by how much x is shifted against y: the estimate and the interval that belong to the rank tests.

    Hodges and Lehmann (1963). Paired: the median of all averages of two differences (Walsh averages, each difference
    with itself too), and those shifts that `wilcoxon_signed_rank` does not reject. Unpaired: the median of all
    differences of a value of x and a value of y, and those shifts that `mann_whitney` does not reject. R:
    wilcox.test(x, y, paired, conf.int = TRUE), which sets these conventions:

    - exact for fewer than 50 pairs, or values in either arm, without ties; else the normal approximation with tie and
      continuity correction, whose bounds are given as what they are, one of the averages or differences, where R
      searches for them to a tolerance (its tol.root);
    - pairs without a difference are dropped, also from the estimate;
    - where so few values cannot give that confidence, the interval is the widest there is, and its own confidence is
      stated: 1 - 2^(1 - n) of exact pairs, 1 - 2 n! m! / (n + m)! of exact arms, and of few pairs with ties that of
      R, which doubles its doubt until it can be had.

    The estimand is the pseudo-median of the differences (their median if they are symmetric), or the shift between two
    arms of the same shape. Differences equal up to rounding are ties.

    >>> x, y = [1.9, 2.4, 3.1, 2.8, 2.2, 3.9], [1.5, 2.5, 2.2, 2.1, 2.0, 2.4]
    >>> effect = hodges_lehmann(x, y, paired=True)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (0.55, -0.1, 1.5)
    """
    samples = prepare(x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation)
    doubt = 1.0 - confidence
    if paired:
        bounds, reached = _walsh_bounds(samples, doubt)
        estimand = "the pseudo-median of x minus y over the pairs that differ"
    else:
        bounds, reached = _shift_bounds(samples, doubt)
        estimand = "the median difference between a value of x and a value of y"
    return located(
        "hodges_lehmann", samples, bounds,
        confidence=min(confidence, reached), variance_inflation=variance_inflation, estimand=estimand,
    )  # fmt: skip


def _walsh_bounds(samples: Samples, doubt: float) -> tuple[tuple[float, float, float], float]:
    differences = samples.differences()
    kept = differences != 0
    m = int(kept.sum())
    if m == 0:
        raise ValueError("every difference is 0: there is nothing to rank")
    values, sizes = differences[kept], samples.magnitudes[kept]
    total = m * (m + 1) // 2
    untied = np.unique(merge_ties(np.abs(values), sizes)).size == m
    values = merge_ties(values, sizes)
    reached = 1.0 - doubt
    if m == differences.size < EXACT_RANKS_BELOW and untied:
        rank = _rank_by_counting(_signed_rank_counts(m), doubt / 2)
        if rank == 0:
            rank, reached = 1, 1.0 - 2.0 ** (1 - m)
    else:
        ties = np.unique(values, return_counts=True)[1].astype(np.float64)
        while doubt < 1 and not _within_reach(ties, doubt):
            doubt *= 2.0
        sigma = _signed_rank_sigma(ties)
        if doubt < 1:
            reached = 1.0 - doubt
            rank = math.floor(total / 2 + 0.5 + float(special.ndtri(doubt / 2)) * sigma)
        else:  # so few that R has no interval: the centre lies beyond all of them in one of 2^(m - 1) samples
            rank, reached = 1, min(reached, 1.0 - 2.0 ** (1 - m))
    return _bounds(values, values, total, max(1, rank), once=True), reached


def _within_reach(ties: FloatArray, doubt: float) -> bool:
    """Say whether the approximate test, as R asks it, rejects the smallest and the largest difference as the centre."""
    for others in (ties[1:], ties[:-1]):
        m = float(others.sum())
        if m == 0:
            return False
        z = (m * (m + 1) / 4 - 0.5) / _signed_rank_sigma(others)
        if z < -float(special.ndtri(doubt / 2)):
            return False
    return True


def _signed_rank_sigma(ties: FloatArray) -> float:
    m = float(ties.sum())
    return math.sqrt(m * (m + 1) * (2 * m + 1) / 24 - float(np.sum(ties**3 - ties)) / 48)


def _shift_bounds(samples: Samples, doubt: float) -> tuple[tuple[float, float, float], float]:
    x, y = samples.x, samples.y
    n, m = samples.sizes
    total = n * m
    pooled = np.concatenate([x, y])
    ties = np.unique(merge_ties(pooled, np.abs(pooled)), return_counts=True)[1]
    widest = 1.0 - 2.0 * math.exp(math.lgamma(n + 1) + math.lgamma(m + 1) - math.lgamma(n + m + 1))
    if ties.size == n + m and max(n, m) < EXACT_RANKS_BELOW:
        rank = _rank_by_counting(_rank_sum_counts(n, m), doubt / 2)
    else:
        # A shift that makes no new ties keeps those within each arm.
        cubes = 0.0
        for arm in (x, y):
            counts = np.unique(merge_ties(arm, np.abs(arm)), return_counts=True)[1].astype(np.float64)
            cubes += float(np.sum(counts**3 - counts))
        size = float(n + m)
        sigma = math.sqrt(total / 12 * (size + 1 - cubes / (size * (size - 1))))
        rank = math.floor(total / 2 + 0.5 + float(special.ndtri(doubt / 2)) * sigma)
    reached = 1.0 - doubt if rank >= 1 else min(1.0 - doubt, widest)
    return _bounds(x, -y, total, max(1, rank), once=False), reached


def _bounds(a: FloatArray, b: FloatArray, total: int, rank: int, *, once: bool) -> tuple[float, float, float]:
    middle = [(total + 1) // 2, total // 2 + 1]
    low, *halves, high = smallest_sums(a, b, [rank, *middle, total + 1 - rank], once=once)
    unit = 2.0 if once else 1.0
    return low / unit, (halves[0] / 2 + halves[1] / 2) / unit, high / unit


def _rank_by_counting(probabilities: FloatArray, tail: float) -> int:
    """Give the quantile of a statistic that counts from 0: the first value up to which there is so much probability."""
    cumulated = np.cumsum(probabilities[: probabilities.size // 2 + 1])
    return int(np.sum(cumulated < tail - _FUZZ))


def _signed_rank_counts(n: int) -> FloatArray:
    """Give the probabilities of the signed-rank statistic: of every sum of a subset of 1 … n."""
    probabilities = np.ones(1)
    for rank in range(1, n + 1):
        wider = np.zeros(probabilities.size + rank)
        wider[: probabilities.size] = probabilities / 2
        wider[rank:] += probabilities / 2
        probabilities = wider
    return probabilities


def _rank_sum_counts(n: int, m: int) -> FloatArray:
    """Give the probabilities of U: the coefficients of the Gaussian binomial, one factor after the other."""
    counts = np.zeros(n * m + 1)
    counts[0] = 1.0
    for k in range(1, m + 1):
        step = n + k
        if step <= n * m:
            counts[step:] -= counts[:-step].copy()
        for start in range(k):  # division by 1 - q^k: a running sum of every k-th
            counts[start::k] = np.cumsum(counts[start::k])
    return counts / math.comb(n + m, m)


def iqm_difference(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
) -> Effect:
    """Say by how much x exceeds y by the mean of the middle half of each arm, which no outlier moves.

    The interquartile mean as in rliable (Agarwal et al. 2021): scipy.stats.trim_mean(values, 0.25), which leaves out
    the n // 4 smallest and as many of the largest. The interval is that of the percentile bootstrap, as there: of
    pairs, or of each arm. Made for 20 values in each arm or more.

    >>> x, y = [3.0, 5.0, 4.0, 9.0, 6.0, 99.0], [1.0, 2.0, 3.0, 2.0, 7.0, 4.0]
    >>> iqm_difference(x, y, paired=False, rng=np.random.default_rng(1)).estimate
    3.25
    """
    samples = prepare(x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation)
    if rng is None:
        raise ValueError("a bootstrap draws resamples: pass rng=, as in rng=np.random.default_rng(1)")
    check_resamples(resamples, confidence)
    arms = samples.x, samples.y
    estimate = float(np.subtract(*(_interquartile_mean(np.sort(arm)) for arm in arms)))
    ascending = [np.sort(arm) for arm in arms]
    # Ranks as 16-bit numbers are sorted by their digits, five times as fast as values are by comparing them.
    kind: type[np.integer[Any]] = np.uint16 if max(samples.sizes) <= 2**16 else np.int64
    ranks = [np.argsort(np.argsort(arm, kind="stable")).astype(kind) for arm in arms]
    replicates = []
    for indices in draws(arms, paired=paired, rng=rng, resamples=resamples):
        means = []
        for order, values, one in zip(ranks, ascending, indices, strict=True):
            drawn = order[one]
            drawn.sort(axis=-1, kind="stable")
            means.append(_interquartile_mean(values, drawn))
        replicates.append(means[0] - means[1])
    low, high = percentile_bounds(np.concatenate(replicates), confidence)
    return located(
        "iqm_difference", samples, (low, estimate, high),
        confidence=confidence, variance_inflation=variance_inflation,
        estimand="the interquartile mean of x minus that of y",
    )  # fmt: skip


def _interquartile_mean(ascending: FloatArray, drawn: npt.NDArray[np.integer[Any]] | None = None) -> Any:
    """Give the mean of the middle half of sorted values, or of each row of their drawn and sorted ranks."""
    cut = ascending.size // 4
    middle = slice(cut, ascending.size - cut)
    return ascending[middle].mean() if drawn is None else ascending[drawn[:, middle]].mean(axis=-1)


def ratio_of_means(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say how many times as large as the mean of y the mean of x is.

    For metrics with a true zero, as times, counts and losses are: both means must be above 0. Interval of Fieller
    (1954), which inverts the t-test of mean(x) - θ mean(y) = 0: with n - 1 degrees of freedom and the covariance for
    pairs, else with separate variances and Satterthwaite's degrees of freedom at the estimated ratio (Tamhane and Logan
    2004, as mratios::ttestratio does in R). It is not the ratio of geometric means, nor the mean of the ratios.

    Raises ValueError where the mean of y is not clearly above 0 at this confidence: then no finite interval exists.

    >>> effect = ratio_of_means([3.0, 5.0, 4.0, 6.0], [1.0, 2.0, 3.0, 2.0], paired=False)
    >>> round(effect.estimate, 3), round(effect.low, 3), round(effect.high, 3)
    (2.25, 1.223, 4.89)
    """
    prepare(x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation)
    # Each arm in a unit of its own: a ratio may be far from 1.
    arms = as_sample(x, "x"), as_sample(y, "y")
    exponents = [math.frexp(float(np.max(np.abs(arm))))[1] for arm in arms]
    x, y = (np.ldexp(arm, -exponent) for arm, exponent in zip(arms, exponents, strict=True))
    n, m = x.size, y.size
    above, below = float(x.mean()), float(y.mean())
    if not (above > 0 and below > 0):
        raise ValueError(
            "a mean is not above 0: a ratio needs a metric with a true zero and values above it; "
            "ask for mean_difference"
        )
    ratio = above / below
    # The bounds are ratio + δ with (δ mean(y))² = t² variance(mean(x - ratio y) - δ mean(y)).
    spread_y = 0.0 if is_constant(y) else float(y.var(ddof=1))
    if paired:
        rest = x - ratio * y
        constant = is_constant(rest, scale=np.maximum(np.abs(x), np.abs(ratio * y)))
        df = n - 1.0
        rests = 0.0 if constant else float(rest.var(ddof=1)) / n
        mixed = 0.0 if constant or not spread_y else float(np.cov(rest, y)[0, 1]) / n
    else:
        shares = (0.0 if is_constant(x) else float(x.var(ddof=1)) / n, ratio**2 * spread_y / m)
        rests, mixed = sum(shares), -ratio * spread_y / m
        df = rests**2 / (shares[0] ** 2 / (n - 1) + shares[1] ** 2 / (m - 1))
    factor = float(special.stdtrit(df, upper(confidence))) ** 2 * variance_inflation
    certainty = below**2 - factor * spread_y / m
    if certainty <= 0:
        raise ValueError(
            f"the mean of y is not clearly above 0 at confidence {confidence:g}, so a ratio to it has no finite "
            f"interval: ask for mean_difference, or for more replicates"
        )
    reach = math.sqrt(factor * max(factor * mixed**2 + certainty * rests, 0.0))
    low, high = ((-factor * mixed + side * reach) / certainty for side in (-1, 1))
    power = exponents[0] - exponents[1]
    if math.frexp(ratio + max(high, 0.0))[1] + power > sys.float_info.max_exp - 1:
        raise ValueError("the means are too far apart for their ratio to be written as a number")
    return Effect(
        name="ratio_of_means",
        estimate=math.ldexp(ratio, power),
        low=math.ldexp(min(ratio, ratio + low), power),
        high=math.ldexp(max(ratio, ratio + high), power),
        confidence=confidence,
        estimand="the mean of x over the mean of y",
    )
