"""Assets that users write read what experiments hold: one partition as a value, several as a lazy mapping."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from workflow_assets import Experiment, FileStore, MemoryStore, step, trace
from workflow_assets.errors import UnknownNameError
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets_tests.orchestration.studies import Bench, Study

TOTAL = dg.AssetKey(["study", "total"])
TREATMENTS = ["baseline", "double", "triple"]


@pytest.fixture
def bench(study: Study, store: FileStore, instance: dg.DagsterInstance) -> Bench:
    """The study of two replicates, compiled."""
    study.edit("replicates=8", "replicates=2")
    return Bench(study.experiment(), store, instance)


def materialise(bench: Bench, asset: Any, **options: Any) -> dg.ExecuteInProcessResult:
    """Materialise a user's asset with what the experiment's assets hold."""
    return dg.materialize(
        [*bench.assets, asset],
        instance=bench.instance,
        resources=bench.defs.resources,
        selection=dg.AssetSelection.assets(asset),
        raise_on_error=False,
        **options,
    )


def load(bench: Bench, asset: Any, partition: str | None = None) -> Any:
    """Load what a user's asset holds, without a run."""
    defs = dg.Definitions.merge(bench.defs, dg.Definitions(assets=[asset]))
    return defs.load_asset_value(asset.key, partition_key=partition, instance=bench.instance)


def reader(**options: Any) -> Any:
    """Make an asset that gives what it reads of the totals, as a plain dict or value."""
    partitions_def = options.pop("partitions_def", None)

    @dg.asset(
        ins={"totals": dg.AssetIn(TOTAL, **options)}, partitions_def=partitions_def, io_manager_key=DATUMS
    )
    def read(totals):
        return dict(totals) if isinstance(totals, Mapping) else totals

    return read


def test_unpartitioned_asset_looks_values_up_by_key_and_by_place_in_the_grid(bench: Bench) -> None:
    bench.job()

    @dg.asset(ins={"totals": dg.AssetIn(TOTAL)}, io_manager_key=DATUMS)
    def looked_up(totals):
        return [
            totals["0001|double"],
            totals.at(treatment="double", replicate="0001"),
            totals.at(treatment="double", replicate=1),
            totals.only(treatment="double")["0001|double"],
            totals.only(treatment="double", replicate=1).at(treatment="double", replicate=1),
        ]

    assert materialise(bench, looked_up).success
    value = bench.store.load_asset(("study", "total"), "0001|double")
    assert load(bench, looked_up) == [value] * 5


def test_mapping_is_in_the_order_of_the_grid(bench: Bench) -> None:
    bench.job()
    assert materialise(bench, asset := reader()).success
    assert list(load(bench, asset)) == [
        f"{replicate}|{name}" for replicate in ("0000", "0001") for name in TREATMENTS
    ]


def test_asset_partitioned_by_treatment_reads_that_treatments_replicates(bench: Bench) -> None:
    bench.job()
    asset = reader(partitions_def=dg.StaticPartitionsDefinition(TREATMENTS))
    assert materialise(bench, asset, partition_key="double").success
    held = {key: bench.store.load_asset(("study", "total"), key) for key in ("0000|double", "0001|double")}
    assert load(bench, asset, "double") == held


def test_grid_of_one_cell_is_a_mapping_too_where_all_of_it_is_read(instance: dg.DagsterInstance) -> None:
    @step
    def one() -> float:
        return 1.0

    bench = Bench(Experiment("single", [one]), MemoryStore(), instance)
    bench.job()

    @dg.asset(ins={"ones": dg.AssetIn(["single", "one"])}, io_manager_key=DATUMS)
    def every(ones):
        return dict(ones)

    @dg.asset(
        ins={"ones": dg.AssetIn(["single", "one"])},
        partitions_def=dg.StaticPartitionsDefinition(["baseline"]),
        io_manager_key=DATUMS,
    )
    def column(ones):
        return dict(ones)

    assert materialise(bench, every).success
    assert load(bench, every) == {"0000|baseline": 1.0}
    assert materialise(bench, column, partition_key="baseline").success
    assert load(bench, column, "baseline") == {"0000|baseline": 1.0}


