"""Choosing a backend: by name, with options, or one that the caller has made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from workflow_assets.backends.base import Backend, cores
from workflow_assets.backends.threads import Coroutines, Threads
from workflow_assets.errors import DeclarationError, UnknownNameError, did_you_mean, excerpt, listing
from workflow_assets.steps import Step
from workflow_assets.traits import MEMORY, is_count, read_resources

SERIAL = "serial"


def _processes(workers: int | None) -> Backend:
    from workflow_assets.backends.processes import Processes

    return Processes(workers)


def _coroutines(workers: int | None) -> Backend:
    return Coroutines() if workers is None else Coroutines(workers)


def _dask(workers: int | None) -> Backend:
    from workflow_assets.backends.clusters import Dask

    return Dask(workers=workers)


_BACKENDS: Mapping[str, Callable[[int | None], Backend]] = {
    "threads": Threads,
    "processes": _processes,
    "asyncio": _coroutines,
    "dask": _dask,
}
NAMES = (SERIAL, *_BACKENDS)


def choose(given: Any, workers: int | None, steps: Iterable[Step[..., Any]]) -> Backend | None:
    """Give the backend that a run is to use; None for the run itself, one cell after the other.

    Args:
        given: a name, a backend, an executor, or None to use what the steps need: processes where one has a timeout.
        workers: how many cells at a time, for a backend that is named.
        steps: all that may be executed.

    Raises `UnknownNameError` for a name that no backend has, and `DeclarationError` for what a backend cannot do.
    """
    if workers is not None and not is_count(workers):
        raise DeclarationError("run", [f"workers = {excerpt(workers)}: expected a whole number of 1 or more"])
    limited = [step.name for step in steps if step.timeout is not None and not step.is_coroutine]
    if given is None:
        given = SERIAL if not limited and workers in {None, 1} else "processes"
        workers = 1 if workers is None else workers
    if isinstance(given, str):
        if given not in NAMES:
            raise UnknownNameError(f"no backend is called {given!r}: {did_you_mean(given, NAMES)}")
        backend = None if given == SERIAL else _BACKENDS[given](workers)
    elif isinstance(given, Executor):
        from workflow_assets.backends.executors import Given

        backend = Given(given, workers or cores())
    elif hasattr(given, "open") and hasattr(given, "capabilities"):
        backend = given
    else:
        expected = f"{listing(NAMES, 'or')}, a backend of this package, or a concurrent.futures.Executor"
        raise DeclarationError("run", [f"backend = {excerpt(given)}: expected {expected}"])
    if limited and (backend is None or not backend.capabilities.kills):
        called = SERIAL if backend is None else backend.name
        raise DeclarationError(
            "run",
            [
                f"step {name!r} has a timeout, and the backend {called!r} cannot end a call: use "
                "backend='processes', or make the step a coroutine"
                for name in limited
            ],
        )
    return backend


def check_needs(
    steps: Iterable[Step[..., Any]], capacity: Mapping[str, Any] | None, backend: Backend | None
) -> Mapping[str, float]:
    """Give how much there is of what steps need.

    Raises `DeclarationError` where a step needs more, or what nobody has said there is.
    """
    amounts, faults = read_resources({} if capacity is None else capacity)
    faults = [fault.replace("resources", "capacity", 1) for fault in faults]
    there = {"cpus": float(cores()), MEMORY: float(_memory()), **amounts}
    if backend is None or not backend.capabilities.counts:
        for step in steps:
            for name, amount in step.resources.items():
                if name not in there:
                    faults.append(
                        f"step {step.name!r} needs {amount:g} of {name!r}: say how much there is, as in "
                        f"capacity={{{name!r}: {amount:g}}}"
                    )
                elif amount > there[name]:
                    faults.append(
                        f"step {step.name!r} needs {amount:g} of {name!r}, and there is {there[name]:g}"
                    )
    if faults:
        raise DeclarationError("run", list(dict.fromkeys(faults)))
    return there


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
