"""The store in a local folder.

::

    records/ab/<key>.json              what is known of a datum, small values included; a line of JSON, then its digest
    objects/ab/<key>.<digest>.<ext>    the bytes of a large value, in a format that other tools read
    references/<asset>/<number>.jsonl  which datum each partition holds; later files and lines win

A file gets its name when it is complete: it is written under a temporary name in the same folder, and linked or
renamed. So a process killed at any instant leaves whole files, and perhaps a temporary one that nobody reads. A power
cut may cost the files of the last seconds, since nothing waits for the disk; what it tears fails its digest and is
computed again. ``fsync=True`` waits, at about six times the cost of a small datum.
"""

from __future__ import annotations

import errno
import itertools
import json
import mmap
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash

from workflow_assets.errors import CorruptDatumError, StoreError
from workflow_assets.store.base import Asset, Record, Store
from workflow_assets.store.codecs import Buffer

_MAPPED = 1 << 16
"""Objects from this size on are mapped into memory, not read: an array is paged in as it is used."""


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
        self._folders: set[str] = set()
        self._numbers = itertools.count()
        self._root = str(self.folder)

    def __repr__(self) -> str:
        return f"FileStore({self._root!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._root, self.pickles, self.fsync)

    # -- datums -------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raise `StoreError` if the folder cannot be written."""
        with self._explained("be written"):
            probe = f"{self._place('records')}/{self._temporary('probe')}"
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            os.unlink(probe)

    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None if it is not stored, or its record is torn."""
        path = f"{self._root}/records/{key[:2]}/{_checked(key)}.json"
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        try:
            size = os.fstat(descriptor).st_size
            data = os.read(descriptor, size)
            while len(data) < size and (more := os.read(descriptor, size - len(data))):
                data += more
        finally:
            os.close(descriptor)
        return _read_record(key, data)

    def _write_record(self, record: Record, replace: bool) -> Record:
        name = f"{record.key}.json"
        with self._explained("store a datum"):
            folder = self._place("records", record.key[:2])
            if self._write(folder, name, [_write_record(record)], replace=replace):
                return record
            standing = self.find(record.key)
            if standing is not None:
                return standing
            self._write(folder, name, [_write_record(record)], replace=True)  # a torn one stood in the way
            return record

    def _write_object(self, name: str, pieces: Iterable[Buffer]) -> None:
        with self._explained("store a datum"):
            self._write(self._place("objects", name[:2]), name, pieces, replace=True)

    def _read_object(self, name: str) -> Buffer:
        path = f"{self._root}/objects/{name[:2]}/{_checked(name)}"
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < _MAPPED:
                    return bytearray(file.read())
                # Private: a consumer may write to it, and nobody else sees that.
                return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))
        except FileNotFoundError:
            raise CorruptDatumError(f"the object {name} is gone from {self._root}; run again to compute it anew") from None

    # -- references ---------------------------------------------------------------------------------------------

    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Append to the journal of an asset which datum each partition holds now."""
        if not keys:
            return
        lines = "".join(f"{json.dumps([partition, key])}\n" for partition, key in keys.items()).encode()
        with self._explained("note what an asset holds"):
            folder = self._place("references", _folder_name(asset))
            number = max((int(name.partition(".")[0]) for name in _journal(folder)), default=0) + 1
            while not self._write(folder, f"{number:08d}.jsonl", [lines], replace=False):
                number += 1

    def references(self, asset: Asset) -> dict[str, str]:
        """Give, for each partition of an asset, the key of the datum that it holds."""
        folder = f"{self._root}/references/{_folder_name(asset)}"
        held: dict[str, str] = {}
        for name in _journal(folder):
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                held.update(json.loads(line) for line in file)
        return held

    # -- files --------------------------------------------------------------------------------------------------

    def _place(self, *parts: str) -> str:
        folder = "/".join((self._root, *parts))
        if folder not in self._folders:
            os.makedirs(folder, exist_ok=True)
            self._folders.add(folder)
        return folder

    def _temporary(self, name: str) -> str:
        return f".{name[:48]}.{os.getpid()}.{next(self._numbers)}.tmp"

    def _write(self, folder: str, name: str, pieces: Iterable[Buffer], *, replace: bool) -> bool:
        """Write a file whole; tell whether it stands, which it does not where another was there and may stay."""
        temporary, final = f"{folder}/{self._temporary(name)}", f"{folder}/{name}"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileNotFoundError:  # the folder was deleted since
            self._folders.clear()
            os.makedirs(folder, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                for piece in pieces:
                    view = memoryview(piece)
                    while len(view):
                        view = view[os.write(descriptor, view) :]
                if self.fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if replace:
                os.rename(temporary, final)
            else:
                os.link(temporary, final)
                os.unlink(temporary)
        except FileExistsError:
            os.unlink(temporary)
            return False
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise
        if self.fsync:
            parent = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(parent)
            finally:
                os.close(parent)
        return True

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            cure = {
                errno.ENOSPC: "free some space, or give the store another folder",
                errno.EDQUOT: "free some space, or give the store another folder",
                errno.ENOTDIR: "a part of its path is a file; give the store another folder",
                errno.EEXIST: "a part of its path is a file; give the store another folder",
            }.get(error.errno or 0, "check who owns it and how it is mounted, or give the store another folder")
            reason = error.strerror or str(error)
            raise StoreError(f"the store folder {self._root} cannot {what}: {reason}. {cure.capitalize()}") from error


def _reopen(folder: str, pickles: bool, fsync: bool) -> FileStore:
    return FileStore(folder, pickles=pickles, fsync=fsync)


def _checked(name: str) -> str:
    if "/" in name or name.startswith("."):
        raise StoreError(f"{name!r} is no name of a datum or object")
    return name


def _folder_name(asset: Asset) -> str:
    # "." is quoted too, so that no part can mean the folder above.
    return "/".join(urllib.parse.quote(part, safe="").replace(".", "%2E") for part in asset)


def _journal(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".jsonl") and not name.startswith("."))
    except FileNotFoundError:
        return []


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _write_record(record: Record) -> bytes:
    content: dict[str, Any] = {"key": record.key, "codec": record.codec, "digest": record.digest, "size": record.size}
    if record.location is not None:
        content["location"] = record.location
    elif record.inline is not None and record.codec != "json":
        content["inline"] = record.inline.hex()
    content["metrics"] = record.metrics
    if record.records:
        content["records"] = record.records
    content["provenance"] = record.provenance
    text = _encode(content)
    if record.inline is not None and record.codec == "json":
        text = f'{text[:-1]},"value":{record.inline.decode()}}}'  # as it is, for other tools to read
    data = text.encode()
    return b'%b\n"%b"\n' % (data, xxhash.xxh3_128_hexdigest(data).encode())



def _read_record(key: str, data: bytes) -> Record | None:
    """Read a record; None if its digest says that these are not the bytes that were written."""
    text, _, rest = data.partition(b"\n")
    if rest != b'"%b"\n' % xxhash.xxh3_128_hexdigest(text).encode():
        return None
    content = json.loads(text)
    if content["key"] != key:
        return None
    inline = bytes.fromhex(content["inline"]) if "inline" in content else None
    if "value" in content:
        inline = text[-content["size"] - 1 : -1]
    return Record(
        key,
        content["codec"],
        content["digest"],
        content["size"],
        inline,
        content.get("location"),
        content["metrics"],
        tuple((name, value, tags) for name, value, tags in content.get("records", ())),
        content["provenance"],
    )
