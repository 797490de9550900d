"""Garden beds that the daemon looks after: the code location of the tests of backfills, schedules and sensors.

What steps are called for is noted in a file; runs wait for each other, so that it shows whether they overlap.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from workflow_assets import Experiment, Hypothesis, source, step, to_dagster

DIARY = "diary"
FROST = "frost"
"""While a file of this name lies beside the code location, a pepper under glass freezes."""
DOWN = "down"
"""While there is no file of this name, the fourth oak takes longer than anybody waits."""
SEEDS = "seeds"
"""The file whose content is the source that mint is grown from; a word that is no number cannot be sown."""


def note(*words: object) -> None:
    """Write a line that no other process tears apart."""
    with Path(DIARY).open("a") as diary:
        diary.write(" ".join(map(str, (*words, os.getpid()))) + "\n")


def wait_for(event: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    patience = time.monotonic() + 240
    while not event():
        if time.monotonic() > patience:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.05)


def tomato_runs() -> set[str]:
    """Give the processes that have begun with tomatoes."""
    return {line.split()[-1] for line in Path(DIARY).read_text().splitlines() if "tomato" in line.split()}


@step(name="sow")
def sow_tomato(replicate: int, treatment: str) -> float:
    """Sow a tomato, as soon as two runs are at it."""
    note("begin tomato", treatment, replicate)
    wait_for(lambda: len(tomato_runs()) > 1, "a second run")
    return float(replicate)


@step(name="pick")
def pick_tomato(sow: float, replicate: int, treatment: str, feed: float = 0.0) -> float:
    """Pick a tomato."""
    note("end tomato", treatment, replicate)
    return sow + feed * (1 + sow / 10)


@step(name="pick")
def pick_pepper(replicate: int, treatment: str, heat: float = 0.0) -> float:
    """Pick a pepper, unless it has frozen."""
    note("pepper", treatment, replicate)
    if Path(FROST).exists() and (treatment, replicate) == ("glass", 1):
        raise ValueError("frozen")
    return replicate + heat * (1 + replicate / 10)


@step
def fell(replicate: int) -> float:
    """Fell an oak; the fourth takes long, while nobody says that it is down."""
    note("oak", replicate)
    print("felling", replicate)
    if replicate == 3 and not Path(DOWN).exists():
        subprocess.Popen(["sleep", "613"])
        time.sleep(600)
    return float(replicate)


@source
def seeds() -> float:
    """How much there is to sow."""
    return float(Path(SEEDS).read_text())


@step
def mow(replicate: int) -> float:
    """Mow."""
    return float(replicate)


@step
def grow(seeds: float) -> float:
    """Grow what was sown."""
    return 2 * seeds


def bed(name: str, steps: list, treatment: str = "", change: dict | None = None, **options) -> Experiment:
    """Declare an experiment; with a treatment, it is expected to help."""
    if not treatment:
        return Experiment(name, steps, **options)
    claim = Hypothesis(f"{treatment}_helps", metric="pick", treatment=treatment)
    return Experiment(name, steps, {treatment: change or {}}, hypotheses=[claim], **options)


@dg.definitions
def beds() -> dg.Definitions:
    """Compile the beds when Dagster loads the location, not when this module is imported."""
    tomatoes = bed("tomatoes", [sow_tomato, pick_tomato], "fed", {"pick.feed": 9.0}, replicates=5)
    peppers = bed("peppers", [pick_pepper], "glass", {"pick.heat": 9.0}, replicates=3)
    basil, mint = bed("basil", [mow]), bed("mint", [grow])
    oaks = bed("oaks", [fell], replicates=5)
    return to_dagster(
        *(tomatoes, peppers, basil, mint, oaks),
        partitions_per_run={"tomatoes": 3, "peppers": 3},
        automations=[
            basil.schedule("* * * * *", timezone="Europe/Berlin"),
            basil.schedule("0 3 * * *", name="nights", running=False),
            mint.watch("seeds", every=2),
        ],
    )
