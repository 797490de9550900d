"""Executors that the caller brings: any `concurrent.futures.Executor`."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass

from workflow_assets.backends.base import Capabilities, Ended, PoolBrokenError
from workflow_assets.backends.crowds import PATIENCE, Crowd, ThreadSurroundings
from workflow_assets.backends.payloads import pack, unpack
from workflow_assets.canonical import digest
from workflow_assets.resources import PerWorker
from workflow_assets.tasks import Done, Setup, Task, Worker


@dataclass(frozen=True)
class Given:
    """Runs cells on an executor, which stays open.

    Args:
        executor: who does the tasks; functions and tasks are sent to it as bytes, wherever its workers are.
        workers: how many it does at a time.
    """

    executor: Executor
    workers: int
    capabilities = Capabilities()

    @property
    def name(self) -> str:
        """The executor's class."""
        return type(self.executor).__qualname__

    def limits(self) -> str:
        """Say what it cannot do."""
        return (
            "it cannot end a running call, so that cancelling waits for what is being done; if one of its workers "
            "dies, it may do no more at all; and what steps print and log in other processes stays there"
        )

    def open(self, setup: Setup) -> ExecutorPool:
        """Get ready to hand tasks to the executor.

        Raises `DeclarationError` for steps, sources and resources that cannot be sent.
        """
        return ExecutorPool(self.executor, setup, self.workers)


class ExecutorPool:
    """An executor that does tasks."""

    handover = 0.001

    def __init__(self, executor: Executor, setup: Setup, workers: int) -> None:
        self.workers = self.ahead = workers
        self._executor = executor
        self._payload = pack(setup)
        self._token = digest(setup.run_id, then=[self._payload])
        self._opens = any(isinstance(one, PerWorker) for one in setup.resources.values())
        self._flying: set[Future[Done]] = set()
        self._outbox: queue.SimpleQueue[tuple[Task, Future[Done]]] = queue.SimpleQueue()

    def submit(self, task: Task, needs: Mapping[str, float]) -> None:  # noqa: ARG002 - the run counts
        """Hand a task to the executor.

        Raises `PoolBrokenError` if it takes none.
        """
        try:
            future = self._executor.submit(perform, self._token, self._payload, task)
        except RuntimeError as error:  # broken, or shut down
            raise PoolBrokenError(f"the executor takes no more tasks: {error}") from error
        self._flying.add(future)
        future.add_done_callback(lambda future: self._outbox.put((task, future)))

    def wait(self, seconds: float) -> Iterable[Ended]:
        """Wait until some task has ended, or for so many seconds.

        Raises `PoolBrokenError` where the executor has lost its workers.
        """
        ended: list[Ended] = []
        try:
            while True:
                task, future = self._outbox.get(timeout=0 if ended else seconds)
                self._flying.discard(future)
                ended.append(_ended(task, future))
        except queue.Empty:
            return ended

    def close(self, *, kill: bool) -> None:
        """Take back what has not begun; the executor is the caller's to shut down.

        Its workers are asked to close what they have opened: as many as there may be, since nobody can choose one.
        """
        for future in self._flying:
            future.cancel()
        if not self._opens:
            return
        with suppress(RuntimeError):  # broken, or shut down
            asked = [self._executor.submit(release, self._token) for _ in range(self.workers + self.ahead)]
            wait(asked, 0 if kill else PATIENCE)


def _ended(task: Task, future: Future[Done]) -> Ended:
    try:
        return Ended(task, future.result())
    except (BrokenExecutor, CancelledError) as error:
        raise PoolBrokenError(f"the executor has lost its workers: {error}") from error
    except Exception as error:  # noqa: BLE001 - whatever it is, the run decides
        return Ended(task, error)


_TURN = 0.05
"""Seconds that a process is kept busy, so that the others are asked, too, to close what they have opened."""

_WAIT = 0.5
"""Seconds that a thread waits for the others of its process to do so."""

_CROWD = Crowd()
_LOCAL = threading.local()
_OPEN: Counter[str] = Counter()  # the threads of this process that do tasks, by run
_CLOSED = threading.Condition()


class _Held:
    """The worker of a thread: closed when its run ends, another takes its place, or the thread ends."""

    def __init__(self, token: str, payload: bytes) -> None:
        self.token = token
        setup = unpack(payload)
        self.worker = Worker(setup, ThreadSurroundings(setup.resources, _CROWD, None))
        with _CLOSED:
            _OPEN[token] += 1

    def __del__(self) -> None:
        if not hasattr(self, "worker"):  # it could not be made
            return
        try:
            self.worker.close()
        finally:
            with _CLOSED:
                _OPEN[self.token] -= 1
                if not _OPEN[self.token]:
                    del _OPEN[self.token]
                _CLOSED.notify_all()


def perform(token: str, payload: bytes, task: Task) -> Done:
    """Do a task, wherever this is called; what the run needs is read once in each thread."""
    held: _Held | None = getattr(_LOCAL, "held", None)
    if held is None or held.token != token:
        del held
        _LOCAL.held = None
        _LOCAL.held = held = _Held(token, payload)
    return held.worker.perform(task)


def release(token: str) -> None:
    """Close what this thread has opened for a run."""
    held: _Held | None = getattr(_LOCAL, "held", None)
    if held is not None and held.token == token:
        del held
        _LOCAL.held = None
    with _CLOSED:
        _CLOSED.wait_for(lambda: token not in _OPEN, _WAIT)
    time.sleep(_TURN)
