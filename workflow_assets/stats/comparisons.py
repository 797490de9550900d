"""Comparisons: how surprising would these two arms be if the treatment did not do what is claimed?

One function per test, called in one way. `x` holds the treatment's values and `y` those it is compared against; paired
tests take the two values of one replicate from the same position. The claim is about x - y: "greater" claims
x - y > margin, "less" claims x - y < -margin, "two-sided" claims |x - y| > margin, so a positive margin always asks
for more than zero and a negative one (one-sided only) asks for non-inferiority. A two-sided p is twice the smaller
one-sided p, at most 1; for margin 0 this is the ordinary two-sided test.

A p-value is never 0, and a test that cannot be computed raises ValueError with the reason instead of answering NaN.
"""

import difflib
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.permutations import share_of_sign_patterns
from workflow_assets.stats.samples import (
    Alternative,
    Samples,
    as_sample,
    check_claim,
    merge_ties,
    missing_evidence,
    two_samples,
)

Direction = Literal[1, -1]

# Where R's wilcox.test changes from the exact distribution of the rank sum to its normal approximation.
EXACT_RANKS_BELOW = 50


@dataclass(frozen=True)
class Comparison:
    """What one test says about one claim.

    `statistic` belongs to the test (t; the positive rank sum W+; the U of x; the mean difference) and always speaks of
    x - y; `df` is None where the test has none. `n` holds the sizes of x and y, `exact` says that p comes from the
    complete null distribution of the statistic, `note` what a reader of the verdict should know about how it was
    computed.

    >>> paired_t([2.0, 3.0, 5.0], [1.0, 1.0, 1.0], alternative="greater").n
    (3, 3)
    """

    test: str
    statistic: float
    df: float | None
    p: float
    alternative: Alternative
    margin: float
    n: tuple[int, int]
    paired: bool
    exact: bool
    note: str

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1:
            raise ValueError(f"p is {self.p}: a p-value lies above 0 and at most at 1")


class _Tail(NamedTuple):
    """One side of a test: the statistic, told about x - y, and the probability of one at least as extreme."""

    statistic: float
    p: float
    df: float | None = None
    exact: bool = False
    note: str = ""


