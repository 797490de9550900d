"""Frames and series as Parquet, exactly."""

import datetime
import decimal
import io
import zoneinfo

import dateutil.tz
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import pytz

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode, independent_copy
from workflow_assets_tests.conformance.sameness import assert_same
from workflow_assets_tests.properties.values import NAN_TEXT

STAMPS = np.array(["2020-01-01T01:02:03", "NaT"], dtype="M8[s]")
NEGATIVE_NAN = np.array([0xFFF8000000000000], "u8").view("f8")


def one(values, **options):
    return pd.DataFrame({"a": pd.Series(values, **options)})


def two(index=None, columns=None):
    return pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=index, columns=columns)


def attributed(value, **attributes):
    for name, item in attributes.items():
        setattr(value, name, item)
    return value


EXACT = {
    # types
    **{
        f"{kind}": one(np.array([0, 1], dtype=kind))
        for kind in ("bool", "int8", "uint16", "int64", "uint64", "float16", "float32", "float64")
    },
    "NaN, infinity and minus zero": one([np.nan, np.inf, -np.inf, -0.0]),
    "NaN of another sign": one(np.append(NEGATIVE_NAN, 1.0)),
    **{f"datetime64[{unit}]": one(STAMPS.astype(f"M8[{unit}]")) for unit in ("s", "ms", "us", "ns")},
    **{f"timedelta64[{unit}]": one(np.array([1, "NaT"], f"m8[{unit}]")) for unit in ("s", "ms", "us", "ns")},
    **{
        f"in the zone {type(zone).__module__} {zone}": one(pd.DatetimeIndex(STAMPS).tz_localize(zone))
        for zone in (
            "UTC",
            "Europe/Berlin",
            pytz.UTC,
            pytz.timezone("Asia/Kolkata"),
            pytz.FixedOffset(-90),
            zoneinfo.ZoneInfo("UTC"),
            zoneinfo.ZoneInfo("America/New_York"),
            datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
        )
    },
    "both hours of a clock set back": one(pd.date_range("2020-10-24 23:30", periods=4, freq="30min", tz="UTC")).assign(
        a=lambda frame: frame.a.dt.tz_convert("Europe/Berlin")
    ),
    **{
        f"{kind}": one([1, None], dtype=kind)
        for kind in ("Int8", "Int64", "UInt64", "Float32", "Float64", "boolean")
    },
    "an integer that no float holds": one(pd.array([2**63 - 1, None], dtype="Int64")),
    "NaN beside NA": one(pd.arrays.FloatingArray(np.array([np.nan, 1.0]), np.array([False, True]))),
    "texts with None": one(["x", None, ""], dtype=object),
    "texts with NaN": one(["x", np.nan, "größe"], dtype=object),
    "texts": one(["x", "y"], dtype=object),
    "only None": one([None, None], dtype=object),
    "only NaN as objects": one([np.nan, np.nan], dtype=object),
    "bytes": one([b"x", None], dtype=object),
    "dates": one([datetime.date(2020, 1, 1), None], dtype=object),
    "string[python]": one(["x", None], dtype="string[python]"),
    "string[pyarrow]": one(["x", None], dtype="string[pyarrow]"),
    "str": one(["x", None], dtype=NAN_TEXT),
    "categories": one(pd.Categorical(["b", "a", None, "b"], categories=["c", "b", "a"])),
    "ordered categories": one(pd.Categorical(["b", "a"], categories=["b", "a"], ordered=True)),
    "categories of integers": one(pd.Categorical([2**62 + 1, None], categories=[3, 2**62 + 1])),
    "categories of truths": one(pd.Categorical([True, None])),
    "categories of moments": one(pd.Categorical(pd.date_range("2020", periods=2, tz="Europe/Berlin"))),
    "categories that nobody has": one(pd.Categorical([None, None], categories=["x"])),
    "no categories": one(pd.Categorical([])),
    "three hundred categories": one(pd.Categorical([f"{place}" for place in range(300)])),
    # shapes
    "nothing": pd.DataFrame(),
    "no columns": pd.DataFrame(index=range(3)),
    "no columns, with labels": pd.DataFrame(index=["a", "b"]),
    "no rows": pd.DataFrame({"a": np.array([], "i4"), "b": np.array([], "M8[ns]"), "c": pd.Series([], dtype=object)}),
    "no rows of columns without types": pd.DataFrame(columns=["a", "b"]),
    "wide": pd.DataFrame(np.arange(600.0).reshape(2, 300)),
    # columns
    "numbered columns": two(),
    "integers as labels": two(columns=[7, 3]),
    "floats as labels": two(columns=[0.5, np.nan]),
    "mixed labels": two(columns=pd.Index([1, "1"], dtype=object)),
    "None and tuples as labels": two(columns=pd.Index([None, ("a", 1)], dtype=object, tupleize_cols=False)),
    "the same label twice": two(columns=["a", "a"]),
    "labels that look like ours": two(columns=["__index_level_0__", "a"]),
    "columns with a name": two(columns=pd.Index(["a", "b"], name="measure")),
    "columns with a number as their name": two(columns=pd.Index(["a", "b"], name=3)),
    "columns of two levels": two(columns=pd.MultiIndex.from_tuples([("m", "x"), ("m", "y")], names=["k", None])),
    "days as columns": two(columns=pd.date_range("2020", periods=2)),
    # rows
    "a range": two(index=pd.RangeIndex(10, 6, -2)),
    "a range with a name": two(index=pd.RangeIndex(2, name="row")),
    "a range named by a tuple": two(index=pd.RangeIndex(2, name=("a", 1))),
    "integers": two(index=pd.Index([3, 1], dtype="int16")),
    "floats, one missing": two(index=[0.5, np.nan]),
    "truths": two(index=[True, False]),
    "texts as rows": two(index=["x", "y"]),
    "texts as rows, one missing": two(index=pd.Index(["x", np.nan], dtype=object)),
    "a name that is a column's too": two(index=pd.Index(["x", "y"], name="a"), columns=["a", "b"]),
    "a name that is a number": two(index=pd.Index(["x", "y"], name=0)),
    "days": two(index=pd.date_range("2020", periods=2)),
    "business days in a zone": two(index=pd.date_range("2020", periods=2, freq="B", tz="Europe/Berlin", unit="s")),
    "moments without a frequency": two(index=pd.DatetimeIndex(["2020-01-01", "2020-01-02"])),
    "hours": two(index=pd.timedelta_range("1h", periods=2)),
    "categories as rows": two(index=pd.CategoricalIndex(["b", "a"], categories=["z", "b", "a"], ordered=True)),
    "nullable integers as rows": two(index=pd.Index(pd.array([2**63 - 1, None], dtype="Int64"))),
    "several levels": two(index=pd.MultiIndex.from_tuples([("b", 1), ("a", 2)], names=["x", None])),
    "levels of one name": two(index=pd.MultiIndex.from_tuples([("b", 1), ("a", 2)], names=["x", "x"])),
    "levels in an order of their own": two(
        index=pd.MultiIndex(levels=[["z", "b", "a"], [1.5, 0.5]], codes=[[2, 1], [0, -1]])
    ),
    "a level of days": two(index=pd.MultiIndex.from_product([["a"], pd.date_range("2020", periods=2, tz="UTC")])),
    # series
    "a series": pd.Series([1.0, 2.0], name="x"),
    "a series without a name": pd.Series([1.0, 2.0]),
    "a series named by a number": pd.Series([1, 2], name=0),
    "a series named by a tuple": pd.Series(["a", None], name=("a", 1), index=[3, 4]),
    "an empty series": pd.Series([], dtype="float32"),
    "a series of categories by day": pd.Series(pd.Categorical(["a", "b"]), index=pd.date_range("2020", periods=2)),
    # more
    "attributes": attributed(two(), attrs={"unit": "m", "of": [1, (2, None)]}),
    "attributes of a series": attributed(pd.Series([1]), attrs={"unit": "m"}),
    "a slice": two(columns=["a", "b"]).iloc[::-1],
    "a transposed frame": two(columns=["a", "b"]).T,
}  # fmt: skip
INEXACT = {
    "Python objects": one([{"a": 1}, [2]], dtype=object),
    "integers as objects": one([1, None], dtype=object),
    "floats as objects": one([1.0, np.nan], dtype=object),
    "decimals": one([decimal.Decimal("1.1"), decimal.Decimal("1.10")]),
    "texts with None and NaN": one(["x", None, np.nan], dtype=object),
    "texts with NA": one(["x", pd.NA], dtype=object),
    "half a character": one(["\ud800"], dtype=object),
    "subclasses of text": one([np.str_("x")], dtype=object),
    "complex": one([1j]),
    "another order of bytes": one(np.array([1, 2], ">f8")),
    "long doubles": one(np.array([0.1], "g")),
    "intervals": one(pd.interval_range(0, 2)),
    "periods as rows": two(index=pd.period_range("2020", periods=2)),
    "sparse": one([0, 1], dtype="Sparse[int]"),
    "Arrow's own types": one([1, None], dtype="int64[pyarrow]"),
    "categories of floats and texts": one(pd.Categorical([1.5, "a"])),
    "a month and a day as frequency": two(
        index=pd.date_range("2020", periods=2, freq=pd.DateOffset(months=1, days=1))
    ),
    "a zone of dateutil": one(pd.DatetimeIndex(STAMPS).tz_localize(dateutil.tz.tzutc())),
    "seconds in a zone's offset": one(
        pd.DatetimeIndex(STAMPS).tz_localize(datetime.timezone(datetime.timedelta(seconds=3661)))
    ),
    "labels that must be unique": two().set_flags(allows_duplicate_labels=False),
    "attributes that are objects": attributed(two(), attrs={"lock": frozenset, "frame": 1j}),
}  # fmt: skip


