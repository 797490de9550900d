"""How often tests err that are looked at again and again, and what it costs that they do not."""

import numpy as np
from scipy import special

from workflow_assets.stats.martingales import running_squares
from workflow_assets.stats.means import paired_t
from workflow_assets.stats.sequences import (
    Until,
    sequential,
    sequential_mean_difference,
    sequential_shares,
    sequential_t,
)
from workflow_assets_tests.simulations.means import interval
from workflow_assets_tests.simulations.trials import Simulation, covers, rejects


def differences(values):
    return values, np.zeros(values.size)


def greater(values, **options):
    return sequential_t(*differences(values), alternative="greater", **options).p


def naive(values, looks):
    """Give the smallest p of two-sided t-tests, one at each look."""
    n = np.arange(1.0, values.size + 1)
    mean, squares = running_squares(values)
    t = mean[looks - 1] * np.sqrt((n * (n - 1))[looks - 1] / squares[looks - 1])
    return 2 * special.stdtr(looks - 1.0, -np.abs(t)).min()


def skewed(rng, n):
    """Draw differences of mean 0 whose long tail is on the side that the claim does not look at."""
    return 1.0 - rng.exponential(size=n)


def last(course):
    """Give the intersection of all intervals of a sequence."""
    return course.low[-1], course.high[-1]


def flips(rng, n, chance, other):
    return rng.random(n) < chance, rng.random(n) < other


def topped_up(rng, ask):
    """Add replicates until the claim is supported, at most 60; give the last p."""
    until, n, p = Until(n_max=60, first=5, batch=5), 0, 1.0
    values = rng.normal(size=until.n_max)
    while more := until.next_n(n, decisions=["supported" if p <= 0.05 else "inconclusive"]):
        n = more
        p = ask(*differences(values[:n])).p
    return p


SIMULATIONS = [
    Simulation(
        "paired_t, looked at after each of 5 to 34 pairs: rejects a true null hypothesis",
        lambda rng: naive(rng.normal(size=34), np.arange(5, 35)) <= 0.05,
        0.20,
        0.30,
    ),
    Simulation(
        "paired_t, looked at after each of 30 batches of 10 pairs: rejects a true null hypothesis",
        lambda rng: naive(rng.normal(size=300), np.arange(10, 301, 10)) <= 0.05,
        0.25,
        0.33,
    ),
    rejects(
        "sequential_t, looked at after each of 34 pairs",
        lambda rng: sequential_t(*differences(rng.normal(size=34))).p,
        least=0.01,
    ),
    rejects(
        "sequential_t, one-sided, looked at after each of 300 pairs",
        lambda rng: greater(rng.normal(size=300)),
        least=0.01,
    ),
    rejects(
        "sequential_t, unpaired arms of unequal spread",
        lambda rng: sequential_t(rng.normal(0, 3, 40), rng.normal(0, 1, 50), paired=False).p,
        least=0.01,
    ),
    rejects(
        "sequential_t, equivalence at its edge, 100 pairs",
        lambda rng: sequential_t(
            *differences(rng.normal(1.0, 1.0, 100)), alternative="equivalent", margin=1.0
        ).p,
        least=0.01,
    ),
    rejects(
        "sequential_t, heavy-tailed symmetric differences, 100 pairs",
        lambda rng: greater(rng.standard_t(3, 100)),
        least=0.005,
    ),
    Simulation(
        "sequential_t, differences of +1 and -1, 100 pairs: rejects a true null hypothesis",
        lambda rng: greater(np.sign(rng.random(100) - 0.5)) <= 0.05,
        0.03,
        0.065,
    ),
    Simulation(
        "sequential_t, skewed differences, first look after 1 of 100 pairs: rejects a true null hypothesis",
        lambda rng: greater(skewed(rng, 100)) <= 0.05,
        0.10,
        0.20,
    ),
    Simulation(
        "sequential_t, skewed differences, first look after 30 of 130 pairs: rejects a true null hypothesis",
        lambda rng: sequential(*differences(skewed(rng, 130)), alternative="greater", first=30).p[-1] <= 0.05,
        0.02,
        0.08,
        fast=50,
        full=4_000,
    ),
    covers(
        "sequential, all bounds of 40 looks at once",
        lambda rng: last(sequential(*differences(rng.normal(0.5, 1.0, 40)))),
        0.5,
        low=0.95,
        high=0.995,
        fast=100,
        full=10_000,
    ),
    covers(
        "sequential_mean_difference, 20 pairs",
        lambda rng: interval(sequential_mean_difference(*differences(rng.normal(size=20)), paired=True)),
        0.0,
        low=0.95,
        high=1.0,
        fast=100,
    ),
    rejects(
        "sequential_shares, 60 pairs of 9 in 10",
        lambda rng: sequential_shares(*flips(rng, 60, 0.9, 0.9)).p,
        least=0.0,
        fast=100,
    ),
    rejects(
        "sequential_shares, unpaired, non-inferiority at its edge",
        lambda rng: sequential_shares(
            *flips(rng, 100, 0.6, 0.8), paired=False, alternative="greater", margin=-0.2
        ).p,
        least=0.005,
        fast=100,
    ),
    covers(
        "sequential, all bounds of shares at once",
        lambda rng: last(sequential(*flips(rng, 40, 0.8, 0.5), test="sequential_shares")),
        0.3,
        low=0.95,
        high=1.0,
        fast=50,
        full=4_000,
    ),
    rejects(
        "sequential_t, topped up by fives until supported", lambda rng: topped_up(rng, sequential_t), least=0.01,
        fast=100,
    ),
    Simulation(
        "paired_t, topped up by fives until supported: rejects a true null hypothesis",
        lambda rng: topped_up(rng, paired_t) <= 0.05,
        0.15,
        0.30,
        fast=100,
    ),
    Simulation(
        "paired_t, 11 pairs, an effect of 1 sd: found",
        lambda rng: paired_t(*differences(rng.normal(1, 1, 11)), alternative="greater").p <= 0.05,
        0.89,
        0.95,
    ),
    Simulation(
        "sequential_t, at most 11 pairs, an effect of 1 sd: found",
        lambda rng: greater(rng.normal(1, 1, 11)) <= 0.05,
        0.55,
        0.68,
    ),
    Simulation(
        "sequential_t, at most 18 pairs, an effect of 1 sd: found",
        lambda rng: greater(rng.normal(1, 1, 18)) <= 0.05,
        0.88,
        0.94,
    ),
]  # fmt: skip
