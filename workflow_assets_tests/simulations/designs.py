"""How often effects of factors err, how often intervals hold variances, and what taking wells for plates would do."""

import numpy as np

from workflow_assets.levels import Levels
from workflow_assets.stats.components import variance_components
from workflow_assets.stats.factors import factor_effects
from workflow_assets.stats.means import paired_t
from workflow_assets_tests.simulations.trials import Simulation, covers, rejects

GRID = {"a": ["0", "0", "1", "1", "2", "2"], "b": ["0", "1"] * 3}
SPREADS = np.array([0.2, 0.2, 1.0, 1.0, 3.0, 3.0])[:, np.newaxis]
WELLS = {f"P{plate}/{well}": (f"P{plate}", str(well)) for plate in range(6) for well in range(5)}
PLATES = Levels(("plate", "well"), WELLS, unit="plate")


def alike(rng, n=8):
    """Draw treatments that scatter alike around the level of their replicate."""
    return rng.normal(size=n) + rng.normal(size=(6, n))


def unlike(rng, n=8):
    """Draw treatments that scatter differently, and follow their replicate's level in different degrees."""
    return rng.normal(size=n) * np.arange(6)[:, np.newaxis] + SPREADS * rng.normal(size=(6, n))


def gaps(rng):
    table = alike(rng)
    table.ravel()[rng.choice(table.size, 8, replace=False)] = np.nan
    return table


def term(table, place, **options):
    return factor_effects(table, GRID, **options).terms[place]


def bounds(one):
    return one.low, one.high


def nested(rng, ragged=False):
    """Draw sites in wells in plates: variances 2, 1 and 0.5."""
    plates, wells, _ = np.indices((8, 4, 3)).reshape(3, -1)
    y = (
        rng.normal(0, np.sqrt(2), 8)[plates]
        + rng.normal(size=(8, 4))[plates, wells]
        + rng.normal(0, np.sqrt(0.5), 96)
    )
    kept = rng.random(96) < (0.8 if ragged else 2)
    levels = {"plate": plates[kept].astype(str), "well": wells[kept].astype(str)}
    return variance_components(y[kept], {name: list(of) for name, of in levels.items()}).components


def crossing(rng):
    """Draw initialisations × splits: variances 0.5, 2 and 1."""
    inits, splits = np.indices((5, 10)).reshape(2, -1)
    y = rng.normal(0, np.sqrt(0.5), 5)[inits] + rng.normal(0, np.sqrt(2), 10)[splits] + rng.normal(size=50)
    levels = {"init": list(inits.astype(str)), "split": list(splits.astype(str))}
    return variance_components(y, levels, crossed=True).components


def groups(rng, count=20):
    """Draw groups of unequal size: variances 1 and 1."""
    codes = np.repeat(np.arange(count), rng.integers(2, 6, count))
    y = rng.normal(size=count)[codes] + rng.normal(size=codes.size)
    return variance_components(y, {"group": list(codes.astype(str))}).components


def plate_effects(rng):
    """Draw differences of wells whose plates respond differently, on average not at all."""
    shift = np.repeat(rng.normal(size=6), 5)
    return dict(zip(WELLS, shift + rng.normal(size=30), strict=True))


def plate_p(rng):
    x, y, _ = PLATES.align(plate_effects(rng), dict.fromkeys(WELLS, 0.0), paired=True)
    return paired_t(list(x.values()), list(y.values())).p


def well_p(rng):
    return paired_t(list(plate_effects(rng).values()), [0.0] * 30).p


# Five blocks of three, of the treatments of the grid: each factor is partly confounded with blocks.
DEALT = [0, 3, 4, 1, 2, 5, 0, 2, 5, 1, 3, 4, 0, 1, 2]
RUNS = {name: [levels[place] for place in DEALT] for name, levels in GRID.items()}
DAYS = [day for day in "abcde" for _ in range(3)]


