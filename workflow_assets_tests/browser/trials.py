"""Field trials that take seconds: the code location of the browser tests, which copy it to a folder of their own."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import numpy as np

from workflow_assets import Experiment, Hypothesis, Metrics, source, step, to_dagster

GATE = "harvest"
"""The last plot of a gated trial is weighed when a file of this name lies beside the code location."""


class Yield(Metrics):
    """What a plot gives."""

    grams: float


@source(version="1")
def soil() -> float:
    """The nitrogen that the soil holds."""
    return 10.0


@step
def grow(soil: float, rng: np.random.Generator, nitrogen: float = 0.0) -> float:
    """Let a plot grow."""
    return soil + nitrogen * float(rng.normal(1.0, 0.05)) + float(rng.normal())


@step
def weigh(grow: float) -> Yield:
    """Weigh the harvest of a plot."""
    return Yield(grams=grow)


@step(name="weigh")
def weigh_slowly(grow: float, replicate: int, treatment: str) -> Yield:
    """Weigh the harvest of a plot; take a while, and wait with the last plot until the gate is open."""
    time.sleep(0.3)
    patience = time.monotonic() + 60
    while (replicate, treatment) == (3, "plenty") and not Path(GATE).exists():
        if time.monotonic() > patience:
            raise TimeoutError(f"nobody made the file {GATE!r}")
        time.sleep(0.05)
    return Yield(grams=grow)


def trial(name: str, *, seed: int, gated: bool = False) -> Experiment:
    """Declare 3 treatments × 4 replicates; a seed of its own keeps a trial from sharing data with another."""
    return Experiment(
        name,
        steps=[grow, weigh_slowly if gated else weigh],
        treatments={"little": {"grow.nitrogen": 0.1}, "plenty": {"grow.nitrogen": 9.0}},
        replicates=4,
        seed=seed,
        hypotheses=[
            Hypothesis("plenty_helps", metric="weigh.grams", treatment="plenty", margin=1.0),
            Hypothesis("little_helps", metric="weigh.grams", treatment="little", margin=1.0),
        ],
        description=f"Does nitrogen help {name}?",
    )


@dg.definitions
def fields() -> dg.Definitions:
    """Compile the trials when Dagster loads the location, not when this module is imported."""
    return to_dagster(trial("barley", seed=1), trial("oats", seed=2, gated=True))
