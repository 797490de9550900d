"""What storing costs: frames, small values and large arrays, each in one run with what people use for it today.

- *A frame* of 10 MB of floats, new for each replicate, through three steps: a light one, a group-by and a merge. Ours
  stores what each step gives, in Parquet, before the next one takes its own copy. The peers are plain pandas, plus
  writing the same tables with pyarrow, without dictionaries as ours does (the sizes of the files are compared); and
  Crystallize 0.27.0 with a linear pipeline of the same functions, uncached and cached. Figures are milliseconds for
  each replicate, of five in one run, after one replicate to warm up. Ours warm only finds the records; "+ load" adds
  loading what the last step gave.
- *Calls*: a function that costs nothing, of two numbers, called 1,000 times; cold (a miss each) and, in a new process
  with new objects, warm (a hit each). Ours is an experiment of one step with 1,000 replicates in a local folder, all
  of ``Experiment.run()`` and of ``result.table``, which holds the values; the peer is a loop over a function that
  ``joblib.Memory`` caches in a folder of the same place. Joblib hashes the arguments and looks at the function's
  source; ours also keeps provenance, a digest and the asset's references.
- *An array* of 1 GB, made beforehand. Written: the run of a step that returns it (digest and write), against
  ``numpy.save``; both wait for the disk, or neither. What the disk still has to write is waited for before each, and
  not measured. Read: a later run, in a new process, of a step that sums it (find, map, verify the digest, sum),
  against ``numpy.load`` and a sum. ``numpy.load(mmap_mode="c")`` also maps, but verifies nothing; it stands beside a
  second load by the same store, which verified the first. Files were just written, so that neither reads the disk.

Each is measured in a process of its own, in a fresh folder; a round measures everything once, every other one in the
opposite order, so that ours and the peer are neighbours. Ratios are taken within a round. Values are checked. The
tables give the median over the rounds, with the least and the greatest.

``--quick`` shows in seconds that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import json
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rounds import Places, find_places, load_note, markdown, measure_apart, peer_python, spread, timed

CRYSTALLIZE, JOBLIB = "crystallize-ml==0.27.0", "joblib==1.6.0"
ROUNDS, QUICK_ROUNDS = 5, 1
REPLICATES = 5
SIZES = {"frame": 125_000, "calls": 1000, "array": 10**9}
"""Rows of ten floats; calls; bytes."""
QUICK_SIZES = {"frame": 2_000, "calls": 50, "array": 10**7}

BUDGETS = {"pyarrow": 1.2, "peer": 1.0, "hit": 0.1, "array": 1.3}
"""Times writing with pyarrow, that come on top of pandas; times Crystallize or joblib; milliseconds; times numpy."""


@dataclass(frozen=True)
class Work:
    """What one process measures. `variant` is what is asked of the system: "cached", "fsync"; `stage` is when."""

    task: str
    system: str
    place: str
    size: int
    variant: str = ""
    stage: str = "cold"


@dataclass(frozen=True)
class Figure:
    """Seconds by name, for all that the process did; how many bytes were written; modules that had to be imported."""

    seconds: dict[str, float]
    size: int = 0
    late: tuple[str, ...] = field(default=())


Figures = dict[Work, list[Figure]]


# -- a frame through three steps -------------------------------------------------------------------------------------


def table(replicate: int, rows: int) -> Any:
    import numpy as np
    import pandas as pd

    values = np.random.default_rng(replicate).random((10, rows)).T
    values[:, 0] = np.floor(values[:, 0] * 1000)
    return pd.DataFrame(values, columns=["group", *(f"x{place}" for place in range(1, 10))])


def light(table: Any) -> Any:
    return table.assign(x1=table["x1"] * 2)


def centred(light: Any) -> Any:
    return light.assign(x2=light["x2"] - light.groupby("group")["x2"].transform("mean"))


def weighted(centred: Any) -> Any:
    import numpy as np
    import pandas as pd

    groups = np.arange(1000.0)
    return centred.merge(pd.DataFrame({"group": groups, "weight": 1 / (1 + groups)}), on="group")


def light_data(data: Any) -> Any:
    return light(data)


def centred_data(data: Any) -> Any:
    return centred(data)


def weighted_data(data: Any) -> tuple[Any, dict[str, float]]:
    value = weighted(data)
    return value, {"total": total(value)}


def total(frame: Any) -> float:
    """Sum something that each step had a hand in."""
    return float((frame["weight"] * (frame["x1"] + frame["x2"])).sum())


def table_of(ctx: Any, rows: int, first: int) -> Any:
    return table(first + ctx.get("replicate"), rows)


def frame_plain(work: Work) -> Figure:
    """Compute with pandas alone, and write what the steps gave with pyarrow as ours does, and as it does by default."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def compute() -> None:
        value = table(replicate, work.size)
        for function in (light, centred, weighted):
            value = function(value)
            frames.append(value)

    def write(folder: Path, **options: Any) -> None:
        for place, frame in enumerate(frames):
            pq.write_table(pa.Table.from_pandas(frame), folder / f"{place}.parquet", **options)

    written = 0
    seconds = {"pandas": 0.0, "pyarrow": 0.0, "pyarrow by default": 0.0}
    for replicate in (10**6, *range(REPLICATES)):  # the first is to warm up
        same, default = Path(f"same-{replicate}"), Path(f"default-{replicate}")
        same.mkdir()
        default.mkdir()
        frames: list[Any] = []
        gc.collect()
        spent = {
            "pandas": timed(compute)[1],
            "pyarrow": timed(lambda: write(same, use_dictionary=False, write_statistics=False))[1],  # noqa: B023
            "pyarrow by default": timed(lambda: write(default))[1],  # noqa: B023
        }
        if replicate < REPLICATES:
            seconds = {name: seconds[name] + spent[name] for name in seconds}
            written += sum(path.stat().st_size for path in same.iterdir())
    return Figure(seconds, written)


