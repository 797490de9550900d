"""Tests of several treatments: the agreement with those of two, extreme values, and what they refuse."""

import numpy as np
import pytest
from scipy import stats

from workflow_assets.stats import omnibus

ARMS = {"base": [5.1, 4.9, 6.2, 5.5], "wide": [4.8, 4.1, 5.9, 5.7], "deep": [6.6, 7.1, 6.9, 7.9]}
TWO = {name: ARMS[name] for name in ("base", "deep")}
INDEPENDENT = (omnibus.anova, omnibus.welch_anova, omnibus.kruskal_wallis)
BLOCKED = (omnibus.repeated_measures_anova, omnibus.friedman)
each = pytest.mark.parametrize("test", [*INDEPENDENT, *BLOCKED], ids=lambda one: one.__name__)


def test_of_two_treatments_p_is_that_of_the_t_test():
    """F is the square of t: Student's, Welch's and the paired one."""
    x, y = TWO.values()
    assert omnibus.anova(TWO).p == pytest.approx(stats.ttest_ind(x, y).pvalue, rel=1e-10)
    assert omnibus.welch_anova(TWO).p == pytest.approx(
        stats.ttest_ind(x, y, equal_var=False).pvalue, rel=1e-10
    )
    assert omnibus.repeated_measures_anova(TWO).p == pytest.approx(stats.ttest_rel(x, y).pvalue, rel=1e-10)


@each
@pytest.mark.parametrize("size", [1e-200, 1e-3, 1e200])
def test_the_unit_of_the_metric_changes_nothing(test, size):
    """The statistic, p and the effect sizes are those of the same values in another unit."""
    one, other = test(ARMS), test({name: np.array(arm) * size for name, arm in ARMS.items()})
    assert other.statistic == pytest.approx(one.statistic, rel=1e-9)
    assert other.p == pytest.approx(one.p, rel=1e-9)
    assert [size.value for size in other.sizes] == pytest.approx([size.value for size in one.sizes], rel=1e-9)


@each
def test_two_values_each_are_enough(test):
    """With n = 2 there is a p-value, above 0 and at most 1."""
    assert 0 < test({name: arm[:2] for name, arm in ARMS.items()}).p <= 1


@each
def test_overwhelming_differences_have_a_p_above_0(test):
    """No p is 0, however large the effect."""
    arms = {
        name: np.array(arm) + shift for (name, arm), shift in zip(ARMS.items(), (0, 1e9, 2e9), strict=True)
    }
    assert 0 < test(arms).p < 0.1


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (omnibus.anova, "no treatment varies within itself"),
        (omnibus.welch_anova, "base does not vary"),
        (omnibus.kruskal_wallis, "all values are equal"),
        (omnibus.repeated_measures_anova, "the same in every block"),
        (omnibus.friedman, "all treatments are equal in every block"),
        (omnibus.cochran_q, "all treatments are equal in every block"),
    ],
)
def test_constant_values_are_refused(test, told):
    """Where nothing varies chance cannot be judged, and the error says what is the same."""
    with pytest.raises(ValueError, match=told):
        test({"base": [1.0, 1.0, 1.0], "wide": [1.0, 1.0, 1.0]})


def test_a_constant_difference_is_refused_by_means_and_seen_by_ranks():
    """The same difference in every block is agreement of ranks."""
    shifted = {"base": ARMS["base"], "more": [value + 1 for value in ARMS["base"]]}
    with pytest.raises(ValueError, match="the same in every block"):
        omnibus.repeated_measures_anova(shifted)
    answer = omnibus.friedman(shifted)
    assert (answer.statistic, answer.others) == (4.0, ())
    assert answer.size("kendalls_w") == 1


def test_ties_and_unequal_sizes_are_those_of_scipy():
    """Tied ranks are corrected for, whatever the sizes."""
    tied = {"a": [1, 1, 2, 2, 3], "b": [2, 2, 3], "c": [3, 3, 3, 4]}
    assert omnibus.kruskal_wallis(tied).p == pytest.approx(stats.kruskal(*tied.values()).pvalue, rel=1e-10)
    assert omnibus.anova(tied).p == pytest.approx(stats.f_oneway(*tied.values()).pvalue, rel=1e-10)
    assert dict(omnibus.kruskal_wallis(tied).n) == {"a": 5, "b": 3, "c": 4}
    blocks = {name: [round(value) for value in arm] for name, arm in ARMS.items()}
    expected = stats.friedmanchisquare(*blocks.values())
    assert omnibus.friedman(blocks).p == pytest.approx(expected.pvalue, rel=1e-10)


def test_cochrans_q_is_friedmans_test_of_0_and_1():
    """The two agree, and other values are refused by name."""
    passed = {"a": [1, 1, 0, 1, 1, 0], "b": [0, 1, 0, 0, 1, 0], "c": [0, 0, 0, 0, 1, 1]}
    one, other = omnibus.cochran_q(passed), omnibus.friedman(passed)
    assert (one.statistic, one.p) == pytest.approx((other.statistic, other.p), rel=1e-12)
    with pytest.raises(ValueError, match=r"b\[1\] is 0.5, but Cochran's Q is for values of 0 or 1"):
        omnibus.cochran_q({"a": [0, 1], "b": [1, 0.5]})


def test_the_correction_lies_between_none_and_the_worst_case():
    """Greenhouse and Geisser's epsilon lies between 1 / (k - 1) and 1, and Huynh and Feldt's above it."""
    answer = omnibus.repeated_measures_anova(ARMS)
    assert 0.5 <= answer.size("greenhouse_geisser_epsilon") <= 1
    uncorrected, huynh_feldt = answer.others
    assert uncorrected.p <= huynh_feldt.p <= answer.p
