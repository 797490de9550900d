"""Processes of this machine, one pipe each, so that one which is killed takes nothing of the others with it.

The pools of the standard library, loky and Pebble let their workers share a queue and its lock: a worker that is killed
while it holds the lock stops the others, and in the first two any death fails what all were doing. Here the run knows
which worker does what, ends one that takes too long, and starts another in its place.
"""

from __future__ import annotations

import codecs
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

from workflow_assets.backends import beats, messages
from workflow_assets.backends.base import (
    Capabilities,
    Ended,
    PoolBrokenError,
    StepTimeoutError,
    WorkerLostError,
    cores,
)
from workflow_assets.backends.guards import Guard
from workflow_assets.backends.payloads import keep_main_out, pack
from workflow_assets.backends.workers import Files, work
from workflow_assets.tasks import Setup, Task

_NAME = "workflow_assets cells"

_TICK = 0.05
"""Seconds between two looks at whether a step takes too long."""

_PATIENCE, _GRACE = 2.0, 30.0
"""Seconds that workers are given to stop before they are killed: in the middle of a task, and after the last."""

_STILLBORN = 3
"""How many workers in a row may die before they have done anything."""


@dataclass(frozen=True)
class Processes:
    """Runs cells in processes of this machine, each with its own memory and interpreter.

    A killed worker costs only the cells that it was at, which are done again; a step that exceeds its timeout is ended
    with its worker. What steps print and log arrives in this process.

    Args:
        workers: how many cells at a time; one for each processor by default.
    """

    workers: int | None = None
    name = "processes"
    capabilities = Capabilities(kills=True)

    def limits(self) -> str:
        """Say what it cannot do: nothing."""
        return ""

    def open(self, setup: Setup) -> ProcessPool:
        """Get ready to start workers.

        Raises `DeclarationError` for steps, sources and resources that cannot be sent to another process.
        """
        return ProcessPool(setup, self.workers or cores())


class ProcessPool:
    """Worker processes that do tasks; each is started when there is something for it to do."""

    handover = 0.001

    def __init__(self, setup: Setup, workers: int) -> None:
        self.workers = self.ahead = workers
        self._setup = setup
        payload = pack(setup)
        self._folder = tempfile.TemporaryDirectory(prefix="workflow_assets-", ignore_cleanup_errors=True)
        self._payload = f"{self._folder.name}/payload"
        Path(self._payload).write_bytes(payload)
        self._levels = messages.levels()
        self._printers = [_Printer(f"{self._folder.name}/{name}", name) for name in ("stdout", "stderr")]
        self._timeouts = any(step.node.step.timeout is not None for step in setup.plan.steps)
        self._inbox: deque[Task] = deque()
        self._workers: list[_Process] = []
        self._started = 0
        self._stillborn = 0
        self._guard = Guard([self._folder.name, *setup.folders])

    def submit(self, task: Task, needs: Mapping[str, float]) -> None:  # noqa: ARG002 - the run counts
        """Have a task done by the next worker that is free."""
        self._inbox.append(task)
        self._hand_out()

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.task is None and self._inbox:
                worker.begin(self._inbox.popleft())
        while self._inbox and len(self._workers) < self.workers:
            self._started += 1
            output, errors = (printer.path for printer in self._printers)
            files = Files(self._payload, f"{self._folder.name}/beat-{self._started}", output, errors)
            worker = _Process(files, self._levels)
            self._workers.append(worker)
            self._guard.watch(one.group for one in self._workers)
            worker.begin(self._inbox.popleft())

    def wait(self, seconds: float) -> Iterable[Ended]:
        """Wait until some task has ended, or for so many seconds.

        Raises `PoolBrokenError` where workers die one after the other before they have done anything.
        """
        end = time.monotonic() + seconds
        ended: list[Ended] = []
        while not ended and (left := end - time.monotonic()) > 0:
            by_handle: dict[Any, Any] = {printer.descriptor: printer for printer in self._printers}
            for worker in self._workers:
                by_handle[worker.pipe] = by_handle[worker.process.sentinel] = worker
            told = connection.wait(list(by_handle), min(left, _TICK) if self._timeouts else left)
            for one in {id(by_handle[handle]): by_handle[handle] for handle in told}.values():
                if isinstance(one, _Printer):
                    one.read()
                else:
                    ended += self._attend(one)
            if self._timeouts:
                ended += [late for worker in list(self._workers) if (late := self._late(worker)) is not None]
            self._hand_out()
        for printer in self._printers:
            printer.read()
        return ended

    def _attend(self, worker: _Process) -> list[Ended]:
        """Take what a worker sends; where it is dead, take note of that."""
        ended = []
        try:
            for said in worker.heard():
                if worker.task is not None:
                    ended.append(Ended(worker.task, said))
                    worker.task = None
                    worker.has_done = True
                    self._stillborn = 0
        except (EOFError, OSError):
            ended += self._bury(worker)
        else:
            if not worker.process.is_alive() and not worker.pipe.poll():
                ended += self._bury(worker)
        return ended

    def _bury(self, worker: _Process) -> list[Ended]:
        worker.kill()
        self._let_go(worker)
        code = worker.process.exitcode
        task, beat = worker.task, beats.read(worker.memory)
        worker.close()
        if not worker.has_done:
            self._stillborn += 1
        how = _death(code)
        if self._stillborn >= _STILLBORN * self.workers:
            raise PoolBrokenError(f"{self._stillborn} worker processes in a row died at once, the last {how}")
        if task is None:
            return []
        culprit = beat.culprit(task, self._setup)
        return [Ended(task, WorkerLostError(f"a worker process died: {how}", culprit, idle=culprit is None))]

    def _let_go(self, worker: _Process) -> None:
        self._workers.remove(worker)
        self._guard.watch(one.group for one in self._workers)

    def _late(self, worker: _Process) -> Ended | None:
        """End a worker whose step takes too long."""
        beat = beats.read(worker.memory)
        task = worker.task
        if task is None or not beat.deadline or time.monotonic() < beat.deadline or worker.pipe.poll():
            return None
        culprit = beat.culprit(task, self._setup)
        if culprit is None:
            return None
        worker.kill()
        self._let_go(worker)
        worker.close()
        return Ended(task, StepTimeoutError("a step took too long", culprit))

    def close(self, *, kill: bool) -> None:
        """Stop the workers: with `kill`, in the middle of what they do, with all that they have started."""
        self._inbox.clear()
        for worker in self._workers:
            worker.stop(at_once=kill)
        end = time.monotonic() + (_PATIENCE if kill else _GRACE)
        while (alive := [one for one in self._workers if one.process.is_alive()]) and time.monotonic() < end:
            told = connection.wait(
                [
                    *(one.process.sentinel for one in alive),
                    *(one.pipe for one in alive),
                    *(printer.descriptor for printer in self._printers),
                ],
                _TICK,
            )
            for worker in alive:
                if worker.pipe in told:
                    worker.drain()
            for printer in self._printers:
                printer.read()
        for worker in self._workers:
            worker.drain()
            worker.kill()
            worker.close()
        self._workers.clear()
        for printer in self._printers:
            printer.close()
        self._guard.close()
        self._folder.cleanup()


