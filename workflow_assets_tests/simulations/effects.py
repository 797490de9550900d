"""How often the intervals of effects hold the true value, and how often the bootstrap test errs."""

import numpy as np
from scipy import special

from workflow_assets.stats.bootstraps import bootstrap, bootstrap_interval, bootstrap_mean_difference
from workflow_assets.stats.dominances import cliffs_delta, superiority
from workflow_assets.stats.locations import hodges_lehmann, iqm_difference, median_difference, ratio_of_means
from workflow_assets.stats.standardised import cohens_d, cohens_dz, hedges_g
from workflow_assets_tests.simulations.means import interval, pairs, unequal
from workflow_assets_tests.simulations.trials import covers, rejects

RESAMPLES = 999
SLOW = {"fast": 150, "full": 5_000}


def arms(rng, n, m, shift=0.0):
    """Draw two independent normal arms."""
    return rng.normal(shift, 1.0, n), rng.normal(0.0, 1.0, m)


def skewed(rng, n, m):
    """Draw two arms of one skewed distribution."""
    return rng.exponential(size=n), rng.exponential(size=m)


def skewed_differences(rng, n):
    """Draw pairs whose differences are skewed, with a mean of 0."""
    return rng.exponential(size=n), np.ones(n)


def heavy(rng, n, m):
    """Draw two arms with outliers."""
    return rng.standard_t(2, n), rng.standard_t(2, m)


def measured(effect, draw, **options):
    """Make a trial of an effect's interval over drawn arms."""
    return lambda rng: interval(effect(*draw(rng), **options))


def drawn(effect, draw, **options):
    """Make the same of an effect that draws."""
    return lambda rng: interval(effect(*draw(rng), rng=rng, resamples=RESAMPLES, **options))


def of_means(draw, method):
    """Make a trial of a bootstrap interval of the difference of two means."""

    def trial(rng):
        bounds = bootstrap_interval(
            lambda x, y: x.mean(axis=-1) - y.mean(axis=-1),
            *draw(rng), paired=False, rng=rng, method=method, resamples=RESAMPLES,
        )  # fmt: skip
        return bounds.low, bounds.high

    return trial


def tested(draw, paired):
    """Make a trial of the bootstrap test."""
    return lambda rng: bootstrap(*draw(rng), paired=paired, rng=rng, resamples=RESAMPLES).p


WINS = special.ndtr(1 / np.sqrt(2))

