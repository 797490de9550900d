"""pandas frames and series as Parquet, with notes beside the table for what Parquet forgets."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.footers import check, filled
from workflow_assets.store.formats import Buffer
from workflow_assets.store.labels import (
    InexactError,
    in_zone,
    is_numpy,
    read_frame_zone,
    read_index,
    read_plain,
    write_frame_zone,
    write_freq,
    write_index,
    write_plain,
)
from workflow_assets.store.trees import from_json, to_json

_NOTES = b"workflow_assets"
_THREADED = 1 << 20
"""Frames from this many bytes on are read by several threads; for smaller ones, starting them costs more."""


class FrameCodec:
    """pandas frames and series as Parquet, where Parquet and our notes hold them exactly.

    Types, labels and names are kept: time zones, categories, frequencies, texts with None or NaN for a missing one,
    labels of any plain type, several levels. Columns of other Python objects, intervals and periods are not: frames
    with such are pickled.
    """

    name = "parquet"
    extension = "parquet"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is a frame or series, and not of a class derived from them."""
        pandas = sys.modules.get("pandas")
        return pandas is not None and type(value) in (pandas.DataFrame, pandas.Series)

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give a Parquet file; without dictionaries, which cost five times the time, but for categories."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            frame, notes = _described(value)
            table = _with_odd_nans(pa.Table.from_pandas(frame), frame)
            if notes:
                metadata = {**table.schema.metadata, _NOTES: to_json(notes).encode()}
                table = table.replace_schema_metadata(metadata)
            categorical = [field.name for field in table.schema if pa.types.is_dictionary(field.type)]
            table = _without_nulls(table)
            sink = pa.BufferOutputStream()
            pq.write_table(
                table,
                sink,
                use_dictionary=categorical or False,
                # Measured floats hardly get smaller, and take twice the time.
                compression={
                    field.name: "none" if pa.types.is_floating(field.type) else "snappy"
                    for field in table.schema
                },
                write_statistics=False,
            )
        except (InexactError, pa.ArrowException, ValueError, TypeError, OverflowError):
            return None
        return filled(memoryview(sink.getvalue()), table.num_rows * table.num_columns)

    def decode(self, data: Buffer) -> Any:
        """Give a frame or series of its own memory."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        threads = len(data) > _THREADED
        file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(data)))
        check(file.metadata, len(data))
        table = file.read(use_threads=threads)
        with pd.option_context("future.infer_string", False):
            frame = table.to_pandas(use_threads=threads)
            text = (table.schema.metadata or {}).get(_NOTES)
            return frame if text is None else _restored(frame, table, from_json(text))

    def copy(self, value: Any) -> Any:
        """Copy memory, labels included."""
        copied = value.copy()
        copied.index = copied.index.copy(deep=True)
        if copied.ndim == 2:
            copied.columns = copied.columns.copy(deep=True)
        return copied


# -- writing ----------------------------------------------------------------------------------------------------------


def _described(value: Any) -> tuple[Any, dict[str, Any]]:
    """Give a frame that shares the value's memory and fits in a table, and the notes that make it the value again."""
    import pandas as pd

    if not value.flags.allows_duplicate_labels:
        raise InexactError("flags")
    notes: dict[str, Any] = {}
    if value.attrs:
        notes["attrs"] = write_plain(value.attrs)
    if value.ndim == 1:
        frame = value.to_frame("values")
        notes["series"] = write_plain(value.name)
    else:
        frame = value.copy(deep=False)
        if not _is_usual(frame.columns):
            notes["columns"] = write_index(frame.columns)
            frame.columns = _column_names(frame.columns)
    frame.attrs = {}
    types = {
        str(place): note for place, dtype in enumerate(frame.dtypes) if (note := _note(frame, place, dtype))
    }
    if types:
        notes["types"] = types
    index = frame.index
    if type(index) is pd.RangeIndex:
        if not len(frame.columns) or index.name is not None:
            notes["index"] = write_index(index)
            frame.index = index.rename(None)
    else:
        notes |= _level_notes(index)
        names = [name if type(name) is str and name not in frame.columns else None for name in index.names]
        frame.index = index.set_names(names if len(set(names)) == len(names) else [None] * len(names))
    return frame, notes


