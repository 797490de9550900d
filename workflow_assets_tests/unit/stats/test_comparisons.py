"""The tests of a claim about x - y."""

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest

from workflow_assets.stats.claims import Comparison
from workflow_assets.stats.comparisons import TESTS, compare
from workflow_assets.stats.means import corrected_resampled_t, paired_t, resampling_inflation, welch_t
from workflow_assets.stats.methods import METHODS, PAIRED_TESTS
from workflow_assets.stats.permutations import sign_flip
from workflow_assets.stats.ranks import mann_whitney, wilcoxon_signed_rank

X = [0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931]
Y = [0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916]

WIDE = [0.870, 0.962, 0.858, 0.999, 0.893, 1.001, 0.851, 0.987, 0.902, 0.961, 0.834, 0.948]
ONES_X = [1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1]
ONES_Y = [0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0]

DESIGNS = [
    (name, paired)
    for name, method in sorted(METHODS.items())
    for paired in ((True, False) if method.paired is None else (method.paired,))
]
NUMERIC = [(name, paired) for name, paired in DESIGNS if not METHODS[name].shares]
WITH_MARGINS = [(name, paired) for name, paired in DESIGNS if METHODS[name].margins]


def each(designs):
    ids = [f"{name}, {'paired' if paired else 'unpaired'}" for name, paired in designs]
    return pytest.mark.parametrize(("test", "paired"), designs, ids=ids)


every_test = each(DESIGNS)


def arms_of(test):
    """Give arms of which the test can tell that the claim is true of x."""
    if test == "binomial":
        return ONES_X, [0.5] * 12
    if METHODS[test].shares:
        return ONES_X, ONES_Y
    return (WIDE, Y) if METHODS[test].effect == "log_spread_ratio" else (X, Y)


def run(test, x, y, **options):
    options = {"paired": METHODS[test].paired is not False} | options
    return compare(test, x, y, rng=np.random.default_rng(0), test_fraction=0.3, **options)


@every_test
def test_larger_treatment_is_greater(test, paired):
    """Every test finds x larger, tells its statistic about x - y, and finds nothing in the other direction."""
    arms = arms_of(test)
    greater, less = (run(test, *arms, paired=paired, alternative=side) for side in ("greater", "less"))
    assert greater.p < (0.15 if METHODS[test].anytime else 0.12)
    assert less.p > 0.88
    assert greater.statistic == pytest.approx(less.statistic)


@every_test
def test_two_sided_doubles_the_smaller_side(test, paired):
    """A two-sided p is twice the smaller one-sided p, also beyond a margin, and at most 1."""
    arms = arms_of(test)
    for margin in (0.0, 0.004, 0.4) if METHODS[test].margins else (0.0,):
        sides = [
            run(test, *arms, paired=paired, alternative=side, margin=margin).p for side in ("greater", "less")
        ]
        both = run(test, *arms, paired=paired, alternative="two-sided", margin=margin)
        assert both.p == pytest.approx(min(1.0, 2 * min(sides)), rel=1e-12)
        assert both.margin == margin


@each(WITH_MARGINS)
def test_margin_points_in_the_direction_of_the_claim(test, paired):
    """A positive margin asks for more and a negative one for less, in either direction."""
    for alternative in ("greater", "less"):
        strict, plain, lenient = (
            run(test, *arms_of(test), paired=paired, alternative=alternative, margin=m).p
            for m in (0.02, 0, -0.02)
        )
        # A p-value that may be looked at after every replicate is 1 as soon as nothing speaks for a claim.
        assert strict > plain > lenient or (METHODS[test].anytime and strict == plain == 1.0 >= lenient)


@each(sorted(set(DESIGNS) - set(WITH_MARGINS)))
@pytest.mark.parametrize("alternative", ["greater", "two-sided", "equivalent"])
def test_a_margin_is_never_dropped(test, paired, alternative):
    """A test that knows no margin refuses one, and says what to do instead."""
    with pytest.raises(
        ValueError, match=rf"{test} asks whether .* differ at all, and knows no margin \(0.1 is given"
    ):
        run(test, *arms_of(test), paired=paired, alternative=alternative, margin=0.1)