def frame_ours(work: Work) -> Figure:
    from workflow_assets import Experiment, FileStore, step

    def declared(folder: str, replicates: int) -> Callable[[], Any]:
        steps = [step(transient=True)(table), *map(step, (light, centred, weighted))]
        study = Experiment("study", steps, parameters={"table.rows": work.size}, replicates=replicates)
        store = FileStore(folder)
        return lambda: (study.run(store), store)

    declared("warm-up", 1)()
    gc.collect()
    (result, store), seconds, late = timed(declared("store", REPLICATES))
    if result.timings["computed"].sum() != (3 * REPLICATES if work.stage == "cold" else 0):
        raise RuntimeError(f"{work}: not as cold or warm as it should be")
    keys = {name: sorted_keys(store, name) for name in ("light", "centred", "weighted")}
    last, load_seconds, _ = timed(lambda: [store.load(key) for key in keys["weighted"]])
    check_totals(work, [total(frame) for frame in last])
    written = sum(store.find(key).size for name in keys for key in keys[name])
    return Figure({"run": seconds, "load": load_seconds}, written, late)


def sorted_keys(store: Any, step: str) -> list[str]:
    """Give the keys of what a step gave, in the order of the replicates."""
    return [key for _, key in sorted(store.references(("study", step)).items())]


def frame_crystallize(work: Work) -> Figure:
    import pandas as pd  # noqa: F401, so that no run has to import it
    from crystallize import Experiment, Pipeline, data_source, pipeline_step
    from crystallize.utils import cache

    cached = work.variant == "cached"
    source = data_source(table_of)
    steps = [
        pipeline_step(cacheable=cached)(function) for function in (light_data, centred_data, weighted_data)
    ]

    def declared(name: str, replicates: int, first: int) -> Any:
        pipeline = Pipeline([step() for step in steps])
        return Experiment(source(rows=work.size, first=first), pipeline, name=name, replicates=replicates)

    cache.CACHE_DIR = Path("warm-up")
    declared("warm-up", 1, 10**6).run()
    cache.CACHE_DIR = Path("cache")
    study = declared("study", REPLICATES, 0)
    gc.collect()
    result, seconds, late = timed(study.run)
    if result.errors:
        raise RuntimeError(f"{work}: {result.errors}")
    check_totals(work, list(result.metrics.baseline.metrics["total"]))
    return Figure({"run": seconds}, late=late)