@pytest.mark.parametrize("keys", [["0001|triple"], ["0000|double", "0001|triple"]], ids=["one", "several"])
def test_named_partitions_are_a_value_or_a_mapping(bench: Bench, keys: list[str]) -> None:
    bench.job()
    asset = reader(partition_mapping=dg.SpecificPartitionsPartitionMapping(keys))
    assert materialise(bench, asset).success
    held = {key: bench.store.load_asset(("study", "total"), key) for key in keys}
    assert load(bench, asset) == (held if len(keys) > 1 else held[keys[0]])


def test_results_are_read_as_a_frame_and_a_source_as_its_value(bench: Bench) -> None:
    bench.job()

    @dg.asset(ins={"table": dg.AssetIn(["study", "results"])}, io_manager_key=DATUMS)
    def means(table: pd.DataFrame, data: list[float]) -> Any:
        return {**table.groupby("treatment")["total"].mean().to_dict(), "rows": float(len(data))}

    assert materialise(bench, means).success
    assert load(bench, means) == {**bench.table().groupby("treatment")["total"].mean().to_dict(), "rows": 2.0}


def test_missing_partitions_are_named_with_their_asset_and_what_to_do(bench: Bench, study: Study) -> None:
    study.fail("double 1", "triple 0")
    bench.job()
    failed = error_of(materialise(bench, reader()))
    assert (
        "asset 'study/total' has no value for 2 of 6 partitions, '0000|triple' among them, in this store: materialise "
        "them first, or take those that are there with AssetIn(metadata={'allow_missing_partitions': True})"
    ) in failed
    asset = reader(metadata={"allow_missing_partitions": True})
    assert materialise(bench, asset).success
    assert set(load(bench, asset)) == {"0000|baseline", "0000|double", "0001|baseline", "0001|triple"}
    one = reader(partition_mapping=dg.SpecificPartitionsPartitionMapping(["0001|double"]))
    assert (
        "asset 'study/total' has no value for partition '0001|double' in this store: materialise that partition first"
    ) in error_of(materialise(bench, one))


def error_of(result: dg.ExecuteInProcessResult) -> str:
    """The whole chain of errors of the failed step."""
    assert not result.success
    event = next(event for event in result.all_events if event.event_type_value == "STEP_FAILURE")
    data: Any = event.event_specific_data
    return str(data.error.to_string())


def test_without_a_run_a_partitioned_asset_is_a_mapping_of_what_is_there(bench: Bench) -> None:
    bench.range(("double", "triple"), ("0000", "0000"))
    totals: Any = bench.defs.load_asset_value(TOTAL, instance=bench.instance)
    assert set(totals) == {"0000|double", "0000|triple"}
    assert totals.at(treatment="triple", replicate=0) == bench.defs.load_asset_value(
        TOTAL, partition_key="0000|triple", instance=bench.instance
    )
    with pytest.raises(
        UnknownNameError, match="holds nothing at treatment 'double', replicate '0001': materialise"
    ):
        totals.at(treatment="double", replicate=1)
    with pytest.raises(UnknownNameError, match="has no treatment 'dubble': did you mean 'double'"):
        totals.only(treatment="dubble")
    with pytest.raises(UnknownNameError, match="no dimension 'treatmnt': did you mean 'treatment'"):
        totals.only(treatmnt="double")
    with pytest.raises(UnknownNameError, match="say 'replicate' too"):
        totals.at(treatment="double")
    with pytest.raises(KeyError, match=r"no partition '000\|double' here: did you mean '0000\|double'"):
        totals["000|double"]


def test_misspelt_partition_names_near_matches(bench: Bench) -> None:
    bench.job()
    asset = reader(partition_mapping=dg.SpecificPartitionsPartitionMapping(["0001|dubble"]))
    assert "asset 'study/total' has no partition '0001|dubble': did you mean '0001|double'" in error_of(
        materialise(bench, asset)
    )


