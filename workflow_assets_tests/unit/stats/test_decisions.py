"""From numbers to verdicts."""

import json
import math

import numpy as np
import pytest

from workflow_assets.stats.comparisons import TESTS, compare
from workflow_assets.stats.decisions import Decision, choose_test, decide, undecidable_reason
from workflow_assets.stats.effects import mean_difference
from workflow_assets.stats.methods import PAIRED_TESTS

Y = [0.94, 0.76, 2.00, 1.58, 1.54, 2.39, 1.03, 2.01, 1.99, 1.32]
X = [1.02, 0.71, 2.31, 1.60, 1.77, 2.45, 1.22, 1.93, 2.40, 1.51]
SHIFTED = [value + 30.0 for value in Y]

# ------------------------------------------------------------------------------------------------------------ verdict


@pytest.mark.parametrize(
    ("p", "interval", "alternative", "margin", "decision"),
    [
        (0.01, (0.5, 1.5), "greater", 0.0, "supported"),
        (0.05, (0.0, 1.5), "greater", 0.0, "supported"),
        (0.30, (-0.5, 1.5), "greater", 0.0, "inconclusive"),
        (0.99, (-1.5, -0.5), "greater", 0.0, "refuted"),
        (0.99, (-1.5, 0.0), "greater", 0.0, "refuted"),
        (0.99, (0.2, 0.8), "greater", 1.0, "refuted"),
        (0.60, (0.2, 1.2), "greater", 1.0, "inconclusive"),
        (0.01, (-0.1, 0.3), "greater", -0.2, "supported"),
        (0.01, (-1.5, -0.5), "less", 0.0, "supported"),
        (0.99, (0.0, 0.5), "less", 0.0, "refuted"),
        (0.99, (-0.8, 0.2), "less", 1.0, "refuted"),
        (0.60, (-1.2, 0.2), "less", 1.0, "inconclusive"),
        (0.01, (-0.3, 0.1), "less", -0.2, "supported"),
        (0.99, (0.3, 0.5), "less", -0.2, "refuted"),
        (0.01, (0.5, 1.5), "two-sided", 0.0, "supported"),
        (0.40, (-0.5, 0.5), "two-sided", 0.0, "inconclusive"),
        (1.00, (0.0, 0.0), "two-sided", 0.0, "refuted"),
        (0.99, (-0.1, 0.2), "two-sided", 0.25, "refuted"),
        (0.90, (-0.1, 0.3), "two-sided", 0.25, "inconclusive"),
        (0.90, (-0.3, 0.1), "two-sided", 0.25, "inconclusive"),
    ],
)
def test_verdicts(p, interval, alternative, margin, decision):
    """Supported by p, refuted by an interval that leaves no room for the claim, else inconclusive."""
    assert decide(p, interval, alternative=alternative, margin=margin, alpha=0.05) == decision


def test_a_bound_at_the_margin_is_at_the_margin():
    """A bound that misses the margin by rounding alone refutes as one that equals it does."""
    a, b = 0.1 + 0.2, 0.3
    assert a > b
    assert decide(1.0, (0.1, a), alternative="greater", margin=b, alpha=0.05) == "refuted"
    assert decide(1.0, (-a, -0.1), alternative="less", margin=b, alpha=0.05) == "refuted"
    assert decide(1.0, (-a, a), alternative="two-sided", margin=b, alpha=0.05) == "refuted"
    assert decide(1.0, (0.1, b + 1e-9), alternative="greater", margin=b, alpha=0.05) == "inconclusive"


def test_contradiction_is_inconclusive():
    """Ranks may support what the mean refutes; a verdict does not take sides."""
    assert decide(0.01, (-3.0, -0.1), alternative="greater", margin=0.0, alpha=0.05) == "inconclusive"


@pytest.mark.parametrize(("p", "interval"), [(None, (0.0, 1.0)), (0.01, None), (None, None)])
def test_without_numbers_nothing_is_decided(p, interval):
    """A missing p-value or interval makes the hypothesis undecidable."""
    assert decide(p, interval, alternative="greater", margin=0.0, alpha=0.05) is Decision.UNDECIDABLE


@pytest.mark.parametrize(
    ("p", "interval", "options", "message"),
    [
        (math.nan, (0.0, 1.0), {}, "neither may be NaN"),
        (0.5, (math.nan, 1.0), {}, "neither may be NaN"),
        (0.5, (1.0, 0.0), {}, "out of order"),
        (0.5, (0.0, 1.0), {"alpha": 0.0}, "alpha is 0.0"),
        (0.5, (0.0, 1.0), {"alpha": 5}, "alpha is 5"),
        (0.5, (0.0, 1.0), {"alternative": "more"}, "alternative is 'more'"),
        (0.5, (0.0, 1.0), {"alternative": "two-sided", "margin": -1.0}, "margin is -1.0"),
    ],
)
def test_no_verdict_on_nonsense(p, interval, options, message):
    """NaN, a reversed interval, and impossible claims raise instead of being inconclusive."""
    with pytest.raises(ValueError, match=message):
        decide(p, interval, **({"alternative": "greater", "margin": 0.0, "alpha": 0.05} | options))


