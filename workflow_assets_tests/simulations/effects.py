"""How often the intervals of effects hold the true value, and how often the bootstrap test errs."""

import numpy as np
from scipy import special

from workflow_assets.stats.bootstraps import bootstrap, bootstrap_interval, bootstrap_mean_difference
from workflow_assets.stats.dominances import cliffs_delta, superiority
from workflow_assets.stats.locations import hodges_lehmann, iqm_difference, median_difference, ratio_of_means
from workflow_assets.stats.standardised import cohens_d, cohens_dz, hedges_g
from workflow_assets_tests.simulations.means import interval, pairs, unequal
from workflow_assets_tests.simulations.trials import Simulation, covers, rejects

RESAMPLES = 999
SOME = {"fast": 200}
FEW = {"fast": 100, "full": 5_000}

# Of pairs whose differences, and whose arms, have a standard deviation of the root of 2; of arms that have 1.
D = 1 / np.sqrt(2)
WINS = special.ndtr(D)


def arms(n, m, shift=0.0):
    """Draw two independent normal arms."""
    return lambda rng: (rng.normal(shift, 1.0, n), rng.normal(0.0, 1.0, m))


def partners(n, shift=0.0):
    """Draw normal pairs."""
    return lambda rng: pairs(rng, n, shift)


def skewed(n, m):
    """Draw two arms of one skewed distribution."""
    return lambda rng: (rng.exponential(size=n), rng.exponential(size=m))


def skewed_pairs(n):
    """Draw pairs whose differences are skewed, with a mean of 0."""
    return lambda rng: (rng.exponential(size=n), np.ones(n))


def outliers(n, m):
    """Draw two arms without a variance."""
    return lambda rng: (rng.standard_t(2, n), rng.standard_t(2, m))


def positive(rng):
    """Draw arms of which one is twice as large, and spreads three times as much."""
    return rng.normal(20, 3, 8), rng.normal(10, 1, 12)


def positive_pairs(rng):
    """Draw pairs that share their level, of which one is twice as large."""
    x, y = pairs(rng, 10)
    return x + 20, y + 10


def holds(effect, draw, truth, said, **options):
    """Simulate the coverage of an effect's interval."""
    given = SOME | {key: options.pop(key) for key in ("low", "high", "fast", "full") if key in options}
    design = "pairs" if options["paired"] else "arms"
    return covers(
        f"{effect.__name__}, {design}: {said}",
        lambda rng: interval(effect(*draw(rng), **options)),
        truth,
        **given,
    )


def drawn(effect, draw, truth, said, **options):
    """Simulate the same of an effect that draws."""

    def asked(rng):
        return interval(effect(*draw(rng), paired=options["paired"], rng=rng, resamples=RESAMPLES))

    given = {**FEW, **{key: value for key, value in options.items() if key in ("low", "high")}}
    design = "pairs" if options["paired"] else "arms"
    return covers(f"{effect.__name__}, {design}: {said}", asked, truth, **given)


def means(method, draw, said, **bounds):
    """Simulate a bootstrap interval of the difference of two means."""

    def asked(rng):
        return bootstrap_interval(
            lambda x, y: x.mean(axis=-1) - y.mean(axis=-1), *draw(rng),
            paired=False, rng=rng, method=method, resamples=RESAMPLES,
        )[1:]  # fmt: skip

    return covers(f"bootstrap_interval, {method}: {said}", asked, 0.0, **FEW, **bounds)


def errs(draw, said, paired, most=0.05):
    """Simulate the bootstrap test of a true null hypothesis, which may err up to so often."""
    one = rejects(
        f"bootstrap, {'pairs' if paired else 'arms'}: {said}",
        lambda rng: bootstrap(*draw(rng), paired=paired, rng=rng, resamples=RESAMPLES).p,
        least=0.04,
        **FEW,
    )
    return one if most == 0.05 else Simulation(one.name, one.trial, one.low, most, one.fast, one.full)


