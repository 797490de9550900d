"""Assets that users write feed experiments: known by their content, made by Dagster, read from the store."""

import copy
import pickle
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from workflow_assets import Experiment, FileStore, MemoryStore, asset_source, step, to_dagster, trace
from workflow_assets.errors import DeclarationError, UnknownNameError
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets_tests.orchestration.studies import Bench

CALLS: list[str] = []


@step
def clean(readings: pd.DataFrame, least: float = 0.0) -> pd.DataFrame:
    CALLS.append("clean")
    return readings[readings["value"] > least]


@step
def mean(clean: pd.DataFrame) -> float:
    CALLS.append("mean")
    return float(clean["value"].mean())


@step
def constant(level: float = 1.0) -> float:
    CALLS.append("constant")
    return level


def readings_of(values: list[float], **options: Any) -> Any:
    """Make the asset as a user would; without a code version, since most have none."""

    @dg.asset(**{"io_manager_key": DATUMS, **options})
    def readings() -> pd.DataFrame:
        return pd.DataFrame({"value": values})

    return readings


def experiment() -> Experiment:
    return Experiment(
        "study",
        [clean, mean, constant],
        {"strict": {"clean.least": 1.5}},
        sources=[asset_source("readings")],
    )


class Fed(Bench):
    """The experiment with the asset that feeds it."""

    def __init__(self, asset: Any, store: Any, instance: dg.DagsterInstance, **resources: Any) -> None:
        super().__init__(experiment(), store, instance)
        self.defs = dg.Definitions.merge(self.defs, dg.Definitions(assets=[asset], resources=resources))
        self.assets.append(asset)
        self.graph = self.defs.get_repository_def().asset_graph

    def feed(self) -> bool:
        """Materialise what feeds the experiment."""
        return self.materialise(dg.AssetSelection.assets("readings")).success


def calls() -> dict[str, int]:
    """What was called since this was last asked."""
    made = {name: CALLS.count(name) for name in CALLS}
    CALLS.clear()
    return made


def error_of(result: dg.ExecuteInProcessResult) -> str:
    """The whole chain of errors of the failed step."""
    assert not result.success
    event = next(event for event in result.all_events if event.event_type_value == "STEP_FAILURE")
    data: Any = event.event_specific_data
    return str(data.error.to_string())


@pytest.fixture(autouse=True)
def nothing_was_called() -> None:
    CALLS.clear()