@every_test
def test_the_result_says_what_was_asked(test, paired):
    """A result carries test, claim, sizes and pairing, and cannot be changed."""
    margin = -0.1 if METHODS[test].margins else 0.0
    result = run(test, *arms_of(test), paired=paired, alternative="less", margin=margin)
    assert (result.test, result.alternative, result.margin, result.n) == (test, "less", margin, (12, 12))
    assert result.paired is paired
    assert type(result.p) is float
    assert type(result.statistic) is float
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.p = 0.5


@each(NUMERIC)
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1.0], [2.0], "x has 1 value: at least 2 are needed"),
        ([0.0] * 10, [30.0] * 10, "both arms are constant"),
        ([1.0, float("nan")], [2.0, 3.0], r"x\[1\] is nan"),
        ([1.0, 2.0], [2.0, float("nan")], r"y\[1\] is nan"),
    ],
)
def test_what_cannot_be_judged_raises(test, paired, x, y, message):
    """Where there is nothing to judge, every test says so instead of answering NaN."""
    with pytest.raises(ValueError, match=message):
        run(test, x, y, paired=paired)


@pytest.mark.parametrize("test", sorted(PAIRED_TESTS))
def test_pairs_need_partners(test):
    """No paired test guesses which value belongs to which."""
    with pytest.raises(ValueError, match="x has 12 values and y has 11, but paired arms"):
        run(test, arms_of(test)[0], arms_of(test)[1][:-1])


@pytest.mark.parametrize("test", [paired_t, corrected_resampled_t])
@pytest.mark.parametrize("shift", [0.0, 30.0, 0.1])
def test_a_constant_difference_has_no_t(test, shift):
    """A t-test refuses to divide by a zero spread, also when rounding pretends that there is one."""
    options = {"test_fraction": 0.3} if test is corrected_resampled_t else {}
    with pytest.raises(ValueError, match="the difference is the same in every pair"):
        test([y + shift for y in Y], Y, **options)


def test_welch_needs_one_varying_arm():
    """One constant arm lends its certainty: what is left is the one-sample t-test."""
    result = welch_t([1.0, 2.0, 4.0], [1.5, 1.5, 1.5, 1.5], alternative="greater")
    alone = paired_t([1.0, 2.0, 4.0], [1.5, 1.5, 1.5], alternative="greater")
    assert result.df == pytest.approx(2.0)
    assert (result.statistic, result.p) == pytest.approx((alone.statistic, alone.p))


@pytest.mark.parametrize("unit", [1e-200, 1e-3, 1e3, 1e200])
@each(NUMERIC)
def test_units_change_nothing(test, paired, unit):
    """Measuring in other units, margin included, gives the same p."""
    x, y = (np.array(arm) for arm in arms_of(test))
    margin = 0.01 if METHODS[test].margins else 0.0
    plain = run(test, x, y, paired=paired, alternative="greater", margin=margin)
    scaled = run(test, x * unit, y * unit, paired=paired, alternative="greater", margin=margin * unit)
    assert scaled.p == pytest.approx(plain.p, rel=1e-9)


