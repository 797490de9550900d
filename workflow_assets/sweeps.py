"""Sweeps: deleting what nobody needs any more, and keeping what somebody does.

A datum is needed when a partition holds it, or held it in one of its last versions; when it is pinned; when a running
run has claimed it; and when a needed datum was made from it. Everything else is garbage.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice

from workflow_assets.errors import UnknownNameError
from workflow_assets.provenance import run_key
from workflow_assets.store.base import Record, Store
from workflow_assets.store.records import latest, record_to_bytes
from workflow_assets.store.records import versions as held_versions

_PINNED = ("#pinned",)
"""Where pins are listed; no asset of an experiment or source can be called that."""

_AT_ONCE = 4_000
"""How many records are asked for at once; no more of them are held."""

_UNFINISHED = 3600.0
"""Seconds after which an object that no record names was left by a writer that died, and not by one at work."""


@dataclass(frozen=True)
class Sweep:
    """What a collection of garbage deleted, or would delete.

    `kept` and `deleted` count data; `stripped` those of which only the large files go, while their record stays;
    `objects` all files that go, those included that a killed writer left; `bytes` is what becomes free.
    """

    kept: int
    deleted: int
    stripped: int
    objects: int
    bytes: int
    dry_run: bool

    def __str__(self) -> str:
        would = "would delete" if self.dry_run else "deleted"
        stripped = f", and the files of {self.stripped} whose metrics stay" if self.stripped else ""
        objects = f"{self.objects} object{'' if self.objects == 1 else 's'}"
        return (
            f"{would} {self.deleted} of {self.kept + self.deleted} data{stripped}: {objects}, "
            f"{self.bytes / 1e6:.1f} MB"
        )


def collect_garbage(
    store: Store, *, versions: int = 1, keep_metrics: bool = False, dry_run: bool = False
) -> Sweep:
    """Delete the data that nobody needs any more, and report how many bytes that frees.

    Runs may go on meanwhile: what they use is kept, and their writing waits until this is done.

    >>> from workflow_assets import MemoryStore
    >>> store = MemoryStore()
    >>> for key in ("old", "new"):
    ...     record = store.put(key, key)
    ...     store.refer(("study", "step"), {"0000|baseline": key})
    >>> print(collect_garbage(store))
    deleted 1 of 2 data: 0 objects, 0.0 MB
    >>> store.find("old") is None
    True

    Args:
        store: where to delete.
        versions: how many of the last data that a partition has held are kept, the present one included.
        keep_metrics: delete only the files of large values, and keep what was recorded of them: metrics, provenance.
        dry_run: delete nothing, only report.

    Raises `ValueError` for fewer than one version, and `StoreError` where the store cannot be read or written.
    """
    if not isinstance(versions, int) or versions < 1:
        raise ValueError(f"versions = {versions!r}: keep at least 1, that which a partition holds now")
    with nullcontext() if dry_run else store.deleting():
        needed = _reached(store, _roots(store, versions), _made_from)
        stored = set(store.keys())
        if keep_metrics:  # with the notes on how they were made
            needed |= _reached(store, stored - needed, _notes, include=False)
        dead = stored - needed
        files = {name: (size, age) for name, size, age in store.objects()}
        named, freed, stripped = _files_of(store, needed, files), 0, 0
        doomed: list[str] = []
        for records in _recorded(store, dead):
            for record in records.values():
                if record.location is not None and record.location in files:
                    doomed.append(record.location)
                    stripped += keep_metrics
                if not keep_metrics:
                    freed += len(record_to_bytes(record))
        named.update(doomed)
        doomed += [name for name, (_, age) in files.items() if name not in named and age > _UNFINISHED]
        freed += sum(files[name][0] for name in doomed)
        if not dry_run:
            store.delete(set() if keep_metrics else dead, doomed, versions)
    deleted = 0 if keep_metrics else len(dead)
    return Sweep(len(stored) - deleted, deleted, stripped, len(doomed), freed, dry_run)


def pin(store: Store, *keys: str) -> None:
    """Keep data, and what they were made from, until they are unpinned.

    Raises `UnknownNameError` for a key under which nothing is stored.
    """
    with store.claim() as claim:
        claim.add(keys)
        for key in keys:
            if store.find(key) is None:
                raise UnknownNameError(f"no datum is stored under {key!r}: nothing was pinned")
        store.refer(_PINNED, {key: key for key in keys})


def unpin(store: Store, *keys: str) -> None:
    """Let data be deleted again, if nobody else needs them; raise `UnknownNameError` for one that is not pinned."""
    known = pins(store)
    for key in keys:
        if key not in known:
            raise UnknownNameError(f"{key!r} is not pinned; pinned are: {', '.join(sorted(known)) or 'none'}")
    store.refer(_PINNED, dict.fromkeys(keys, ""))


def pins(store: Store) -> set[str]:
    """Give the keys of the data that are pinned."""
    return set(store.references(_PINNED))


def _roots(store: Store, versions: int) -> set[str]:
    """Give the keys that partitions, pins and running runs name."""
    roots = store.claimed()
    for held in store.journals():
        for partition in latest(held):
            roots.update(held_versions(held[partition])[-versions:])
    return roots


def _reached(
    store: Store, roots: set[str], follow: Callable[[Record], Iterable[str]], *, include: bool = True
) -> set[str]:
    """Give all keys that some lead to, stored or not, and these themselves if they are to be included."""
    reached: set[str] = set(roots) if include else set()
    frontier = roots
    while frontier:
        following: set[str] = set()
        for records in _recorded(store, frontier):
            for record in records.values():
                following.update(follow(record))
        frontier = following - reached
        reached |= frontier
    return reached


def _made_from(record: Record) -> Iterator[str]:
    """Give the keys of what a datum was made from, and of the notes on how."""
    yield from record.provenance.get("inputs", {}).values()
    yield from _notes(record)


def _notes(record: Record) -> Iterator[str]:
    noted = record.provenance
    if "made" in noted:
        yield noted["made"]
    if "code" in noted:
        yield noted["code"]
    if "run" in noted:
        yield run_key(str(noted["run"]))


def _files_of(store: Store, keys: set[str], files: Collection[str]) -> set[str]:
    return {
        record.location
        for records in _recorded(store, keys)
        for record in records.values()
        if record.location is not None and record.location in files
    }


def _recorded(store: Store, keys: Iterable[str]) -> Iterator[dict[str, Record]]:
    pending = iter(keys)
    while some := list(islice(pending, _AT_ONCE)):
        yield store.recorded(some)
