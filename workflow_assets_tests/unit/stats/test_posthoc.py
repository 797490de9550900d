"""Which treatments differ: agreement with tests of two, extreme values, unequal sizes, and what is refused."""

import math

import numpy as np
import pytest
from scipy import stats

from workflow_assets.stats import posthoc
from workflow_assets.stats.families import holm

ARMS = {"base": [5.1, 4.9, 6.2, 5.5], "wide": [4.8, 4.1, 5.9, 5.7], "deep": [6.6, 7.1, 6.9, 7.9]}
TWO = {name: ARMS[name] for name in ("base", "deep")}
CALLS = {
    "dunnett": lambda arms: posthoc.dunnett(arms, control="base"),
    "dunnett, paired": lambda arms: posthoc.dunnett(arms, control="base", paired=True),
    "tukey": posthoc.tukey,
    "tukey, paired": lambda arms: posthoc.tukey(arms, paired=True),
    "games_howell": posthoc.games_howell,
    "nemenyi": posthoc.nemenyi,
    "ranks_against": lambda arms: posthoc.ranks_against(arms, control="base"),
}
each = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dunnett", stats.ttest_ind(TWO["deep"], TWO["base"])),
        ("tukey", stats.ttest_ind(TWO["deep"], TWO["base"])),
        ("tukey, paired", stats.ttest_rel(TWO["deep"], TWO["base"])),
        ("dunnett, paired", stats.ttest_rel(TWO["deep"], TWO["base"])),
        ("games_howell", stats.ttest_ind(TWO["deep"], TWO["base"], equal_var=False)),
    ],
)
def test_of_two_treatments_all_are_the_t_test(name, expected):
    """There is nothing to adjust for: p and interval are those of the t-test."""
    (pair,) = CALLS[name](TWO).pairs
    assert pair.p == pytest.approx(expected.pvalue, rel=1e-8)
    interval = expected.confidence_interval(0.95)
    assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high), rel=1e-8)


@each
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_unit_of_the_metric_changes_no_p(call, size):
    """Extreme units neither overflow nor vanish; estimates are in the unit of the metric, or ranks."""
    one, other = call(ARMS), call({name: np.array(arm) * size for name, arm in ARMS.items()})
    assert [pair.p for pair in other.pairs] == pytest.approx([pair.p for pair in one.pairs], rel=1e-9)
    factor = 1.0 if "rank" in one.estimand else size
    for name in ("estimate", "low", "high", "error"):
        numbers = [getattr(pair, name) * factor for pair in one.pairs]
        assert [getattr(pair, name) for pair in other.pairs] == pytest.approx(numbers, rel=1e-9)


@each
def test_p_and_interval_agree(call):
    """An interval leaves out 0 where p is below 5 %, and holds its estimate; Holm's p may be below Bonferroni's."""
    result = call(ARMS)
    for pair in result.pairs:
        if result.test != "ranks_against":
            assert (pair.p < 0.05) == (pair.low > 0 or pair.high < 0)
        assert pair.low <= pair.estimate <= pair.high


@each
def test_two_values_each_are_enough(call):
    """With n = 2 there are p-values and finite intervals."""
    for pair in call({name: arm[:2] for name, arm in ARMS.items()}).pairs:
        assert 0 < pair.p <= 1
        assert math.isfinite(pair.low + pair.high)


@each
def test_overwhelming_differences_have_a_p_above_0(call):
    """No p is 0."""
    arms = {name: np.array(arm) + 1e9 * i for i, (name, arm) in enumerate(ARMS.items())}
    assert all(0 < pair.p < 1 for pair in call(arms).pairs)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dunnett", "nothing varies"),
        ("dunnett, paired", "the same in every block"),
        ("tukey", "nothing varies"),
        ("tukey, paired", "the same in every block"),
        ("games_howell", "neither wide nor base varies"),
        ("nemenyi", "all treatments are equal in every block"),
        ("ranks_against", "all treatments are equal in every block"),
    ],
)
def test_constant_values_are_refused(name, told):
    """Where nothing varies the error says so."""
    with pytest.raises(ValueError, match=told):
        CALLS[name]({"base": [1.0, 1.0], "wide": [1.0, 1.0], "deep": [1.0, 1.0]})


def test_one_constant_treatment_is_compared():
    """Its partner's spread is what its differences are judged by."""
    pairs = posthoc.games_howell({"base": [1.0, 1.0, 1.0], "wide": [2.0, 2.1, 2.2]}).pairs
    assert (pairs[0].df, pairs[0].p < 0.05) == (2.0, True)


def test_a_treatment_of_one_value_borrows_the_spread_of_others():
    """Tukey and Dunnett pool the spread, so one value is enough; Games and Howell need two."""
    arms = {"base": [1.0, 2.0, 3.0], "wide": [4.0]}
    assert dict(posthoc.tukey(arms).n) == {"base": 3, "wide": 1}
    with pytest.raises(ValueError, match="wide has 1 value: at least 2"):
        posthoc.games_howell(arms)


def test_ranks_against_a_control_are_adjusted_by_holm():
    """p-values are Holm's of the normal ones."""
    result = posthoc.ranks_against(ARMS, control="base")
    raw = [2 * stats.norm.sf(abs(pair.statistic)) for pair in result.pairs]
    assert [pair.p for pair in result.pairs] == pytest.approx(holm(raw), rel=1e-10)


def test_one_sided_claims_have_one_sided_intervals():
    """The other bound is infinite, and a margin is measured in the direction of the claim."""
    greater = posthoc.dunnett(ARMS, control="base", alternative="greater").pair("deep", "base")
    less = posthoc.dunnett(ARMS, control="base", alternative="less").pair("deep", "base")
    assert (greater.high, less.low) == (math.inf, -math.inf)
    assert greater.p < 0.05 < less.p
    no_worse = posthoc.dunnett(ARMS, control="base", alternative="greater", margin=-1.0).pair("deep", "base")
    assert no_worse.p < greater.p
    mirrored = {name: [-value for value in arm] for name, arm in ARMS.items()}
    same = posthoc.dunnett(mirrored, control="base", alternative="less").pair("deep", "base")
    assert same.p == pytest.approx(greater.p, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"control": "bse"}, "no treatment called 'bse': did you mean 'base'"),
        ({"control": "base", "alternative": "equivalent"}, "alternative is 'equivalent'"),
        ({"control": "base", "confidence": 95}, "confidence is 95"),
        ({"control": "base", "margin": -1.0}, "margin"),
    ],
)
def test_bad_arguments_are_refused(options, told):
    """What was given is named, and what was expected."""
    with pytest.raises(ValueError, match=told):
        posthoc.dunnett(ARMS, **options)


def test_an_unknown_pair_is_told_with_those_there_are():
    """Pairs are found in the order in which they were compared."""
    with pytest.raises(ValueError, match=r"did not compare 'base' with 'wide'.*wide - base"):
        posthoc.tukey(ARMS).pair("base", "wide")
