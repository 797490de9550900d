"""polars frames and series as Parquet, with every type kept."""

import datetime
import io

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode, independent_copy

MOMENTS = [datetime.datetime(2020, 3, 1, 12), None]  # noqa: DTZ001
COLUMNS = {
    "numbers": pl.Series([1, None], dtype=pl.Int8),
    "unsigned": pl.Series([2**64 - 1, 0], dtype=pl.UInt64),
    "floats": pl.Series([float("nan"), -0.0]),
    "single": pl.Series([1.5, None], dtype=pl.Float32),
    "booleans": pl.Series([True, None]),
    "text": pl.Series(["größe", None]),
    "bytes": pl.Series([b"\0", None]),
    "nothing": pl.Series([None, None], dtype=pl.Null),
    "dates": pl.Series([datetime.date(2020, 1, 1), None]),
    "times": pl.Series([datetime.time(1, 2, 3), None]),
    "naive": pl.Series(MOMENTS, dtype=pl.Datetime("ms")),
    "zoned": pl.Series(MOMENTS, dtype=pl.Datetime("ns")).dt.replace_time_zone("Europe/Berlin"),
    "durations": pl.Series([datetime.timedelta(hours=1), None], dtype=pl.Duration("us")),
    "categories": pl.Series(["a", None], dtype=pl.Categorical),
    "enum": pl.Series(["b", None], dtype=pl.Enum(["b", "a"])),
    "decimals": pl.Series(["1.10", None]).cast(pl.Decimal(10, 2)),
    "lists": pl.Series([[1, None], None], dtype=pl.List(pl.Int16)),
    "empty lists": pl.Series([[], []], dtype=pl.List(pl.String)),
    "arrays": pl.Series([[1, 2], None], dtype=pl.Array(pl.Int32, 2)),
    "structs": pl.Series([{"a": 1, "b": ["x"]}, None]),
    "lists of categories": pl.Series([["a"], None], dtype=pl.List(pl.Categorical)),
    "empty": pl.Series([], dtype=pl.Datetime("us", "UTC")),
}
FRAMES = {name: column.to_frame(name) for name, column in COLUMNS.items()} | {
    "no columns": pl.DataFrame(),
    "all": pl.DataFrame({name: column for name, column in COLUMNS.items() if len(column)}),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_frame_comes_back_as_it_was(frame):
    """In its types and values, cold as warm; polars itself reads what is written."""
    encoded = encode(frame, pickles=False)
    assert encoded.codec == "polars"
    for again in (
        decode("polars", encoded.bytes(), pickles=False),
        independent_copy(encoded, pickles=False),
        pl.read_parquet(io.BytesIO(encoded.bytes())),
    ):
        assert_frame_equal(again, frame, check_exact=True)
        assert again.schema == frame.schema


@pytest.mark.parametrize("series", COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("name", ["", "größe"])
def test_a_series_comes_back_as_it_was(series, name):
    """With its name."""
    encoded = encode({"x": series.alias(name)}, pickles=False)
    again = decode("composite", encoded.bytes(), pickles=False)["x"]
    assert_series_equal(again, series.alias(name), check_exact=True)
    assert again.dtype == series.dtype


def test_a_frame_is_the_callers_own():
    """What one consumer does to it, the next one does not see."""
    encoded = encode(pl.DataFrame({"a": [1, 2]}), pickles=False)
    first = independent_copy(encoded, pickles=False)
    first[0, "a"] = 9
    assert independent_copy(encoded, pickles=False)["a"].to_list() == [1, 2]


def test_python_objects_are_left_to_pickle():
    """And refused without it."""
    with pytest.raises(CodecError, match="is a DataFrame, which only pickle could store"):
        encode(pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)}), pickles=False)


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" + b"\xff" * 50 + b"\xff\xff\xff\x7fPAR1", b"no table"]
)
def test_bytes_that_are_no_table_are_an_error_of_ours(data):
    """Whatever polars makes of them."""
    with pytest.raises(CodecError):
        decode("polars", data, pickles=True)
