"""Medians, shifts, ratios and interquartile means."""

import math

import numpy as np
import pytest
from scipy import stats

from workflow_assets.stats.locations import (
    _rank_sum_counts,
    _signed_rank_counts,
    hodges_lehmann,
    iqm_difference,
    median_difference,
    ratio_of_means,
)
from workflow_assets.stats.ranks import mann_whitney, wilcoxon_signed_rank

X = [0.9121, 0.9342, 0.9070, 0.9484, 0.9213, 0.9396, 0.9158, 0.9577, 0.9269, 0.9435, 0.9022, 0.9313]
Y = [0.8983, 0.9217, 0.9134, 0.9298, 0.9056, 0.9412, 0.8961, 0.9305, 0.9190, 0.9145, 0.9044, 0.9168]


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(
    ("test", "paired"), [(wilcoxon_signed_rank, True), (mann_whitney, False)], ids=["pairs", "arms"]
)
@pytest.mark.parametrize("n", [12, 60])
def test_the_interval_holds_what_the_rank_test_does_not_reject(test, paired, confidence, n):
    """Just inside its bounds a shift is not rejected, and just outside it is: exact and approximate alike."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(0.3, 1.0, n), rng.normal(size=n)
    effect = hodges_lehmann(x, y, paired=paired, confidence=confidence)
    step, doubt = 1e-9, (1 - confidence) / 2
    assert test(x, y, alternative="greater", margin=effect.low - step).p <= doubt
    assert test(x, y, alternative="greater", margin=effect.low + step).p > doubt
    assert test(x, y, alternative="less", margin=-effect.high - step).p <= doubt
    assert test(x, y, alternative="less", margin=-effect.high + step).p > doubt


def test_counted_distributions_are_those_of_scipy():
    """The exact distributions of both rank statistics are scipy's, far into the lower tail."""
    for n in (1, 2, 9, 30):
        ours = np.cumsum(_signed_rank_counts(n))
        assert ours[-1] == pytest.approx(1.0)
        if n > 1:
            x = np.arange(1.0, n + 1) * np.where(np.arange(n) < n // 3, 1, -1)
            result = stats.wilcoxon(x, alternative="less", method="exact")
            assert ours[int(result.statistic)] == pytest.approx(result.pvalue, rel=1e-12)
    for n, m in ((2, 2), (4, 9), (49, 49)):
        ours = np.cumsum(_rank_sum_counts(n, m)[: n * m // 2 + 1])
        assert ours[0] == pytest.approx(1 / math.comb(n + m, n))
        x = np.arange(n) + 0.5
        y = np.arange(m) + n // 4 - 0.1
        lower = stats.mannwhitneyu(x, y, alternative="less", method="exact")
        if lower.statistic <= n * m // 2:
            assert ours[int(lower.statistic)] == pytest.approx(lower.pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "reached"), [(2, 0.5), (3, 0.75), (5, 0.9375)])
@pytest.mark.parametrize("effect", [median_difference, hodges_lehmann])
def test_few_pairs_say_which_confidence_they_reach(effect, n, reached):
    """Where no interval of pairs has 95 %, it is their whole range with the confidence of that."""
    answer = effect(X[:n], Y[:n], paired=True)
    differences = np.subtract(X[:n], Y[:n])
    assert answer.confidence == pytest.approx(reached)
    assert (answer.low, answer.high) == pytest.approx((differences.min(), differences.max()))


def test_few_values_say_which_confidence_they_reach():
    """Two arms of two values leave out the truth in a third of samples, if all their shifts are taken."""
    answer = hodges_lehmann([1.0, 2.5], [0.2, 0.9], paired=False)
    assert answer.confidence == pytest.approx(2 / 3)
    assert (answer.low, answer.high) == pytest.approx((0.1, 2.3))
    assert median_difference([1.0, 2.5], [0.2, 0.9], paired=False).confidence == 0.95


@pytest.mark.parametrize("effect", [median_difference, hodges_lehmann])
def test_a_constant_difference_has_no_width(effect):
    """A difference that is the same in every pair is what it is."""
    answer = effect([y + 30.0 for y in Y], Y, paired=True)
    assert answer.low == pytest.approx(30.0)
    assert answer.high == pytest.approx(30.0)
    few = effect([y + 30.0 for y in Y[:3]], Y[:3], paired=True)
    assert few.confidence == pytest.approx(0.75)


def test_pairs_without_a_difference_are_dropped():
    """The estimate and the interval are those of the pairs that differ, as R's are; none that differs is an error."""
    with_zeros = hodges_lehmann([*X, 0.5, 0.6], [*Y, 0.5, 0.6], paired=True, confidence=0.9)
    assert with_zeros.estimate == pytest.approx(hodges_lehmann(X, Y, paired=True).estimate)
    with pytest.raises(ValueError, match="every difference is 0"):
        hodges_lehmann(X, X, paired=True)


def test_tenths_tie_like_whole_numbers():
    """Rounding makes no difference of equal ones, and no exact distribution where there are ties."""
    x, y = np.array([14, 9, 17, 12, 20, 8, 15, 11]), np.array([11, 10, 12, 12, 15, 9, 9, 11])
    for paired in (True, False):
        whole, tenths = (hodges_lehmann(x / unit, y / unit, paired=paired) for unit in (1, 10))
        for part in ("estimate", "low", "high"):
            assert getattr(tenths, part) == pytest.approx(getattr(whole, part) / 10, rel=1e-12)


def test_iqm_is_scipys_trimmed_mean():
    """The interquartile mean is trim_mean(0.25), whatever n leaves when it is divided by four."""
    rng = np.random.default_rng(4)
    for n in (2, 3, 4, 7, 20):
        x, y = rng.normal(size=(2, n))
        expected = stats.trim_mean(x, 0.25) - stats.trim_mean(y, 0.25)
        answer = iqm_difference(x, y, paired=True, rng=rng, resamples=99)
        assert answer.estimate == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_iqm_of_resamples_is_that_of_their_values():
    """Sorting ranks gives the interval that sorting drawn values gives."""
    from workflow_assets.stats.bootstraps import bootstrap_interval

    def difference(x, y):
        return stats.trim_mean(x, 0.25, axis=-1) - stats.trim_mean(y, 0.25, axis=-1)

    rng = np.random.default_rng(4)
    x, y = rng.integers(0, 9, size=(2, 13)).astype(float)
    for paired in (True, False):
        slow = bootstrap_interval(
            difference, x, y, paired=paired, method="percentile", rng=np.random.default_rng(1), resamples=999
        )
        fast = iqm_difference(x, y, paired=paired, rng=np.random.default_rng(1), resamples=999)
        assert (fast.estimate, fast.low, fast.high) == pytest.approx(tuple(slow), abs=1e-12)


def test_iqm_draws_from_a_generator():
    """Without a generator nothing is drawn."""
    with pytest.raises(ValueError, match="pass rng="):
        iqm_difference(X, Y, paired=True)


def test_ratio_of_proportional_arms_is_certain():
    """Pairs that are all in one ratio have it, with an interval of no width."""
    answer = ratio_of_means([3 * y for y in Y], Y, paired=True)
    assert (answer.low, answer.estimate, answer.high) == pytest.approx((3.0, 3.0, 3.0), rel=1e-12)


def test_ratio_of_arms_far_apart():
    """Arms in units of their own have a ratio of any size that can be written as a number."""
    x, y = np.array(X) * 1e140, np.array(Y) * 1e-140
    assert ratio_of_means(x, y, paired=True).estimate == pytest.approx(
        1e280 * ratio_of_means(X, Y, paired=True).estimate
    )
    with pytest.raises(ValueError, match="too far apart"):
        ratio_of_means(x * 1e100, y, paired=True)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, -2.0], [3.0, 4.0], "a mean is not above 0"),
        ([1.0, 2.0], [0.0, 0.0], "a mean is not above 0"),
        ([1.0, 2.0, 3.0], [0.1, 5.0, -1.0], "the mean of y is not clearly above 0"),
    ],
)
def test_what_has_no_ratio(x, y, message):
    """Without a true zero, or with a mean too near to it, there is no ratio with an interval."""
    for paired in (True, False):
        with pytest.raises(ValueError, match=message):
            ratio_of_means(x, y, paired=paired)
