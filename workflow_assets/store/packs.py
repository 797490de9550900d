"""Several numpy arrays as one ``.npz``, which numpy reads; never with pickle, and never more than the bytes hold.

An array whose type ``.npy`` cannot spell exactly, such as one of aligned records, is written as the nearest type that
it can, and a note beside it says which it was. Numpy and SciPy pass over the notes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.arrays import ArrayCodec, has_metadata, is_same_type
from workflow_assets.store.formats import Buffer
from workflow_assets.store.trees import from_json, to_json

_NOTES = "workflow_assets.json"
_ARRAYS = ArrayCodec()


def pack(arrays: Mapping[str, Any], notes: Mapping[str, Any] | None = None) -> list[Buffer] | None:
    """Give the pieces of an ``.npz``, and of notes that JSON can hold; None where an array has no exact form."""
    sink = _Sink()
    types = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            spelled = _spelled(array)
            pieces = None if spelled is None else _ARRAYS.encode(spelled)
            if spelled is None or pieces is None:
                return None
            if not is_same_type(spelled.dtype, array.dtype):
                types[name] = _type_to_tree(array.dtype)
            _write(archive, f"{name}.npy", pieces)
        described = {**(notes or {}), **({"types": types} if types else {})}
        if described:
            _write(archive, _NOTES, [to_json(described).encode()])
    return sink.pieces


def unpack(data: Buffer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the arrays by name, each of its own memory, and the notes.

    Raises `CodecError` for an archive that is compressed, or whose arrays claim to hold more than they do.
    """
    files = members(data)
    notes = from_json(bytes(files.pop(_NOTES, b"{}")))
    types = notes.pop("types", {})
    arrays = {}
    for name, part in files.items():
        stem = name.removesuffix(".npy")
        array = _ARRAYS.decode(part.toreadonly())
        arrays[stem] = _viewed(array, _type_from_tree(types[stem])) if stem in types else array
    return arrays, notes


def members(data: Buffer) -> dict[str, memoryview]:
    """Give the files of a zip archive that is not compressed, without copying them; raise `CodecError` for others."""
    view = memoryview(data)
    found: dict[str, memoryview] = {}
    left = len(view)
    with zipfile.ZipFile(_Source(view)) as archive:
        for entry in archive.infolist():
            at = entry.header_offset
            start = (
                at
                + 30
                + int.from_bytes(view[at + 26 : at + 28], "little")
                + int.from_bytes(view[at + 28 : at + 30], "little")
            )
            left -= entry.file_size  # the same bytes for several files would be several times the memory
            whole = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
            if not whole or left < 0 or start + entry.file_size > len(view) or entry.filename in found:
                raise CodecError(
                    f"the stored archive is compressed, or claims {entry.file_size} bytes for {entry.filename!r}"
                )
            found[entry.filename] = view[start : start + entry.file_size]
    return found


# -- types ------------------------------------------------------------------------------------------------------------


def _spelled(array: Any) -> Any:
    """Give the array itself, or one over its memory of the nearest type that ``.npy`` can spell."""
    import numpy as np

    dtype = array.dtype
    if dtype.hasobject or has_metadata(dtype) or not dtype.itemsize:
        return None
    if dtype.names is None or _ARRAYS.encode(np.empty(0, dtype)) is not None:
        return array
    if not is_same_type(_type_from_tree(_type_to_tree(dtype)), dtype):  # such as metadata of a field
        return None
    nearest = np.dtype(f"V{dtype.itemsize}")
    try:
        close = np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(dtype))
        if close.itemsize == dtype.itemsize and _ARRAYS.encode(np.empty(0, close)) is not None:
            nearest = close
    except (TypeError, ValueError):  # fields that overlap, or that are not in order
        pass
    return _viewed(array, nearest)


def _viewed(array: Any, dtype: Any) -> Any:
    if dtype.hasobject or dtype.itemsize != array.dtype.itemsize:
        raise CodecError(f"the stored array of {array.dtype} claims to be one of {dtype}")
    return array.view(dtype)


def _type_to_tree(dtype: Any) -> Any:
    if dtype.subdtype is not None:
        return {"of": _type_to_tree(dtype.subdtype[0]), "shape": list(dtype.subdtype[1])}
    if dtype.names is None:
        return dtype.str
    fields = [
        [name, _type_to_tree(inner), offset, *title]
        for name in dtype.names
        for inner, offset, *title in [dtype.fields[name]]
    ]
    return {
        "fields": fields,
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
        "record": dtype.type.__name__ == "record",
    }


def _type_from_tree(tree: Any) -> Any:
    import numpy as np

    if isinstance(tree, str):
        return np.dtype(tree)
    if "of" in tree:
        return np.dtype((_type_from_tree(tree["of"]), tuple(tree["shape"])))
    fields = tree["fields"]
    layout: Any = {
        "names": [field[0] for field in fields],
        "formats": [_type_from_tree(field[1]) for field in fields],
        "offsets": [field[2] for field in fields],
        "itemsize": tree["itemsize"],
    }
    if any(len(field) > 3 for field in fields):
        layout["titles"] = [field[3] if len(field) > 3 else None for field in fields]
    dtype = np.dtype(layout, align=tree["aligned"])
    return np.dtype((np.record, dtype)) if tree["record"] else dtype


# -- files ------------------------------------------------------------------------------------------------------------


def _write(archive: zipfile.ZipFile, name: str, pieces: Any) -> None:
    size = sum(memoryview(piece).nbytes for piece in pieces)
    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=size > 1 << 31) as file:
        for piece in pieces:
            file.write(piece)


class _Sink(io.RawIOBase):
    """Keeps what is written, without copying it."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Buffer] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        if len(piece):
            self.pieces.append(piece)
        return len(piece)


class _Source(io.RawIOBase):
    """Reads from memory, without copying all of it."""

    def __init__(self, view: memoryview) -> None:
        super().__init__()
        self._view = view
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, len(self._view))[whence])
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = len(self._view) if size < 0 else self._at + size
        piece = bytes(self._view[self._at : end])
        self._at += len(piece)
        return piece
