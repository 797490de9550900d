"""A process that runs an experiment on a store, and can be told to die at a named point of it.

The tests start it, and run the same experiment in their own process; each call of a step is a line in a file.
"""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from workflow_assets import Experiment, FileStore, Hypothesis, Metrics, S3Store, Store, source, step
from workflow_assets.contexts import Context
from workflow_assets.plans import Plan
from workflow_assets.results import Result
from workflow_assets.store import claims, files, folders, logs
from workflow_assets_tests.crash.writers import Mortal

logger = logging.getLogger("workflow_assets.steps")


def called_for_all(step: str) -> None:
    """Note a call of what all cells share: whichever comes first calls it."""
    logger.info("called", extra={"step": step, "treatment": "", "replicate": ""})


@source(version="1")
def readings() -> np.ndarray:
    called_for_all("readings")
    return np.arange(400.0)


@step
def prepared(readings: np.ndarray) -> np.ndarray:
    called_for_all("prepared")
    return np.sqrt(readings)


@step
def sample(prepared: np.ndarray, rng: np.random.Generator, ctx: Context, size: int = 400) -> np.ndarray:
    ctx.log.info("called")
    return np.resize(prepared, size) + rng.normal(size=size)


@step
def scored(sample: np.ndarray, ctx: Context, power: float = 1.0) -> float:
    ctx.log.info("called")
    return float(np.mean(sample**power))


class Makers(Metrics):
    """Which processes made what a cell was computed from, as told by each value."""

    shared: int
    drawn: int
    own: int


@step
def shared(readings: np.ndarray, pause: float = 0.02) -> np.ndarray:
    called_for_all("shared")
    time.sleep(pause)
    return np.full(400, os.getpid())


@step
def drawn(shared: np.ndarray, rng: np.random.Generator, ctx: Context, pause: float = 0.02) -> np.ndarray:
    ctx.log.info("called")
    time.sleep(pause)
    return np.concatenate([shared, np.full(400, os.getpid())])


@step
def told(drawn: np.ndarray, ctx: Context, pause: float = 0.02, power: float = 1.0) -> Makers:
    ctx.log.info("called")
    time.sleep(pause)
    return Makers(shared=int(drawn[0]), drawn=int(drawn[-1]), own=os.getpid())


def study(name: str, replicates: int, size: int = 400) -> Experiment:
    """Declare the experiment whose values are the same everywhere, or the one whose values tell who made them."""
    if name == "makers":
        return Experiment("makers", [shared, drawn, told], {"squared": {"told.power": 2.0}}, replicates)
    hypothesis = Hypothesis("larger", metric="scored", treatment="squared")
    treatments = {"squared": {"scored.power": 2.0}}
    return Experiment(
        "study",
        [prepared, sample, scored],
        treatments,
        replicates,
        hypotheses=[hypothesis],
        parameters={"sample.size": size},
    )


def opened(place: dict[str, Any]) -> Store:
    """Open the store in a folder, or in a bucket."""
    return FileStore(**place) if "folder" in place else S3Store(**place)


class Calls(logging.Handler):
    """Appends a line for each call of a step, in one write: what, where, who."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.os: Any = os
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def emit(self, record: logging.LogRecord) -> None:
        said = vars(record)
        line = f"{said['step']} {said['treatment']} {said['replicate']} {os.getpid()}\n"
        self.os.write(self.descriptor, line.encode())


@contextmanager
def counted(path: Path) -> Iterator[Calls]:
    """Write down each call of a step meanwhile."""
    calls = Calls(path)
    level = logger.level
    logger.addHandler(calls)
    logger.setLevel(logging.INFO)
    try:
        yield calls
    finally:
        logger.removeHandler(calls)
        logger.setLevel(level)
        os.close(calls.descriptor)


def die_at_request(point: str) -> None:
    """Kill the process before or after a request to a bucket, such as "PutObject before 3 records/"."""
    from botocore.client import BaseClient

    operation, when, number, *where = point.split()
    left = [None] * int(number)
    real = BaseClient._make_api_call

    def mortal(client: Any, name: str, parameters: dict[str, Any]) -> Any:
        here = name == operation and "".join(where) in parameters.get("Key", "") and bool(left)
        last = here and left.pop() is None and not left
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(client, name, parameters)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    BaseClient._make_api_call = mortal


def run(place: dict[str, Any], calls: Path, experiment: Experiment) -> Result:
    """Run an experiment in this process."""
    with counted(calls):
        return experiment.run(opened(place))


def start(place: dict[str, Any], calls: Path, declared: dict[str, Any], point: str = "") -> BaseProcess:
    """Run an experiment in a process of its own, which dies at a point.

    It is forked from one that has imported all that a run needs, which takes longer than the run.
    """
    calls.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "botocore.session", "pandas"])
    process = context.Process(target=work, args=(place, calls, declared, point), daemon=True)
    process.start()
    return process


def called(calls: Path) -> list[str]:
    """Give what was called, and for which cell, by all processes."""
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [line.rpartition(" ")[0] for line in lines]


def data(experiment: Experiment, store: Store) -> dict[str, str]:
    """Give the call that computes each datum of an experiment, by its key."""
    plan = Plan(experiment, store)
    calls = {planned.key: f"{name}  " for name, planned in plan.sources.items()}
    for replicate in plan.replicates.values():
        for planned, key in plan.keys(replicate, plan.seed(replicate)).items():
            where = f"{planned.treatments[0]} {replicate.key}" if planned.varies else " "
            calls[key] = f"{planned.name} {where}"
    return calls


def work(place: dict[str, Any], calls: Path, declared: dict[str, Any], point: str) -> None:
    """Run the experiment and write down its table; die if told to."""
    with counted(calls) as log:
        if point[:1].isupper():
            die_at_request(point)
        elif point:
            log.os = mortal = Mortal(point)
            for module in (files, folders, logs, claims):
                vars(module)["os"] = mortal
        result = study(**declared).run(opened(place))
    calls.with_name(f"{os.getpid()}.csv").write_text(result.table.to_csv())
