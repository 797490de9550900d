"""Plans of ranges: handed over by Dagster as one event, and stored as one for each partition."""

from collections.abc import Iterable, Iterator
from typing import cast

from dagster._core.definitions.partitions.subset import PartitionsSubset
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.base import EventLogStorage

AT_ONCE = 500
"""Events in one transaction where one that is handed over speaks of many partitions."""


class Spreading(EventLogStorage):
    """Tells who plans a range of partitions that one event will do.

    To those who ask, it is stored as one for each partition, as Dagster would have handed them over at four times the
    cost; so that each is shown as failed if the run fails. Dagster's variable, where it is set, keeps it one.
    """

    _spreads = False

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """Tell that it does."""
        if not super().supports_partition_subset_in_asset_materialization_planned_events:
            self._spreads = True
        return True

    def partitions(self, event: EventLogEntry) -> PartitionsSubset | None:
        """Give the partitions for each of which an event is to be stored; None where it is to be stored as it is."""
        content = event.dagster_event.event_specific_data if event.dagster_event is not None else None
        if not self._spreads or type(content) is not AssetMaterializationPlannedData:
            return None
        return content.partitions_subset

    def spread(self, events: Iterable[EventLogEntry]) -> Iterator[EventLogEntry]:
        """Give events, one for each partition where one is to be stored for each."""
        for event in events:
            partitions = self.partitions(event)
            if partitions is None:
                yield event
            else:
                yield from (planned_alone(event, key) for key in partitions.get_partition_keys())


def planned_alone(entry: EventLogEntry, partition: str) -> EventLogEntry:
    """Give the event that plans one partition, of one which plans several."""
    event = entry.dagster_event
    assert event is not None
    planned = cast("AssetMaterializationPlannedData", event.event_specific_data)
    one = planned._replace(partition=partition, partitions_subset=None)
    return entry._replace(dagster_event=event._replace(event_specific_data=one))
