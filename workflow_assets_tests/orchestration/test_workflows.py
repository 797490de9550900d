"""A workflow without treatments and replicates: unpartitioned assets and a job, with all that experiments have."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflow_assets import (
    Experiment,
    FileStore,
    MemoryStore,
    Registry,
    Workflow,
    asset_source,
    source,
    step,
    to_dagster,
)
from workflow_assets.errors import DeclarationError
from workflow_assets.hooks import Hooks
from workflow_assets_tests.orchestration.identities import process_of_workflow
from workflow_assets_tests.orchestration.studies import Bench, failure_text

CALLS: list[str] = []
BROKEN: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    """Nothing was called, and nothing is broken."""
    CALLS.clear()
    BROKEN.clear()


@source(version="1")
def weights() -> list[float]:
    """Some weights."""
    return [0.5, 2.0]


@step(tags={"stage": "first"}, owners=("team:data",))
def evens(numbers: list[int]) -> list[int]:
    """Keep the even ones."""
    CALLS.append("evens")
    return [one for one in numbers if one % 2 == 0]


@step
def squares(evens: list[int], power: int = 2) -> list[int]:
    """Raise each to a power."""
    CALLS.append("squares")
    if "squares" in BROKEN:
        raise ValueError("bang")
    return [one**power for one in evens]


@step
def total(squares: list[int]) -> int:
    """Add up."""
    CALLS.append("total")
    return sum(squares)


@step
def count(evens: list[int], weights: list[float]) -> float:
    """Count them, weighed."""
    CALLS.append("count")
    return len(evens) * weights[0]


def cruncher(**options: Any) -> Workflow:
    return Workflow("cruncher", [evens, squares, total, count], inputs={"numbers": [1, 2, 3, 4]}, **options)


def configuration(**told: Any) -> dict[str, Any]:
    return {"ops": {"cruncher__steps": {"config": told}}}


class WorkflowBench(Bench):
    """A workflow compiled, run and asked."""

    def value(self, slot: str) -> Any:
        """What a step's asset holds."""
        return self.defs.load_asset_value(dg.AssetKey([self.name, slot]), instance=self.instance)

    def latest(self, slot: str) -> Mapping[str, Any]:
        """The metadata of an asset's latest materialisation."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey([self.name, slot]))
        assert event is not None
        assert event.asset_materialization is not None
        return {name: one.value for name, one in event.asset_materialization.metadata.items()}


@pytest.fixture
def bench(store: FileStore, instance: dg.DagsterInstance) -> WorkflowBench:
    """The cruncher compiled for the instance."""
    return WorkflowBench(cruncher(), store, instance)


def materialised(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> set[str]:
    events = [one.dagster_event for one in instance.all_logs(result.run_id)]
    return {
        event.asset_key.path[-1]
        for event in events
        if event and event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key
    }


def materialised_all(defs: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    assets: list[Any] = list(defs.assets or [])
    return dg.materialize(assets, instance=instance, resources=defs.resources)


def test_each_stored_step_and_input_is_an_asset_with_its_lineage_and_labels(bench: WorkflowBench) -> None:
    keys = {key.to_user_string(): key for key in bench.graph.get_all_asset_keys()}
    own = {"evens", "squares", "total", "count", "numbers"}
    assert keys.keys() == {"weights", *(f"cruncher/{one}" for one in own)}
    parents = {
        name.rpartition("/")[2]: {one.path[-1] for one in bench.graph.get(key).parent_keys}
        for name, key in keys.items()
    }
    assert parents == {
        "weights": set(),
        "numbers": set(),
        "evens": {"numbers"},
        "squares": {"evens"},
        "total": {"squares"},
        "count": {"evens", "weights"},
    }
    node = bench.graph.get(keys["cruncher/evens"])
    assert not node.is_partitioned
    assert (node.description, node.owners, node.tags["stage"]) == (
        "Keep the even ones.",
        ["team:data"],
        "first",
    )
    assert node.group_name == "cruncher"


def test_the_job_computes_everything_once_and_the_next_nothing(bench: WorkflowBench) -> None:
    result = bench.job()
    assert result.success
    assert materialised(bench.instance, result) == {
        "weights",
        "numbers",
        "evens",
        "squares",
        "total",
        "count",
    }
    assert (bench.value("total"), bench.value("count"), bench.value("numbers")) == (20, 1.0, [1, 2, 3, 4])
    assert sorted(CALLS) == ["count", "evens", "squares", "total"]
    CALLS.clear()
    assert bench.job().success
    assert CALLS == []
    assert bench.latest("total")["stored"] == "was stored"


def test_plain_python_and_dagster_share_their_data(bench: WorkflowBench, store: FileStore) -> None:
    assert cruncher().run(store)["total"] == 20
    CALLS.clear()
    assert bench.job().success
    assert CALLS == []


def test_metadata_tells_key_codec_bytes_digest_seconds_and_a_preview(
    bench: WorkflowBench, store: FileStore
) -> None:
    bench.job()
    told = bench.latest("total")
    record = cruncher().run(store).record("total")
    assert {name: told[name] for name in ("key", "codec", "bytes", "digest", "preview", "metric")} == {
        "key": record.key,
        "codec": record.codec,
        "bytes": record.size,
        "digest": record.digest,
        "preview": "20",
        "metric": 20,
    }
    assert told["seconds"] == record.seconds


def test_a_failing_step_costs_only_what_follows_from_it(bench: WorkflowBench) -> None:
    BROKEN.append("squares")
    result = bench.job()
    assert not result.success
    assert materialised(bench.instance, result) == {"weights", "numbers", "evens", "count"}
    text = failure_text(result)
    assert text.startswith("step 'squares': ValueError: bang\nTraceback")
    assert 'raise ValueError("bang")' in text
    assert text.endswith("'total' was skipped, since what step 'squares' gives is missing.")
    BROKEN.clear()
    CALLS.clear()
    assert bench.job().success
    assert CALLS == ["squares", "total"], "what did not fail is not computed again"


def test_a_selected_step_is_materialised_with_what_it_needs(bench: WorkflowBench) -> None:
    result = bench.materialise(dg.AssetSelection.assets(["cruncher", "squares"]))
    assert result.success
    assert CALLS == ["evens", "squares"]
    assert materialised(bench.instance, result) == {"numbers", "squares"}, "inputs on the way are told, too"


def test_a_selected_input_is_stored_and_nothing_else_is_computed(bench: WorkflowBench) -> None:
    assert bench.materialise(dg.AssetSelection.assets(["cruncher", "numbers"])).success
    assert CALLS == []
    assert bench.value("numbers") == [1, 2, 3, 4]


def test_nothing_is_stale_after_a_run_and_what_an_edit_changes_is(
    bench: WorkflowBench, store: FileStore, instance: dg.DagsterInstance
) -> None:
    bench.job()
    assert bench.not_fresh() == {}
    bench.job()
    assert bench.not_fresh() == {}
    edited = WorkflowBench(cruncher(parameters={"squares.power": 3}), store, instance)
    assert edited.not_fresh().keys() == {"squares", "total"}
    other = Workflow("cruncher", [evens, squares, total, count], inputs={"numbers": [2]})
    assert WorkflowBench(other, store, instance).not_fresh().keys() == {
        "numbers",
        "evens",
        "squares",
        "total",
        "count",
    }


def test_forced_steps_are_computed_again_with_what_follows(bench: WorkflowBench) -> None:
    bench.job()
    CALLS.clear()
    assert bench.job(run_config=configuration(force=["squares"])).success
    assert CALLS == ["squares", "total"]


def observed(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What is said of a sample, by step."""
    events = [entry.dagster_event for entry in instance.all_logs(result.run_id)]
    observations = [
        one.asset_observation_data.asset_observation
        for one in events
        if one is not None and one.event_type_value == "ASSET_OBSERVATION"
    ]
    return {one.asset_key.path[-1]: one.metadata for one in observations}


