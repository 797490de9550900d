"""Backends chosen in run configuration, as the launchpad sends it, and in the definitions."""

import os
from pathlib import Path

import dagster as dg
import pytest

from workflow_assets import FileStore, to_dagster
from workflow_assets.backends.choices import NAMES
from workflow_assets.orchestration.configurations import BackendName
from workflow_assets_tests.orchestration.identities import study


def test_the_launchpad_offers_every_backend() -> None:
    assert tuple(one.value for one in BackendName) == NAMES == tuple(BackendName.__members__)


@pytest.mark.parametrize("backend", ["serial", "threads", "processes"])
def test_a_run_names_its_backend(tmp_path: Path, backend: str) -> None:
    """Dagster's own process computes, or another does; every cell is materialised."""
    defs = to_dagster(study, store=str(tmp_path / "store"))
    config = {"ops": {"study__results": {"config": {"backend": backend, "workers": 2}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("study")
        assert job.execute_in_process(instance=instance, run_config=config).success
        held = instance.get_materialized_partitions(dg.AssetKey(["study", "drawn"]))
    assert len(held) == 8
    store = FileStore(tmp_path / "store")
    processes = {store.load_asset(("study", "process"), f"{one:04}|baseline") for one in range(4)}
    assert (os.getpid() in processes) == (backend != "processes")


def test_the_definitions_name_a_backend_and_a_run_another(tmp_path: Path) -> None:
    """What a run does not say stays as the definitions do."""
    defs = to_dagster(study, store=str(tmp_path / "store"), backend="processes", workers=1)
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def("study")
        assert job.execute_in_process(instance=instance).success
        store = FileStore(tmp_path / "store")
        processes = {store.load_asset(("study", "process"), f"{one:04}|baseline") for one in range(4)}
        assert len(processes) == 1
        assert os.getpid() not in processes
        config = {"force": ["process"], "backend": "serial"}
        run_config = {"ops": {"study__results": {"config": config}}}
        assert job.execute_in_process(instance=instance, run_config=run_config).success
    assert store.load_asset(("study", "process"), "0000|baseline") == os.getpid()


def test_a_backend_that_there_is_not_is_refused_before_the_run() -> None:
    """Dagster tells which value it was."""
    job = to_dagster(study, store=".workflow_assets/none").resolve_job_def("study")
    config = {"ops": {"study__results": {"config": {"backend": "proceses"}}}}
    with pytest.raises(
        dg.DagsterInvalidConfigError, match="backend not in enum type BackendName got proceses"
    ):
        job.execute_in_process(run_config=config)


def test_work_by_partition_runs_on_the_backend_too(tmp_path: Path) -> None:
    """A range of partitions, in processes."""
    defs = to_dagster(study, store=str(tmp_path / "store"), backend="processes", workers=2)
    keys = [dg.AssetKey(["study", name]) for name in ("process", "drawn")]
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(keys))
    tags = {
        "dagster/asset_partition_range_start": "0001|baseline",
        "dagster/asset_partition_range_end": "0003|same",
    }
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance, tags=tags).success
        assert len(instance.get_materialized_partitions(keys[1])) == 6
    store = FileStore(tmp_path / "store")
    assert store.load_asset(("study", "process"), "0002|same") != os.getpid()
