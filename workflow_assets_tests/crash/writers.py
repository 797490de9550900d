"""A process that writes to a store, and can be told to die at a named point of it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workflow_assets.store import files, folders, logs
from workflow_assets.store.files import FileStore

LARGE = np.arange(2000.0)


def datums() -> Iterator[tuple[str, object]]:
    """Give what is put, the same in every process: small and large values, and one of several members."""
    for number in range(12):
        yield f"{number:02x}a", number * 0.5
        yield f"{number:02x}b", LARGE + number
    yield "ffc", {"x": LARGE, "n": 1}


def write_datums(store: FileStore) -> None:
    """Put all that is not there, as a run does."""
    for key, value in datums():
        if store.find(key) is None:
            store.put(key, value, metrics={"key": key}, provenance={"step": "a"})
    store.refer(("a",), {key: key for key, _ in datums()})


def delete_datums(store: FileStore) -> None:
    """Delete every other datum, as a collector of garbage does."""
    store._log.delete({key for key, _ in list(datums())[::2]})


def write_references(store: FileStore) -> None:
    """Note many times, so that the journal is merged."""
    for number in range(12):
        store.refer(("a",), {f"p{number}": "k", "last": f"k{number}"})


def write_same(store: FileStore, worker: str) -> None:
    """Put the same keys as other processes do at the same time; what each is given must load."""
    for number in range(500):
        value = number * 0.5 if number % 4 else LARGE[: 300 + number]
        record = store.put(f"{number:03x}", value, provenance={"run": worker})
        loaded = store.load(record)
        if not np.array_equal(loaded, value):
            raise AssertionError(f"{number}: {loaded}")
        if number % 10 == 0:
            store.refer(("a",), {f"{worker}-{number}": record.key, "shared": worker})


class Mortal:
    """The module `os`, until a call to it has been made so many times: then the process is killed.

    `point` says which call, when (before it, after it, or with half of the bytes written), and the how manieth; and
    perhaps a part of the path, where only calls for such files count: "rename before 2 objects/".
    """

    def __init__(self, point: str) -> None:
        self.call, self.when, number, *where = point.split()
        self.left = int(number)
        self.where = "".join(where)

    def __getattr__(self, name: str) -> object:
        function = getattr(os, name)
        if name != self.call:
            return function

        def counted(*arguments: object, **options: object) -> object:
            if name == "open" and not (isinstance(arguments[1], int) and arguments[1] & os.O_CREAT):
                return function(*arguments, **options)
            if self.where and self.where not in _path(arguments[0]):
                return function(*arguments, **options)
            self.left -= 1
            if self.left == 0 and self.when == "halfway":
                os.write(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])  # type: ignore[arg-type, call-overload]
            if self.left == 0 and self.when in {"before", "halfway"}:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments, **options)
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


def _path(file: object) -> str:
    """Give the path of a file that is named, or open under a number."""
    return str(Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else file)


def write(folder: str, work: str, point: str) -> None:
    """Write to a folder; die if told to."""
    store = FileStore(folder, fsync="sync" in point)
    if work == "same":
        write_same(store, point)
        return
    if point:
        mortal = Mortal(point)
        for module in (files, folders, logs):
            vars(module)["os"] = mortal
    if work == "datums":
        write_datums(store)
    elif work == "delete":
        delete_datums(store)
    else:
        vars(files)["LONGEST_JOURNAL"] = 4
        write_references(store)