def test_a_sample_runs_beside_everything_and_is_observed_not_materialised(
    bench: WorkflowBench, store: FileStore
) -> None:
    assert bench.job().success
    before = {slot: bench.latest(slot) for slot in ("numbers", "evens", "total")}
    result = bench.job(run_config=configuration(rows=2))
    assert result.success
    assert materialised(bench.instance, result) == {"weights"}, "a source's asset is whole, as always"
    told = observed(bench.instance, result)
    assert told.keys() == {"evens", "squares", "total", "count"}
    assert (told["total"]["sample"].value, told["total"]["preview"].value) == ("rows=2", "4")
    run = bench.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["workflow_assets/sample"] == "rows=2"
    assert {slot: bench.latest(slot) for slot in before} == before
    assert bench.value("total") == 20
    assert bench.not_fresh() == {}
    kept = cruncher().results(store)
    assert {name: one["total"] for name, one in kept.items()} == {"everything": 20, "rows=2": 4}


def test_everything_after_a_sample_is_what_it_would_be_without(
    bench: WorkflowBench, store: FileStore
) -> None:
    sampled = bench.job(run_config=configuration(rows={"numbers": 3}))
    assert sampled.success
    assert bench.instance.get_latest_materialization_event(dg.AssetKey(["cruncher", "total"])) is None
    assert bench.job().success
    assert (bench.value("total"), bench.latest("total")["stored"]) == (20, "computed now")
    again = bench.job(run_config=configuration(rows={"numbers": 3}))
    assert observed(bench.instance, again)["total"]["stored"].value == "was stored"
    assert bench.value("total") == 20
    assert cruncher().run(store, rows={"numbers": 3}).computed == frozenset(), "plain Python shares it"


