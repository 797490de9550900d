"""Files that steps write and are handed: their bytes, which are never all in memory at once."""

from __future__ import annotations

import io
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer, Chunk, Pieces

_CHUNK = 1 << 20
_ENDING = re.compile(r"[a-z0-9]{1,16}")
_OTHER = "bin"


class Content(Protocol):
    """Bytes that can be read at any place."""

    size: int

    def read(self, start: int, size: int) -> Buffer:
        """Give so many bytes, or fewer at the end."""


class File:
    """A file that a step has written and returns, or that a step is handed: its bytes and its ending, not its place.

    A step returns ``File(path)``; a path alone is kept as the text that it is. The file is opened at once, so it may be
    deleted afterwards, as that of a temporary folder is; only its bytes and its ending are kept. Who is handed it reads
    it with `open`, `read_bytes`, or chunk by chunk in a ``for`` loop, or copies it to a place of its own with `save`.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "reads.csv")
    ...     _ = path.write_text("a,b")
    ...     file = File(path)
    >>> file
    <File of 3 bytes, .csv>
    >>> file.read_bytes()
    b'a,b'

    Raises `FileNotFoundError` for a path that is not there, and `CodecError` for one that is no file.
    """

    __slots__ = ("content", "suffix")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        name = os.fspath(path)
        ending = os.path.splitext(name)[1][1:].lower()
        self.content: Content = _opened(name)
        self.suffix = f".{ending if _ENDING.fullmatch(ending) else _OTHER}"

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self.content.size

    def open(self) -> BinaryIO:
        """Open the file for reading, at its beginning."""
        return io.BufferedReader(_Reading(self.content), _CHUNK)

    def read_bytes(self) -> bytes:
        """Give all bytes."""
        return b"".join(self)

    def read_text(self, encoding: str = "utf-8") -> str:
        """Give all of a text."""
        return self.read_bytes().decode(encoding)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Copy the file to a place of yours: whole or not at all, in place of a file that is there."""
        final = os.fspath(path)
        temporary = f"{final}.{secrets.token_hex(4)}.tmp"
        try:
            with open(temporary, "xb") as file:
                file.writelines(self)
            os.replace(temporary, final)
        except BaseException:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            raise

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes in chunks."""
        for start in range(0, self.size, _CHUNK):
            yield bytes(self.content.read(start, min(_CHUNK, self.size - start)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, File)
            and (self.suffix, self.size) == (other.suffix, other.size)
            and all(one == two for one, two in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]  # it would have to read all of it

    def __reduce__(self) -> tuple[Any, ...]:
        return in_memory, (self.read_bytes(), self.suffix)

    def __repr__(self) -> str:
        return f"<File of {self.size} bytes, {self.suffix}>"


class FileCodec:
    """Files under their own endings: the codec of a ``.csv`` is called ``file.csv``."""

    def __init__(self, ending: str = _OTHER) -> None:
        if not _ENDING.fullmatch(ending):
            raise CodecError(f"the stored file claims to end in {ending!r}")
        self.name = f"file.{ending}"
        self.extension = ending

    def named(self, value: File) -> FileCodec:
        """Give the codec of files with the ending of this one."""
        return FileCodec(value.suffix[1:])

    def accepts(self, value: Any) -> bool:
        """Tell whether it is a file."""
        return type(value) is File

    def encode(self, value: File) -> Sequence[Buffer] | None:
        """Give the bytes in pieces, each read when it is asked for."""
        size = value.size
        return Pieces(
            Chunk(value.content.read, start, min(_CHUNK, size - start)) for start in range(0, size, _CHUNK)
        )

    def decode(self, data: Buffer) -> File:
        """Give a file over the buffer itself, to read only."""
        return in_memory(data, f".{self.extension}")

    def copy(self, value: File) -> None:  # noqa: ARG002
        """Give None: what was stored is read from there."""
        return


def in_memory(data: Buffer, suffix: str) -> File:
    """Give a file whose bytes are those of a buffer."""
    return _made(_Held(data), suffix)


def spooled(pieces: Iterable[Buffer], suffix: str) -> File:
    """Give a file with bytes as they come, held in a temporary file without a name."""
    descriptor, path = tempfile.mkstemp()
    try:
        os.unlink(path)
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines(pieces)
        return _made(_Opened(descriptor, "a temporary file"), suffix)
    except BaseException:
        os.close(descriptor)
        raise


def _made(content: Content, suffix: str) -> File:
    file = File.__new__(File)
    file.content, file.suffix = content, suffix
    return file


class _Held:
    """Bytes in memory, or in a mapped file."""

    def __init__(self, data: Buffer) -> None:
        self._view = memoryview(data).toreadonly()
        self.size = len(self._view)

    def read(self, start: int, size: int) -> Buffer:
        return self._view[start : start + size]


class _Opened:
    """An open file, as it was when it was opened."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name = descriptor, name
        status = os.fstat(descriptor)
        self.size, self._changed = status.st_size, status.st_mtime_ns

    def __del__(self) -> None:
        os.close(self._descriptor)

    def read(self, start: int, size: int) -> Buffer:
        data = os.pread(self._descriptor, size, start)
        if len(data) != size or os.fstat(self._descriptor).st_mtime_ns != self._changed:
            raise CodecError(
                f"{self._name} was written to after File(...) was made of it: close the file first, and write each "
                "result to a file of its own"
            )
        return data


class _Reading(io.RawIOBase):
    """Reads content from a place that can be moved."""

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._content, self._at = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self._at, self._content.size)[whence]
        if at < 0:
            raise ValueError(f"there is no byte {at} in a file")
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._content.size - self._at))
        if size:
            buffer[:size] = self._content.read(self._at, size)
            self._at += size
        return size


def _opened(name: str) -> Content:
    """Open a file; a small one is read at once, so that not every result holds a file open."""
    descriptor = os.open(
        name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    )  # the other end of a pipe may never come
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise CodecError(f"{name} is no file: return File(path) of one that has been written")
    content = _Opened(descriptor, name)
    return _Held(content.read(0, content.size)) if content.size <= _CHUNK else content
