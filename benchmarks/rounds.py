"""What the benchmarks share: processes of their own, places, environments of peers, medians and tables.

A *work* is a small frozen dataclass that says what one process measures. It is sent as JSON to the same script, in a
folder of its own and with the Python of whoever is measured; what comes back is the fields of a figure.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".workflow_assets" / "peers"

Places = dict[str, Path]
"""Where local folders can be, by the names that the tables give them."""


def timed(call: Callable[[], Any]) -> tuple[Any, float, tuple[str, ...]]:
    """Give what a call returns, its wall time in seconds, and the modules that it imported."""
    loaded = set(sys.modules)
    started = time.perf_counter()
    value = call()
    seconds = time.perf_counter() - started
    return value, seconds, tuple(sorted(set(sys.modules) - loaded))


# -- places and processes --------------------------------------------------------------------------------------------


def find_places() -> Places:
    """Give the folder for temporary files, and one in memory where Linux has it."""
    places = {}
    for folder in (Path(tempfile.gettempdir()), Path("/dev/shm")):
        if os.access(folder, os.W_OK):
            places.setdefault(f"local ({file_system(folder)})", folder)
    return places


def file_system(folder: Path) -> str:
    """Name the kind of file system that a folder is on, as far as Linux tells."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown"
    found = {fields[1]: fields[2] for fields in map(str.split, mounts.read_text().splitlines())}
    return found[max((mount for mount in found if folder.resolve().is_relative_to(mount)), key=len)]


def measure_apart(script: str, work: Any, python: Path, folder: Path) -> dict[str, Any]:
    """Measure in a process of its own, whose current folder is `folder`; give the fields of its figure."""
    command = [python, script, "--measure", json.dumps(asdict(work))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # this checkout, wherever the environment was built
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody's modules are compiled at each start
    # Crystallize logs every cell; what it says is fetched only where something went wrong.
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        again = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        raise SystemExit(f"{work} failed:\n{again.stderr[-3000:]}")
    fields: dict[str, Any] = json.loads(done.stdout)
    return fields


def peer_python(requirement: str, *libraries: str) -> Path:
    """Give the Python of an environment that has a peer, and some libraries as they are here; build it once."""
    packages = [requirement, *(f"{library}=={version(library)}" for library in libraries)]
    label = f"{' '.join(packages)}, Python {platform.python_version()}"
    name = requirement.replace("==", "-").replace("-ml", "")
    folder = PEERS / "-with-".join([name, *(library for library in libraries if library != "numpy")])
    python, contents = folder / "bin" / "python", folder / "contents.txt"
    if contents.exists() and contents.read_text() == label:
        return python
    print(f"Installing {requirement} for comparison", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{requirement} cannot be installed:\n{done.stdout}{done.stderr}")
    contents.write_text(label)
    return python


# -- tables ----------------------------------------------------------------------------------------------------------


def spread(values: list[float], digits: int) -> str:
    """Write a median with the least and the greatest."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def markdown(rows: Iterable[list[str]]) -> str:
    """Write a table whose columns are aligned; the first row is its head."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in lines)


def load_note(loads: list[float]) -> str:
    """Say how busy the machine was: load averages from before, between and after the rounds."""
    return (
        f"Load average (1 min): {loads[0]:.2f} at the start, {max(loads):.2f} at most, {loads[-1]:.2f} at the end, "
        f"on {os.cpu_count()} CPUs."
    )
