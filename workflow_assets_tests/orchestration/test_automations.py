"""What the daemon is told: when to run an experiment, whether a source has changed, and how to cut a backfill."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.events import AssetKeyPartitionKey

from workflow_assets import (
    Experiment,
    MemoryStore,
    Registry,
    Store,
    Watch,
    Workflow,
    WorkflowSchedule,
    asset_source,
    source,
    step,
    to_dagster,
)
from workflow_assets.documents import to_document, to_json
from workflow_assets.errors import DeclarationError

CONTENT: dict[str, Any] = {}


@source
def measured() -> float:
    value = CONTENT["measured"]
    if isinstance(value, Exception):
        raise value
    return float(value)


@source(version="1")
def settled() -> float:
    return 1.0


@step
def both(measured: float, settled: float) -> float:
    return measured + settled


@step
def cell(replicate: int, treatment: str) -> str:
    return f"{treatment} {replicate}"


STUDY = Experiment("study", [both])


class Sensor:
    """A watch as the daemon sees it: it is asked again and again, keeps a cursor, and starts a run key once."""

    def __init__(self, defs: dg.Definitions, name: str, instance: dg.DagsterInstance) -> None:
        self.defs = defs
        self.name = name
        self.instance = instance
        self.cursor: str | None = None
        self.keys: set[str | None] = set()

    def look(self) -> str:
        """Look once; say why there is nothing to do, or "run"."""
        sensor = self.defs.resolve_sensor_def(self.name)
        with dg.build_sensor_context(
            self.instance, self.cursor, definitions=self.defs, sensor_name=self.name
        ) as context:
            data = sensor.evaluate_tick(context)
        if not data.run_requests:
            return str(data.skip_message)
        self.cursor = data.cursor
        (request,) = data.run_requests
        if request.run_key in self.keys:
            return "the run key is known"
        self.keys.add(request.run_key)
        return "run"

    def run(self) -> None:
        """Run what the sensor asks for."""
        job = self.defs.resolve_job_def("study")
        assert job.execute_in_process(instance=self.instance).success


@pytest.fixture
def store() -> MemoryStore:
    """Nothing."""
    return MemoryStore()


@pytest.fixture
def sensor(instance: dg.DagsterInstance, store: Store) -> Sensor:
    """A watch over a source that is known by its content."""
    CONTENT["measured"] = 1
    defs = to_dagster(STUDY, store=store, automations=[STUDY.watch("measured"), STUDY.watch("settled")])
    return Sensor(defs, "study_watches_measured", instance)


MADE = "the results are made of this version of 'measured'"


def test_a_watch_asks_for_nothing_before_there_are_results(sensor: Sensor) -> None:
    CONTENT["measured"] = RuntimeError("nobody needs it yet")
    assert sensor.look() == "'study' has no results yet: run it once, and this looks after them"


def test_a_watch_asks_for_one_run_for_each_change_also_back_and_forth(sensor: Sensor) -> None:
    sensor.run()
    for value in (2, 1, 2, 3):
        assert sensor.look() == MADE
        CONTENT["measured"] = value
        assert sensor.look() == "run"
        assert (
            sensor.look() == "a run for this version of 'measured' was asked for; if it failed, run it again"
        )
        sensor.cursor = None
        assert sensor.look() == "the run key is known", "a daemon killed in between asks once, too"
        sensor.run()


def test_a_version_that_comes_back_between_two_looks_is_asked_for_again(sensor: Sensor) -> None:
    sensor.run()
    CONTENT["measured"] = 2
    assert sensor.look() == "run"
    sensor.run()
    CONTENT["measured"] = 1
    sensor.run()
    CONTENT["measured"] = 2
    assert sensor.look() == "run"


def test_a_look_does_not_write_to_the_store(sensor: Sensor, store: MemoryStore) -> None:
    sensor.run()
    before = set(store.keys())
    CONTENT["measured"] = 2
    assert sensor.look() == "run"
    assert set(store.keys()) == before


def test_a_loader_that_fails_is_told_and_stops_no_other_watch(sensor: Sensor) -> None:
    sensor.run()
    CONTENT["measured"] = OSError("the disk is gone")
    with pytest.raises(RuntimeError) as caught:
        sensor.look()
    assert str(caught.value) == (
        "the source 'measured' cannot be loaded (OSError: the disk is gone), so that nobody knows whether it has "
        "changed; the next look is in 60 s"
    )
    assert isinstance(caught.value.__cause__, OSError)
    other = Sensor(sensor.defs, "study_watches_settled", sensor.instance)
    assert other.look() == "the results are made of this version of 'settled'"


def test_a_declared_version_is_watched_without_loading(instance: dg.DagsterInstance, store: Store) -> None:
    def study(version: str) -> Sensor:
        @source(version=version, name="measured")
        def versioned() -> float:
            return 1.0

        one = Experiment("study", [both], sources=[versioned])
        return Sensor(
            to_dagster(one, store=store, automations=[one.watch("measured")]),
            "study_watches_measured",
            instance,
        )

    first, second = study("1"), study("2")
    first.run()
    assert first.look() == MADE
    assert second.look() == "run"


def test_an_asset_that_feeds_an_experiment_is_watched_by_what_it_holds(
    instance: dg.DagsterInstance, store: Store
) -> None:
    @dg.asset(io_manager_key="datums")
    def readings() -> float:
        return float(CONTENT["readings"])

    @step
    def doubled(readings: float) -> float:
        return 2 * readings

    study = Experiment("study", [doubled], sources=[asset_source(readings)])
    own = to_dagster(study, store=store, automations=[study.watch("readings")])
    defs = dg.Definitions.merge(own, dg.Definitions([readings]))
    sensor = Sensor(defs, "study_watches_readings", instance)

    def measure(value: float) -> None:
        CONTENT["readings"] = value
        assert dg.materialize([readings], instance=instance, resources=own.resources).success

    measure(1.0)
    sensor.run()
    assert sensor.look() == "the results are made of this version of 'readings'"
    measure(1.0)
    assert sensor.look() == "the results are made of this version of 'readings'"
    measure(2.0)
    assert sensor.look() == "run"


def test_schedules_and_watches_are_on_unless_declared_off() -> None:
    defs = to_dagster(
        STUDY,
        store=MemoryStore(),
        automations=[
            STUDY.schedule("0 3 * * *", timezone="Europe/Berlin"),
            STUDY.schedule("@daily", name="daily", running=False),
            STUDY.watch("settled", every=300),
            STUDY.watch("measured", running=False),
        ],
    )
    nightly, daily = (defs.resolve_schedule_def(name) for name in ("study_schedule", "daily"))
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("0 3 * * *", "Europe/Berlin")
    assert nightly.default_status is dg.DefaultScheduleStatus.RUNNING
    assert daily.default_status is dg.DefaultScheduleStatus.STOPPED
    on, off = (defs.resolve_sensor_def(f"study_watches_{name}") for name in ("settled", "measured"))
    assert on.minimum_interval_seconds == 300
    assert on.default_status is dg.DefaultSensorStatus.RUNNING
    assert off.default_status is dg.DefaultSensorStatus.STOPPED
    assert {nightly.job_name, daily.job_name, on.job_name, off.job_name} == {"study"}


def test_faults_of_automations_and_chunks_are_told_together() -> None:
    other = Experiment("other", [cell])
    with pytest.raises(DeclarationError) as caught:
        to_dagster(
            STUDY,
            store=MemoryStore(),
            automations=[
                STUDY.schedule("0 3 * * *"),
                STUDY.schedule("0 4 * * *"),
                other.schedule("0 3 * * *"),
                Watch("study", "setled"),
                "0 3 * * *",  # type: ignore[list-item]
            ],
            partitions_per_run={"stdy": 3, "study": 0},
        )
    assert caught.value.faults == (
        "partitions_per_run names the experiment 'stdy', which is not given here: did you mean 'study'?",
        "partitions_per_run['study'] = 0: expected a whole number of cells, 1 or more",
        "two automations are called 'study_schedule': give one of them another name=",
        "automation 'other_schedule' is of the experiment 'other', not given here: there is only 'study'",
        "automation 'study_watches_setled' watches 'setled', which is not read: did you mean 'settled'?",
        "'0 3 * * *' is no automation: expected what experiment.schedule(...) or .watch(...) gives",
    )
    for wrong, fault in ((True, "partitions_per_run = True"), (2.5, "partitions_per_run = 2.5")):
        with pytest.raises(DeclarationError, match=fault):
            to_dagster(STUDY, store=MemoryStore(), partitions_per_run=wrong)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="expected a list, such as"):
        to_dagster(STUDY, store=MemoryStore(), automations=STUDY.watch("settled"))  # type: ignore[arg-type]


@step
def evens(numbers: list[int]) -> list[int]:
    return [one for one in numbers if one % 2 == 0]


@step
def added(evens: list[int], scale: int = 1) -> int:
    return scale * sum(evens)


SUMS = Workflow("sums", [evens, added], inputs={"numbers": list[int]})


def test_a_schedule_of_a_workflow_launches_its_job_with_a_run_configuration() -> None:
    store = MemoryStore()
    nightly = SUMS.schedule("0 3 * * *", parameters={"added.scale": 10}, force=["added"], numbers=[1, 2, 4])
    often = SUMS.schedule("@hourly", name="often", rows={"numbers": 2}, running=False, numbers=[1, 2, 4])
    defs = to_dagster(SUMS, store=store, automations=[nightly, often])
    assert defs.resolve_schedule_def("often").default_status is dg.DefaultScheduleStatus.STOPPED
    with dg.DagsterInstance.ephemeral() as instance:
        for name in ("sums_schedule", "often"):
            schedule = defs.resolve_schedule_def(name)
            context = dg.build_schedule_context(
                instance, scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC)
            )
            (request,) = schedule.evaluate_tick(context).run_requests or []
            assert schedule.job_name == "sums"
            job = defs.resolve_job_def("sums")
            assert job.execute_in_process(instance=instance, run_config=request.run_config).success
    assert store.load_asset(("sums", "added")) == 60
    assert SUMS.results(store)["numbers=2"]["added"] == 2


def test_a_workflow_that_a_document_declares_is_scheduled_by_its_name(tmp_path: Path) -> None:
    registry = Registry()
    for one in (evens, added):
        registry.add(one)
    (tmp_path / "sums.json").write_text(to_json(to_document(SUMS)))
    schedule = WorkflowSchedule("sums", "@daily", inputs={"numbers": [2]})
    defs = to_dagster(documents=tmp_path, registry=registry, store=MemoryStore(), automations=[schedule])
    assert defs.resolve_schedule_def("sums_schedule").job_name == "sums"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, 'Missing required config entry "inputs"'),
        ({"numbers": "few"}, "root:inputs:numbers"),
        ({"numbers": [1], "number": 2}, 'unexpected config entry "number"'),
        ({"numbers": [1], "parameters": {"added.scal": 2}}, 'unexpected config entry "scal"'),
        ({"numbers": [1], "parameters": {"added.scale": print}}, "no run configuration can tell it"),
        ({"numbers": [1], "rows": 0}, "rows = 0: expected a whole number"),
        ({"numbers": [1], "rows": {"numbrs": 3}}, 'unexpected config entry "numbrs"'),
    ],
)
def test_a_schedule_whose_runs_would_be_refused_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        to_dagster(SUMS, store=MemoryStore(), automations=[SUMS.schedule("@daily", **given)])
    (fault,) = caught.value.faults
    assert said in fault
    assert fault.startswith("automation 'sums_schedule': ")


def test_a_schedule_of_a_workflow_that_is_not_there_and_times_that_are_none_are_told() -> None:
    with pytest.raises(DeclarationError, match="of the workflow 'sum', not given here"):
        to_dagster(SUMS, store=MemoryStore(), automations=[WorkflowSchedule("sum", "@daily")])
    with pytest.raises(DeclarationError) as caught:
        WorkflowSchedule("sums", "0 25 * * *", "Mars", inputs=3)  # type: ignore[arg-type]
    assert [fault.partition(" =")[0] for fault in caught.value.faults] == ["cron", "timezone", "inputs"]


def test_a_cron_expression_that_only_dagster_can_judge_is_told_as_the_experiments() -> None:
    with pytest.raises(
        DeclarationError, match="the schedule of experiment 'study': Dagster does not take it"
    ):
        to_dagster(STUDY, store=MemoryStore(), automations=[STUDY.schedule("0 3 30 2 *")])


# -- backfills ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("treatments", "replicates", "cells", "runs"),
    [(2, 8, 3, 6), (3, 3, 2, 6), (5, 2, 4, 4), (4, 1, 3, 2), (1, 5, 2, 3), (2, 3, 1, 6), (2, 3, 100, 2)],
)
def test_a_backfill_in_chunks_computes_each_cell_once(
    treatments: int, replicates: int, cells: int, runs: int
) -> None:
    study = Experiment(
        "study", [cell], {f"t{number}": {} for number in range(1, treatments)}, replicates=replicates
    )
    for chosen in (slice(None), slice(1, None), slice(None, None, 2)):
        requests = chunks(study, cells, chosen)
        counts = Counter(key for request in requests for key in request)
        grid = grid_of(study)
        assert counts == Counter(grid.get_partition_keys()[chosen])
        assert max(map(len, requests)) <= cells
    assert len(chunks(study, cells, slice(None))) == runs
    assert len(chunks(study, None, slice(None))) == min(treatments, replicates), "else each row is a run"


def test_chunks_can_be_chosen_by_experiment() -> None:
    one, two = Experiment("one", [cell], replicates=4), Experiment("two", [cell], replicates=4)
    graph = (
        to_dagster(one, two, store=MemoryStore(), partitions_per_run={"one": 2})
        .get_repository_def()
        .asset_graph
    )
    policies = {name: graph.get(dg.AssetKey([name, "cell"])).backfill_policy for name in ("one", "two")}
    assert policies == {"one": dg.BackfillPolicy.multi_run(2), "two": dg.BackfillPolicy.single_run()}


def grid_of(study: Experiment) -> Any:
    graph = to_dagster(study, store=MemoryStore()).get_repository_def().asset_graph
    return graph.get(dg.AssetKey(["study", "cell"])).partitions_def


def chunks(study: Experiment, cells: int | None, chosen: slice) -> list[list[str]]:
    """Give the cells of each run of a backfill, as the daemon cuts it and a run reads its range."""
    graph = to_dagster(study, store=MemoryStore(), partitions_per_run=cells).get_repository_def().asset_graph
    key = dg.AssetKey(["study", "cell"])
    grid: Any = graph.get(key).partitions_def
    wanted = [AssetKeyPartitionKey(key, partition) for partition in grid.get_partition_keys()[chosen]]
    with dg.DagsterInstance.ephemeral() as instance:
        requests = build_run_requests_with_backfill_policies(wanted, graph, instance)
    ends = [
        [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
        for request in requests
    ]
    return [grid.get_partition_keys_in_range(dg.PartitionKeyRange(*pair)) for pair in ends]
