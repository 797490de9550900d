"""Telling Dagster what was materialised: many events at a time, each with its own key and full provenance.

Yielding a step's output would mark every partition of a range with one data version, and logging events one by one
costs ten times as much. The events go to the instance itself, not through Python's logging: a line on the console for
each cell is not read, and costs. The private names that this needs are here.
"""

import logging
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.metadata import normalize_metadata_value
from dagster._core.events import (
    AssetObservationData,
    DagsterEvent,
    DagsterEventBatchMetadata,
    StepMaterializationData,
)
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.tags import MULTIDIMENSIONAL_PARTITION_PREFIX

from workflow_assets.declarations import Declaration
from workflow_assets.orchestration.keys import (
    REPLICATE,
    TREATMENT,
    input_keys,
    partition_key,
    source_key,
    step_key,
)
from workflow_assets.orchestration.versions import CodeVersions
from workflow_assets.outcomes import CellOutcome
from workflow_assets.plans import Plan
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Record

AT_ONCE = 500
"""Cells whose events are held back to be written together, and events in one transaction."""

PERIOD = 1.0
"""Seconds that an event is held back while cells come: the log that a user looks at is that far behind."""


MESSAGE = "Materialized value."

_KINDS: Mapping[type, Callable[[Any], Any]] = {
    str: dg.TextMetadataValue,
    float: dg.FloatMetadataValue,
    int: dg.IntMetadataValue,
}


def enable_batches() -> None:
    """Let Dagster hand events to its storage in batches; a storage that cannot use them writes them one by one."""
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(AT_ONCE))


class MaterializationLog:
    """Logs the materialisations of cells, unless the partition's latest one already bears the key and code version."""

    def __init__(
        self, context: dg.AssetExecutionContext, declaration: Declaration, plan: Plan, slots: Iterable[str]
    ) -> None:
        enable_batches()
        self.context = context
        self.declaration = declaration
        self.plan = plan
        self.versions = CodeVersions(declaration)
        self.slots = [slot for slot in declaration.asset_slots if slot in set(slots)]
        self._inputs = {slot: input_keys(declaration, slot) for slot in self.slots}
        self._pending: list[CellOutcome] = []
        self._written = time.monotonic()
        self._latest: dict[str, tuple[Mapping[str, str | None], Mapping[str, int]]] = {}
        self._sources_told = False
        self._first: dict[str, dg.AssetMaterialization] = {}

    def add(self, outcome: CellOutcome) -> None:
        """Take the outcome of a cell."""
        self._pending.append(outcome)
        if len(self._pending) >= AT_ONCE or time.monotonic() - self._written >= PERIOD:
            self.write()

    def write(self) -> None:
        """Log what is pending, each step after those that it depends on."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        self.tell_sources()
        for slot in self.slots:
            wanted = [
                (outcome, outcome.records[slot], partition_key(outcome.treatment, outcome.replicate))
                for outcome in pending
                if slot in outcome.records
            ]
            unchanged = self._unchanged(slot, {partition: record.key for _, record, partition in wanted})
            pointer = self.pointer()
            self.log(
                [
                    self._materialization(slot, outcome, record, partition, pointer)
                    for outcome, record, partition in wanted
                    if slot in outcome.computed or partition not in unchanged
                ]
            )
        self._written = time.monotonic()

    def pointer(self) -> str:
        """Give the newest event's id: what an asset was made from is not newer than this."""
        return str(self.context.instance.event_log_storage.get_maximum_record_id() or 0)

    def pointer_tags(self, keys: Iterable[dg.AssetKey]) -> dict[str, str]:
        """Give the tags which say that an asset was made from the newest materialisations of others."""
        pointer = self.pointer()
        return {get_input_event_pointer_tag(key): pointer for key in keys}

    def source_materialization(self, name: str, record: Record) -> dg.AssetMaterialization:
        """Describe a source that was loaded."""
        source = self.plan.sources[name].source
        return dg.AssetMaterialization(
            source_key(source), metadata=datum_metadata(record), tags=self.source_tags(source, record.key)
        )

    def source_tags(self, source: Any, key: str) -> dict[str, str]:
        """Give the tags of a source's materialisation."""
        return _version_tags(key, self.versions.source(source))

    def tell_sources(self, but: Collection[str] = ()) -> None:
        """Log the sources that were loaded on the way, if Dagster does not know of their content."""
        if self._sources_told:
            return
        self._sources_told = True
        for name, planned in self.plan.sources.items():
            if isinstance(planned.source, AssetSource) or name in but:
                continue  # Dagster has materialised it, or whoever asks does
            event = self.context.instance.get_latest_materialization_event(source_key(planned.source))
            known = event.asset_materialization.tags if event and event.asset_materialization else None
            wanted = self.source_tags(planned.source, planned.key)
            if known is None or any(known.get(tag) != value for tag, value in wanted.items()):
                record = self.plan.store.find(planned.key)
                if record is not None:
                    self.log([self.source_materialization(name, record)])

    @cached_property
    def _source_versions(self) -> dict[str, str]:
        """The data version of each source: its key, unless who materialised it has said another."""
        versions = {}
        for name, planned in self.plan.sources.items():
            versions[name] = planned.key
            if isinstance(planned.source, AssetSource):
                event = self.context.instance.get_latest_materialization_event(source_key(planned.source))
                made = event.asset_materialization if event else None
                if made is not None and "key" in made.metadata and made.metadata["key"].value == planned.key:
                    versions[name] = (made.tags or {}).get(DATA_VERSION_TAG, planned.key)
        return versions

    def _unchanged(self, slot: str, keys: Mapping[str, str]) -> set[str]:
        """Give the partitions whose latest materialisation bears their key and the slot's code version."""
        asset = step_key(self.declaration.name, slot)
        events = self.context.instance.event_log_storage
        if slot not in self._latest:
            kind = dg.DagsterEventType.ASSET_MATERIALIZATION
            tags = events.get_latest_tags_by_partition(asset, kind, [DATA_VERSION_TAG])
            versions = {partition: found.get(DATA_VERSION_TAG) for partition, found in tags.items()}
            newest = events.get_latest_storage_id_by_partition(asset, kind) if versions else {}
            self._latest[slot] = versions, newest
        held, identifiers = self._latest[slot]
        same = [identifiers[partition] for partition, key in keys.items() if held.get(partition) == key]
        if not same:
            return set()
        # The index knows data versions only; the code version stands in the event itself.
        records = self.context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset, storage_ids=same), limit=len(same)
        ).records
        return {
            record.partition_key
            for record in records
            if record.partition_key is not None
            and record.asset_materialization is not None
            and (record.asset_materialization.tags or {}).get(CODE_VERSION_TAG) == self.versions.slots[slot]
        }

    def step_tags(self, slot: str, outcome: CellOutcome, record: Record, pointer: str) -> dict[str, str]:
        """Give the tags of a step's materialisation: its versions, and those of what it was made from."""
        tags = _version_tags(record.key, self.versions.slots[slot])
        for name, key in self._inputs[slot].items():
            version = self._source_versions[name] if name in self.plan.sources else outcome.key(name)
            tags[get_input_data_version_tag(key)] = version
            tags[get_input_event_pointer_tag(key)] = pointer
        return tags

    def _materialization(
        self, slot: str, outcome: CellOutcome, record: Record, partition: str, pointer: str
    ) -> dg.AssetMaterialization:
        tags = self.step_tags(slot, outcome, record, pointer)
        tags[f"{MULTIDIMENSIONAL_PARTITION_PREFIX}{REPLICATE}"] = outcome.replicate
        tags[f"{MULTIDIMENSIONAL_PARTITION_PREFIX}{TREATMENT}"] = outcome.treatment
        metadata = datum_metadata(record)
        metadata["stored"] = "computed now" if slot in outcome.computed else "was stored"
        if slot not in self._first:
            asset = step_key(self.declaration.name, slot)
            self._first[slot] = dg.AssetMaterialization(
                asset, partition=partition, metadata=metadata, tags=tags
            )
        # Checking each takes five times as long, and what is said of them is of one kind.
        shown = {name: _shown(value) for name, value in metadata.items()}
        return self._first[slot]._replace(partition=partition, metadata=shown, tags=tags)

    def log(self, materializations: Sequence[dg.AssetMaterialization]) -> list[DagsterEvent]:
        """Log materialisations together; give the events."""
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        return _logged(self.context, kind, MESSAGE, map(StepMaterializationData, materializations))


