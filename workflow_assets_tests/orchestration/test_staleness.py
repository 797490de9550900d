"""What the UI calls stale is what a run would compute anew, below and above a hundred partitions."""

import dagster as dg
import pytest

from workflow_assets import FileStore
from workflow_assets_tests.orchestration.studies import Bench, Study


@pytest.mark.parametrize("replicates", [30, 40])
def test_nothing_is_stale_after_a_green_run_of_90_or_120_cells(
    study: Study, store: FileStore, instance: dg.DagsterInstance, replicates: int
) -> None:
    study.edit("replicates=8", f"replicates={replicates}")
    bench = Bench(study.experiment(), store, instance)
    assert bench.job().success
    assert bench.not_fresh() == {}
    study.edit("[k * value for value in noisy]", "[value * k for value in noisy]")
    edited = Bench(study.experiment(), store, instance)
    assert edited.not_fresh() == {"scaled": {"STALE"}, "total": {"STALE"}, "results": {"STALE"}}


def test_nothing_is_stale_after_runs_whose_events_are_on_disk(
    study: Study, store: FileStore, persistent_instance: dg.DagsterInstance
) -> None:
    study.edit("replicates=8", "replicates=2")
    bench = Bench(study.experiment(), store, persistent_instance)
    for _ in range(2):
        assert bench.job().success
        assert bench.not_fresh() == {}


EDITS = {
    "a comment": ('"""Multiply."""', '"""Multiply each value."""  # by k', set()),
    "a step": (
        "[k * value for value in noisy]",
        "[value * k for value in noisy]",
        {"scaled", "total", "results"},
    ),
    "a helper": ("value + by for", "by + value for", {"noisy", "scaled", "total", "results"}),
    "a parameter": ('"scaled.k": 2.0', '"scaled.k": 2.5', {"scaled", "total", "results"}),
    "a source": ('version="1"', 'version="2"', {"data", "noisy", "scaled", "total", "results"}),
    "the seed": ("seed=7", "seed=8", {"noisy", "scaled", "total", "results"}),
    "a hypothesis": ('alternative="less"', 'alternative="two-sided"', {"results"}),
    "the last step": ("return sum(scaled)", "return sum(scaled) + 1", {"total", "results"}),
}


@pytest.mark.parametrize("edit", list(EDITS))
def test_an_edit_makes_exactly_the_affected_assets_stale_until_the_next_run(
    study: Study, store: FileStore, instance: dg.DagsterInstance, edit: str
) -> None:
    old, new, affected = EDITS[edit]
    study.edit("replicates=8", "replicates=2")
    Bench(study.experiment(), store, instance).job()
    study.edit(old, new)
    bench = Bench(study.experiment(), store, instance)
    assert bench.not_fresh() == {name: {"STALE"} for name in affected}
    assert bench.job().success
    assert bench.not_fresh() == {}


def test_treatments_and_replicates_that_are_added_are_missing_and_the_others_are_computed_no_more(
    study: Study, store: FileStore, instance: dg.DagsterInstance
) -> None:
    study.edit("replicates=8", "replicates=2")
    Bench(study.experiment(), store, instance).job()
    study.calls()
    study.edit("replicates=2", "replicates=5")
    bench = Bench(study.experiment(), store, instance)
    assert bench.not_fresh() == {
        "noisy": {"MISSING"},
        "scaled": {"MISSING"},
        "total": {"MISSING"},
        "results": {"STALE"},
    }
    assert bench.job().success
    calls = study.calls()
    assert {name: calls.count(name) for name in set(calls)} == {"noisy": 3, "scaled": 9, "total": 9}
    assert bench.not_fresh() == {}


def test_partitions_materialised_on_their_own_are_fresh_and_tell_of_their_source(bench: Bench) -> None:
    assert bench.range(("double", "double"), ("0002", "0003")).success
    assert bench.materialised() == {"noisy": 2, "scaled": 2, "total": 2}
    assert "data" not in bench.not_fresh()
    states = bench.not_fresh()
    assert states == {name: {"MISSING"} for name in ("noisy", "scaled", "total", "results")}


def test_each_partition_bears_its_own_key_as_data_version(bench: Bench) -> None:
    bench.range(("baseline", "triple"), ("0000", "0001"))
    records = bench.instance.fetch_materializations(dg.AssetKey(["study", "total"]), limit=100).records
    versions = {
        record.partition_key: (record.asset_materialization.tags or {})["dagster/data_version"]
        for record in records
        if record.asset_materialization is not None
    }
    assert len(versions) == 6
    assert len(set(versions.values())) == 6
    assert versions == {
        partition: key
        for partition, key in bench.store.references(("study", "total")).items()
        if partition in versions
    }


def test_provenance_tags_name_every_input_with_its_version(bench: Bench) -> None:
    bench.range(("double", "double"), ("0000", "0000"))
    record = bench.instance.fetch_materializations(dg.AssetKey(["study", "noisy"]), limit=1).records[0]
    assert record.asset_materialization is not None
    tags = record.asset_materialization.tags or {}
    assert tags["dagster/input_data_version/data"] == bench.store.references(("data",))[""]
    assert "dagster/input_event_pointer/data" in tags
    assert tags["dagster/code_version"] == bench.graph.get(dg.AssetKey(["study", "noisy"])).code_version
