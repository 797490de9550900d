"""Beats: what a worker process is doing now, in memory that it shares with whoever has to end it."""

from __future__ import annotations

import mmap
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from workflow_assets.backends.base import Culprit
from workflow_assets.callers import Place, Surroundings
from workflow_assets.plans import PlannedStep
from workflow_assets.provenance import recent_peak_memory, reset_peak_memory
from workflow_assets.tasks import Setup, Task, Worker
from workflow_assets.works import Planned

_BEAT = struct.Struct("<qqqd")

_BRIEF = 0.005
"""Seconds that a step takes at least for its memory to be worth asking about."""


class Beat(NamedTuple):
    """Which task, which of its units, which of the plan's data, and until when on the machine's clock: 0 for ever."""

    task: int = 0
    unit: int = 0
    datum: int = 0
    deadline: float = 0.0

    def culprit(self, task: Task, setup: Setup) -> Culprit | None:
        """Give what a task was at, if that is known."""
        if self.task != task.number:
            return None
        reference = self.datum if self.datum >= 0 else list(setup.plan.sources)[-1 - self.datum]
        return Culprit(task.units[self.unit], reference)


def create(path: str) -> mmap.mmap:
    """Make the file that a worker writes to."""
    Path(path).write_bytes(bytes(_BEAT.size))
    return shared(path)


def shared(path: str) -> mmap.mmap:
    """Open the memory of a worker's file."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(descriptor, _BEAT.size)
    finally:
        os.close(descriptor)


def read(memory: mmap.mmap) -> Beat:
    """Read what a worker is doing; twice, since it may be writing."""
    while (beat := _BEAT.unpack_from(memory)) != _BEAT.unpack_from(memory):
        pass
    return Beat(*beat)


def watched_worker(setup: Setup, path: str) -> Worker:
    """Make a worker that writes down what it is doing."""
    worker = Worker(setup, around := _Watched(setup, shared(path)))
    around.worker = worker
    return worker


class _Watched(Surroundings):
    """Writes down which step is called, and until when it may take."""

    watched = True
    worker: Worker

    def __init__(self, setup: Setup, memory: mmap.mmap) -> None:
        super().__init__(setup.resources)
        self._memory = memory
        self._numbers: dict[Planned, int] = {step: number for number, step in enumerate(setup.plan.steps)}
        self._numbers.update((one, -1 - number) for number, one in enumerate(setup.plan.sources.values()))

    @contextmanager
    def limited(self, planned: Planned, place: Place) -> Iterator[None]:
        deadline = 0.0
        step = planned.node.step if isinstance(planned, PlannedStep) else None
        # A coroutine that takes too long is cancelled, and costs no worker.
        if step is not None and step.timeout is not None and not step.is_coroutine:
            deadline = time.monotonic() + step.timeout
        _BEAT.pack_into(self._memory, 0, *self.worker.doing(place), self._numbers[planned], deadline)
        try:
            yield
        finally:
            _BEAT.pack_into(self._memory, 0, *Beat())

    def peak_memory(self, seconds: float) -> int | None:
        """Give the most bytes that were used during the step, or a brief one before it.

        Asking takes a twentieth of a millisecond, so that a brief step is not asked about.
        """
        if seconds < _BRIEF:
            return None
        peak = recent_peak_memory()
        reset_peak_memory()
        return peak
