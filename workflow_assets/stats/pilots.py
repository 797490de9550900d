"""Pilots: planning replicates from a few that were measured already.

A pilot says how much replicates vary, not how large the effect is: its own effect is as noisy as the pilot is small,
and planning for it leaves an experiment too small about half the time. State the difference that you would be sorry to
overlook, take from the pilot only how values are distributed, and plan with the upper limit of its spread.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from workflow_assets.stats.claims import Alternative, prepare
from workflow_assets.stats.comparisons import OwnTest, compare
from workflow_assets.stats.methods import METHODS
from workflow_assets.stats.samples import FloatArray, Samples, two_samples


@dataclass(frozen=True)
class SimulatedPower:
    """The share of simulated experiments that supported the claim, with its Monte Carlo interval (95 %).

    `undecided` are those in which the test could not be computed, as for draws without any spread; they support
    nothing.
    """

    power: float
    low: float
    high: float
    n: int | tuple[int, int]
    trials: int
    undecided: int


def cautious_sd(x: npt.ArrayLike, y: npt.ArrayLike, *, paired: bool, confidence: float = 0.8) -> float:
    """Give a spread to plan with that is not too small: the upper confidence limit of the pilot's standard deviation.

    Browne (1995), "On the use of a pilot sample for sample size determination", Statistics in Medicine 14: an
    experiment planned with the pilot's own standard deviation is too small about half the time, one planned with its
    upper limit of 80 % confidence in one case of five. The standard deviation is that of the differences for pairs, and
    pooled over both arms for unpaired ones: what `powers.Plan` takes as sd. Assumes normal values. For confidence 0.5
    it is near the pilot's own.

    Raises ValueError where nothing varies.

    >>> x, y = [0.93, 0.91, 0.95, 0.94, 0.97], [0.90, 0.89, 0.91, 0.93, 0.91]
    >>> sds = [cautious_sd(x, y, paired=True, confidence=confidence) for confidence in (0.5, 0.8, 0.95)]
    >>> [round(sd, 4) for sd in sds]
    [0.021, 0.03, 0.0456]
    """
    samples = prepare(x, y, "greater", 0.0, paired=paired)
    sd, df = _spread(samples, paired=paired)
    if sd == 0:
        raise ValueError(
            "the difference is the same in every pair of the pilot: it says nothing of the spread"
        )
    return samples.restore(sd) * _upper_limit(df, confidence)


def simulate_power(
    test: str | OwnTest,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    n: int | tuple[int, int],
    rng: np.random.Generator,
    effect: float | None = None,
    caution: float | None = None,
    paired: bool | None = None,
    alternative: Alternative = "greater",
    margin: float = 0.0,
    alpha: float = 0.05,
    trials: int = 1_000,
    resamples: int = 999,
) -> SimulatedPower:
    """Simulate how likely n replicates like those of a pilot are to support a claim, by any test.

    Each trial draws n pairs (or values of each arm, or two sizes) from the pilot with replacement and asks the test.
    `effect` moves x so that the mean difference of what is drawn from is this one (None: the pilot's own, which is
    noisy), and `caution` stretches the pilot about its means until its standard deviation is the upper confidence limit
    of that confidence, as in `cautious_sd` (None: the pilot as it is, which spreads less than what it was drawn from,
    by a factor of sqrt((n - 1) / n)). Neither goes with 0/1 values, which they would turn into others.

    Take ten values or more: fewer hold too little of a distribution to draw from, and a formula (`powers.Plan`) says
    more. Replicates that re-split one data set cannot be drawn as if independent, so `corrected_resampled_t` is
    refused here.

    Raises ValueError for a claim, a test or a pilot that cannot be judged.

    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.normal(0.5, 1.0, 30), np.zeros(30)
    >>> result = simulate_power("sign_flip", x, y, n=30, effect=0.4, caution=0.8, rng=rng, trials=200)
    >>> result.power, round(result.low, 3), round(result.high, 3)
    (0.66, 0.59, 0.725)
    """
    pilot = _Pilot.prepared(test, x, y, effect=effect, caution=caution, paired=paired)
    sizes = n if isinstance(n, tuple) else (n, n)
    if not all(isinstance(size, int | np.integer) and size >= 2 for size in sizes):
        raise ValueError(f"n is {n!r}: give a whole number of replicates, at least 2 to judge chance")
    if pilot.paired and sizes[0] != sizes[1]:
        raise ValueError(f"n is {n}, but pairs have one number of replicates")
    if not 0 < alpha < 1:
        raise ValueError(
            f"alpha is {alpha}: give the accepted rate of false claims, between 0 and 1, as in 0.05"
        )
    if trials < 1:
        raise ValueError(f"trials is {trials}: give at least 1")
    claim: dict[str, Any] = {"alternative": alternative, "margin": margin, "resamples": resamples, "rng": rng}
    compare(test, pilot.x, pilot.y, paired=pilot.paired, **claim)  # says what is wrong with the question
    supported = undecided = 0
    for _ in range(trials):
        try:
            supported += compare(test, *pilot.draw(sizes, rng), paired=pilot.paired, **claim).p <= alpha
        except ValueError:
            undecided += 1
    low, high = _clopper_pearson(supported, trials)
    return SimulatedPower(supported / trials, low, high, n, trials, undecided)


def replicates_by_simulation(
    test: str | OwnTest,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    power: float = 0.8,
    most: int = 10_000,
    **claim: Any,
) -> SimulatedPower:
    """Search for the number of replicates that supports a claim with this probability, as simulated from a pilot.

    Takes what `simulate_power` takes, and gives what it says of the number found: doubled until it is enough, then
    halved in between. All numbers are asked with the same random draws, so that one that is larger is hardly ever
    worse by chance; the answer is as exact as the interval of its power, which narrows with `trials`.

    Raises ValueError where no number up to `most` is enough.

    >>> rng = np.random.default_rng(1)
    >>> x, y = rng.normal(0.5, 1.0, 30), np.zeros(30)
    >>> found = replicates_by_simulation("paired_t", x, y, effect=0.6, rng=rng, trials=200)
    >>> found.n, found.power >= 0.8
    (16, True)
    """
    if not 0 < power < 1:
        raise ValueError(f"power is {power}: give a probability between 0 and 1, as in 0.8")
    seed = int(rng.integers(2**63))
    known: dict[int, SimulatedPower] = {}

    def enough(n: int) -> bool:
        known[n] = simulate_power(test, x, y, n=n, rng=np.random.default_rng(seed), **claim)
        return known[n].power >= power

    low, high = 1, 2
    while not enough(high):
        if high >= most:
            raise ValueError(
                f"{high:,} replicates support the claim with a probability of {known[high].power:.3g} only: {power:g} "
                f"needs a difference that fulfils the claim more clearly, or a smaller spread"
            )
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return known[high]


@dataclass(frozen=True, eq=False)
class _Pilot:
    """Two arms to draw from."""

    x: FloatArray
    y: FloatArray
    paired: bool

    @classmethod
    def prepared(
        cls,
        test: str | OwnTest,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        effect: float | None,
        caution: float | None,
        paired: bool | None,
    ) -> "_Pilot":
        method = METHODS.get(test) if isinstance(test, str) else None
        if paired is None and method is not None:
            paired = method.paired
        if paired is None:
            raise ValueError("say whether the arms are paired: paired=True or paired=False")
        if method is not None and "test_fraction" in method.takes - method.optional:
            raise ValueError(
                f"the replicates of {test} overlap, and cannot be drawn as if independent: ask Plan({test!r}, ...)"
            )
        samples = prepare(x, y, "greater", 0.0, paired=paired)
        first, second = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        changed = effect is not None or caution is not None
        boolean = bool(np.isin(np.concatenate([first, second]), (0.0, 1.0)).all())
        if changed and (boolean or (method is not None and method.shares)):
            raise ValueError(
                "a pilot of 0/1 values is drawn from as it is: give neither effect= nor caution="
            )
        if caution is not None:
            factor = _stretch(samples, caution, paired=paired)
            if paired:
                differences = first - second
                first = second + differences.mean() + factor * (differences - differences.mean())
            else:
                first, second = (arm.mean() + factor * (arm - arm.mean()) for arm in (first, second))
        if effect is not None:
            if not math.isfinite(effect):
                raise ValueError(f"effect is {effect!r}: give a finite number, in the units of the metric")
            first = first + (effect - (first.mean() - second.mean()))
        two_samples(first, second, paired=paired)
        return cls(first, second, paired)

    def draw(self, sizes: tuple[int, int], rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw arms of these sizes, with replacement."""
        if self.paired:
            chosen = rng.integers(self.x.size, size=sizes[0])
            return self.x[chosen], self.y[chosen]
        return (
            self.x[rng.integers(self.x.size, size=sizes[0])],
            self.y[rng.integers(self.y.size, size=sizes[1])],
        )


def _spread(samples: Samples, *, paired: bool) -> tuple[float, float]:
    """Give the standard deviation to plan with, in the unit of the samples, and its degrees of freedom."""
    if paired:
        _, error, df = samples.mean_difference(paired=True)
        return error * math.sqrt(samples.x.size), df
    n_x, n_y = samples.sizes
    df = n_x + n_y - 2.0
    return math.sqrt(float(samples.x.var() * n_x + samples.y.var() * n_y) / df), df


def _upper_limit(df: float, confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}: give a probability between 0 and 1, as in 0.8")
    return math.sqrt(df / float(special.chdtri(df, confidence)))


def _stretch(samples: Samples, caution: float, *, paired: bool) -> float:
    """Say by how much to stretch a pilot, so that what is drawn from it has the upper limit as its spread."""
    _, df = _spread(samples, paired=paired)
    drawn = samples.x.size if paired else sum(samples.sizes)
    return _upper_limit(df, caution) * math.sqrt(drawn / df)


def _clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    low = float(special.betaincinv(hits, trials - hits + 1, 0.025)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, trials - hits, 0.975)) if hits < trials else 1.0
    return low, high
