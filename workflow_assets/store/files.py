"""The store in a local folder.

::

    records/ab/<key>.json              what is known of a datum, small values included: a line of JSON
    objects/ab/<key>.<digest>.<ext>    the bytes of a large value, in a format that other tools read
    references/<asset>/<number>-….jsonl  which datum each partition holds; the line with the highest number wins

A file gets its name when it is complete: it is written under a temporary name in the same folder, and linked or
renamed. So a process killed at any instant leaves whole files, and perhaps a temporary one that nobody reads. A power
cut may cost the files of the last half minute, since nothing waits for the disk; what it tears fails its digest and is
computed again. ``fsync=True`` waits for each file, which costs as much as the disk takes: milliseconds, where a small
datum else takes a tenth of one.
"""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import stat
import weakref
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow_assets.errors import CorruptDatumError, StoreError
from workflow_assets.store.base import Asset, Record, Store
from workflow_assets.store.codecs import Buffer
from workflow_assets.store.records import (
    LONGEST_JOURNAL,
    Held,
    checked,
    folder_name,
    is_journal,
    is_name,
    journal_from_bytes,
    journal_name,
    journal_number,
    journal_to_bytes,
    record_from_bytes,
    record_to_bytes,
)

_LONGEST_JOURNAL = LONGEST_JOURNAL

_MAPPED = 1 << 20
"""Objects from this size on are mapped into memory, not read: an array is paged in as it is used."""

_MOST_MAPPED = 400
"""How many may be mapped at a time: each holds a file open, of which a process may have about a thousand."""

