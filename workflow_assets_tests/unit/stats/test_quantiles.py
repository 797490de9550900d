"""Quantiles: the test that is passed, and the interval that belongs to it."""

import pickle

import numpy as np
import pytest

from workflow_assets.stats.comparisons import compare
from workflow_assets.stats.quantiles import Quantile, quantile_difference


def arms(n=60, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    level = rng.normal(size=n)
    return level + rng.normal(size=n) + shift, level + rng.normal(size=n)


@pytest.mark.parametrize("paired", [True, False])
def test_a_quantile_is_passed_as_a_test(paired):
    """It is asked as one of the user's own tests is, margin and all, and finds a shift of the whole."""
    x, y = arms(shift=3.0)
    answers = [
        compare(
            Quantile(0.9),
            x,
            y,
            paired=paired,
            alternative="greater",
            margin=margin,
            rng=np.random.default_rng(1),
        )
        for margin in (0.0, 3.0)
    ]
    assert (answers[0].test, answers[0].paired, answers[0].p) == ("quantile_0.9", paired, 1 / 2_000)
    assert answers[1].p > 0.05
    assert answers[0].note == "Monte Carlo: 1,999 resamples drawn"


@pytest.mark.parametrize("paired", [True, False])
def test_test_and_interval_agree(paired):
    """With the same draws, the interval leaves out zero where the test rejects."""
    for seed in range(20):
        x, y = arms(30, shift=0.8, seed=seed)
        p = Quantile(0.5)(x, y, paired=paired, rng=np.random.default_rng(seed)).p
        effect = quantile_difference(x, y, share=0.5, paired=paired, rng=np.random.default_rng(seed))
        assert (p <= 0.05) is (not effect.low <= 0 <= effect.high)


def test_few_values_beyond_are_told():
    """Where hardly any value lies beyond the quantile, p is said to be optimistic."""
    x, y = arms(40)
    assert "p is optimistic" in Quantile(0.9)(x, y, paired=True, rng=np.random.default_rng(0)).note
    assert "p is optimistic" not in Quantile(0.8)(x, y, paired=True, rng=np.random.default_rng(0)).note


def test_units_change_nothing():
    """Measuring in other units gives the same p, and an interval in those units."""
    x, y = arms()
    for unit in (1e-200, 1e200):
        one, other = (
            Quantile(0.75)(x * u, y * u, paired=True, margin=0.1 * u, rng=np.random.default_rng(0)).p
            for u in (1.0, unit)
        )
        assert one == other
        effect = quantile_difference(
            x * unit, y * unit, share=0.75, paired=True, rng=np.random.default_rng(0)
        )
        plain = quantile_difference(x, y, share=0.75, paired=True, rng=np.random.default_rng(0))
        assert effect.high / unit == pytest.approx(plain.high)


def test_a_constant_difference_is_found():
    """Pairs that all differ by the same have an interval of no width, and the least p there is."""
    _, y = arms()
    test = Quantile(0.5)(y + 1, y, paired=True, alternative="greater", rng=np.random.default_rng(0))
    at_the_margin = Quantile(0.5)(
        y + 1, y, paired=True, alternative="greater", margin=1, rng=np.random.default_rng(0)
    )
    assert (test.p, at_the_margin.p) == (1 / 2_000, 1.0)


def test_drawing_needs_a_generator():
    """Without a generator nothing is drawn."""
    with pytest.raises(ValueError, match="pass rng="):
        Quantile(0.5)(*arms(), paired=True)
    with pytest.raises(ValueError, match="resamples is 0"):
        Quantile(0.5)(*arms(), paired=True, rng=np.random.default_rng(0), resamples=0)
    with pytest.raises(ValueError, match="variance_inflation is 2, but a bootstrap"):
        quantile_difference(*arms(), share=0.5, paired=True, variance_inflation=2)


def test_a_quantile_is_a_value():
    """It can be compared, pickled and named."""
    assert pickle.loads(pickle.dumps(Quantile(0.25))) == Quantile(0.25)
    assert Quantile(0.25).__name__ == "quantile_0.25"
