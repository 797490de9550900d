"""Events as the text that Dagster's log keeps, written quickly.

Materialisations of one step differ in partition, tags, the values of metadata and the time, and plans of them in
partition and time; whatever else they say is the same. Dagster's serialiser walks through all of it, which is most of
what storing an event costs. Here it writes the first of its kind; if that consists of what is written here and a frame
around it, the frame serves the others. If not, for instance with another version of Dagster, its serialiser writes them
all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dagster import AssetMaterialization, FloatMetadataValue, IntMetadataValue, TextMetadataValue
from dagster._core.events import AssetMaterializationPlannedData, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._serdes import serialize_value

from workflow_assets.orchestration.plannings import planned_alone

MOST_FRAMES = 256
"""Kinds of events that are remembered: steps of a run, with the names and types of their metadata."""

PLAIN: Mapping[type, str] = {
    TextMetadataValue: '{"__class__": "TextMetadataEntryData", "text": ',
    IntMetadataValue: '{"__class__": "IntMetadataEntryData", "value": ',
    FloatMetadataValue: '{"__class__": "FloatMetadataEntryData", "value": ',
}

Content = AssetMaterialization | AssetMaterializationPlannedData
Frame = tuple[str, str, str]

_text = json.JSONEncoder().encode
_sorted_text = json.JSONEncoder(sort_keys=True).encode


class Transcripts:
    """Writes events as text."""

    def __init__(self) -> None:
        self._frames: dict[Any, Frame | None] = {}

    def write(self, entry: EventLogEntry) -> str:
        """Give an event's text, to the letter what Dagster's `serialize_value` gives."""
        content = plain_content(entry)
        return serialize_value(entry) if content is None else self.write_plain(entry, content)

    def write_plain(self, entry: EventLogEntry, content: Content) -> str:
        """Give the text of an event with plain content."""
        frame = self._frame(entry, content)
        if frame is None:
            return serialize_value(entry)
        start, middle, end = frame
        return f"{start}{_account(content)}{middle}{_moment(entry)}{end}"

    def write_each(self, entry: EventLogEntry, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Give each of some partitions, and the text of the event which plans that one alone."""
        first = planned_alone(entry, "")
        content = plain_content(first)
        frame = self._frame(first, content) if content is not None else None
        if frame is None:
            yield from ((key, serialize_value(planned_alone(entry, key))) for key in partitions)
            return
        start, middle, end = frame
        end = f"{middle}{_moment(entry)}{end}"
        yield from ((key, f"{start}{_account_planned(key)}{end}") for key in partitions)

    def _frame(self, entry: EventLogEntry, content: Content) -> Frame | None:
        kind = _kind(entry, content)
        if kind not in self._frames:
            if len(self._frames) >= MOST_FRAMES:
                self._frames.clear()
            self._frames[kind] = _frame(entry, content)
        return self._frames[kind]


def plain_content(entry: EventLogEntry) -> Content | None:
    """Give what was materialised or is planned to be, if the event tells of that, with plain values only."""
    content = entry.dagster_event.event_specific_data if entry.dagster_event is not None else None
    if type(content) is AssetMaterializationPlannedData and content.partitions_subset is None:
        return content
    if type(content) is not StepMaterializationData or content.asset_lineage:
        return None
    made = content.materialization
    values = made.metadata.values()
    plain = all(type(value) in PLAIN and getattr(value, "text", "") is not None for value in values)
    return made if plain and type(made) is AssetMaterialization else None


def _kind(entry: EventLogEntry, content: Content) -> Any:
    """Give all that the event says besides what is written for each event, so that it can be looked up."""
    event = entry.dagster_event
    assert event is not None
    return (
        entry._replace(timestamp=0.0, dagster_event=None),
        event._replace(event_specific_data=None, logging_tags=None),
        tuple((event.logging_tags or {}).items()),
        content.asset_key,
        (content.description, *((label, type(value)) for label, value in content.metadata.items()))
        if isinstance(content, AssetMaterialization)
        else (),
    )


def _frame(entry: EventLogEntry, content: Content) -> Frame | None:
    whole, account, moment = serialize_value(entry), _account(content), _moment(entry)
    if whole.count(account) != 1 or whole.count(moment) != 1:
        return None
    start, _, rest = whole.partition(account)
    middle, found, end = rest.partition(moment)
    return (start, middle, end) if found else None


def _account(content: Content) -> str:
    """Write what is told of one partition only."""
    partition = _text(content.partition)
    if not isinstance(content, AssetMaterialization):
        return _account_planned(content.partition)
    entries = ", ".join(
        f'{{"__class__": "EventMetadataEntry", "description": null, "entry_data": {PLAIN[type(value)]}'
        f'{_text(value.value)}}}, "label": {_text(label)}}}'
        for label, value in content.metadata.items()
    )
    tags = _sorted_text(content.tags)
    return f'"metadata_entries": [{entries}], "partition": {partition}, "tags": {tags}'


def _account_planned(partition: str | None) -> str:
    return f'"partition": {_text(partition)}, "partitions_subset": null'


def _moment(entry: EventLogEntry) -> str:
    return f'"timestamp": {_text(entry.timestamp)}, '
