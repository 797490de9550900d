"""What the engine adds to a function that costs nothing: ours against Crystallize 0.27.0, in one run.

An experiment of one step, four conditions (a baseline and three treatments) and 10, 100 or 1,000 replicates, in two
variants:

- *trivial*: arithmetic on a parameter and the number of the replicate. No random number is asked for; Crystallize
  seeds all the same, as its default plugins do.
- *random*: one number drawn, from the step's own ``rng`` in ours, from the global ``random`` in theirs.

A figure is the wall time of ``Experiment.run()``, divided by the number of cells. Imports and declarations are not in
it. Each is measured in a process of its own, and its values are checked; a round measures everything once, every other
one in the opposite order. The tables give the median over the rounds, with the least and the greatest.

Ours runs on a store in memory and in a fresh local folder: *cold* on an empty store, *warm* on one that holds
everything, with the experiment declared anew. What ``result.table`` costs when it is first asked for is added in a
column of its own. The fixed cost is that of a run of one cell, the first of its process.

Theirs runs with its default plugins: it seeds, logs (to nowhere, here), and keeps its results in a fresh local folder,
one file for each condition, so that it has one cold figure. Its environment also has numpy, which it seeds where it
finds it: looking for it in vain before each condition would make it slower. Its warm figure is ``strategy="resume"``,
which reads those files by the names of their conditions, and looks at neither code, parameters, seed nor replicates;
ours finds every cell by its compute key.

Local folders are where ``TMPDIR`` says, and on Linux also in memory, which tells what the store costs from what the
disk does; theirs is there too. The third table has what such a place takes for the least that a store must do for a
cell: one small file, written and renamed. ext4 without a journal, as on many virtual machines, takes ten times as long
for some minutes after many files were deleted; so the folders on disk are deleted only at the end.

``--quick`` shows in seconds that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rounds import Places, find_places, load_note, markdown, measure_apart, peer_python, spread, timed

PEER = "crystallize-ml==0.27.0"

GAINS = {"baseline": 1.0, "double": 2.0, "triple": 3.0, "quadruple": 4.0}
SIZES, ROUNDS = (10, 100, 1000), 7
QUICK_SIZES, QUICK_ROUNDS = (10, 100), 1

BUDGETS = {
    ("memory", "cold"): 0.05,
    ("local", "cold"): 0.15,
    ("memory", "warm"): None,
    ("local", "warm"): 0.1,
}
"""Milliseconds for each cell, with 1,000 replicates."""
FIXED_BUDGET = 50.0
"""Milliseconds for a run of one cell."""
TIMES_AS_FAST = 2.0


@dataclass(frozen=True)
class Work:
    """What one process measures. `store` is "memory" or the name of a place; `conditions` counts the baseline."""

    system: str
    variant: str
    replicates: int
    store: str
    stage: str = "cold"
    conditions: int = len(GAINS)

    @property
    def cells(self) -> int:
        return self.conditions * self.replicates

    @property
    def gains(self) -> dict[str, float]:
        return dict(list(GAINS.items())[: self.conditions])

    @property
    def treatments(self) -> dict[str, float]:
        return {name: gain for name, gain in self.gains.items() if name != "baseline"}


@dataclass(frozen=True)
class Figure:
    """Seconds that a run took, and ``result.table`` after it; the modules that the run still had to import."""

    run: float
    table: float = 0.0
    late: tuple[str, ...] = ()


Figures = dict[Work, list[Figure]]


# -- the function, as each system takes it ---------------------------------------------------------------------------


def trivial(replicate: int, gain: float = 1.0) -> float:
    return gain * (replicate + 1)


def drawn(rng: Any, gain: float = 1.0) -> float:
    return gain * rng.random()


def trivial_with_metric(data: int, gain: float = 1.0) -> tuple[float, dict[str, float]]:
    value = gain * (data + 1)
    return value, {"value": value}


def drawn_with_metric(data: int, gain: float = 1.0) -> tuple[float, dict[str, float]]:  # noqa: ARG001, data comes first
    value = gain * random.random()
    return value, {"value": value}


def number(ctx: Any) -> int:
    return int(ctx.get("replicate"))


# -- in a process of its own -----------------------------------------------------------------------------------------


def measure_ours(work: Work) -> Figure:
    from workflow_assets import Experiment, FileStore, MemoryStore, step

    engine = [f"workflow_assets.{name}" for name in ("plans", "results", "runs")]
    for module in ("numpy.random", "pandas", *engine):
        importlib.import_module(module)  # a run would import it now

    function = trivial if work.variant == "trivial" else drawn
    memory = MemoryStore()

    def declared() -> Callable[[], Any]:
        treatments = {name: {f"{function.__name__}.gain": gain} for name, gain in work.treatments.items()}
        study = Experiment("study", [step(function)], treatments, replicates=work.replicates)
        store = memory if work.store == "memory" else FileStore("store")
        return lambda: study.run(store)

    if (work.store, work.stage) == ("memory", "warm"):
        declared()()
    result, seconds, late = timed(declared())
    table, table_seconds, _ = timed(lambda: result.table)
    check(
        work, {name: list(rows[function.__name__]) for name, rows in table.groupby("treatment", sort=False)}
    )
    if result.timings["computed"].sum() != (work.cells if work.stage == "cold" else 0):
        raise RuntimeError(f"{work}: not as cold or warm as it should be")
    return Figure(seconds, table_seconds, late)


def measure_theirs(work: Work) -> Figure:
    import numpy.random  # noqa: F401, it is seeded before each condition
    from crystallize import Experiment, Pipeline, Treatment, data_source, pipeline_step

    function = trivial_with_metric if work.variant == "trivial" else drawn_with_metric
    study = Experiment(
        data_source(number)(),
        Pipeline([pipeline_step()(function)()]),
        name="study",
        treatments=[Treatment(name, {"gain": gain}) for name, gain in work.treatments.items()],
        replicates=work.replicates,
    )
    strategy = "resume" if work.stage == "warm" else "rerun"
    asyncio.run(asyncio.sleep(0))  # some of asyncio is imported when it is first used
    result, seconds, late = timed(lambda: study.run(strategy=strategy))
    if result.errors:
        raise RuntimeError(f"{work}: {result.errors}")
    arms = {"baseline": result.metrics.baseline, **result.metrics.treatments}
    check(work, {name: list(arm.metrics["value"]) for name, arm in arms.items()})
    return Figure(seconds, late=late)


def measure_files(work: Work) -> Figure:
    """Write small files in the current folder as any store must: whole under another name, then renamed."""

    def write() -> None:
        for place in range(work.replicates):
            descriptor = os.open(f"{place}.tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            os.write(descriptor, b"x" * 500)
            os.close(descriptor)
            os.rename(f"{place}.tmp", f"{place}.json")  # noqa: PTH104, a path object would take as long

    return Figure(timed(write)[1])


MEASURES = {"ours": measure_ours, "theirs": measure_theirs, "files": measure_files}


def check(work: Work, values: dict[str, list[float]]) -> None:
    """Raise unless every cell has its value: the baseline's own, and in a treatment the same times its gain."""
    baseline = values["baseline"]
    if work.variant == "trivial":
        right = baseline == [replicate + 1.0 for replicate in range(work.replicates)]
    else:
        right = len(set(baseline)) == work.replicates
    expected = {name: [gain * value for value in baseline] for name, gain in work.gains.items()}
    if not right or values != expected:
        raise RuntimeError(f"{work}: wrong values")


