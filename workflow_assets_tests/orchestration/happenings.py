"""What happens in runs, drawn at random, and all that a log of it answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.data_version import CODE_VERSION_TAG, DATA_VERSION_TAG
from dagster._core.definitions.events import (
    AssetMaterializationFailure,
    AssetMaterializationFailureReason,
    AssetMaterializationFailureType,
)
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.event_api import PartitionKeyFilter, RunShardedEventsCursor
from dagster._core.events import (
    AssetFailedToMaterializeData,
    AssetMaterializationPlannedData,
    AssetObservationData,
    DagsterEvent,
    EngineEventData,
    StepMaterializationData,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.plan.objects import StepSuccessData
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.base import AssetRecord, EventLogStorage

Kind = dg.DagsterEventType

ASSETS = [dg.AssetKey(["study", "grow"]), dg.AssetKey(["study", "weigh"]), dg.AssetKey("soil")]
PARTITIONS = [f"{replicate:04d}|{treatment}" for replicate in range(3) for treatment in ("baseline", "much")]
CHECKS = [dg.AssetCheckKey(ASSETS[0], "complete"), dg.AssetCheckKey(ASSETS[2], "more")]
START = 1_700_000_000.0


def entry(run: str, event: DagsterEvent | None, timestamp: float, message: str = "") -> EventLogEntry:
    """An entry of a log."""
    return EventLogEntry(None, 10, message, run, timestamp, event.step_key if event else "step", "job", event)


def happened(kind: dg.DagsterEventType, data: Any = None) -> DagsterEvent:
    """Something that happened in a job's only step."""
    return DagsterEvent(
        kind.value, "job", event_specific_data=data, message=kind.name, pid=1, step_key="step"
    )


def materialised(
    run: str, number: int, asset: dg.AssetKey = ASSETS[0], *, partition: str | None = None, version: str = ""
) -> EventLogEntry:
    """A materialisation that says its own number wherever it can."""
    replicate, _, treatment = (partition or "|").partition("|")
    tags = {DATA_VERSION_TAG: version or f"{run}-{number}", CODE_VERSION_TAG: "code", "other": "tag"}
    if partition:
        tags |= {"dagster/partition/replicate": replicate, "dagster/partition/treatment": treatment}
    told = dg.AssetMaterialization(asset, partition=partition, metadata={"number": number}, tags=tags)
    return entry(run, happened(Kind.ASSET_MATERIALIZATION, StepMaterializationData(told)), START + number)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition([f"{number:03d}" for number in range(60)]))
def plots() -> None:
    """Fail, so that what was planned is all that is told."""
    raise RuntimeError("not today")


def fail_over_range(instance: dg.DagsterInstance, start: str, end: str) -> str:
    """Run over a range of `plots`; give the run's id."""
    tags = {"dagster/asset_partition_range_start": start, "dagster/asset_partition_range_end": end}
    return dg.materialize([plots], instance=instance, tags=tags, raise_on_error=False).run_id


