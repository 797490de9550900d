"""How values become bytes that other tools can read, and become the same values again.

Plain Python values are JSON, arrays are ``.npy``, frames are Parquet, and a dataclass, dict or list of such values is
one tar archive whose manifest is JSON. What has no format of its own is pickled, where the store allows it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflow_assets.errors import CodecError, StoreError
from workflow_assets.store import archives, contents, pickles, sequences
from workflow_assets.store.formats import LONG, Buffer, Codec, Pieces, flat, member_name, total
from workflow_assets.store.pickles import installed_version, library_version
from workflow_assets.store.registry import (
    find_codec,
    has_own_format,
    known_codecs,
    register_codec,
    registered_codecs,
)
from workflow_assets.store.signatures import Policy
from workflow_assets.store.trees import (
    NestingError,
    Reader,
    Writer,
    from_json,
    is_plain,
    plain_to_json,
    to_json,
)

__all__ = [
    "Buffer",
    "Codec",
    "Encoded",
    "decode",
    "encode",
    "drained",
    "extension",
    "has_own_format",
    "independent_copy",
    "installed_version",
    "library_version",
    "register_codec",
]

_EXTENSIONS = {"json": "json", "composite": "tar", "pickle": "pickle", **sequences.EXTENSIONS}

Snapshot = Callable[[str, str], Any]
"""Gives, by codec and name, a member that need not be decoded; None for any other."""

_OWN = 1 << 20
"""Up to so many bytes, the pieces of an encoded value are a copy; of more, they may be the value's own memory."""


IsSigned = Callable[[Iterable[Buffer]], bool]
"""Whether parts of stored bytes are what the user has signed."""


@dataclass(slots=True, eq=False)
class Encoded:
    """A value as bytes.

    `pieces` may be the memory of the value itself until `settle` says where the bytes are stored. `snapshots` are
    values which are copied more quickly than decoded: those of the members by name, that of the whole under "".
    `active` are the parts which loading executes, or imports modules for; None where it does neither.
    """

    codec: str
    pieces: Sequence[Buffer]
    libraries: dict[str, str] | None = None
    snapshots: dict[str, Any] = field(default_factory=dict, repr=False)
    active: Sequence[Buffer] | None = field(default=None, repr=False)
    size: int = field(init=False)
    is_signed: IsSigned | None = field(init=False, default=None, repr=False)
    _reread: Callable[[], Buffer] | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self.size = total(self.pieces)

    def bytes(self) -> bytes:
        """All bytes in one piece."""
        pieces = (self._reread(),) if self._reread is not None else self.pieces
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    @property
    def pickled(self) -> bool:
        """Whether it is a pickle, or holds one."""
        return self.codec == "pickle" or (self.codec == "composite" and len(self.active or ()) > 1)

    def settle(self, reread: Callable[[], Buffer], is_signed: IsSigned | None = None) -> None:
        """Let go of a large value's memory, now that its bytes can be read from where they are stored.

        With `is_signed`, that is asked first whether they are still the same, if loading executes them.
        """
        if self.size > _OWN:
            self._reread, self.is_signed = reread, is_signed
            self.pieces, self.active = (), None

    def buffer(self) -> Buffer:
        """All bytes, in memory that nobody else changes."""
        return self._reread() if self._reread is not None else self.bytes()


def encode(value: Any, *, pickles: Policy, place: str = "value", snapshot: bool = True) -> Encoded:
    """Turn a value into bytes.

    Args:
        value: what to encode.
        pickles: the store's policy for what has no format of its own.
        place: what the value is, for messages.
        snapshot: keep what `independent_copy` needs; without it, the value is only stored.

    Raises `CodecError` that names `place` and the member which cannot be encoded.
    """
    text = None if type(value) is str and len(value) > LONG else plain_to_json(value)
    if text is not None:
        return Encoded("json", (text.encode(),), None, {"": value} if is_plain(value) else {})
    for codec in known_codecs():
        if codec.accepts(value) and (pieces := codec.encode(value)) is not None:
            kept = codec.copy(value) if snapshot else None
            return Encoded(
                _named(codec, value).name,
                _own(pieces),
                _libraries(codec, value),
                {} if kept is None else {"": kept},
            )
    value = drained(value, place)
    if isinstance(value, contents.File):
        return encode(value, pickles=pickles, place=place)
    if isinstance(value, sequences.Items):
        pieces = value.pieces()
        return Encoded(value.codec, _own(pieces), value.libraries, active=pieces if value.refers else None)
    return _Encoder(bool(pickles), place, snapshot).encode(value)


