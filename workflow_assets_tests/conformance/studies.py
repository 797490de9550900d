"""Experiments that every backend executes: in them is all that could go another way elsewhere.

They are in a module of their own so that workers import them. Calls are counted by files in a folder that steps find in
``ctx.resources``, since they may happen in any process.
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from workflow_assets import Experiment, Metrics, Retries, Treatment, source, step

REPLICATES = 6


def called(ctx: Any) -> int:
    """Note a call; give how many there have been for this cell."""
    path = Path(ctx.resources["calls"], f"{ctx.step}|{ctx.treatment}|{ctx.replicate}")
    # Not a file object: the call may be ended here, and a file that nobody closes is a warning.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b".")
    size = os.fstat(descriptor).st_size
    os.close(descriptor)
    return size


def calls(folder: Path) -> Counter[str]:
    """Count the calls of each step."""
    return Counter(
        {
            name: sum(path.stat().st_size for path in folder.glob(f"{name}|*"))
            for name in {path.name.partition("|")[0] for path in folder.iterdir()}
        }
    )


def first_time(ctx: Any, name: str) -> bool:
    """Tell whether this is asked for the first time, by whatever process."""
    try:
        Path(ctx.resources["calls"], name).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


# -- everything -------------------------------------------------------------------------------------------------------


@source(version="1")
def readings() -> np.ndarray:
    return np.arange(400.0)


@source
def offsets() -> list[float]:
    return [0.5, 1.5]


@source(version="1")
def missing() -> list[float]:
    raise FileNotFoundError("no such file: missing.csv")


class Losses(Metrics):
    last: float


class Score(Metrics):
    mean: float
    legacy: float
    awaited: float
    left: float


@step
def prepared(readings: np.ndarray, offsets: list[float], ctx: Any) -> np.ndarray:
    called(ctx)
    return np.sqrt(readings) + offsets[0]


@step
def scaled(prepared: np.ndarray, ctx: Any, factor: float = 1.0) -> np.ndarray:
    called(ctx)
    return prepared * factor


@step
def drawn(prepared: np.ndarray, rng: np.random.Generator, ctx: Any) -> np.ndarray:
    called(ctx)
    return prepared + rng.normal(size=prepared.shape)


@step(legacy_rng=True)
def legacy(drawn: np.ndarray, ctx: Any) -> float:
    called(ctx)
    return float(random.random() + np.random.random() + drawn[0])  # noqa: NPY002


@step
async def awaited(drawn: np.ndarray, ctx: Any) -> float:
    called(ctx)
    await asyncio.sleep(0.001)
    return float(drawn.max())


@step(transient=True)
def folded(drawn: np.ndarray, scaled: np.ndarray) -> Any:
    return iter([float(drawn.sum()), float(scaled.sum())])


@step
def spoilt(drawn: np.ndarray, folded: Any, ctx: Any) -> float:
    called(ctx)
    total = sum(folded)
    drawn *= 0.0
    return float(total + drawn.sum())


@step(records=Losses)
def fitted(scaled: np.ndarray, drawn: np.ndarray, ctx: Any, epochs: int = 2) -> np.ndarray:
    called(ctx)
    for epoch in range(epochs):
        ctx.record("loss", float(drawn[epoch]), epoch=epoch)
    ctx.record("last", float(scaled[-1]))
    return scaled - drawn


@step
def careful(drawn: np.ndarray, replicate: int, ctx: Any) -> float:
    called(ctx)
    return float(drawn[replicate])


@step
def careless(drawn: np.ndarray, replicate: int, ctx: Any) -> float:
    if replicate == 2:
        import pandas as pd  # here, or each worker process would spend half its time on it

        return float(pd.Series([1.0, 2.0]).sample(1).iloc[0])  # which draws from the global generator
    return float(drawn[replicate])


@step
def brittle(drawn: np.ndarray, replicate: int, ctx: Any) -> float:
    called(ctx)
    if replicate == 4:
        raise ValueError(f"replicate {replicate} has no fit")
    return float(drawn[-1])


@step
def unfit(drawn: np.ndarray, missing: list[float]) -> float:
    return float(drawn[0] + missing[0])


@step
def score(
    fitted: np.ndarray, legacy: float, awaited: float, spoilt: float, careful: float, brittle: float, ctx: Any
) -> Score:
    called(ctx)
    return Score(mean=float(fitted.mean()), legacy=legacy, awaited=awaited, left=spoilt + careful + brittle)


EVERYTHING = Experiment(
    "everything",
    [prepared, scaled, drawn, legacy, awaited, folded, spoilt, fitted, careful, brittle, score],
    {
        "double": {"scaled.factor": 2.0},
        "longer": {"fitted.epochs": 5},
        "careless": Treatment(steps={"careful": careless}),
        "lost": Treatment(steps={"careful": unfit}),
    },
    replicates=REPLICATES,
    seed=7,
)
TIDY = ("baseline", "double", "longer", "lost")
"""The treatments in which no step draws from the process's generator: beside one that does, others are suspected."""

