"""Effects by their names."""

import numpy as np
import pytest

from workflow_assets.stats.measures import DRAWN, EFFECTS, measure
from workflow_assets.stats.methods import METHODS

X, Y = [3.0, 5.0, 4.0, 6.5], [1.0, 2.0, 3.0, 2.5]


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_an_effect_by_name_is_the_effect(name):
    """Asking by name gives what calling the function gives."""
    draws = {"rng": np.random.default_rng(1), "resamples": 199} if name in DRAWN else {}
    expected = EFFECTS[name](X, Y, paired=True, **draws)
    assert measure(name, X, Y, paired=True, rng=np.random.default_rng(1), resamples=199) == expected


def test_a_misspelt_effect_is_named_with_its_neighbour():
    """An unknown name is an error that names the nearest effect."""
    with pytest.raises(ValueError, match="no effect called 'hedge_g': did you mean 'hedges_g'"):
        measure("hedge_g", X, Y, paired=True)


def test_the_bootstrap_has_its_effect():
    """The effect that the bootstrap test names is in the table, which no caller can change."""
    assert METHODS["bootstrap"].effect in EFFECTS
    with pytest.raises(TypeError):
        EFFECTS["mean_difference"] = EFFECTS["hedges_g"]  # type: ignore[index]
