"""Planning from a pilot."""

import math

import numpy as np
import pytest

from workflow_assets.stats.pilots import cautious_sd, replicates_by_simulation, simulate_power
from workflow_assets.stats.powers import Plan

RNG = np.random.default_rng(11)
X = RNG.normal(0.4, 1.0, 40)
Y = RNG.normal(0.0, 1.0, 40)


def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize(
    ("test", "sd"),
    [("paired_t", cautious_sd(X, Y, paired=True)), ("welch_t", cautious_sd(X, Y, paired=False))],
)
def test_simulated_power_is_near_the_formula(test, sd):
    """A normal pilot, stretched for caution, gives the power of a plan with the cautious spread."""
    result = simulate_power(test, X, Y, n=25, effect=0.8, caution=0.8, rng=rng(), trials=800)
    assert result.power == pytest.approx(Plan(test, effect=0.8, sd=sd).power(25), abs=0.06)
    assert result.low < result.power < result.high
    assert (result.trials, result.undecided, result.n) == (800, 0, 25)


def test_no_effect_is_supported_as_often_as_alpha():
    """A pilot that is moved to the margin supports the claim about as often as alpha says."""
    result = simulate_power("paired_t", X, Y, n=20, effect=0.5, margin=0.5, alpha=0.1, rng=rng(), trials=800)
    assert result.low < 0.1 < result.high


def test_the_same_draws_give_the_same_power():
    """Power repeats with the state of its generator."""
    one, again = (simulate_power("sign_flip", X, Y, n=12, rng=rng(), trials=60) for _ in range(2))
    assert one == again


def test_pairs_stay_together():
    """Arms that share their level are drawn pair by pair: unpaired, the same arms have next to no power."""
    level = np.arange(20.0)
    wobble = np.tile([0.05, -0.05], 10)
    paired = simulate_power("paired_t", level + 0.1 + wobble, level, n=10, rng=rng(), trials=100)
    unpaired = simulate_power("welch_t", level + 0.1 + wobble, level, n=(10, 12), rng=rng(), trials=100)
    assert paired.power > 0.9
    assert unpaired.power < 0.25


def test_draws_that_cannot_be_judged_support_nothing():
    """Of a pilot with one odd pair, most small samples have no spread: they are counted, and not as support."""
    x = [1.0] * 9 + [3.0]
    result = simulate_power("paired_t", x, [0.0] * 10, n=3, rng=rng(), trials=200)
    assert 100 < result.undecided < 200
    assert result.power < 0.1


def test_a_search_finds_what_the_formula_says():
    """The number found by simulation is near the one of the formula."""
    sd = cautious_sd(X, Y, paired=True, confidence=0.8)
    found = replicates_by_simulation("paired_t", X, Y, effect=1.0, caution=0.8, rng=rng(), trials=400)
    assert found.n == pytest.approx(Plan("paired_t", effect=1.0, sd=sd).replicates_needed(), rel=0.25)
    assert found.power >= 0.8


def test_a_hopeless_search_ends():
    """Where no number is enough, the search says how far it came."""
    with pytest.raises(ValueError, match="64 replicates support the claim with a probability of"):
        replicates_by_simulation("paired_t", X, Y, effect=0.0, rng=rng(), trials=20, most=64)


def test_the_cautious_spread_is_rarely_too_small():
    """In four of five normal pilots the upper limit of 80 % confidence lies above the true spread."""
    draws = np.random.default_rng(8).normal(size=(2_000, 6))
    above = np.mean([cautious_sd(x, np.zeros(6), paired=True) > 1.0 for x in draws])
    assert above == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 2_000))
    assert cautious_sd(X * 1e200, Y * 1e200, paired=False) == pytest.approx(
        cautious_sd(X, Y, paired=False) * 1e200
    )


def test_ones_own_test_is_simulated_too():
    """A function of one's own may be planned for."""

    def by_sign(x, y, alternative):
        return 0.001 if np.mean(x > y) > 0.5 else 1.0

    result = simulate_power(by_sign, X, Y, paired=True, n=9, effect=0.5, rng=rng(), trials=100)
    assert 0.5 < result.power < 1.0


@pytest.mark.parametrize(
    ("test", "arguments", "message"),
    [
        (
            "corrected_resampled_t",
            {},
            r"cannot be drawn as if independent: ask Plan\('corrected_resampled_t'",
        ),
        ("paired_tt", {"paired": True}, "there is no test called 'paired_tt'"),
        (lambda x, y: 0.5, {}, "say whether the arms are paired"),
        ("paired_t", {"n": 1}, "n is 1"),
        ("paired_t", {"n": (5, 6)}, "pairs have one number"),
        ("paired_t", {"caution": 1.0}, "confidence is 1.0"),
        ("paired_t", {"effect": math.nan}, "effect is nan"),
        ("paired_t", {"alpha": 0.0}, "alpha is 0.0"),
        ("paired_t", {"trials": 0}, "trials is 0"),
        ("paired_t", {"alternative": "equivalent"}, "margin is 0"),
    ],
)
def test_what_cannot_be_simulated(test, arguments, message):
    """A pilot, a test or a claim that cannot be simulated is refused before anything is drawn."""
    with pytest.raises(ValueError, match=message):
        simulate_power(test, X, Y, rng=rng(), **({"n": 5} | arguments))


def test_booleans_are_drawn_as_they_are():
    """No effect is added to values that are 0 or 1, and a pilot without any spread says nothing."""
    passed = [1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0]
    failed = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    assert simulate_power("sign_flip", passed, failed, n=20, rng=rng(), trials=100).power > 0.8
    with pytest.raises(ValueError, match="give neither effect= nor caution="):
        simulate_power("sign_flip", passed, failed, n=20, effect=0.2, rng=rng())
    with pytest.raises(ValueError, match="says nothing of the spread"):
        cautious_sd([1.0, 2.0], [0.0, 1.0], paired=True)
    with pytest.raises(ValueError, match="both arms are constant"):
        simulate_power("paired_t", [1.0, 1.0], [0.0, 0.0], n=5, rng=rng())
