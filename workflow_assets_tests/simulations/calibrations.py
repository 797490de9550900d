"""How often a calibration finds a test that keeps its promise in order, and one that does not out of it."""

from workflow_assets.stats.calibrations import false_positive_rate
from workflow_assets.stats.means import paired_t
from workflow_assets_tests.simulations.trials import Simulation


def overconfident(x, y):
    return paired_t(x, y).p / 4


def verdict(rng, test, paired, n):
    x, y = rng.normal(0.5, 1.0, n), rng.normal(0.0, 1.0, n)
    return false_positive_rate(test, x, y, paired=paired, rng=rng, trials=150).verdict


SIMULATIONS = [
    Simulation(
        "paired_t, 20 pairs: calibrated as stated",
        lambda rng: verdict(rng, "paired_t", True, 20) == "as stated",
        0.97,
        1.0,
        fast=6,
        full=1_000,
    ),
    Simulation(
        "welch_t, 12 values an arm: calibrated as stated",
        lambda rng: verdict(rng, "welch_t", False, 12) == "as stated",
        0.97,
        1.0,
        fast=6,
        full=1_000,
    ),
    Simulation(
        "a test with a quarter of the p of paired_t: calibrated as too often wrong",
        lambda rng: verdict(rng, overconfident, True, 20) == "too often",
        0.97,
        1.0,
        fast=6,
        full=1_000,
    ),
]
