"""A webserver, a daemon and four runs at once on the embedded event log, for some minutes: is an event lost?

Four processes run a job of 400 cells again and again, as ``dagster job execute`` does, each its own; ``dagster dev``
serves the UI, which is asked all the while for the assets' partitions and the newest run's log, and runs the daemon.
All of it lies in a fresh folder with the shipped ``dagster.yaml``.

At the end every run is counted: each must have, in its own file and in the index, one materialisation for each cell,
with the data version that the event says, and the files must be whole. Nothing may have been told of a locked database.

``make soak SECONDS=60`` for a shorter one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rounds import ROOT, load_note, markdown

sys.path.insert(0, str(ROOT))

WRITERS, REPLICATES = 4, 200
CELLS = 2 * REPLICATES

FIELDS = f"""
import time

from workflow_assets import Experiment, MemoryStore, step, to_dagster


@step
def grow(replicate: int, nitrogen: float = 1.0) -> float:
    time.sleep(0.001)
    return nitrogen * replicate


def declared(name):
    return Experiment(name, [grow], {{"much": {{"grow.nitrogen": 2.0}}}}, replicates={REPLICATES})


def fresh(name):
    # An empty store: every cell is computed and told again.
    return to_dagster(declared(name), store=MemoryStore())


defs = to_dagster(*[declared(f"field{{number}}") for number in range({WRITERS})], store=MemoryStore())
"""

PAGES = {
    "partitions of an asset": """query { assetNodes(assetKeys: [{path: ["field0", "grow"]}]) {
        partitionStats { numMaterialized numPartitions }
        assetPartitionStatuses { __typename ... on MultiPartitionStatuses { ranges { primaryDimStartKey } } } } }""",
    "newest runs": "query { runsOrError(limit: 20) { ... on Runs { results { runId status } } } }",
    "log of the newest run": """query { runsOrError(limit: 1) { ... on Runs { results {
        eventConnection(limit: 200) { events { __typename } } } } } }""",
    "materialisations": """query { assetOrError(assetKey: {path: ["field1", "grow"]}) { ... on Asset {
        assetMaterializations(limit: 100) { partition timestamp } } } }""",
}


# -- a process that writes -------------------------------------------------------------------------------------------


def write(name: str, seconds: float) -> dict[str, Any]:
    """Run a job until the time is up; give the runs, and how long storing a batch took."""
    import dagster as dg

    from workflow_assets.orchestration.event_logs import EmbeddedEventLog

    took: list[float] = []
    stored = EmbeddedEventLog.store_event_batch

    def timed(log: EmbeddedEventLog, events: Any) -> None:
        started = time.perf_counter()
        stored(log, events)
        took.append(time.perf_counter() - started)

    EmbeddedEventLog.store_event_batch = timed  # type: ignore[method-assign]
    sys.path.insert(0, str(Path.cwd()))
    import fields  # type: ignore[import-not-found]

    runs = []
    end = time.monotonic() + seconds
    with dg.DagsterInstance.from_config(str(Path.cwd())) as instance:
        while time.monotonic() < end:
            job = fields.fresh(name).resolve_job_def(name)
            result = job.execute_in_process(instance=instance)
            if not result.success:
                raise RuntimeError(f"{name}: run {result.run_id} failed")
            runs.append(result.run_id)
    return {"runs": runs, "batches": took}


def start(folder: Path, name: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, "--write", name, "--seconds", str(seconds)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WORKFLOW_ASSETS_HOME": str(folder / ".workflow_assets")},
        stdout=subprocess.PIPE,
        stderr=(folder / f"{name}.log").open("w"),
        text=True,
    )


# -- counting --------------------------------------------------------------------------------------------------------


def faults(log: Path, name: str, run: str) -> Iterator[str]:
    """Give what is wrong with a run's events."""
    wanted = [
        f"{number:04d}|{treatment}" for number in range(REPLICATES) for treatment in ("baseline", "much")
    ]
    asset = json.dumps([name, "grow"])
    for file in (f"{run}.db", "index.db"):
        with closing(sqlite3.connect(log / file)) as connection:
            found = connection.execute(
                "SELECT partition FROM event_logs WHERE run_id = ? AND asset_key = ? "
                "AND dagster_event_type = 'ASSET_MATERIALIZATION'",
                (run, asset),
            ).fetchall()
            ends = connection.execute(
                "SELECT count(*) FROM event_logs WHERE run_id = ? AND dagster_event_type = 'PIPELINE_SUCCESS'",
                (run,),
            ).fetchone()[0]
        if sorted(partition for (partition,) in found) != sorted(wanted):
            yield f"{file}: {len(found)} materialisations of run {run}, {len(wanted)} expected"
        if ends != 1:
            yield f"{file}: run {run} ended {ends} times"


