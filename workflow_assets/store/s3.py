"""The store in a bucket, of any service that speaks S3.

::

    <prefix>/records/ab/<key>.json              as in a folder: see `FileStore`
    <prefix>/objects/ab/<key>.<digest>.<ext>
    <prefix>/references/<asset>/<number>-….jsonl
    <prefix>/packs/….jsonl.gz                   copies of many records: see `copies`

A record is written on condition that there is none (``If-None-Match: *``), so that of two writers one wins. Large
objects are sent in parts, which become an object when the last has arrived: who is killed before leaves parts that
nobody can read. Give the bucket a rule that deletes incomplete uploads after a few days.
"""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from workflow_assets.errors import CorruptDatumError, StoreError, did_you_mean
from workflow_assets.store.base import Asset, Record, Store
from workflow_assets.store.buckets import AT_ONCE, Bucket, Entry, MissingError, StandingError
from workflow_assets.store.codecs import Buffer
from workflow_assets.store.copies import Copies
from workflow_assets.store.leases import BucketClaim, claimed, deleting
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
    latest,
    record_from_bytes,
    record_to_bytes,
    trimmed,
    versions,
)
from workflow_assets.store.signatures import OWN, Policy

_PLACE = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/+(.*?))?/*")
_OPTIONS = ("key", "secret", "token", "profile", "region", "anon")

_MANY = 200
"""For more names than this, folders are listed; for fewer, each is looked up."""

_PAGE = 1000
_WORTH = 100
"""How many entries of a list cost as much as looking one name up."""


class _Hidden(dict[str, Any]):
    """Options that may be secret, and do not show."""

    def __repr__(self) -> str:
        return "{...}"


class S3Store(Store):
    """A store in a bucket, safe for several processes and machines at once.

    Credentials are found where every S3 client looks for them: the environment, `~/.aws`, the machine's role.

    >>> S3Store("s3://results/study", endpoint_url="http://127.0.0.1:9000")
    S3Store('s3://results/study', endpoint_url='http://127.0.0.1:9000')

    Args:
        place: the bucket, which must exist, and where in it: `s3://bucket/prefix`.
        endpoint_url: the service, if it is not Amazon's; else `AWS_ENDPOINT_URL` names it.
        options: `key`, `secret`, `token`, `profile`, `region` or `anon`, as s3fs calls them; they are shown nowhere.
        pickles: what to do with values that have no format of their own. Loading a pickle executes what it says. "own":
            pickles are written and signed with a key of yours, and only those with your signature are loaded; machines
            that share a bucket share the key in `WORKFLOW_ASSETS_KEY`. True: all are loaded, so that nobody else may
            write to the bucket. False: none is written or loaded.
        attempts: how often to try what a busy service or a bad connection fails, waiting longer each time.

    Raises `StoreError` for a place that is none, and an option that there is not.
    """

    at_once: ClassVar[int] = AT_ONCE // 2

    def __init__(
        self,
        place: str,
        *,
        endpoint_url: str | None = None,
        options: Mapping[str, Any] | None = None,
        pickles: Policy = OWN,
        attempts: int = 8,
    ) -> None:
        super().__init__(pickles=pickles)
        matched = _PLACE.fullmatch(place)
        if matched is None or not {".", ".."}.isdisjoint((matched[2] or "").split("/")):
            raise StoreError(
                f"{place!r} is no place in a bucket: expected 's3://bucket' or 's3://bucket/prefix'"
            )
        if endpoint_url is not None and not re.fullmatch(r"https?://[^@\s?#]+", endpoint_url):
            raise StoreError(
                "the endpoint's URL is not one: expected http://host:port or https://host, and credentials in "
                "`options` or the environment"
            )
        for name in options or ():
            if name not in _OPTIONS:
                raise StoreError(f"an S3 store has no option {name!r}: {did_you_mean(name, _OPTIONS)}")
        if attempts < 1:
            raise StoreError(f"attempts is {attempts}: expected at least one")
        prefix = f"{matched[2]}/" if matched[2] else ""
        self._bucket = Bucket(matched[1], prefix, endpoint_url, _Hidden(options or {}), attempts)
        self._copies = Copies(self._bucket)
        self._journals: dict[str, dict[str, Held]] = {}

    def __repr__(self) -> str:
        url = self._bucket.endpoint_url
        return f"S3Store({self._place!r}{f', endpoint_url={url!r}' if url else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        bucket = self._bucket
        return _reopen, (self._place, bucket.endpoint_url, bucket.options, self.pickles, bucket.attempts)

    @property
    def _place(self) -> str:
        return f"s3://{self._bucket.name}/{self._bucket.prefix}".rstrip("/")

    # -- datums -------------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raise `StoreError` if the bucket cannot be written, or its service knows no conditions."""
        name = f"objects/.{self._bucket.unique()}"
        self._bucket.put(name, b"")
        try:
            self._bucket.put(name, b"", only_if_new=True)
        except StandingError:
            return
        finally:
            self._delete([name])
        raise StoreError(
            f"the service of {self!r} ignores 'If-None-Match: *', so that two writers would overwrite each other: use "
            "one that knows conditional writes, such as Amazon S3, MinIO, SeaweedFS or Ceph in their present versions"
        )

    def find(self, key: str) -> Record | None:
        """Give the record of a datum, or None if it is not stored, or not whole."""
        record, _, _ = self._look_up(key)
        if record is None or record.location is None:
            return record
        return record if self._size(_object_name(record.location)) == record.size else None

    def find_all(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give the records of those datums that are stored and whole, by key, asking for many at once."""
        return self._whole(self.recorded(keys))

    def recorded(self, keys: Iterable[str]) -> dict[str, Record]:
        """Give what was recorded of data, also of those whose bytes are gone, by key, asking for many at once."""
        names = {_record_name(key): key for key in keys}
        listed, unlisted = self._listed(names)
        tags = {names[name]: entry.tag for name, entry in listed.items()}
        copies = self._copies.read(tags) if len(tags) > _MANY else {}
        found = {}
        for key, line in copies.items():
            if (record := record_from_bytes(key, line)) is not None:
                found[key] = record
        others = [key for key in (*tags, *(names[name] for name in unlisted)) if key not in found]
        for key, (record, tag, line) in zip(others, self._bucket.map(self._look_up, others), strict=True):
            if record is not None:
                found[key] = record
                if tags.get(key) == tag:
                    self._copies.note(key, tag, line)
        return found

    def keys(self) -> Iterator[str]:
        """Give the key of every record in the bucket, in any order."""
        for entry in self._bucket.entries("records/"):
            _, folder, last = (*entry.name.split("/"), "", "")[:3]
            if last.endswith(".json") and is_name(key := last[:-5]) and folder == key[:2]:
                yield key

    def _look_up(self, key: str) -> tuple[Record | None, str, bytes]:
        """Give the record of a datum, whole or not, with the tag and the bytes that it was read from."""
        try:
            data, tag = self._bucket.get(_record_name(key))
        except MissingError:
            return None, "", b""
        return record_from_bytes(key, line := bytes(data)), tag, line

    def _whole(self, records: dict[str, Record]) -> dict[str, Record]:
        """Give those records whose objects are there, with the right size."""
        names = {_object_name(one.location): one for one in records.values() if one.location is not None}
        listed, unlisted = self._listed(names)
        sizes: dict[str, int | None] = {name: entry.size for name, entry in listed.items()}
        sizes.update(zip(unlisted, self._bucket.map(self._size, unlisted), strict=True))
        for name, record in names.items():
            if sizes.get(name) != record.size:
                del records[record.key]
        return records

    def _size(self, name: str) -> int | None:
        try:
            return self._bucket.size(name)
        except MissingError:
            return None

    def _listed(self, names: Collection[str]) -> tuple[dict[str, Entry], list[str]]:
        """Look for many names by listing what is there; give what was found, and the names that this left open.

        They are left open where there are few, and where so much else is there that looking up each of them is quicker.
        """
        if len(names) <= _MANY:
            return {}, list(names)
        starts: dict[str, set[str]] = {}
        for name in names:
            starts.setdefault(name[: name.index("/") + 2], set()).add(name)

        def walk(start: str) -> tuple[dict[str, Entry], set[str]]:
            wanted = starts[start]
            entries = self._bucket.entries(start)
            found = {
                entry.name: entry
                for entry in itertools.islice(entries, _PAGE + _WORTH * len(wanted))
                if entry.name in wanted
            }
            return found, wanted - found.keys() if next(entries, None) is not None else set()

        found: dict[str, Entry] = {}
        left: list[str] = []
        for listed, unlisted in self._bucket.map(walk, starts):
            found.update(listed)
            left.extend(unlisted)
        return found, left

    def _write_record(self, record: Record, replace: bool) -> Record:
        name, line = _record_name(record.key), record_to_bytes(record)
        try:
            tag = self._bucket.put(name, line, only_if_new=not replace)
        except StandingError:
            standing = self.find(record.key)
            if standing is not None:
                return standing
            tag = self._bucket.put(name, line)  # a damaged one stood in the way
        self._copies.note(record.key, tag, line)
        return record

    def _write_object(self, name: str, pieces: Sequence[Buffer]) -> None:
        self._bucket.put_pieces(_object_name(name), pieces)

    def _read_object(self, name: str) -> Buffer:
        try:
            return self._bucket.get(_object_name(name))[0]
        except MissingError:
            raise CorruptDatumError(
                f"the object {name} is gone from {self!r}; run again to compute it anew"
            ) from None

    # -- deleting -----------------------------------------------------------------------------------------------

    def _set_aside(self, name: str) -> None:
        self._delete([_object_name(name)])

    def claim(self) -> BucketClaim:
        """Begin to use data, which nobody may delete meanwhile."""
        return BucketClaim(self._bucket)

    def claimed(self) -> set[str]:
        """Give the keys of the data that are being used."""
        return claimed(self._bucket)

    def deleting(self) -> AbstractContextManager[None]:
        """Make those wait who claim data from now on."""
        return deleting(self._bucket)

    def objects(self) -> Iterator[tuple[str, int, float]]:
        """Give each object's name, its bytes, and the seconds since it was written."""
        for entry in self._bucket.entries("objects/"):
            yield entry.name[len("objects/ab/") :], entry.size, entry.age

    def delete(self, keys: Collection[str], objects: Iterable[str], versions: int) -> None:
        """Delete copies of records, records, then objects, and forget all but the last versions of each partition."""
        if keys:
            self._copies.drop(keys)
            self._bucket.delete(map(_record_name, keys))
        self._bucket.delete(map(_object_name, objects))
        for folder in self._journal_folders():
            self._merge(folder, versions)

    # -- references ---------------------------------------------------------------------------------------------

    def refer(self, asset: Asset, keys: Mapping[str, str]) -> None:
        """Append to the journal of an asset which datum each partition holds now."""
        if not keys:
            return
        folder = _journal_folder(asset)
        names = self._journal(folder)
        number = max(map(journal_number, names), default=0) + 1
        held = {partition: [(number, key)] for partition, key in keys.items()}
        self._bucket.put(folder + journal_name(number, self._bucket.unique()), journal_to_bytes(held))
        if len(names) >= LONGEST_JOURNAL:
            self._merge(folder)
        self._copies.flush()

    def _merge(self, folder: str, count: int | None = None) -> None:
        """Put all that the files of a journal say into one, or so many last versions, and only then delete them.

        Lines keep their numbers, so that a file which somebody else adds meanwhile wins or loses as it would have.
        """
        held, names = self._held(folder)
        number = max(map(journal_number, names), default=0)  # so that numbers never fall back
        if count is not None:
            held = trimmed(held, count)
        self._bucket.put(folder + journal_name(number, self._bucket.unique()), journal_to_bytes(held))
        self._delete([folder + name for name in names])

    def references(self, asset: Asset) -> dict[str, str]:
        """Give, for each partition of an asset, the key of the datum that it holds."""
        held, _ = self._held(_journal_folder(asset))
        return latest(held)

    def versions(self, asset: Asset, partition: str = "") -> list[str]:
        """Give the keys of the data that a partition has held, the present one last."""
        held, _ = self._held(_journal_folder(asset))
        return versions(held.get(partition, ()))

    def journals(self) -> Iterator[Held]:
        """Give what each asset's partitions have held."""
        for folder in self._journal_folders():
            yield self._held(folder)[0]

    def _journal_folders(self) -> list[str]:
        names = (entry.name.rpartition("/") for entry in self._bucket.entries("references/"))
        return list(dict.fromkeys(f"{folder}/" for folder, _, name in names if is_journal(name)))

    def _journal(self, folder: str) -> list[str]:
        names = (entry.name[len(folder) :] for entry in self._bucket.entries(folder, delimiter="/"))
        return [name for name in names if is_journal(name)]

    def _held(self, folder: str) -> tuple[Held, list[str]]:
        """Read a journal; give what it says, and the names of its files, each of which is read once."""
        for patience in range(1000, -1, -1):
            names = self._journal(folder)
            known = self._journals.get(folder, {})
            try:
                new = [name for name in names if name not in known]
                lines = dict(
                    zip(new, self._bucket.map(self._lines, [folder + name for name in new]), strict=True)
                )
                break
            except MissingError:  # merged meanwhile, into a file that we do not know of
                if not patience:
                    raise StoreError(
                        f"the references {folder} of {self!r} change faster than they can be read"
                    ) from None
        files = {name: known[name] if name in known else lines[name] for name in names}
        self._journals[folder] = files
        held: Held = {}
        for one in files.values():
            for partition, notes in one.items():
                known_notes = held.setdefault(partition, [])
                known_notes += [note for note in notes if note not in known_notes]
        return held, names

    def _lines(self, name: str) -> Held:
        held: Held = {}
        journal_from_bytes(self._bucket.get(name)[0], held)
        return held

    def _delete(self, names: Iterable[str]) -> None:
        """Delete objects, if that is allowed: none of them is missed or in the way."""
        with contextlib.suppress(StoreError):
            self._bucket.delete(names)


def _record_name(key: str) -> str:
    return f"records/{checked(key)[:2]}/{key}.json"


def _object_name(name: str) -> str:
    return f"objects/{checked(name)[:2]}/{name}"


def _journal_folder(asset: Asset) -> str:
    return "/".join(("references", *map(folder_name, asset), ""))


def _reopen(
    place: str, endpoint_url: str | None, options: Mapping[str, Any], pickles: Policy, attempts: int
) -> S3Store:
    return S3Store(place, endpoint_url=endpoint_url, options=options, pickles=pickles, attempts=attempts)
