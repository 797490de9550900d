"""Any selection of assets and partitions does what it says."""

import dagster as dg

from workflow_assets_tests.orchestration.studies import Bench, Study


def test_steps_and_results_in_one_run_of_a_range_both_come_out_right(bench: Bench, study: Study) -> None:
    result = bench.range(("baseline", "double"), ("0000", "0003"), dg.AssetSelection.all())
    assert result.success
    assert bench.materialised() == {"noisy": 24, "scaled": 24, "total": 24}, "results completed the grid"
    assert bench.not_fresh() == {}
    calls = study.calls()
    assert {name: calls.count(name) for name in set(calls)} == {
        "data": 1,
        "noisy": 8,
        "scaled": 24,
        "total": 24,
    }
    records = bench.instance.fetch_materializations(dg.AssetKey(["study", "total"]), limit=200).records
    latest = {}
    for record in reversed(records):
        assert record.asset_materialization is not None
        latest[record.partition_key] = (record.asset_materialization.tags or {})["dagster/data_version"]
    assert latest == bench.store.references(("study", "total"))


def test_steps_and_results_in_one_run_of_one_partition_both_come_out_right(bench: Bench) -> None:
    key = dg.MultiPartitionKey({"replicate": "0002", "treatment": "double"})
    assert bench.materialise(dg.AssetSelection.all(), partition_key=key).success
    assert bench.not_fresh() == {}


def test_one_step_alone_computes_what_it_needs_and_materialises_only_itself(
    bench: Bench, study: Study
) -> None:
    key = dg.MultiPartitionKey({"replicate": "0002", "treatment": "double"})
    assert bench.materialise(dg.AssetSelection.assets(["study", "scaled"]), partition_key=key).success
    assert bench.materialised() == {"noisy": 0, "scaled": 1, "total": 0}
    assert study.calls() == ["data", "noisy", "scaled"]


def test_sources_alone_are_loaded_once(bench: Bench, study: Study) -> None:
    source = dg.AssetSelection.assets("data")
    assert bench.materialise(source).success
    assert bench.materialise(source).success
    assert study.calls() == ["data"]
    forced = {"ops": {"source__data": {"config": {"force": ["data"]}}}}
    assert bench.materialise(source, run_config=forced).success
    assert study.calls() == ["data"]


def test_an_empty_range_is_an_error_not_a_success(bench: Bench) -> None:
    assert not bench.range(("triple", "baseline"), ("0000", "0003")).success
