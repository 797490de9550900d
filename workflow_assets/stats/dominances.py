"""Dominances: how much more often x is larger than y than it is smaller."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.effects import Effect, prepare, upper
from workflow_assets.stats.samples import FloatArray, as_sample


def cliffs_delta(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say how much more often x is larger than y than it is smaller: from -1 (never) through 0 to 1 (always).

    Unpaired: every value of x against every value of y (Cliff 1993). The interval is the asymmetric one of Feng and
    Cliff (2004) with Cliff's (1996) consistent variance and normal quantiles. Where the arms do not overlap at all it
    is their equation 8, a Wilson interval with as many trials as the smaller arm has values.

    Paired: each value of x against its own partner only (Cliff's within-pair dominance d_w), so that 1 means "in every
    replicate", with Tango's (1998) score interval for a difference of paired proportions. Differences that are only
    rounding count as ties.

    Neither interval leaves [-1, 1] nor loses its width at the ends. Sorts, and never builds the table of all pairs.

    >>> cliffs_delta([3.0, 4.0, 5.0], [1.0, 2.0, 3.5], paired=False)
    Effect(name='cliffs_delta', estimate=0.777..., low=-0.388..., high=0.986..., confidence=0.95, estimand='...')
    """
    samples = prepare(x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation)
    z = float(special.ndtri(upper(confidence))) * math.sqrt(variance_inflation)
    if paired:
        signs = np.sign(samples.differences())
        estimate, low, high = _tango(int(np.sum(signs > 0)), int(np.sum(signs < 0)), signs.size, z)
        estimand = "the probability that x exceeds y in the same pair, minus the probability of the reverse"
    else:
        # As the user has them: what is next to nothing beside the largest would tie with 0 in the samples' unit.
        estimate, low, high = _feng_cliff(as_sample(x, "x"), as_sample(y, "y"), z)
        estimand = (
            "the probability that a value of x exceeds a value of y, minus the probability of the reverse"
        )
    return Effect("cliffs_delta", estimate, low, high, confidence, estimand)


def superiority(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    paired: bool,
    confidence: float = 0.95,
    variance_inflation: float = 1.0,
) -> Effect:
    """Say how probable it is that x is larger than y, a tie counting half: from 0 (never) through 0.5 to 1 (always).

    The common-language effect (McGraw and Wong 1992; Vargha and Delaney's 2000 A), without normal arms:
    P(x > y) + P(x = y) / 2, which is (1 + `cliffs_delta`) / 2, as are the bounds of its interval. Paired: each value
    of x against its own partner only. R: effectsize::p_superiority(x, y, parametric = FALSE).

    >>> effect = superiority([3.0, 4.0, 5.0], [1.0, 2.0, 3.5], paired=False)
    >>> round(effect.estimate, 4), round(effect.low, 4), round(effect.high, 4)
    (0.8889, 0.3059, 0.9932)
    """
    delta = cliffs_delta(x, y, paired=paired, confidence=confidence, variance_inflation=variance_inflation)
    where = "in the same pair" if paired else "when a value of each is drawn"
    return dataclasses.replace(
        delta,
        name="superiority",
        estimate=(1 + delta.estimate) / 2,
        low=(1 + delta.low) / 2,
        high=(1 + delta.high) / 2,
        estimand=f"the probability that x exceeds y {where}, plus half the probability of a tie",
    )


def _feng_cliff(x: FloatArray, y: FloatArray, z: float) -> tuple[float, float, float]:
    """Give Cliff's delta of two unpaired arms and its interval."""
    n_x, n_y = x.size, y.size
    below_x, above_x = _counts(x, y)
    below_y, above_y = _counts(y, x)
    wins, losses = int(below_x.sum()), int(above_x.sum())
    delta = (wins - losses) / (n_x * n_y)
    if abs(delta) == 1:
        trials = min(n_x, n_y)
        bound = (trials - z**2) / (trials + z**2)
        return (1.0, bound, 1.0) if delta > 0 else (-1.0, -1.0, -bound)
    rows = float(np.sum(((below_x - above_x) / n_y - delta) ** 2)) / (n_x - 1)
    columns = float(np.sum(((above_y - below_y) / n_x - delta) ** 2)) / (n_y - 1)
    ties = n_x * n_y - wins - losses
    squares = wins * (1 - delta) ** 2 + losses * (1 + delta) ** 2 + ties * delta**2
    cells = squares / ((n_x - 1) * (n_y - 1))
    variance = ((n_y - 1) * rows + (n_x - 1) * columns + cells) / (n_x * n_y)
    middle, spread = 1 - delta**2, z**2 * variance
    reach = math.sqrt(spread * (middle**2 + spread))
    low, high = ((delta * middle + side * reach) / (middle + spread) for side in (-1, 1))
    return delta, min(low, delta), max(high, delta)


def _counts(values: FloatArray, others: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Count for each value how many of the others lie below it, and how many above."""
    ascending = np.sort(others)
    below = np.searchsorted(ascending, values, side="left").astype(np.int64)
    above = others.size - np.searchsorted(ascending, values, side="right").astype(np.int64)
    return below, above


def _tango(wins: int, losses: int, n: int, z: float) -> tuple[float, float, float]:
    """Give the difference of two paired proportions and Tango's (1998) score interval.

    The bounds are the differences that the score test does not reject: where (wins - losses - n δ)² equals
    z² n (2 q + δ (1 - δ)), q being the most likely share of losses for that δ.
    """
    estimate = (wins - losses) / n

    def rejected(delta: float) -> bool:
        half = (2 * n - wins + losses) * delta - wins - losses
        root = math.sqrt(max(half**2 + 8 * n * losses * delta * (1 - delta), 0.0))
        losing = (root - half) / (4 * n)
        variance = n * max(2 * losing + delta * (1 - delta), 0.0)
        return (wins - losses - n * delta) ** 2 > z**2 * variance

    low = _bisect(rejected, -1.0, estimate) if rejected(-1.0) else -1.0
    high = _bisect(lambda delta: not rejected(delta), estimate, 1.0) if rejected(1.0) else 1.0
    return estimate, low, high


def _bisect(still_left: Callable[[float], bool], left: float, right: float) -> float:
    """Find where a condition that holds at the left end stops to hold."""
    while True:
        middle = (left + right) / 2
        if not left < middle < right:
            return middle
        if still_left(middle):
            left = middle
        else:
            right = middle
