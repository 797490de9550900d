"""Previews: what is seen of a value, or of the bytes that it is stored as, without loading what is large."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from workflow_assets.errors import excerpt
from workflow_assets.layouts import clipped, one_line, size
from workflow_assets.scenes import Preview
from workflow_assets.store.formats import Buffer

LINE = 50
"""Characters of a line that previews a value."""

ROWS = 5
"""Rows of a frame that are shown."""

_CELL = 24
_NAMES = 12
_DEEP = 3
_HEAD = 4096


def preview(value: Any) -> Preview:
    """Look at a value: never slow, never long, and never raising, whatever the value's own methods do.

    >>> preview([1, 2, 3]).line, preview(list(range(1000))).line
    ('[1, 2, 3]', '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …] 1,000 items')
    """
    try:
        return _special(value) or _plain(value)
    except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
        kind = type(value).__qualname__
        return Preview(clipped(f"<{kind}: {type(error).__name__} when looked at>", LINE), kind)


def _plain(value: Any) -> Preview:
    kind = type(value).__qualname__
    length = len(value) if type(value) in _OPEN else None
    text = told(value, LINE)
    if length is not None and "…" in text:
        note = f" {length:,} items"
        text = _folded(value, LINE - len(note)) + note
    return Preview(clipped(text, LINE), kind, length=length)


_OPEN: dict[type, str] = {list: "[", tuple: "(", set: "{", frozenset: "{", dict: "{"}
_CLOSE: dict[type, str] = {list: "]", tuple: ")", set: "}", frozenset: "}", dict: "}"}


def told(value: Any, limit: int = LINE, deep: int = _DEEP) -> str:
    """Write a value in one line of about so many characters."""
    kind = type(value)
    if kind is str:
        cut = value[: limit + 1]
        text = one_line(repr(cut))
        return text if len(value) == len(cut) and len(text) <= limit else clipped(text, limit)
    if kind in (bytes, bytearray):
        return f"{len(value):,} bytes"
    if kind is int and value.bit_length() > 4 * limit:
        return f"an integer of {value.bit_length():,} bits"
    if kind in _OPEN:
        return _folded(value, limit, deep)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return one_line(excerpt(value.item(), limit))
    special = _special(value)
    return special.line if special is not None else one_line(excerpt(value, limit))


def _folded(value: Any, limit: int, deep: int = _DEEP) -> str:
    """Write the first items of a collection, and … for the others."""
    kind = type(value)
    begin, end = _OPEN[kind], _CLOSE[kind]
    if not value:
        return f"{kind.__name__}()" if begin == "{" and kind is not dict else begin + end
    if deep == 0:
        return f"{begin}…{end}"
    parts: list[str] = []
    room = limit - 2
    items = value.items() if kind is dict else value
    for item in islice(items, limit):
        left = max(room - 3, 8)
        part = (
            f"{told(item[0], left, deep - 1)}: {told(item[1], left, deep - 1)}"
            if kind is dict
            else told(item, left, deep - 1)
        )
        more = len(parts) + 1 < len(value)
        if parts and len(part) + (5 if more else 2) > room:
            break
        parts.append(part)
        room -= len(part) + 2
    lacking = len(parts) < len(value)
    comma = "," if kind is tuple and len(value) == 1 else ""
    return f"{begin}{', '.join(parts)}{', …' if lacking else comma}{end}"


def _special(value: Any) -> Preview | None:
    """Look at what libraries give; they are loaded if it is theirs."""
    root = type(value).__module__.partition(".")[0]
    kind = type(value).__qualname__
    if root in ("pandas", "polars") and kind == "DataFrame":
        return _frame(value, pandas=root == "pandas")
    if root in ("pandas", "polars") and kind == "Series":
        first = value.head(10)
        items = first.tolist() if root == "pandas" else first.to_list()
        return _series(len(value), f"{value.dtype}", items, kind)
    if root == "numpy" and kind in ("ndarray", "recarray", "MaskedArray", "memmap"):
        return _array(value.shape, f"{value.dtype}", value, kind)
    if root == "PIL" and hasattr(value, "mode"):
        return Preview(f"{value.width}x{value.height} image, {one_line(value.mode)}", "Image")
    png = getattr(value, "png", None)
    if isinstance(png, bytes) and kind == "Picture":
        return _png(png, len(png), kind)
    return None


def _frame(frame: Any, *, pandas: bool) -> Preview:
    rows, many = frame.shape
    columns = [one_line(told(name, _CELL).strip("'")) for name in islice(frame.columns, _NAMES)]
    head = frame.head(ROWS).iloc[:, :_NAMES] if pandas else frame.head(ROWS)[:, :_NAMES]
    if pandas:
        found = [[head.iat[row, at] for at in range(head.shape[1])] for row in range(len(head))]
    else:
        found = [list(row) for row in head.rows()]
    return table_preview(rows, many, columns, found)


def table_preview(rows: int, many: int, columns: Sequence[str], found: Sequence[Sequence[Any]]) -> Preview:
    """Tell of a table: its shape, its columns, its first rows."""
    line = f"{rows:,} × {many:,}: {', '.join(columns)}" if columns else f"{rows:,} × {many:,}"
    cells = tuple(tuple(cell_text(cell) for cell in row) for row in found)
    return Preview(clipped(line, LINE), "DataFrame", tuple(columns), cells, rows)


def cell_text(value: Any) -> str:
    """Write a cell of a table: texts without their quotes."""
    if isinstance(value, str):
        return clipped(one_line(value[: _CELL * 4]), _CELL)
    numpy = sys.modules.get("numpy")
    try:
        if numpy is not None and isinstance(value, numpy.generic):
            value = value.item()
        if type(value) is float:
            return f"{value:.6g}"
        return told(value, _CELL)
    except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
        return f"<{type(value).__qualname__}: {type(error).__name__}>"


def _series(length: int, dtype: str, first: Sequence[Any], kind: str) -> Preview:
    items = ", ".join(cell_text(one) for one in first) + (", …" if length > len(first) else "")
    return Preview(clipped(f"{length:,} {dtype}: {items}", LINE), kind, length=length)


def _array(shape: tuple[int, ...], dtype: str, array: Any, kind: str) -> Preview:
    line = f"{' × '.join(f'{one:,}' for one in shape)} {one_line(dtype)}" if shape else one_line(dtype)
    if array is not None and array.size:
        first = [cell_text(one) for one in array.reshape(-1)[:10]] if array.flags.c_contiguous else []
        if first:
            line += f": {', '.join(first)}{', …' if array.size > len(first) else ''}"
    return Preview(clipped(line, LINE), kind, length=shape[0] if shape else None)


def _png(data: Buffer, length: int, kind: str) -> Preview:
    head = bytes(data[:24])
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        return Preview(f"image, {size(length)}", kind)
    wide, high = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
    return Preview(f"{wide}x{high} image", kind)


# -- what is stored ---------------------------------------------------------------------------------------------------


def stored_preview(codec: str, length: int, data: Buffer | None) -> Preview:
    """Look at stored bytes without decoding them; at their number only where they are far.

    >>> stored_preview("npy", 12_300_000, None).line
    'array, 12.3 MB'
    """
    kind = _KINDS.get(codec, "")
    try:
        reader = _READERS.get(codec)
        if data is not None and reader is not None:
            return reader(data, length, kind)
    except Exception:  # noqa: BLE001 - bytes that nobody has verified: what is told of them is that they are there
        return Preview(f"{_NOUNS.get(codec, codec)}, {size(length)}", kind)
    return Preview(f"{_NOUNS.get(codec, codec)}, {size(length)}", kind)


def _npy(data: Buffer, length: int, kind: str) -> Preview:  # noqa: ARG001 - as all readers
    from numpy.lib import format as npy

    file = io.BytesIO(bytes(data[:_HEAD]))
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return _array(shape, f"{dtype}", None, kind)


def _parquet(data: Buffer, length: int, kind: str) -> Preview:  # noqa: ARG001 - as all readers
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data)))
    schema = file.schema_arrow
    hidden = [name for name in schema.names if name.startswith("__index_level_")]
    names = [name for name in schema.names if name not in hidden]
    few = names[:_NAMES]
    found: list[list[Any]] = []
    group = file.metadata.row_group(0).total_byte_size if file.metadata.num_row_groups else 0
    if group <= _CHEAP and few:
        batch = next(file.iter_batches(batch_size=ROWS, columns=few), None)
        found = [] if batch is None else [[row[name] for name in few] for row in batch.to_pylist()[:ROWS]]
    return table_preview(file.metadata.num_rows, len(names), [one_line(name) for name in few], found)


_CHEAP = 1_000_000_000
"""Bytes of a group of rows of which the first may be read to show them."""


def _text(data: Buffer, length: int, kind: str) -> Preview:
    start = one_line(bytes(data[: 2 * LINE]).decode("utf-8", "replace"))
    note = f" {size(length)}"
    return Preview(clipped(start, LINE - len(note)) + note, kind)


_READERS: Mapping[str, Callable[[Buffer, int, str], Preview]] = {
    "npy": _npy,
    "parquet": _parquet,
    "polars": _parquet,
    "png": _png,
    "picture": _png,
    "json": _text,
    "lines": _text,
    "text": _text,
}
_KINDS = {
    "npy": "ndarray",
    "parquet": "DataFrame",
    "polars": "DataFrame",
    "polars-series": "Series",
    "png": "Image",
    "tiff": "Image",
    "picture": "Picture",
    "lines": "Items",
    "items": "Items",
    "text": "str",
}
_NOUNS = {
    "npy": "array",
    "parquet": "table",
    "polars": "table",
    "polars-series": "series",
    "png": "image",
    "tiff": "image",
    "composite": "values, arrays and frames",
    "pickle": "Python object",
    "json": "values",
    "skops": "model",
    "sparse": "sparse matrix",
    "masked": "masked array",
    "records": "records",
    "lines": "items",
    "items": "items",
}


def items_of(value: Any, most: int = 10) -> tuple[tuple[str, ...], int | None]:
    """Give the first items of what is list-like as texts, and how many it has; of all else one text, and None."""
    try:
        root, kind = type(value).__module__.partition(".")[0], type(value).__qualname__
        found: list[Any]
        if type(value) in (list, tuple) or (root == "numpy" and getattr(value, "ndim", None)):
            found = list(value[:most])
        elif root in ("pandas", "polars") and kind == "Series":
            found = list(value.head(most))
        elif root in ("pandas", "polars") and kind == "DataFrame":
            rows = value.head(most)
            found = rows.to_dict("records") if root == "pandas" else rows.to_dicts()
            texts = [", ".join(f"{name}={cell_text(one)}" for name, one in row.items()) for row in found]
            return tuple(clipped(one_line(text), 2 * _CELL) for text in texts), len(value)
        else:
            return (preview(value).line if not isinstance(value, str) else cell_text(value),), None
        return tuple(map(cell_text, found)), len(value)
    except Exception:  # noqa: BLE001 - whatever the value's own methods raise
        return (preview(value).line,), None
