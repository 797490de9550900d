"""The backends, each held to the laws of all."""

import logging
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from distributed import Nanny, Scheduler, SpecCluster

from workflow_assets import Coroutines, Dask, Processes, Threads, dispatches
from workflow_assets.backends.base import PoolBrokenError
from workflow_assets_tests.conformance import studies
from workflow_assets_tests.conformance.backends import (
    BackendLaws,
    BlamingLaws,
    CancellingLaws,
    SurvivingLaws,
    TellingLaws,
    told,
)


class TestSerial(BackendLaws, TellingLaws):
    """The run itself, held to what the others are compared with."""

    def backend(self, workers: int = 2) -> Any:
        return "serial"


class TestThreads(BackendLaws, TellingLaws, CancellingLaws):
    """Threads of this process."""

    def backend(self, workers: int = 2) -> Any:
        return Threads(workers)


class TestCoroutines(BackendLaws, TellingLaws, CancellingLaws):
    """An event loop of this process."""

    def backend(self, workers: int = 2) -> Any:
        return Coroutines(workers)


class TestProcesses(BackendLaws, TellingLaws, CancellingLaws, SurvivingLaws, BlamingLaws):
    """Processes of this machine."""

    counts, worths, places = (), (0.0,), ("memory",)

    def backend(self, workers: int = 2) -> Any:
        return Processes(workers)


class TestDask(BackendLaws, TellingLaws, CancellingLaws, SurvivingLaws):
    """A Dask cluster that stays, with more than one thread in a worker."""

    counts, worths, places = (), (0.0, 1e9), ("memory",)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def cluster(cls) -> Iterator[None]:
        """A cluster for all tests."""
        alone: dict[str, Any] = {"nthreads": 1, "resources": {"gpu": 1}, "memory_limit": None}
        crowded: dict[str, Any] = {"nthreads": 2, "resources": {"disk": 1}, "memory_limit": None}
        workers = {
            name: {
                "cls": Nanny,
                "options": {"host": "127.0.0.1", "silence_logs": logging.CRITICAL, **options},
            }
            for name, options in enumerate([alone, crowded])
        }
        scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}}
        with SpecCluster(workers, scheduler, silence_logs=logging.CRITICAL) as cluster:
            cls.scheduler = cluster.scheduler
            yield

    scheduler: Scheduler

    def backend(self, workers: int = 2) -> Any:
        self.wait_until(lambda: len(self.scheduler.workers) == 2)  # the last test may have killed one
        return Dask(self.scheduler.address, workers=workers)

    def test_what_needs_different_workers_is_not_done_in_one_go(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(dispatches, "_WORTH", 1e9)
        result = self.run(studies.APART)
        assert told(result) == told(studies.APART.run(capacity={"gpu": 1, "disk": 1}))
        assert not result.failures


class TestThreadPoolExecutor(BackendLaws, TellingLaws):
    """An executor of threads."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def executor(cls) -> Iterator[None]:
        """An executor for all tests."""
        with ThreadPoolExecutor(2) as executor:
            cls.opened = executor
            yield

    opened: Executor
    counts = ()

    def backend(self, workers: int = 2) -> Any:
        return self.opened


class TestProcessPoolExecutor(BackendLaws):
    """An executor of processes."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def executor(cls) -> Iterator[None]:
        """An executor for all tests."""
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
            cls.opened = executor
            yield

    opened: Executor
    counts, places = (), ("memory",)

    def backend(self, workers: int = 2) -> Any:
        return self.opened

    def test_a_worker_that_dies_ends_the_run_with_what_is_the_matter(self) -> None:
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
            resources = {"calls": str(self.calls)}
            with pytest.raises(
                PoolBrokenError, match=r"the executor takes no more tasks: .* terminated abruptly"
            ):
                studies.MORTAL.run(backend=executor, resources=resources)
