"""How often t-tests err, and how often their intervals hold the true difference."""

import numpy as np

from workflow_assets.stats.effects import mean_difference
from workflow_assets.stats.means import corrected_resampled_t, paired_t, welch_t
from workflow_assets_tests.simulations.trials import covers, rejects


def pairs(rng, n, shift=0.0):
    """Draw pairs whose arms share their level."""
    level = rng.normal(size=n)
    return level + rng.normal(size=n) + shift, level + rng.normal(size=n)


def resplits(rng, n, fraction):
    """Draw differences that correlate as the corrected test assumes."""
    common = np.sqrt(fraction) * rng.normal()
    return common + np.sqrt(1 - fraction) * rng.normal(size=n), np.zeros(n)


def unequal(rng):
    """Draw arms of unequal size and spread, the smaller one spreading more."""
    return rng.normal(0.0, 3.0, 8), rng.normal(0.0, 1.0, 20)


def interval(effect):
    return effect.low, effect.high


SIMULATIONS = [
    rejects("paired_t, 5 normal pairs", lambda rng: paired_t(*pairs(rng, 5)).p),
    rejects(
        "paired_t, 30 pairs, skewed differences",
        lambda rng: paired_t(rng.exponential(size=30), rng.exponential(size=30)).p,
        least=0.04,
    ),
    rejects("welch_t, unequal sizes and spreads", lambda rng: welch_t(*unequal(rng)).p, least=0.04),
    rejects(
        "corrected_resampled_t, 20 overlapping re-splits",
        lambda rng: corrected_resampled_t(*resplits(rng, 20, 0.3), test_fraction=0.3).p,
    ),
    covers(
        "mean_difference, 5 pairs",
        lambda rng: interval(mean_difference(*pairs(rng, 5, 1.0), paired=True)),
        1.0,
    ),
    covers(
        "mean_difference, unequal sizes and spreads",
        lambda rng: interval(mean_difference(*unequal(rng), paired=False)),
        0.0,
    ),
]
