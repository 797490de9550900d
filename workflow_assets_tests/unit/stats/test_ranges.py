"""The distributions of the largest of several differences, against closed forms and other integrations."""

import math

import numpy as np
import pytest
from scipy import stats

from workflow_assets.stats.ranges import dunnett_sf, studentized_range_sf, upper_point


@pytest.mark.parametrize("df", [1.0, 2.0, 7.0, 300.0, math.inf])
@pytest.mark.parametrize("t", [0.01, 1.0, 3.0, 12.0])
def test_of_two_means_both_are_students_t(df, t):
    """The range of two means is root 2 times |t|, and one comparison with a control is t itself."""
    law = stats.norm if math.isinf(df) else stats.t(df)
    expected = 2 * law.sf(t)
    assert studentized_range_sf(math.sqrt(2) * t, 2, df) == pytest.approx(expected, rel=1e-9)
    assert dunnett_sf(t, np.array([0.5]), df, two_sided=True) == pytest.approx(expected, rel=1e-9)
    assert dunnett_sf(t, np.array([0.3]), df, two_sided=False) == pytest.approx(law.sf(t), rel=1e-9)


@pytest.mark.parametrize(("k", "df"), [(3, 5.0), (10, 20.0), (4, 120.0)])
def test_the_range_is_that_of_scipy(k, df):
    """SciPy integrates in another way, to about eight digits."""
    for q in (1.0, 3.5, 6.0):
        expected = stats.studentized_range.sf(q, k, df)
        assert studentized_range_sf(q, k, df) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_next_to_a_huge_control_comparisons_are_independent():
    """Against a control that is known, the chance is 1 - (1 - p)**k."""
    single = 2 * stats.norm.sf(2.5)
    found = dunnett_sf(2.5, np.full(3, 1e-9), math.inf, two_sided=True)
    assert found == pytest.approx(1 - (1 - single) ** 3, rel=1e-6)


def test_no_distance_is_reached_for_certain_and_an_endless_one_never():
    """The ends of both distributions."""
    assert studentized_range_sf(0.0, 3, 5.0) == 1.0
    assert dunnett_sf(-1.0, np.array([0.5, 0.5]), 5.0, two_sided=True) == 1.0
    assert studentized_range_sf(1e200, 3, 50.0) < 1e-100
    assert dunnett_sf(1e200, np.array([0.5, 0.5]), 50.0, two_sided=False) < 1e-100


def test_the_farther_the_less_likely():
    """Both fall as the distance grows and rise with the number of means, far into the tail."""
    for sf in (
        lambda q, k: studentized_range_sf(q, k, 9.0),
        lambda q, k: dunnett_sf(q, np.full(k, 0.5), 9.0, two_sided=True),
    ):
        chances = [sf(q, 3) for q in (0.5, 1.0, 2.0, 5.0, 20.0, 100.0)]
        assert chances == sorted(chances, reverse=True)
        assert chances[-1] > 0
        assert sf(3.0, 2) < sf(3.0, 3) < sf(3.0, 12)


@pytest.mark.parametrize("p", [0.9, 0.05, 1e-6])
def test_the_upper_point_is_exceeded_with_its_probability(p):
    """Going there and back, also to points below 0."""
    point = upper_point(lambda t: dunnett_sf(t, np.array([0.5, 0.5]), 8.0, two_sided=False), p)
    assert dunnett_sf(point, np.array([0.5, 0.5]), 8.0, two_sided=False) == pytest.approx(p, rel=1e-9)
    assert (point < 0) == (p > 0.7)
