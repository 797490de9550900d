"""Tests of shares: what they take, and where they agree with each other."""

import numpy as np
import pytest

from workflow_assets.stats.permutations import permutation, sign_flip
from workflow_assets.stats.shares import binomial, fisher_exact, mcnemar, score_difference

X = [1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1]
Y = [0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("test", [mcnemar, fisher_exact, score_difference, binomial])
def test_only_zeros_and_ones_are_shares(test):
    """A value that is neither 0 nor 1 is named, with the arm it is in."""
    options = {"paired": False} if test is score_difference else {}
    with pytest.raises(
        ValueError, match=rf"x\[1\] is 0.5, but {test.__name__} is for values that are 0 or 1"
    ):
        test([0, 0.5], [0.5, 0.5] if test is binomial else [0, 1], **options)


def test_booleans_are_shares():
    """True and False are 1 and 0."""
    assert mcnemar(np.array(X, dtype=bool), np.array(Y, dtype=bool)) == mcnemar(X, Y)


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_exact_tests_are_permutation_tests(alternative):
    """For 0/1 values sign-flip is McNemar's exact test, and permutation is Fisher's."""
    assert sign_flip(X, Y, alternative=alternative).p == mcnemar(X, Y, alternative=alternative).p
    one = permutation(X, Y[:9], alternative=alternative)
    assert one.p == pytest.approx(fisher_exact(X, Y[:9], alternative=alternative).p, rel=1e-12)
    assert one.exact


def test_constant_arms_are_judged():
    """Ten ones beside ten zeros say something, as chance here is that of a coin."""
    ones, zeros = [1] * 10, [0] * 10
    assert mcnemar(ones, zeros, alternative="greater").p == 0.5**10
    assert fisher_exact(ones, zeros, alternative="greater").p == pytest.approx(1 / 184_756)
    assert binomial(ones, [0.5], alternative="greater").p == 0.5**10
    for paired in (True, False):
        assert score_difference(ones, zeros, paired=paired, alternative="greater").p < 1e-3


@pytest.mark.parametrize("paired", [True, False])
def test_arms_without_any_difference_show_none(paired):
    """Equal constant arms give a p of 1, and are not equivalent before there are enough of them."""
    same = score_difference([1] * 10, [1] * 10, paired=paired)
    assert (same.p, same.statistic) == (1.0, 0.0)
    assert same.note == ("no pair disagrees" if paired else "all values are equal")
    few, many = (
        score_difference([1] * n, [1] * n, paired=paired, alternative="equivalent", margin=0.1).p
        for n in (10, 60)
    )
    assert many < 0.05 < few


def test_a_margin_of_shares_is_below_one():
    """A margin in percent is refused."""
    with pytest.raises(ValueError, match="margin is 5, but shares differ by less than 1: give"):
        score_difference(X, Y, paired=True, alternative="greater", margin=5)


def test_a_fixed_share_is_one_number():
    """The arm that holds the share must hold nothing else."""
    for y in ([0.5, 0.6], [0, 1], [1.0, 1.0], []):
        with pytest.raises(ValueError, match="y must hold one and the same share between 0 and 1"):
            binomial(X, y)
    with pytest.raises(ValueError, match=r"the claim compares with a share of 1\.1: choose a margin"):
        binomial(X, [0.9], alternative="greater", margin=0.2)