def check_totals(work: Work, totals: list[float]) -> None:
    """Raise unless each replicate's last frame is what plain pandas computes."""
    expected = [
        total(weighted(centred(light(table(replicate, work.size))))) for replicate in range(REPLICATES)
    ]
    if not all(map(math.isclose, totals, expected)) or len(totals) != REPLICATES:
        raise RuntimeError(f"{work}: wrong values")


# -- calls of a function that costs nothing --------------------------------------------------------------------------


def product(replicate: int, gain: float = 2.0) -> float:
    return gain * (replicate + 1)


def calls_ours(work: Work) -> Figure:
    from workflow_assets import Experiment, FileStore, step

    engine = [f"workflow_assets.{name}" for name in ("plans", "results", "runs")]
    for module in ("numpy.random", "pandas", *engine):
        importlib.import_module(module)  # a run would import it now

    def declared() -> Callable[[], Any]:
        study, store = Experiment("study", [step(product)], replicates=work.size), FileStore("store")
        return lambda: study.run(store)

    result, seconds, late = timed(declared())
    values, table_seconds, _ = timed(lambda: result.table)
    if result.timings["computed"].sum() != (work.size if work.stage == "cold" else 0):
        raise RuntimeError(f"{work}: not as cold or warm as it should be")
    check_products(work, list(values["product"]))
    return Figure({"run": seconds, "table": table_seconds}, late=late)


def calls_joblib(work: Work) -> Figure:
    import joblib

    cached = joblib.Memory("joblib", verbose=0).cache(product)
    values, seconds, late = timed(lambda: [cached(replicate, gain=2.0) for replicate in range(work.size)])
    if not all(cached.check_call_in_cache(replicate, gain=2.0) for replicate in range(work.size)):
        raise RuntimeError(f"{work}: not cached")
    check_products(work, values)
    return Figure({"run": seconds}, late=late)


def check_products(work: Work, values: list[float]) -> None:
    if values != [2.0 * (replicate + 1) for replicate in range(work.size)]:
        raise RuntimeError(f"{work}: wrong values")


# -- a large array ---------------------------------------------------------------------------------------------------