def test_decisions_are_plain_text():
    """A decision prints, compares and serialises as its word."""
    assert f"{Decision.REFUTED}" == "refuted"
    assert json.dumps([Decision.SUPPORTED]) == '["supported"]'


@pytest.mark.parametrize(
    ("alternative", "margin", "decision"),
    [
        ("greater", 0.0, "supported"),
        ("greater", 29.0, "supported"),
        ("greater", 30.0, "refuted"),
        ("greater", 31.0, "refuted"),
        ("less", 0.0, "refuted"),
        ("less", -30.0, "refuted"),
        ("less", -31.0, "supported"),
        ("two-sided", 0.0, "supported"),
        ("two-sided", 30.0, "refuted"),
    ],
)
def test_a_constant_difference_is_decided(alternative, margin, decision):
    """Ten replicates that differ by exactly 30.0 from a varying baseline are decided, on either side of the margin."""
    choice = choose_test(SHIFTED, Y, paired=True, boolean=False, overlap=None, margin=margin)
    result = compare(choice.test, SHIFTED, Y, alternative=alternative, margin=margin)
    effect = mean_difference(SHIFTED, Y, paired=True)
    assert (
        decide(result.p, (effect.low, effect.high), alternative=alternative, margin=margin, alpha=0.05)
        == decision
    )


# ------------------------------------------------------------------------------------------------- which test, or none


@pytest.mark.parametrize(
    ("x", "y", "options", "test", "reason"),
    [
        (X, Y, {"paired": True}, "paired_t", "paired by replicate"),
        (X, Y, {"paired": True, "overlap": 0.3}, "corrected_resampled_t", "test fraction 0.3"),
        (SHIFTED, Y, {"paired": True}, "sign_flip", "dividing by a zero spread is impossible"),
        (SHIFTED, Y, {"paired": True, "overlap": 0.3}, "sign_flip", "its p is optimistic"),
        ([1, 1, 0, 1], [0, 1, 1, 0], {"paired": True, "boolean": True}, "sign_flip", "McNemar"),
        (
            [1, 1, 0, 1],
            [0, 1, 1, 0],
            {"paired": True, "boolean": True, "margin": 0.1},
            "sign_flip",
            "beyond the margin",
        ),
        (
            [1, 1, 0, 1],
            [0, 1, 1, 0],
            {"paired": True, "boolean": True, "overlap": 0.2},
            "corrected_resampled_t",
            "Nadeau and Bengio",
        ),
        (X, Y[:7], {"paired": False}, "welch_t", "spread differently"),
        (X, Y[:7], {"paired": False, "overlap": 0.3}, "welch_t", "its p is optimistic"),
        ([1, 1, 1], [0, 1, 1, 0], {"paired": False, "boolean": True}, "mann_whitney", "all 0 or all 1"),
        (
            [1, 1, 1],
            [0, 1, 1],
            {"paired": False, "boolean": True, "margin": 0.1},
            "welch_t",
            "cannot be tested by ranks",
        ),
        (SHIFTED, Y, {"paired": False}, "welch_t", "unpaired"),
    ],
)
def test_the_test_follows_the_design(x, y, options, test, reason):
    """Pairing, overlap and kind of metric choose the test; the reason says so, and the test can be run."""
    choice = choose_test(x, y, **({"boolean": False, "overlap": None} | options))
    assert choice.test == test
    assert reason in choice.reason
    assert ("optimistic" in choice.reason) is (options.get("overlap") is not None and "corrected" not in test)
    assert (test in PAIRED_TESTS) is options["paired"]
    p = compare(test, x, y, margin=options.get("margin", 0.0), test_fraction=options.get("overlap")).p
    assert 0 < p <= 1


def test_skewed_values_do_not_change_the_test():
    """Normality is no gate: the same design gets the same test, whatever the values look like."""
    rng = np.random.default_rng(0)
    skewed = np.exp(3 * rng.normal(size=30))
    assert choose_test(skewed, skewed[::-1], paired=True, boolean=False, overlap=None).test == "paired_t"


def test_every_choice_is_a_test():
    """What is chosen can be looked up by name."""
    assert {"paired_t", "corrected_resampled_t", "sign_flip", "welch_t", "mann_whitney"} <= set(TESTS)


@pytest.mark.parametrize("paired", [True, False])
def test_ten_zeros_against_ten_thirties(paired):
    """Two constant arms are undecidable with the reason, and no test is chosen for them."""
    reason = "both arms are constant: nothing varies, so chance cannot be judged"
    assert undecidable_reason([0.0] * 10, [30.0] * 10, paired=paired) == reason
    with pytest.raises(ValueError, match=reason):
        choose_test([0.0] * 10, [30.0] * 10, paired=paired, boolean=False, overlap=None)


def test_reasons_to_decide_nothing():
    """One replicate decides nothing; a constant difference over varying arms does; missing partners are an error."""
    assert (
        undecidable_reason([1.0], [2.0], paired=True)
        == "x has 1 value: at least 2 are needed to judge chance"
    )
    assert undecidable_reason(SHIFTED, Y, paired=True) is None
    with pytest.raises(ValueError, match="paired arms need one partner"):
        undecidable_reason(X, Y[:-1], paired=True)
