"""What a Parquet file claims to hold, and what its bytes make believable.

A few bytes of Parquet can stand for any number of missing or repeated values. Who reads a file that others may have
written must be able to refuse such a claim, and so a file of ours is never denser than a bound: one that would be is
filled up with zeros, between its data and its footer, which readers pass over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer

_DENSEST = 1000
"""How many bytes in memory a byte of a file may stand for; the compressions in use stay far below it."""

_WIDEST = 16
"""Bytes of one value of a plain type."""

_END = 8
"""Bytes after the footer: its length, and a mark."""


def filled(data: memoryview, cells: int | None = None) -> Sequence[Buffer]:
    """Give the pieces of a Parquet file, filled up where it is dense; `cells` is how many values it has, if known."""
    if cells is not None and cells * _WIDEST <= _DENSEST * len(data):
        return (data,)
    import pyarrow as pa
    import pyarrow.parquet as pq

    missing = -(-_claimed(pq.read_metadata(pa.BufferReader(data))) // _DENSEST) - len(data)
    if missing <= 0:
        return (data,)
    footer = len(data) - _END - int.from_bytes(data[-_END : 4 - _END], "little")
    return (data[:footer], bytes(missing), data[footer:])


def check(metadata: Any, size: int) -> None:
    """Raise `CodecError` where the footer of a Parquet file claims more than a file of that size may hold."""
    claimed = _claimed(metadata)
    if not 0 <= claimed <= _DENSEST * size:
        raise CodecError(
            f"the stored Parquet claims {metadata.num_rows} rows of {metadata.num_columns} columns, and has "
            f"{size} bytes"
        )


def _claimed(metadata: Any) -> int:
    """Give how many bytes of memory the values would take."""
    columns = metadata.num_columns
    widths = [_width(metadata.schema.column(place)) for place in range(columns)]
    claimed = metadata.num_rows * sum(widths)
    values = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for place, width in enumerate(widths):
            column = group.column(place)
            if min(group.num_rows, column.num_values, column.total_uncompressed_size) < 0:
                return -1
            values += max(
                width * max(group.num_rows, column.num_values),
                column.total_uncompressed_size,
            )
    return max(claimed, values) if claimed >= 0 else -1


def _width(column: Any) -> int:
    return max(8, column.length or 0)