_READ = (
    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
)  # neither led elsewhere by a link, nor kept waiting by a pipe
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class FileStore(Store):
    """A store in a local folder, safe for several processes at once.

    Args:
        folder: where to keep it; created when first written to.
        pickles: whether values without a format of their own may be pickled, and pickles loaded. Loading a pickle
            executes what it says: leave it on only for a folder that nobody else writes to.
        fsync: wait for the disk after each write, so that a power cut costs nothing that was stored.
    """

    def __init__(self, folder: str | os.PathLike[str], *, pickles: bool = True, fsync: bool = False) -> None:
        super().__init__(pickles=pickles)
        self.folder = Path(folder).expanduser().absolute()
        self.fsync = fsync
        self._root = str(self.folder)
        self._inside: set[str] = set()
        self._numbers = itertools.count()
        self._writer = (0, "")
        self._mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()

    def __repr__(self) -> str:
        return f"FileStore({self._root!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._root, self.pickles, self.fsync)

    # -- datums -------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raise `StoreError` if the folder cannot be written; what is created for it is empty folders."""
        for part in ("records", "objects", "references"):
            folder = f"{self._root}/{part}"
            try:
                probe, descriptor = self._create(folder)
                try:
                    os.write(descriptor, bytes(4096))  # a full disk still takes an empty file
                finally:
                    os.close(descriptor)
                    os.unlink(probe)
            except (OSError, ValueError) as error:
                raise self._error("be written", error) from error

    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None if it is not stored, or its record is torn."""
        folder = f"{self._root}/records/{checked(key)[:2]}"
        try:
            data = self._read(folder, f"{key}.json", mapped=False)
            record = None if data is None else record_from_bytes(key, bytes(data))
            if record is None or record.location is None:
                return record
            size = os.stat(f"{self._root}/objects/{key[:2]}/{checked(record.location)}").st_size
        except (FileNotFoundError, NotADirectoryError, CorruptDatumError):
            return None
        except OSError as error:
            raise self._error("be read", error) from error
        return record if size == record.size else None

    def keys(self) -> Iterator[str]:
        """Give the key of every record in the folder, in any order."""
        top = f"{self._root}/records"
        try:
            for part in _entries(top):
                self._check_inside(folder := f"{top}/{part}")
                for name in _entries(folder):
                    key, ending = name[:-5], name[-5:]
                    if ending == ".json" and is_name(key) and key[:2] == part:
                        yield key
        except OSError as error:
            raise self._error("be read", error) from error

    def _write_record(self, record: Record, replace: bool) -> Record:
        folder, name = f"{self._root}/records/{record.key[:2]}", f"{record.key}.json"
        data = (record_to_bytes(record),)
        try:
            if self._write(folder, name, data, replace):
                return record
            standing = self.find(record.key)
            if standing is None:  # a damaged one stood in the way
                self._write(folder, name, data, True)
        except OSError as error:
            raise self._error("take a datum", error) from error
        return record if standing is None else standing

    def _write_object(self, name: str, pieces: Iterable[Buffer]) -> None:
        try:
            self._write(f"{self._root}/objects/{name[:2]}", name, pieces, True)
        except OSError as error:
            raise self._error("take a datum", error) from error

    def _read_object(self, name: str) -> Buffer:
        try:
            data = self._read(f"{self._root}/objects/{name[:2]}", name, mapped=True)
        except (FileNotFoundError, NotADirectoryError):
            data = None
        except OSError as error:
            raise self._error("be read", error) from error
        if data is None:
            raise CorruptDatumError(
                f"the object {name} is gone from {self._root}; run again to compute it anew"
            )
        return data

    # -- references ---------------------------------------------------------------------------------------------

    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Append to the journal of an asset which datum each partition holds now."""
        if not keys:
            return
        folder = self._journal_folder(asset)
        try:
            names = _journal(folder)
            number = max(map(journal_number, names), default=0) + 1
            held = {partition: (number, key) for partition, key in keys.items()}
            self._write(folder, self._journal_name(number), (journal_to_bytes(held),), True)
            if len(names) >= _LONGEST_JOURNAL:
                self._merge(folder)
        except OSError as error:
            raise self._error("note what an asset holds", error) from error

    def references(self, asset: Asset) -> dict[str, str]:
        """Give, for each partition of an asset, the key of the datum that it holds."""
        try:
            held, _ = self._held(self._journal_folder(asset))
        except OSError as error:
            raise self._error("be read", error) from error
        return {partition: key for partition, (_, key) in held.items()}

    def _journal_folder(self, asset: Asset) -> str:
        return "/".join((self._root, "references", *map(folder_name, asset)))

    def _journal_name(self, number: int) -> str:
        """Name a file that no other writer names: two of one number are two files, and none is ever written again."""
        return journal_name(number, self._unique())

    def _held(self, folder: str) -> tuple[Held, list[str]]:
        """Read a journal; give what it says, and the names of its files."""
        for patience in range(1000, -1, -1):
            held: Held = {}
            names = _journal(folder)
            try:
                for name in names:
                    journal_from_bytes(self._read(folder, name, mapped=False) or b"", held)
                break
            except FileNotFoundError:  # merged meanwhile, into a file that we do not know of
                if not patience:
                    raise
        return held, names

    def _merge(self, folder: str) -> None:
        """Put all that the files of a journal say into one, and only then delete them.

        Each line keeps its number, so that a file which somebody else adds meanwhile wins or loses as it would have.
        """
        held, names = self._held(folder)
        number = max(map(journal_number, names), default=0)  # so that numbers never fall back
        self._write(folder, self._journal_name(number), (journal_to_bytes(held),), True, fsync=True)
        for name in names:
            _unlink(f"{folder}/{name}")

    # -- files --------------------------------------------------------------------------------------------------

    def _read(self, folder: str, name: str, *, mapped: bool) -> Buffer | None:
        """Give a file's bytes in memory of their own, or None for what is no file."""
        self._check_inside(folder)
        path = f"{folder}/{name}"
        try:
            descriptor = os.open(path, _READ)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            real = os.path.realpath(path)
            if not self._holds(real):
                raise CorruptDatumError(_LEADS_OUT.format(path, real)) from error
            if os.path.islink(real):  # to itself
                return None
            descriptor = os.open(real, _READ)
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

    def _write(
        self, folder: str, name: str, pieces: Iterable[Buffer], replace: bool, *, fsync: bool = False
    ) -> bool:
        """Write a file whole; tell whether it stands, which it does not where another was there and may stay."""
        temporary, descriptor = self._create(folder)
        final = f"{folder}/{name}"
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
            stands = _move(temporary, final) if replace else _link(temporary, final)
        except BaseException:
            _unlink(temporary)
            raise
        if self.fsync or fsync:
            _fsync_folder(folder)
        return stands

    def _create(self, folder: str) -> tuple[str, int]:
        """Open a new file under a name that no other writer uses, alive or dead, on this machine or another."""
        temporary = f"{folder}/.{self._unique()}.tmp"
        self._check_inside(folder)
        try:
            return temporary, os.open(temporary, _CREATE, 0o666)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)
            self._check_inside(folder)
            if self.fsync:
                above = folder
                while len(above) > len(self._root):
                    above = os.path.dirname(above)
                    _fsync_folder(above)
                _fsync_folder(os.path.dirname(above))
            return temporary, os.open(temporary, _CREATE, 0o666)

    def _unique(self) -> str:
        process, token = self._writer
        if process != os.getpid():
            self._writer = process, token = os.getpid(), os.urandom(6).hex()
        return f"{token}-{next(self._numbers):x}"

    def _check_inside(self, folder: str) -> None:
        """Raise `StoreError` if a folder of the store is a link that leads out of it."""
        if folder in self._inside:
            return
        path = self._root
        for part in folder[len(self._root) + 1 :].split("/"):
            path = f"{path}/{part}"
            try:
                if stat.S_ISLNK(os.lstat(path).st_mode) and not self._holds(real := os.path.realpath(path)):
                    raise StoreError(_LEADS_OUT.format(path, real))
            except (FileNotFoundError, NotADirectoryError):
                return  # asked again when it is there
        self._inside.add(folder)

    def _holds(self, real: str) -> bool:
        return real.startswith(f"{os.path.realpath(self._root)}/")

    def _error(self, what: str, error: Exception) -> StoreError:
        number = error.errno if isinstance(error, OSError) else None
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return StoreError(
            f"the store folder {self._root} cannot {what}: {reason}. {_CURES.get(number, _CURE)}"
        )


