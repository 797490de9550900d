"""What steps computed is read by any asset, and what assets return is stored."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg
import pytest

from workflow_assets import FileStore, MemoryStore
from workflow_assets.errors import CodecError, UnknownNameError
from workflow_assets.orchestration.io_managers import DATUMS, DatumIOManager
from workflow_assets_tests.orchestration.studies import Bench

ONE = dg.MultiPartitionKey({"replicate": "0001", "treatment": "double"})


def test_one_partition_is_loaded_as_a_value_without_a_run(bench: Bench) -> None:
    bench.job()
    value = bench.defs.load_asset_value(
        dg.AssetKey(["study", "total"]), partition_key=ONE, instance=bench.instance
    )
    assert value == bench.table().query("treatment == 'double' and replicate == 1")["total"].item()
    assert bench.defs.load_asset_value(dg.AssetKey(["data"]), instance=bench.instance) == [1.0, 2.0]


def test_downstream_asset_reads_all_partitions_as_a_lazy_mapping(bench: Bench) -> None:
    bench.job()
    seen: dict[str, Any] = {}

    @dg.asset(ins={"totals": dg.AssetIn(["study", "total"])}, io_manager_key=DATUMS)
    def best(totals: Mapping[str, float]) -> float:
        seen.update(totals)
        return max(totals.values())

    defs = dg.Definitions.merge(bench.defs, dg.Definitions(assets=[best]))
    result = dg.materialize(
        [*bench.assets, best],
        instance=bench.instance,
        resources=defs.resources,
        selection=dg.AssetSelection.assets(best),
    )
    assert result.success
    assert len(seen) == 24
    assert defs.load_asset_value(best.key, instance=bench.instance) == bench.table()["total"].max()


def test_downstream_asset_of_the_same_grid_reads_its_own_partition(bench: Bench) -> None:
    bench.job()
    grid = bench.graph.get(dg.AssetKey(["study", "total"])).partitions_def

    @dg.asset(ins={"total": dg.AssetIn(["study", "total"])}, partitions_def=grid, io_manager_key=DATUMS)
    def negative(total: float) -> float:
        return -total

    defs = dg.Definitions.merge(bench.defs, dg.Definitions(assets=[negative]))
    result = dg.materialize(
        [*bench.assets, negative],
        instance=bench.instance,
        resources=defs.resources,
        selection=dg.AssetSelection.assets(negative),
        partition_key=ONE,
    )
    assert result.success
    total: Any = defs.load_asset_value(
        dg.AssetKey(["study", "total"]), partition_key=ONE, instance=bench.instance
    )
    assert defs.load_asset_value(negative.key, partition_key=ONE, instance=bench.instance) == -total


def test_loading_what_was_never_materialised_says_what_to_do(bench: Bench) -> None:
    for partition in (ONE, None):
        with pytest.raises(
            UnknownNameError, match="'study/total' is not in this store: materialise it first"
        ):
            bench.defs.load_asset_value(
                dg.AssetKey(["study", "total"]), partition_key=partition, instance=bench.instance
            )


# The policy is how the test asks for several partitions at once; Dagster calls that parameter of @asset a beta.
@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_several_partitions_are_written_from_one_step_as_a_mapping(store: FileStore) -> None:
    letters = dg.StaticPartitionsDefinition(["a", "b"])

    @dg.asset(partitions_def=letters, backfill_policy=dg.BackfillPolicy.single_run())
    def upper(context: dg.AssetExecutionContext) -> dict[str, str]:
        return {key: key.upper() for key in context.partition_keys}

    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
    result = dg.materialize([upper], resources={"io_manager": DatumIOManager(store)}, tags=tags)
    assert result.success
    assert store.load_asset(("upper",), "b") == "B"


def test_materialising_again_signs_what_somebody_else_has_pickled(store: FileStore) -> None:
    @dg.asset
    def counted() -> Any:
        return Counter("aab")

    def materialise(into: FileStore) -> None:
        assert dg.materialize([counted], resources={"io_manager": DatumIOManager(into)}).success

    materialise(FileStore(store.folder, pickles=True))
    with pytest.raises(CodecError, match="not signed with your key"):
        store.load_asset(("counted",))
    materialise(store)
    assert store.load_asset(("counted",)) == Counter("aab")


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_a_mapping_without_some_partition_is_refused() -> None:
    letters = dg.StaticPartitionsDefinition(["a", "b"])

    @dg.asset(partitions_def=letters, backfill_policy=dg.BackfillPolicy.single_run())
    def upper() -> dict[str, str]:
        return {"a": "A"}

    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
    store = MemoryStore()
    with pytest.raises(
        dg.DagsterInvariantViolationError, match="no value for 1 of 2 partitions, 'b' among them"
    ):
        dg.materialize([upper], resources={"io_manager": DatumIOManager(store)}, tags=tags)
    assert store.references(("upper",)) == {}
