"""numpy arrays as ``.npy``, over the bytes as they lie in memory or in a mapped file."""

from __future__ import annotations

import functools
import io
import math
import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer

_LONGEST_HEADER = 60_000
"""Bytes of a header: it says how wide it is in 16 bits, and reading a longer one takes minutes."""


class ArrayCodec:
    """numpy arrays of elements of one size as ``.npy``; those of Python objects are pickled."""

    name = "npy"
    extension = "npy"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is an array, and not of a class derived from it."""
        numpy = sys.modules.get("numpy")
        return numpy is not None and type(value) is numpy.ndarray

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give the header, and the array's own memory; None for a type that the header cannot spell."""
        import numpy as np

        if value.dtype.hasobject or has_metadata(value.dtype):
            return None
        fortran = bool(value.flags.f_contiguous and not value.flags.c_contiguous)
        # Types of records are equal, to a cache, where one of them is aligned and the other is not.
        write = _header if value.dtype.names is None else _header.__wrapped__
        header = write(value.dtype, fortran, value.shape)
        if header is None:
            return None
        row = (value.T if fortran else np.ascontiguousarray(value)).reshape(-1)
        return (header, memoryview(row.view(np.uint8).data) if row.nbytes else b"")

    def decode(self, data: Buffer) -> Any:
        """Give an array over the buffer, or over a copy of a buffer that cannot be written to."""
        import numpy as np

        view = memoryview(data)
        shape, fortran, dtype, start = parsed(view)
        count = math.prod(shape)
        if not count:
            return np.empty(shape, dtype, order="F" if fortran else "C")
        own = memoryview(bytearray(view[start:])) if view.readonly else view[start:]
        row = np.frombuffer(own, dtype=dtype, count=count)
        return row.reshape(shape[::-1]).T if fortran else row.reshape(shape)

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: decoding is one copy of the memory, too."""
        return None


def parsed(view: memoryview) -> tuple[tuple[int, ...], bool, Any, int]:
    """Give the shape, whether it is in Fortran's order, the type, and where the elements begin.

    Raises `CodecError` where the header claims other than what follows it.
    """
    start = 10 + int.from_bytes(view[8:10], "little")
    shape, fortran, dtype = _parsed(bytes(view[:start]))
    count = math.prod(shape)
    if len(view) - start != count * dtype.itemsize:
        raise CodecError(
            f"the stored array should hold {count} × {dtype}, and holds {len(view) - start} bytes"
        )
    return shape, fortran, dtype, start


def has_metadata(dtype: Any) -> bool:
    """Tell whether a type, or that of a field in it, has metadata, which ``.npy`` has no room for."""
    inner = [dtype.subdtype[0]] if dtype.subdtype else [dtype.fields[name][0] for name in dtype.names or ()]
    return dtype.metadata is not None or any(map(has_metadata, inner))


def is_same_type(one: Any, other: Any) -> bool:
    """Tell whether two types are the same also in what `==` passes over, such as alignment and metadata."""
    if one != other or one.isalignedstruct != other.isalignedstruct:
        return False
    if one.kind == "V" and one.type is not other.type:
        return False
    if one.subdtype is not None:
        return is_same_type(one.subdtype[0], other.subdtype[0])
    names = one.names or ()
    return one.metadata == other.metadata and all(
        is_same_type(one.fields[name][0], other.fields[name][0]) for name in names
    )


@functools.lru_cache(maxsize=1024)
def _header(dtype: Any, fortran: bool, shape: tuple[int, ...]) -> bytes | None:
    import numpy as np

    try:
        description = np.lib.format.dtype_to_descr(dtype)
        again = np.lib.format.descr_to_dtype(description)
    except (TypeError, ValueError):  # the fields overlap, or are not in order
        return None
    if not is_same_type(again, dtype) or not dtype.itemsize:  # such as the type of records
        return None
    file = io.BytesIO()
    try:
        np.lib.format.write_array_header_1_0(
            file, {"descr": description, "fortran_order": fortran, "shape": shape}
        )
    except ValueError:  # too long, or a field's name is not Latin
        return None
    return file.getvalue() if file.tell() <= _LONGEST_HEADER else None


@functools.lru_cache(maxsize=1024)
def _parsed(header: bytes) -> tuple[tuple[int, ...], bool, Any]:
    import numpy as np

    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise CodecError("the stored array is of a version of .npy that was never written here")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_HEADER)
    if dtype.hasobject or any(length < 0 for length in shape):
        raise CodecError(f"the stored array claims to be {dtype} of the shape {shape}")
    return shape, fortran, dtype
