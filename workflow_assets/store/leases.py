"""Claims on data in a bucket, where nobody can hold a lock.

Who uses data writes down which, and then looks whether somebody deletes; who deletes says so, then reads what others
use. Whichever was first, at least one of them sees the other: the user waits until the deleting is over, and looks for
its data only then. Each shows that it is alive by writing a mark again and again; ages are told by the service's clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from workflow_assets.errors import StoreError
from workflow_assets.store.buckets import Bucket, MissingError

_CLAIMS = "claims/"
_ALIVE = "alive"
_DELETING = "deleting/"

_CLAIM_PERIOD, _CLAIM_END = 300.0, 86_400.0
_DELETING_PERIOD, _DELETING_END = 20.0, 120.0
"""How many seconds lie between two marks, and after how many without one its writer is dead: a laptop may sleep."""

_PATIENCE = 0.5


class Mark:
    """An object that shows, by its age, that whoever writes it is alive."""

    def __init__(self, bucket: Bucket, name: str, period: float) -> None:
        self._bucket = bucket
        self._name = name
        self._period = period
        self._done = threading.Event()
        bucket.put(name, b"")
        self._thread = threading.Thread(target=self._beat, name=name, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._done.wait(self._period):
            with suppress(StoreError):  # perhaps the next time
                self._bucket.put(self._name, b"")

    def end(self) -> None:
        """Write no more, and delete the mark."""
        self._done.set()
        self._thread.join()
        with suppress(StoreError):
            self._bucket.delete([self._name])


class BucketClaim:
    """A claim on data of a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._folder = f"{_CLAIMS}{bucket.unique()}/"
        self._keys: set[str] = set()
        self._names: list[str] = []
        self._mark: Mark | None = None

    def add(self, keys: Iterable[str]) -> None:
        """Claim data; wait while somebody deletes."""
        new = set(keys) - self._keys
        if not new:
            return
        if self._mark is None:
            self._mark = Mark(self._bucket, f"{self._folder}{_ALIVE}", _CLAIM_PERIOD)
        name = f"{self._folder}{len(self._names)}"
        self._bucket.put(name, "\n".join(sorted(new)).encode())
        self._names.append(name)
        self._keys |= new
        while any(entry.age < _DELETING_END for entry in self._bucket.entries(_DELETING)):
            time.sleep(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        names, self._names = self._names, []
        self._keys = set()
        with suppress(StoreError):
            self._bucket.delete(names)
        if self._mark is not None:
            self._mark.end()
            self._mark = None


def claimed(bucket: Bucket) -> set[str]:
    """Give the keys that the living have claimed, and delete the claims of the dead."""
    entries = list(bucket.entries(_CLAIMS))
    alive = {
        entry.name.removesuffix(_ALIVE)
        for entry in entries
        if entry.name.endswith(f"/{_ALIVE}") and entry.age < _CLAIM_END
    }

    def read(name: str) -> list[str]:
        try:
            return bytes(bucket.get(name)[0]).decode().split()
        except MissingError:  # given up meanwhile
            return []

    names = [entry.name for entry in entries]
    living = [name for name in names if f"{name.rpartition('/')[0]}/" in alive]
    with suppress(StoreError):  # as where it may only be read
        bucket.delete(name for name in names if name not in set(living))
    return {key for keys in bucket.map(read, living) for key in keys}


@contextmanager
def deleting(bucket: Bucket) -> Iterator[None]:
    """Make those wait who claim data from now on."""
    mark = Mark(bucket, f"{_DELETING}{bucket.unique()}", _DELETING_PERIOD)
    try:
        yield
    finally:
        mark.end()
