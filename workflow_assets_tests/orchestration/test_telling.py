"""What Dagster is told of a run: hooks, resources of workers, progress, logs, seconds, memory, pools and tags."""

import json
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflow_assets import Experiment, FileStore, Hooks, per_worker, step, to_dagster
from workflow_assets.errors import DeclarationError
from workflow_assets_tests.orchestration.test_commands import PROJECT, command


@step(resources={"gpu": 1, "memory": "2 KiB", "cpus": 1})
def noise(rng) -> float:
    return rng.normal()


@step(resources={"memory": "1 KiB"})
def scaled(noise: float, ctx, k: float = 1.0) -> float:
    ctx.log.info("scaling by %s", k)
    ctx.log.debug("too fine to tell")
    return k * noise


@step(resources={"licence": 1})
def licensed(noise: float) -> float:
    return noise


def study(*steps: Any, treatments: Any = None) -> Experiment:
    return Experiment("study", list(steps or (noise, scaled)), treatments or {}, replicates=2)


def job(defs: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("study").execute_in_process(instance=instance)


def logged(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [entry.user_message for entry in instance.all_logs(run_id) if entry.dagster_event is None]


def metadata(instance: dg.DagsterInstance, name: str) -> Any:
    event = instance.get_latest_materialization_event(dg.AssetKey(["study", name]))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization.metadata


def test_a_job_tells_hooks_and_opens_resources_of_both_kinds(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    told: list[Any] = []
    opened: list[int] = []
    closed: list[int] = []

    def connect():
        opened.append(threading.get_ident())
        yield sqlite3.connect(":memory:")
        closed.append(threading.get_ident())

    @step
    def asked(ctx, replicate: int) -> int:
        ctx.resources["db"].execute("select 1")
        return replicate + len(ctx.resources["plain"])

    @dg.asset(required_resource_keys={"db"})
    def mine(context: dg.AssetExecutionContext) -> None:
        context.resources.db.execute("select 1")

    defs = to_dagster(
        study(asked),
        store=store,
        resources={"db": per_worker(connect), "plain": "abc"},
        hooks=Hooks(after_cell=told.append, after_run=told.append),
    )
    result = job(defs, instance)
    assert [event.replicate for event in told[:-1]] == ["0000", "0001"]
    assert told[-1].run_id == result.run_id
    assert told[-1].done == 2
    assert opened == closed == [threading.get_ident()]
    around = dg.Definitions.merge(defs, dg.Definitions(assets=[mine]))
    dg.materialize([mine], resources=around.resources, instance=instance)
    assert len(opened) == len(closed) == 2


def test_a_run_tells_how_far_it_is_what_steps_log_and_what_they_took(
    store: FileStore, instance: dg.DagsterInstance
) -> None:
    defs = to_dagster(study(), store=store, capacity={"gpu": 1})
    first = job(defs, instance)
    lines = logged(instance, first.run_id)
    assert "baseline × 0001, scaled: scaling by 1.0" in lines
    assert not any("too fine" in line for line in lines)
    assert [line.partition(";")[0] for line in lines if "cells done" in line] == [
        "2 of 2 cells done, 0 stored, 0 failed"
    ]
    of_step = metadata(instance, "noise")
    assert isinstance(of_step["seconds"].value, float)
    assert of_step["peak_memory"].value > 2**20
    table = metadata(instance, "results")["steps"].value
    assert "| step | data | computed now | total s | median s | max s | peak MB |" in table
    assert "| noise | 2 | 2 | " in table
    second = job(defs, instance)
    lines = logged(instance, second.run_id)
    assert [line.partition(";")[0] for line in lines if "cells done" in line] == [
        "2 of 2 cells done, 2 stored, 0 failed"
    ]
    assert "| noise | 2 | 0 | " in metadata(instance, "results")["steps"].value


def test_an_instance_that_captures_loggers_is_told_once(tmp_path: Path, store: FileStore) -> None:
    captured = {"python_logs": {"managed_python_loggers": ["root"], "python_log_level": "INFO"}}
    overrides = {"telemetry": {"enabled": False}, **captured}
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=overrides) as instance:
        result = job(to_dagster(study(), store=store, capacity={"gpu": 1}, backend="threads"), instance)
        lines = [line for line in logged(instance, result.run_id) if "scaling by" in line]
    assert lines == ["scaling by 1.0"] * 2


def ops(defs: dg.Definitions) -> list[Any]:
    return [asset.op for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]


def test_ops_bear_what_steps_need(store: FileStore) -> None:
    defs = to_dagster(study(), store=store, workers=4, capacity={"gpu": 2, "memory": "6 KiB"})
    for op in ops(defs):
        assert json.loads(op.tags["workflow_assets/resources"]) == {"gpu": 1, "memory": 2048, "cpus": 1}
        asked = json.loads(op.tags["dagster-k8s/config"])["container_config"]["resources"]
        assert asked == {
            "requests": {"memory": "6144", "nvidia.com/gpu": "2", "cpu": "4"},
            "limits": {"memory": "6144", "nvidia.com/gpu": "2"},
        }
        assert op.pool == "gpu"
    tags = defs.resolve_job_def("study").tags
    assert json.loads(tags["dagster-k8s/config"])["container_config"]["resources"] == asked


def test_steps_without_needs_bear_nothing(store: FileStore) -> None:
    @step
    def plain(replicate: int) -> int:
        return replicate

    for op in ops(to_dagster(study(plain), store=store)):
        assert op.pool is None
        assert not {"workflow_assets/resources", "dagster-k8s/config"} & set(op.tags)


def test_needs_of_several_pools_are_refused_unless_one_is_chosen(store: FileStore) -> None:
    both = study(noise, licensed)
    with pytest.raises(
        DeclarationError, match="need 'gpu' and 'licence', and a Dagster op takes a slot of one"
    ):
        to_dagster(both, store=store)
    assert {op.pool for op in ops(to_dagster(both, store=store, pool="licence"))} == {"licence"}


TOLD = """
import logging, os
from workflow_assets import Experiment, Hooks, per_worker, step, to_dagster

@step(resources={"gpu": 1})
def measure(ctx, replicate: int) -> int:
    print("printed", replicate, os.getpid() != int(os.environ["RUN"]))
    os.system(f"echo from a shell {replicate} >&2")
    ctx.log.info("logged %s with %s", replicate, ctx.resources["db"])
    logging.getLogger("mylib").warning("library warns %s", replicate)
    return replicate

def tell(event):
    print("told of", type(event).__name__, flush=True)

os.environ.setdefault("RUN", str(os.getpid()))
defs = to_dagster(
    Experiment("study", [measure], replicates=2), store=os.environ["STORE"], backend="processes", workers=1,
    capacity={"gpu": 1}, resources={"db": per_worker(lambda: "a connection")}, hooks=Hooks(after_step=tell),
)
"""


def test_what_worker_processes_print_and_log_reaches_the_compute_logs(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(TOLD)
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    home = tmp_path / "home"
    done = command(
        *["dagster", "job", "execute", "-f", "told.py", "-j", "study"],
        folder=tmp_path,
        home=home,
        STORE=str(tmp_path / "store"),
        DAGSTER_HOME=str(tmp_path),
        PYTHONPATH=os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")]),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    out = "".join(path.read_text() for path in home.rglob("*.out"))
    errors = "".join(path.read_text() for path in home.rglob("*.err"))
    for replicate in (0, 1):
        assert f"printed {replicate} True" in out
        assert f"from a shell {replicate}" in errors
        assert f"baseline × 000{replicate}, measure: logged {replicate} with a connection" in errors
        assert f"library warns {replicate}" in errors
    assert "told of StepEvent" in out
    assert "2 of 2 cells done, 0 stored, 0 failed" in errors
