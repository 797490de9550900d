"""The embedded event log gives the answers that Dagster's own gives, whatever happened."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from workflow_assets.orchestration.event_logs import EmbeddedEventLog
from workflow_assets_tests.orchestration.happenings import ASSETS, Happenings, answers

RUNS = [f"run-{number}" for number in range(3)]


@pytest.fixture
def runs() -> Iterator[dg.DagsterInstance]:
    """An instance that knows the runs; the logs ask it for them."""
    with dg.DagsterInstance.ephemeral() as instance:
        for run in RUNS:
            instance.run_storage.add_run(dg.DagsterRun("job", run_id=run))
        yield instance


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where Linux has one: Dagster's own log waits for the disk at each event."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@contextmanager
def opened(
    log: type[SqliteEventLogStorage], folder: Path, runs: dg.DagsterInstance
) -> Iterator[SqliteEventLogStorage]:
    """A log in a folder."""
    storage = log(str(folder))
    storage.register_instance(runs)
    yield storage
    storage.dispose()


CLOCK = ("create_timestamp", "wipe_timestamp", "asset_details")
"""Columns that say when a row was made or an asset was wiped."""


def rows(folder: Path) -> dict[str, Any]:
    """All that stands in the files, but times of the clock and the order of an event's tags."""
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(file)) as connection:
            connection.row_factory = sqlite3.Row
            schema = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
            found[f"{file.name}: schema"] = [row[0] for row in schema]
            for table in ("event_logs", "asset_keys", "asset_event_tags", "asset_check_executions"):
                found_rows = connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
                content = [
                    {key: value for key, value in dict(row).items() if key not in CLOCK} for row in found_rows
                ]
                if table == "asset_event_tags":
                    content = sorted(
                        ({**row, "id": None} for row in content),
                        key=lambda row: (row["event_id"], row["key"]),
                    )
                found[f"{file.name}: {table}"] = content
    return found


def meddle(chance: random.Random, log: SqliteEventLogStorage) -> None:
    """Do something else than storing events."""
    asset, run = chance.choice(ASSETS), chance.choice(RUNS)
    chance.choice([
        lambda: log.wipe_asset(asset),
        lambda: log.delete_events(run),
        lambda: log.add_dynamic_partitions("plots", ["a", chance.choice("bc")]),
        lambda: log.delete_dynamic_partition("plots", "a"),
        lambda: log.set_concurrency_slots("pool", chance.randint(1, 3)),
        lambda: log.claim_concurrency_slot("pool", run, "step"),
        lambda: log.free_concurrency_slots_for_run(run),
    ])()  # fmt: skip


def compare(ours: SqliteEventLogStorage, theirs: SqliteEventLogStorage) -> None:
    expected = dict(answers(theirs, RUNS))
    for question, answer in answers(ours, RUNS):
        assert answer == expected[question], question


@pytest.mark.parametrize("seed", range(3))
def test_any_sequence_of_events_gets_the_answers_of_dagsters_own_log(folder, runs, seed):
    """One by one and many at a time, of several runs and kinds together, with deletions in between."""
    with (
        opened(EmbeddedEventLog, folder / "ours", runs) as ours,
        opened(SqliteEventLogStorage, folder / "theirs", runs) as theirs,
    ):
        happenings = Happenings(random.Random(seed), RUNS)
        for number in range(4):
            batch, single = happenings.batch(25), happenings.draw()
            for log in (ours, theirs):
                log.store_event_batch(batch)
                log.store_event(single)
                meddle(random.Random(seed * 100 + number), log)
        compare(ours, theirs)
    assert rows(folder / "ours") == rows(folder / "theirs")


def test_either_log_goes_on_with_what_the_other_wrote(folder, runs):
    """A folder changes hands again and again: its answers and its bytes are those of a log that stayed."""
    happenings = Happenings(random.Random(7), RUNS)
    with opened(SqliteEventLogStorage, folder / "staying", runs) as staying:
        for kind in (SqliteEventLogStorage, EmbeddedEventLog) * 2:
            batch = happenings.batch(15)
            staying.store_event_batch(batch)
            with opened(kind, folder / "changing", runs) as changing:
                changing.store_event_batch(batch)
        for kind in (SqliteEventLogStorage, EmbeddedEventLog):
            with opened(kind, folder / "changing", runs) as changing:
                compare(changing, staying)
    assert rows(folder / "changing") == rows(folder / "staying")