def paired_t(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test a mean difference by Student's t on the differences of the pairs.

    Student (1908); R: t.test(x, y, paired = TRUE, mu = ±margin). Robust against skewed differences from a few tens of
    pairs on; needs differences that vary.

    >>> result = paired_t([5.1, 4.9, 6.2, 5.7], [4.8, 4.1, 5.9, 5.0], alternative="greater")
    >>> round(result.statistic, 3), result.df, round(result.p, 4)
    (3.992, 3.0, 0.0141)
    """
    samples = _prepare(x, y, alternative, margin, paired=True)
    return _student("paired_t", samples, alternative, margin, paired=True)


def corrected_resampled_t(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    test_fraction: float,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
) -> Comparison:
    """Test a mean difference over replicates that re-split one and the same data set.

    Such replicates share most of their training data, so their differences are correlated and an ordinary t-test calls
    far too much significant. Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52,
    replace the variance factor 1/n of the mean difference by 1/n + n_test/n_train; n_test/n_train = f / (1 - f) for a
    test fraction f; n - 1 degrees of freedom. An approximation: it assumes the correlation f between any two splits.

    >>> x, y = [0.91, 0.93, 0.90, 0.94], [0.89, 0.90, 0.90, 0.91]
    >>> paired = paired_t(x, y, alternative="greater")
    >>> corrected = corrected_resampled_t(x, y, test_fraction=0.3, alternative="greater")
    >>> round(paired.p, 3), round(corrected.p, 3)
    (0.033, 0.092)
    """
    samples = _prepare(x, y, alternative, margin, paired=True)
    inflation = resampling_inflation(samples.x.size, test_fraction)
    note = (
        f"the variance of the mean difference is taken {inflation:.3g} times as large, "
        f"since the replicates re-split one data set (test fraction {test_fraction:g})"
    )
    return _student(
        "corrected_resampled_t", samples, alternative, margin, paired=True, inflation=inflation, note=note
    )


def resampling_inflation(n: int, test_fraction: float) -> float:
    """Say how many times larger the variance of a mean over n overlapping re-splits is than it looks.

    1 + n * n_test/n_train, after Nadeau and Bengio (2003): pass it as `variance_inflation` to an effect to get the
    interval that belongs to `corrected_resampled_t`.

    >>> resampling_inflation(30, 0.25)
    11.0
    """
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"test_fraction is {test_fraction}: give the share of the data that each split holds out, between 0 and 1"
        )
    return 1.0 + n * test_fraction / (1.0 - test_fraction)


def wilcoxon_signed_rank(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test a typical difference by the ranks of the paired differences, whatever their spread.

    Wilcoxon (1945). Pairs whose difference equals the margin are dropped, as Wilcoxon and R do. Exact for fewer than 50
    pairs without ties and without dropped ones, else the normal approximation with tie and continuity correction, as in
    R: wilcox.test(x, y, paired = TRUE). Assumes that under the null hypothesis the differences are symmetric about the
    margin; it speaks of their centre (pseudo-median), not of their mean. Differences equal up to rounding are ties.

    >>> x, y = [1.9, 2.4, 3.1, 2.8, 2.2], [1.5, 2.5, 2.2, 2.1, 2.0]
    >>> result = wilcoxon_signed_rank(x, y, alternative="greater")
    >>> result.statistic, result.p, result.exact
    (14.0, 0.0625, True)
    """
    samples = _prepare(x, y, alternative, margin, paired=True)

    def tail(direction: Direction) -> _Tail:
        from scipy import stats

        beyond = samples.beyond_margin(direction)
        kept = beyond != 0
        m = int(kept.sum())
        if m == 0:
            raise ValueError("every difference equals the margin: there is nothing to rank")
        sizes = merge_ties(np.abs(beyond[kept]), samples.magnitudes[kept])
        exact = m == beyond.size < EXACT_RANKS_BELOW and np.unique(sizes).size == m
        result = stats.wilcoxon(
            np.copysign(sizes, beyond[kept]),
            alternative="greater",
            correction=not exact,
            method="exact" if exact else "approx",
        )
        positive = float(result.statistic)
        dropped = beyond.size - m
        note = (
            f"{dropped} of {beyond.size} pairs dropped: they differ by exactly the margin" if dropped else ""
        )
        statistic = positive if direction == 1 else m * (m + 1) / 2 - positive
        return _Tail(statistic, float(result.pvalue), exact=exact, note=note)

    return _judge("wilcoxon_signed_rank", samples, tail, alternative, margin, paired=True)


def sign_flip(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
) -> Comparison:
    """Test a mean difference by asking how many patterns of signs would look at least as extreme.

    Fisher's (1935) randomization test for pairs: if the claim is false at its very edge, each difference beyond the
    margin was as likely to have the opposite sign. It divides by no spread, so it judges constant differences too. The
    statistic is the mean difference. Exact when all differences beyond the margin are equal in size (for 0/1 values it
    is McNemar's exact test), or when at most 16 are not zero (65,536 patterns); else `resamples` patterns are drawn
    from `rng` and p = (1 + extreme ones) / (1 + resamples), after Phipson and Smyth (2010). Assumes differences that
    are symmetric about the margin.

    >>> baseline = [0.94, 0.76, 2.00, 1.58, 1.54]
    >>> sign_flip([value + 30.0 for value in baseline], baseline, alternative="greater").p
    0.03125
    """
    samples = _prepare(x, y, alternative, margin, paired=True)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}: draw at least one pattern of signs")
    mean = samples.restore(float(samples.differences().mean()))
    seed = None if rng is None else int(rng.integers(2**63))  # both tails look at the same draws

    def tail(direction: Direction) -> _Tail:
        beyond = samples.beyond_margin(direction)
        kept = beyond != 0
        values, m = beyond[kept], int(kept.sum())
        if m == 0:
            return _Tail(mean, 1.0, exact=True, note="every difference equals the margin")
        draws = None if seed is None else np.random.default_rng(seed)
        share = share_of_sign_patterns(values, samples.magnitudes[kept], rng=draws, resamples=resamples)
        note = "" if share.exact else f"Monte Carlo: {resamples:,} patterns of signs drawn"
        return _Tail(mean, share.p, exact=share.exact, note=note)

    return _judge("sign_flip", samples, tail, alternative, margin, paired=True)