def drained(value: Any, place: str = "value") -> Any:
    """Give what a generator yields as `Items` or a `File`, written down as it comes; any other value as it is.

    Raises `CodecError` that names `place` for an item that has no format, and whatever the generator raises.
    """
    if not isinstance(value, sequences.LAZY):
        return value

    def part(item: Any, where: str) -> sequences.Part:
        one = encode(item, pickles=False, place=where, snapshot=False)
        return one.codec, extension(one.codec), one.pieces, one.libraries, one.active is not None

    return sequences.kept(value, place, part, functools.partial(decode, pickles=False))


def decode(
    codec: str, data: Buffer, *, pickles: bool, imports: bool = True, is_signed: IsSigned | None = None
) -> Any:
    """Turn bytes into the value that was encoded.

    Nothing is executed unless `pickles` allows unpickling; with `imports` off, classes are looked up only in modules
    that are already loaded. With `is_signed`, that decides both, given the parts which loading executes or imports
    modules for. Raises `CodecError`.
    """
    return _decode(codec, data, pickles, imports, lambda _codec, _name: None, is_signed)


def independent_copy(encoded: Encoded, *, pickles: Policy, last: bool = False) -> Any:
    """Give a consumer its own value, equal to what a later run will decode; the last one needs no copy."""
    if "" in encoded.snapshots:
        whole = encoded.snapshots.pop("") if last else encoded.snapshots[""]
        return whole if last or encoded.codec == "json" else find_codec(encoded.codec).copy(whole)

    def snapshot(codec: str, name: str) -> Any:
        if last:
            return encoded.snapshots.pop(name, None)
        return find_codec(codec).copy(encoded.snapshots[name]) if name in encoded.snapshots else None

    return _decode(encoded.codec, encoded.buffer(), bool(pickles), True, snapshot, encoded.is_signed)


def extension(codec: str) -> str:
    """Give the ending of the files that a codec writes."""
    return _EXTENSIONS.get(codec) or find_codec(codec).extension


def _libraries(codec: Codec, value: Any) -> dict[str, str] | None:
    """Give the versions that the bytes of a codec belong to, where it has any."""
    versions = getattr(codec, "libraries", None)
    return None if versions is None else versions(value)


def _named(codec: Codec, value: Any) -> Codec:
    """Give the codec under the name that it has for a value, where that depends on the value."""
    named = getattr(codec, "named", None)
    return codec if named is None else named(value)


def _flattened(pieces: Sequence[Buffer]) -> Sequence[Buffer]:
    return pieces if isinstance(pieces, Pieces) else [flat(piece) for piece in pieces]


def _own(pieces: Sequence[Buffer]) -> Sequence[Buffer]:
    """Copy pieces that are small: one write, and nobody else's memory."""
    flattened = _flattened(pieces)
    return (b"".join(flattened),) if total(flattened) <= _OWN else flattened


