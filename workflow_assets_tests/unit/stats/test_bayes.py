"""What is believable about a mean difference."""

import math

import numpy as np
import pytest

from workflow_assets.stats.bayes import (
    bayes_correlated_t,
    bayes_unpaired_t,
    correlated_posterior,
    unpaired_posterior,
)
from workflow_assets.stats.effects import mean_difference
from workflow_assets.stats.means import corrected_resampled_t, paired_t, resampling_inflation, welch_t

X = [0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931]
Y = [0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916]
either_test = pytest.mark.parametrize("test", [bayes_correlated_t, bayes_unpaired_t])


def posteriors(unit=1.0):
    """Give one posterior of each kind."""
    x, y = np.array(X) * unit, np.array(Y) * unit
    return correlated_posterior(x, y), correlated_posterior(x, y, test_fraction=0.3), unpaired_posterior(x, y)


@pytest.mark.parametrize("margin", [0.0, 0.004, -0.01])
@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_a_one_sided_posterior_is_the_one_sided_p(alternative, margin):
    """Under the flat prior, the probability that a claim is false is the p of the t-test made for the design."""
    claim = {"alternative": alternative, "margin": margin}
    plain, corrected = bayes_correlated_t(X, Y, **claim), bayes_correlated_t(X, Y, test_fraction=0.3, **claim)
    assert plain.p == pytest.approx(paired_t(X, Y, **claim).p, rel=1e-12)
    assert corrected.p == pytest.approx(corrected_resampled_t(X, Y, test_fraction=0.3, **claim).p, rel=1e-12)
    assert "no error rate" in plain.note
    assert "correlated by 0.3" in corrected.note


@either_test
@pytest.mark.parametrize("margin", [0.002, 0.02, 0.2])
def test_equivalence_is_the_belief_outside_the_region(test, margin):
    """The p of equivalence adds what is believed on either side of the region, which two one-sided tests do not."""
    result = test(X, Y, alternative="equivalent", margin=margin)
    posterior = correlated_posterior(X, Y) if test is bayes_correlated_t else unpaired_posterior(X, Y)
    beliefs = posterior.beliefs(margin)
    assert result.p == pytest.approx(beliefs.left + beliefs.right, rel=1e-12)
    ordinary = paired_t if test is bayes_correlated_t else welch_t
    assert result.p >= ordinary(X, Y, alternative="equivalent", margin=margin).p


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_beliefs_add_to_one_in_any_unit(unit):
    """What is believed left of, in and right of the region is everything, and units do not matter."""
    for posterior, plain in zip(posteriors(unit), posteriors(), strict=True):
        for rope in (0.0, 0.01, 0.5):
            beliefs = posterior.beliefs(rope * unit)
            assert sum(beliefs) == pytest.approx(1.0, rel=1e-12)
            assert beliefs == pytest.approx(plain.beliefs(rope), rel=1e-9)
        assert posterior.below(0.01 * unit) + posterior.above(0.01 * unit) == pytest.approx(1.0, rel=1e-12)


def test_an_interval_holds_its_share_of_belief():
    """Between the bounds of an interval lies what it says, as much on either side of its middle."""
    for posterior in posteriors():
        for confidence in (0.5, 0.95, 0.999):
            low, high = posterior.interval(confidence)
            assert posterior.below(low) == pytest.approx((1 - confidence) / 2, rel=1e-9)
            assert posterior.above(high) == pytest.approx((1 - confidence) / 2, rel=1e-9)


def test_the_interval_of_pairs_is_that_of_the_mean_difference():
    """The credible interval equals the confidence interval shown beside the verdict."""
    effect = mean_difference(X, Y, paired=True, variance_inflation=resampling_inflation(12, 0.3))
    low, high = correlated_posterior(X, Y, test_fraction=0.3).interval()
    assert (low, high) == pytest.approx((effect.low, effect.high), rel=1e-12)


@pytest.mark.parametrize("distance", [1.0, 1e3, 1e6, 1e9])
def test_two_and_two_values_are_cauchy(distance):
    """Two Cauchy posteriors add to a Cauchy posterior, whose heavy tails are exact however far out."""
    x, y = [distance - 1.0, distance + 1.0], [-3.0, 3.0]
    expected = math.atan2(4.0, distance) / math.pi
    assert bayes_unpaired_t(x, y, alternative="greater").p == pytest.approx(expected, rel=1e-9)


def test_one_constant_arm_is_certain():
    """An arm without any spread leaves the posterior of the other."""
    alone = bayes_correlated_t([1.0, 2.0, 4.0], [1.5, 1.5, 1.5], alternative="greater")
    beside = bayes_unpaired_t([1.0, 2.0, 4.0], [1.5] * 5, alternative="greater")
    assert beside.p == pytest.approx(alone.p, rel=1e-9)


def test_a_constant_difference_is_one_point():
    """All belief in one point is told as that, and is no evidence that a test would count."""
    posterior = correlated_posterior([y + 0.5 for y in Y], Y)
    assert posterior.interval() == pytest.approx((0.5, 0.5))
    assert posterior.beliefs(0.1) == (0.0, 0.0, 1.0)
    assert posterior.beliefs(0.6) == (0.0, 1.0, 0.0)
    assert (posterior.below(0.4), posterior.above(0.4)) == (0.0, 1.0)
    with pytest.raises(ValueError, match="the difference is the same in every pair"):
        bayes_correlated_t([y + 0.5 for y in Y], Y)


def test_a_narrow_region_is_not_left_by_chance():
    """Without any difference, arms are seldom believed to differ by more than a hair in either direction."""
    rng = np.random.default_rng(5)
    found = [bayes_correlated_t(*rng.normal(size=(2, 10)), margin=1e-6).p <= 0.05 for _ in range(400)]
    assert np.mean(found) < 0.1


def test_nonsense_is_refused():
    """A negative region, a confidence of 1, a share that is none."""
    posterior = correlated_posterior(X, Y)
    for rope in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="rope is"):
            posterior.beliefs(rope)
    with pytest.raises(ValueError, match="confidence is 1"):
        posterior.interval(1)
    with pytest.raises(ValueError, match="test_fraction is 1"):
        correlated_posterior(X, Y, test_fraction=1)
