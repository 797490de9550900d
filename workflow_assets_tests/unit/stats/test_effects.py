"""How large a difference is, and between which bounds."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import special

from workflow_assets.stats import effects
from workflow_assets.stats.effects import Effect, cliffs_delta, hedges_g, mean_difference
from workflow_assets.stats.means import corrected_resampled_t, paired_t, resampling_inflation, welch_t

X = [0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931]
Y = [0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916]
MEASURES = [mean_difference, hedges_g, cliffs_delta]

every_measure = pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
both_designs = pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])


@every_measure
@both_designs
def test_swapping_the_arms_mirrors_the_effect(measure, paired):
    """An effect and its interval change their sign, and nothing else, when x and y change places."""
    there, back = measure(X, Y, paired=paired), measure(Y, X, paired=paired)
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low))
    assert there.estimate > 0


@every_measure
@both_designs
def test_more_confidence_takes_more_room(measure, paired):
    """A higher confidence gives an interval that holds the lower one's."""
    narrow, wide = (measure(X, Y, paired=paired, confidence=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert wide.estimate == narrow.estimate
    assert (narrow.confidence, wide.confidence) == (0.8, 0.99)


@every_measure
@both_designs
def test_inflated_variance_takes_more_room(measure, paired):
    """Overlapping replicates leave the estimate where it is and widen its interval."""
    plain = measure(X, Y, paired=paired)
    inflated = measure(X, Y, paired=paired, variance_inflation=resampling_inflation(12, 0.3))
    assert inflated.low < plain.low < plain.high < inflated.high
    assert inflated.estimate == plain.estimate


@every_measure
@both_designs
def test_the_estimand_is_told_in_words(measure, paired):
    """An effect names itself and says what it estimates, and of what design."""
    effect = measure(X, Y, paired=paired)
    assert effect.name == measure.__name__
    assert "minus" in effect.estimand
    assert ("pair" in effect.estimand) is (paired and measure is not hedges_g)


@every_measure
@both_designs
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([0.0] * 10, [30.0] * 10, "both arms are constant"),
        ([1.0], [2.0], "x has 1 value"),
        ([1.0, 2.0], [2.0, float("nan")], r"y\[1\] is nan"),
    ],
)
def test_what_has_no_interval_raises(measure, paired, x, y, message):
    """Where nothing varies or values are missing there is no effect with an interval."""
    with pytest.raises(ValueError, match=message):
        measure(x, y, paired=paired)


@every_measure
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"confidence": 0.4}, "confidence is 0.4"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"confidence": math.nan}, "confidence is nan"),
        ({"variance_inflation": 0.5}, "variance_inflation is 0.5"),
        ({"variance_inflation": math.inf}, "variance_inflation is inf"),
    ],
)
def test_refused_options(measure, option, message):
    """A confidence that is no level, and an inflation that deflates, are refused."""
    with pytest.raises(ValueError, match=message):
        measure(X, Y, paired=True, **option)


def test_an_interval_holds_its_estimate():
    """An effect whose interval misses its estimate, or is NaN, cannot be built."""
    for low, high in ((2.5, 3.0), (1.0, 1.5), (math.nan, 3.0)):
        with pytest.raises(ValueError, match="must hold the estimate"):
            Effect("mean_difference", 2.0, low, high, 0.95, "the mean of x minus the mean of y")


# ------------------------------------------------------------------------------------------ a constant difference


def test_constant_difference_in_units():
    """A difference that is the same in every pair has an interval of no width; unpaired, the arms' spread counts."""
    x = [value + 30.0 for value in Y]
    paired = mean_difference(x, Y, paired=True)
    assert paired.low == paired.estimate == paired.high == pytest.approx(30.0)
    unpaired = mean_difference(x, Y, paired=False)
    assert unpaired.low < unpaired.estimate - 0.005
    assert unpaired.estimate == pytest.approx(30.0)


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


def test_constant_difference_in_shares():
    """Winning every pair is a delta of 1 with the width that n pairs allow."""
    few = cliffs_delta([value + 30.0 for value in Y[:5]], Y[:5], paired=True)
    many = cliffs_delta([value + 30.0 for value in Y], Y, paired=True)
    assert few.estimate == few.high == many.estimate == many.high == 1.0
    assert -0.5 < few.low < many.low < 0.95


# ---------------------------------------------------------------------------------------------- agreement with tests


@pytest.mark.parametrize("alpha", [0.05, 0.005, 0.2])
@pytest.mark.parametrize(
    ("test", "paired", "fraction"),
    [(paired_t, True, None), (welch_t, False, None), (corrected_resampled_t, True, 0.3)],
)
def test_interval_and_test_agree(test, paired, fraction, alpha):
    """A claim of more than the interval's low end, or less than its high end, has a p of exactly half its doubt."""
    options = {} if fraction is None else {"test_fraction": fraction}
    inflation = 1.0 if fraction is None else resampling_inflation(len(X), fraction)
    effect = mean_difference(X, Y, paired=paired, confidence=1 - 2 * alpha, variance_inflation=inflation)
    assert test(X, Y, alternative="greater", margin=effect.low, **options).p == pytest.approx(alpha)
    assert test(X, Y, alternative="less", margin=-effect.high, **options).p == pytest.approx(alpha)


