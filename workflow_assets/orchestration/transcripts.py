"""Events as the text that Dagster's log keeps, written quickly.

Materialisations of one step differ in partition, tags, the values of metadata and the time; whatever else they say is
the same. Dagster's serialiser walks through all of it, which is most of what storing an event costs. Here it writes the
first of its kind; if that consists of what is written here and a frame around it, the frame serves the others. If not,
for instance with another version of Dagster, its serialiser writes them all.
"""

import json
from collections.abc import Mapping
from typing import Any

from dagster import AssetMaterialization, FloatMetadataValue, IntMetadataValue, TextMetadataValue
from dagster._core.events import StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._serdes import serialize_value

MOST_FRAMES = 256
"""Kinds of events that are remembered: steps of a run, with the names and types of their metadata."""

PLAIN: Mapping[type, str] = {
    TextMetadataValue: '{"__class__": "TextMetadataEntryData", "text": ',
    IntMetadataValue: '{"__class__": "IntMetadataEntryData", "value": ',
    FloatMetadataValue: '{"__class__": "FloatMetadataEntryData", "value": ',
}

Frame = tuple[str, str, str]

_text = json.JSONEncoder().encode
_sorted_text = json.JSONEncoder(sort_keys=True).encode


class Transcripts:
    """Writes events as text."""

    def __init__(self) -> None:
        self._frames: dict[Any, Frame | None] = {}

    def write(self, entry: EventLogEntry) -> str:
        """Give an event's text, to the letter what Dagster's `serialize_value` gives."""
        made = plain_materialization(entry)
        if made is None:
            return serialize_value(entry)
        kind = _kind(entry, made)
        if kind not in self._frames:
            if len(self._frames) >= MOST_FRAMES:
                self._frames.clear()
            self._frames[kind] = _frame(entry, made)
        frame = self._frames[kind]
        if frame is None:
            return serialize_value(entry)
        start, middle, end = frame
        return f"{start}{_account(made)}{middle}{_moment(entry)}{end}"


def plain_materialization(entry: EventLogEntry) -> AssetMaterialization | None:
    """Give what was materialised, if the event tells of that, with metadata of plain values only."""
    event = entry.dagster_event
    data = event.event_specific_data if event is not None else None
    if type(data) is not StepMaterializationData or data.asset_lineage:
        return None
    made = data.materialization
    values = made.metadata.values()
    plain = all(type(value) in PLAIN and getattr(value, "text", "") is not None for value in values)
    return made if plain and type(made) is AssetMaterialization else None


def _kind(entry: EventLogEntry, made: AssetMaterialization) -> Any:
    """Give all that the event says besides what is written for each event, so that it can be looked up."""
    event = entry.dagster_event
    assert event is not None
    return (
        entry._replace(timestamp=0.0, dagster_event=None),
        event._replace(event_specific_data=None, logging_tags=None),
        tuple((event.logging_tags or {}).items()),
        made.asset_key,
        made.description,
        tuple((label, type(value)) for label, value in made.metadata.items()),
    )


def _frame(entry: EventLogEntry, made: AssetMaterialization) -> Frame | None:
    whole, account, moment = serialize_value(entry), _account(made), _moment(entry)
    if whole.count(account) != 1 or whole.count(moment) != 1:
        return None
    start, _, rest = whole.partition(account)
    middle, found, end = rest.partition(moment)
    return (start, middle, end) if found else None


def _account(made: AssetMaterialization) -> str:
    """Write what is told of one materialisation only."""
    entries = ", ".join(
        f'{{"__class__": "EventMetadataEntry", "description": null, "entry_data": {PLAIN[type(value)]}'
        f'{_text(value.value)}}}, "label": {_text(label)}}}'
        for label, value in made.metadata.items()
    )
    partition, tags = _text(made.partition), _sorted_text(made.tags or {})
    return f'"metadata_entries": [{entries}], "partition": {partition}, "tags": {tags}'


def _moment(entry: EventLogEntry) -> str:
    return f'"timestamp": {_text(entry.timestamp)}, '