SIMULATIONS = [
    # Standardised: differences of the pairs have a standard deviation of sqrt(2), and so have the arms.
    covers(
        "cohens_d, 8 and 12 values", measured(cohens_d, lambda rng: arms(rng, 8, 12, 1.0), paired=False), 1.0
    ),
    covers(
        "cohens_d, 6 pairs", measured(cohens_d, lambda rng: pairs(rng, 6, 1.0), paired=True), 1 / np.sqrt(2)
    ),
    covers("cohens_dz, 5 pairs", measured(cohens_dz, lambda rng: pairs(rng, 5, 1.0)), 1 / np.sqrt(2)),
    covers(
        "hedges_g, 8 and 12 values", measured(hedges_g, lambda rng: arms(rng, 8, 12, 1.0), paired=False), 1.0
    ),
    # Dominances.
    covers(
        "superiority, 20 and 20 values",
        measured(superiority, lambda rng: arms(rng, 20, 20, 1.0), paired=False),
        WINS,
    ),
    covers(
        "cliffs_delta, 20 and 20 values",
        measured(cliffs_delta, lambda rng: arms(rng, 20, 20, 1.0), paired=False),
        2 * WINS - 1,
    ),
    covers(
        "superiority, 40 pairs", measured(superiority, lambda rng: pairs(rng, 40, 1.0), paired=True), WINS
    ),
    # Locations.
    covers(
        "median_difference, 12 pairs",
        measured(median_difference, lambda rng: pairs(rng, 12, 1.0), paired=True),
        1.0,
    ),
    covers(
        "median_difference, 20 pairs, skewed",
        measured(median_difference, lambda rng: skewed_differences(rng, 20), paired=True),
        np.log(2) - 1,
    ),
    covers(
        "median_difference, 10 pairs",
        measured(median_difference, lambda rng: pairs(rng, 10, 1.0), paired=True),
        1.0,
        low=0.97,
        high=0.985,
    ),
    covers(
        "median_difference, 8 and 12 values",
        measured(median_difference, lambda rng: arms(rng, 8, 12, 1.0), paired=False),
        1.0,
    ),
    covers(
        "median_difference, 20 and 20 skewed values",
        measured(median_difference, lambda rng: skewed(rng, 20, 20), paired=False),
        0.0,
    ),
    covers(
        "median_difference, 30 and 30 values with outliers",
        measured(median_difference, lambda rng: heavy(rng, 30, 30), paired=False),
        0.0,
    ),
    covers(
        "median_difference, unequal sizes and spreads",
        measured(median_difference, unequal, paired=False),
        0.0,
    ),
    covers(
        "median_difference, 5 and 5 values",
        measured(median_difference, lambda rng: arms(rng, 5, 5), paired=False),
        0.0,
    ),
    covers(
        "hodges_lehmann, 10 pairs",
        measured(hodges_lehmann, lambda rng: pairs(rng, 10, 1.0), paired=True),
        1.0,
    ),
    covers(
        "hodges_lehmann, 60 pairs",
        measured(hodges_lehmann, lambda rng: pairs(rng, 60, 1.0), paired=True),
        1.0,
    ),
    covers(
        "hodges_lehmann, 8 and 12 values",
        measured(hodges_lehmann, lambda rng: arms(rng, 8, 12, 1.0), paired=False),
        1.0,
    ),
    covers(
        "hodges_lehmann, 60 and 30 values",
        measured(hodges_lehmann, lambda rng: heavy(rng, 60, 30), paired=False),
        0.0,
    ),
    covers(
        "ratio_of_means, 10 pairs",
        measured(ratio_of_means, lambda rng: np.add(pairs(rng, 10), [[20.0], [10.0]]), paired=True),
        2.0,
    ),
    covers(
        "ratio_of_means, 8 and 12 values",
        measured(
            ratio_of_means,
            lambda rng: np.array([rng.normal(20, 3, 8), rng.normal(10, 1, 12)], dtype=object),
            paired=False,
        ),
        2.0,
    ),
    *[
        covers(
            f"iqm_difference, {n} and {n} values",
            drawn(iqm_difference, lambda rng, n=n: arms(rng, n, n), paired=False),
            0.0,
            **SLOW,
        )
        for n in (5, 10, 20, 30)
    ],
    *[
        covers(
            f"iqm_difference, {n} pairs",
            drawn(iqm_difference, lambda rng, n=n: pairs(rng, n), paired=True),
            0.0,
            **SLOW,
        )
        for n in (10, 20, 30)
    ],
    *[
        covers(
            f"iqm_difference, {n} and {n} values with outliers",
            drawn(iqm_difference, lambda rng, n=n: heavy(rng, n, n), paired=False),
            0.0,
            **SLOW,
        )
        for n in (10, 20, 30)
    ],
    # Bootstraps.
    *[
        covers(
            f"bootstrap_interval {method}, {n} values",
            of_means(lambda rng, n=n: arms(rng, n, n), method),
            0.0,
            **SLOW,
        )
        for method in ("percentile", "bca")
        for n in (10, 30)
    ],
    *[
        covers(
            f"bootstrap_interval {method}, {n} skewed values",
            of_means(lambda rng, n=n: skewed(rng, n, n), method),
            0.0,
            **SLOW,
        )
        for method in ("percentile", "bca")
        for n in (30,)
    ],
    *[
        covers(
            f"bootstrap_mean_difference, {n} pairs",
            drawn(bootstrap_mean_difference, lambda rng, n=n: pairs(rng, n), paired=True),
            0.0,
            **SLOW,
        )
        for n in (5, 8, 10, 15, 20)
    ],
    *[
        covers(
            f"bootstrap_mean_difference, {n} skewed pairs",
            drawn(bootstrap_mean_difference, lambda rng, n=n: skewed_differences(rng, n), paired=True),
            0.0,
            **SLOW,
        )
        for n in (10, 20, 30)
    ],
    *[
        covers(
            f"bootstrap_mean_difference, {n} and {n} skewed values",
            drawn(bootstrap_mean_difference, lambda rng, n=n: skewed(rng, n, n), paired=False),
            0.0,
            **SLOW,
        )
        for n in (5, 10, 20)
    ],
    covers(
        "bootstrap_mean_difference, unequal sizes and spreads",
        drawn(bootstrap_mean_difference, unequal, paired=False),
        0.0,
        **SLOW,
    ),
    rejects("bootstrap, 10 pairs", tested(lambda rng: pairs(rng, 10), True), **SLOW),
    rejects("bootstrap, 5 pairs", tested(lambda rng: pairs(rng, 5), True), **SLOW),
    rejects("bootstrap, 10 and 15 skewed values", tested(lambda rng: skewed(rng, 10, 15), False), **SLOW),
]