class _Encoder:
    """Encodes what is a tree, perhaps with arrays, frames and pickles as its members."""

    def __init__(self, allowed: bool, place: str, snapshot: bool) -> None:
        self._allowed = allowed
        self._place = place
        self._snapshot = snapshot
        self._members: archives.Members = {}
        self._snapshots: dict[str, Any] = {}
        self._libraries: dict[str, str] = {}
        self._whole: bytes | None = None

    def encode(self, value: Any) -> Encoded:
        """Give the bytes of the whole."""
        writer = Writer(self._member, self._claim)
        try:
            tree = writer.write(value)
        except (NestingError, RecursionError):
            self._members.clear()
            if not self._allowed:
                raise CodecError(
                    f"{self._place} holds itself, or is nested too deeply to be written down without pickle, which "
                    "this store does not allow: return plain values, arrays, frames or dataclasses of them"
                ) from None
            self._pickle(value, "")
            tree = None
        libraries = self._libraries or None
        if self._whole is not None:
            whole = (self._whole,)
            return Encoded("pickle", whole, libraries, active=whole)
        if self._members:
            pieces = archives.pack(tree, self._members)
            pickled = [parts[0] for codec, parts in self._members.values() if codec == "pickle"]
            active = (pieces[0], *pickled) if pickled or writer.refers else None
            return Encoded("composite", _own(pieces), libraries, self._snapshots, active)
        text = (to_json(tree).encode(),)
        return Encoded("json", text, libraries, active=text if writer.refers else None)

    def _claim(self, value: Any, path: str) -> Any:
        """Write as files what could be a tree: long bytes, and what the user has registered a codec for."""
        if not path:  # the whole was tried already
            return None
        if isinstance(value, bytes | bytearray):
            return self._file(value, path, known_codecs())
        return self._file(value, path, registered_codecs())

    def _member(self, value: Any, path: str) -> Any:
        written = self._file(value, path, known_codecs()) if path else None
        return self._pickle(value, path) if written is None else written

    def _file(self, value: Any, path: str, codecs: tuple[Codec, ...]) -> Any:
        for codec in codecs:
            if codec.accepts(value) and (pieces := codec.encode(value)) is not None:
                name = self._add(path, _named(codec, value).name, _flattened(pieces))
                self._libraries |= _libraries(codec, value) or {}
                if self._snapshot and (kept := codec.copy(value)) is not None:
                    self._snapshots[name] = kept
                return {"$member": name}
        return None

    def _pickle(self, value: Any, path: str) -> Any:
        where = f"{path} in {self._place}" if path else self._place
        if not self._allowed:
            raise pickles.refusal(value, where)
        data, libraries = pickles.dump(value, where)
        self._libraries |= libraries
        if path:
            return {"$member": self._add(path, "pickle", [data])}
        self._whole = data
        return None

    def _add(self, path: str, codec: str, pieces: Sequence[Buffer]) -> str:
        name = member_name(path, extension(codec), self._members)
        self._members[name] = (codec, pieces)
        return name


def _decode(
    codec: str,
    data: Buffer,
    allowed: bool,
    imports: bool,
    snapshot: Snapshot,
    is_signed: IsSigned | None = None,
) -> Any:
    # What is signed is copied before it is checked: others could change a file that is mapped until it is executed.
    try:
        if codec == "json":
            text = bytes(data)
            tree = from_json(text)
            if b'"$' not in text:
                return tree
            return Reader(imports=imports if is_signed is None else is_signed((text,))).read(tree)
        if codec == "composite":
            return _composite(archives.unpack(data), allowed, imports, snapshot, is_signed)
        if codec in sequences.EXTENSIONS:
            ending = f".{sequences.EXTENSIONS[codec]}"
            file = contents.in_memory(data, ending)
            if is_signed is not None:
                imports = is_signed(file)
                if imports and isinstance(data, memoryview):
                    file = contents.spooled(file, ending)
                    imports = is_signed(file)
            return sequences.Items(file, codec, functools.partial(decode, pickles=False, imports=imports))
        if codec == "pickle" and is_signed is not None:
            data = bytes(data)
            allowed = is_signed((data,))
        return _leaf(codec, data, allowed, is_signed)
    except StoreError:  # of a codec, or about the user's key
        raise
    except Exception as error:
        raise CodecError(
            f"the stored {codec} bytes cannot be decoded: {type(error).__name__}: {error}"
        ) from error


def _composite(
    archive: archives.Archive,
    allowed: bool,
    imports: bool,
    snapshot: Snapshot,
    is_signed: IsSigned | None,
) -> Any:
    """Give the value of an archive, of which the head and the pickles are signed: no more of it is executed."""
    pickled: dict[str, bytes] = {}

    def active() -> Iterator[Buffer]:
        yield archive.head
        for name, codec in archive.codecs.items():
            if codec == "pickle":
                pickled[name] = bytes(archive.member(name)[1])
                yield pickled[name]

    def member(name: str) -> Any:
        if name in pickled:
            return _leaf("pickle", pickled[name], allowed, is_signed)
        kind, part = archive.member(name)
        kept = snapshot(kind, name)
        return _leaf(kind, part, allowed, is_signed) if kept is None else kept

    if is_signed is not None:
        allowed = imports = is_signed(active())
    return Reader(member, imports=imports).read(archive.tree)


def _leaf(codec: str, data: Buffer, allowed: bool, is_signed: IsSigned | None) -> Any:
    if codec == "pickle":
        if not allowed:
            raise pickles.not_allowed() if is_signed is None else pickles.not_signed()
        return pickles.load(data)
    return find_codec(codec).decode(data)
