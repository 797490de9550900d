"""Differences of shares and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_assets.stats.proportions import share_difference, share_excess
from workflow_assets.stats.shares import score_difference

arms_of_shares = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])), min_size=2, max_size=25
)


@given(pairs=arms_of_shares, paired=st.booleans(), confidence=st.sampled_from([0.5, 0.9, 0.999]))
def test_intervals_lie_within_what_is_possible(pairs, paired, confidence):
    """Every interval holds its estimate, stays within [-1, 1], has a width, and is mirrored by swapping the arms."""
    x, y = np.array(pairs).T
    effect = share_difference(x, y, paired=paired, confidence=confidence)
    assert -1 <= effect.low <= effect.estimate <= effect.high <= 1
    assert effect.low < effect.high
    mirrored = share_difference(y, x, paired=paired, confidence=confidence)
    assert (mirrored.low, mirrored.high) == pytest.approx((-effect.high, -effect.low), abs=1e-12)


@given(pairs=arms_of_shares, paired=st.booleans(), margin=st.sampled_from([-0.5, -0.13, 0.02, 0.27, 0.6]))
def test_the_interval_is_what_the_test_does_not_reject(pairs, paired, margin):
    """At a level of 2.5 % on either side, the score test supports what lies outside the interval."""
    x, y = np.array(pairs).T
    effect = share_difference(x, y, paired=paired)
    above = score_difference(x, y, paired=paired, alternative="greater", margin=margin).p
    assert (above < 0.025) is (effect.low > margin)


def test_an_excess_is_of_one_arm():
    """What an exact interval of one share cannot take into account is refused."""
    with pytest.raises(ValueError, match="one arm beside a fixed share: say paired=False"):
        share_excess([0, 1], [0.5, 0.5], paired=True)
    with pytest.raises(ValueError, match="variance_inflation is 2, but an exact interval"):
        share_excess([0, 1], [0.5, 0.5], variance_inflation=2)


def test_an_excess_at_the_edge_keeps_its_width():
    """All ones leave room below, and none above."""
    effect = share_excess([1] * 10, [0.25] * 10)
    assert (effect.estimate, effect.high) == (0.75, 0.75)
    assert effect.low == pytest.approx(0.025 ** (1 / 10) - 0.25)


def test_overlap_widens_the_interval():
    """A larger variance of the difference makes the interval wider."""
    x, y = [1, 1, 0, 1, 1, 1], [0, 1, 0, 0, 1, 1]
    plain, wide = (share_difference(x, y, paired=True, variance_inflation=v) for v in (1.0, 4.0))
    assert wide.low < plain.low <= plain.high < wide.high
