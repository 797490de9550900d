"""How large a difference is, and between which bounds: what holds of every effect, and mean differences."""

import math

import numpy as np
import pytest

from workflow_assets.stats.effects import Effect, mean_difference
from workflow_assets.stats.means import corrected_resampled_t, paired_t, resampling_inflation, welch_t
from workflow_assets.stats.measures import DRAWN, EFFECTS

X = [0.912, 0.934, 0.907, 0.948, 0.921, 0.939, 0.915, 0.957, 0.926, 0.943, 0.902, 0.931]
Y = [0.898, 0.921, 0.913, 0.929, 0.905, 0.941, 0.896, 0.930, 0.919, 0.914, 0.904, 0.916]
# In which designs every effect is asked about; about swapped arms, most change their sign.
# Those of 0/1 values are in test_proportions and test_sequences.
NUMERIC = sorted(name for name in EFFECTS if "share" not in name)
ASKED = [(name, paired) for name in NUMERIC for paired in (True, False) if paired or name != "cohens_dz"]
MIRRORED = {
    "superiority": lambda value: 1 - value,
    "ratio_of_means": lambda value: 1 / value,
    "spread_ratio": lambda value: 1 / value,
}

every_effect = pytest.mark.parametrize(("name", "paired"), ASKED, ids=lambda value: str(value))


def ask(name, x, y, **options):
    draws = {"rng": np.random.default_rng(1), "resamples": 1_999} if name in DRAWN else {}
    return EFFECTS[name](x, y, **draws, **options)


@every_effect
def test_swapping_the_arms_mirrors_the_effect(name, paired):
    """An effect and its interval change their sign, and nothing else, when x and y change places."""
    there, back = ask(name, X, Y, paired=paired), ask(name, Y, X, paired=paired)
    mirror = MIRRORED.get(name, lambda value: -value)
    assert (back.estimate, back.low, back.high) == pytest.approx(
        (mirror(there.estimate), mirror(there.high), mirror(there.low))
    )
    assert there.estimate > {"superiority": 0.5, "ratio_of_means": 1.0}.get(name, 0.0)


@every_effect
def test_more_confidence_takes_more_room(name, paired):
    """A higher confidence gives an interval that holds the lower one's."""
    narrow, wide = (ask(name, X, Y, paired=paired, confidence=level) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert wide.estimate == narrow.estimate
    assert (narrow.confidence, wide.confidence) == (0.8, 0.99)


@every_effect
def test_inflated_variance_takes_more_room(name, paired):
    """Overlapping replicates leave the estimate where it is and widen its interval."""
    plain = ask(name, X, Y, paired=paired)
    inflated = ask(name, X, Y, paired=paired, variance_inflation=resampling_inflation(12, 0.3))
    assert inflated.low < plain.low < plain.high < inflated.high
    assert inflated.estimate == plain.estimate


@every_effect
def test_the_estimand_is_told_in_words(name, paired):
    """An effect names itself and says what it estimates."""
    effect = ask(name, X, Y, paired=paired)
    assert effect.name == name
    assert " x " in effect.estimand
    assert "y" in effect.estimand


PAIRS_ONLY = {"median_difference", "hodges_lehmann", "cliffs_delta", "superiority", "mean_difference"}


@pytest.mark.parametrize("name", sorted(PAIRS_ONLY))
def test_another_estimand_of_pairs_has_other_words(name):
    """What compares only within pairs says so, and what does not, does not."""
    words = {paired: ask(name, X, Y, paired=paired).estimand for paired in (True, False)}
    assert "pair" in words[True]
    assert "pair" not in words[False]


@every_effect
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([0.0] * 10, [30.0] * 10, "both arms are constant"),
        ([1.0], [2.0], "x has 1 value"),
        ([1.0, 2.0], [2.0, float("nan")], r"y\[1\] is nan"),
    ],
)
def test_what_has_no_interval_raises(name, paired, x, y, message):
    """Where nothing varies or values are missing there is no effect with an interval."""
    with pytest.raises(ValueError, match=message):
        ask(name, x, y, paired=paired)


@every_effect
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"confidence": 0.4}, "confidence is 0.4"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"confidence": math.nan}, "confidence is nan"),
        ({"variance_inflation": 0.5}, "variance_inflation is 0.5"),
        ({"variance_inflation": math.inf}, "variance_inflation is inf"),
    ],
)
def test_refused_options(name, paired, option, message):
    """A confidence that is no level, and an inflation that deflates, are refused."""
    with pytest.raises(ValueError, match=message):
        ask(name, X, Y, paired=paired, **option)


@every_effect
@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_units_change_nothing_but_the_unit(name, paired, unit):
    """Measuring in other units multiplies what has a unit, interval included, and leaves the rest."""
    plain, scaled = (
        ask(name, X, Y, paired=paired),
        ask(name, np.array(X) * unit, np.array(Y) * unit, paired=paired),
    )
    factor = unit if name.endswith("_difference") or name == "hodges_lehmann" else 1.0
    for part in ("estimate", "low", "high"):
        assert getattr(scaled, part) == pytest.approx(factor * getattr(plain, part), rel=1e-7)


def test_an_interval_holds_its_estimate():
    """An effect whose interval misses its estimate, or is NaN, cannot be built."""
    for low, high in ((2.5, 3.0), (1.0, 1.5), (math.nan, 3.0)):
        with pytest.raises(ValueError, match="must hold the estimate"):
            Effect("mean_difference", 2.0, low, high, 0.95, "the mean of x minus the mean of y")


# ------------------------------------------------------------------------------------------ a constant difference


def test_constant_difference_in_units():
    """A difference that is the same in every pair has an interval of no width; unpaired, the arms' spread counts."""
    x = [value + 30.0 for value in Y]
    paired = mean_difference(x, Y, paired=True)
    assert paired.low == paired.estimate == paired.high == pytest.approx(30.0)
    unpaired = mean_difference(x, Y, paired=False)
    assert unpaired.low < unpaired.estimate - 0.005
    assert unpaired.estimate == pytest.approx(30.0)


# ---------------------------------------------------------------------------------------------- agreement with tests


@pytest.mark.parametrize("alpha", [0.05, 0.005, 0.2])
@pytest.mark.parametrize(
    ("test", "paired", "fraction"),
    [(paired_t, True, None), (welch_t, False, None), (corrected_resampled_t, True, 0.3)],
)
def test_interval_and_test_agree(test, paired, fraction, alpha):
    """A claim of more than the interval's low end, or less than its high end, has a p of exactly half its doubt."""
    options = {} if fraction is None else {"test_fraction": fraction}
    inflation = 1.0 if fraction is None else resampling_inflation(len(X), fraction)
    effect = mean_difference(X, Y, paired=paired, confidence=1 - 2 * alpha, variance_inflation=inflation)
    assert test(X, Y, alternative="greater", margin=effect.low, **options).p == pytest.approx(alpha)
    assert test(X, Y, alternative="less", margin=-effect.high, **options).p == pytest.approx(alpha)