def faults_of_files(log: Path) -> Iterator[str]:
    for file in log.glob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                yield f"{file.name} is damaged"
    with closing(sqlite3.connect(log / "index.db")) as connection:
        wrong = connection.execute(
            "SELECT count(*) FROM asset_event_tags AS tag LEFT JOIN event_logs AS told ON told.id = tag.event_id "
            "WHERE tag.key = 'dagster/data_version' AND (told.id IS NULL OR instr(told.event, tag.value) = 0)"
        ).fetchone()[0]
    if wrong:
        yield f"{wrong} data versions are not on their own event"


# -- the whole -------------------------------------------------------------------------------------------------------


def ask(server: Any, end: float, took: dict[str, list[float]]) -> list[str]:
    """Look at pages until the time is up; give what went wrong."""
    errors = []
    while time.monotonic() < end:
        for page, query in PAGES.items():
            started = time.perf_counter()
            try:
                server.ask(query)
            except Exception as error:  # noqa: BLE001, whatever it is, it counts
                errors.append(f"{page}: {error}")
            took.setdefault(page, []).append(time.perf_counter() - started)
            time.sleep(0.05)
    return errors


def row(name: str, took: list[float]) -> list[str]:
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else took * 99
    return [
        name,
        f"{len(took):,}",
        *(f"{1e3 * seconds:.0f}" for seconds in (cuts[49], cuts[94], cuts[98], max(took))),
    ]


def soak(root: Path, seconds: float) -> int:
    """Soak for some seconds; print what was measured, and give how many things went wrong."""
    from workflow_assets_tests.browser.servers import serve

    loads = [os.getloadavg()[0]]
    folder = root / "fields"
    folder.mkdir()
    shutil.copy(ROOT / "dagster.yaml", folder)
    (folder / "fields.py").write_text(FIELDS)
    os.environ["PYTHONPATH"] = str(ROOT)
    dagster = [Path(sys.executable).with_name("dagster"), "dev", "-f", "fields.py"]
    took: dict[str, list[float]] = {}
    errors: list[str] = []
    with serve(dagster, folder) as server:
        writers = {name: start(folder, name, seconds) for name in (f"field{n}" for n in range(WRITERS))}
        errors += ask(server, time.monotonic() + seconds, took)
        told = {}
        for name, writer in writers.items():
            output, _ = writer.communicate()
            if writer.returncode:
                errors.append(
                    f"{name} ended with {writer.returncode}: {(folder / f'{name}.log').read_text()[-2000:]}"
                )
            else:
                told[name] = json.loads(output.splitlines()[-1])
        logs = [server.log, *folder.glob("*.log")]
        locked = sum(file.read_text(errors="replace").count("database is locked") for file in logs)
        fell_back = sum(file.read_text(errors="replace").count("Falling back to storing") for file in logs)
    loads.append(os.getloadavg()[0])
    log = folder / ".workflow_assets" / "dagster" / "history" / "runs"
    runs = [(name, run) for name, found in told.items() for run in found["runs"]]
    errors += [fault for name, run in runs for fault in faults(log, name, run)]
    errors += faults_of_files(log)
    rows = [["what", "times", "50 % ms", "95 % ms", "99 % ms", "most ms"]]
    rows.append(
        row("a batch of events", [seconds for found in told.values() for seconds in found["batches"]])
    )
    rows += [row(page, seconds) for page, seconds in took.items()]
    print(f"### {WRITERS} runs at once for {seconds:.0f} s, with webserver and daemon\n\n{markdown(rows)}\n")
    print(
        f"- {len(runs):,} runs, {len(runs) * CELLS:,} cells materialised, in {len(list(log.glob('*.db')))} files."
    )
    print(
        f"- 'database is locked': {locked}; batches stored one by one: {fell_back}; other faults: {len(errors)}."
    )
    print(f"- {load_note(loads)}")
    print(*errors[:20], sep="\n")
    return len(errors) + locked + fell_back + (not runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--write", metavar="NAME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        print(json.dumps(write(options.write, options.seconds)))
        return
    with tempfile.TemporaryDirectory() as root:
        faulty = soak(Path(root), options.seconds)
    sys.exit(bool(faulty))


if __name__ == "__main__":
    main()
