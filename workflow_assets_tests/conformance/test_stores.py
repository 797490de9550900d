"""The stores, each held to the laws of all."""

from pathlib import Path

import pytest

from workflow_assets.store.base import MemoryStore, Store
from workflow_assets.store.files import FileStore
from workflow_assets.store.records import record_from_bytes, record_to_bytes
from workflow_assets.store.signatures import OWN, Policy
from workflow_assets_tests.conformance.stores import StoreLaws


class TestMemoryStore(StoreLaws):
    """The store in memory: who opens it again shares its memory."""

    @pytest.fixture(autouse=True)
    def place(self) -> None:
        """Begin with nothing."""
        self.memory = MemoryStore()

    def open(self, *, pickles: Policy = OWN) -> Store:
        store = MemoryStore(pickles=pickles)
        for part in ("_records", "_objects", "_references", "_claims", "_lock"):
            setattr(store, part, getattr(self.memory, part))
        return store

    def get_object(self, name: str) -> bytes:
        return self.memory._objects[name]

    def set_object(self, name: str, data: bytes | None) -> None:
        self.memory._objects.pop(name, None)
        if data is not None:
            self.memory._objects[name] = data

    def get_record(self, key: str) -> bytes:
        return record_to_bytes(self.memory._records[key])

    def set_record(self, key: str, data: bytes | None) -> None:
        self.memory._records.pop(key, None)
        if data is not None and (record := record_from_bytes(key, data)) is not None:
            self.memory._records[key] = record


class TestFileStore(StoreLaws):
    """The store in a local folder."""

    fsync = False

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        """Begin with no folder."""
        self.folder = tmp_path / "größe" / "store"

    def open(self, *, pickles: Policy = OWN) -> Store:
        return FileStore(self.folder, pickles=pickles, fsync=self.fsync)

    def get_object(self, name: str) -> bytes:
        return self._object(name).read_bytes()

    def set_object(self, name: str, data: bytes | None) -> None:
        self._set(self._object(name), data)

    def get_record(self, key: str) -> bytes:
        (line,) = (line for line in self._lines() if self._is_of(key, line))
        return line

    def set_record(self, key: str, data: bytes | None) -> None:
        *others, last = [line for line in self._lines() if not self._is_of(key, line)] or [b""]
        self._set(self.folder / "records.jsonl", b"".join([*others, last, data or b""]))

    def _lines(self) -> list[bytes]:
        return (self.folder / "records.jsonl").read_bytes().splitlines(keepends=True)

    @staticmethod
    def _is_of(key: str, line: bytes) -> bool:
        return line.startswith(b'{"key":"%b"' % key.encode())

    def _object(self, name: str) -> Path:
        return self.folder / "objects" / name[:2] / name

    @staticmethod
    def _set(path: Path, data: bytes | None) -> None:
        path.unlink(missing_ok=True)  # a new file, as a damaged disk or another tool would leave it
        if data is not None:
            path.write_bytes(data)


class TestFileStoreThatWaitsForTheDisk(TestFileStore):
    """With `fsync`."""

    fsync = True