def observed(
    context: dg.AssetExecutionContext, observations: Sequence[dg.AssetObservation]
) -> list[DagsterEvent]:
    """Log observations together; give the events."""
    kind = dg.DagsterEventType.ASSET_OBSERVATION
    return _logged(context, kind, "Observed a sample.", map(AssetObservationData, observations))


def _logged(
    context: dg.AssetExecutionContext, kind: dg.DagsterEventType, message: str, contents: Iterable[Any]
) -> list[DagsterEvent]:
    step = context.get_step_execution_context()
    told = list(contents)
    alike = [step_event(step, kind, message, one) for one in told[:1]]
    events = [one._replace(event_specific_data=content) for one in alike for content in told]
    report(context.instance, step.run_id, [(event, time.time()) for event in events])
    return events


def step_event(
    step: StepExecutionContext, kind: dg.DagsterEventType, message: str, content: Any
) -> DagsterEvent:
    """Make an event of an op, which is not stored yet."""
    return DagsterEvent(
        kind.value,
        step.job_name,
        step.step.handle,
        step.step.node_handle,
        step.step.kind.value,
        step.event_tags,
        content,
        message,
        os.getpid(),
    )


def report(instance: dg.DagsterInstance, run_id: str, events: Sequence[tuple[DagsterEvent, float]]) -> None:
    """Store events together, each with its moment."""
    batch = uuid.uuid4().hex
    for place, (event, moment) in enumerate(events, start=1):
        metadata = DagsterEventBatchMetadata(batch, place == len(events))
        instance.report_dagster_event(event, run_id, logging.DEBUG, metadata, moment)


def _version_tags(key: str, code_version: str) -> dict[str, str]:
    return {DATA_VERSION_TAG: key, CODE_VERSION_TAG: code_version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}


def _shown(value: Any) -> Any:
    kind = _KINDS.get(type(value))
    return normalize_metadata_value(value) if kind is None else kind(value)


def datum_metadata(record: Record) -> dict[str, Any]:
    """Describe a datum for Dagster's UI."""
    metadata: dict[str, Any] = {
        "key": record.key,
        "codec": record.codec,
        "bytes": record.size,
        "digest": record.digest,
        "seconds": record.seconds,
    }
    if "peak_memory" in record.provenance:
        metadata["peak_memory"] = record.provenance["peak_memory"]
    for name, value in record.metrics.items():
        metadata[f"metric: {name}" if name else "metric"] = value
    return metadata
