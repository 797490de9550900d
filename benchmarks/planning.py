"""What planning takes: an experiment whose data are all stored, in a store that holds many more.

The store has 100,000 data. 60,000 are those of an experiment of 20,000 cells: three steps, none of them shared, under a
baseline and three treatments, in 5,000 replicates; another experiment made the rest. Each figure is from a process of
its own, in which the experiment is declared anew:

- *plan*: the wall time of ``Experiment.plan(store)``, from opening the store to the totals. Imports and declarations
  are not in it.
- *asking*: the part of it that is spent in ``Store.find_all``.
- *the rest*: what is not, in processor time, which tells it apart from what else the machine does.
- *memory*: by how much the process's peak memory has grown meanwhile.

The store is a fresh local folder, where ``TMPDIR`` says; or the place in a bucket that ``--place s3://bucket/prefix``
names, on the service that ``AWS_ENDPOINT_URL`` names, with credentials as every S3 client finds them. What a bucket
holds already is kept, so that it is filled once; delete it when you are done.

``--quick`` shows in seconds that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GAINS = {"double": 2.0, "triple": 3.0, "quadruple": 4.0}
STEPS, DATA, REPLICATES, ROUNDS = 3, 100_000, 5_000, 5
QUICK_DATA, QUICK_REPLICATES, QUICK_ROUNDS = 1_000, 50, 1

BUDGETS = {"local": 2.0, "bucket": 10.0}
"""Seconds for planning 20,000 cells."""


@dataclass(frozen=True)
class Work:
    """What is measured: `replicates` of the planned experiment, in a store of `data`."""

    place: str
    replicates: int
    data: int

    @property
    def conditions(self) -> int:
        return len(GAINS) + 1

    @property
    def cells(self) -> int:
        return self.conditions * self.replicates

    @property
    def kind(self) -> str:
        return "bucket" if self.place.startswith("s3://") else "local"


@dataclass(frozen=True)
class Figure:
    """Seconds that planning took, asking the store in it and the rest; bytes by which the peak memory grew."""

    plan: float
    asking: float
    rest: float
    memory: int


# -- the experiments -------------------------------------------------------------------------------------------------


def draw(rng: Any, gain: float = 1.0) -> float:
    return gain * rng.random()


def scale(draw: float) -> float:
    return 2.0 * draw


def score(scale: float) -> float:
    return scale + 1.0


def declare(work: Work) -> Any:
    """Declare the experiment that is planned: no datum is shared."""
    from workflow_assets import Experiment, step

    treatments = {name: {"draw.gain": gain} for name, gain in GAINS.items()}
    return Experiment("planned", [step(draw), step(scale), step(score)], treatments, work.replicates)


def declare_others(work: Work) -> Any:
    """Declare the experiment that fills the rest of the store."""
    from workflow_assets import Experiment, step

    rest = work.data - STEPS * work.cells
    return Experiment("other", [step(draw)], replicates=rest, seed=1)


def open_store(work: Work) -> Any:
    from workflow_assets import FileStore, S3Store

    return S3Store(work.place) if work.kind == "bucket" else FileStore(work.place)


# -- in a process of its own -----------------------------------------------------------------------------------------


def fill(work: Work) -> None:
    """Run both experiments."""
    store = open_store(work)
    for study in (declare(work), declare_others(work)):
        if (failures := study.run(store).failures) != ():
            raise RuntimeError(f"{study} failed: {failures[0]}")


def measure(work: Work) -> Figure:
    """Plan once."""
    from workflow_assets.provenance import peak_memory

    for name in ("forecasts", "provenance", "store.files", "store.s3"):
        importlib.import_module(f"workflow_assets.{name}")  # a plan would import it now
    study = declare(work)
    asking = busy = 0.0
    memory, started, worked = peak_memory(), time.perf_counter(), time.process_time()
    store = open_store(work)
    find_all = store.find_all

    def timed(keys: Any) -> Any:
        nonlocal asking, busy
        asked, before = time.perf_counter(), time.process_time()
        found = find_all(keys)
        asking += time.perf_counter() - asked
        busy += time.process_time() - before
        return found

    store.find_all = timed
    forecast = study.plan(store)
    seconds, rest = time.perf_counter() - started, time.process_time() - worked - busy
    grown = peak_memory() - memory
    if (forecast.cells, forecast.data.stored) != ((work.cells, work.cells), STEPS * work.cells):
        raise RuntimeError(f"{work}: not all is stored\n{forecast}")
    return Figure(seconds, asking, rest, grown)


def apart(what: str, work: Work) -> str:
    """Fill or measure in a process of its own."""
    command = [sys.executable, __file__, what, json.dumps(asdict(work))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} {work} failed:\n{done.stderr[-3000:]}")
    return done.stdout


# -- the report ------------------------------------------------------------------------------------------------------


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def report(work: Work, figures: list[Figure]) -> str:
    """Write the table, and under which conditions it came about."""
    plans = [figure.plan for figure in figures]
    budget = BUDGETS[work.kind]
    met = "pass" if statistics.median(plans) <= budget else "FAIL"
    columns = {
        "plan s": spread(plans, 2),
        "asking s": spread([figure.asking for figure in figures], 2),
        "the rest CPU s": spread([figure.rest for figure in figures], 2),
        "memory MB": spread([figure.memory / 1e6 for figure in figures], 0),
        "budget s": f"{budget:g} {met}",
    }
    rows = [list(columns), ["---"] * len(columns), list(columns.values())]
    lines = [
        f"### Planning {work.cells:,} stored cells in a store of {work.data:,} data ({work.kind})",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"- Rounds: {len(figures)}. Each figure is a median (least–most).",
        f"- Load average (1 min) at the end: {os.getloadavg()[0]:.2f} on {os.cpu_count()} CPUs.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--place", help="s3://bucket/prefix, instead of a fresh local folder")
    parser.add_argument("--rounds", type=int, help=f"how often to measure ({ROUNDS})")
    parser.add_argument(
        "--quick", action="store_true", help="one round of a small experiment, to see that it works"
    )
    parser.add_argument("fill", nargs="*", help=argparse.SUPPRESS)  # what each process is started with
    options = parser.parse_args()
    if options.fill:
        what, work = options.fill[0], Work(**json.loads(options.fill[1]))
        print(fill(work) if what == "fill" else json.dumps(asdict(measure(work))))
        return
    folder = Path(tempfile.mkdtemp())
    sizes = (QUICK_REPLICATES, QUICK_DATA) if options.quick else (REPLICATES, DATA)
    work = Work(options.place or str(folder / "store"), *sizes)
    try:
        print(f"Filling {work.place}", file=sys.stderr)
        apart("fill", work)
        rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
        print(report(work, [Figure(**json.loads(apart("measure", work))) for _ in range(rounds)]))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
