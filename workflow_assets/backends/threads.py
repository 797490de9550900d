"""Threads of this process, for steps that wait or that let go of the interpreter while they compute."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workflow_assets.backends.base import Capabilities, Ended, cores
from workflow_assets.backends.crowds import PATIENCE, CancelledCallError, Crowd, Loop, ThreadSurroundings
from workflow_assets.tasks import Setup, Task, Worker

_AGAIN = 0.5
"""Seconds between two attempts to end a thread."""


@dataclass(frozen=True)
class Threads:
    """Runs cells in threads of this process.

    Worth it for steps that wait for a network or a disk, or that compute in libraries which let other threads run, as
    numpy does. A call cannot be ended from outside: steps with a timeout are refused, unless they are coroutines.

    Args:
        workers: how many cells at a time; one for each processor by default.
    """

    workers: int | None = None
    name = "threads"
    capabilities = Capabilities(shares_memory=True)

    def limits(self) -> str:
        """Say what it cannot do."""
        return "threads cannot end a running call: cancelling waits for calls that are not Python code"

    def open(self, setup: Setup) -> ThreadPool:
        """Start the threads."""
        return ThreadPool(setup, self.workers or cores())


@dataclass(frozen=True)
class Coroutines:
    """Runs cells whose steps are coroutines side by side in one event loop.

    Steps that are plain functions run one at a time.

    Args:
        workers: how many cells at a time.
    """

    workers: int = 100
    name = "asyncio"
    capabilities = Capabilities(shares_memory=True, waits_only=True)

    def limits(self) -> str:
        """Say what it cannot do."""
        return "asyncio runs steps that are plain functions one at a time, and cannot end them"

    def open(self, setup: Setup) -> ThreadPool:
        """Start the event loop, and a thread for each cell that may wait in it."""
        return ThreadPool(setup, self.workers, Loop(setup.resources))


class ThreadPool:
    """Threads that do tasks; they are daemons, so that none keeps the process from ending."""

    handover = 0.001

    def __init__(self, setup: Setup, workers: int, loop: Loop | None = None) -> None:
        self.workers = self.ahead = workers
        self._loop = loop
        self._setup = setup
        self._crowd = Crowd()
        self._inbox: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._surroundings: list[ThreadSurroundings] = []
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def submit(self, task: Task, needs: Mapping[str, float]) -> None:  # noqa: ARG002 - the run counts
        """Have a task done by the next thread that is free; threads are started as they are needed."""
        self._inbox.put(task)
        if len(self._threads) < self.workers:
            around = ThreadSurroundings(self._setup.resources, self._crowd, self._loop)
            number = len(self._threads)
            thread = threading.Thread(target=self._work, args=(around,), name=f"cells {number}", daemon=True)
            self._surroundings.append(around)
            self._threads.append(thread)
            thread.start()

    def wait(self, seconds: float) -> Iterable[Ended]:
        """Wait until some task has ended, or for so many seconds."""
        try:
            yield self._outbox.get(timeout=seconds)
            while True:
                yield self._outbox.get_nowait()
        except queue.Empty:
            return

    def close(self, *, kill: bool) -> None:
        """Stop the threads: with `kill`, those that execute Python code of a step in the middle of it."""
        self._stopping = kill
        for _ in self._threads:
            self._inbox.put(None)
        if kill:
            self._stop()
        else:
            for thread in self._threads:
                thread.join()
        if self._loop is not None:
            self._loop.close()

    def _stop(self) -> None:
        """End the threads, as far as they let themselves be ended; code that swallows it is told again."""
        end = time.monotonic() + PATIENCE
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < end:
            for around in self._surroundings:
                around.stop()
            if self._loop is not None:
                self._loop.cancel()
            again = time.monotonic() + _AGAIN
            for thread in self._threads:
                thread.join(max(0.0, again - time.monotonic()))

    def _work(self, around: ThreadSurroundings) -> None:
        worker: Worker | None = None
        try:
            while (task := self._inbox.get()) is not None and not self._stopping:
                try:
                    worker = worker or Worker(self._setup, around)
                    self._outbox.put(Ended(task, worker.perform(task)))
                except CancelledCallError:
                    raise
                except BaseException as error:  # noqa: BLE001 - sys.exit() in a step, too: else the run waits for ever
                    self._outbox.put(Ended(task, error))
        except CancelledCallError:
            pass
        finally:
            if worker is not None:
                worker.close()
