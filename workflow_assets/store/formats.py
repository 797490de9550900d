"""What a format is: the ground on which the codecs stand."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, overload

from workflow_assets.errors import CodecError

Buffer = bytes | bytearray | memoryview

LONG = 2048
"""Texts and bytes beyond this are files of their own."""


class Chunk(NamedTuple):
    """Bytes that are read when they are asked for: `size` of them, by `read(start, size)`."""

    read: Callable[[int, int], Buffer]
    start: int
    size: int


class Pieces(Sequence[Buffer]):
    """The pieces of what is too large for memory: each is read when it is asked for, as often as that is.

    >>> list(Pieces([b"ab", Chunk(lambda start, size: b"cdef"[start : start + size], 1, 2)]))
    [b'ab', b'de']
    """

    __slots__ = ("chunks", "size")

    def __init__(self, chunks: Iterable[Buffer | Chunk]) -> None:
        self.chunks = list(chunks)
        self.size = sum(chunk.size if isinstance(chunk, Chunk) else len(chunk) for chunk in self.chunks)

    @classmethod
    def joined(cls, groups: Iterable[Sequence[Buffer]]) -> Sequence[Buffer]:
        """Give the pieces of several groups, one after the other; what is read late stays so."""
        chunks: list[Buffer | Chunk] = []
        for group in groups:
            chunks += group.chunks if isinstance(group, Pieces) else group
        plain = [chunk for chunk in chunks if not isinstance(chunk, Chunk)]
        return plain if len(plain) == len(chunks) else cls(chunks)

    def __len__(self) -> int:
        return len(self.chunks)

    @overload
    def __getitem__(self, place: int) -> Buffer: ...
    @overload
    def __getitem__(self, place: slice) -> Pieces: ...
    def __getitem__(self, place: int | slice) -> Buffer | Pieces:
        if isinstance(place, slice):
            return Pieces(self.chunks[place])
        chunk = self.chunks[place]
        return chunk.read(chunk.start, chunk.size) if isinstance(chunk, Chunk) else chunk


def total(pieces: Sequence[Buffer]) -> int:
    """Give the number of bytes in pieces, without reading them."""
    return pieces.size if isinstance(pieces, Pieces) else sum(map(len, pieces))


class Codec(Protocol):
    """A format for some types of values; ``decode(encode(value))`` equals the value in every respect."""

    name: str
    extension: str

    def accepts(self, value: Any) -> bool:
        """Tell, cheaply, whether the format is meant for the type of the value."""

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give the bytes, in pieces that need not be copied; None for a value that the format cannot hold exactly."""

    def decode(self, data: Buffer) -> Any:
        """Give the value, of its own memory: it may keep a writable buffer, and must copy from one that is not."""

    def copy(self, value: Any) -> Any:
        """Give an independent value equal to ``decode(encode(value))``, or None where decoding is as quick."""


def flat(piece: Buffer) -> Buffer:
    """Give a buffer as plain bytes, so that its length is its size."""
    if isinstance(piece, memoryview) and (piece.format != "B" or piece.ndim != 1):
        return piece.cast("B")
    return piece


def member_name(path: str, extension: str, taken: Sequence[str] | dict[str, Any]) -> str:
    """Name the file that holds a member of a composite, after its place in the value.

    >>> member_name("model.coefficients", "npy", [])
    'model.coefficients.npy'
    >>> member_name("a/b", "npy", ["a_b.npy"])
    'a_b-1.npy'
    """
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in path).strip(".")
    stem = safe.encode()[:72].decode(errors="ignore") or "value"  # a name in an archive has 100 bytes
    name, number = f"{stem}.{extension}", 0
    while name in taken:
        number += 1
        name = f"{stem}-{number}.{extension}"
    return name


def library(module: str, what: str, package: str) -> Any:
    """Import the library that a stored value is of; or raise `CodecError` that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CodecError(
            f"the stored value is {what}, and {package} is not installed here: pip install {package}"
        ) from error
