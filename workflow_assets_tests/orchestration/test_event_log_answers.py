"""The embedded event log gives the answers that Dagster's own gives, whatever happened."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from workflow_assets.orchestration import plannings
from workflow_assets.orchestration.event_logs import EmbeddedEventLog
from workflow_assets_tests.orchestration.happenings import (
    ASSETS,
    Happenings,
    Kind,
    answers,
    entry,
    fail_over_range,
    happened,
    plots,
)

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


def planned(instance: dg.DagsterInstance, folder: Path) -> tuple[Any, ...]:
    """What a run over a range that failed has left: its plans, as they stand in the files, and what they answer."""
    run = fail_over_range(instance, "005", "045")
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value
    found = []
    for file in ("index", run):
        with closing(sqlite3.connect(folder / f"{file}.db")) as connection:
            query = (
                "SELECT partition, asset_key, step_key, event FROM event_logs WHERE dagster_event_type = ?"
            )
            by_partition = sorted(connection.execute(query, (kind,)))
            # All but the time, which is each event's own, and the run.
            found += [
                [*rest, re.sub(r'"timestamp": [\d.]+|' + run, "", text)] for *rest, text in by_partition
            ]
    log = instance.event_log_storage
    attempts = log.get_latest_asset_partition_materialization_attempts_without_materializations(plots.key)
    return found, sorted(attempts), log.get_asset_records([plots.key])[0].asset_entry.last_run_id == run


def test_the_partitions_of_a_range_are_planned_as_in_dagsters_own_log(tmp_path, monkeypatch):
    """Dagster hands over one event where ours tells that it may, and it stands there as one for each partition."""
    monkeypatch.setattr(plannings, "AT_ONCE", 20)
    monkeypatch.setenv("WORKFLOW_ASSETS_HOME", str(tmp_path / "ours"))
    custom = {"module": "workflow_assets.orchestration.storage", "class": "EmbeddedStorage"}
    ours = {"custom": {**custom, "config": {"folder": "dagster"}}}
    theirs = {"sqlite": {"base_dir": str(tmp_path / "theirs" / "dagster")}}
    answers = []
    for name, storage in {"ours": ours, "theirs": theirs}.items():
        (tmp_path / name).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / name), overrides={"storage": storage}) as instance:
            answers.append(planned(instance, tmp_path / name / "dagster" / "history" / "runs"))
    mine, stock = answers
    assert len(mine[0]) == 2 * 41
    assert mine == stock


def test_dagsters_variable_keeps_the_plan_of_a_range_one_event(runs, folder, monkeypatch):
    subset = DefaultPartitionsSubset({"a", "b"})
    event = entry(
        RUNS[0],
        happened(
            Kind.ASSET_MATERIALIZATION_PLANNED, AssetMaterializationPlannedData(ASSETS[0], None, subset)
        ),
        1.0,
    )
    for set_to, count in (("1", 1), ("", 2)):
        monkeypatch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", set_to)
        with opened(EmbeddedEventLog, folder / (set_to or "none"), runs) as log:
            assert log.supports_partition_subset_in_asset_materialization_planned_events
            log.store_event(event)
            assert len(log.get_logs_for_run(RUNS[0])) == count