SIMULATIONS = [
    holds(cohens_d, arms(8, 12, 1.0), 1.0, "8 and 12 normal values", paired=False, fast=100),
    holds(cohens_d, partners(6, 1.0), D, "6 normal", paired=True, fast=100),
    holds(cohens_dz, partners(5, 1.0), D, "5 normal", paired=True, fast=100),
    holds(hedges_g, arms(8, 12, 1.0), 1.0, "8 and 12 normal values", paired=False, fast=100),
    holds(cliffs_delta, arms(20, 20, 1.0), 2 * WINS - 1, "20 and 20 values", paired=False),
    holds(superiority, arms(20, 20, 1.0), WINS, "20 and 20 values", paired=False),
    holds(superiority, partners(40, 1.0), WINS, "40", paired=True),
    # The sign test's interval has the confidence that its steps allow.
    holds(median_difference, partners(12, 1.0), 1.0, "12 normal", paired=True),
    holds(median_difference, skewed_pairs(20), np.log(2) - 1, "20 skewed", paired=True),
    holds(median_difference, partners(10, 1.0), 1.0, "10 normal, steps", paired=True, low=0.97, high=0.985),
    holds(median_difference, arms(8, 12, 1.0), 1.0, "8 and 12 normal values", paired=False),
    holds(median_difference, skewed(20, 20), 0.0, "20 and 20 skewed values", paired=False),
    holds(median_difference, outliers(30, 30), 0.0, "30 and 30 values with outliers", paired=False),
    holds(median_difference, unequal, 0.0, "unequal sizes and spreads", paired=False),
    holds(hodges_lehmann, partners(10, 1.0), 1.0, "10 normal, exact", paired=True),
    holds(hodges_lehmann, partners(60, 1.0), 1.0, "60 normal, approximate", paired=True),
    holds(hodges_lehmann, arms(8, 12, 1.0), 1.0, "8 and 12 normal values, exact", paired=False),
    holds(hodges_lehmann, outliers(60, 30), 0.0, "60 and 30 values with outliers, approximate", paired=False),
    holds(ratio_of_means, positive_pairs, 2.0, "10 normal", paired=True),
    holds(ratio_of_means, positive, 2.0, "8 and 12 normal values", paired=False),
    drawn(iqm_difference, partners(20), 0.0, "20 normal", paired=True),
    drawn(iqm_difference, arms(20, 20), 0.0, "20 and 20 normal values", paired=False),
    drawn(iqm_difference, outliers(20, 20), 0.0, "20 and 20 values with outliers", paired=False),
    # Percentile and BCa of means: their domain, and what becomes of them before it and beside it.
    means("percentile", arms(40, 40), "40 and 40 normal values"),
    means("bca", arms(40, 40), "40 and 40 normal values"),
    means("percentile", arms(10, 10), "10 and 10 normal values, too few", low=0.90, high=0.945),
    means("bca", arms(10, 10), "10 and 10 normal values, too few", low=0.90, high=0.945),
    means("bca", arms(5, 5), "5 and 5 normal values, far too few", low=0.84, high=0.92),
    drawn(bootstrap_mean_difference, partners(8), 0.0, "8 normal", paired=True),
    drawn(bootstrap_mean_difference, skewed_pairs(20), 0.0, "20 skewed", paired=True),
    drawn(bootstrap_mean_difference, unequal, 0.0, "unequal sizes and spreads", paired=False),
    drawn(
        bootstrap_mean_difference,
        skewed(5, 5),
        0.0,
        "5 and 5 skewed values, too few",
        paired=False,
        high=0.985,
    ),
    errs(partners(10), "10 normal", True),
    errs(arms(8, 8), "8 and 8 normal values", False),
    errs(skewed_pairs(20), "20 skewed, more than alpha", True, most=0.065),
    errs(skewed(20, 20), "20 and 20 skewed values, more than alpha", False, most=0.075),
]
