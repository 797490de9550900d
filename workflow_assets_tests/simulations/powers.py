"""Whether experiments support a true claim as often as planned, and how far posteriors can be relied on."""

import numpy as np
from scipy import stats

from workflow_assets.stats.bayes import (
    bayes_correlated_t,
    bayes_unpaired_t,
    correlated_posterior,
    unpaired_posterior,
)
from workflow_assets.stats.means import corrected_resampled_t, paired_t, welch_t
from workflow_assets.stats.permutations import sign_flip
from workflow_assets.stats.pilots import cautious_sd
from workflow_assets.stats.powers import Plan
from workflow_assets_tests.simulations.means import resplits, unequal
from workflow_assets_tests.simulations.trials import Simulation, covers, rejects


def supports(name, plan, n, trial, **counts):
    """Simulate a true claim: `trial` gives a p-value, to be at most alpha as often as the plan says."""
    power = plan.power(n)
    return Simulation(
        f"{name}: supports a true claim as planned",
        lambda rng: trial(rng) <= plan.alpha,
        power,
        power,
        **counts,
    )


def shifted(rng, n, shift):
    """Draw differences of standard deviation 1 about a shift, and the zeros to compare them with."""
    return rng.normal(shift, 1.0, n), np.zeros(n)


def few(rng, shift=0.0):
    return rng.normal(shift, 1.0, 5), rng.normal(0.0, 3.0, 15)


def overlapping(rng, n, fraction, shift):
    """Draw re-splits whose differences have a standard deviation of 1, as a sample shows it."""
    x, y = resplits(rng, n, fraction)
    return x / np.sqrt(1 - fraction) + shift, y


def discordant(rng, n, won, lost):
    """Draw pairs of 0/1 values of which only one is 1 in these shares."""
    drawn = rng.random(n)
    return (drawn < won).astype(float), ((drawn >= won) & (drawn < won + lost)).astype(float)


def fisher(rng, n, shares):
    x, y = rng.binomial(n, shares)
    return stats.fisher_exact(np.array([[x, n - x], [y, n - y]]), alternative="greater").pvalue


RESPLIT = {"test_fraction": 0.3}

SIMULATIONS = [
    *(
        supports(
            f"paired_t, {n} pairs",
            Plan("paired_t", effect=0.5, sd=1.0),
            n,
            lambda rng, n=n: paired_t(*shifted(rng, n, 0.5), alternative="greater").p,
        )
        for n in (4, 15, 40)
    ),
    supports(
        "paired_t, two-sided beyond a margin",
        Plan("paired_t", effect=-1.0, sd=1.0, alternative="two-sided", margin=0.2),
        12,
        lambda rng: paired_t(*shifted(rng, 12, -1.0), margin=0.2).p,
    ),
    supports(
        "paired_t, equivalence",
        Plan("paired_t", effect=0.1, sd=1.0, alternative="equivalent", margin=0.6),
        25,
        lambda rng: paired_t(*shifted(rng, 25, 0.1), alternative="equivalent", margin=0.6).p,
    ),
    supports(
        "welch_t, 5 against 15 that spread more",
        Plan("welch_t", effect=2.0, sd=(1.0, 3.0)),
        (5, 15),
        lambda rng: welch_t(*few(rng, 2.0), alternative="greater").p,
    ),
    supports(
        "welch_t, equivalence",
        Plan("welch_t", effect=0.5, sd=(1.0, 3.0), alternative="equivalent", margin=3.0),
        (5, 15),
        lambda rng: welch_t(*few(rng, 0.5), alternative="equivalent", margin=3.0).p,
    ),
    supports(
        "corrected_resampled_t, 15 overlapping re-splits",
        Plan("corrected_resampled_t", effect=1.5, sd=1.0, test_fraction=0.3),
        15,
        lambda rng: (
            corrected_resampled_t(*overlapping(rng, 15, 0.3, 1.5), alternative="greater", **RESPLIT).p
        ),
    ),
    supports(
        "mcnemar, 40 pairs",
        Plan("mcnemar", shares=(0.3, 0.1)),
        40,
        lambda rng: sign_flip(*discordant(rng, 40, 0.3, 0.1), alternative="greater").p,
    ),
    supports(
        "fisher_exact, 20 and 20 values",
        Plan("fisher_exact", shares=(0.8, 0.4)),
        20,
        lambda rng: fisher(rng, 20, (0.8, 0.4)),
        fast=200,
    ),
    Simulation(
        "cautious_sd, 6 pairs: is not too small",
        lambda rng: cautious_sd(*shifted(rng, 6, 0.0), paired=True, confidence=0.8) >= 1.0,
        0.8,
        0.8,
    ),
    rejects(
        "bayes_correlated_t, 20 overlapping re-splits, greater",
        lambda rng: bayes_correlated_t(*resplits(rng, 20, 0.3), alternative="greater", **RESPLIT).p,
    ),
    rejects(
        "bayes_correlated_t, 10 pairs at the edge of a region, two-sided",
        lambda rng: bayes_correlated_t(*shifted(rng, 10, 0.3), margin=0.3).p,
        least=0.025,
    ),
    rejects(
        "bayes_correlated_t, 10 pairs at the edge of a region, equivalence",
        lambda rng: bayes_correlated_t(*shifted(rng, 10, 0.8), alternative="equivalent", margin=0.8).p,
        least=0.02,
    ),
    rejects(
        "bayes_unpaired_t, unequal sizes and spreads, greater",
        lambda rng: bayes_unpaired_t(*unequal(rng), alternative="greater").p,
        least=0.035,
        fast=200,
    ),
    covers(
        "correlated_posterior, 20 overlapping re-splits",
        lambda rng: correlated_posterior(*resplits(rng, 20, 0.3), test_fraction=0.3).interval(),
        0.0,
    ),
    covers(
        "unpaired_posterior, unequal sizes and spreads",
        lambda rng: unpaired_posterior(*unequal(rng)).interval(),
        0.0,
        fast=100,
        full=10_000,
    ),
    covers(
        "unpaired_posterior, 4 and 4 values, outside its domain",
        lambda rng: unpaired_posterior(*rng.normal(size=(2, 4))).interval(),
        0.0,
        high=0.99,
        fast=100,
        full=10_000,
    ),
]
