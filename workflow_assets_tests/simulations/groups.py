"""How often tests of several treatments err, and how often their intervals hold all true differences at once."""

import numpy as np

from workflow_assets.stats.omnibus import (
    anova,
    cochran_q,
    friedman,
    kruskal_wallis,
    repeated_measures_anova,
    welch_anova,
)
from workflow_assets.stats.posthoc import dunnett, games_howell, nemenyi, ranks_against, tukey
from workflow_assets.stats.rankings import rank_bootstrap, rank_intervals
from workflow_assets_tests.simulations.trials import Simulation, rejects

SHIFTS = np.array([0.0, 0.5, 1.0, 2.0])


def independent(rng, sizes, spreads=(1.0, 1.0, 1.0, 1.0), shifts=(0.0, 0.0, 0.0, 0.0)):
    """Draw normal groups."""
    return {
        str(i): rng.normal(shift, spread, size)
        for i, (size, spread, shift) in enumerate(zip(sizes, spreads, shifts, strict=False))
    }


def blocks(rng, n, k=4, shifts=0.0, spreads=1.0):
    """Draw aligned treatments which share the levels of their blocks."""
    table = rng.normal(size=n) * 2 + (rng.normal(size=(n, k)) * spreads + shifts).T
    return {str(i): row for i, row in enumerate(table)}


def passed(rng, n, k=4):
    """Draw aligned 0/1 values, some blocks being harder than others."""
    return {str(i): row for i, row in enumerate(rng.random((k, n)) < rng.beta(2, 2, size=n))}


def smallest(result):
    return min(pair.p for pair in result.pairs)


def holds_all(result, shifts):
    """Say whether all intervals hold their true differences."""
    return all(pair.low <= shifts[int(pair.x)] - shifts[int(pair.y)] <= pair.high for pair in result.pairs)


def covers_all(name, trial, low=0.935, high=0.965, **counts):
    return Simulation(f"{name}: its intervals hold all true differences", trial, low, high, **counts)


def ranks_held(rng):
    """Say whether the intervals of ranks hold the true ones, two treatments being equal: either may come first."""
    result = tukey(blocks(rng, 10, shifts=np.array([0.0, 0.0, 1.0, 3.0])), paired=True)
    intervals = dict(rank_intervals(result, best="max"))
    true = {"0": (3, 4), "1": (3, 4), "2": (2, 2), "3": (1, 1)}
    return all(low <= true[name][0] and true[name][1] <= high for name, (low, high) in intervals.items())


def bootstrap_held(rng):
    """Say whether the resampled ranks of the middle one of three different treatments hold its true rank."""
    table = blocks(rng, 20, k=3, shifts=np.array([0.0, 0.3, 2.0]))
    standings = rank_bootstrap(table, best="max", paired=True, rng=rng, resamples=199)
    return next(one.low <= 2 <= one.high for one in standings if one.name == "1")


SIZES, SPREADS = (6, 10, 15, 20), (3.0, 2.0, 1.0, 1.0)
FEW = {"fast": 25, "full": 5_000}

SIMULATIONS = [
    rejects("anova, 4 groups of 3 to 8", lambda rng: anova(independent(rng, (3, 4, 6, 8))).p),
    rejects(
        "welch_anova, unequal sizes of 12 and more, unequal spreads",
        lambda rng: welch_anova(independent(rng, (12, 16, 20, 24), SPREADS)).p,
    ),
    rejects(
        "welch_anova, 4 values in that which spreads most",
        lambda rng: welch_anova(independent(rng, (4, 6, 8, 10), SPREADS)).p,
        most=0.07,
    ),
    rejects(
        "kruskal_wallis, 4 groups of 5", lambda rng: kruskal_wallis(independent(rng, [5] * 4)).p, least=0.02
    ),
    rejects(
        "repeated_measures_anova, 10 blocks",
        lambda rng: repeated_measures_anova(blocks(rng, 10)).p,
        least=0.02,
    ),
    rejects(
        "repeated_measures_anova, 15 blocks, unequal spreads",
        lambda rng: repeated_measures_anova(blocks(rng, 15, spreads=np.array([0.2, 0.5, 1, 3]))).p,
        least=0.03,
    ),
    rejects("friedman, 10 blocks", lambda rng: friedman(blocks(rng, 10)).p, least=0.035),
    rejects("cochran_q, 40 blocks", lambda rng: cochran_q(passed(rng, 40)).p, least=0.04),
    rejects(
        "dunnett, unequal sizes", lambda rng: smallest(dunnett(independent(rng, SIZES), control="0")), **FEW
    ),
    rejects(
        "dunnett, blocks", lambda rng: smallest(dunnett(blocks(rng, 6), control="0", paired=True)), **FEW
    ),
    rejects(
        "dunnett, one-sided",
        lambda rng: smallest(dunnett(independent(rng, [5] * 4), control="0", alternative="greater")),
        **FEW,
    ),
    rejects("tukey, 4 groups of 5", lambda rng: smallest(tukey(independent(rng, [5] * 4))), **FEW),
    rejects(
        "games_howell, unequal sizes and spreads",
        lambda rng: smallest(games_howell(independent(rng, SIZES, SPREADS))),
        least=0.03,
        fast=2,
        full=2_000,
    ),
    rejects("nemenyi, 12 blocks", lambda rng: smallest(nemenyi(blocks(rng, 12))), least=0.03, **FEW),
    rejects(
        "ranks_against, 12 blocks",
        lambda rng: smallest(ranks_against(blocks(rng, 12), control="0")),
        least=0.025,
        **FEW,
    ),
    covers_all(
        "dunnett, unequal sizes",
        lambda rng: holds_all(dunnett(independent(rng, SIZES, shifts=SHIFTS), control="0"), SHIFTS),
        **FEW,
    ),
    covers_all(
        "tukey, blocks",
        lambda rng: holds_all(tukey(blocks(rng, 6, shifts=SHIFTS), paired=True), SHIFTS),
        **FEW,
    ),
    covers_all(
        "games_howell, unequal sizes and spreads",
        lambda rng: holds_all(games_howell(independent(rng, SIZES, SPREADS, SHIFTS)), SHIFTS),
        fast=2,
        full=2_000,
    ),
    Simulation(
        "rank_intervals, two of four treatments equal: hold all true ranks", ranks_held, 0.95, 1.0, **FEW
    ),
    Simulation(
        "rank_bootstrap, treatments that differ: holds the true rank", bootstrap_held, 0.935, 1.0, fast=50
    ),
]
