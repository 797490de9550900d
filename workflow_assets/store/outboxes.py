"""An outbox: a folder for what is large, and what is small kept at hand, to be handed over with other news."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from workflow_assets.store.base import Asset, Record
from workflow_assets.store.files import FileStore
from workflow_assets.store.signatures import OWN, Policy


class Outbox(FileStore):
    """The folder that a worker puts data into, but for small ones: those it sends along when it tells what is done.

    Who opens it elsewhere does not find them. A worker that is killed loses those of its last task, which is short.
    """

    def __init__(self, folder: str | os.PathLike[str], *, pickles: Policy = OWN, fsync: bool = False) -> None:
        super().__init__(folder, pickles=pickles, fsync=fsync)
        self._kept: dict[str, Record] = {}
        self._referred: dict[Asset, dict[str, str]] = {}

    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None."""
        return self._kept.get(key) or super().find(key)

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the records of those datums that are stored and whole, by key."""
        asked = list(keys)
        kept = {key: self._kept[key] for key in asked if key in self._kept}
        return {**super().find_all(key for key in asked if key not in kept), **kept}

    def _write_record(self, record: Record, replace: bool) -> Record:
        if record.location is not None:
            return super()._write_record(record, replace)
        if not replace and (standing := self.find(record.key)) is not None:
            return standing
        self._kept[record.key] = record
        return record

    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Note for partitions of an asset which datum each holds now."""
        super().refer(asset, keys)
        self._referred.setdefault(asset, {}).update(keys)

    def publish(self) -> None:
        """Put what was kept into the folder, where other workers find it."""
        for record in self.taken().values():
            super()._write_record(record, replace=True)

    def referred(self) -> dict[Asset, dict[str, str]]:
        """Give which references were made, once."""
        made, self._referred = self._referred, {}
        return made

    def taken(self) -> dict[str, Record]:
        """Give what was kept, once."""
        kept, self._kept = self._kept, {}
        return kept
