"""Claims: the data that a run is about to use, which nobody may delete meanwhile.

In a folder, each claim is a file that its process holds a lock on, so that the claims of the dead are known. A key is
claimed under the lock of the records, before it is looked for; who deletes holds that lock from reading the claims on:
either the claim is seen, or the datum is gone before it is looked for, and computed again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from workflow_assets.store.folders import Folder, entries, unlink
from workflow_assets.store.logs import RecordLog


class Claim(Protocol):
    """Data that are being used, until the claim is given up."""

    def add(self, keys: Iterable[str]) -> None:
        """Claim data, stored or not, before looking for them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the claim up."""


class MemoryClaim:
    """A claim on data of a store in memory."""

    def __init__(self, claims: set[MemoryClaim], lock: threading.RLock) -> None:
        self.keys: set[str] = set()
        self._claims = claims
        self._lock = lock

    def add(self, keys: Iterable[str]) -> None:
        """Claim data."""
        with self._lock:
            self.keys.update(keys)
            self._claims.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._claims.discard(self)
            self.keys.clear()


class FileClaim:
    """A claim on data of a folder."""

    def __init__(self, folder: Folder, log: RecordLog) -> None:
        self._folder = folder
        self._log = log
        self._descriptor = -1
        self._path = ""

    def add(self, keys: Iterable[str]) -> None:
        """Claim data; raise `StoreError` where that cannot be written."""
        data = "".join([f"{key}\n" for key in keys]).encode()
        try:
            with self._log.locked():
                if self._descriptor < 0:
                    path, self._descriptor = self._folder.create(f"{self._folder.root}/claims")
                    self._path = path
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX)
                if os.write(self._descriptor, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._folder.error("note what a run uses", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            unlink(self._path)
            os.close(self._descriptor)
            self._descriptor = -1


def claimed(folder: Folder) -> set[str]:
    """Give the keys that living processes have claimed, and delete the claims of the dead."""
    keys: set[str] = set()
    claims = f"{folder.root}/claims"
    for name in entries(claims):
        try:
            descriptor = folder.open(claims, name, os.O_RDONLY)
        except FileNotFoundError:  # given up meanwhile
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with suppress(FileNotFoundError):  # given up meanwhile
                keys.update(bytes(folder.read(claims, name, mapped=False) or b"").decode().split())
        else:
            unlink(f"{claims}/{name}")
        finally:
            os.close(descriptor)
    return keys
