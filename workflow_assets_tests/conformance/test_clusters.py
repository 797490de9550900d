"""Dask clusters: what is told and refused before a run, and what becomes of one whose cluster fails."""

import importlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from distributed import Client, LocalCluster

from workflow_assets import Dask, Experiment, FileStore, MemoryStore, dispatches, step
from workflow_assets.backends import clusters
from workflow_assets.errors import DeclarationError
from workflow_assets.store.signatures import VARIABLE
from workflow_assets_tests.conformance import studies
from workflow_assets_tests.conformance.backends import BlamingLaws, CancellingLaws, contents, running, told


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A cluster for those tests that leave it whole."""
    with small_cluster(resources={"gpu": 1}) as cluster:
        yield cluster


def small_cluster(**options: Any) -> LocalCluster:
    return LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        memory_limit=None,
        **options,
    )


def end_workers(cluster: LocalCluster) -> None:
    """Let workers die at once, in the middle of what they do, and not come back."""
    for nanny in cluster.workers.values():
        nanny.close_gracefully()
        os.kill(nanny.pid, signal.SIGKILL)


@step
def number(rng: Any) -> float:
    return float(rng.normal())


NUMBERS = Experiment("numbers", [number], replicates=3)


@pytest.mark.slow
class TestOfItsOwn(CancellingLaws, BlamingLaws):
    """A cluster that is started for each run."""

    def backend(self, workers: int = 2) -> Any:
        return Dask(workers=workers)


def test_a_cluster_or_client_of_the_callers_is_left_as_it_was(cluster: LocalCluster) -> None:
    with Client(cluster, set_as_default=False) as client:
        before = client.run(plugins)
        for given in (client, cluster):
            assert told(NUMBERS.run(backend=Dask(given))) == told(NUMBERS.run())
        assert client.status == "running"
        assert client.run(plugins) == before


def plugins(dask_worker: Any) -> list[str]:
    return [*dask_worker.plugins, type(sys.stdout).__name__, str(logging.getLogger("workflow_assets").level)]


def test_functions_and_inputs_are_sent_once_to_each_worker(cluster: LocalCluster, monkeypatch: Any) -> None:
    @step
    def long(replicate: int, text: str = "") -> int:
        return len(text)

    experiment = Experiment("long", [long], {"longer": {"long.text": "x" * 500_000}}, replicates=10)
    sizes = []
    submit = Client.submit

    def measured(self: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(cloudpickle.dumps(args)))
        return submit(self, *args, **options)

    monkeypatch.setattr(Client, "submit", measured)
    monkeypatch.setattr(dispatches, "_WORTH", 0.0)
    result = experiment.run(backend=Dask(cluster))
    assert result.table["long"].sum() == 5_000_000
    assert len(sizes) == 20
    assert max(sizes) < 10_000


def test_a_cell_whose_steps_no_worker_has_all_for_is_refused(cluster: LocalCluster) -> None:
    @step(resources={"gpu": 1})
    def first() -> float:
        return 1.0

    @step(resources={"gpu": 2})
    def second(first: float) -> float:
        return first

    assert Experiment("one", [first]).run(backend=Dask(cluster)).table["first"].tolist() == [1.0]
    with pytest.raises(DeclarationError, match=r"step 'second' needs 2 of 'gpu', .* --resources \"gpu=2\""):
        Experiment("two", [first, second]).run(backend=Dask(cluster))


def test_a_step_with_a_timeout_is_refused(cluster: LocalCluster) -> None:
    @step(timeout=5)
    def slow() -> float:
        return 1.0

    with pytest.raises(
        DeclarationError, match="step 'slow' has a timeout, and the backend 'dask' cannot end a call"
    ):
        Experiment("slow", [slow]).run(backend=Dask(cluster))


def test_a_store_that_workers_do_not_share_is_refused(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: Any
) -> None:
    # To each process, the path is a folder of its own: as on machines that share no disk.
    monkeypatch.chdir(tmp_path)
    store = FileStore("/proc/self/cwd/store")
    with pytest.raises(DeclarationError, match=r"cannot use the store of the run .* that all machines share"):
        NUMBERS.run(store, backend=Dask(cluster))
    assert list(store.keys()) == []


def test_a_key_for_pickles_that_workers_do_not_share_is_refused(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv(VARIABLE, "another key than the workers have, of enough characters")
    with pytest.raises(DeclarationError, match=f"set {VARIABLE} to the same on all machines"):
        NUMBERS.run(FileStore(tmp_path), backend=Dask(cluster))


def test_code_that_workers_do_not_have_is_named(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "only_here.py").write_text(
        "from workflow_assets import step\n@step\ndef here() -> float:\n    return 1.0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("only_here")
    with pytest.raises(RuntimeError, match=r"cannot load what the run needs: No module named 'only_here'"):
        Experiment("local", [module.here]).run(backend=Dask(cluster))


def test_without_dask_the_extra_is_named(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DeclarationError, match=r"pip install 'workflow_assets\[dask\]'"):
        NUMBERS.run(backend="dask")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:9", "no Dask scheduler answers at tcp://127.0.0.1:9"),
        ("nowhere://here", "no Dask scheduler answers at nowhere://here"),
        (8786, r"Dask\(address=8786\): expected the address of a scheduler"),
    ],
)
def test_an_address_without_a_scheduler_is_an_error(address: Any, message: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(clusters, "_ANSWER", 0.5)
    with pytest.raises(DeclarationError, match=message):
        NUMBERS.run(backend=Dask(address))


@pytest.mark.slow
def test_a_cluster_that_goes_away_ends_the_run_which_keeps_what_is_done(
    calls: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(clusters, "_ANSWER", 1.0)
    store = MemoryStore()
    with (
        small_cluster() as cluster,
        running(studies.ENDLESS, store, Dask(cluster.scheduler_address), calls) as outcomes,
    ):
        assert next(outcomes).replicate == "0000"
        end_workers(cluster)
        cluster.close()
        with pytest.raises(DeclarationError, match="no Dask scheduler answers"):
            next(outcomes)
    assert len(contents(store)) == 1


@pytest.mark.slow
def test_workers_that_go_away_for_good_end_the_run(calls: Path) -> None:
    store = MemoryStore()
    with (
        small_cluster() as cluster,
        running(studies.ENDLESS, store, Dask(cluster, patience=0.5), calls) as outcomes,
    ):
        assert next(outcomes).replicate == "0000"
        end_workers(cluster)
        with pytest.raises(DeclarationError, match=r"has no worker, and none came within 0\.5 s"):
            next(outcomes)
    assert len(contents(store)) == 1


def test_dask_draws_no_number_that_a_step_would_have_drawn():
    """A step that numbers are seeded for begins while Dask still guesses how large the last result is."""
    script = """
import random
from dask.sizeof import sizeof
from workflow_assets.backends.guests import draw_apart

def is_drawn_from():
    before = random.getstate()
    sizeof([str(number) for number in range(100)])
    return random.getstate() != before

print(is_drawn_from())
draw_apart()
print(is_drawn_from())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