# -- rounds ----------------------------------------------------------------------------------------------------------


def list_works(sizes: tuple[int, ...], places: Places) -> list[list[Work]]:
    """List what a round measures; what stands together shares a fresh folder, one after the other."""
    works = [[Work("files", "", max(sizes), place, conditions=1)] for place in places]
    # Ours and theirs of one size are neighbours.
    for variant in ("trivial", "random"):
        for size, conditions in [(1, 1), *((size, len(GAINS)) for size in sizes)]:
            stores = [
                ("ours", "memory"),
                ("theirs", list(places)[-1]),
                *(("ours", place) for place in places),
            ]
            for system, store in stores:
                cold = Work(system, variant, size, store, conditions=conditions)
                works.append([cold, replace(cold, stage="warm")] if conditions > 1 else [cold])
    return works


def measure_all(sizes: tuple[int, ...], rounds: int, places: Places) -> tuple[Figures, list[float]]:
    """Measure everything in every round; give the figures, and the load average before, between and after."""
    peer = peer_python(PEER, "numpy")
    figures: Figures = {}
    loads = [os.getloadavg()[0]]
    works = list_works(sizes, places)
    roots = {place: Path(tempfile.mkdtemp(dir=folder)) for place, folder in places.items()}
    try:
        for number_of_round in range(rounds):
            print(f"Round {number_of_round + 1} of {rounds}", file=sys.stderr)
            for together in works[::-1] if number_of_round % 2 else works:
                root = roots.get(together[0].store, next(iter(roots.values())))
                folder = Path(tempfile.mkdtemp(dir=root))
                for work in together:
                    python = peer if work.system == "theirs" else Path(sys.executable)
                    figures.setdefault(work, []).append(
                        Figure(**measure_apart(__file__, work, python, folder))
                    )
                if "tmpfs" in together[0].store:  # it is small, and forgets what was deleted
                    shutil.rmtree(folder)
            loads.append(os.getloadavg()[0])
    finally:
        for root in roots.values():
            shutil.rmtree(root)
    return figures, loads