def test_mapping_behaves_as_the_dict_of_its_values_and_cannot_be_changed(bench: Bench) -> None:
    import copy

    bench.range(("double", "triple"), ("0000", "0000"))
    totals: Any = bench.defs.load_asset_value(TOTAL, instance=bench.instance)
    plain = {key: bench.store.load_asset(("study", "total"), key) for key in ("0000|double", "0000|triple")}
    assert totals == plain
    assert totals != {**plain, "more": 1.0}
    assert (
        totals.copy()
        == copy.deepcopy(totals)
        == dict(totals)
        == {**totals}
        == totals | {}
        == {} | totals
        == plain
    )
    assert totals.get("0000|double") == plain["0000|double"]
    assert totals.get("none", 7.0) == 7.0
    for change in (lambda: totals.update(a=1), lambda: totals.pop("0000|double"), totals.clear):
        with pytest.raises(TypeError, match="stay as they are"):
            change()
    assert totals == plain


def test_mapping_shows_what_was_held_when_it_was_made(bench: Bench) -> None:
    bench.range(("double", "double"), ("0000", "0000"))
    totals: Any = bench.defs.load_asset_value(TOTAL, instance=bench.instance)
    before = totals["0000|double"]
    bench.store.refer(("study", "total"), {"0000|double": bench.store.put("another", before + 1).key})
    assert totals["0000|double"] == before


def test_key_of_a_users_asset_leads_to_its_code_and_on_to_the_experiments(bench: Bench) -> None:
    bench.job()

    @dg.asset(
        ins={"table": dg.AssetIn(["study", "results"]), "totals": dg.AssetIn(TOTAL)}, io_manager_key=DATUMS
    )
    def best(table, totals):
        return float(table["total"].max() + len(totals))

    result = materialise(bench, best)
    assert result.success
    (event,) = result.asset_materializations_for_node("best")
    key = event.metadata["key"].value
    assert isinstance(key, str)
    assert (event.tags or {})["dagster/data_version"] == key
    origin = trace(bench.store, key)
    assert (origin.step, origin.run["run"]) == ("best", result.run_id)
    assert 'table["total"].max() + len(totals)' in str(origin)
    cell = origin.input("totals").input("0001|double")
    assert cell.step == "total"
    assert cell.value() == bench.store.load_asset(("study", "total"), "0001|double")
    assert origin.input("table").input("total").input("0001|double").key == cell.key
    assert cell.input("scaled").parameters == {"k": "2.0"}


def test_key_that_the_ui_shows_for_a_cell_and_for_the_results_leads_to_code_and_inputs(bench: Bench) -> None:
    bench.job()
    shown = {}
    for name in ("total", "results"):
        for record in bench.instance.fetch_materializations(dg.AssetKey(["study", name]), limit=10).records:
            assert record.asset_materialization is not None
            key = record.asset_materialization.metadata["key"].value
            shown[name, str(record.partition_key or "")] = key
    cell = trace(bench.store, str(shown["total", "0001|double"]))
    assert "return sum(scaled)" in str(cell)
    assert (cell.replicate, cell.input("scaled").input("noisy").input("data").step) == ("0001", "data")
    results = trace(bench.store, str(shown["results", ""]))
    assert set(results.inputs) == {"noisy", "scaled", "total"}
    assert results.input("total").input("0001|double").key == cell.key
    assert len(results.input("total").inputs) == 6
    assert "trace(store, key)" in bench.graph.get(TOTAL).metadata["provenance"]


def test_results_of_the_same_numbers_from_other_code_lead_to_that_code(bench: Bench, study: Study) -> None:
    bench.job()
    before = bench.store.references(("study", "results"))[""]
    study.edit("return sum(scaled)", "return 0 + sum(scaled)")
    again = Bench(study.experiment(), bench.store, bench.instance)
    again.job()
    assert again.store.references(("study", "results"))[""] == before
    assert "return 0 + sum(scaled)" in str(trace(again.store, before).input("total").input("0001|double"))


def test_users_asset_of_the_same_value_has_the_same_data_version(bench: Bench) -> None:
    bench.job()
    versions = set()
    for _ in range(2):
        result = materialise(bench, reader())
        (event,) = result.asset_materializations_for_node("read")
        versions.add((event.tags or {})["dagster/data_version"])
    assert len(versions) == 1
