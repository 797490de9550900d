"""What every backend keeps to: it says what it can do, and opens a pool of workers for a run.

A backend is a value that declares; a pool is what lives for one run. Cells are not told apart here: a pool does tasks,
in any order, and says for each how it ended. Whoever hands them out (see `dispatches`) keeps the laws of a run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from workflow_assets.tasks import Done, Reference, Setup, Task, Unit

POLL = 0.5
"""Seconds after which a pool lets the run look around although nothing has ended."""


class Capabilities(NamedTuple):
    """What a backend can do.

    Args:
        kills: end a call that takes too long, without the worker.
        shares_memory: let workers use the run's own store and resources as they are.
        counts: keep to what steps need by itself; else the run counts.
        waits_only: let only coroutines run side by side; plain functions run one at a time.
    """

    kills: bool = False
    shares_memory: bool = False
    counts: bool = False
    waits_only: bool = False


class Culprit(NamedTuple):
    """What a worker was doing: which unit, and which datum of it."""

    unit: Unit
    reference: Reference


class WorkerLostError(Exception):
    """A worker died, or was stopped, before its task was done.

    Args:
        reason: how it died.
        culprit: what it was doing, if that is known.
        idle: it is known to have been in the middle of no step.
    """

    def __init__(self, reason: str, culprit: Culprit | None = None, *, idle: bool = False) -> None:
        super().__init__(reason)
        self.culprit = culprit
        self.idle = idle


class StepTimeoutError(WorkerLostError):
    """A worker was stopped since a step took longer than it may."""


class PoolBrokenError(Exception):
    """A pool does no more tasks."""


class Ended(NamedTuple):
    """How a task ended: done, or why not."""

    task: Task
    outcome: Done | BaseException


class Pool(Protocol):
    """The workers of one run."""

    workers: int
    """How many tasks are done at a time."""

    ahead: int
    """How many more are worth handing over, so that no worker waits for the next."""

    handover: float
    """How many seconds it takes to hand a task out and to take it back, about."""

    def submit(self, task: Task, needs: Mapping[str, float]) -> None:
        """Have a task done; return at once."""

    def wait(self, seconds: float) -> Iterable[Ended]:
        """Wait until some task has ended, or for so many seconds; give what has ended since the last call."""

    def close(self, *, kill: bool) -> None:
        """Stop the workers, within seconds: with `kill` in the middle of what they do, as far as that is possible."""


class Backend(Protocol):
    """Declares who does the tasks of runs."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def limits(self) -> str:
        """Say in one sentence what it cannot do; "" where that is nothing."""

    def open(self, setup: Setup) -> Pool:
        """Start workers for a run."""


def cores() -> int:
    """Give how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
