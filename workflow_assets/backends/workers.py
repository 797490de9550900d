"""A worker process: from its start to its end.

Importing this loads nothing, so that a process can be told where its output goes before it imports what the steps need.
"""

from __future__ import annotations

import atexit
import gc
import logging
import logging.handlers
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from workflow_assets.tasks import Setup, Task, Worker


_COLLECT = 10_000
"""How many more objects there may be before those that nobody holds are looked for."""


class CancelledWorkerError(BaseException):
    """The worker was told to stop."""


class Files(NamedTuple):
    """Where a worker finds what it needs: files in the folder of the run."""

    payload: str
    beat: str
    output: str
    errors: str


def work(pipe: connection.Connection, files: Files, levels: Mapping[str, int]) -> None:
    """Do tasks until there are no more; then end at once: to take the interpreter apart takes a tenth of a second."""
    code = 1
    try:
        _work(pipe, files, levels)
        code = 0
    except Exception:  # noqa: BLE001 - nobody else would tell
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001 - what steps have left to be done at the end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _work(pipe: connection.Connection, files: Files, levels: Mapping[str, int]) -> None:
    with suppress(OSError):
        # So that what steps start ends with the worker, and the terminal's signals pass it by.
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])  # whoever starts us may hold it back
    _die_with_parent()
    _send_output(files)
    send = _Sender(pipe)
    _send_logs(send, levels)
    worker: Worker | None = None
    setup: Setup | BaseException
    try:
        try:
            from workflow_assets.backends.beats import watched_worker
            from workflow_assets.backends.payloads import unpack

            setup = unpack(Path(files.payload).read_bytes())
            worker = watched_worker(setup, files.beat)
            gc.freeze()  # what is imported stays: to look through it time and again takes longer than a short cell
            gc.set_threshold(_COLLECT)
        except Exception as error:  # noqa: BLE001 - user code is imported
            setup = error
        while (task := pipe.recv()) is not None:
            send(("ended", _performed(worker, setup, task)))
    except (EOFError, BrokenPipeError, CancelledWorkerError):
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending: what is open is closed first
        if worker is not None:
            worker.close()


def _performed(worker: Worker | None, setup: Any, task: Task) -> Any:
    if worker is None:
        return setup
    done: Any
    try:
        done = worker.perform(task)
    except CancelledWorkerError:
        raise
    except BaseException as error:  # noqa: BLE001 - sys.exit() in a step, too: it would be taken for a crash
        done = error
    sys.stdout.flush()
    sys.stderr.flush()
    return done


class _Sender:
    """Sends messages, whichever thread they come from."""

    def __init__(self, pipe: connection.Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def __call__(self, message: tuple[str, Any]) -> None:
        with self._lock:
            try:
                self._pipe.send(message)
            except (BrokenPipeError, ConnectionResetError):
                os._exit(1)
            except Exception as error:  # noqa: BLE001 - what cannot be pickled
                self._pipe.send((message[0], RuntimeError(f"{message[1]!r} cannot be sent back: {error}")))


class _LogSender(logging.handlers.QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue(("log", record))  # type: ignore[operator]


def _send_logs(send: _Sender, levels: Mapping[str, int]) -> None:
    """Let the run's own process handle what is logged here, at the levels that are set there."""
    root = logging.getLogger()
    root.handlers = [_LogSender(send)]  # type: ignore[arg-type]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def _send_output(files: Files) -> None:
    """Let the run's own process print what is printed here, by whatever code and language."""
    for stream, path, number in ((sys.stdout, files.output, 1), (sys.stderr, files.errors, 2)):
        stream.flush()
        descriptor = os.open(path, os.O_WRONLY)
        os.dup2(descriptor, number)
        os.close(descriptor)
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _stop(*_: object) -> None:
    raise CancelledWorkerError


def _die_with_parent() -> None:
    """End when the run's process is gone, even in the middle of a call."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="parent's watch").start()
