"""Processes for tests that need one of their own: forked from one that has imported what they need.

A Python that is started anew takes two seconds to import what the docs use, and half a second to import the store.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "scipy.stats",
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
        "pyarrow.parquet",
        "workflow_assets.orchestration.definitions",
        "workflow_assets_tests.crash.writers",
    ]
)


def begin(
    function: Callable[..., object], *arguments: object, out: Path | str = os.devnull, err: Path
) -> ForkServerProcess:
    """Call a function in a process of its own, which prints to files; an exception is told there, and exit code 1."""
    process = FORKS.Process(target=_call, args=(function, arguments, out, err))
    process.start()
    return process


def run_script(
    script: Path, folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder as `python -W error script` does."""
    out, err = script.with_suffix(".out"), script.with_suffix(".err")
    process = begin(_script, str(script), str(folder), dict(environment), out=out, err=err)
    process.join(timeout)
    try:
        if process.exitcode is None:
            raise subprocess.TimeoutExpired(str(script), timeout, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(str(script), process.exitcode, out.read_text(), err.read_text())
    finally:
        process.kill()
        process.join()
        process.close()


def _call(function: Callable[..., object], arguments: tuple[Any, ...], out: Path | str, err: Path) -> None:
    for stream, path in ((1, out), (2, err)):
        with Path(path).open("wb") as file:
            os.dup2(file.fileno(), stream)
    function(*arguments)


def _script(script: str, folder: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [script]
    sys.path.insert(0, folder)
    sys.warnoptions[:] = ["error"]  # which the processes that it starts inherit
    warnings.resetwarnings()
    warnings.simplefilter("error")
    runpy.run_path(script, run_name="__main__")