def welch_t(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test a difference of means of two unpaired arms, whose spreads may differ.

    Welch (1947), degrees of freedom after Satterthwaite; R: t.test(x, y). One of the arms may be constant, not both.

    >>> result = welch_t([5.1, 4.9, 6.2, 5.7], [4.1, 4.6, 4.4], alternative="greater")
    >>> round(result.statistic, 3), round(result.df, 3), round(result.p, 4)
    (3.366, 4.253, 0.0128)
    """
    samples = _prepare(x, y, alternative, margin, paired=False)
    return _student("welch_t", samples, alternative, margin, paired=False)


def mann_whitney(
    x: npt.ArrayLike, y: npt.ArrayLike, *, alternative: Alternative = "two-sided", margin: float = 0.0
) -> Comparison:
    """Test whether values of one unpaired arm tend to be larger than those of the other, by ranks.

    Mann and Whitney (1947). Exact when both arms have fewer than 50 values and none are tied, else the normal
    approximation with tie and continuity correction, as in R: wilcox.test(x, y). A margin shifts the whole of x, which
    makes sense for a scale but not for 0/1 values.

    >>> result = mann_whitney([3.1, 4.2, 5.0], [1.0, 2.2, 2.9, 3.0], alternative="greater")
    >>> result.statistic, round(result.p, 5), result.exact
    (12.0, 0.02857, True)
    """
    samples = _prepare(x, y, alternative, margin, paired=False)
    n_x, n_y = samples.sizes

    def tail(direction: Direction) -> _Tail:
        from scipy import stats

        # Without a margin, as the user has them: what is next to nothing would tie with 0 in the samples' unit.
        pooled = np.concatenate([as_sample(x, "x"), as_sample(y, "y")])
        if samples.margin:
            pooled = np.concatenate([samples.x - direction * samples.margin, samples.y])
            magnitudes = np.abs(np.concatenate([samples.x, samples.y]))
            pooled = merge_ties(pooled, np.maximum(magnitudes, abs(samples.margin)))
        different = np.unique(pooled).size
        if different == 1:
            raise ValueError("all values are equal: there is nothing to rank")
        exact = different == pooled.size and max(n_x, n_y) < EXACT_RANKS_BELOW
        result = stats.mannwhitneyu(
            pooled[:n_x],
            pooled[n_x:],
            alternative="greater" if direction == 1 else "less",
            method="exact" if exact else "asymptotic",
        )
        return _Tail(float(result.statistic), float(result.pvalue), exact=exact)

    return _judge("mann_whitney", samples, tail, alternative, margin, paired=False)


TESTS: Mapping[str, Callable[..., Comparison]] = MappingProxyType(
    {
        test.__name__: test
        for test in (paired_t, corrected_resampled_t, wilcoxon_signed_rank, sign_flip, welch_t, mann_whitney)
    }
)
PAIRED_TESTS = frozenset(TESTS) - {"welch_t", "mann_whitney"}


def compare(
    test: str,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    margin: float = 0.0,
    rng: np.random.Generator | None = None,
    test_fraction: float | None = None,
    resamples: int = 9_999,
) -> Comparison:
    """Run a test by its name; each one takes what it needs of `rng`, `resamples` and `test_fraction`.

    >>> compare("paired_t", [5.1, 4.9, 6.2], [4.8, 4.1, 5.9]) == paired_t([5.1, 4.9, 6.2], [4.8, 4.1, 5.9])
    True
    """
    if test not in TESTS:
        near = difflib.get_close_matches(test, TESTS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(TESTS)}"
        raise ValueError(f"there is no test called {test!r}: {hint}")
    if test == "corrected_resampled_t":
        if test_fraction is None:
            raise ValueError(
                "corrected_resampled_t needs test_fraction=, the share of the data each split holds out"
            )
        return corrected_resampled_t(
            x, y, test_fraction=test_fraction, alternative=alternative, margin=margin
        )
    if test == "sign_flip":
        return sign_flip(x, y, alternative=alternative, margin=margin, rng=rng, resamples=resamples)
    return TESTS[test](x, y, alternative=alternative, margin=margin)


def _prepare(
    x: npt.ArrayLike, y: npt.ArrayLike, alternative: Alternative, margin: float, *, paired: bool
) -> Samples:
    check_claim(alternative, margin)
    samples = two_samples(x, y, paired=paired, margin=margin)
    reason = missing_evidence(samples)
    if reason is not None:
        raise ValueError(reason)
    return samples


def _judge(
    test: str,
    samples: Samples,
    tail: Callable[[Direction], _Tail],
    alternative: Alternative,
    margin: float,
    *,
    paired: bool,
) -> Comparison:
    """Make one result of the one or two tails that the claim asks for."""
    if alternative == "two-sided":
        result = min(tail(1), tail(-1), key=lambda side: side.p)
        result = result._replace(p=min(1.0, 2.0 * result.p))
    else:
        result = tail(1 if alternative == "greater" else -1)
    return Comparison(
        test=test,
        statistic=result.statistic,
        df=result.df,
        p=min(1.0, max(result.p, sys.float_info.min)),
        alternative=alternative,
        margin=margin,
        n=samples.sizes,
        paired=paired,
        exact=result.exact,
        note=result.note,
    )


def _student(
    test: str,
    samples: Samples,
    alternative: Alternative,
    margin: float,
    *,
    paired: bool,
    inflation: float = 1.0,
    note: str = "",
) -> Comparison:
    shift, error, df = samples.mean_difference(paired=paired)
    if error == 0:
        raise ValueError("the difference is the same in every pair: its spread of zero cannot be divided by")
    error *= math.sqrt(inflation)

    def tail(direction: Direction) -> _Tail:
        t = (direction * shift - samples.margin) / error
        return _Tail(direction * t, float(special.stdtr(df, -t)), df=df, note=note)

    return _judge(test, samples, tail, alternative, margin, paired=paired)
