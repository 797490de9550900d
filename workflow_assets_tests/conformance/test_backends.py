"""The backends, each held to the laws of all."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
from distributed import LocalCluster

from workflow_assets import Coroutines, Dask, Processes, Threads
from workflow_assets_tests.conformance.backends import BackendLaws


class TestSerial(BackendLaws):
    """The run itself, held to what the others are compared with."""

    def backend(self, workers: int = 2) -> Any:
        return "serial"


class TestThreads(BackendLaws):
    """Threads of this process."""

    ends_calls = True

    def backend(self, workers: int = 2) -> Any:
        return Threads(workers)


class TestCoroutines(BackendLaws):
    """An event loop of this process."""

    ends_calls = True

    def backend(self, workers: int = 2) -> Any:
        return Coroutines(workers)


class TestProcesses(BackendLaws):
    """Processes of this machine."""

    mortal = deadly = ends_calls = True
    counts = ()

    def backend(self, workers: int = 2) -> Any:
        return Processes(workers)


class TestDask(BackendLaws):
    """A Dask cluster that stays, with more than one thread in a worker."""

    mortal = ends_calls = True
    counts = (1,)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def cluster(cls) -> Iterator[None]:
        """A cluster for all tests."""
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=None,
            silence_logs=50,
            resources={"gpu": 1},
        ) as cluster:
            cls.address = cluster.scheduler_address
            yield

    address = ""

    def backend(self, workers: int = 2) -> Any:
        return Dask(self.address, workers=workers)


class TestThreadPoolExecutor(BackendLaws):
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
    counts = ()

    def backend(self, workers: int = 2) -> Any:
        return self.opened