def _with_odd_nans(table: Any, frame: Any) -> Any:
    """Keep NaN where its bits are not the usual ones, as those of 0 / 0 are not; any other is a null in the table."""
    import numpy as np
    import pyarrow as pa

    for place, column in enumerate(table.columns):
        if not column.null_count or not pa.types.is_floating(column.type):
            continue
        source = frame.iloc[:, place] if place < len(frame.columns) else frame.index
        if source.ndim == 1 and is_numpy(source.dtype) and source.dtype.kind == "f":
            values = source.to_numpy()
            bits = f"u{values.itemsize}"
            if (values[np.isnan(values)].view(bits) != np.array(np.nan, values.dtype).view(bits)).any():
                table = table.set_column(place, table.field(place), pa.array(values, from_pandas=False))
    return table


def _without_nulls(table: Any) -> Any:
    """Say of which columns no value is missing, which saves writing that of each value."""
    import pyarrow as pa

    fields = [
        field.with_nullable(bool(column.null_count))
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields, table.schema.metadata))


def _is_usual(columns: Any) -> bool:
    """Tell whether labels are texts, each once, so that the table's own names say all."""
    return (
        type(columns).__name__ == "Index"
        and columns.dtype == object
        and columns.name is None
        and len(columns) > 0
        and set(map(type, columns)) == {str}
        and columns.is_unique
        and not any(label.startswith("__index_level_") for label in columns)
    )


def _column_names(columns: Any) -> list[str]:
    names = [str(label) for label in columns]
    if len(set(names)) == len(names) and not any(name.startswith("__index_level_") for name in names):
        return names
    return [f"{place}: {name}" for place, name in enumerate(names)]


def _level_notes(index: Any) -> dict[str, Any]:
    import pandas as pd

    notes: dict[str, Any] = {"names": [write_plain(name) for name in index.names]}
    if type(index) is pd.MultiIndex:
        if any(level.hasnans for level in index.levels):
            raise InexactError("a missing label that has a code")
        notes["levels"] = [write_index(level) for level in index.levels]
        return notes
    if type(index) not in {pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex, pd.CategoricalIndex}:
        raise InexactError(type(index).__name__)
    notes["level"] = _note(index.to_frame(name="values"), 0, index.dtype)
    if notes["level"] is None and not is_numpy(index.dtype):
        notes["level"] = ["masked", str(index.dtype)]
    if getattr(index, "freq", None) is not None:
        notes["freq"] = write_freq(index.freq)
    return notes


def _note(frame: Any, place: int, dtype: Any) -> list[Any] | None:
    """Say how to make a column again from what the table holds; None where pandas' own notes suffice."""
    import pandas as pd

    if is_numpy(dtype):
        if dtype.kind == "O":
            return _object_note(frame.iloc[:, place].to_numpy())
        if dtype.kind in "Mm":
            return ["unit", dtype.str[1:]] if dtype.str.endswith("[s]") else None
        if dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype.isnative:
            return None
    elif isinstance(dtype, pd.DatetimeTZDtype):
        return ["zone", dtype.unit, write_frame_zone(dtype.tz)]
    elif isinstance(dtype, pd.StringDtype):
        return ["string", dtype.storage.removesuffix("_numpy"), _is_nan(dtype.na_value)]
    elif isinstance(dtype, pd.CategoricalDtype):
        return ["categories", _category_note(dtype.categories), bool(dtype.ordered)]
    elif str(dtype) in _MASKED:
        return None
    raise InexactError(f"a column of {dtype}")


_MASKED = frozenset(
    {
        "Int8",
        "Int16",
        "Int32",
        "Int64",
        "UInt8",
        "UInt16",
        "UInt32",
        "UInt64",
        "Float32",
        "Float64",
        "boolean",
    }
)


