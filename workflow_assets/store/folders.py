"""A folder whose files are whole or not there, and which no link leads out of.

A file gets its name when it is complete: it is written under a temporary name in the same folder, and renamed. So a
process killed at any instant leaves whole files, and perhaps a temporary one that nobody reads.
"""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import stat
import weakref
from collections.abc import Callable, Iterable

from workflow_assets.errors import CorruptDatumError, StoreError
from workflow_assets.store.codecs import Buffer

_MAPPED = 1 << 20
"""Files from this size on may be mapped into memory, not read: an array is paged in as it is used."""

_MOST_MAPPED = 400
"""How many may be mapped at a time: each holds a file open, of which a process may have about a thousand."""

# Neither led elsewhere by a link, nor kept waiting by a pipe.
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Folder:
    """The files below one folder; other folders are given by their paths, which begin with it.

    Args:
        root: its absolute path.
        fsync: wait for the disk after each file.
    """

    def __init__(self, root: str, *, fsync: bool) -> None:
        self.root = root
        self.fsync = fsync
        self._inside: set[str] = set()
        self._numbers = itertools.count()
        self._writer = (0, "")
        self._mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()

    def open(self, folder: str, name: str, flags: int) -> int:
        """Open a file that is there, and that no link leads to from outside; give its descriptor.

        Raises `OSError`, and `CorruptDatumError` for a link that leads out of the folder.
        """
        self.check_inside(folder)
        path = f"{folder}/{name}"
        try:
            return os.open(path, flags | _SAFELY, 0o666)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            real = os.path.realpath(path)
            if not self._holds(real):
                raise CorruptDatumError(_LEADS_OUT.format(path, real)) from error
            if os.path.islink(real):  # to itself
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
            return os.open(real, flags | _SAFELY)

    def read(self, folder: str, name: str, *, mapped: bool) -> Buffer | None:
        """Give a file's bytes in memory of their own, or None for what is no file."""
        descriptor = self.open(folder, name, os.O_RDONLY)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            size = status.st_size
            if mapped and size >= _MAPPED and len(self._mapped) < _MOST_MAPPED:
                # Private: a consumer may write to it, and nobody else sees that.
                area = mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
                self._mapped.add(area)
                return memoryview(area)
            data = bytearray(size)
            view = memoryview(data)
            while view and (count := os.readv(descriptor, [view])):
                view = view[count:]
            return data
        finally:
            os.close(descriptor)

    def write(
        self, folder: str, name: str | Callable[[], str], pieces: Iterable[Buffer], *, fsync: bool = False
    ) -> None:
        """Write a file whole or not at all, in place of one that is there; its name may be known only at its end."""
        temporary, descriptor = self.create(folder)
        try:
            try:
                for piece in pieces:
                    view = memoryview(piece)
                    while view:
                        view = view[os.write(descriptor, view) :]
                if self.fsync or fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, f"{folder}/{name if isinstance(name, str) else name()}")
        except BaseException:
            unlink(temporary)
            raise
        if self.fsync or fsync:
            fsync_folder(folder)

    def create(self, folder: str) -> tuple[str, int]:
        """Open a new file under a name that no other writer uses, alive or dead, on this machine or another."""
        temporary = f"{folder}/.{self.unique()}.tmp"
        self.check_inside(folder)
        try:
            return temporary, os.open(temporary, _CREATE, 0o666)
        except FileNotFoundError:
            self.make(folder)
            return temporary, os.open(temporary, _CREATE, 0o666)

    def make(self, folder: str) -> None:
        """Make a folder and those above it, where they are not there."""
        os.makedirs(folder, exist_ok=True)
        self.check_inside(folder)
        if self.fsync:
            above = folder
            while len(above) > len(self.root):
                above = os.path.dirname(above)
                fsync_folder(above)
            fsync_folder(os.path.dirname(self.root))

    def unique(self) -> str:
        """Give a part of a name that no other writer uses."""
        process, token = self._writer
        if process != os.getpid():
            self._writer = process, token = os.getpid(), os.urandom(6).hex()
        return f"{token}-{next(self._numbers):x}"

    def check_inside(self, folder: str) -> None:
        """Raise `StoreError` if a folder is a link that leads out of the root."""
        if folder in self._inside:
            return
        path = self.root
        for part in filter(None, folder[len(self.root) + 1 :].split("/")):
            path = f"{path}/{part}"
            try:
                if stat.S_ISLNK(os.lstat(path).st_mode) and not self._holds(real := os.path.realpath(path)):
                    raise StoreError(_LEADS_OUT.format(path, real))
            except (FileNotFoundError, NotADirectoryError):
                return  # asked again when it is there
        self._inside.add(folder)

    def _holds(self, real: str) -> bool:
        return real.startswith(f"{os.path.realpath(self.root)}/")

    def error(self, what: str, error: Exception) -> StoreError:
        """Say what cannot be done with the store in this folder, why, and what helps."""
        number = error.errno if isinstance(error, OSError) else None
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return StoreError(
            f"the store folder {self.root} cannot {what}: {reason}. {_CURES.get(number, _CURE)}"
        )


_LEADS_OUT = (
    "{} is a link that leads out of the store, to {}: it is not followed. Put what it leads to in its place, or open "
    "the store that it belongs to"
)
_CURE = "Check who owns it and how it is mounted, or give the store another folder"
_SPACE = "Free some space, or give the store another folder"
_PART = "A part of its path is a file: give the store another folder"
_LOCKS = "Its file system cannot lock files: mount it with locks, or use another folder, or an S3Store"
_CURES: dict[int | None, str] = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f), or give the store a folder on another disk",
    errno.ENOTDIR: _PART,
    errno.EEXIST: _PART,
    errno.EISDIR: "A folder stands where a file should: move it away, or give the store another folder",
    errno.EMFILE: "Close some files, or raise the limit (ulimit -n)",
    errno.ENOLCK: _LOCKS,
    errno.ENOSYS: _LOCKS,
    errno.EOPNOTSUPP: _LOCKS,
}


def unlink(path: str) -> None:
    """Delete a file, if that can be done: nobody reads it."""
    try:
        os.unlink(path)
    except OSError:
        return


def entries(folder: str) -> list[str]:
    """Give the names in a folder; none if there is no such folder."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def fsync_folder(folder: str) -> None:
    """Wait until the disk knows the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
