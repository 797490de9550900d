"""The embedded event log keeps what Dagster's own keeps: live views, few open files, a clean slate after a wipe."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.events import DagsterEventType
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from workflow_assets.orchestration.event_logs import EmbeddedEventLog
from workflow_assets_tests.orchestration.happenings import ASSETS, entry, happened, materialised

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedEventLog]:
    log = EmbeddedEventLog(str(tmp_path / "log"))
    yield log
    log.dispose()


def open_files(folder: Path) -> list[str]:
    """The files of a folder that this process has open; deleted ones say so."""
    found = []
    for descriptor in DESCRIPTORS.iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


def happens(told: list[int], number: int) -> bool:
    """Wait until so many events were told."""
    end = time.monotonic() + 30
    while len(told) < number and time.monotonic() < end:
        time.sleep(0.01)
    return len(told) >= number


def test_the_shipped_configuration_uses_it(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKFLOW_ASSETS_HOME", str(tmp_path / "home"))
    shipped = yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text())
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=shipped) as instance:
        assert isinstance(instance.event_log_storage, EmbeddedEventLog)
        assert instance.event_log_storage.get_all_run_ids() == []


def test_the_live_log_tells_each_event_once_and_in_order_while_the_file_stays_open(log, tmp_path):
    """Two who look, one from the start and one from a cursor, as two tabs of the UI do; the writer goes on."""
    log.store_event_batch([materialised("run", number) for number in range(3)])
    cursor = log.get_records_for_run("run", limit=2).cursor
    reader = EmbeddedEventLog(str(tmp_path / "log"))
    all_told: list[int] = []
    later_told: list[int] = []

    def tell_all(event: dg.EventLogEntry, cursor: str) -> None:
        all_told.append(int(event.timestamp) % 1000)

    def tell_later(event: dg.EventLogEntry, cursor: str) -> None:
        later_told.append(int(event.timestamp) % 1000)

    reader.watch("run", None, tell_all)
    reader.watch("run", cursor, tell_later)
    for number in range(3, 40):
        log.store_event(materialised("run", number))
    assert happens(all_told, 40)
    assert happens(later_told, 38)
    assert all_told == list(range(40))
    assert later_told == list(range(2, 40))
    reader.end_watch("run", tell_all)
    log.store_event(materialised("run", 40))
    assert happens(later_told, 39)
    assert len(all_told) == 40
    reader.dispose()
    assert not [thread for thread in threading.enumerate() if thread.name == "watch-run"]


def test_one_who_looks_and_fails_at_an_event_is_told_the_next(log, caplog):
    told: list[int] = []

    def tell(event: dg.EventLogEntry, cursor: str) -> None:
        told.append(int(event.timestamp) % 1000)
        if len(told) == 1:
            raise ValueError("out of luck")

    log.watch("run", None, tell)
    log.store_event_batch([materialised("run", number) for number in range(3)])
    assert happens(told, 3)
    assert told == [0, 1, 2]
    assert "The events of run run cannot be told" in caplog.text


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="the system does not list open files")
def test_file_descriptors_do_not_grow_with_runs(log, tmp_path):
    """The index and one run are open, with their write-ahead logs; nothing is after the end."""
    for number in range(12):
        log.store_event_batch([materialised(f"run-{number}", place) for place in range(2)])
        log.get_logs_for_run(f"run-{number // 2}")
        assert len(open_files(tmp_path)) <= 6
    log.dispose()
    assert open_files(tmp_path) == []


def test_wipe_lets_go_of_the_files_that_it_deletes(log, tmp_path):
    """By this log or by another process's: what is stored afterwards is there for everybody."""
    other = SqliteEventLogStorage(str(tmp_path / "log"))
    for wiper in (log, other):
        log.store_event_batch([materialised("run", number) for number in range(3)])
        wiper.wipe()
        assert log.get_logs_for_run("run") == other.get_logs_for_run("run") == []
        assert not log.has_asset_key(ASSETS[0])
        log.store_event(materialised("run", 7))
        assert len(log.get_logs_for_run("run")) == len(other.get_logs_for_run("run")) == 1
        assert log.get_materialized_partitions(ASSETS[0]) == set()
        assert [name for name in open_files(tmp_path) if "deleted" in name] == []
        log.wipe()
    other.dispose()


def test_a_batch_that_cannot_be_stored_is_stored_nowhere(log, monkeypatch):
    """Dagster then stores its events one by one: none may be there twice."""
    log.store_event(materialised("run", 0))
    batch = [materialised("run", number) for number in (1, 2)]

    def fail(*arguments: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(log, "_get_asset_entry_values", fail)
        with pytest.raises(sqlite3.OperationalError):
            log.store_event_batch(batch)
    log.store_event_batch(batch)
    assert [int(event.timestamp) % 1000 for event in log.get_logs_for_run("run")] == [0, 1, 2]
    assert len(log.fetch_materializations(ASSETS[0], 10).records) == 3


def test_a_file_that_somebody_writes_to_is_waited_for(log, tmp_path):
    """A writer that holds the index for a while makes others wait, not fail."""
    log.store_event(materialised("run", 0))
    blocker = sqlite3.connect(tmp_path / "log" / "index.db", check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, blocker.rollback)
    release.start()
    log.store_event_batch([materialised("run", number) for number in (1, 2)])
    release.join()
    blocker.close()
    assert len(log.get_logs_for_run("run")) == 3


def test_threads_take_turns(log):
    """A step's threads may all log."""
    threads = [
        threading.Thread(target=lambda run=run: [log.store_event(materialised(run, n)) for n in range(20)])
        for run in ("a", "b", "a", "c")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(log.get_logs_for_run(run)) for run in ("a", "b", "c")] == [40, 20, 20]
    assert len(log.fetch_materializations(ASSETS[0], 100).records) == 80


def test_events_of_a_run_that_no_query_across_runs_asks_for_do_not_touch_the_index(log):
    log.store_event_batch(
        [entry("run", happened(DagsterEventType.STEP_START), 1.0), entry("run", None, 2.0, "note")]
    )
    assert len(log.get_logs_for_run("run")) == 2
    assert log.get_maximum_record_id() is None


def test_its_files_are_migrated_as_dagsters_own_are(log, capsys):
    """`dagster instance migrate` goes through all runs."""
    log.store_event(materialised("run", 0))
    assert log.alembic_version()[0] == log.alembic_version()[1]
    log.upgrade()
    log.reindex_events(force=True)
    log.reindex_assets(force=True)
    log.store_event(materialised("run", 1))
    assert len(log.get_logs_for_run("run")) == 2
    assert log.has_asset_key(ASSETS[0])
    assert "Updating event log storage for 1 runs" in capsys.readouterr().out
