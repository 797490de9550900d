"""How often x is larger than y."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy import special

from workflow_assets.stats.dominances import cliffs_delta, superiority

X = [0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931]
Y = [0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916]

both_designs = pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])


def test_constant_difference_in_shares():
    """Winning every pair is a delta of 1 with the width that n pairs allow."""
    few = cliffs_delta([value + 30.0 for value in Y[:5]], Y[:5], paired=True)
    many = cliffs_delta([value + 30.0 for value in Y], Y, paired=True)
    assert few.estimate == few.high == many.estimate == many.high == 1.0
    assert -0.5 < few.low < many.low < 0.95


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


@both_designs
def test_superiority_is_delta_on_another_scale(paired):
    """The probability of superiority is half of 1 + delta, and so are its bounds."""
    delta, share = cliffs_delta(X, Y, paired=paired), superiority(X, Y, paired=paired)
    for part in ("estimate", "low", "high"):
        assert getattr(share, part) == (1 + getattr(delta, part)) / 2
    assert superiority(X, X, paired=paired).estimate == 0.5
