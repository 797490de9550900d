"""Mirrors: a folder that stands in for a store in memory, which no other process can reach."""

from __future__ import annotations

from collections.abc import Iterable
from tempfile import TemporaryDirectory
from typing import Self

from workflow_assets.store.base import Asset, MemoryStore, Record, Store
from workflow_assets.store.files import FileStore
from workflow_assets.store.outboxes import Outbox


class Copies:
    """Copies data between a store in memory and a folder that lasts as long as a run.

    Workers are given the `outbox`, the same folder, with what `assets` hold.

    >>> memory = MemoryStore()
    >>> with Copies(memory) as copies:
    ...     copies.out(memory.put("a1", 0.5))
    ...     copies.store.load("a1")
    0.5
    """

    def __init__(self, memory: MemoryStore, assets: Iterable[Asset] = ()) -> None:
        self._memory = memory
        self._folder = TemporaryDirectory(prefix="workflow_assets-", ignore_cleanup_errors=True)
        self._known: dict[str, str] = {}  # the digest of what both have
        self.folder = self._folder.name
        self.store = FileStore(self.folder, pickles=memory.pickles)
        self.outbox: Store = Outbox(self.folder, pickles=memory.pickles)
        for asset in assets:
            held = memory.references(asset)
            self.store.refer(asset, held)
            for record in memory.find_all(held.values()).values():
                self.out(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Copy what is left, such as the notes on what the data were made by, and delete the folder."""
        try:
            others = [key for key in self.store.keys() if key not in self._known]  # noqa: SIM118 - no mapping
            self.back(self.store.find_all(others).values())
        finally:
            self._folder.cleanup()

    def out(self, record: Record) -> None:
        """Let workers find a datum."""
        if self._known.get(record.key) != record.digest:
            self.store.adopt(record, self._memory)
            self._known[record.key] = record.digest

    def back(self, records: Iterable[Record]) -> None:
        """Take over what workers have computed."""
        for record in records:
            if self._known.get(record.key) != record.digest:
                self._memory.adopt(record, self.store)
                self._known[record.key] = record.digest
