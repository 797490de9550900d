"""Processes that write to the embedded event log at once, or are killed while they do."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from workflow_assets.orchestration.event_logs import EmbeddedEventLog
from workflow_assets_tests.crash import event_writers
from workflow_assets_tests.crash.event_writers import BATCH
from workflow_assets_tests.orchestration.happenings import ASSETS, materialised


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    with subprocess.Popen(
        [sys.executable, "-m", event_writers.__name__],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Writers(process)


class Writers:
    """Processes that write."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, folder: Path, run: str, batches: int) -> int:
        """Start one; give its id."""
        return int(self._ask(f"{folder} {run} {batches}"))

    def end(self) -> list[int]:
        """Wait for all; give how they ended."""
        return [int(code) for code in self._ask("").split()]

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


def stored(folder: Path, run: str) -> bool:
    """Tell whether something stands in a run's file, without being in the way of who writes it."""
    log = folder / f"{run}.db"
    try:
        with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT 1 FROM event_logs").fetchone() is not None
    except sqlite3.OperationalError:  # no file yet, or no table
        return False


def in_runs(log: SqliteEventLogStorage, run: str) -> list[int]:
    return [int(event.timestamp) for event in log.get_logs_for_run(run)]


def versions(log: SqliteEventLogStorage) -> tuple[dict[str, str], dict[str, str]]:
    """The data version of each partition, as the index tells it and as the event that it names tells it."""
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    tags = log.get_latest_tags_by_partition(ASSETS[0], kind, [DATA_VERSION_TAG])
    records = log.get_event_records(dg.EventRecordsFilter(kind, ASSETS[0]))
    told = {
        str(record.partition_key): record.asset_materialization.tags[DATA_VERSION_TAG]
        for record in records
        if record.asset_materialization and record.asset_materialization.tags
    }
    return {partition: found[DATA_VERSION_TAG] for partition, found in tags.items()}, told


def test_ids_of_writers_at_once_each_tag_is_on_its_own_event(tmp_path, writers):
    """Three processes and this one write to the same index: nothing is lost, and no version is on another's event."""
    log = EmbeddedEventLog(str(tmp_path))
    for number in range(3):
        writers.start(tmp_path, f"run-{number}", 20)
    for number in range(40):
        log.store_event(materialised("here", number, partition=f"{number}|here"))
        time.sleep(0.01)
    assert writers.end() == [0, 0, 0]
    indexed, told = versions(log)
    assert indexed == told
    expected = {
        f"{number}|run-{run}": f"run-{run}-{number}" for run in range(3) for number in range(20 * BATCH)
    }
    assert told == expected | {f"{number}|here": f"here-{number}" for number in range(40)}
    assert all(len(in_runs(log, f"run-{number}")) == 20 * BATCH for number in range(3))
    log.dispose()


def test_a_writer_killed_at_any_instant_leaves_whole_files_and_whole_batches(tmp_path, writers):
    """Dagster's own log opens them, and the next writer goes on."""
    chance = random.Random(11)
    runs = [f"run-{number}" for number in range(8)]
    for number, run in enumerate(runs):
        writer = writers.start(tmp_path, run, 1000)
        end = time.monotonic() + 30
        # Every other one may still be making its tables.
        while number % 2 and not stored(tmp_path, run) and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.1))
        os.kill(writer, signal.SIGKILL)
        assert writers.end() == [-signal.SIGKILL]
        for file in [path for path in tmp_path.iterdir() if path.suffix == ".db"]:
            with closing(sqlite3.connect(file)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], file.name
    writers.start(tmp_path, "finished", 2)
    assert writers.end() == [0]

    log = SqliteEventLogStorage(str(tmp_path))
    indexed, told = versions(log)
    assert indexed == told
    counted = Counter(partition.partition("|")[2] for partition in told)
    assert counted["finished"] == len(in_runs(log, "finished")) == 2 * BATCH
    kept = {run: len(in_runs(log, run)) for run in runs}
    assert all(kept[run] for run in runs[1::2])
    for run in runs:
        assert kept[run] % BATCH == counted[run] % BATCH == 0
        # Killed between the two files, the run has a batch that the index has not, as with Dagster's own log.
        assert kept[run] - counted[run] in (0, BATCH)
    log.dispose()


FORKING = """
import os, sys
from workflow_assets.orchestration.event_logs import EmbeddedEventLog
from workflow_assets_tests.orchestration.happenings import materialised

log = EmbeddedEventLog(sys.argv[1])
log.store_event(materialised("run", 0, partition="before|here"))
opened = len(os.listdir("/proc/self/fd"))
child = os.fork()
for number in range(60):
    log.store_event(materialised("run", number, partition=f"{number}|{bool(child)}"))
if not child:
    sys.exit("it wrote to its parent's files" if len(os.listdir("/proc/self/fd")) <= opened else 0)
ended = os.waitpid(child, 0)[1]
log.store_event(materialised("run", 0, partition="after|here"))
log.dispose()
sys.exit(bool(ended))
"""


def test_a_process_that_was_forked_opens_files_of_its_own(tmp_path):
    """As a step may, whose workers log: SQLite's open files cannot be shared with them."""
    forking = [sys.executable, "-c", FORKING, str(tmp_path)]
    subprocess.run(forking, cwd=Path(__file__).parents[2], check=True)
    log = SqliteEventLogStorage(str(tmp_path))
    indexed, told = versions(log)
    assert indexed == told
    assert told.keys() == {"before|here", "after|here"} | {
        f"{number}|{who}" for number in range(60) for who in (True, False)
    }
    assert len(in_runs(log, "run")) == 122
    log.dispose()
