"""Guests: what a run leaves in the workers of a Dask cluster, until it ends.

The scheduler sends it once to each worker, and to those that come later or in the place of a dead one; tasks then carry
no more than what they are about.
"""

from __future__ import annotations

import io
import logging
import logging.handlers
import os
import pickle
import random
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, NamedTuple

from distributed import WorkerPlugin, get_worker

from workflow_assets.backends.crowds import CancelledCallError, Crowd, ThreadSurroundings
from workflow_assets.backends.payloads import unpack
from workflow_assets.errors import StoreError
from workflow_assets.store.base import Store
from workflow_assets.store.signatures import OWN, sign
from workflow_assets.tasks import Done, Setup, Task, Worker

TOPIC = "workflow_assets"
"""The events under which workers tell what is printed and logged."""

_STREAMS = ("stdout", "stderr")

_FULL = 1 << 13
"""How many characters are sent although their line has not ended."""

_ITS_OWN = ("asyncio", "bokeh", "dask", "distributed", "tornado")
"""Packages that a worker of the cluster consists of: their loggers' levels and their draws are not the run's."""


class RunOverError(Exception):
    """A worker was still at a task of a run that has ended."""


class Machine(NamedTuple):
    """What a worker says of where it is: its Python, what is wrong with the store, and a signature with its key."""

    python: tuple[int, int]
    fault: str
    signature: str


def look_around(store: Store, token: str) -> Machine:
    """Tell whether a worker can use a store in which the run has claimed a token."""
    fault = signature = ""
    try:
        store.check_writable()
        if token not in store.claimed():
            fault = "what the run's process has written is not there"
        if store.pickles == OWN:
            signature = sign(token, "", ())
    except StoreError as error:
        fault = str(error)
    return Machine(sys.version_info[:2], fault, signature)


def perform(token: str, task: Task) -> Done:
    """Do a task of a run in a worker.

    Raises `RunOverError` if the run has ended meanwhile, and `StoreError` where the store fails.
    """
    guest = get_worker().plugins.get(plugin_name(token))
    if not isinstance(guest, Guest):
        raise RunOverError(token)
    return guest.perform(task)


def plugin_name(token: str) -> str:
    """Name what a run leaves in workers."""
    return f"workflow_assets-{token}"


def draw_apart() -> None:
    """Have Dask draw from a generator of its own: the process's is seeded for a step, which is not alone in it.

    To guess how large a result is, the worker's own thread draws a sample of it while the next task is begun.
    """
    own = random.Random()  # noqa: S311 - Dask guesses with it
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _ITS_OWN and getattr(module, "random", None) is random:
            module.random = own  # type: ignore[attr-defined]


class Guest(WorkerPlugin):
    """One run in one worker.

    Args:
        token: names the run.
        payload: what it needs, as bytes.
        levels: of its loggers.
        owned: whether the worker is there for this run alone.
    """

    def __init__(self, token: str, payload: bytes, levels: Mapping[str, int], *, owned: bool) -> None:
        self.token = token
        self._payload = payload
        self._levels = dict(levels)
        self._owned = owned

    def setup(self, worker: Any) -> None:
        """Move in; functions and inputs are unpacked by the first task, where a failure is told."""
        draw_apart()
        self._host = worker
        self._mutex = threading.Lock()
        self._saying = threading.Lock()
        self._unpacking = threading.Lock()
        self._crowd = Crowd()
        self._setup: Setup | None = None
        self._idle: list[tuple[Worker, _Surroundings]] = []
        self._busy: list[tuple[Worker, _Surroundings]] = []
        self._said = dict.fromkeys(_STREAMS, "")
        self.over = False
        if self._owned:
            with suppress(OSError):
                os.setpgid(0, 0)  # so that what steps start ends with the worker
        _house.add(self, self._levels)

    def teardown(self, worker: Any) -> None:  # noqa: ARG002 - Dask's
        """Move out: what is being done ends, as far as it is Python code."""
        with self._mutex:
            self.over = True
            idle, self._idle = self._idle, []
            for _, around in self._busy:
                around.stop()
        for one, _ in idle:
            one.close()
        _house.remove(self)

    def perform(self, task: Task) -> Done:
        """Do a task."""
        with _house.heard(self):
            worker, _ = pair = self._taken()
            self._tell("begun", task.number)
            try:
                return worker.perform(task)
            except CancelledCallError:
                raise RunOverError(self.token) from None
            finally:
                with self._mutex:
                    self._busy.remove(pair)
                    if not self.over:
                        self._idle.append(pair)
                if self.over:
                    worker.close()
                else:
                    self.flush()

    def _taken(self) -> tuple[Worker, _Surroundings]:
        setup = self._unpacked()
        with self._mutex:
            if self.over:
                raise RunOverError(self.token)
            if self._idle:
                pair = self._idle.pop()
            else:
                around = _Surroundings(setup.resources, self._crowd, self._host.state.nthreads)
                pair = Worker(setup, around), around
            self._busy.append(pair)
            return pair

    def _unpacked(self) -> Setup:
        with self._unpacking:
            if self._setup is None:
                try:
                    self._setup = unpack(self._payload)
                except ImportError as error:
                    raise RuntimeError(
                        f"a worker of the Dask cluster cannot load what the run needs: {error}. Install it where the "
                        "workers run, or send the file with client.upload_file(...)"
                    ) from error
            return self._setup

    def say(self, stream: str, text: str) -> None:
        """Have something printed where the run is."""
        with self._saying:
            said = self._said[stream] + text
            whole = len(said) if len(said) > _FULL else said.rfind("\n") + 1
            self._said[stream] = said[whole:]
        if whole:
            self._tell(stream, said[:whole])

    def flush(self) -> None:
        """Have printed what is left of a line."""
        for stream in _STREAMS:
            with self._saying:
                said, self._said[stream] = self._said[stream], ""
            if said:
                self._tell(stream, said)

    def log(self, record: logging.LogRecord) -> None:
        """Have something logged where the run is."""
        try:
            data = pickle.dumps(record)
        except Exception:  # noqa: BLE001 - an `extra` that cannot be pickled
            plain = {name: vars(record)[name] for name in ("name", "levelno", "levelname", "msg", "created")}
            data = pickle.dumps(logging.makeLogRecord(plain))
        self._tell("log", data)

    def _tell(self, kind: str, said: str | bytes | int) -> None:
        self._host.log_event(TOPIC, {"token": self.token, "kind": kind, "said": said})