CALLS = {
    "prepared": 1,
    "scaled": 2,
    "drawn": REPLICATES,
    "legacy": REPLICATES,
    "awaited": REPLICATES,
    "spoilt": 2 * REPLICATES,
    "fitted": 3 * REPLICATES,
    "careful": REPLICATES,
    "brittle": REPLICATES,
    "score": 3 * (REPLICATES - 1),
}
"""How often each step is called in a run that finds nothing stored."""


# -- faults -----------------------------------------------------------------------------------------------------------


@step(retries=Retries(3, wait=0.01, on=(ConnectionError,)))
def passing(replicate: int, rng: np.random.Generator, ctx: Any) -> float:
    if called(ctx) < 3 and replicate < 2:
        raise ConnectionError("not yet")
    return float(rng.normal())


@step(retries=Retries(1, wait=0.01, on=(ConnectionError,)))
def lasting(replicate: int, ctx: Any) -> float:
    called(ctx)
    if replicate == 1:
        raise ConnectionError("never")
    if replicate == 2:
        raise KeyError("not worth another attempt")
    return 1.0


@step(resources={"gpu": 1})
def demanding(replicate: int, ctx: Any) -> float:
    taken = Path(ctx.resources["calls"], "gpu is taken")
    taken.touch(exist_ok=False)
    time.sleep(0.02)
    taken.unlink()
    return 1.0


FAULTY = Experiment("faulty", [passing, lasting, demanding], replicates=4, seed=3)


@step
def hopeless(replicate: int, ctx: Any) -> float:
    called(ctx)
    time.sleep(0.02)
    raise ValueError("no")


HOPELESS = Experiment("hopeless", [hopeless], replicates=40)


@step(resources={"telescopes": 2})
def greedy() -> float:
    return 1.0


GREEDY = Experiment("greedy", [greedy])


@step(resources={"gpu": 1})
def learnt(rng: np.random.Generator) -> float:
    return float(rng.normal())


@step(resources={"disk": 1})
def written(learnt: float, power: float = 1.0) -> float:
    return learnt * power


APART = Experiment("apart", [learnt, written], {"double": {"written.power": 2.0}}, replicates=12)


# -- deaths -----------------------------------------------------------------------------------------------------------


@step
def base(rng: np.random.Generator, ctx: Any) -> np.ndarray:
    called(ctx)
    return rng.normal(size=8)


@step
def mortal(base: np.ndarray, replicate: int, ctx: Any, deadly: bool = False) -> float:
    called(ctx)
    time.sleep(0.01)
    if replicate == 3 and not deadly and first_time(ctx, "died"):
        os.kill(os.getpid(), signal.SIGKILL)
    if replicate == 5 and deadly and "deadly" in ctx.resources:
        os.kill(os.getpid(), signal.SIGKILL)
    return float(base.sum())


MORTAL = Experiment("mortal", [base, mortal], {"deadly": {"mortal.deadly": True}}, replicates=8, seed=5)


@step
def endless(replicate: int, ctx: Any) -> float:
    called(ctx)
    if replicate == 0:
        return 1.0
    running = Path(ctx.resources["calls"], f"pid {os.getpid()} {replicate}")
    try:
        running.touch()  # in here, since the call may be ended as soon as the file is seen
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)
    finally:
        running.unlink(missing_ok=True)
    return 0.0


ENDLESS = Experiment("endless", [endless], replicates=3)


@step
def talkative(replicate: int, ctx: Any) -> float:
    print(f"printed in {replicate}")
    ctx.log.warning("logged in %d", replicate)
    return 1.0


TALKATIVE = Experiment("talkative", [talkative], replicates=3)