def _object_note(values: Any) -> list[Any] | None:
    """Note what is missing where a text is: Parquet has one word for None and NaN."""
    kinds = set(map(type, values))
    missing = kinds & {type(None), float}
    if len(kinds - missing) > 1 or len(missing) > 1 or not kinds - missing <= _STORABLE:
        raise InexactError("a column of Python objects")
    if float in kinds:
        if not all(value != value for value in values if type(value) is float):  # noqa: PLR0124  # NaN alone is not itself
            raise InexactError("a column of numbers as Python objects")
        return ["nan"]
    return None


_STORABLE = frozenset({str, bytes, datetime.date})


def _category_note(categories: Any) -> dict[str, Any]:
    noted = write_index(categories)
    if categories.dtype == object and not set(map(type, categories)) <= {str}:
        raise InexactError("categories of several types")
    return noted


def _is_nan(value: Any) -> bool:
    return isinstance(value, float)


# -- reading ----------------------------------------------------------------------------------------------------------


def _restored(frame: Any, table: Any, notes: dict[str, Any]) -> Any:
    import pandas as pd

    for place, note in notes.get("types", {}).items():
        frame.isetitem(int(place), _column(table.column(int(place)), note))
    index = _index(frame, table, notes)
    if "series" in notes:
        value: Any = pd.Series(
            frame.iloc[:, 0].array, index=index, name=read_plain(notes["series"]), copy=False
        )
    else:
        value = frame if table.num_columns and len(frame.columns) else pd.DataFrame(index=index)
        value.index = index
        if "columns" in notes:
            value.columns = read_index(notes["columns"])
    if "attrs" in notes:
        value.attrs = read_plain(notes["attrs"])
    return value


def _index(frame: Any, table: Any, notes: dict[str, Any]) -> Any:
    import pandas as pd

    if "index" in notes:
        return read_index(notes["index"])
    if "names" not in notes:
        return frame.index
    names = [read_plain(name) for name in notes["names"]]
    first = len(frame.columns)
    if "levels" in notes:
        levels = [read_index(level) for level in notes["levels"]]
        codes = [_codes(table.column(first + place), level) for place, level in enumerate(levels)]
        return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=False)
    index = frame.index
    if notes["level"] is not None:
        values = _column(table.column(first), notes["level"])
        index = pd.Index(values, dtype=values.dtype)
    index = index.rename(names[0])
    if "freq" in notes:
        index.freq = notes["freq"]
    return index


def _column(column: Any, note: list[Any]) -> Any:
    """Give the array of a column whose type pandas would not give again on its own."""
    import numpy as np
    import pandas as pd

    kind, *rest = note
    if kind == "categories":
        tree, ordered = rest
        categories = read_index(tree)
        dtype = pd.CategoricalDtype(categories, ordered)
        return pd.Categorical.from_codes(_codes(column, categories), dtype=dtype)
    if kind == "string":
        storage, nan = rest
        return _string_type(storage, nan).__from_arrow__(column)
    if kind == "masked":
        masked: Any = pd.api.types.pandas_dtype(rest[0])
        return masked.__from_arrow__(column)
    values = column.to_pandas()
    if kind == "zone":
        unit, zone = rest
        return in_zone(pd.DatetimeIndex(values).as_unit(unit), read_frame_zone(zone)).array
    if kind == "unit":
        if rest[0] not in {"M8[s]", "m8[s]"}:
            raise CodecError(f"the stored column claims to be of {rest[0]}")
        return values.to_numpy().astype(rest[0])
    array = values.to_numpy(dtype=object, copy=True)
    array[pd.isna(array)] = np.nan
    return array


def _string_type(storage: str, nan: bool) -> Any:
    import numpy as np
    import pandas as pd

    if not nan:
        return pd.StringDtype(storage)
    try:
        return pd.StringDtype(storage, na_value=np.nan)
    except TypeError:  # before pandas 2.3
        return pd.StringDtype("pyarrow_numpy")


def _codes(column: Any, level: Any) -> Any:
    """Give, for each value of a column, its place among the labels of a level, and -1 for a missing one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    known = pa.array(level, from_pandas=True).cast(column.type)
    return pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy()