def round_trip(value):
    encoded = encode(value, pickles=True)
    warm = decode(encoded.codec, encoded.bytes(), pickles=True)
    assert_same(independent_copy(encoded, pickles=True), warm, layout=True)
    return encoded, warm


@pytest.mark.parametrize("frame", EXACT.values(), ids=EXACT)
def test_parquet_holds_a_frame_exactly(frame):
    """Values, types, labels, names, frequencies and attributes; cold as warm."""
    encoded, warm = round_trip(frame)
    assert encoded.codec == "parquet"
    assert_same(warm, frame)


@pytest.mark.parametrize("frame", INEXACT.values(), ids=INEXACT)
def test_what_parquet_cannot_hold_is_pickled(frame):
    """Rather than changed; and without pickles, refused."""
    encoded, warm = round_trip(frame)
    assert encoded.codec == "pickle"
    assert_same(warm, frame)
    with pytest.raises(CodecError, match="is a DataFrame, which only pickle could store"):
        encode(frame, pickles=False)


@pytest.mark.parametrize(
    "name", ["float64", "texts with None", "numbered columns", "texts as rows", "several levels"]
)
def test_other_tools_read_what_is_written(name):
    """Pandas itself finds the same values, if not always the same types of labels."""
    frame = EXACT[name]
    read = pd.read_parquet(io.BytesIO(encode(frame, pickles=False).bytes()))
    assert read.to_numpy().tolist() == frame.to_numpy().tolist()
    assert list(map(str, read.columns)) == list(map(str, frame.columns))
    assert list(read.index) == list(frame.index)