def test_what_follows_from_a_workflow_does_not_follow_from_a_sample(instance: dg.DagsterInstance) -> None:
    store = MemoryStore()

    @dg.asset(ins={"total": dg.AssetIn(["cruncher", "total"])}, io_manager_key="datums")
    def doubled(total: int) -> int:
        return 2 * total

    merged = dg.Definitions.merge(to_dagster(cruncher(), store=store), dg.Definitions(assets=[doubled]))
    job = merged.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, run_config=configuration(rows=2))
    assert result.success
    assert materialised(instance, result) == {"weights"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"number": 2}, "root:ops:cruncher__steps:config:rows"),
        ("few", "root:ops:cruncher__steps:config:rows"),
        (0, "rows = 0: expected a whole number of 1 or more"),
    ],
)
def test_a_sample_of_what_there_is_not_is_told(bench: WorkflowBench, rows: Any, said: str) -> None:
    try:
        text = failure_text(bench.job(run_config=configuration(rows=rows)))
    except dg.DagsterInvalidConfigError as error:
        text = str(error)
    assert said in text


@step
def process(offset: int = 0) -> int:
    """Say who computes."""
    return os.getpid() + offset


@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
def test_a_run_names_its_backend(tmp_path: Path, backend: str) -> None:
    defs = to_dagster(Workflow("who", [process_of_workflow]), store=str(tmp_path / "store"))
    config = {"ops": {"who__steps": {"config": {"backend": backend, "workers": 1}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        assert defs.resolve_job_def("who").execute_in_process(instance=instance, run_config=config).success
    computed = FileStore(tmp_path / "store").load_asset(("who", "process"))
    assert (computed == os.getpid()) == (backend != "processes")


def test_steps_find_resources_and_hooks_are_told(instance: dg.DagsterInstance) -> None:
    @step
    def asked(ctx: Any) -> str:
        ctx.log.info("asking")
        return f"{ctx.resources['oracle']}!"

    told: list[str] = []
    store = MemoryStore()
    defs = to_dagster(
        Workflow("oracles", [asked]),
        store=store,
        resources={"oracle": "42"},
        hooks=Hooks(after_step=lambda event: told.append(event.step)),
    )
    assert defs.resolve_job_def("oracles").execute_in_process(instance=instance).success
    assert store.load_asset(("oracles", "asked")) == "42!"
    assert told == ["asked"]


def test_what_steps_log_stands_in_the_runs_log_by_their_names(instance: dg.DagsterInstance) -> None:
    @step
    def loud(ctx: Any) -> int:
        ctx.log.warning("so much of %s", "it")
        return 1

    defs = to_dagster(Workflow("logging_one", [loud]), store=MemoryStore())
    result = defs.resolve_job_def("logging_one").execute_in_process(instance=instance)
    entries = [one for one in instance.all_logs(result.run_id) if one.level == logging.WARNING]
    assert [one.user_message for one in entries] == ["loud: so much of it"]


def test_an_asset_of_the_users_own_reads_a_step_in_the_same_run(instance: dg.DagsterInstance) -> None:
    store = MemoryStore()
    defs = to_dagster(cruncher(), store=store)

    @dg.asset(ins={"total": dg.AssetIn(["cruncher", "total"])}, io_manager_key="datums")
    def doubled(total: int) -> int:
        return 2 * total

    merged = dg.Definitions.merge(defs, dg.Definitions(assets=[doubled]))
    everything = materialised_all(merged, instance)
    assert everything.success
    assert store.load_asset(("doubled",)) == 40


def test_what_waits_for_a_step_in_the_same_run_is_executed_after_it(instance: dg.DagsterInstance) -> None:
    store = MemoryStore()
    defs = to_dagster(cruncher(), store=store)
    order: list[str] = []

    @dg.asset_check(asset=["cruncher", "squares"])
    def positive() -> dg.AssetCheckResult:
        order.append("check")
        return dg.AssetCheckResult(passed=True)

    @dg.asset(deps=[["cruncher", "evens"], ["cruncher", "numbers"]])
    def copied() -> None:
        order.append("asset")

    both = dg.Definitions(assets=[copied], asset_checks=[positive])
    merged = dg.Definitions.merge(defs, both)
    job = merged.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance)
    assert sorted(order) == ["asset", "check"]
    events = [entry.dagster_event for entry in instance.all_logs(result.run_id)]
    made = [one.asset_key.path[-1] for one in events if one and one.is_step_materialization and one.asset_key]
    assert sorted(made) == ["copied", "count", "evens", "numbers", "squares", "total", "weights"], "each once"
    assert made.index("evens") < made.index("squares") < made.index("total")


def test_a_run_in_this_process_gives_the_materialisations(bench: WorkflowBench) -> None:
    result = bench.job()
    made = result.asset_materializations_for_node("cruncher__steps")
    assert [one.asset_key.path[-1] for one in made] == ["numbers", "evens", "squares", "total", "count"]
    assert made[-2].metadata["preview"].value == "20"


def test_each_materialisation_says_what_it_was_made_from(bench: WorkflowBench) -> None:
    bench.job()
    event = bench.instance.get_latest_materialization_event(dg.AssetKey(["cruncher", "squares"]))
    before = bench.instance.fetch_materializations(dg.AssetKey(["cruncher", "evens"]), limit=1).records[0]
    assert event is not None
    assert event.asset_materialization is not None
    tags = event.asset_materialization.tags or {}
    made = before.asset_materialization
    assert made is not None
    assert tags["dagster/input_data_version/cruncher/evens"] == (made.tags or {})["dagster/data_version"]
    assert int(tags["dagster/input_event_pointer/cruncher/evens"]) >= before.storage_id


def test_an_asset_feeds_a_workflow(instance: dg.DagsterInstance) -> None:
    readings = asset_source("lab/readings")

    @step
    def highest(readings: list[int]) -> int:
        return max(readings)

    @dg.asset(key=["lab", "readings"], io_manager_key="datums")
    def written() -> list[int]:
        return [3, 9, 4]

    store = MemoryStore()
    defs = to_dagster(Workflow("lab_work", [highest], sources=[readings]), store=store)
    merged = dg.Definitions.merge(defs, dg.Definitions(assets=[written]))
    assert materialised_all(merged, instance).success
    assert store.load_asset(("lab_work", "highest")) == 9


def test_a_workflow_and_an_experiment_over_it_share_inputs_and_data(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    workflow = cruncher()
    study = Experiment("study", workflow, {"cubes": {"squares.power": 3}})
    defs = to_dagster(workflow, study, store=store)
    assert defs.resolve_job_def("cruncher").execute_in_process(instance=instance).success
    CALLS.clear()
    assert defs.resolve_job_def("study").execute_in_process(instance=instance).success
    assert sorted(CALLS) == ["squares", "total"], "the treatment's own"


def test_two_workflows_may_have_inputs_of_one_name(instance: dg.DagsterInstance) -> None:
    store = MemoryStore()
    one = Workflow("one", [evens], inputs={"numbers": [2]})
    two = Workflow("two", [evens], inputs={"numbers": [4]})
    defs = to_dagster(one, two, store=store)
    for name in ("one", "two"):
        assert defs.resolve_job_def(name).execute_in_process(instance=instance).success
    assert (store.load_asset(("one", "evens")), store.load_asset(("two", "evens"))) == ([2], [4])
    experiments = [Experiment(f"of_{flow.name}", flow) for flow in (one, two)]
    assert (
        len(to_dagster(*experiments, store=store).get_repository_def().asset_graph.get_all_asset_keys()) == 6
    )


@step(slug="math.add", name="meta")
def several(numbers: list[int]) -> dict[str, list[int]]:
    return {"return": numbers, "meta": [*numbers, 1], "math.add": []}


@pytest.mark.parametrize("name", ["meta", "input", "type", "class"])
def test_names_that_dagster_keeps_for_itself_can_be_used(name: str, instance: dg.DagsterInstance) -> None:
    with Workflow(name) as workflow:
        outputs = workflow.add(several, workflow.input("dict", [2]))
        workflow.add(squares.named("config"), outputs["return"])
        workflow.add(squares.named("return"), outputs["meta"])
    registry = Registry([several, squares])
    store = MemoryStore()
    defs = to_dagster(Workflow.from_document(workflow.document(), registry), store=store)
    assert defs.resolve_job_def(f"{name}_").execute_in_process(instance=instance).success
    assert store.load_asset((name, "config")) == [4]
    assert store.load_asset((name, "return")) == [4, 1]
    assert store.load_asset((name, "meta"))["math.add"] == []


def test_a_transient_step_is_no_asset_and_what_follows_from_its_failure_is_skipped(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    @step(transient=True)
    def fleeting() -> list[int]:
        raise OSError("gone")

    @step
    def kept(fleeting: list[int]) -> list[int]:
        return fleeting

    bench = WorkflowBench(Workflow("passing", [fleeting, kept]), store, instance)
    assert {key.path[-1] for key in bench.graph.get_all_asset_keys()} == {"kept"}
    text = failure_text(bench.job())
    assert text.startswith("step 'fleeting': OSError: gone")
    assert "'kept' was skipped" in text


def test_two_of_one_name_are_told(store: FileStore) -> None:
    with pytest.raises(DeclarationError) as caught:
        to_dagster(cruncher(), cruncher(), Experiment("cruncher", [process_of_workflow]), store=store)
    assert caught.value.faults == (
        "two workflows are called 'cruncher'",
        "an experiment and a workflow are both called 'cruncher'",
    )