def made(size: int) -> Any:
    import numpy as np

    return np.arange(size // 8, dtype=float)


def kept(ctx: Any) -> Any:
    return ctx.resources["array"]


def summed(kept: Any) -> float:
    return float(kept.sum())


def array_ours(work: Work) -> Figure:
    import numpy as np  # noqa: F401, so that no run has to import it

    from workflow_assets import Experiment, FileStore, step

    store = FileStore("store", fsync=work.variant == "fsync")
    steps = [step(kept)] if work.stage == "cold" else [step(kept), step(summed)]
    study = Experiment("study", steps)
    if work.stage == "cold":
        array = made(work.size)
        Experiment("warm_up", [step(kept)]).run(FileStore("warm-up"), resources={"array": array[:200_000]})
        os.sync()
        result, seconds, late = timed(lambda: study.run(store, resources={"array": array}))
        result.raise_failures()
        return Figure({"write": seconds}, late=late)
    Experiment("warm_up", steps).run(FileStore("warm-up"))
    result, seconds, late = timed(lambda: study.run(store))
    (key,) = sorted_keys(store, "kept")
    again, again_seconds, _ = timed(lambda: summed(store.load(key)))
    check_sums(work, [*result.table["summed"], again])
    if result.timings["computed"].sum() != 1:
        raise RuntimeError(f"{work}: not as cold or warm as it should be")
    return Figure({"read": seconds, "again": again_seconds}, late=late)


def array_numpy(work: Work) -> Figure:
    import numpy as np

    path = Path("array.npy")
    if work.stage == "cold":
        array = made(work.size)

        def save() -> None:
            with path.open("wb") as file:
                np.save(file, array)
                if work.variant == "fsync":
                    file.flush()
                    os.fsync(file.fileno())

        os.sync()
        return Figure({"write": timed(save)[1]})
    loaded, seconds, _ = timed(lambda: summed(np.load(path)))
    mapped, mapped_seconds, _ = timed(lambda: summed(np.load(path, mmap_mode="c")))
    check_sums(work, [loaded, mapped])
    return Figure({"read": seconds, "again": mapped_seconds})


def check_sums(work: Work, sums: list[float]) -> None:
    count = work.size // 8
    if not all(math.isclose(one, count * (count - 1) / 2) for one in sums):
        raise RuntimeError(f"{work}: wrong values")


MEASURES = {
    ("frame", "plain"): frame_plain,
    ("frame", "ours"): frame_ours,
    ("frame", "theirs"): frame_crystallize,
    ("calls", "ours"): calls_ours,
    ("calls", "theirs"): calls_joblib,
    ("array", "ours"): array_ours,
    ("array", "theirs"): array_numpy,
}


# -- rounds ----------------------------------------------------------------------------------------------------------


def list_works(tasks: list[str], sizes: dict[str, int], places: Places) -> list[list[Work]]:
    """List what a round measures; what stands together shares a fresh folder, one after the other."""
    alone = {
        "frame": [("plain", "", 1), ("ours", "", 2), ("theirs", "uncached", 1), ("theirs", "cached", 2)],
        "calls": [("ours", "", 2), ("theirs", "", 2)],
        "array": [(system, wait, 2) for wait in ("no fsync", "fsync") for system in ("ours", "theirs")],
    }
    works = []
    for task in tasks:
        for place in places:
            for system, variant, stages in alone[task]:
                cold = Work(task, system, place, sizes[task], variant)
                works.append([cold, replace(cold, stage="warm")][:stages])
    return works


def measure_all(works: list[list[Work]], rounds: int, places: Places) -> tuple[Figures, list[float]]:
    """Measure everything in every round; give the figures, and the load average before, between and after."""
    pythons = {"frame": peer_python(CRYSTALLIZE, "numpy", "pandas"), "calls": joblib_python()}
    figures: Figures = {}
    loads = [os.getloadavg()[0]]
    roots = {place: Path(tempfile.mkdtemp(dir=folder)) for place, folder in places.items()}
    try:
        for number_of_round in range(rounds):
            print(f"Round {number_of_round + 1} of {rounds}", file=sys.stderr)
            for together in works[::-1] if number_of_round % 2 else works:
                folder = Path(tempfile.mkdtemp(dir=roots[together[0].place]))
                for work in together:
                    here = Path(sys.executable)
                    python = pythons.get(work.task, here) if work.system == "theirs" else here
                    figures.setdefault(work, []).append(
                        Figure(**measure_apart(__file__, work, python, folder))
                    )
                if work.task != "calls" or "tmpfs" in work.place:  # many small files are deleted at the end
                    shutil.rmtree(folder)
            loads.append(os.getloadavg()[0])
    finally:
        for root in roots.values():
            shutil.rmtree(root)
    return figures, loads


def joblib_python() -> Path:
    """Give a Python that has joblib: this one where it does, as scikit-learn brings it, else one of its own."""
    return Path(sys.executable) if importlib.util.find_spec("joblib") else peer_python(JOBLIB, "numpy")


# -- tables ----------------------------------------------------------------------------------------------------------


def verdict(ratio: float) -> str:
    """Say whether what was measured, divided by what it may be, is within the budget."""
    return "holds" if ratio <= 1 else f"falls short by {100 * (ratio - 1):.0f} %"


def median_ratio(ours: list[float], allowed: list[float]) -> float:
    return statistics.median(our / one for our, one in zip(ours, allowed, strict=True))


class Column:
    """What was measured of one system in one place, by the names of the figures."""

    def __init__(self, figures: Figures, task: str, system: str, place: str) -> None:
        self.found = {
            (work.variant, work.stage): measured
            for work, measured in figures.items()
            if (work.task, work.system, work.place) == (task, system, place)
        }

    def per(self, count: float, name: str, variant: str = "", stage: str = "cold") -> list[float]:
        """Give what each round measured, in milliseconds for each of `count`."""
        return [figure.seconds[name] * 1e3 / count for figure in self.found[variant, stage]]


def added(one: list[float], other: list[float], times: float = 1.0) -> list[float]:
    return [a + times * b for a, b in zip(one, other, strict=True)]


def frame_rows(figures: Figures, places: Places) -> Iterator[list[str]]:
    yield ["place", "what", "ms/replicate", "× pandas", "budget", "verdict"]
    for place in places:
        plain, ours, theirs = (Column(figures, "frame", one, place) for one in ("plain", "ours", "theirs"))
        sizes = [one.found["", "cold"][0].size for one in (plain, ours)]
        if max(sizes) > 1.1 * min(sizes):
            raise RuntimeError(f"ours and pyarrow did not write the same: {sizes}")
        pandas, pyarrow, default = (
            plain.per(REPLICATES, name) for name in ("pandas", "pyarrow", "pyarrow by default")
        )
        cold = ours.per(REPLICATES, "run")
        warm = ours.per(REPLICATES, "run", stage="warm")
        loaded = added(warm, ours.per(REPLICATES, "load", stage="warm"))
        uncached = theirs.per(REPLICATES, "run", "uncached")
        miss, hit = (theirs.per(REPLICATES, "run", "cached", stage) for stage in ("cold", "warm"))
        allowed = added(pandas, pyarrow, BUDGETS["pyarrow"])
        for what, values, budget, limit in (
            ("plain pandas", pandas, "", None),
            ("writing the same bytes with pyarrow", pyarrow, "", None),
            ("writing with pyarrow's defaults", default, "", None),
            ("ours, cold", cold, f"pandas + {BUDGETS['pyarrow']} × pyarrow", allowed),
            ("", cold, "Crystallize uncached", uncached),
            ("", cold, "Crystallize cached, cold", miss),
            ("ours, warm", warm, "", None),
            ("ours, warm + load", loaded, "Crystallize cached, warm", hit),
            ("Crystallize uncached", uncached, "", None),
            ("Crystallize cached, cold", miss, "", None),
            ("Crystallize cached, warm", hit, "", None),
        ):
            yield [
                place,
                what,
                spread(values, 1) if what else "",
                f"{median_ratio(values, pandas):.2f}" if what else "",
                f"{budget}: {statistics.median(limit):.1f}" if limit else "",
                verdict(median_ratio(values, limit)) if limit else "",
            ]


def calls_rows(figures: Figures, places: Places) -> Iterator[list[str]]:
    yield ["place", "what", "ours ms/call", "run alone", "joblib ms/call", "ratio", "budget", "verdict"]
    for place in places:
        ours, theirs = (Column(figures, "calls", one, place) for one in ("ours", "theirs"))
        for what, stage in (("miss", "cold"), ("hit", "warm")):
            count = next(work.size for work in figures if work.task == "calls")
            run, whole = ours.per(count, "run", stage=stage), theirs.per(count, "run", stage=stage)
            mine = added(run, ours.per(count, "table", stage=stage))
            ratio = median_ratio(mine, whole)
            yield [
                place,
                what,
                spread(mine, 4),
                f"{statistics.median(run):.4f}",
                spread(whole, 4),
                f"{ratio:.2f}",
                "joblib",
                verdict(ratio / BUDGETS["peer"]),
            ]
            if what == "hit":
                limit = BUDGETS["hit"]
                met = verdict(statistics.median(run) / limit)
                yield [place, "", "", f"{statistics.median(run):.4f}", "", "", f"{limit} ms, run alone", met]


def array_rows(figures: Figures, places: Places) -> Iterator[list[str]]:
    yield ["place", "what", "ours ms", "numpy ms", "ratio", "budget", "verdict"]
    for place in places:
        ours, theirs = (Column(figures, "array", one, place) for one in ("ours", "theirs"))
        for what, name, variant, budgeted in (
            ("write, no fsync", "write", "no fsync", True),
            ("write, fsync", "write", "fsync", True),
            ("first read; numpy.load", "read", "no fsync", True),
            ('read again; numpy.load(mmap_mode="c")', "again", "no fsync", False),
        ):
            stage = "cold" if name == "write" else "warm"
            mine, whole = (one.per(1, name, variant, stage) for one in (ours, theirs))
            ratio, limit = median_ratio(mine, whole), BUDGETS["array"]
            yield [
                place,
                what,
                spread(mine, 0),
                spread(whole, 0),
                f"{ratio:.2f}",
                f"{limit} × numpy" if budgeted else "",
                verdict(ratio / limit) if budgeted else "",
            ]


def report(figures: Figures, loads: list[float], places: Places) -> str:
    """Write the tables, and under which conditions they came about."""
    sizes = {work.task: work.size for work in figures}
    written = next((found[0].size for work, found in figures.items() if work.system == "plain"), 0)
    tables = {
        "frame": (
            f"A frame of {sizes.get('frame', 0) * 80 / 1e6:g} MB through three stored steps",
            frame_rows,
        ),
        "calls": (f"{sizes.get('calls', 0):,} calls of a function that costs nothing", calls_rows),
        "array": (f"An array of {sizes.get('array', 0) / 1e6:g} MB", array_rows),
    }
    parts = [
        f"### {title}\n\n{markdown(rows(figures, places))}\n"
        for task, (title, rows) in tables.items()
        if task in sizes
    ]
    late = {name for measured in figures.values() for figure in measured for name in figure.late}
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "pyarrow"))
    notes = [
        f"Against {CRYSTALLIZE} and {JOBLIB}, with the same Python {platform.python_version()}, {libraries}.",
        load_note(loads),
        f"Rounds: {len(loads) - 1}. Each figure is a median (least–most); a ratio is the median of the rounds' own.",
        f"Written for each replicate of the frame: {written / REPLICATES / 1e6:.1f} MB.",
        "Nothing waits for the disk, but where fsync is named.",
        *([f"Imported during a run, and so measured with it: {', '.join(sorted(late))}."] if late else []),
        POWER_CUT,
    ]
    return "\n".join([*parts, *(f"- {note}" for note in notes)])


POWER_CUT = (
    "What a power cut may cost: without fsync, as by default, what was stored in the last half minute or so (the time "
    "that Linux lets written data wait) may be gone or torn; it fails its digest, or is not found, and the next run "
    "computes it again. So a cut costs time, never a wrong value. With fsync=True, nothing that a run has stored."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="one round of small values, to see that it works"
    )
    parser.add_argument("--rounds", type=int, help=f"how often to measure everything ({ROUNDS})")
    parser.add_argument("--only", choices=list(SIZES), action="append", help="measure this part")
    parser.add_argument("--megabytes", type=float, help="size of the array (1000)")
    parser.add_argument(
        "--measure", metavar="WORK", help=argparse.SUPPRESS
    )  # what each process is started with
    options = parser.parse_args()
    if options.measure:
        work = Work(**json.loads(options.measure))
        print(json.dumps(asdict(MEASURES[work.task, work.system](work))))
        return
    sizes = dict(QUICK_SIZES if options.quick else SIZES)
    if options.megabytes:
        sizes["array"] = int(options.megabytes * 10**6)
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    places = find_places()
    works = list_works(options.only or list(SIZES), sizes, places)
    print(report(*measure_all(works, rounds, places), places))


if __name__ == "__main__":
    main()