@pytest.mark.parametrize("shift", [0.0, 0.003, 0.02])
def test_paired_g_and_paired_t_agree_about_zero(shift):
    """The interval of g has 0 as its end at exactly the confidence that the paired t-test's p leaves."""
    x = np.array(X) + shift
    effect = hedges_g(x, Y, paired=True, confidence=1 - paired_t(x, Y).p)
    assert effect.low == pytest.approx(0.0, abs=1e-6)


# ---------------------------------------------------------------------------------------------------------- Hedges' g


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
    ours = effects._noncentral_t(t, df, shift, least, most)
    assert ours == pytest.approx(special.nctdtr(df, shift, t), rel=1e-9)


def test_noncentral_t_far_out_is_chi_square():
    """Where scipy gives up, at shifts of a hundred thousand, the normal part no longer matters."""
    t, df = 1e5, 9.0
    least, most = (
        math.sqrt(inverse(df / 2, 1e-17) * 2 / df) for inverse in (special.gammaincinv, special.gammainccinv)
    )
    for share in (0.5, 0.9, 1.3):
        limit = special.gammaincc(df / 2, df / 2 * share**2)
        assert effects._noncentral_t(t, df, t * share, least, most) == pytest.approx(limit, rel=1e-8)


# ------------------------------------------------------------------------------------------------------ Cliff's delta


@pytest.mark.parametrize(("x", "y"), [([9.0, 8.0, 7.0], [1.0, 2.0, 3.0]), ([True] * 6, [True, False] * 3)])
@both_designs
def test_the_ends_of_the_scale_keep_their_width(x, y, paired):
    """However clear the order of the arms, a few values leave room for doubt, and never outside [-1, 1]."""
    for effect in (cliffs_delta(x, y, paired=paired), cliffs_delta(y, x, paired=paired)):
        assert -1 <= effect.low < effect.high <= 1
        assert effect.high - effect.low > 0.3


def test_separated_arms_have_a_wilson_interval():
    """Feng and Cliff's equation 8 is a Wilson interval with as many trials as the smaller arm has values."""
    effect = cliffs_delta([5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0, 4.5, 2.5], paired=False)
    wilson_low = 4 / (4 + special.ndtri(0.975) ** 2)
    assert (effect.low, effect.high) == pytest.approx((2 * wilson_low - 1, 1.0))


def test_identical_arms_leave_room_on_both_sides():
    """Pairs without any difference are a delta of 0 with an interval, not certainty."""
    effect = cliffs_delta(X, X, paired=True)
    bound = special.ndtri(0.975) ** 2 / (len(X) + special.ndtri(0.975) ** 2)
    assert (effect.estimate, effect.low, effect.high) == pytest.approx((0.0, -bound, bound))


def test_paired_ties_see_through_rounding():
    """Equal tenths are a tie in the pair, although 0.1 + 0.2 is not 0.3."""
    assert cliffs_delta([0.1 + 0.2, 0.7], [0.3, 0.5], paired=True).estimate == 0.5


@pytest.mark.parametrize(
    ("wins", "losses", "n", "confidence", "low", "high"),
    [
        # Fagerland, Lydersen and Laake (2014), Statistics in Medicine 33, airway hyper-responsiveness: 1, 1, 7, 12.
        (1, 7, 21, 0.95, -0.517, -0.026),
        # R, PropCIs::scoreci.mp(25, 28, 618, 0.90), whose estimand is (c - b) / n.
        (28, 25, 618, 0.90, -0.0148, 0.0247),
    ],
)
def test_paired_interval_is_tangos(wins, losses, n, confidence, low, high):
    """Published score intervals of paired proportions come out to the digits that were printed."""
    x = [1] * wins + [0] * losses + [1] * (n - wins - losses)
    y = [0] * wins + [1] * losses + [1] * (n - wins - losses)
    effect = cliffs_delta(x, y, paired=True, confidence=confidence)
    digits = len(str(low).split(".")[1])
    assert (round(effect.low, digits), round(effect.high, digits)) == (low, high)


@pytest.mark.parametrize(("n", "shift"), [((8, 12), 0.0), ((8, 12), 1.5), ((20, 20), 2.5)])
def test_unpaired_delta_covers_the_truth(n, shift):
    """In 1,000 drawn samples the 95 % interval holds the true value in 93 to 99.5 %."""
    rng = np.random.default_rng(13)
    truth = 2 * special.ndtr(shift / math.sqrt(2)) - 1
    drawn = [
        cliffs_delta(rng.normal(shift, 1, n[0]), rng.normal(0, 1, n[1]), paired=False) for _ in range(1_000)
    ]
    assert 0.93 < np.mean([effect.low <= truth <= effect.high for effect in drawn]) < 0.995


def test_long_arms_need_no_table_of_pairs():
    """Two arms of 20,000 values are compared in the memory of a few sorted copies: the table would have 400 MB."""
    rng = np.random.default_rng(17)
    x, y = rng.normal(0.5, 1.0, 20_000), rng.normal(size=20_000)
    tracemalloc.start()
    try:
        effect = cliffs_delta(x, y, paired=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
    assert effect.low < 2 * special.ndtr(0.5 / math.sqrt(2)) - 1 < effect.high


def test_values_next_to_nothing_are_more_than_nothing_beside_large_ones():
    assert cliffs_delta([0.0, 1.1e-308], [0.0, 1e150], paired=False).estimate == -0.25
