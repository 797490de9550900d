"""Tests and effects of spreads."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workflow_assets.stats.samples import is_constant
from workflow_assets.stats.spreads import brown_forsythe, log_spread_ratio, pitman_morgan, spread_ratio

X = [5.1, 3.9, 7.2, 4.7, 6.6, 5.9]
Y = [5.0, 4.6, 5.4, 5.1, 5.5, 4.9]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0, 2.0], [3.0, 1.0], "needs at least 3 pairs"),
        ([1.0, 2.0, 4.0], [3.0, 3.0, 3.0], "one arm is constant"),
        ([1.1, 1.2, 1.4], [0.1, 0.2, 0.4], "the difference is the same in every pair"),
        ([0.1, 0.2, 0.4], [0.3, 0.6, 1.2], "on one straight line"),
    ],
)
def test_correlation_has_nothing_to_go_by(x, y, message):
    """Where x + y and x - y have no correlation to judge, the reason is told."""
    with pytest.raises(ValueError, match=message):
        pitman_morgan(x, y)


def test_deviations_that_do_not_vary():
    """Two values lie equally far from their median, so that two of each show no spread of deviations."""
    with pytest.raises(ValueError, match="neither arm varies in how far"):
        brown_forsythe([0.1, 0.3], [0.7, 0.2], paired=False)
    with pytest.raises(ValueError, match="the difference is the same in every pair"):
        brown_forsythe([y + 0.7 for y in Y], Y, paired=True)


def test_one_constant_arm_spreads_less():
    """An arm that does not vary at all can be told from one that does."""
    assert brown_forsythe(X, [5.0] * 6, paired=False, alternative="greater").p < 0.01


@given(
    arms=st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=20),
    paired=st.booleans(),
    factor=st.sampled_from([1e-200, 0.5, 3.0, 1e200]),
)
def test_ratio_is_one_of_scales(arms, paired, factor):
    """Scaling x by a factor adds its logarithm; swapping the arms changes the sign; adding to an arm does nothing."""
    # Where both arms are alike the variance is a difference of equal numbers, whose root keeps half of the digits.
    x, y = (np.array(arm, dtype=float) for arm in np.array(arms).T)
    assume(not is_constant(x) and not is_constant(y))
    one = log_spread_ratio(x, y, paired=paired)
    assert one.low <= one.estimate <= one.high
    larger = log_spread_ratio(x * factor, y, paired=paired)
    swapped = log_spread_ratio(y, x + 1000, paired=paired)
    for name, mirrored in (("estimate", "estimate"), ("low", "high"), ("high", "low")):
        assert getattr(larger, name) == pytest.approx(getattr(one, name) + math.log(factor), abs=1e-6)
        assert getattr(swapped, name) == pytest.approx(-getattr(one, mirrored), abs=1e-6)


def test_ratio_without_its_logarithm():
    """The ratio and its logarithm say the same; what is no number is refused."""
    log, ratio = log_spread_ratio(X, Y, paired=True), spread_ratio(X, Y, paired=True)
    assert math.log(ratio.low) == pytest.approx(log.low)
    with pytest.raises(ValueError, match="too large for a number: use log_spread_ratio"):
        spread_ratio(np.array(X) * 1e200, np.array(Y) * 1e-200, paired=False)
    with pytest.raises(ValueError, match="y is constant: nothing is a multiple of no spread"):
        spread_ratio(X, [1.0] * 6, paired=False)