def test_p_is_never_zero():
    """Where the tail is beyond floating point, p is the smallest normal number, not 0."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=3_000)
    result = paired_t(y + 1e6 + rng.normal(size=3_000), y, alternative="greater")
    assert 0 < result.p < 1e-300


def test_a_comparison_has_a_p_value():
    """A result without a p-value cannot be built."""
    result = paired_t(X, Y)
    for p in (0.0, 1.5, math.nan):
        with pytest.raises(ValueError, match="a p-value lies above 0 and at most at 1"):
            dataclasses.replace(result, p=p)


# ------------------------------------------------------------------------------------------- corrected resampled t


def test_correction_is_that_of_nadeau_and_bengio():
    """The corrected t is the paired t over the root of 1 + n * n_test/n_train, with the same degrees of freedom."""
    plain, corrected = paired_t(X, Y), corrected_resampled_t(X, Y, test_fraction=0.25)
    assert corrected.statistic == pytest.approx(plain.statistic / math.sqrt(1 + 12 / 3))
    assert corrected.df == plain.df == 11
    assert "test fraction 0.25" in corrected.note


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 30, math.nan])
def test_a_test_fraction_is_a_share(fraction):
    """A test fraction outside (0, 1) is refused."""
    with pytest.raises(ValueError, match="test_fraction is"):
        resampling_inflation(10, fraction)


def test_correction_keeps_the_error_rate_of_overlapping_resamples():
    """With differences correlated as the method assumes, it errs in 5 % of cases; the paired t errs in far more."""
    rng = np.random.default_rng(7)
    fraction, n, trials = 0.3, 20, 1_500
    common = math.sqrt(fraction) * rng.normal(size=(trials, 1))
    differences = common + math.sqrt(1 - fraction) * rng.normal(size=(trials, n))
    zeros = np.zeros(n)
    corrected = [corrected_resampled_t(d, zeros, test_fraction=fraction).p <= 0.05 for d in differences]
    plain = [paired_t(d, zeros).p <= 0.05 for d in differences]
    assert np.mean(corrected) == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / trials))
    assert np.mean(plain) > 0.4


# ------------------------------------------------------------------------------------------------------- rank tests


def test_wilcoxon_drops_zeros_and_says_so():
    """Pairs without a difference are left out of the ranking; the note tells how many."""
    x, y = [3.0, 1.0, 4.0, 1.0, 5.0], [3.0, 0.5, 2.0, 1.0, 1.0]
    result = wilcoxon_signed_rank(x, y, alternative="greater")
    assert result.statistic == 6.0
    assert result.note == "2 of 5 pairs dropped: they differ by exactly the margin"
    assert not result.exact


def test_wilcoxon_without_differences_raises():
    """Where every pair differs by exactly the margin there is nothing to rank."""
    with pytest.raises(ValueError, match="every difference equals the margin"):
        wilcoxon_signed_rank([1.1, 1.2, 1.3], [1.0, 1.1, 1.2], alternative="greater", margin=0.1)


def test_ranks_see_ties_through_rounding():
    """Tenths tie as their whole numbers do, with and without a margin."""
    x, y = [14, 9, 17, 12, 20, 8, 15, 11], [11, 10, 12, 12, 15, 9, 9, 11]
    tenths_x, tenths_y = np.array(x) / 10, np.array(y) / 10
    for test in (wilcoxon_signed_rank, mann_whitney):
        for margin in (0, 1, -2):
            whole = test(x, y, alternative="greater", margin=margin)
            tenths = test(tenths_x, tenths_y, alternative="greater", margin=margin / 10)
            assert tenths.p == whole.p
            assert tenths.statistic == whole.statistic


def test_mann_whitney_without_any_difference_raises():
    """Where all values are equal once the margin is taken off, up to rounding, there is nothing to rank."""
    with pytest.raises(ValueError, match="all values are equal"):
        mann_whitney([1.0, 1.0, 1.0], [0.0, 1e-16, 0.0], alternative="greater", margin=1.0)


# --------------------------------------------------------------------------------------------------------- sign-flip


def test_sign_flip_judges_a_constant_difference():
    """Thirty replicates that all differ by 30.0 have one chance in 2**30, exactly and without a generator."""
    rng = np.random.default_rng(0)
    y = rng.random(30)
    result = sign_flip(y + 30.0, y, alternative="greater")
    assert result.p == pytest.approx(0.5**30, rel=1e-12)
    assert result.exact
    assert result.statistic == pytest.approx(30.0)


def test_sign_flip_at_the_margin_is_certain_of_nothing():
    """Differences that equal the margin speak neither for nor against: p is 1."""
    y = np.array([0.1, 0.2, 0.7, 0.4])
    result = sign_flip(y + 0.3, y, alternative="greater", margin=0.3)
    assert (result.p, result.exact) == (1.0, True)


def test_sign_flip_is_mcnemar_for_booleans():
    """For 0/1 values only the pairs that disagree count, half and half."""
    x = [True] * 7 + [False] * 1 + [True] * 9
    y = [False] * 7 + [True] * 1 + [True] * 9
    assert sign_flip(x, y, alternative="greater").p == (1 + 8) / 2**8


def test_sign_flip_repeats_with_its_generator():
    """The same generator state gives the same p, and another one another p."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.2, 1.0, 40), rng.normal(size=40)
    first, again, other = (
        sign_flip(x, y, alternative="greater", rng=np.random.default_rng(seed)).p for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_sign_flip_draws_as_often_as_asked():
    """The number of draws bounds p from below and is told in the note."""
    rng = np.random.default_rng(2)
    y = rng.normal(size=40)
    result = sign_flip(y + rng.uniform(5, 6, 40), y, alternative="greater", rng=rng, resamples=1_999)
    assert result.p == 1 / 2_000
    assert result.note == "Monte Carlo: 1,999 patterns of signs drawn"
    with pytest.raises(ValueError, match="resamples is 0"):
        sign_flip(X, Y, resamples=0)


def test_sign_flip_leaves_the_global_generator_alone():
    """Neither counting nor drawing touches numpy's global state."""
    rng = np.random.default_rng(2)
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002 - it is the global state that is watched
    sign_flip(rng.normal(size=40), rng.normal(size=40), rng=rng)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


# ------------------------------------------------------------------------------------------------------------ by name


@every_test
def test_a_test_by_name_is_the_test(test, paired):
    """Calling by name gives what calling the function gives."""
    given: dict[str, Any] = {
        "rng": np.random.default_rng(0), "resamples": 9_999, "test_fraction": 0.3, "paired": paired
    }  # fmt: skip
    own = {name: given[name] for name in METHODS[test].takes}
    margin = 0.001 if METHODS[test].margins else 0.0
    expected = TESTS[test](*arms_of(test), alternative="greater", margin=margin, **own)
    assert run(test, *arms_of(test), paired=paired, alternative="greater", margin=margin) == expected


def test_a_test_of_both_designs_is_told_which():
    """What compares pairs as well as independent arms assumes neither."""
    with pytest.raises(
        ValueError, match="brown_forsythe compares pairs as well as independent arms: say paired"
    ):
        compare("brown_forsythe", X, Y)


def test_a_misspelt_test_is_named_with_its_neighbour():
    """An unknown name is an error that names the nearest test, or all of them."""
    with pytest.raises(
        ValueError, match="there is no test called 'wilcoxon_sign_rank': did you mean 'wilcoxon_signed"
    ):
        compare("wilcoxon_sign_rank", X, Y)
    with pytest.raises(
        ValueError, match="among them 'paired_t', 'corrected_resampled_t', 'wilcoxon_signed_rank'"
    ):
        compare("anova", X, Y)


def test_overlap_must_be_stated():
    """The corrected test is not run with an assumed test fraction."""
    with pytest.raises(ValueError, match="corrected_resampled_t needs test_fraction="):
        compare("corrected_resampled_t", X, Y)


def test_the_table_of_tests_is_read_only():
    """No caller can change what a name means for the others."""
    with pytest.raises(TypeError):
        TESTS["paired_t"] = welch_t  # type: ignore[index]
    assert all(callable(test) and test.__name__ == name for name, test in TESTS.items())
    assert isinstance(run("welch_t", X, Y), Comparison)
    assert TESTS.keys() == METHODS.keys()