def test_changed_asset_makes_exactly_what_follows_stale_and_computed_anew(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    bench = Fed(readings_of([1.0, 2.0]), store, instance)
    assert bench.graph.get(dg.AssetKey(["study", "clean"])).parent_keys == {dg.AssetKey("readings")}
    assert dg.AssetKey("readings") in bench.graph.get(dg.AssetKey(["study", "results"])).parent_keys
    assert bench.feed()
    assert bench.job().success
    assert calls() == {"clean": 2, "mean": 2, "constant": 1}
    assert bench.table()["mean"].tolist() == [1.5, 2.0]
    assert bench.not_fresh() == {}

    assert bench.feed(), "the same value once more"
    assert bench.not_fresh() == {}
    assert bench.job().success
    assert calls() == {}

    changed = Fed(readings_of([1.0, 4.0]), store, instance)
    assert changed.feed()
    assert changed.not_fresh() == {name: {"STALE"} for name in ("clean", "mean", "results")}
    assert changed.job().success
    assert calls() == {"clean": 2, "mean": 2}
    assert changed.table()["mean"].tolist() == [2.5, 4.0]
    assert changed.not_fresh() == {}


def test_asset_and_experiment_of_one_run_are_made_in_order(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    bench = Fed(readings_of([1.0, 2.0]), store, instance)
    assert bench.materialise(dg.AssetSelection.assets("readings", ["study", "results"])).success
    assert bench.table()["mean"].tolist() == [1.5, 2.0]
    assert bench.not_fresh() == {}


def test_asset_that_was_not_materialised_is_named_with_what_to_do(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    bench = Fed(readings_of([1.0]), store, instance)
    expected = (
        "source 'readings' reads the Dagster asset 'readings', which is not in this store: declare the asset with "
        "io_manager_key='datums', and materialise it first (dg launch --assets readings)"
    )
    assert expected in error_of(bench.job())
    with pytest.raises(UnknownNameError) as caught:
        experiment().run(store)
    assert str(caught.value) == expected
    assert calls() == {}


def test_asset_of_another_io_manager_is_named_with_the_cure_also_where_an_older_value_is_stored(
    store: FileStore, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    files = dg.FilesystemIOManager(base_dir=str(tmp_path / "files"))
    expected = (
        "source 'readings' reads the Dagster asset 'readings', whose newest value is not in this store: declare the "
        "asset with io_manager_key='datums', and materialise it again"
    )
    bench = Fed(readings_of([1.0], io_manager_key="files"), store, instance, files=files)
    assert bench.feed()
    assert expected in error_of(bench.job())
    assert Fed(readings_of([1.0]), store, instance).feed()
    assert bench.feed()
    assert expected in error_of(bench.job())
    assert calls() == {}


def test_partitioned_asset_is_refused_with_what_to_do(store: FileStore, instance: dg.DagsterInstance) -> None:
    days = dg.StaticPartitionsDefinition(["monday", "tuesday"])
    bench = Fed(readings_of([1.0], partitions_def=days), store, instance)
    partition = bench.materialise(dg.AssetSelection.assets("readings"), partition_key="monday")
    assert partition.success
    assert "which has 1 partitions: only an asset without partitions can feed an experiment" in error_of(
        bench.job()
    )


def test_plain_python_reads_what_dagster_stored_and_gives_the_same_table(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    bench = Fed(readings_of([1.0, 2.0]), store, instance)
    assert bench.feed()
    plain = experiment().run(store)
    calls()
    assert bench.job().success
    assert calls() == {}
    pd.testing.assert_frame_equal(bench.table(), plain.table)
    store.refer(("readings",), {"": store.put("by-hand", pd.DataFrame({"value": [7.0]})).key})
    assert experiment().run(store).table["mean"].tolist() == [7.0, 7.0]


def test_number_leads_to_the_assets_own_code_and_run(store: FileStore, instance: dg.DagsterInstance) -> None:
    bench = Fed(readings_of([1.0, 2.0]), store, instance)
    fed = bench.materialise(dg.AssetSelection.assets("readings"))
    origin = experiment().run(store).trace("strict", 0, "mean").input("clean").input("readings")
    assert (origin.step, origin.run["run"]) == ("readings", fed.run_id)
    assert 'pd.DataFrame({"value": values})' in str(origin)
    assert trace(store, store.references(("readings",))[""]) == origin


def test_results_of_one_experiment_feed_another(store: FileStore, instance: dg.DagsterInstance) -> None:
    @step
    def best(table: pd.DataFrame) -> float:
        return float(table["constant"].max())

    first = Experiment("first", [constant], {"high": {"constant.level": 3.0}})
    second = Experiment("second", [best], sources=[asset_source("first/results", name="table")])
    defs = to_dagster(first, second, store=store)
    for name in ("first", "second"):
        assert defs.resolve_job_def(name).execute_in_process(instance=instance).success
    table: Any = defs.load_asset_value(dg.AssetKey(["second", "results"]), instance=instance)
    assert table["best"].tolist() == [3.0]
    assert (
        trace(store, store.references(("second", "best"))["0000|baseline"]).input("table").step
        == "first/results"
    )


def test_damaged_value_is_told_and_not_computed_here(store: FileStore, instance: dg.DagsterInstance) -> None:
    bench = Fed(readings_of([float(value) for value in range(1000)]), store, instance)
    assert bench.feed()
    record = store.find(store.references(("readings",))[""])
    assert record is not None
    assert record.location is not None
    (damaged,) = Path(store.folder).rglob(record.location)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.chmod(0o644)
    damaged.write_bytes(bytes(data))
    failures = experiment().run(FileStore(store.folder)).failures
    assert len(failures) == 2
    assert "cannot be used any more: materialise it again" in str(failures[0])


def test_asset_cannot_be_forced(store: FileStore, instance: dg.DagsterInstance) -> None:
    assert Fed(readings_of([1.0]), store, instance).feed()
    with pytest.raises(UnknownNameError, match="materialise it instead of forcing it"):
        experiment().run(store, force=["readings"])


def test_asset_is_named_by_itself_its_key_or_text() -> None:
    asset = readings_of([1.0], key_prefix="lab")
    assert asset_source(asset) is asset_source("lab/readings") is asset_source(["lab", "readings"])
    assert asset_source(dg.AssetKey(["lab", "readings"])) is asset_source(asset)
    assert asset_source(asset).asset == ("lab", "readings")
    assert asset_source(asset, name="measured").name == "measured"
    assert (
        pickle.loads(pickle.dumps(asset_source(asset)))
        is copy.deepcopy(asset_source(asset))
        is asset_source(asset)
    )


@pytest.mark.parametrize("wrong", ["", "a//b", [], 3, None, [1]])
def test_what_is_no_asset_is_refused(wrong: Any) -> None:
    with pytest.raises(DeclarationError, match="is no asset: expected a Dagster asset, or its key"):
        asset_source(wrong)


def test_asset_whose_name_no_parameter_can_have_needs_another_name() -> None:
    with pytest.raises(DeclarationError, match="raw-readings"):
        asset_source("lab/raw-readings")
    assert asset_source("lab/raw-readings", name="readings").asset == ("lab", "raw-readings")


def test_asset_among_the_sources_is_told_to_be_wrapped() -> None:
    with pytest.raises(DeclarationError, match=r"which is not a source: write asset_source\(...\) around it"):
        Experiment("study", [clean, mean], sources=[readings_of([1.0])])


def test_two_assets_under_one_name_give_different_keys_and_versions() -> None:
    store = MemoryStore()
    for asset in ("one", "two"):
        store.refer((asset,), {"": store.put("same", 1.0).key})

    @step
    def taken(value: float) -> float:
        return value

    declared = [
        Experiment("study", [taken], sources=[asset_source(asset, name="value")]) for asset in ("one", "two")
    ]
    assert declared[0].version() != declared[1].version()
    assert (
        declared[0].run(store).trace("baseline", 0, "taken").key
        == declared[1].run(store).trace("baseline", 0, "taken").key
    ), "the same content is the same input"
