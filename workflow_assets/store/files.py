"""The store in a local folder.

::

    records.jsonl                      what is known of each datum, small values included: a line of JSON each
    objects/ab/<key>.<digest>.<ext>    the bytes of a large value, in a format that other tools read
    references/<asset>/<number>-….jsonl  which datum each partition holds; the line with the highest number wins

A process killed at any instant leaves whole lines and whole files, and perhaps a line or a temporary file that nobody
reads. A power cut may cost what was stored in the last half minute, since nothing waits for the disk; what it tears
fails its digest and is computed again. ``fsync=True`` waits for each write, which costs as much as the disk takes:
milliseconds, where a small datum else takes some hundredths of one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import xxhash

from workflow_assets.errors import CorruptDatumError, StoreError
from workflow_assets.store.base import Asset, Record, Store
from workflow_assets.store.claims import FileClaim, claimed
from workflow_assets.store.codecs import Buffer
from workflow_assets.store.folders import Folder, entries, unlink
from workflow_assets.store.logs import RecordLog
from workflow_assets.store.records import (
    LONGEST_JOURNAL,
    Held,
    checked,
    folder_name,
    is_journal,
    journal_from_bytes,
    journal_name,
    journal_number,
    journal_to_bytes,
    latest,
    trimmed,
    versions,
)
from workflow_assets.store.signatures import OWN, Policy

_STEP = 1 << 20
"""How much of an object is digested and written at a time."""


class FileStore(Store):
    """A store in a local folder, safe for several processes at once.

    Args:
        folder: where to keep it; created when first written to.
        pickles: what to do with values that have no format of their own. Loading a pickle executes what it says. "own":
            pickles are written and signed with a key of yours, and only those with your signature are loaded. True: all
            are loaded, so that nobody else may write to the folder. False: none is written or loaded.
        fsync: wait for the disk after each write, so that a power cut costs nothing that was stored.
    """

    def __init__(self, folder: str | os.PathLike[str], *, pickles: Policy = OWN, fsync: bool = False) -> None:
        super().__init__(pickles=pickles)
        self.folder = Path(folder).expanduser().absolute()
        self.fsync = fsync
        self._root = str(self.folder)
        self._files = Folder(self._root, fsync=fsync)
        self._log = RecordLog(self._files)

    def __repr__(self) -> str:
        return f"FileStore({self._root!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), pickles=self.pickles, fsync=self.fsync), (self._root,)

    # -- datums -------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raise `StoreError` if the folder cannot be written; what is created for it holds nothing."""
        for folder in (self._root, f"{self._root}/objects", f"{self._root}/references"):
            try:
                probe, descriptor = self._files.create(folder)
                try:
                    os.write(descriptor, bytes(4096))  # a full disk still takes an empty file
                finally:
                    os.close(descriptor)
                    os.unlink(probe)
                with self._log.locked():
                    pass
            except (OSError, ValueError) as error:
                raise self._files.error("be written", error) from error

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the records of those datums that are stored and whole, by key."""
        try:
            records = self._log.find_all([checked(key) for key in keys])
            return {key: record for key, record in records.items() if self._is_whole(record)}
        except (OSError, ValueError) as error:
            raise self._files.error("be read", error) from error

    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None if it is not stored, or its record is torn."""
        try:
            record = self._log.find(checked(key))
            return record if record is not None and self._is_whole(record) else None
        except (OSError, ValueError) as error:
            raise self._files.error("be read", error) from error

    def keys(self) -> Iterator[str]:
        """Give the key of every record in the folder, in any order."""
        try:
            yield from self._log.keys()
        except (OSError, ValueError) as error:
            raise self._files.error("be read", error) from error

    def _is_whole(self, record: Record) -> bool:
        """Whether the bytes of a datum are there, as many as there should be."""
        if record.location is None:
            return True
        try:
            path = f"{self._root}/objects/{record.key[:2]}/{checked(record.location)}"
            return os.stat(path).st_size == record.size
        except (FileNotFoundError, NotADirectoryError, StoreError):
            return False

    def _write_record(self, record: Record, replace: bool) -> Record:
        try:
            return self._log.append(record, replace, self._is_whole)
        except OSError as error:
            raise self._files.error("take a datum", error) from error

    def _store_object(self, name: Callable[[str], str], pieces: Sequence[Buffer]) -> str:
        """Write and digest piece by piece: what was just read is still in the processor's cache."""
        state = xxhash.xxh3_128()

        def digested() -> Iterator[memoryview]:
            for piece in pieces:
                view = memoryview(piece).cast("B")
                for start in range(0, len(view), _STEP):
                    state.update(view[start : start + _STEP])
                    yield view[start : start + _STEP]

        key = name("")
        try:
            self._files.write(f"{self._root}/objects/{key[:2]}", lambda: name(state.hexdigest()), digested())
        except OSError as error:
            raise self._files.error("take a datum", error) from error
        return state.hexdigest()

    def _write_object(self, name: str, pieces: Sequence[Buffer]) -> None:
        try:
            self._files.write(f"{self._root}/objects/{name[:2]}", name, pieces)
        except OSError as error:
            raise self._files.error("take a datum", error) from error

    def _read_object(self, name: str) -> Buffer:
        try:
            data = self._files.read(f"{self._root}/objects/{name[:2]}", name, mapped=True)
        except (FileNotFoundError, NotADirectoryError):
            data = None
        except OSError as error:
            raise self._files.error("be read", error) from error
        if data is None:
            raise CorruptDatumError(
                f"the object {name} is gone from {self._root}; run again to compute it anew"
            )
        return data

    def _set_aside(self, name: str) -> None:
        folder = f"{self._root}/objects/{name[:2]}"
        with suppress(OSError):  # as where it may only be read
            os.rename(f"{folder}/{name}", f"{folder}/{name}.damaged")

    def sync(self) -> None:
        """Wait until the disk has the records that were written."""
        try:
            self._log.sync()
        except OSError as error:
            raise self._files.error("be written", error) from error

    # -- deleting -----------------------------------------------------------------------------------------------

    def recorded(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give what was recorded of data, also of those whose bytes are gone, by key."""
        try:
            return self._log.find_all(keys)
        except (OSError, ValueError) as error:
            raise self._files.error("be read", error) from error

    def claim(self) -> FileClaim:
        """Begin to use data, which nobody may delete meanwhile."""
        return FileClaim(self._files, self._log)

    def claimed(self) -> set[str]:
        """Give the keys of the data that are being used."""
        try:
            return claimed(self._files)
        except OSError as error:
            raise self._files.error("be read", error) from error

    @contextmanager
    def deleting(self) -> Iterator[None]:
        """Keep others from putting and claiming data meanwhile."""
        try:
            with self._log.locked():
                yield
        except OSError as error:
            raise self._files.error("be cleared", error) from error

    def objects(self) -> Iterator[tuple[str, int, float]]:
        """Give each object's name, its bytes, and the seconds since it was written, of temporary files too."""
        try:
            now = self._now()
            for part in entries(top := f"{self._root}/objects"):
                self._files.check_inside(folder := f"{top}/{part}")
                for name in entries(folder):
                    with suppress(FileNotFoundError):
                        status = os.lstat(f"{folder}/{name}")
                        whose = name if name[:2] == part else f"{part}/{name}"  # a temporary file
                        yield whose, status.st_size, now - status.st_mtime
        except OSError as error:
            raise self._files.error("be read", error) from error

    def _now(self) -> float:
        """Tell the time by the clock that files are dated with, which may be another machine's."""
        try:
            probe, descriptor = self._files.create(self._root)
        except OSError:  # nobody writes here: no file is young
            return time.time()
        try:
            return os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)
            unlink(probe)

    def delete(self, keys: Collection[str], objects: Iterable[str], versions: int) -> None:
        """Delete records, then objects, and forget all but the last versions of what each partition held."""
        try:
            if keys:
                self._log.delete(keys)
            for name in objects:
                unlink(f"{self._root}/objects/{name if '/' in name else f'{name[:2]}/{name}'}")
            for folder in self._journal_folders():
                self._merge(folder, versions)
        except OSError as error:
            raise self._files.error("be cleared", error) from error

    # -- references ---------------------------------------------------------------------------------------------

    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Append to the journal of an asset which datum each partition holds now."""
        if not keys:
            return
        folder = self._journal_folder(asset)
        try:
            names = _journal(folder)
            number = max(map(journal_number, names), default=0) + 1
            held = {partition: [(number, key)] for partition, key in keys.items()}
            self._files.write(folder, self._journal_name(number), (journal_to_bytes(held),))
            if len(names) >= LONGEST_JOURNAL:
                self._merge(folder)
        except OSError as error:
            raise self._files.error("note what an asset holds", error) from error

    def references(self, asset: Asset) -> dict[str, str]:
        """Give, for each partition of an asset, the key of the datum that it holds."""
        try:
            held, _ = self._held(self._journal_folder(asset))
        except OSError as error:
            raise self._files.error("be read", error) from error
        return latest(held)

    def versions(self, asset: Asset, partition: str = "") -> list[str]:
        """Give the keys of the data that a partition has held, the present one last."""
        try:
            held, _ = self._held(self._journal_folder(asset))
        except OSError as error:
            raise self._files.error("be read", error) from error
        return versions(held.get(partition, ()))

    def journals(self) -> Iterator[Held]:
        """Give what each asset's partitions have held."""
        try:
            for folder in self._journal_folders():
                yield self._held(folder)[0]
        except OSError as error:
            raise self._files.error("be read", error) from error

    def _journal_folders(self) -> Iterator[str]:
        waiting = [f"{self._root}/references"]
        while waiting:
            folder = waiting.pop()
            if _journal(folder):
                yield folder
            waiting += [
                f"{folder}/{name}"
                for name in entries(folder)
                if not is_journal(name) and os.path.isdir(f"{folder}/{name}")
            ]

    def _journal_folder(self, asset: Asset) -> str:
        return "/".join((self._root, "references", *map(folder_name, asset)))

    def _journal_name(self, number: int) -> str:
        """Name a file that no other writer names: two of one number are two files, and none is ever written again."""
        return journal_name(number, self._files.unique())

    def _held(self, folder: str) -> tuple[Held, list[str]]:
        """Read a journal; give what it says, and the names of its files."""
        for patience in range(1000, -1, -1):
            held: Held = {}
            names = _journal(folder)
            try:
                for name in names:
                    journal_from_bytes(self._files.read(folder, name, mapped=False) or b"", held)
                break
            except FileNotFoundError:  # merged meanwhile, into a file that we do not know of
                if not patience:
                    raise
        return held, names

    def _merge(self, folder: str, count: int | None = None) -> None:
        """Put all that the files of a journal say into one, or so many last versions, and only then delete them.

        Each line keeps its number, so that a file which somebody else adds meanwhile wins or loses as it would have.
        """
        held, names = self._held(folder)
        number = max(map(journal_number, names), default=0)  # so that numbers never fall back
        if count is not None:
            held = trimmed(held, count)
        self._files.write(folder, self._journal_name(number), (journal_to_bytes(held),), fsync=True)
        for name in names:
            unlink(f"{folder}/{name}")


def _journal(folder: str) -> list[str]:
    return [name for name in entries(folder) if is_journal(name)]