def in_blocks(rng, place, adjusted=True, **options):
    """Draw values that only blocks and replicates differ by; give the p of a term."""
    table = rng.normal(0.0, 3.0, 5).repeat(3)[:, np.newaxis] + rng.normal(size=8) + rng.normal(size=(15, 8))
    return factor_effects(table, RUNS, blocks=DAYS if adjusted else None, **options).terms[place].p


def one_replicate(rng):
    """Draw complete blocks of the grid, run once."""
    table = rng.normal(0.0, 3.0, 4).repeat(6)[:, np.newaxis] + rng.normal(size=(24, 1))
    runs = {name: levels * 4 for name, levels in GRID.items()}
    return factor_effects(table, runs, blocks=list(np.repeat(list("abcd"), 6)), pooled=True).terms[0].p


SIMULATIONS = [
    rejects(
        "factor_effects, main effect, spreads differ",
        lambda rng: term(unlike(rng), 0).p,
        least=0.03,
        fast=200,
    ),
    rejects("factor_effects, two levels, spreads differ", lambda rng: term(unlike(rng), 1).p, fast=200),
    rejects(
        "factor_effects, interaction, spreads differ",
        lambda rng: term(unlike(rng), 2).p,
        least=0.03,
        fast=200,
    ),
    rejects("factor_effects, pooled, main effect, gaps", lambda rng: term(gaps(rng), 0, pooled=True).p),
    rejects("factor_effects, pooled, interaction, gaps", lambda rng: term(gaps(rng), 2, pooled=True).p),
    covers(
        "factor_effects, difference", lambda rng: bounds(term(unlike(rng), 0).contrasts[1]), 0.0, fast=200
    ),
    covers(
        "factor_effects, pooled, interaction, gaps",
        lambda rng: bounds(term(gaps(rng), 2, pooled=True).contrasts[1]),
        0.0,
    ),
    rejects("factor_effects, incomplete blocks, two levels", lambda rng: in_blocks(rng, 1), fast=200),
    rejects(
        "factor_effects, incomplete blocks, three levels", lambda rng: in_blocks(rng, 0), least=0.03, fast=200
    ),
    rejects(
        "factor_effects, incomplete blocks, pooled, two levels", lambda rng: in_blocks(rng, 1, pooled=True)
    ),
    rejects("factor_effects, complete blocks, one replicate", one_replicate),
    Simulation(
        "factor_effects, incomplete blocks not adjusted for: rejects a true null hypothesis",
        lambda rng: in_blocks(rng, 1, adjusted=False) <= 0.05,
        0.2,
        0.8,
    ),
    Simulation(
        "factor_effects, incomplete blocks not adjusted for, pooled: rejects a true null hypothesis",
        lambda rng: in_blocks(rng, 1, adjusted=False, pooled=True) <= 0.05,
        0.1,
        0.8,
    ),
    covers("variance_components, plates", lambda rng: bounds(nested(rng)[0]), 2.0, fast=200),
    covers("variance_components, wells in plates", lambda rng: bounds(nested(rng)[1]), 1.0, fast=200),
    covers("variance_components, sites in wells", lambda rng: bounds(nested(rng)[2]), 0.5, fast=200),
    covers("variance_components, initialisations", lambda rng: bounds(crossing(rng)[0]), 0.5),
    covers("variance_components, splits", lambda rng: bounds(crossing(rng)[1]), 2.0),
    covers("variance_components, initialisations × splits", lambda rng: bounds(crossing(rng)[2]), 1.0),
    covers(
        "variance_components, 20 groups of unequal size",
        lambda rng: bounds(groups(rng)[0]),
        1.0,
        fast=8,
        full=1000,
    ),
    covers(
        "variance_components, within groups of unequal size",
        lambda rng: bounds(groups(rng)[1]),
        1.0,
        fast=8,
        full=1000,
    ),
    rejects("paired_t, wells averaged to plates", plate_p),
    Simulation(
        "paired_t, wells taken for plates: rejects a true null hypothesis",
        lambda rng: well_p(rng) <= 0.05,
        0.2,
        0.5,
    ),
]