_LEADS_OUT = (
    "{} is a link that leads out of the store, to {}: it is not followed. Put what it leads to in its place, or open "
    "the store that it belongs to"
)
_CURE = "Check who owns it and how it is mounted, or give the store another folder"
_CURES: dict[int | None, str] = {
    errno.ENOSPC: "Free some space, or give the store another folder",
    errno.EDQUOT: "Free some space, or give the store another folder",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f), or give the store a folder on another disk",
    errno.ENOTDIR: "A part of its path is a file: give the store another folder",
    errno.EEXIST: "A part of its path is a file: give the store another folder",
    errno.EISDIR: "A folder stands where a file should: move it away, or give the store another folder",
    errno.EMFILE: "Close some files, or raise the limit (ulimit -n)",
}


def _reopen(folder: str, pickles: bool, fsync: bool) -> FileStore:
    return FileStore(folder, pickles=pickles, fsync=fsync)


def _move(temporary: str, final: str) -> bool:
    os.rename(temporary, final)
    return True


def _link(temporary: str, final: str) -> bool:
    try:
        os.link(temporary, final)
    except FileExistsError:
        os.unlink(temporary)
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final):
            os.unlink(temporary)
            return False
        os.rename(temporary, final)  # of two writers at this very instant, the later wins: both are right
        return True
    os.unlink(temporary)
    return True


_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""How file systems without hard links say so."""


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _fsync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _journal(folder: str) -> list[str]:
    return [name for name in _entries(folder) if is_journal(name)]


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
