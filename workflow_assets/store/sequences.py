"""What a generator yields, kept so that it can be iterated again, item by item.

Bytes become a file. Plain values become lines of JSON. Frames, arrays and all else that has a format become the files
of one tar archive, each written by its own codec.
"""

from __future__ import annotations

import itertools
import tarfile
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from workflow_assets.errors import CodecError
from workflow_assets.store.archives import BLOCK, END, filling, header
from workflow_assets.store.contents import File, FileCodec, spooled
from workflow_assets.store.formats import Buffer, total
from workflow_assets.store.trees import NestingError, Writer, plain_to_json, to_json

LAZY = (types.GeneratorType, map, filter, zip)
"""What yields each item once."""

EXTENSIONS = {"lines": "jsonl", "items": "tar"}
"""The endings of the two formats, by codec."""

T = TypeVar("T")

_NOTHING = object()

Part = tuple[str, str, Sequence[Buffer], dict[str, str] | None, bool]
"""The codec, the ending, the bytes and the libraries of an item, and whether it names a class."""


class _Notes:
    """What is said of all items: the libraries that they need, and whether one names a class."""

    def __init__(self) -> None:
        self.libraries: dict[str, str] = {}
        self.refers = False


class Items(Generic[T]):
    """The items that a step yielded: they can be iterated any number of times, and are read one by one.

    A step that yields, or returns a generator, stores what it yields as it comes; whoever takes it is given its
    `Items`, or for a generator of bytes a `File`, in which all are one.
    """

    __slots__ = ("_file", "_read", "codec", "libraries", "refers")

    def __init__(
        self,
        file: File,
        codec: str,
        read: Callable[[str, Buffer], T],
        libraries: dict[str, str] | None = None,
        refers: bool = True,
    ) -> None:
        self._file, self._read = file, read
        self.codec, self.libraries = codec, libraries
        self.refers = refers  # whether an item may name a class

    def __iter__(self) -> Iterator[T]:
        """Give the items from the first on, each of them new."""
        return _lines(self._file, self._read) if self.codec == "lines" else _parts(self._file, self._read)

    def pieces(self) -> Sequence[Buffer]:
        """Give the bytes, each piece read when it is asked for."""
        return FileCodec().encode(self._file) or ()

    def __repr__(self) -> str:
        return f"<Items in {self._file.size} bytes>"


def kept(
    items: Iterator[Any], place: str, encode: Callable[[Any, str], Part], read: Callable[[str, Buffer], Any]
) -> Items[Any] | File:
    """Write down what a generator yields, which is never all in memory.

    Raises `CodecError` for an item that cannot be written, or is of another kind than those before, and whatever the
    generator raises; nothing is kept then.
    """
    first = next(items, _NOTHING)
    if first is _NOTHING:
        return Items(spooled((), ".jsonl"), "lines", read, refers=False)
    if isinstance(first, bytes | bytearray | memoryview):
        return spooled(_all_bytes(first, items, place), ".bin")
    notes = _Notes()
    if (line := _line(first, notes)) is not None:
        file = spooled(_all_lines(line, items, place, notes), ".jsonl")
        return Items(file, "lines", read, refers=notes.refers)
    file = spooled(_all_parts(first, items, place, encode, notes), ".tar")
    return Items(file, "items", read, notes.libraries or None, notes.refers)


# -- writing ----------------------------------------------------------------------------------------------------------


def _all_bytes(first: Buffer, items: Iterator[Any], place: str) -> Iterator[Buffer]:
    yield first
    for number, item in enumerate(items, 1):
        if not isinstance(item, bytes | bytearray | memoryview):
            raise _mixed(place, number, item, "bytes")
        yield item


def _all_lines(line: bytes, items: Iterator[Any], place: str, notes: _Notes) -> Iterator[Buffer]:
    yield line
    for number, item in enumerate(items, 1):
        following = _line(item, notes)
        if following is None:
            raise _mixed(place, number, item, "plain values")
        yield following


def _all_parts(
    first: Any,
    items: Iterator[Any],
    place: str,
    encode: Callable[[Any, str], Part],
    notes: _Notes,
) -> Iterator[Buffer]:
    for number, item in enumerate(itertools.chain((first,), items)):
        codec, extension, pieces, versions, refers = encode(item, f"item {number} of {place}")
        notes.libraries |= versions or {}
        notes.refers |= refers
        size = total(pieces)
        yield header(f"{number:06}-{codec}.{extension}", size)
        yield from pieces
        yield filling(size)
    yield END


def _line(item: Any, notes: _Notes) -> bytes | None:
    text = plain_to_json(item)
    if text is None:
        writer = Writer(_refuse)
        try:
            text = to_json(writer.write(item))
            notes.refers |= writer.refers
        except (_NoTreeError, NestingError, RecursionError):
            return None
    return text.encode() + b"\n"


class _NoTreeError(Exception):
    """A value is not plain."""


def _refuse(_: Any, place: str) -> Any:
    raise _NoTreeError(place)


def _mixed(place: str, number: int, item: Any, before: str) -> CodecError:
    return CodecError(
        f"item {number} of {place} is a {type(item).__qualname__}, and those before are {before}: yield items of one "
        "kind, or return a list of them"
    )


# -- reading ----------------------------------------------------------------------------------------------------------


def _lines(file: File, read: Callable[[str, Buffer], Any]) -> Iterator[Any]:
    with file.open() as lines:
        for line in lines:
            yield read("json", line)


def _parts(file: File, read: Callable[[str, Buffer], Any]) -> Iterator[Any]:
    with file.open() as archive:
        while (block := archive.read(BLOCK)) != END[:BLOCK]:
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise CodecError(f"the stored items end in the middle: {error}") from error
            if info.size > file.size - archive.tell():
                raise CodecError(f"the stored items claim {info.size} bytes for {info.name!r}")
            data = archive.read(info.size)
            archive.seek(-info.size % BLOCK, 1)
            yield read(info.name.partition("-")[2].rpartition(".")[0], data)
