"""The records of a folder, in one file that they are appended to: a line of JSON each.

A file for each record would cost more than most steps take. Of the lines with one key the last whole one counts; a
key gets a second line only when its datum is replaced, or its first line was damaged. Who appends holds the file's
lock, looks first at what others have appended, and so finds the record of whoever was first. Who reads needs no lock:
a line counts when its end is there and its checksum holds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

from workflow_assets.errors import StoreError
from workflow_assets.store.folders import Folder, fsync_folder
from workflow_assets.store.records import Record, is_sealed, record_from_bytes, record_to_bytes

NAME = "records.jsonl"

_STEP = 1 << 22
"""How much of the file is read at a time."""

_LINE = 4096
"""Most lines are shorter than this."""

_LONGEST = 1 << 26
"""No line is longer than this, so that a file without any does not fill the memory."""

_START = b'{"key":"'


class RecordLog:
    """The records of a store's folder, by key.

    What is held in memory is where each key's line begins: a quarter of a kilobyte per key.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = f"{folder.root}/{NAME}"
        self._lock = threading.RLock()
        self._descriptor, self._size = -1, 0
        self._reset()
        _LOGS.add(self)

    def __del__(self) -> None:
        self._reset()

    def find(self, key: str) -> Record | None:
        """Give the latest record of a key, or None if there is none, or it is damaged."""
        with self._lock:
            return self._record(key) if self._look() else None

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the latest records of some keys, without those that have none."""
        with self._lock:
            if not self._look():
                return {}
            return {key: record for key in keys if (record := self._record(key)) is not None}

    def keys(self) -> tuple[str, ...]:
        """Give the keys that have lines."""
        with self._lock:
            return tuple(self._places) if self._look() else ()

    def append(self, record: Record, replace: bool, stands: Callable[[Record], bool]) -> Record:
        """Append a record, unless its key has one that `stands` and is not to be replaced; give the one that counts.

        Raises `OSError` where it cannot be written, and then nothing of it is.
        """
        data = record_to_bytes(record)
        if len(data) > _LONGEST:
            raise StoreError(
                f"the record of {record.key} takes {len(data)} bytes, and may take {_LONGEST}: record fewer metrics "
                "or shorter ones, and return what is large"
            )
        with self.locked() as size:
            if not replace and record.key in self._places:
                standing = self._record(record.key)
                if standing is not None and stands(standing):
                    return standing
            descriptor, start = self._descriptor, size
            if size > self._size:  # the line of a writer that did not live to end it
                data = b"\n" + data
                start += 1
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
                if self._folder.fsync:
                    os.fdatasync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, size)
                raise
            self._places[record.key] = start
            self._size = size + len(data)
        return record

    def sync(self) -> None:
        """Wait until the disk has the file."""
        with self.locked():
            os.fsync(self._descriptor)
        fsync_folder(self._folder.root)

    def delete(self, keys: Collection[str]) -> None:
        """Write the file anew, without the records of some keys, and without lines that do not count."""
        with self.locked():
            lines = (_line(self._descriptor, place) for key, place in self._places.items() if key not in keys)
            self._folder.write(self._folder.root, NAME, filter(None, lines), fsync=True)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Keep others from appending, after taking note of what they have appended; give the file's size."""
        with self._lock:
            while True:
                descriptor = self._open_for_writing()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                try:
                    size = self._named_size()
                    if size >= self._size:
                        if size > self._size:
                            self._read_on()
                        yield size
                        return
                finally:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                self._reset()  # somebody wrote the file anew

    def _record(self, key: str) -> Record | None:
        place = self._places.get(key)
        line = None if place is None else _line(self._descriptor, place)
        return None if line is None else record_from_bytes(key, line)

    def _look(self) -> bool:
        """Take note of what was appended; tell whether there is a file at all."""
        if self._descriptor >= 0:
            status = os.fstat(self._descriptor)
            if status.st_nlink and status.st_size >= self._size:
                if status.st_size > self._size:
                    self._read_on()
                return True
            self._reset()
        folder = self._folder
        try:
            try:
                self._opened(folder.open(folder.root, NAME, _WRITE), writable=True)
            except OSError as error:
                if error.errno not in _READ_ONLY:
                    raise
                self._opened(folder.open(folder.root, NAME, os.O_RDONLY), writable=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        self._read_on()
        return True

    def _open_for_writing(self) -> int:
        if self._descriptor < 0 or not self._writable:
            self._reset()
            folder = self._folder
            try:
                descriptor = folder.open(folder.root, NAME, _WRITE | os.O_CREAT)
            except FileNotFoundError:
                folder.make(folder.root)
                descriptor = folder.open(folder.root, NAME, _WRITE | os.O_CREAT)
            self._opened(descriptor, writable=True)
            if folder.fsync:
                fsync_folder(folder.root)
        return self._descriptor

    def _opened(self, descriptor: int, *, writable: bool) -> None:
        self._descriptor, self._writable = descriptor, writable
        status = os.fstat(descriptor)
        self._identity = status.st_dev, status.st_ino
        if not stat.S_ISREG(status.st_mode):
            self._reset()
            raise StoreError(f"{self._path} is no file: move it away, or give the store another folder")

    def _named_size(self) -> int:
        """Give the size of the file that is open, or -1 if it is not the one that has the name."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return -1
        return status.st_size if (status.st_dev, status.st_ino) == self._identity else -1

    def _reset(self) -> None:
        """Forget the file and all that was read of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._writable = False
        self._identity = (0, 0)
        self._places: dict[str, int] = {}
        self._size = 0  # up to the end of the last line that was read

    def _read_on(self) -> None:
        """Take note of the lines that were appended, as far as they are whole."""
        step = _STEP
        while data := os.pread(self._descriptor, step, self._size):
            end = data.rfind(b"\n") + 1
            if not end:
                if len(data) < step:
                    return  # not written to its end, yet or ever
                if step < _LONGEST:
                    step *= 4
                    continue
                end = len(data)
            place = self._size
            for line in data[:end].split(b"\n"):
                if line.startswith(_START) and is_sealed(line):  # else it hides no earlier one
                    key = line[len(_START) : line.find(b'"', len(_START))]
                    self._places[key.decode("latin-1")] = place
                place += len(line) + 1
            self._size += end
            step = _STEP

    def forked(self) -> None:
        """Let go of what belongs to the process that this one was forked from: its lock would be shared."""
        self._lock = threading.RLock()
        self._reset()


_WRITE = os.O_RDWR | os.O_APPEND
_READ_ONLY = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_LOGS: weakref.WeakSet[RecordLog] = weakref.WeakSet()


def _forked() -> None:
    for log in _LOGS:
        log.forked()


os.register_at_fork(after_in_child=_forked)


def _line(descriptor: int, place: int) -> bytes | None:
    """Give the line that begins at a place, with its end, or None if it has none."""
    data = os.pread(descriptor, _LINE, place)
    while not (end := data.find(b"\n") + 1):
        more = os.pread(descriptor, 3 * len(data), place + len(data)) if len(data) <= _LONGEST else b""
        if not more:
            return None
        data += more
    return data[:end]
