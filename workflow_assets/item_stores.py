"""Item stores: what is kept of the items of a step, in chunks under the items' own keys."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workflow_assets.callers import Recorded
from workflow_assets.canonical import digest
from workflow_assets.store.base import Asset, Store
from workflow_assets.store.codecs import encode

CHUNK = 1_000
"""How many items are stored together at most, and how many seconds go by until some are."""
_SECONDS = 5.0
_QUICK = 1e-4
"""Seconds below which an item is not worth looking at the clock for."""

_ITEMS = "items-"


@dataclass
class Collection:
    """What a step on each item came to: the items' labels, in the order of their collection, and their values."""

    labels: Sequence[Any]
    keyed: bool
    values: list[Any] = field(default_factory=list)

    def whole(self) -> Any:
        """Give the list, or the mapping, of the values."""
        return dict(zip(self.labels, self.values, strict=True)) if self.keyed else self.values


def items_asset(owner: str, slot: str, key: str) -> Asset:
    """Name what refers to the stored items of a step."""
    return (owner, slot, f"{_ITEMS}{key[:16]}")


def is_of_items(asset: Asset, owner: str) -> bool:
    """Whether an asset is what refers to stored items."""
    return len(asset) == 3 and asset[0] == owner and asset[2].startswith(_ITEMS)


def partial_key(key: str) -> str:
    """Give the key of what the items of a datum came to of which some failed."""
    return digest("partial", key)


def items_key(key: str) -> str:
    """Give the key of the table of a datum's items."""
    return digest("item table", key)


class Found(NamedTuple):
    """What is stored of an item: its value, what was recorded of it, and the seconds that it took in this run, or 0."""

    value: Any
    recorded: Recorded
    seconds: float


class _Chunk(NamedTuple):
    """What is stored of some items: the key of their values, what was recorded of them by their places, and seconds."""

    values_key: str
    recorded: Mapping[int, Recorded]
    seconds: Sequence[float] | None


class ItemStore:
    """What is stored of the items of a step, in chunks: the keys of their items, and their values."""

    def __init__(self, store: Store, asset: Asset, provenance: Mapping[str, Any]) -> None:
        self.store = store
        self.asset = asset
        self.provenance = provenance
        self._places: dict[str, tuple[_Chunk, int]] | None = None  # not looked for yet
        self._loaded: tuple[str, list[Any]] = ("", [])
        self._pending: dict[str, int] = {}  # the keys of what is kept, with their places
        self._values: list[Any] = []
        self._recorded: dict[int, Recorded] = {}
        self._times: list[float] = []
        self._since = time.monotonic()

    def find(self, key: str) -> Found | None:
        """Give what is stored of an item."""
        if (place := self._pending.get(key)) is not None:
            return Found(self._values[place], self._recorded.get(place, []), 0.0)
        if self._places is None:
            self._places = {}
            for name, held in self.store.references(self.asset).items():
                record = None if "." in name else self.store.find(held)
                if record is not None:
                    keys, values_key, recorded, seconds = self.store.load(record)
                    now = record.provenance.get("run") == self.provenance["run"]
                    chunk = _Chunk(values_key, dict(recorded), seconds if now else None)
                    self._places.update((one, (chunk, place)) for place, one in enumerate(keys))
        if key not in self._places:
            return None
        chunk, place = self._places[key]
        if self._loaded[0] != chunk.values_key:
            record = self.store.find(chunk.values_key)
            if record is None:
                return None
            self._loaded = (chunk.values_key, self.store.load(record))
        seconds = 0.0 if chunk.seconds is None else chunk.seconds[place]
        return Found(self._loaded[1][place], chunk.recorded.get(place, []), seconds)

    def add(self, key: str, value: Any, recorded: Recorded, seconds: float) -> None:
        """Keep what an item came to, which took so long; it is stored with others."""
        count = self._pending[key] = len(self._values)
        if recorded:
            self._recorded[count] = recorded
        self._values.append(value)
        self._times.append(seconds)
        if count + 1 >= CHUNK or (seconds > _QUICK and time.monotonic() - self._since > _SECONDS):
            self.write()

    def tell(self, key: str, table: Mapping[str, Any]) -> None:
        """Store what is told of each item of a datum, in place of what was told before."""
        self._put(items_key(key), table)
        self.store.refer(self.asset, {".table": items_key(key)})

    def leave(self, key: str, collection: Collection) -> None:
        """Store what the items came to of which some failed, for steps on each that follow."""
        self._put(partial_key(key), (list(collection.labels), collection.keyed, collection.values))
        self.store.refer(self.asset, {".partial": partial_key(key)})

    def _put(self, key: str, value: Any) -> None:
        """Store in place of what is there: what was forced counts, not what it was before."""
        encoded = encode(value, pickles=self.store.pickles, place=f"items of {self.asset[1]!r}")
        self.store.put_encoded(key, encoded, metrics={}, provenance=self.provenance, replace=True)

    def write(self) -> None:
        """Store what was kept."""
        self._since = time.monotonic()
        if not self._pending:
            return
        name = digest("items", *self._pending)
        values_key = digest("values", name)
        self._put(values_key, self._values)
        self._put(
            name,
            [
                list(self._pending),
                values_key,
                list(self._recorded.items()),
                [round(one, 6) for one in self._times],
            ],
        )
        self.store.refer(self.asset, {name[:16]: name, f"{name[:16]}.values": values_key})
        if self._places is not None:
            chunk = _Chunk(values_key, self._recorded, None)
            self._places.update((key, (chunk, place)) for key, place in self._pending.items())
        self._pending, self._values, self._recorded, self._times = {}, [], {}, []
