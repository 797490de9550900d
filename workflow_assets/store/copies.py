"""Copies of many records in few objects, so that to find 20,000 of them takes a few requests and not 20,000.

A pack is lines of JSON, compressed with gzip: ``["<tag>", <record>]``, with the tag that the service gave to the
record's own object. Who asks has listed these objects, and takes a copy only if the tag is still the same: what was
replaced, deleted or damaged since is never served, whoever did it and however. So packs can be written, merged and lost
at any time, by anybody; a damaged one costs the requests that it would have saved.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping

import xxhash

from workflow_assets.errors import StoreError
from workflow_assets.store.buckets import Bucket, Entry, MissingError

_FOLDER = "packs/"
_ENDING = ".jsonl.gz"
_FULL = f"{_FOLDER}full-"
"""What the names of packs begin with that are not merged again."""

_WORTHWHILE = 100
_MOST_PENDING = 2000
"""How many records one pack is written for: at the end of a run, and in the middle of it."""

_MOST_PACKS = 64
"""How many packs there may be, full ones aside, before they are merged."""

_LONGEST_LINE = 8 << 10
_TEXT = 8 << 20
"""How long the lines of a full pack are, together; so much memory is held, whatever the store holds."""

_PIECE = 1 << 20
_MOST_TEXT = 32 << 20
"""More than this in a pack is not read: it is none of ours."""

_PACKS_AT_ONCE = 4
_BYTES_PER_RECORD = 64 << 10
"""Reading so many bytes of packs takes as long as looking one record up."""

_TAG = re.compile(r"[\w.+/=-]{1,200}", re.ASCII)
_LINE = re.compile(rb'\["([\w.+/=-]+)",(\{"key":"([\w.-]+)".*\})\]', re.ASCII)
"""A line, with the tag, the record and its key."""


class Copies:
    """The copies of records in a bucket: a cache, which the records' own objects overrule."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        # Without a lock, which a fork could leave closed: each use of it is one step.
        self._pending: dict[str, bytes] = {}

    def note(self, key: str, tag: str, line: bytes) -> None:
        """Remember a record that was written, or read where no pack held it; when there are many, write a pack."""
        if _TAG.fullmatch(tag) is None or len(line) > _LONGEST_LINE:
            return
        self._pending[key] = b'["%b",%b]\n' % (tag.encode(), line.rstrip(b"\n"))
        if len(self._pending) >= _MOST_PENDING:
            self.flush(_MOST_PENDING)

    def flush(self, least: int | None = None) -> None:
        """Write what was noted, if that is worth a pack and allowed."""
        if len(self._pending) < (_WORTHWHILE if least is None else least):
            return
        lines = [self._pending.pop(key, b"") for key in list(self._pending)]
        with contextlib.suppress(StoreError, MissingError):  # who may only read goes on without
            self._bucket.put(
                f"{_FOLDER}{self._bucket.unique()}{_ENDING}", zlib.compress(b"".join(lines), 1, 31)
            )
            self._merge()

    def read(self, tags: Mapping[str, str]) -> dict[str, bytes]:
        """Give, by key, the copies of those records that still have these tags."""
        wanted = {key.encode(): tag.encode() for key, tag in tags.items()}
        found: dict[str, bytes] = {}

        def read(pack: Entry) -> bool:
            try:
                data, _ = self._bucket.get(pack.name)
            except MissingError:
                return False
            for match in _lines(data):
                if wanted.get(match[3]) == match[1]:
                    found[match[3].decode()] = match[2] + b"\n"
            return True

        done: set[str] = set()
        for _ in range(3):  # what is gone was merged, into a pack that was not listed
            packs = [pack for pack in self._packs() if pack.name not in done and pack.size <= _MOST_TEXT]
            if sum(pack.size for pack in packs) > _BYTES_PER_RECORD * len(wanted):
                break
            done |= {pack.name for pack in packs}
            if all(self._bucket.map(read, packs, _PACKS_AT_ONCE)):
                break
        return found

    def drop(self, keys: Collection[str]) -> None:
        """Write packs anew that hold copies of these records, without them."""
        names = {key.encode() for key in keys}
        for key in keys:
            self._pending.pop(key, None)
        for pack in self._packs():
            if pack.size > _MOST_TEXT:
                self._bucket.delete([pack.name])
                continue
            with contextlib.suppress(MissingError):
                lines = list(_lines(self._bucket.get(pack.name)[0]))
                rest = [line[0] for line in lines if line[3] not in names]
                if len(rest) < len(lines):
                    if rest:
                        self._write(rest, full=pack.name.startswith(_FULL))
                    self._bucket.delete([pack.name])

    # -- packs --------------------------------------------------------------------------------------------------

    def _packs(self) -> list[Entry]:
        return [pack for pack in self._bucket.entries(_FOLDER) if pack.name.endswith(_ENDING)]

    def _write(self, lines: Iterable[bytes], *, full: bool) -> str:
        text = b"".join(line + b"\n" for line in lines)
        # Two who merge the same packs write the same one.
        name = f"{_FULL if full else _FOLDER}{xxhash.xxh3_128_hexdigest(text)}{_ENDING}"
        self._bucket.put(name, zlib.compress(text, 1, 31))
        return name

    def _merge(self) -> None:
        """Put the lines of all small packs into few, and only then delete them."""
        packs = sorted(pack for pack in self._packs() if not pack.name.startswith(_FULL))
        if len(packs) <= _MOST_PACKS:
            return
        lines: dict[bytes, None] = {}
        size = 0
        written = set()
        for pack in packs:
            if pack.size > _MOST_TEXT:
                continue
            with contextlib.suppress(MissingError):  # somebody else merges too
                for line in _lines(self._bucket.get(pack.name)[0]):
                    if line[0] not in lines:
                        lines[line[0]] = None
                        size += len(line[0])
                    if size >= _TEXT:
                        written.add(self._write(lines, full=True))
                        lines, size = {}, 0
        if lines:
            written.add(self._write(lines, full=False))
        self._bucket.delete(pack.name for pack in packs if pack.name not in written)


def _lines(data: bytes | bytearray) -> Iterator[re.Match[bytes]]:
    """Give the lines of a pack, piece by piece, as far as it is one: the tag, the record and its key in each."""
    unzip = zlib.decompressobj(31)
    rest = b""
    for _ in range(_MOST_TEXT // _PIECE):
        try:
            piece = unzip.decompress(data, _PIECE)
        except zlib.error:
            return
        data = unzip.unconsumed_tail
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if (match := _LINE.fullmatch(line)) is None:
                return
            yield match
        if len(rest) > 2 * _LONGEST_LINE or not (piece or data):
            return
