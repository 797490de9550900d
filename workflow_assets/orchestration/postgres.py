"""The storage that several machines share: Dagster's own in PostgreSQL, and the plan of a range stored at once."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config

from workflow_assets.orchestration import plannings
from workflow_assets.orchestration.plannings import Spreading


class PostgresEventLog(Spreading, PostgresEventLogStorage):
    """Events in PostgreSQL, as Dagster lays them out.

    Dagster's own stores the materialisations that are handed over together in one transaction, and plans one by one.
    """

    def store_event(self, event: EventLogEntry) -> None:
        """Store an event."""
        if self.partitions(event) is None:
            super().store_event(event)
        else:
            self.store_event_batch([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events that are handed over together."""
        if not all(_is_plan(event) for event in events):
            super().store_event_batch(list(self.spread(events)))
            return
        several = self.spread(events)
        while piece := list(islice(several, plannings.AT_ONCE)):
            self._store_plans(piece)

    def _store_plans(self, events: Sequence[EventLogEntry]) -> None:
        insertion = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        with self._connect() as connection:
            identifiers = [row[0] for row in connection.execute(insertion)]
        newest = {event.get_dagster_event().asset_key: place for place, event in enumerate(events)}
        with self.index_transaction() as connection:
            for place in newest.values():
                self._store_asset_event(connection, events[place], identifiers[place])


def _is_plan(event: EventLogEntry) -> bool:
    kind = event.dagster_event.event_type if event.dagster_event is not None else None
    return kind == DagsterEventType.ASSET_MATERIALIZATION_PLANNED


class PostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in PostgreSQL, configured as Dagster's own."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: Any = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = PostgresEventLog(
            postgres_url, should_autocreate_tables, token_provider=token_provider
        )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> "PostgresStorage":
        """Open the storage."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )
