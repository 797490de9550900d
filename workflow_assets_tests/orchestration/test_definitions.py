"""One call compiles all experiments of a code location, with names and labels that help in the UI."""

from pathlib import Path
from typing import Annotated, Any

import dagster as dg
import pandas as pd
import pytest
import yaml
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator

from workflow_assets import Columns, Experiment, Hypothesis, MemoryStore, source, step, to_dagster
from workflow_assets.errors import DeclarationError
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets.orchestration.storage import home
from workflow_assets.orchestration.types import column_schema, dataframe_type
from workflow_assets_tests.orchestration.studies import Bench

PROJECT = Path(__file__).parents[2]


@source(version="1", owners=("team:data",))
def rows() -> list[float]:
    """Three rows."""
    return [1.0, 2.0, 3.0]


@step(tags={"stage": "sum"}, owners=("someone@example.org",))
def total(rows: list[float], power: float = 1.0) -> float:
    """Add up the rows, each to a power."""
    return float(sum(row**power for row in rows))


@step
def mean(rows: list[float], rng: Any) -> float:
    return float(rng.choice(rows))


def experiment(name: str, *steps: Any, **options: Any) -> Experiment:
    return Experiment(
        name, list(steps or [total]), {"squares": {"total.power": 2.0}} if not steps else {}, 2, **options
    )


def test_experiments_of_one_call_share_their_sources() -> None:
    defs = to_dagster(experiment("one"), experiment("two", mean), store=MemoryStore())
    keys = {key.to_user_string() for key in defs.get_repository_def().asset_graph.get_all_asset_keys()}
    assert keys == {"rows", "one/total", "one/results", "two/mean", "two/results"}
    assert {job.name for job in defs.get_repository_def().get_all_jobs()} >= {"one", "two"}


def test_conflicting_names_are_told_together() -> None:
    @source(version="2", name="rows")
    def others() -> list[float]:
        return [4.0]

    @step
    def least(rows: list[float]) -> float:
        return min(rows)

    with pytest.raises(DeclarationError) as caught:
        to_dagster(
            experiment("one"),
            experiment("one", mean),
            experiment("two", least, sources=[others]),
            store=MemoryStore(),
        )
    assert caught.value.faults == (
        "two experiments are called 'one'",
        "experiments 'one' and 'two' read different sources called 'rows'; they would be one asset: rename one of them",
    )


def test_something_else_than_an_experiment_is_named() -> None:
    with pytest.raises(DeclarationError, match="is a Step, not an experiment"):
        to_dagster(total, store=MemoryStore())  # type: ignore[arg-type]


def test_assets_say_what_they_are() -> None:
    defs = to_dagster(experiment("one", description="Sums.", tags={"area": "numbers"}), store=MemoryStore())
    graph = defs.get_repository_def().asset_graph
    node = graph.get(dg.AssetKey(["one", "total"]))
    assert node.description == "Add up the rows, each to a power."
    assert node.group_name == "one"
    assert node.kinds == {"python"}
    assert node.owners == ["someone@example.org"]
    assert {"area": "numbers", "stage": "sum"}.items() <= node.tags.items()
    assert node.metadata["parameters"] == {"power": "1.0"}
    assert node.metadata["changed by"] == {"squares": "total.power = 2.0"}
    assert node.code_version is not None
    assert node.parent_keys == {dg.AssetKey(["rows"])}
    assert graph.get(dg.AssetKey(["rows"])).owners == ["team:data"]
    results = graph.get(dg.AssetKey(["one", "results"]))
    assert results.description is not None
    assert results.description.startswith("Sums.")
    assert results.parent_keys == {dg.AssetKey(["one", "total"]), dg.AssetKey(["rows"])}


def test_partition_keys_stay_the_same_when_replicates_are_added() -> None:
    few, more = (
        to_dagster(Experiment("one", [total], replicates=count), store=MemoryStore())
        .get_repository_def()
        .asset_graph.get(dg.AssetKey(["one", "total"]))
        .partitions_def
        for count in (2, 12_000)
    )
    assert few is not None
    assert more is not None
    assert few.get_partition_keys() == more.get_partition_keys()[:2] == ["0000|baseline", "0001|baseline"]


def test_units_and_treatments_with_unusual_names_run_on_dagster(instance: dg.DagsterInstance) -> None:
    odd = Experiment(
        "odd",
        [total],
        {"größer 2 (x^2)": {"total.power": 2.0}, "a/b": {"total.power": 3.0}},
        ["P1/A01", "P1/A 02"],
        [Hypothesis("larger", "total", "größer 2 (x^2)")],
    )
    bench = Bench(odd, MemoryStore(), instance)
    assert bench.job().success
    assert bench.materialised() == {"total": 6}
    assert bench.not_fresh() == {}
    assert bench.table()["replicate"].tolist() == ["P1/A01", "P1/A 02"] * 3


def test_dagster_resources_reach_the_steps_and_are_set_up_by_dagster(instance: dg.DagsterInstance) -> None:
    class Scale(dg.ConfigurableResource):
        factor: float

    @step
    def scaled(rows: list[float], ctx: Any) -> float:
        return float(ctx.resources["scale"].factor * sum(rows))

    study = Experiment("scaling", [scaled])
    defs = to_dagster(study, store=MemoryStore(), resources={"scale": Scale(factor=10.0)})
    assert defs.resolve_job_def("scaling").execute_in_process(instance=instance).success
    value: Any = defs.load_asset_value(dg.AssetKey(["scaling", "results"]), instance=instance)
    assert value["scaled"].tolist() == [60.0]


def test_declared_columns_become_a_dagster_pandas_type_and_a_schema() -> None:
    columns = Columns(radius=float, label=str, kind=None, exact=True)
    kind = dataframe_type("Cells", columns)
    good = pd.DataFrame({"radius": [1.0], "label": ["a"], "kind": [1]})
    context: Any = None
    assert kind.type_check(context, good).success
    assert not kind.type_check(context, good.drop(columns="radius")).success
    assert not kind.type_check(context, good.assign(radius="x")).success
    assert not kind.type_check(context, good.assign(more=1)).success
    schema = column_schema(Annotated[pd.DataFrame, columns])
    assert schema is not None
    assert {column.name: column.type for column in schema.columns} == {
        "radius": "float",
        "label": "str",
        "kind": "any",
    }
    assert column_schema(pd.DataFrame) is None


def test_a_steps_declared_columns_are_shown_in_the_ui() -> None:
    @step
    def cells() -> Annotated[pd.DataFrame, Columns(radius=float)]:
        return pd.DataFrame({"radius": [1.0]})

    graph = to_dagster(Experiment("imaging", [cells]), store=MemoryStore()).get_repository_def().asset_graph
    schema: Any = graph.get(dg.AssetKey(["imaging", "cells"])).metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == ["radius"]


def test_run_time_files_lie_in_one_absolute_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKFLOW_ASSETS_HOME", raising=False)
    (tmp_path / "dagster.yaml").write_text("")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    assert home() == tmp_path / ".workflow_assets"
    monkeypatch.setenv("WORKFLOW_ASSETS_HOME", "elsewhere")
    assert home() == tmp_path / "deep" / "down" / "elsewhere"


@pytest.mark.parametrize(
    ("named", "opened"),
    [
        ("s3://data-of-runs/study", "S3Store('s3://data-of-runs/study')"),
        ("elsewhere/store", "FileStore('{folder}/elsewhere/store')"),
        ("", "FileStore('{folder}/.workflow_assets/store')"),
    ],
)
def test_the_environment_names_the_store_unless_the_code_does(
    named: str, opened: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image serves wherever it is deployed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKFLOW_ASSETS_HOME", raising=False)
    monkeypatch.setenv("WORKFLOW_ASSETS_STORE", named)
    assert _store(to_dagster()) == opened.format(folder=tmp_path)
    assert _store(to_dagster(store="own")) == f"FileStore('{tmp_path}/own')"


def _store(definitions: dg.Definitions) -> str:
    return repr((definitions.resources or {})[DATUMS].store)


def test_shipped_instance_file_keeps_everything_in_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_ASSETS_HOME", str(tmp_path / "home"))
    overrides = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        assert instance.telemetry_enabled is False
        assert instance.nux_enabled is False
        assert instance.root_directory
        instance.add_dynamic_partitions("letters", ["a"])
    assert {path.name for path in (tmp_path / "home").iterdir()} == {"dagster", "artifacts"}, (
        "and logs, once there are some"
    )


def test_shipped_instance_file_lets_two_runs_go_on_at_once_and_starts_them_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKFLOW_ASSETS_HOME", str(tmp_path / "home"))
    overrides = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 2
        coordinator = instance.run_coordinator
        assert isinstance(coordinator, QueuedRunCoordinator)
        assert coordinator.dequeue_interval_seconds == 1


def test_instance_file_lies_in_the_ignored_folder_only() -> None:
    assert ".workflow_assets/" in (PROJECT / ".gitignore").read_text().splitlines()
