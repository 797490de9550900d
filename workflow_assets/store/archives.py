"""A value of several members as one tar archive: its tree, and each array, frame or model as a file of its own.

An archive is written without holding it in memory, and read without copying: the tree says where in it each member
is, aligned as arrays like to be. (A zip archive would cost a pass of CRC-32 over what is digested anyway.)
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer, Pieces, total
from workflow_assets.store.trees import from_json, to_json

BLOCK = 512
END = bytes(2 * BLOCK)
_MANIFEST = "manifest.json"

Members = dict[str, tuple[str, Sequence[Buffer]]]
"""For each file name, the codec and the bytes."""


class Archive(NamedTuple):
    """An archive that is read: its head, which says what is where, the tree, and the codecs of the members.

    `member` gives the codec and the bytes of one.
    """

    head: bytes
    tree: Any
    codecs: dict[str, str]
    member: Callable[[str], tuple[str, memoryview]]


def pack(tree: Any, members: Members) -> Sequence[Buffer]:
    """Give the pieces of an archive, its head first; those of the members are not copied."""
    pieces: list[Sequence[Buffer]] = []
    places, start = {}, 0
    for name, (codec, parts) in members.items():
        size = total(parts)
        pieces += [(header(name, size),), parts, (filling(size),)]
        places[name] = [codec, start + BLOCK, size]
        start += BLOCK + size + -size % BLOCK
    manifest = to_json({"members": places, "value": tree}).encode()
    first = header(_MANIFEST, len(manifest)) + manifest + filling(len(manifest))
    return Pieces.joined([(first,), *pieces, (END,)])


def unpack(data: Buffer) -> Archive:
    """Read the head of an archive, which is copied; its members are not.

    Raises `CodecError` for an archive that was not written here, or that claims to hold more than it does.
    """
    view = memoryview(data)
    first = tarfile.TarInfo.frombuf(bytes(view[:BLOCK]), "utf-8", "surrogateescape")
    if first.name != _MANIFEST:
        raise CodecError(f"the stored archive begins with {first.name!r}, not with its manifest")
    head = bytes(view[: BLOCK + first.size + -first.size % BLOCK])
    manifest = from_json(head[BLOCK : BLOCK + first.size])
    places: Mapping[str, tuple[str, int, int]] = manifest["members"]
    members = view[len(head) :]

    left = len(members)

    def member(name: str) -> tuple[str, memoryview]:
        nonlocal left
        codec, start, size = places[name]
        left -= size  # the same bytes for several members would be several times the memory
        if min(start, size, left) < 0 or start + size > len(members):
            raise CodecError(
                f"the stored archive claims {size} bytes at {start} for {name}, and has {len(members)}"
            )
        return codec, members[start : start + size]

    codecs = {name: codec for name, (codec, _, _) in places.items()}
    return Archive(head, manifest["value"], codecs, member)


def header(name: str, size: int) -> bytes:
    """Give the block that comes before a file of an archive."""
    info = tarfile.TarInfo(name)  # without time or owner: the same bytes for the same value
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8")


def filling(size: int) -> bytes:
    """Give what comes after a file, so that the next one begins with a block."""
    return bytes(-size % BLOCK)