# -- tables ----------------------------------------------------------------------------------------------------------


def per_cell(measured: list[Figure], work: Work, *, table: bool = False) -> list[float]:
    """Give milliseconds per cell."""
    return [(figure.run + table * figure.table) / work.cells * 1e3 for figure in measured]


def verdict(met: bool) -> str:
    return "pass" if met else "FAIL"


def pairs(figures: Figures, *, one_cell: bool) -> Iterator[tuple[Work, list[float], list[float]]]:
    """Give what was measured of ours in the order of the tables, with milliseconds per cell of ours and theirs."""
    ours = [work for work in figures if work.system == "ours" and (work.conditions == 1) == one_cell]
    sizes = [(work.variant, work.cells) for work in figures if work.system == "ours"]
    for work in sorted(ours, key=lambda work: (sizes.index((work.variant, work.cells)), work.stage)):
        theirs = next(
            other
            for other in figures
            if other.system == "theirs" and replace(other, system=work.system, store=work.store) == work
        )
        yield work, per_cell(figures[work], work), per_cell(figures[theirs], theirs)


def engine_rows(figures: Figures) -> Iterator[list[str]]:
    yield [
        "variant",
        "replicates",
        "ours on",
        "ours ms/cell",
        "+ table",
        "theirs ms/cell",
        "ratio",
        "≥ 2",
        "budget",
    ]
    for work, ours, theirs in pairs(figures, one_cell=False):
        ratio = statistics.median(theirs) / statistics.median(ours)
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        budget = BUDGETS[work.store.partition(" ")[0], work.stage] if work.replicates == max(SIZES) else None
        yield [
            work.variant,
            f"{work.replicates:,}",
            f"{work.store}, {work.stage}",
            spread(ours, 4),
            f"{statistics.median(per_cell(figures[work], work, table=True)):.4f}",
            spread(theirs, 4),
            f"{ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
            verdict(ratio >= TIMES_AS_FAST) if work.stage == "cold" else "",
            f"{budget} {verdict(statistics.median(ours) <= budget)}" if budget else "",
        ]


def fixed_rows(figures: Figures) -> Iterator[list[str]]:
    yield ["variant", "ours on", "ours ms", "theirs ms", "budget"]
    for work, ours, theirs in pairs(figures, one_cell=True):
        met = verdict(statistics.median(ours) <= FIXED_BUDGET)
        yield [work.variant, work.store, spread(ours, 1), spread(theirs, 1), f"{FIXED_BUDGET:g} {met}"]


def file_rows(figures: Figures) -> Iterator[list[str]]:
    yield ["place", "ms/file"]
    for work, measured in figures.items():
        if work.system == "files":
            yield [work.store, spread(per_cell(measured, work), 4)]


def report(figures: Figures, loads: list[float]) -> str:
    """Write the tables, and under which conditions they came about."""
    late = {name for measured in figures.values() for figure in measured for name in figure.late}
    notes = [
        f"Against {PEER}, with the same Python {platform.python_version()} and numpy.",
        load_note(loads),
        f"Rounds: {len(loads) - 1}. Each figure is a median (least–most); a ratio is theirs divided by ours.",
        "Theirs, cold, keeps one file for each condition, at the end; ours, local, one for each cell, at once.",
        "Theirs, warm, reads those files by name; ours finds every cell by its compute key. It is not the same work.",
        f"Budgets per cell are for {max(SIZES):,} replicates: fewer carry more of the fixed cost each.",
        "Nothing waits for the disk (no fsync).",
        *([f"Imported during a run, and so measured with it: {', '.join(sorted(late))}."] if late else []),
    ]
    tables = {
        f"The engine alone: {len(GAINS)} conditions, one step": engine_rows(figures),
        "Fixed cost: a run of one cell, the first of its process": fixed_rows(figures),
        "The least that a place takes: 500 bytes written to a file, and renamed": file_rows(figures),
    }
    parts = [f"### {title}\n\n{markdown(rows)}\n" for title, rows in tables.items()]
    return "\n".join([*parts, *(f"- {note}" for note in notes)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="one round of small experiments, to see that it works"
    )
    parser.add_argument("--rounds", type=int, help=f"how often to measure everything ({ROUNDS})")
    parser.add_argument(
        "--measure", metavar="WORK", help=argparse.SUPPRESS
    )  # what each process is started with
    options = parser.parse_args()
    if options.measure:
        work = Work(**json.loads(options.measure))
        print(json.dumps(asdict(MEASURES[work.system](work))))
        return
    sizes = QUICK_SIZES if options.quick else SIZES
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    print(report(*measure_all(sizes, rounds, find_places())))


if __name__ == "__main__":
    main()