class _Process:
    """One worker process, from the run's side."""

    def __init__(self, files: Files, levels: Mapping[str, int]) -> None:
        self.memory = beats.create(files.beat)
        self.pipe, theirs = connection.Pipe()
        self.task: Task | None = None
        self.has_done = False
        context = multiprocessing.get_context("spawn")
        self.process: BaseProcess = context.Process(target=work, args=(theirs, files, levels), name=_NAME)
        keep_main_out(_NAME)
        self.process.start()
        assert self.process.pid is not None
        self.group = self.process.pid  # it leads one of its own
        theirs.close()

    def begin(self, task: Task) -> None:
        """Hand a task over."""
        self.task = task
        with suppress(BrokenPipeError, ConnectionResetError):  # who waits for it finds it dead
            self.pipe.send(task)

    def stop(self, *, at_once: bool) -> None:
        """Let it end when it has done what it does, or in the middle of it."""
        with suppress(OSError):
            if at_once:
                os.kill(self.group, signal.SIGTERM)
            else:
                self.pipe.send(None)

    def heard(self) -> Iterator[Any]:
        """Log what it has logged; give how its tasks have ended.

        Raises `EOFError` or `OSError` where it is dead.
        """
        while self.pipe.poll():
            kind, said = self.pipe.recv()
            if kind == "log":
                messages.handle(said)
            else:
                yield said

    def drain(self) -> None:
        """Take what it still has to say: log records."""
        with suppress(EOFError, OSError):
            for _ in self.heard():
                pass

    def kill(self) -> None:
        """End it, and what its steps have started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, signal.SIGKILL)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()

    def close(self) -> None:
        """Let go of what belongs to it."""
        self.pipe.close()
        self.memory.close()
        self.process.close()


class _Printer:
    """Prints in this process what workers print."""

    def __init__(self, path: str, stream: str) -> None:
        os.mkfifo(path, 0o600)
        self.path = path
        # Open for writing, too, it has no end while we live.
        self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read(self) -> None:
        """Print what there is."""
        stream: IO[str] = getattr(sys, self._stream)
        with suppress(BlockingIOError):
            while data := os.read(self.descriptor, 1 << 16):
                stream.write(self._decoder.decode(data))
        stream.flush()

    def close(self) -> None:
        """Print what is left."""
        self.read()
        os.close(self.descriptor)


def _death(code: int | None) -> str:
    """Say how a process ended."""
    if code is not None and code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