class _Surroundings(ThreadSurroundings):
    """A thread of a Dask worker, perhaps the only one."""

    def __init__(self, resources: Mapping[str, Any], crowd: Crowd, threads: int) -> None:
        super().__init__(resources, crowd, None)
        self._threads = threads

    @property
    def crowded(self) -> bool:
        """Whether other steps may run at the same time."""
        return self._threads > 1


class _House:
    """The worker's process: tells apart whose threads print and log."""

    def __init__(self) -> None:
        self._guests: list[Guest] = []
        self._local = threading.local()
        self._ears: list[_Ear] = []
        self._handler = _Handler()
        self._levels: dict[str, int] = {}

    def add(self, guest: Guest, levels: Mapping[str, int]) -> None:
        """Listen to what a run prints and logs."""
        self._guests.append(guest)
        if not self._ears:
            self._ears = [_Ear(getattr(sys, stream), stream) for stream in _STREAMS]
            sys.stdout, sys.stderr = self._ears
            logging.getLogger().addHandler(self._handler)
        for name, level in levels.items():
            if name.partition(".")[0] not in _ITS_OWN:
                logger = logging.getLogger(name)
                self._levels.setdefault(name, logger.level)
                logger.setLevel(level)

    def remove(self, guest: Guest) -> None:
        """Listen no more; leave the process as it was, after the last."""
        self._guests.remove(guest)
        if self._guests:
            return
        for ear in self._ears:
            if getattr(sys, ear.stream) is ear:
                setattr(sys, ear.stream, ear.original)
        self._ears = []
        logging.getLogger().removeHandler(self._handler)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels.clear()

    def heard(self, guest: Guest) -> _Heard:
        """Take what this thread prints for a run's."""
        return _Heard(self._local, guest)

    def speaker(self) -> Guest | None:
        """Give the run that prints or logs: that of the thread; of one that a step has started, the only one."""
        guest: Guest | None = getattr(self._local, "guest", None)
        if guest is None and len(self._guests) == 1 and threading.current_thread().name != "MainThread":
            guest = self._guests[0]
        return guest


class _Heard:
    """For as long as a thread works for a run."""

    def __init__(self, local: threading.local, guest: Guest) -> None:
        self._local = local
        self._guest = guest

    def __enter__(self) -> None:
        self._local.guest = self._guest

    def __exit__(self, *_: object) -> None:
        self._local.guest = None


class _Ear(io.TextIOBase):
    """Stands in for a stream of the process."""

    def __init__(self, original: IO[str], stream: str) -> None:
        self.original = original
        self.stream = stream

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Have it printed where the run is."""
        guest = _house.speaker()
        if guest is None:
            return self.original.write(text)
        guest.say(self.stream, text)
        return len(text)

    def flush(self) -> None:
        """Have printed what is left of a line."""
        guest = _house.speaker()
        if guest is None:
            self.original.flush()
        else:
            guest.flush()

    def fileno(self) -> int:
        """Give the process's own."""
        return self.original.fileno()


class _Handler(logging.handlers.QueueHandler):
    """Has logged where the run is what its threads log."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]

    def handle(self, record: logging.LogRecord) -> Any:
        return _house.speaker() is not None and super().handle(record)

    def enqueue(self, record: logging.LogRecord) -> None:
        if (guest := _house.speaker()) is not None:
            guest.log(record)


_house = _House()
