"""Lineages: a null hypothesis that is confirmed again and again, through the whole of the package."""

from unittest import mock

import numpy as np

from workflow_assets import Experiment, Hypothesis, MemoryStore, step
from workflow_assets.preregistrations import Attempts
from workflow_assets_tests.simulations.trials import Simulation, rejects

TRIES = 20


@step(version="1")
def noise(rng: np.random.Generator, scale: float = 1.0) -> float:
    return float(scale * rng.normal())


def smallest(rng: np.random.Generator, attempts: Attempts) -> float:
    """Give the smallest adjusted p of a lineage whose names and seeds change as it goes on."""
    store, seed, ends = MemoryStore(), int(rng.integers(1 << 40)), []
    for number in range(1, TRIES + 1):
        name = f"null_{number % 3}"
        claim = Hypothesis(name, "noise", "more", alternative="two-sided")
        experiment = Experiment(
            "study", [noise], {"more": {"noise.scale": 2.0}}, 2, [claim], seed=seed + number // 2
        )
        declared = attempts if number == 1 else None
        verdict = experiment.confirm(name, 4, store=store, attempt=number, attempts=declared).verdict(name)
        assert verdict.p_adjusted is not None
        ends.append(verdict.p_adjusted)
    return min(ends)


def lineage(attempts: Attempts) -> Simulation:
    def trial(rng: np.random.Generator) -> float:
        with (  # asked for each run, which takes longer than all else
            mock.patch("workflow_assets.provenance.checkout", return_value=None),
            mock.patch("workflow_assets.confirmations.checkout", return_value=None),
        ):
            return smallest(rng, attempts)

    # Attempts that nobody declared spend nothing, and not all of unlimited alpha is spent in 20.
    return rejects(f"{TRIES} confirmations, {attempts} declared", trial, least=0.035, fast=3, full=400)


SIMULATIONS = [lineage(1), lineage(TRIES), lineage("unlimited")]