def test_categories_are_readable_texts_to_other_tools():
    """Not codes that only we understand."""
    table = pq.read_table(io.BytesIO(encode(EXACT["categories"], pickles=False).bytes()))
    assert table.column("a").to_pylist() == ["b", "a", None, "b"]


@pytest.mark.parametrize(
    "write",
    [
        lambda frame: frame.__setitem__("new", 1),
        lambda frame: frame.iloc.__setitem__((0, 0), 99.0),
        lambda frame: frame.to_numpy().__setitem__((0, 0), 99.0),
        lambda frame: frame.columns.to_numpy().__setitem__(0, "changed"),
        lambda frame: frame.columns.values.__setitem__(0, "changed"),
        lambda frame: frame.index.values.__setitem__(0, 99),
        lambda frame: setattr(frame.index, "name", "changed"),
        lambda frame: frame.attrs.update(x=1),
        lambda frame: frame.attrs["list"].append(1),
        lambda frame: frame.drop(columns="a", inplace=True),
        lambda frame: frame.sort_values("a", ascending=False, inplace=True),
    ],
)
def test_what_one_consumer_does_to_a_frame_nobody_else_sees(write):
    """Neither the next consumer, nor the value that the step returned."""

    def made():
        frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=[5, 6])
        frame.attrs["list"] = []
        return frame

    returned = made()
    encoded = encode(returned, pickles=False)
    for _ in range(2):
        handed = independent_copy(encoded, pickles=False)
        assert_same(handed, made())
        write(handed)
    assert_same(returned, made())
    write(returned)
    assert_same(independent_copy(encoded, pickles=False), made())


def test_a_frame_over_an_array_that_others_write_to_keeps_its_values():
    """A step may return a view of what it, or another module, goes on using."""
    shared = np.zeros((3, 2))
    encoded = encode(pd.DataFrame(shared, columns=["a", "b"], copy=False), pickles=False)
    series = encode(pd.Series(shared[:, 0], copy=False), pickles=False)
    shared[:] = 7
    assert independent_copy(encoded, pickles=False).to_numpy().sum() == 0
    assert independent_copy(series, pickles=False).sum() == 0


def test_encoding_leaves_a_frame_as_it_was():
    """Labels, names, attributes and values."""
    frame = attributed(two(columns=[1, 1], index=pd.Index(["x", "y"], name=0)), attrs={"a": 1})
    before = frame.copy()
    encode(frame, pickles=False)
    assert_same(frame, before)
    series = pd.Series([1.0], name=3)
    encode(series, pickles=False)
    assert_same(series, pd.Series([1.0], name=3))


def test_pandas_options_change_nothing_that_is_read():
    """Texts stay objects where pandas would now infer its own type for them."""
    encoded = encode(EXACT["texts with None"], pickles=False)
    with pd.option_context("future.infer_string", True):
        assert decode("parquet", encoded.bytes(), pickles=False).a.dtype == object
    with pd.option_context("mode.string_storage", "pyarrow"):
        python = encode(EXACT["string[python]"], pickles=False)
        assert_same(decode("parquet", python.bytes(), pickles=False), EXACT["string[python]"])


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 9], ids=["empty", "magic", "torn"])
def test_what_is_no_parquet_is_refused(data):
    """With an error of our own."""
    with pytest.raises(CodecError, match="the stored parquet bytes cannot be decoded"):
        decode("parquet", data, pickles=False)
