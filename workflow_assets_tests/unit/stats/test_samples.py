"""What counts as an arm, as a zero and as a constant."""

import numpy as np
import pandas as pd
import pytest

from workflow_assets.stats.samples import (
    as_sample,
    is_constant,
    merge_ties,
    missing_evidence,
    two_samples,
)


@pytest.mark.parametrize(
    "values",
    [
        [True, False, True],
        [1, 0, 1],
        np.array([1, 0, 1], dtype=np.uint8),
        np.array([1.0, 0.0, 1.0], dtype=np.float32),
        pd.Series([1.0, 0.0, 1.0], index=[7, 8, 9]),
        pd.Series([1, 0, 1], dtype="Int64"),
    ],
)
def test_kinds_of_numbers(values):
    """Bools, integers, floats and Series all become 1-D float64."""
    sample = as_sample(values, "x")
    assert sample.dtype == np.float64
    assert sample.tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, float("nan")], r"x\[1\] is nan, and every value must be a finite number"),
        ([float("inf"), 0.5], r"x\[0\] is inf, and every value must be a finite number"),
        ([0.5, -2e300], r"x\[1\] is -2e\+300, and every value must be a number of at most 1e300"),
        ([0.5, None], r"x\[1\] is None"),
        (["0.5", "0.7"], r"x\[0\] is .*'0\.5'"),
        ([1 + 2j], r"x\[0\] is"),
        (pd.Series([1, None], dtype="Int64"), r"x\[1\] is nan"),
        ([[1.0, 2.0]], "x has 2 dimensions"),
        (1.0, "x has 0 dimensions"),
    ],
)
def test_refused_values(values, message):
    """What is not a finite number in one dimension is refused, by array and position."""
    with pytest.raises(ValueError, match=message):
        as_sample(values, "x")


def test_input_is_left_alone():
    """Scaling and merging never write into the user's arrays."""
    x, y = np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 0.5])
    two_samples(x, y, paired=True, margin=0.25).beyond_margin(-1)
    assert x.tolist() == [3.0, 1.0, 2.0]
    assert y.tolist() == [1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("values", "scale", "constant"),
    [
        ([], None, True),
        ([4.2], None, True),
        ([0.0, 0.0], None, True),
        ([0.1 + 0.2, 0.3, 0.3], None, True),
        ([1.0, 1.0 + 1e-12], None, False),
        ([0.0, 5e-324], None, False),
        ([0.0, 1e-300], None, False),
        ([1e299, 1e299 * (1 + 1e-12)], None, False),
        ([0.0, 1e-17], 0.3, True),
        ([0.0, 1e-17], [0.3, 1e-3], True),
        ([0.0, 0.5, 0.5], [1e17, 1.0, 1.0], True),
        ([0.5, 0.5, 0.0], [1.0, 1.0, 1.0], False),
    ],
)
def test_constant(values, scale, constant):
    """Values are constant when their spread is no more than a few units in the last place allow."""
    assert is_constant(values, scale=scale) is constant


def test_constant_difference_of_a_sum():
    """A shift before a sum is a constant difference, whatever rounding does to each sum."""
    rng = np.random.default_rng(42)
    parts = rng.random((10, 3))
    x = [sum(float(value) + 10.0 for value in row) for row in parts]
    y = [sum(float(value) for value in row) for row in parts]
    assert len(set(np.subtract(x, y))) > 1, "rounding shows, or this test shows nothing"
    assert two_samples(x, y, paired=True).constant_difference()
    assert not two_samples(x, y, paired=True).both_constant()


def test_constant_is_judged_pair_by_pair():
    """One huge pair does not drown the differences of the others in its own rounding."""
    assert not two_samples([1e17, 2.0, 3.5], [1e17, 1.0, 1.0], paired=True).constant_difference()


def test_rounding_is_no_difference():
    """A difference that is only rounding is exactly zero, with and without a margin."""
    x, y = [0.1 + 0.2, 1.5, 0.1], [0.3, 1.0, 0.2]
    assert two_samples(x, y, paired=True).differences()[0] == 0.0
    beyond = two_samples(x, y, paired=True, margin=0.1).beyond_margin(-1)
    assert beyond[2] == 0.0
    assert beyond[1] < 0.0


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_units_do_not_matter(unit):
    """Squares of tiny or huge values neither vanish nor overflow: results only change their unit."""
    arms = two_samples([3 * unit, 1 * unit, 5 * unit], [1 * unit, 2 * unit, 2 * unit], paired=True)
    difference, error, df = arms.mean_difference(paired=True)
    assert arms.restore(difference) == pytest.approx(4 / 3 * unit)
    assert arms.restore(error) == pytest.approx(1.2018504251546631 * unit)
    assert df == 2


def test_paired_arms_have_partners():
    """Paired arms of differing lengths are refused, and both lengths are told."""
    with pytest.raises(ValueError, match="x has 3 values and y has 2, but paired arms need one partner"):
        two_samples([1.0, 2.0, 3.0], [1.0, 2.0], paired=True)


def test_merged_ties_keep_their_places():
    """Values equal up to rounding become one value, in place; all others stay as they are."""
    values = np.array([0.5, 0.1 + 0.2, -1.0, 0.3, 0.30000001])
    assert merge_ties(values, np.ones(5)).tolist() == [0.5, 0.3, -1.0, 0.3, 0.30000001]


@pytest.mark.parametrize(
    ("x", "y", "paired", "reason"),
    [
        ([], [1.0, 2.0], False, "x has 0 values: at least 2 are needed to judge chance"),
        ([1.0, 2.0], [1.0], False, "y has 1 value: at least 2 are needed to judge chance"),
        ([1.0], [2.0], True, "x has 1 value: at least 2 are needed to judge chance"),
        ([0.0] * 10, [30.0] * 10, True, "both arms are constant: nothing varies, so chance cannot be judged"),
        (
            [0.3, 0.1 + 0.2],
            [1, 1],
            False,
            "both arms are constant: nothing varies, so chance cannot be judged",
        ),
        ([1.0, 2.0], [3.0, 3.0], False, None),
        ([1.0, 2.0], [31.0, 32.0], True, None),
    ],
)
def test_missing_evidence(x, y, paired, reason):
    """Too few values, or two constant arms, decide nothing; one varying arm is enough to go on."""
    assert missing_evidence(two_samples(x, y, paired=paired)) == reason
