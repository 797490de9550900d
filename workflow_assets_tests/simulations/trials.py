"""Simulations: how often something happens over many draws of data whose truth is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

# A simulation that is as it should be is called wrong once in 20,000 times, at either bound.
DOUBT = 5e-5


@dataclass(frozen=True)
class Simulation:
    """Something that should happen in a share of trials between `low` and `high`, whatever the draws.

    `trial` draws data from the generator that it is given, and says whether it happened: a true null hypothesis was
    rejected, an interval held the true value, and so on.
    """

    name: str
    trial: Callable[[np.random.Generator], Any]
    low: float
    high: float
    fast: int = 200
    full: int = 20_000

    def count(self, trials: int, seed: int) -> int:
        """Count in how many of so many trials it happened; each trial has a stream of its own."""
        streams = np.random.default_rng([seed, *self.name.encode()]).spawn(trials)
        return sum(bool(self.trial(stream)) for stream in streams)

    def fault(self, hits: int, trials: int) -> str | None:
        """Say which bound so many hits contradict, beyond what chance would do; None if they contradict neither."""
        if stats.binom.sf(hits - 1, trials, self.high) < DOUBT:
            return f"{self.name}: {hits} of {trials} = {hits / trials:.4f}, at most {self.high} expected"
        if stats.binom.cdf(hits, trials, self.low) < DOUBT:
            return f"{self.name}: {hits} of {trials} = {hits / trials:.4f}, at least {self.low} expected"
        return None


def rejects(
    name: str,
    trial: Callable[[np.random.Generator], float],
    *,
    alpha: float = 0.05,
    least: float | None = None,
    most: float | None = None,
    **counts: int,
) -> Simulation:
    """Simulate a true null hypothesis: `trial` gives a p-value, to be at most alpha in a share alpha of trials.

    A test of few possible p-values, or one that guards against the worst case, rejects less often: `least` says how
    seldom. An approximate one, or one outside its domain, may reject more often: `most` says how often.
    """
    low, high = alpha if least is None else least, alpha if most is None else most
    return Simulation(
        f"{name}: rejects a true null hypothesis", lambda rng: trial(rng) <= alpha, low, high, **counts
    )


def covers(
    name: str,
    trial: Callable[[np.random.Generator], tuple[float, float]],
    truth: float,
    *,
    low: float = 0.935,
    high: float = 0.965,
    **counts: int,
) -> Simulation:
    """Simulate an interval of 95 % confidence: `trial` gives its bounds, and the truth should lie between them."""

    def held(rng: np.random.Generator) -> bool:
        bounds = trial(rng)
        return bounds[0] <= truth <= bounds[1]

    return Simulation(f"{name}: its interval holds the truth", held, low, high, **counts)
