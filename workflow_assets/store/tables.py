"""polars frames and series as Parquet, as polars writes and reads it."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.footers import check, filled
from workflow_assets.store.formats import Buffer, library


class TableCodec:
    """polars frames, or series as a frame of one column; those with Python objects are pickled.

    Types are kept: categories and enums, time zones and units, lists and structs, decimals, columns of nothing.
    Integers of 128 bits, which no other tool reads, are pickled, too.
    """

    extension = "parquet"

    def __init__(self, kind: str) -> None:
        self.name = "polars" if kind == "DataFrame" else "polars-series"
        self._kind = kind

    def accepts(self, value: Any) -> bool:
        """Tell whether it is one of that kind, and not of a class derived from it."""
        polars = sys.modules.get("polars")
        return polars is not None and type(value) is getattr(polars, self._kind, None)

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give a Parquet file; None for a frame that it does not give back with the same types."""
        import polars as pl
        import pyarrow as pa

        frame = value.to_frame() if self._kind == "Series" else value
        file = io.BytesIO()
        try:
            frame.write_parquet(file, compression="lz4", statistics=False)
            again = pl.read_parquet(io.BytesIO(file.getbuffer()), n_rows=None if _is_odd(frame) else 0)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, ValueError):
            return None
        if again.schema != frame.schema or (_is_odd(frame) and not _is_same(again, frame)):
            return None
        try:
            return filled(file.getbuffer())
        except pa.ArrowException:  # integers of 128 bits, which no other tool reads
            return None

    def decode(self, data: Buffer) -> Any:
        """Give a frame or series of its own memory; raise `CodecError` for bytes that polars cannot read."""
        pl = library("polars", "a polars frame", "polars")
        import pyarrow as pa
        import pyarrow.parquet as pq

        check(pq.read_metadata(pa.BufferReader(pa.py_buffer(data))), len(data))
        try:
            frame = pl.read_parquet(io.BytesIO(data))
        except pl.exceptions.PanicException as error:  # which is no Exception
            raise CodecError(f"polars cannot read the stored Parquet: {error}") from None
        return frame.to_series() if self._kind == "Series" else frame

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: a frame remembers more than its values, such as which columns are sorted."""
        return None


def _is_odd(frame: Any) -> bool:
    """Tell whether a frame holds what is worth reading again to be sure: all but plain columns of equal length."""
    return not frame.width or any(dtype.is_nested() or not _is_plain(dtype) for dtype in frame.dtypes)


def _is_plain(dtype: Any) -> bool:
    return bool(dtype.is_numeric() or dtype.is_temporal()) or type(dtype).__name__ in {
        "StringType",
        "String",
        "Boolean",
        "Binary",
        "Null",
    }


def _is_same(one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.equals(other))
