"""How much faster two workers are than one: ours by backend, Crystallize 0.27.0 and joblib, in one run.

An experiment of one step that computes for a given time, four conditions (a baseline and three treatments) and many
replicates:

- *100 ms*: 400 cells that each count for a tenth of a second, in Python;
- *1 ms*: 4,000 cells that each count for a thousandth;
- *start*: two cells that do nothing, which tells what it takes until workers are there, beyond one that needs none.

*dask* starts a cluster for its run; *dask there* is given the address of one that runs already.

A figure is the wall time of a run, starting and stopping the workers included; imports and declarations in the first
process are not. Each is measured in a process of its own, and its values are checked; a round measures everything once,
every other one in the opposite order, those next to each other that are compared: a shared machine's speed drifts. Ours
runs with its default store; Crystallize with its default plugins and `ParallelExecution`; joblib calls the same
function on a list, and keeps nothing. How long one call takes is measured anew before each round, so that what the
machine does beside is not counted as speed.

``--quick`` shows in seconds that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rounds import load_note, markdown, measure_apart, peer_python, spread, timed

CRYSTALLIZE, JOBLIB = "crystallize-ml==0.27.0", "joblib==1.5.2"

WORKERS = 2
ROUNDS, QUICK_ROUNDS = 5, 1
CASES = {"100 ms": (0.1, 400), "1 ms": (0.001, 4000), "start": (0.0, 2)}
"""Seconds of counting in a cell, and the number of cells."""
QUICK = {"100 ms": 8, "1 ms": 40, "start": 2}
SYSTEMS = {
    "100 ms": [
        "dask there",
        "dask",
        "serial",
        "processes",
        "joblib",
        "crystallize process",
    ],
    "1 ms": ["dask", "serial", "joblib", "processes", "crystallize process", "crystallize thread", "threads"],
    "start": ["serial", "threads", "processes", "dask"],
}
TREATMENTS = {"double": 2.0, "triple": 3.0, "quadruple": 4.0}


@dataclass(frozen=True)
class Work:
    """What one process measures: `counts` is how far a cell counts."""

    system: str
    case: str
    counts: int
    cells: int


@dataclass(frozen=True)
class Figure:
    """Seconds that a run took."""

    seconds: float


def count(counts: int) -> int:
    """Compute for a while without asking anybody for anything."""
    total = 0
    for number in range(counts):
        total += number & 3
    return total


def counted(replicate: int, counts: int = 0, gain: float = 1.0) -> float:
    return gain * (replicate + 1 + 0 * count(counts))


def numbers(ctx: Any, counts: int = 0) -> tuple[int, int]:
    return int(ctx.get("replicate")), counts


def counted_with_metric(data: tuple[int, int], gain: float = 1.0) -> tuple[float, dict[str, float]]:
    replicate, counts = data
    value = counted(replicate, counts, gain)
    return value, {"value": value}


def calibrate() -> int:
    """Give how far this machine counts in a second, now."""
    counts = 200_000
    return int(counts / min(timed(lambda: count(counts))[1] for _ in range(5)))


# -- in a process of its own -----------------------------------------------------------------------------------------


def measure_ours(work: Work) -> Figure:
    if work.system == "dask there":
        from distributed import LocalCluster

        from workflow_assets import Dask

        options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
        with LocalCluster(n_workers=WORKERS, **options) as cluster:
            return measure_run(work, Dask(cluster.scheduler_address))
    return measure_run(work, work.system)


def measure_run(work: Work, backend: Any) -> Figure:
    from workflow_assets import Experiment, step

    engine = ["plans", "results", "executions", "dispatches", "store.files"]
    for module in ("numpy.random", "pandas", *(f"workflow_assets.{name}" for name in engine)):
        importlib.import_module(module)  # a run would import it now
    if work.system.startswith("dask"):
        importlib.import_module("distributed")
    study = Experiment(
        "study",
        [step(counted)],
        {name: {"counted.gain": gain} for name, gain in TREATMENTS.items()} if work.cells > 2 else {},
        replicates=replicates_of(work),
        parameters={"counted.counts": work.counts},
    )
    workers = WORKERS if isinstance(backend, str) and backend != "serial" else None
    result, seconds, _ = timed(lambda: study.run(backend=backend, workers=workers))
    check(work, dict(result.table.groupby("treatment", sort=False)["counted"].apply(list)))
    return Figure(seconds)


def measure_crystallize(work: Work) -> Figure:
    import numpy.random  # noqa: F401, it is seeded before each condition
    from crystallize import Experiment, ParallelExecution, Pipeline, Treatment, data_source, pipeline_step

    # Worker processes look for what was decorated under the names of the functions.
    source, counting = data_source(numbers), pipeline_step()(counted_with_metric)
    vars(sys.modules["__main__"]).update(numbers=source, counted_with_metric=counting)
    study = Experiment(
        source(counts=work.counts),
        Pipeline([counting()]),
        plugins=[ParallelExecution(max_workers=WORKERS, executor_type=work.system.split()[1])],
        name="study",
        treatments=[Treatment(name, {"gain": gain}) for name, gain in TREATMENTS.items()],
        replicates=replicates_of(work),
    )
    asyncio.run(asyncio.sleep(0))
    result, seconds, _ = timed(study.run)
    if result.errors:
        raise RuntimeError(f"{work}: {result.errors}")
    arms = {"baseline": result.metrics.baseline, **result.metrics.treatments}
    check(work, {name: list(arm.metrics["value"]) for name, arm in arms.items()})
    return Figure(seconds)


def measure_joblib(work: Work) -> Figure:
    from joblib import Parallel, delayed

    conditions = [1.0, *TREATMENTS.values()]

    def run() -> list[float]:
        return list(
            Parallel(n_jobs=WORKERS)(
                delayed(counted)(replicate, work.counts, gain)
                for gain in conditions
                for replicate in range(replicates_of(work))
            )
        )

    values, seconds, _ = timed(run)
    size = replicates_of(work)
    names = ["baseline", *TREATMENTS]
    check(work, {name: values[place * size : (place + 1) * size] for place, name in enumerate(names)})
    return Figure(seconds)


def replicates_of(work: Work) -> int:
    return work.cells // (1 + len(TREATMENTS)) if work.cells > 2 else work.cells


def check(work: Work, values: dict[str, list[float]]) -> None:
    """Raise unless every cell has its value."""
    gains = {"baseline": 1.0, **(TREATMENTS if work.cells > 2 else {})}
    expected = {
        name: [gain * (one + 1) for one in range(replicates_of(work))] for name, gain in gains.items()
    }
    if values != expected:
        raise RuntimeError(f"{work}: wrong values")


def measure(work: Work) -> Figure:
    system = work.system.split()[0]
    if system == "crystallize":
        return measure_crystallize(work)
    return measure_joblib(work) if system == "joblib" else measure_ours(work)


# -- rounds ----------------------------------------------------------------------------------------------------------


def measure_all(rounds: int, quick: bool) -> tuple[dict[tuple[str, str], list[float]], list[float]]:
    """Measure everything in every round; give the seconds by case and system, and the load averages."""
    pythons = {"crystallize": peer_python(CRYSTALLIZE, "numpy"), "joblib": peer_python(JOBLIB)}
    figures: dict[tuple[str, str], list[float]] = {}
    loads = [os.getloadavg()[0]]
    works = [(case, system) for case, systems in SYSTEMS.items() for system in systems]
    for number in range(rounds):
        print(f"Round {number + 1} of {rounds}", file=sys.stderr)
        per_second = calibrate()
        for case, system in works[::-1] if number % 2 else works:
            seconds, cells = CASES[case]
            cells = QUICK[case] if quick else cells
            work = Work(system, case, int(seconds * per_second), cells)
            python = pythons.get(system.split()[0], Path(sys.executable))
            with tempfile.TemporaryDirectory() as folder:
                figure = Figure(**measure_apart(__file__, work, python, Path(folder)))
            figures.setdefault((case, system), []).append(figure.seconds)
        loads.append(os.getloadavg()[0])
    return figures, loads


def report(figures: dict[tuple[str, str], list[float]], loads: list[float]) -> str:
    """Write the tables."""

    def ratio(case: str, slow: str, fast: str) -> list[float]:
        return [a / b for a, b in zip(figures[case, slow], figures[case, fast], strict=True)]

    rows = [["case", "system", "seconds", "× serial"]]
    for (case, system), seconds in figures.items():
        rows.append([case, system, spread(seconds, 3), spread(ratio(case, "serial", system), 2)])
    lines = [["line", "measured", "asked", ""]]

    def line(name: str, values: list[float], asked: float, *, most: bool = False) -> None:
        median = statistics.median(values)
        met = median <= asked if most else median >= asked
        lines.append([name, spread(values, 2), f"{'≤' if most else '≥'} {asked}", "pass" if met else "FAIL"])

    for system in ("processes", "dask", "dask there"):
        line(f"100 ms: {system} against serial", ratio("100 ms", "serial", system), 1.8)
    line("1 ms: processes against serial", ratio("1 ms", "serial", "processes"), 1.3)
    start = [a - b for a, b in zip(figures["start", "processes"], figures["start", "serial"], strict=True)]
    line("start of processes, seconds", start, 1.0, most=True)
    for case in ("100 ms", "1 ms"):
        line(f"{case}: processes against Crystallize's", ratio(case, "crystallize process", "processes"), 1.0)
        line(f"{case}: processes against joblib", ratio(case, "joblib", "processes"), 0.9)
    line("1 ms: threads against Crystallize's", ratio("1 ms", "crystallize thread", "threads"), 1.0)
    return "\n".join(
        [
            f"### {WORKERS} workers\n\n{markdown(rows)}\n",
            f"### What is asked\n\n{markdown(lines)}\n",
            f"- {load_note(loads)}",
            f"- Against {CRYSTALLIZE} and {JOBLIB}. Rounds: {len(loads) - 1}; medians (least–most).",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of few cells, to see that it works")
    parser.add_argument("--rounds", type=int, help=f"how often to measure everything ({ROUNDS})")
    parser.add_argument("--measure", metavar="WORK", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asdict(measure(Work(**json.loads(options.measure))))))
        return
    started = time.monotonic()
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    print(report(*measure_all(rounds, options.quick)))
    print(f"- It took {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
