"""The event log of one machine: Dagster's own SQLite files, written many events at a time.

Dagster's log opens a connection, checks the schema and commits three times for each event. Here the index and the run
at hand stay open, and what is handed over together is one transaction in each of the two files. The files, their
schema and what stands in them are Dagster's: either log opens what the other wrote.

A transaction that was committed outlives its process; after a power cut the last ones may be missing, and the files
are whole (``synchronous=NORMAL`` on a write-ahead log).
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from dagster._core.event_api import EventHandlerFn, EventLogCursor
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    DagsterEventType,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.event_log.schema import AssetKeyTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, inspect
from sqlalchemy.event import listen
from sqlalchemy.pool import NullPool

from workflow_assets.orchestration import plannings
from workflow_assets.orchestration.plannings import Spreading, planned_alone
from workflow_assets.orchestration.transcripts import Transcripts, plain_content

OF_CHECKS = frozenset(kind.value for kind in ASSET_CHECK_EVENTS)
MIRRORED = OF_CHECKS | {kind.value for kind in (*ASSET_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS)}
"""The kinds of events that stand in the index too, where all runs are asked at once."""

TAGGED = frozenset(
    kind.value for kind in (DagsterEventType.ASSET_MATERIALIZATION, DagsterEventType.ASSET_OBSERVATION)
)
"""The kinds of events whose tags are asked for, such as the data version."""

TOLD_OF_ASSETS = TAGGED | {DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value}
"""The kinds of events that change what is told of an asset as a whole."""

SOON, LATER = 0.25, 1.0
"""Seconds until the next look at a run that somebody watches, while events come and while none do."""

CHECKPOINT = 4000
"""Pages of 4 kB that the write-ahead log holds before they are moved: often is slow, seldom takes space."""

INSERT = """
INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
VALUES (:run_id, :event, :dagster_event_type, :timestamp, :step_key, :asset_key, :partition)
"""

INSERT_TAG = (
    "INSERT INTO asset_event_tags (event_id, asset_key, key, value, event_timestamp) VALUES (?, ?, ?, ?, ?)"
)

Row = dict[str, Any]

INHERITED: list[Any] = []
"""Connections of a process that this one was forked from: SQLite allows neither to use nor to close them."""


class EmbeddedEventLog(Spreading, SqliteEventLogStorage):
    """Events in SQLite files, as Dagster lays them out: one for each run, and an index over all."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open_anew()
        self._tables: set[str] = set()
        self._transcripts = Transcripts()
        self._watches: dict[tuple[str, EventHandlerFn], Watch] = {}
        super().__init__(base_dir, inst_data)

    def _open_anew(self) -> None:
        self._process = os.getpid()
        # One thread at a time, as in Dagster's own; the same thread may come back within its transaction.
        self._lock = threading.RLock()
        self._transactions: dict[str, Connection] = {}
        self._engines: dict[str, tuple[Engine, int]] = {}

    # -- connections -------------------------------------------------------------------------------------------------

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """Give a connection in a transaction; within it, the same one again."""
        with self._turn:
            if shard in self._transactions:
                yield self._transactions[shard]
                return
            with self._engine(shard).begin() as connection:
                self._transactions[shard] = connection
                try:
                    yield connection
                finally:
                    del self._transactions[shard]

    @property
    def _turn(self) -> threading.RLock:
        """The lock of this process. One that was forked, as a step may, leaves the open files to its parent."""
        if self._process != os.getpid():
            INHERITED.append(self._engines)
            self._open_anew()
        return self._lock

    def _engine(self, shard: str) -> Engine:
        """Give the engine of a file. Those of the index and of one run are kept, as long as their file is the same."""
        engine, known = self._engines.get(shard, (None, None))
        inode = self._inode(shard)
        if engine is not None and inode == known:
            return engine
        runs = [name for name in self._engines if name != INDEX_SHARD_NAME]
        self._let_go([shard] if shard == INDEX_SHARD_NAME else runs)
        if inode is None or shard not in self._initialized_dbs:
            self._prepare(shard)
            inode = self._inode(shard)
        engine = create_engine(
            self.conn_string_for_shard(shard),
            # What will write takes its turn at once: one who has read before could not wait for it.
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "isolation_level": "IMMEDIATE"},
            pool_size=1,
        )
        listen(engine, "connect", _set_up)
        self._engines[shard] = engine, inode or 0
        return engine

    def _inode(self, shard: str) -> int | None:
        try:
            return Path(self.path_for_shard(shard)).stat().st_ino
        except FileNotFoundError:
            return None

    def _prepare(self, shard: str) -> None:
        """Make the tables, unless the file has them; Dagster's own check takes 30 ms."""
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=NullPool,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )
        with engine.connect() as connection:
            ready = inspect(connection).has_table("alembic_version") and (
                connection.exec_driver_sql("SELECT version_num FROM alembic_version").first() is not None
            )
        if not ready:
            listen(engine, "connect", _write_ahead)  # or else each table waits for the disk
            self._initdb(engine)
        self._initialized_dbs.add(shard)

    def _let_go(self, shards: Sequence[str]) -> None:
        for shard in shards:
            if shard in self._engines:
                self._engines.pop(shard)[0].dispose()

    def has_table(self, table_name: str) -> bool:
        """Tell whether a table exists; once there, it stays."""
        if table_name not in self._tables:
            with self.index_connection() as connection:
                if not inspect(connection).has_table(table_name):
                    return False
            self._tables.add(table_name)
        return True

    def has_asset_key_col(self, column_name: str) -> bool:
        """Tell whether a column of the assets exists; once there, it stays."""
        name = f"{AssetKeyTable.name}.{column_name}"
        if name not in self._tables:
            if not super().has_asset_key_col(column_name):
                return False
            self._tables.add(name)
        return True

    # -- writing -----------------------------------------------------------------------------------------------------

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event."""
        self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, all or none of them: one transaction in the index, and one in the file of the run.

        Where one plans many partitions, that would keep others waiting for too long: they are stored in pieces.
        """
        if all(self.partitions(event) is None for event in events):
            self._store([(event, self._row(event)) for event in events])
            return
        several = chain.from_iterable(map(self._rows, events))
        while piece := list(islice(several, plannings.AT_ONCE)):
            self._store(piece)

    def _rows(self, event: EventLogEntry) -> Iterator[tuple[EventLogEntry, Row]]:
        """Give the rows of an event: one, or one for each partition that it plans."""
        partitions = self.partitions(event)
        if partitions is None:
            yield event, self._row(event)
            return
        row = self._row(planned_alone(event, ""))
        for key, text in self._transcripts.write_each(event, partitions.get_partition_keys()):
            yield event, {**row, "event": text, "partition": key}

    def _store(self, events: Sequence[tuple[EventLogEntry, Row]]) -> None:
        runs: dict[str, list[Row]] = {}
        for _, row in events:
            runs.setdefault(row["run_id"], []).append(row)
        mirrored = [(event, row) for event, row in events if row["dagster_event_type"] in MIRRORED]
        with self._turn, ExitStack() as index:
            for run in runs:
                self._engine(run)  # a new file takes longer than others should wait for the index
            if mirrored:
                connection = index.enter_context(self.index_connection())
                identifiers = _insert(connection, [row for _, row in mirrored])
                self._store_in_index(connection, dict(zip(identifiers, mirrored, strict=True)))
            # A run's file is written while the index waits: where it fails, nothing is stored anywhere.
            for run, its_rows in runs.items():
                with self.run_connection(run) as connection:
                    _execute_many(connection, INSERT, its_rows)

    def _row(self, entry: EventLogEntry) -> Row:
        """Give what stands in the columns, as Dagster's `_event_to_row` does."""
        content = plain_content(entry)
        if content is None:
            row = self._event_to_row(entry)
            row["timestamp"] = _time(row["timestamp"])
            return row
        assert entry.dagster_event is not None
        return {
            "run_id": entry.run_id,
            "event": self._transcripts.write_plain(entry, content),
            "dagster_event_type": entry.dagster_event.event_type_value,
            "timestamp": _time(datetime.fromtimestamp(entry.timestamp, UTC).replace(tzinfo=None)),
            "step_key": entry.dagster_event.step_key,
            "asset_key": content.asset_key.to_string(),
            "partition": content.partition or None,
        }

    def _store_in_index(
        self, connection: Connection, events: Mapping[int, tuple[EventLogEntry, Row]]
    ) -> None:
        """Store what is asked for across runs: data versions, the newest event of each asset, verdicts of checks."""
        tags = [
            (identifier, row["asset_key"], key, value, row["timestamp"])
            for identifier, (event, row) in events.items()
            if row["dagster_event_type"] in TAGGED
            for key, value in self._tags_for_asset_event(event).items()
        ]
        if tags and self.has_table("asset_event_tags"):
            _execute_many(connection, INSERT_TAG, tags)
        newest: dict[tuple[str, str], int] = {}
        values: dict[str, dict[str, Any]] = {}
        for identifier, (event, row) in events.items():
            kind, asset = row["dagster_event_type"], row["asset_key"]
            if kind in OF_CHECKS:
                self.store_asset_check_event(event, identifier)
            elif kind in TOLD_OF_ASSETS and asset is not None:
                values.setdefault(asset, {})  # rows in the order of the first event, values of the last one
                newest.pop((asset, kind), None)
                newest[asset, kind] = identifier
        dated = bool(newest) and self.has_asset_key_index_cols()
        for (asset, _), identifier in newest.items():
            values[asset] |= self._get_asset_entry_values(events[identifier][0], identifier, dated)
        for asset, found in values.items():
            if found:
                update = AssetKeyTable.update().where(AssetKeyTable.c.asset_key == asset).values(**found)
                if not connection.execute(update).rowcount:
                    connection.execute(AssetKeyTable.insert().values(asset_key=asset, **found))

    # -- deleting ----------------------------------------------------------------------------------------------------

    def wipe(self) -> None:
        """Delete all events."""
        with self._turn:
            self._let_go(list(self._engines))
            super().wipe()

    # -- watching ----------------------------------------------------------------------------------------------------

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back for each event of a run from now on."""
        watch = Watch(self, run_id, cursor, callback)
        self._watches[run_id, callback] = watch
        watch.start()

    def end_watch(self, run_id: str, handler: EventHandlerFn) -> None:
        """Call back no more."""
        watch = self._watches.pop((run_id, handler), None)
        if watch is not None:
            watch.ended.set()

    def dispose(self) -> None:
        """Close all files."""
        for (run, handler), watch in list(self._watches.items()):
            self.end_watch(run, handler)
            if watch is not threading.current_thread():
                watch.join()
        with self._turn:
            self._let_go(list(self._engines))
        super().dispose()


class Watch(threading.Thread):
    """Looks at a run's events again and again.

    Dagster's own waits for the file to change: it changes when it is closed, which a run's file is at the run's end.
    """

    def __init__(
        self, log: EventLogStorage, run_id: str, cursor: str | None, callback: EventHandlerFn
    ) -> None:
        super().__init__(name=f"watch-{run_id}", daemon=True)
        self.ended = threading.Event()
        self._log, self._run, self._cursor, self._callback = log, run_id, cursor, callback

    def run(self) -> None:
        """Look until it is enough."""
        pause = SOON
        while not self.ended.wait(pause):
            try:
                pause = SOON if self._look() else LATER
            except Exception:
                logging.getLogger(__name__).exception(
                    "The events of run %s cannot be told; trying again", self._run
                )

    def _look(self) -> bool:
        """Tell what is new; False if nothing is."""
        records = self._log.get_records_for_run(self._run, self._cursor).records
        for record in records:
            if self.ended.is_set():
                break
            self._cursor = EventLogCursor.from_storage_id(record.storage_id).to_string()
            self._callback(record.event_log_entry, self._cursor)
        return bool(records)


def _write_ahead(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _set_up(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT}")


def _time(moment: datetime) -> str:
    """Write a time as SQLAlchemy does."""
    return moment.isoformat(" ", "microseconds")


# By the driver itself: SQLAlchemy gives ids in the order of the rows only if it builds a statement for each.


def _insert(connection: Connection, rows: Sequence[Row]) -> list[int]:
    """Insert events; give the ids that the database gave them."""
    with closing(connection.connection.cursor()) as cursor:
        return [cursor.execute(INSERT, row).lastrowid for row in rows]


def _execute_many(connection: Connection, statement: str, rows: Sequence[Any]) -> None:
    with closing(connection.connection.cursor()) as cursor:
        cursor.executemany(statement, rows)
