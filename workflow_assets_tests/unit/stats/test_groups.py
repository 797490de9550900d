"""Several arms are checked once, and every fault is told by the name of its treatment."""

import math

import numpy as np
import pytest

from workflow_assets.stats.groups import several_samples


@pytest.mark.parametrize(
    ("groups", "paired", "told"),
    [
        ({}, False, "0 treatments given: compare at least 2"),
        ({"only": [1.0, 2.0]}, False, "1 treatment given: compare at least 2"),
        ({"wide": [1.0, 2.0], "deep": [1.0, math.nan]}, False, r"deep\[1\] is nan"),
        ({"wide": [1.0, math.inf], "deep": [1.0, 2.0]}, True, r"wide\[1\] is inf"),
        ({"wide": [1.0, 2.0], "deep": ["a", "b"]}, False, r"deep\[0\] is 'a'"),
        ({"wide": [[1.0]], "deep": [1.0]}, False, "wide has 2 dimensions"),
        ({"wide": [1.0, 2.0], "deep": [1.0]}, True, "wide has 2 values and deep has 1, but paired"),
        ({"wide": [1.0], "deep": [2.0]}, True, "wide has 1 value: at least 2 are needed to judge chance"),
        ({"wide": [1.0], "deep": []}, False, "deep has 0 values: at least 1 are needed"),
    ],
)
def test_faults_name_the_treatment(groups, paired, told):
    """What is in the way is told with the treatment it belongs to."""
    with pytest.raises(ValueError, match=told):
        several_samples(groups, paired=paired)


def test_an_unknown_treatment_is_told_with_near_matches():
    """A misspelt control is refused by name."""
    several = several_samples({"baseline": [1.0, 2.0], "deep": [2.0, 3.0]}, paired=False)
    with pytest.raises(ValueError, match="no treatment called 'basline': did you mean 'baseline'"):
        several.index("basline")


def test_rows_of_a_table_are_named_by_their_number():
    """A table needs no names."""
    assert several_samples(np.eye(3), paired=True).names == ("0", "1", "2")


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_variances_neither_overflow_nor_vanish(size):
    """What is computed in the arms' own unit does not depend on that of the metric."""
    arms = {"a": [1.0 * size, 3.0 * size], "b": [2.0 * size, 6.0 * size]}
    several = several_samples(arms, paired=False)
    error, df = several.pooled_error()
    assert several.restore(math.sqrt(error)) == pytest.approx(math.sqrt(5) * size, rel=1e-12)
    assert df == 2
    paired, df = several_samples(arms, paired=True).block_error()
    assert several.restore(math.sqrt(paired)) == pytest.approx(size, rel=1e-12)
    assert df == 1


def test_rounding_is_no_variance():
    """Values that differ by rounding only are constant, and so are differences."""
    several = several_samples({"a": [0.3, 0.1 + 0.2], "b": [30.3, 30.1 + 0.2]}, paired=True)
    assert several.variances().tolist() == [0.0, 0.0]
    assert several.block_error()[0] == 0
    with pytest.raises(ValueError, match="each treatment has 1 value"):
        several_samples({"a": [1.0], "b": [2.0]}, paired=False).pooled_error()


def test_what_has_no_bound_stays_so():
    """Numbers beyond the largest one are infinite, with their sign."""
    several = several_samples({"a": [1e300, 2e299], "b": [1.0, 2.0]}, paired=False)
    assert [several.restore(value) for value in (1e300, -1e300, -math.inf)] == [
        math.inf,
        -math.inf,
        -math.inf,
    ]
