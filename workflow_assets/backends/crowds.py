"""Crowds: steps that run beside each other in the threads of one process."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from workflow_assets.callers import Surroundings
from workflow_assets.resources import Resources

PATIENCE = 2.0
"""Seconds that threads are given to stop."""


class CancelledCallError(BaseException):
    """Raised in a step whose run is cancelled."""


class Crowd:
    """Lets many steps run at a time, or one alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._taken = False  # by one that is alone, or waits for all others to be done

    @contextmanager
    def among(self) -> Iterator[None]:
        """Run beside others."""
        with self._changed:
            while self._taken:
                self._changed.wait()
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run when all others are done, before any other begins."""
        with self._changed:
            while self._taken:
                self._changed.wait()
            self._taken = True
        try:
            with self._changed:
                while self._running:
                    self._changed.wait()
            yield
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()


class Loop:
    """An event loop in a thread of its own, for the coroutines of all cells; plain functions take turns.

    Args:
        resources: what coroutines find in ``ctx.resources``: one set for all of them, since they share a thread.
    """

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self.resources = Resources(resources)
        self.turn = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event loop", daemon=True)
        self._thread.start()

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Give what a coroutine comes to."""

        async def kept() -> tuple[Any, BaseException | None]:
            try:
                return await coroutine, None
            except (KeyboardInterrupt, SystemExit) as error:  # raised here, they would end the loop
                return None, error

        value, ending = asyncio.run_coroutine_threadsafe(kept(), self._loop).result()
        if ending is not None:
            raise ending
        return value

    def _do(self, coroutine: Coroutine[Any, Any, None]) -> None:
        with suppress(TimeoutError, CancelledError):  # a step that keeps the loop busy ends with the process
            asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def cancel(self) -> None:
        """Cancel the coroutines."""

        async def cancel() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._do(cancel())

    def close(self) -> None:
        """End the loop; nobody uses it any more."""

        async def close() -> None:
            self.resources.close()
            await self._loop.shutdown_asyncgens()

        self._do(close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        if not self._thread.is_alive():  # else a step keeps it busy: it ends with the process
            self._loop.close()


class ThreadSurroundings(Surroundings):
    """A thread beside others, that can be stopped in the middle of a step."""

    guarded = True

    def __init__(self, resources: Mapping[str, Any], crowd: Crowd, loop: Loop | None) -> None:
        super().__init__(resources)
        self._crowd = crowd
        self._loop = loop
        self._mutex = threading.Lock()
        self._inside = 0  # the thread that is in the middle of a step
        self._stopped = False

    def resources_for(self, coroutine: bool) -> Resources:
        """Give what a step finds in ``ctx.resources``: what was opened in the thread that it runs in."""
        return self._loop.resources if coroutine and self._loop is not None else self.resources

    @property
    def crowded(self) -> bool:
        """Whether other steps may run at the same time."""
        return True

    @contextmanager
    def among(self, coroutine: bool) -> Iterator[None]:
        """Run beside other steps; where there is an event loop, a plain function waits for its turn."""
        turn = nullcontext() if self._loop is None or coroutine else self._loop.turn
        with self._crowd.among(), turn, self._step():
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run when all other steps are done, before any other begins."""
        with self._crowd.alone(), self._step():
            yield

    @contextmanager
    def _step(self) -> Iterator[None]:
        with self._mutex:
            if self._stopped:  # while it waited for its turn
                raise CancelledCallError
            self._inside = threading.get_ident()
        try:
            yield
        finally:
            with self._mutex:
                self._inside = 0

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Give what a coroutine comes to."""
        return super().wait_for(coroutine) if self._loop is None else self._loop.wait_for(coroutine)

    def stop(self) -> None:
        """Raise in the step that the thread is in the middle of, or in the next.

        Nowhere else, lest a lock is never let go of.
        """
        with self._mutex:
            self._stopped = True
            if self._inside:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._inside), ctypes.py_object(CancelledCallError)
                )
