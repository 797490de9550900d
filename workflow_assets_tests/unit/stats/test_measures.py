"""Effects by their names."""

import numpy as np
import pytest

from workflow_assets.stats.measures import DRAWN, EFFECTS, measure
from workflow_assets.stats.methods import METHODS

X, Y = [3.0, 5.0, 4.0, 6.5, 5.5, 4.5], [1.0, 2.0, 3.0, 2.5, 3.5, 1.5]
ONES = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_an_effect_by_name_is_the_effect(name):
    """Asking by name gives what calling the function gives."""
    draws = {"rng": np.random.default_rng(1), "resamples": 199} if name in DRAWN else {}
    x, y = (ONES, ONES[::-1]) if "share" in name else (X, Y)
    alone = name == "share_excess"
    if alone:
        y = [0.5] * len(x)
    expected = EFFECTS[name](x, y, paired=not alone, **draws)
    assert measure(name, x, y, paired=not alone, rng=np.random.default_rng(1), resamples=199) == expected


def test_a_misspelt_effect_is_named_with_its_neighbour():
    """An unknown name is an error that names the nearest effect."""
    with pytest.raises(ValueError, match="no effect called 'hedge_g': did you mean 'hedges_g'"):
        measure("hedge_g", X, Y, paired=True)


def test_the_bootstrap_has_its_effect():
    """The effect that the bootstrap test names is in the table, which no caller can change."""
    assert {method.effect for method in METHODS.values()} <= set(EFFECTS)
    with pytest.raises(TypeError):
        EFFECTS["mean_difference"] = EFFECTS["hedges_g"]  # type: ignore[index]
