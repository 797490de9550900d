"""The real false-positive rate of a test on one's own values."""

from typing import Any

import numpy as np
import pytest

from workflow_assets.stats.calibrations import Calibration, false_positive_rate
from workflow_assets.stats.means import paired_t

RNG = np.random.default_rng(7)
X, Y = RNG.normal(3.0, 1.0, 20), RNG.normal(0.0, 1.0, 20)


def rate_of(test, **options):
    options = dict[str, Any](paired=True, rng=np.random.default_rng(0), trials=200) | options
    return false_positive_rate(test, X, Y, **options)


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided", "equivalent"])
@pytest.mark.parametrize(("test", "paired"), [("paired_t", True), ("welch_t", False)])
def test_a_sound_test_is_as_stated_whatever_the_effect(test, paired, alternative):
    """A large effect of the treatment is gone when labels are permuted, beyond a margin too."""
    result = rate_of(test, paired=paired, alternative=alternative, margin=2.0)
    assert result.verdict == "as stated"
    assert result.refused == 0


def test_an_overconfident_test_is_found_out():
    """A test of one's own that quarters its p-values errs too often, and the sentence says by how much."""
    result = rate_of(lambda x, y: paired_t(x, y).p / 4, trials=300)
    assert result.verdict == "too often"
    assert "errs too often: on permuted labels it rejects in" in str(result)


def test_a_test_for_every_look_errs_seldom():
    """A test that may be looked at after every replicate errs more seldom than alpha at one look."""
    rng = np.random.default_rng(0)
    result = false_positive_rate("sequential_t", X - 3.0, Y, paired=True, rng=rng, trials=500)
    assert result.verdict == "seldom"


def test_what_the_test_refuses_is_no_rejection():
    """Permuted values that a test cannot judge are counted apart."""
    y = np.array([0.0, 1.0, 2.0])
    x = y + np.array([1.0, -1.0, 1.0])
    result = false_positive_rate("paired_t", x, y, paired=True, rng=np.random.default_rng(0))
    assert result.refused > 100
    assert result.rejected + result.refused <= result.trials
    assert "it could not judge" in str(result)


def test_the_same_generator_gives_the_same_rate():
    """Nothing is drawn from anywhere else."""
    assert rate_of("sign_flip") == rate_of("sign_flip")


@pytest.mark.parametrize(
    ("rejected", "low", "high"), [(0, 0.0, 0.0516), (100, 0.9484, 1.0), (5, 0.0109, 0.1351)]
)
def test_bounds_are_those_of_clopper_and_pearson(rejected, low, high):
    """R: binom.test(rejected, 100, conf.level = 0.99)$conf.int."""
    result = Calibration("t", 0.05, 100, rejected, 0)
    assert (result.low, result.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 5}, "alpha is 5"),
        ({"trials": 0}, "trials is 0"),
        ({"test": "paired"}, "there is no test called 'paired'"),
        ({"paired": False}, "paired_t compares pairs"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(options, message):
    """A wrong question is refused before anything is permuted."""
    with pytest.raises(ValueError, match=message):
        rate_of(**({"test": "paired_t"} | options))
