"""Differences in standard deviations."""

import math

import numpy as np
import pytest
from scipy import special

from workflow_assets.stats import standardised
from workflow_assets.stats.means import paired_t
from workflow_assets.stats.standardised import cohens_d, cohens_dz, hedges_g

X = [0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931]
Y = [0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916]

both_designs = pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])


def test_constant_difference_in_standard_deviations():
    """Only the doubt about the standard deviation is left: d times the root of chi-square over its freedom."""
    d = 30.0 / np.std(Y, ddof=1)
    x = [value + 30.0 for value in Y]
    effect = hedges_g(x, Y, paired=True)
    shares = [special.gammaincinv(11 / 2, share) * 2 / 11 for share in (0.025, 0.975)]
    assert effect.low == pytest.approx(d * math.sqrt(shares[0]))
    assert effect.high == pytest.approx(d * math.sqrt(shares[1]))


def test_nearly_constant_difference_is_near_the_constant_one():
    """The interval has no jump where the spread of the differences vanishes."""
    noise = 1e-9 * np.sin(np.arange(12))
    y = np.array(Y)
    exact, near = hedges_g(y + 30, y, paired=True), hedges_g(y + 30 + noise, y, paired=True)
    assert (near.estimate, near.low, near.high) == pytest.approx(
        (exact.estimate, exact.low, exact.high), rel=1e-4
    )


@pytest.mark.parametrize("shift", [0.0, 0.003, 0.02])
def test_paired_g_and_paired_t_agree_about_zero(shift):
    """The interval of g has 0 as its end at exactly the confidence that the paired t-test's p leaves."""
    x = np.array(X) + shift
    effect = hedges_g(x, Y, paired=True, confidence=1 - paired_t(x, Y).p)
    assert effect.low == pytest.approx(0.0, abs=1e-6)


def test_pairing_changes_the_doubt_and_not_the_quantity():
    """Paired and unpaired g divide by the same standard deviation; pairs that agree give the narrower interval."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=40)
    x = y + 0.5 + 0.2 * rng.normal(size=40)
    paired, unpaired = (hedges_g(x, y, paired=design) for design in (True, False))
    assert paired.estimate == pytest.approx(unpaired.estimate, rel=0.02)
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)
    assert paired.estimate < 1 < (x - y).mean() / (x - y).std(), "d_z would have been far larger"


def test_two_pairs_have_no_g():
    """Hedges' correction of two pairs is 0, so there is no estimate to give."""
    with pytest.raises(ValueError, match="at least 3 pairs"):
        hedges_g([1.0, 2.0], [0.5, 1.7], paired=True)


@both_designs
def test_no_spread_has_no_unit(paired):
    """A pooled standard deviation of 0 cannot be a unit."""
    with pytest.raises(ValueError, match="pooled standard deviation is 0"):
        hedges_g([1.0, 1.0, 1.0], [1e-200, 2e-200, 1e-200], paired=paired)


def test_g_of_an_arm_that_drowns_in_rounding():
    """An arm that varies less than the other's rounding still gives an interval that holds its estimate."""
    effect = hedges_g([1e-17, 2e-17, 5e-17], [30.0, 30.0, 30.0], paired=True, confidence=0.5)
    assert effect.low < effect.estimate < effect.high < 0


@pytest.mark.parametrize(
    ("n", "correlation", "ratio", "truth"), [(5, 0.9, 1.0, 0.5), (10, 0.0, 2.0, 1.0), (20, 0.99, 2.0, 2.0)]
)
def test_paired_g_covers_the_truth(n, correlation, ratio, truth):
    """In 400 drawn samples the 95 % interval holds the true value in about 95 %, and the estimate is on target."""
    rng = np.random.default_rng(11)
    trials, unit = 400, math.sqrt((1 + ratio**2) / 2)
    drawn = []
    for _ in range(trials):
        first, second = rng.normal(size=(2, n))
        y = ratio * (correlation * first + math.sqrt(1 - correlation**2) * second)
        drawn.append(hedges_g(first + truth * unit, y, paired=True))
    assert np.mean([effect.low <= truth <= effect.high for effect in drawn]) == pytest.approx(0.95, abs=0.04)
    estimates = [effect.estimate for effect in drawn]
    assert np.mean(estimates) == pytest.approx(truth, abs=3.5 * float(np.std(estimates)) / math.sqrt(trials))


@pytest.mark.parametrize(
    ("t", "df", "shift"),
    [(2.0, 8.0, 1.0), (0.5, 2.0, -1.5), (30.0, 18.0, 39.0), (3.0, 1e5, 4.9), (0.0, 4.0, 1.2)],
)
def test_noncentral_t_is_that_of_scipy(t, df, shift):
    """Where scipy has a noncentral t distribution, ours is the same to nine digits."""
    ends = [special.gammaincinv(df / 2, 1e-17), special.gammainccinv(df / 2, 1e-17)]
    least, most = (math.sqrt(end * 2 / df) for end in ends)
    ours = standardised._noncentral_t(t, df, shift, least, most)
    assert ours == pytest.approx(special.nctdtr(df, shift, t), rel=1e-9)


def test_noncentral_t_far_out_is_chi_square():
    """Where scipy gives up, at shifts of a hundred thousand, the normal part no longer matters."""
    t, df = 1e5, 9.0
    least, most = (
        math.sqrt(inverse(df / 2, 1e-17) * 2 / df) for inverse in (special.gammaincinv, special.gammainccinv)
    )
    for share in (0.5, 0.9, 1.3):
        limit = special.gammaincc(df / 2, df / 2 * share**2)
        assert standardised._noncentral_t(t, df, t * share, least, most) == pytest.approx(limit, rel=1e-8)


# ---------------------------------------------------------------------------------------------------- Cohen's d and d_z


@both_designs
def test_d_is_g_without_correction(paired):
    """Cohen's d has the interval of Hedges' g, and an estimate that is a little larger."""
    d, g = cohens_d(X, Y, paired=paired), hedges_g(X, Y, paired=paired)
    assert (d.low, d.high) == (g.low, g.high)
    assert 1.01 < d.estimate / g.estimate < 1.1


def test_two_pairs_have_a_d():
    """Where two pairs have no g, they have a d and a d_z, with very wide intervals."""
    for effect in (cohens_d, cohens_dz):
        answer = effect([1.0, 2.0], [0.5, 1.7], paired=True)
        assert answer.low < 0 < answer.estimate < answer.high


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_dz_and_paired_t_agree_about_zero(confidence):
    """The interval of d_z leaves out 0 exactly where the paired t-test rejects."""
    p = paired_t(X, Y).p
    assert cohens_dz(X, Y, confidence=1 - p).low == pytest.approx(0.0, abs=1e-6)
    assert (cohens_dz(X, Y, confidence=confidence).low > 0) is (p < 1 - confidence)


def test_dz_is_about_pairs():
    """Without pairs, or without a spread of their differences, there is no d_z, and the reason is said."""
    with pytest.raises(ValueError, match="ask for cohens_d of unpaired arms"):
        cohens_dz(X, Y, paired=False)
    with pytest.raises(ValueError, match="the difference is the same in every pair"):
        cohens_dz([value + 30.0 for value in Y], Y)
