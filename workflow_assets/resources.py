"""Resources: what steps find in ``ctx.resources``, some of it opened by each worker for itself."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from workflow_assets.errors import (
    DeclarationError,
    ResourceError,
    UnknownResourceError,
    did_you_mean,
    excerpt,
)

logger = logging.getLogger("workflow_assets")


@dataclass(frozen=True)
class PerWorker:
    """A resource that each worker opens for itself; see `per_worker`."""

    factory: Callable[[], Any]

    def __post_init__(self) -> None:
        if not callable(self.factory) or inspect.iscoroutinefunction(self.factory):
            raise DeclarationError(
                "per_worker",
                [f"{excerpt(self.factory)} is no function without arguments that opens a resource"],
            )

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Open the resource, and close it at the end, in whichever way it knows."""
        with ExitStack() as stack:
            yields = inspect.isgeneratorfunction(self.factory)
            made: Any = contextmanager(self.factory)() if yields else self.factory()
            value = made
            close = getattr(made, "close", None)
            if isinstance(made, AbstractContextManager):
                value = made.__enter__()
                if callable(close) and value is made:
                    # Leaving a connection of sqlite3 ends its transaction, and leaves it open.
                    stack.callback(close)
                stack.push(made)
            elif callable(close):
                stack.callback(close)
            yield value


def per_worker(factory: Callable[[], Any]) -> Any:
    """Have each worker open a resource for itself: a database connection, a client, a model on a GPU.

    For what cannot be sent to another process, or used by several threads. Each worker calls the factory once, when a
    step first asks for it in ``ctx.resources``, and closes it at the end of the run, also of a cancelled one. The
    worker is the run itself where cells are executed one after the other, a thread, or a process.

    >>> import sqlite3
    >>> from workflow_assets import Experiment, step
    >>> @step
    ... def count(ctx) -> int:
    ...     return ctx.resources["db"].execute("select 40 + 2").fetchone()[0]
    >>> study = Experiment("study", [count], replicates=3)
    >>> study.run(resources={"db": per_worker(lambda: sqlite3.connect(":memory:"))}).table["count"].tolist()
    [42, 42, 42]

    Args:
        factory: gives a context manager, or an object with `close`, or yields the resource once as a generator
            function; anything else is not closed.

    A factory that raises fails the cell; it is called again for the next one.
    """
    return PerWorker(factory)


class Resources(Mapping[str, Any]):
    """The resources of one worker.

    Args:
        given: the resources by name; those that are `PerWorker` are opened when they are first asked for.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self._opened: dict[str, tuple[Any, AbstractContextManager[Any]]] = {}
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Any:
        try:
            given = self._given[name]
        except KeyError:
            raise UnknownResourceError(
                f"there is no resource {name!r}: {did_you_mean(str(name), self._given)}"
            ) from None
        return self._value(name, given) if isinstance(given, PerWorker) else given

    def __contains__(self, name: object) -> bool:
        return name in self._given

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def _value(self, name: str, given: PerWorker) -> Any:
        with self._lock:
            if name not in self._opened:
                opening = given.opened()
                try:
                    value = opening.__enter__()
                except Exception as error:
                    raise ResourceError(
                        f"the resource {name!r} could not be opened: {type(error).__qualname__}: {error}"
                    ) from error
                self._opened[name] = value, opening
            return self._opened[name][0]

    def close(self) -> None:
        """Close what was opened, the last first; what cannot be closed is logged."""
        while self._opened:
            name, (_, opening) = self._opened.popitem()
            try:
                opening.__exit__(None, None, None)
            except Exception as error:  # noqa: BLE001 - the results do not depend on it
                logger.warning(
                    "the resource %r could not be closed: %s: %s", name, type(error).__qualname__, error
                )
