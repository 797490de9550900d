"""Measures: every effect by its name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from workflow_assets.errors import did_you_mean
from workflow_assets.stats.bootstraps import bootstrap_mean_difference
from workflow_assets.stats.dominances import cliffs_delta, superiority
from workflow_assets.stats.effects import Effect, mean_difference
from workflow_assets.stats.locations import hodges_lehmann, iqm_difference, median_difference, ratio_of_means
from workflow_assets.stats.proportions import share_difference, share_excess
from workflow_assets.stats.sequences import sequential_mean_difference, sequential_share_difference
from workflow_assets.stats.spreads import log_spread_ratio, spread_ratio
from workflow_assets.stats.standardised import cohens_d, cohens_dz, hedges_g

EFFECTS: Mapping[str, Callable[..., Effect]] = MappingProxyType(
    {
        effect.__name__: effect
        for effect in (
            mean_difference,
            bootstrap_mean_difference,
            median_difference,
            hodges_lehmann,
            iqm_difference,
            ratio_of_means,
            cohens_d,
            cohens_dz,
            hedges_g,
            cliffs_delta,
            superiority,
            *(share_difference, share_excess),
            *(log_spread_ratio, spread_ratio),
            *(sequential_mean_difference, sequential_share_difference),
        )
    }
)
# These take rng and resamples.
DRAWN = frozenset({"bootstrap_mean_difference", "iqm_difference"})


def measure(
    effect: str,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
    rng: np.random.Generator | None = None,
    resamples: int = 9_999,
) -> Effect:
    """Ask for an effect by its name; each takes what it needs of the rest.

    Raises ValueError for an unknown name, and with the reason of the effect where it has none of these arms.

    >>> measure("median_difference", [3.0, 5.0, 4.0], [1.0, 2.0, 3.0], paired=False).estimate
    2.0
    """
    if effect not in EFFECTS:
        raise ValueError(f"there is no effect called {effect!r}: {did_you_mean(effect, EFFECTS)}")
    draws = {"rng": rng, "resamples": resamples} if effect in DRAWN else {}
    return EFFECTS[effect](
        x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation, **draws
    )
