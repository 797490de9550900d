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

        if value.dtype.hasobject or value.dtype.metadata is not None:
            return None
        fortran = bool(value.flags.f_contiguous and not value.flags.c_contiguous)
        header = _header(value.dtype, fortran, value.shape)
        if header is None:
            return None
        row = (value.T if fortran else np.ascontiguousarray(value)).reshape(-1)
        return (header, memoryview(row.view(np.uint8).data) if row.nbytes else b"")

    def decode(self, data: Buffer) -> Any:
        """Give an array over the buffer, or over a copy of a buffer that cannot be written to."""
        import numpy as np

        view = memoryview(data)
        start = 10 + int.from_bytes(view[8:10], "little")
        shape, fortran, dtype = _parsed(bytes(view[:start]))
        count = math.prod(shape)
        if len(view) - start != count * dtype.itemsize:
            raise CodecError(
                f"the stored array should hold {count} × {dtype}, and holds {len(view) - start} bytes"
            )
        if not count:
            return np.empty(shape, dtype, order="F" if fortran else "C")
        own = memoryview(bytearray(view[start:])) if view.readonly else view[start:]
        row = np.frombuffer(own, dtype=dtype, count=count)
        return row.reshape(shape[::-1]).T if fortran else row.reshape(shape)

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: decoding is one copy of the memory, too."""
        return None


@functools.lru_cache(maxsize=1024)
def _header(dtype: Any, fortran: bool, shape: tuple[int, ...]) -> bytes | None:
    import numpy as np

    description = np.lib.format.dtype_to_descr(dtype)
    try:
        again = np.lib.format.descr_to_dtype(description)
    except (TypeError, ValueError):
        return None
    exact = again == dtype and again.isalignedstruct == dtype.isalignedstruct and dtype.itemsize > 0
    if not exact or (dtype.kind == "V" and again.type is not dtype.type):  # such as the type of records
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