@dataclass
class Happenings:
    """Draws events of some runs, of mixed kinds."""

    chance: random.Random
    runs: list[str]
    _number: int = 0
    _planned: set[Any] = field(default_factory=set)

    def draw(self) -> EventLogEntry:
        """Draw an event."""
        self._number += 1
        run, asset = self.chance.choice(self.runs), self.chance.choice(ASSETS)
        partition = self.chance.choice([None, *PARTITIONS])
        draw = self.chance.choice([
            self._materialisation, self._materialisation, self._observation, self._plan, self._failure,
            self._check_plan, self._check, self._of_run, self._of_step, self._note,
        ])  # fmt: skip
        return draw(run, asset, partition)

    def batch(self, most: int) -> list[EventLogEntry]:
        """Draw some events."""
        return [self.draw() for _ in range(self.chance.randint(1, most))]

    def _entry(self, run: str, kind: dg.DagsterEventType, data: Any = None) -> EventLogEntry:
        return entry(run, happened(kind, data), START + self._number + self.chance.random())

    def _materialisation(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        # The same version comes again: queries look for what changed.
        version = self.chance.choice(["", "same"])
        return materialised(run, self._number, asset, partition=partition, version=version)

    def _observation(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        seen = dg.AssetObservation(
            asset, partition=partition, tags={DATA_VERSION_TAG: f"seen-{self._number}"}
        )
        return self._entry(run, Kind.ASSET_OBSERVATION, AssetObservationData(seen))

    def _plan(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        subset = None
        if partition is None and self.chance.random() < 0.5:
            subset = DefaultPartitionsSubset(set(self.chance.sample(PARTITIONS, 2)))
        planned = AssetMaterializationPlannedData(asset, partition, subset)
        return self._entry(run, Kind.ASSET_MATERIALIZATION_PLANNED, planned)

    def _failure(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        failure = AssetMaterializationFailure(
            asset_key=asset,
            partition=partition,
            failure_type=AssetMaterializationFailureType.FAILED,
            reason=AssetMaterializationFailureReason.FAILED_TO_MATERIALIZE,
        )
        return self._entry(run, Kind.ASSET_FAILED_TO_MATERIALIZE, AssetFailedToMaterializeData(failure))

    def _check_plan(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        check = self.chance.choice(CHECKS)
        if (run, check) in self._planned:  # a run plans a check once, before it makes it
            return self._check(run, asset, partition)
        self._planned.add((run, check))
        subset = DefaultPartitionsSubset(set(PARTITIONS[:2])) if partition else None
        planned = AssetCheckEvaluationPlanned(
            asset_key=check.asset_key, check_name=check.name, partitions_subset=subset
        )
        return self._entry(run, Kind.ASSET_CHECK_EVALUATION_PLANNED, planned)

    def _check(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        check = self.chance.choice(CHECKS)
        self._planned.add((run, check))
        target = AssetCheckEvaluationTargetMaterializationData(
            storage_id=self._number, run_id=run, timestamp=START
        )
        evaluation = AssetCheckEvaluation(
            check.asset_key,
            check.name,
            self.chance.random() < 0.5,
            {"number": self._number},
            target_materialization_data=self.chance.choice([None, target]),
            partition=self.chance.choice([None, *PARTITIONS[:2]]),
        )
        return self._entry(run, Kind.ASSET_CHECK_EVALUATION, evaluation)

    def _of_run(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        kinds = [Kind.RUN_ENQUEUED, Kind.RUN_STARTING, Kind.RUN_START, Kind.RUN_SUCCESS, Kind.RUN_CANCELING]
        return self._entry(run, self.chance.choice(kinds))

    def _of_step(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        return self.chance.choice([
            self._entry(run, Kind.STEP_START),
            self._entry(run, Kind.STEP_SUCCESS, StepSuccessData(12.5)),
            self._entry(run, Kind.ENGINE_EVENT, EngineEventData()),
        ])  # fmt: skip

    def _note(self, run: str, asset: dg.AssetKey, partition: str | None) -> EventLogEntry:
        return entry(run, None, START + self._number, f"note {self._number} – „ä“ \U0001f331")


# -- what a log answers ------------------------------------------------------------------------------------------------


def answers(log: EventLogStorage, runs: list[str]) -> Iterator[tuple[str, Any]]:
    """Give the answer to every query of a log, with arguments of all kinds."""
    yield "asset keys", (log.all_asset_keys(), log.get_asset_keys(prefix=["study"], limit=1))
    yield "records of assets", list(map(_known, log.get_asset_records()))
    yield "some records of assets", list(map(_known, log.get_asset_records(ASSETS[:1])))
    yield "newest", log.get_latest_materialization_events(ASSETS)
    yield "newest ids", log.get_latest_materialization_storage_ids(ASSETS)
    yield "greatest id", log.get_maximum_record_id()
    yield "freshness", log.get_freshness_state_records(ASSETS)
    yield (
        "checks",
        {
            key: (_undated([found.last_check_execution_record]), found.last_run_id)
            for key, found in log.get_asset_check_summary_records(CHECKS).items()
        },
    )
    for only in (None, PartitionKeyFilter(key=None), PartitionKeyFilter(key=PARTITIONS[0])):
        yield (
            f"verdicts, {only}",
            _undated(log.get_latest_asset_check_execution_by_key(CHECKS, partition_filter=only)),
        )
        for check in CHECKS:
            yield (
                f"verdicts on {check}, {only}",
                _undated(log.get_asset_check_execution_history(check, limit=50, partition_filter=only)),
            )
    yield (
        "failed verdicts",
        _undated(
            log.get_asset_check_execution_history(
                CHECKS[0], limit=5, cursor=8, status={AssetCheckExecutionRecordStatus.FAILED}
            )
        ),
    )
    yield "partitions of checks", log.get_asset_check_partition_info(CHECKS)
    yield (
        "some partitions of checks",
        log.get_asset_check_partition_info(CHECKS, after_storage_id=5, partition_keys=PARTITIONS[:1]),
    )
    for kind in (Kind.RUN_START, Kind.RUN_SUCCESS, Kind.RUN_ENQUEUED):
        for ascending in (False, True):
            yield (
                f"changes to {kind}, {ascending}",
                log.fetch_run_status_changes(kind, 3, ascending=ascending),
            )
    yield (
        "partitions by name",
        (log.get_dynamic_partitions("plots"), log.has_dynamic_partition("plots", "a")),
    )
    yield "pages of partitions", log.get_paginated_dynamic_partitions("plots", 1, True)
    yield "limits", (log.get_concurrency_keys(), log.get_pool_limits(), log.get_concurrency_run_ids())
    for asset in ASSETS:
        yield from _answers_on_asset(log, asset)
    for run in runs:
        yield from _answers_on_run(log, run)


def _answers_on_asset(log: EventLogStorage, asset: dg.AssetKey) -> Iterator[tuple[str, Any]]:
    name = asset.to_user_string()
    part = dg.AssetRecordsFilter(asset, asset_partitions=PARTITIONS[:2], after_storage_id=3)
    tagged = {DATA_VERSION_TAG: "same"}
    yield f"{name}: known", log.has_asset_key(asset)
    yield f"{name}: partitions", log.get_materialized_partitions(asset)
    yield (
        f"{name}: some partitions",
        log.get_materialized_partitions(asset, before_cursor=20, after_cursor=4),
    )
    yield f"{name}: all tags", _sorted(log.get_event_tags_for_asset(asset))
    yield f"{name}: some tags", _sorted(log.get_event_tags_for_asset(asset, filter_tags=tagged))
    yield f"{name}: tags of one", log.get_event_tags_for_asset(asset, filter_event_id=2)
    yield (
        f"{name}: attempts",
        log.get_latest_asset_partition_materialization_attempts_without_materializations(asset),
    )
    yield f"{name}: changed versions", log.get_updated_data_version_partitions(asset, PARTITIONS, 6)
    for partition in (None, *PARTITIONS[:2]):
        yield (
            f"{name}: planned {partition}",
            log.get_latest_planned_materialization_info(asset, partition),
        )
    for kind in (Kind.ASSET_MATERIALIZATION, Kind.ASSET_OBSERVATION, Kind.ASSET_MATERIALIZATION_PLANNED):
        yield f"{name}: newest {kind}", log.get_latest_storage_id_by_partition(asset, kind)
        yield (
            f"{name}: newest {kind} of some",
            log.get_latest_storage_id_by_partition(asset, kind, set(PARTITIONS[:3]), after_cursor=4),
        )
        yield (
            f"{name}: newest tags of {kind}",
            log.get_latest_tags_by_partition(asset, kind, [DATA_VERSION_TAG, "dagster/partition/treatment"]),
        )
        yield (
            f"{name}: records of {kind}",
            log.get_event_records(
                dg.EventRecordsFilter(kind, asset, asset_partitions=PARTITIONS[:3]), limit=4, ascending=True
            ),
        )
        yield (
            f"{name}: summaries of {kind}",
            log.get_asset_event_summary_records(kind, asset),
        )
    for fetch in (log.fetch_materializations, log.fetch_observations, log.fetch_failed_materializations):
        for wanted in (asset, part):
            yield f"{name}: {fetch.__name__} {wanted}", fetch(wanted, 4)


def _answers_on_run(log: EventLogStorage, run: str) -> Iterator[tuple[str, Any]]:
    yield f"{run}: all", log.get_logs_for_run(run)
    yield f"{run}: last", log.get_records_for_run(run, limit=3, ascending=False)
    yield (
        f"{run}: page",
        log.get_records_for_run(run, cursor=log.get_records_for_run(run, limit=2).cursor, limit=2),
    )
    yield f"{run}: steps", log.get_records_for_run(run, of_type={Kind.STEP_START, Kind.STEP_SUCCESS})
    yield f"{run}: statistics", log.get_stats_for_run(run)
    yield f"{run}: statistics of steps", log.get_step_stats_for_run(run)
    yield f"{run}: assets", (log.get_asset_keys_for_run(run), log.get_asset_partitions_for_run(run))
    yield f"{run}: row", log.get_event_log_table_data(run, 1)  # type: ignore[attr-defined]
    yield (
        f"{run}: sharded",
        log.get_event_records(
            dg.EventRecordsFilter(
                Kind.STEP_START,
                after_cursor=RunShardedEventsCursor(0, run_updated_after=None),  # type: ignore[arg-type]
            )
        ),
    )


def _known(record: AssetRecord) -> Any:
    entry = record.asset_entry
    wiped = entry.asset_details is not None
    return entry.asset_key, entry.last_materialization_record, entry.last_run_id, wiped


def _undated(found: Any) -> Any:
    """Leave out when, by the clock, a row was made."""
    if isinstance(found, dict):
        return {key: value._replace(create_timestamp=0.0) for key, value in found.items()}
    return [record and record._replace(create_timestamp=0.0) for record in found]


def _sorted(tags: Any) -> list[Any]:
    return sorted(sorted(found.items()) for found in tags)
