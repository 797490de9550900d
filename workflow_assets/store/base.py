"""One interface for every store, and the store in memory.

A datum exists when its record exists, and the record is written last. A record once written is never changed, except
by a run that was told to compute it again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar

from workflow_assets.errors import CorruptDatumError, StoreError, UnknownNameError, did_you_mean
from workflow_assets.store.claims import Claim, MemoryClaim
from workflow_assets.store.codecs import Buffer, Encoded, IsSigned, decode, encode, extension
from workflow_assets.store.records import Held, Record, checked, content_digest, latest, trimmed, versions
from workflow_assets.store.signatures import OWN, Policy, checked_policy, is_own, sign

__all__ = ["INLINE", "Asset", "MemoryStore", "Record", "Store"]

INLINE = 2048
"""Values of up to this many bytes sit inside their record."""

_REMEMBERED = 100_000
"""How many objects a store remembers to have verified."""

Asset = tuple[str, ...]


class Store(ABC):
    """Immutable values by compute key, and for each asset's partition the key of the value that it holds.

    Every store keeps these laws: `find` gives a record only of a whole datum; of two writers of one key, one wins and
    the other is given the winner's record; what `load` gives equals what was put, and is the caller's own; bytes are
    verified against their digest before they are first used; without `pickles`, nothing that was stored is executed,
    and no module imported that is not loaded yet; with ``pickles="own"``, only what its user has signed is.
    """

    pickles: Policy

    at_once: ClassVar[int] = 1
    """How many data are worth looking for or putting at a time."""

    def __init__(self, *, pickles: Policy = True) -> None:
        self.pickles = checked_policy(pickles)
        self._verified: set[tuple[str, str]] = set()

    # -- datums -------------------------------------------------------------------------------------------------

    @abstractmethod
    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None if it is not stored or not whole.

        Raises `StoreError` for a key that is no name, and where the store cannot be read.
        """

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the records of those datums that are stored and whole, by key; far stores ask for many at once.

        >>> store = MemoryStore()
        >>> record = store.put("a1", 0.5)
        >>> list(store.find_all(["a1", "a2"]))
        ['a1']

        Raises `StoreError` for a key that is no name, and where the store cannot be read.
        """
        found = ((key, self.find(key)) for key in dict.fromkeys(keys))
        return {key: record for key, record in found if record is not None}

    @abstractmethod
    def keys(self) -> Iterator[str]:
        """Give the keys of all datums, in any order and without looking into them: `find` tells which are whole.

        Raises `StoreError` where the store cannot be read.
        """

    @abstractmethod
    def check_writable(self) -> None:
        """Raise `StoreError` if nothing can be written, before anything is computed in vain."""

    @abstractmethod
    def _write_object(self, name: str, pieces: Sequence[Buffer]) -> None:
        """Write an object whole or not at all, in place of one that is there."""

    def _store_object(self, name: Callable[[str], str], pieces: Sequence[Buffer]) -> str:
        """Write an object under the name that its digest gives it; give the digest."""
        digest = content_digest(pieces)
        self._write_object(name(digest), pieces)
        return digest

    @abstractmethod
    def _read_object(self, name: str) -> Buffer:
        """Give an object's bytes: read-only, or the caller's own; raise `CorruptDatumError` if it is gone."""

    @abstractmethod
    def _write_record(self, record: Record, replace: bool) -> Record:
        """Write a record; give the one that stands, which is another writer's if that one was first."""

    def put(
        self,
        key: str,
        value: Any,
        *,
        metrics: Mapping[str, Any] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Record:
        """Store a value; give the record that stands.

        Raises `CodecError` for a value that no codec can hold, and `StoreError` where it cannot be written.
        """
        encoded = encode(value, pickles=self.pickles, place=f"the value of {key}", snapshot=False)
        return self.put_encoded(key, encoded, metrics=metrics or {}, provenance=provenance or {})

    def put_encoded(
        self,
        key: str,
        encoded: Encoded,
        *,
        metrics: Mapping[str, Any],
        provenance: Mapping[str, Any],
        records: tuple[tuple[str, Any, Mapping[str, Any]], ...] = (),
        replace: bool = False,
    ) -> Record:
        """Store bytes; with `replace`, in place of those that are there. Afterwards, `encoded` holds no large ones.

        Raises `StoreError` where they cannot be written, and `CodecError` for metrics that are no plain values.
        """
        checked(key)
        if encoded.libraries:
            provenance = {**provenance, "libraries": encoded.libraries}
        size = encoded.size
        signature = "" if encoded.active is None else self._signature(key, encoded)
        location = inline = None
        if size <= INLINE:
            inline = encoded.bytes()
            digest = content_digest(encoded.pieces)
        else:
            digest = self._store_object(lambda digest: _name(key, digest, encoded.codec), encoded.pieces)
            name = location = _name(key, digest, encoded.codec)
            encoded.settle(lambda: self._read_object(name), self._checker(key, encoded.codec, signature))
        record = Record(
            key,
            encoded.codec,
            digest,
            size,
            inline,
            location,
            dict(metrics),
            records,
            dict(provenance),
            signature,
        )
        return self._write_record(record, replace)

    def adopt(self, record: Record, other: Store) -> None:
        """Take a datum over from another store, its bytes as they are.

        Raises `StoreError` where it cannot be read or written.
        """
        if record.location is not None:
            self._write_object(checked(record.location), [other._read_object(record.location)])
        self._write_record(record, replace=True)

    def would_load(self, record: Record, encoded: Encoded) -> bool:
        """Tell whether the value of a record, which are these bytes, is one that `load` takes for the user's own."""
        if encoded.active is None:
            return True
        signature = self._signature(record.key, encoded)
        return not signature or signature == record.signature

    def _signature(self, key: str, encoded: Encoded) -> str:
        """Sign what loading a value executes, where that is the store's policy."""
        if self.pickles != OWN:
            return ""
        try:
            return sign(key, encoded.codec, encoded.active or ())
        except StoreError:
            if encoded.pickled:
                raise
            return ""  # its classes are found where their modules are loaded

    def _checker(self, key: str, codec: str, signature: str) -> IsSigned | None:
        """Give what tells whether stored bytes are the user's own, where that is the store's policy."""
        return partial(is_own, signature, key, codec) if self.pickles == OWN else None

    def load(self, record: Record | str) -> Any:
        """Give a datum's value, the caller's own to change.

        Raises `UnknownNameError` for a key that is not stored, `CorruptDatumError` for bytes that are not what was
        written, `CodecError` where they cannot be decoded, or are a pickle that the store's policy does not allow, and
        `StoreError` where the user's key is not safe.
        """
        if isinstance(record, str):
            found = self.find(record)
            if found is None:
                raise UnknownNameError(f"no datum is stored under {record!r}")
            record = found
        data = record.inline if record.location is None else self._read_object(checked(record.location))
        if data is None:
            raise CorruptDatumError(f"the record of {record.key} holds neither a value nor where it is")
        if record.location is None:
            self.verify(record, data)
        elif (record.location, record.digest) not in self._verified:
            try:
                self.verify(record, data)
            except CorruptDatumError:
                self._set_aside(record.location)
                raise
            if len(self._verified) >= _REMEMBERED:
                self._verified.clear()
            self._verified.add((record.location, record.digest))
        trusted = self.pickles is True
        checker = self._checker(record.key, record.codec, record.signature)
        return decode(record.codec, data, pickles=trusted, imports=trusted, is_signed=checker)

    def glance(self, record: Record) -> Buffer | None:
        """Give a datum's bytes as they lie, not verified, to look at their beginning; None where that takes time.

        Stores that are far have none at hand.
        """
        if record.location is None:
            return record.inline
        try:
            return self._read_object(checked(record.location)) if self.at_once == 1 else None
        except StoreError:
            return None

    def damage(self, record: Record) -> str:
        """Read a datum's bytes again, and say what is wrong with them; "" if nothing is.

        What is damaged is set aside, if possible, so that the datum is computed again.
        """
        if record.location is not None:
            self._verified.discard((record.location, record.digest))
        try:
            data = record.inline if record.location is None else self._read_object(checked(record.location))
            self.verify(record, b"" if data is None else data)
        except CorruptDatumError as error:
            if record.location is not None:
                self._set_aside(record.location)
            return str(error)
        return ""

    def verify(self, record: Record, data: Buffer) -> None:
        """Raise `CorruptDatumError` if bytes are not those that the record promises."""
        if len(data) != record.size or content_digest([data]) != record.digest:
            raise CorruptDatumError(
                f"the datum {record.key} is damaged: its {record.size} bytes do not have the digest they were written "
                "with. Run again to compute it anew"
            )

    @abstractmethod
    def _set_aside(self, name: str) -> None:
        """Take an object out of the way that turned out to be damaged, if possible: its datum is found no more."""

    def sync(self) -> None:  # noqa: B027 - only a store that writes to a disk has to wait for it
        """Wait until the records that were written cannot be lost by a power cut.

        Raises `StoreError` where that cannot be done.
        """

    # -- deleting -----------------------------------------------------------------------------------------------

    @abstractmethod
    def recorded(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give what was recorded of data, also of those whose bytes are gone, by key."""

    @abstractmethod
    def claim(self) -> Claim:
        """Begin to use data: what is added to the claim before it is looked for, nobody deletes until its end."""

    @abstractmethod
    def claimed(self) -> set[str]:
        """Give the keys of the data that are being used."""

    @abstractmethod
    def deleting(self) -> AbstractContextManager[None]:
        """Keep others from putting and claiming data meanwhile, or make them wait."""

    @abstractmethod
    def objects(self) -> Iterator[tuple[str, int, float]]:
        """Give each object's name, its bytes, and the seconds since it was written, those that no record names too."""

    @abstractmethod
    def delete(self, keys: Collection[str], objects: Iterable[str], versions: int) -> None:
        """Delete records, then objects, and forget all but the last versions of what each partition held.

        For a collector of garbage, while it is `deleting`; killed at any point it leaves whole data.
        """

    # -- references ---------------------------------------------------------------------------------------------

    @abstractmethod
    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Note for partitions of an asset which datum each holds now, "" for none.

        The partition "" is that of an unpartitioned asset.
        """

    @abstractmethod
    def references(self, asset: Asset) -> dict[str, str]:
        """Give, for each partition of an asset, the key of the datum that it holds."""

    @abstractmethod
    def versions(self, asset: Asset, partition: str = "") -> list[str]:
        """Give the keys of the data that a partition has held, the present one last."""

    @abstractmethod
    def journals(self) -> Iterator[Held]:
        """Give, for each asset, what its partitions have held."""

    def load_asset(self, asset: Asset, partition: str = "") -> Any:
        """Give the value that a partition of an asset holds.

        Raises `UnknownNameError` naming near matches where it holds none.
        """
        references = self.references(asset)
        if partition not in references:
            path = "/".join(asset)
            if not references:
                raise UnknownNameError(f"asset {path!r} is not in this store: materialise it first")
            raise UnknownNameError(
                f"asset {path!r} has no partition {partition!r} in this store: {did_you_mean(partition, references)}"
            )
        return self.load(references[partition])


def _name(key: str, digest: str, codec: str) -> str:
    return f"{key}.{digest[:16]}.{extension(codec)}"


class MemoryStore(Store):
    """A store that lasts as long as the process.

    >>> store = MemoryStore()
    >>> store.load(store.put("a1", {"n": 1}))
    {'n': 1}
    """

    def __init__(self, *, pickles: Policy = True) -> None:
        super().__init__(pickles=pickles)
        self._records: dict[str, Record] = {}
        self._objects: dict[str, bytes] = {}
        self._references: dict[Asset, Held] = {}
        self._claims: set[MemoryClaim] = set()
        self._lock = threading.RLock()

    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None."""
        record = self._records.get(key)
        if record is None:
            checked(key)
            return None
        return record if record.location is None or record.location in self._objects else None

    def keys(self) -> Iterator[str]:
        """Give the keys of all datums, in any order."""
        return iter(list(self._records))

    def check_writable(self) -> None:
        """Do nothing: memory can always be written."""

    def _write_object(self, name: str, pieces: Sequence[Buffer]) -> None:
        self._objects[name] = b"".join(pieces)

    def _read_object(self, name: str) -> Buffer:
        if name not in self._objects:
            raise CorruptDatumError(f"the object {name} is gone; run again to compute it anew")
        return self._objects[name]

    def _write_record(self, record: Record, replace: bool) -> Record:
        with self._lock:
            if (
                not replace
                and record.key in self._records
                and (standing := self.find(record.key)) is not None
            ):
                return standing
            self._records[record.key] = record
            return record

    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Note for partitions of an asset which datum each holds now."""
        with self._lock:
            held = self._references.setdefault(asset, {})
            for partition, key in keys.items():
                notes = held.setdefault(partition, [])
                notes.append((len(notes), key))

    def assets(self) -> tuple[Asset, ...]:
        """Give the assets that hold something, or did."""
        return tuple(self._references)

    def references(self, asset: Asset) -> dict[str, str]:
        """Give, for each partition of an asset, the key of the datum that it holds."""
        with self._lock:
            return latest(self._references.get(asset, {}))

    def versions(self, asset: Asset, partition: str = "") -> list[str]:
        """Give the keys of the data that a partition has held, the present one last."""
        return versions(self._references.get(asset, {}).get(partition, ()))

    def journals(self) -> Iterator[Held]:
        """Give, for each asset, what its partitions have held."""
        yield from tuple(self._references.values())

    def recorded(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give what was recorded of data, by key."""
        return {key: self._records[key] for key in keys if key in self._records}

    def _set_aside(self, name: str) -> None:
        self._objects.pop(name, None)

    def claim(self) -> MemoryClaim:
        """Begin to use data."""
        return MemoryClaim(self._claims, self._lock)

    def claimed(self) -> set[str]:
        """Give the keys of the data that are being used."""
        return set().union(*(claim.keys for claim in self._claims))

    def deleting(self) -> AbstractContextManager[Any]:
        """Keep others from putting and claiming data meanwhile."""
        return self._lock

    def objects(self) -> Iterator[tuple[str, int, float]]:
        """Give each object's name and its bytes."""
        for name, data in tuple(self._objects.items()):
            yield name, len(data), 0.0

    def delete(self, keys: Collection[str], objects: Iterable[str], versions: int) -> None:
        """Delete records and objects, and forget all but the last versions of what each partition held."""
        for key in keys:
            self._records.pop(key, None)
        for name in objects:
            self._objects.pop(name, None)
        for asset, held in self._references.items():
            self._references[asset] = trimmed(held, versions)
