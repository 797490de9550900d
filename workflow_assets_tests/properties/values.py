"""Values of all kinds that a store holds, for property tests to draw from."""

import dataclasses
import datetime
import decimal
import enum
import pathlib
import zoneinfo
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pydantic
import pytz
import scipy.sparse
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

ZONES = [
    datetime.UTC,
    datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
    datetime.timezone(-datetime.timedelta(seconds=3661)),
    zoneinfo.ZoneInfo("Europe/Berlin"),
    zoneinfo.ZoneInfo("UTC"),
]
FRAME_ZONES: list[Any] = [
    "UTC",
    "Europe/Berlin",
    datetime.UTC,
    pytz.UTC,
    pytz.FixedOffset(90),
    zoneinfo.ZoneInfo("America/New_York"),
    datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
]

try:
    NAN_TEXT = pd.StringDtype("pyarrow", na_value=np.nan)
except TypeError:  # before pandas 2.3
    NAN_TEXT = pd.StringDtype("pyarrow_numpy")  # type: ignore[call-overload]

any_text = st.text(st.characters(exclude_categories=[]), max_size=8)  # lone surrogates among it

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers().map(lambda number: number << 10_000),
    st.floats(),
    st.complex_numbers(),
    any_text,
    st.binary(max_size=8),
    st.binary(max_size=8).map(bytearray),
    st.decimals(),
    st.sampled_from(["-0E+9", "sNaN", "NaN17", "-Infinity", "1.10"]).map(decimal.Decimal),
    st.fractions(),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.sampled_from(ZONES)),
    st.times(timezones=st.none() | st.sampled_from(ZONES)),
    st.timedeltas(),
    st.builds(range, st.integers(), st.integers(), st.integers(min_value=1)),
    any_text.filter(lambda text: "\0" not in text).map(pathlib.Path),
)

_scalar_types: Any = npst.scalar_dtypes() | st.sampled_from(["g", "q", "M8[25s]"]).map(np.dtype)
numpy_scalars: st.SearchStrategy[Any] = npst.arrays(_scalar_types, ()).map(lambda array: array[()])

hashable = st.recursive(
    st.one_of(scalars, numpy_scalars).filter(lambda value: type(value) not in (bytearray, decimal.Decimal)),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)


class Colour(enum.Enum):
    RED = 1
    BLUE = "blue"
    ALSO_RED = RED


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclasses.dataclass
class Open:
    left: Any
    right: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Closed:
    left: Any
    _hidden: Any = None


class Pair(NamedTuple):
    left: Any
    right: Any


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    left: Any
    right: Any = None


enumerated = st.sampled_from([*Colour, *Access, Access(0), Access.READ | Access.WRITE])


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw dataclasses, named tuples and pydantic models of values."""
    return st.one_of(
        st.builds(Open, inner, inner),
        st.builds(Closed, inner, inner),
        st.builds(Pair, inner, inner),
        st.builds(Model, left=inner),
        st.builds(Model, left=inner, right=inner, more=inner),
    )


def nested(leaves: st.SearchStrategy[Any], max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Draw lists, tuples, sets and dicts of values, within each other."""
    keys = st.one_of(
        any_text, st.sampled_from(["", "$", "$tuple", "$dict", "$member", "a/b", "größe"]), hashable
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            objects(inner),
            st.lists(inner, max_size=4).map(tuple),
            st.sets(hashable, max_size=3),
            st.dictionaries(keys, inner, max_size=4),
            st.dictionaries(
                st.sampled_from(["$tuple", "$enum", "$object", "value", "members"]), inner, max_size=1
            ),
        ),
        max_leaves=max_leaves,
    )


plain = nested(scalars | numpy_scalars | enumerated)

_element_types = st.one_of(
    npst.scalar_dtypes(),
    npst.byte_string_dtypes(min_len=1, max_len=5),
    npst.unicode_string_dtypes(min_len=1, max_len=5),
    st.sampled_from(["M8[25s]", "V5"]).map(np.dtype),
)
array_types = st.one_of(
    _element_types,
    st.sampled_from(["g", "G"]).map(np.dtype),
    npst.array_dtypes(_element_types, max_size=3),
    st.lists(_element_types, min_size=1, max_size=3).map(
        lambda types: np.dtype([(f"f{place}", kind) for place, kind in enumerate(types)], align=True)
    ),
)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """Draw arrays of all types of fixed size, in several layouts."""
    shape = draw(npst.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=4))
    dtype = draw(array_types)
    array: Any = np.frombuffer(
        draw(st.binary(min_size=(size := int(np.prod(shape)) * dtype.itemsize), max_size=size)) or b"",
        dtype="u1",
    )
    array = array.view(dtype) if size else np.empty(shape, dtype)
    if dtype.kind == "U":  # any four bytes are no character
        array = np.array(["a\u00e9\U0001f600"[: place % 4] for place in range(array.size)], dtype=dtype)
    elif dtype.kind == "b":
        array = array.view("u1") % 2 == 1
    elif dtype.kind == "V" and dtype.names and "U" in str(dtype):
        array = np.zeros(array.size, dtype)
    array = array.reshape(shape)
    layout = draw(st.sampled_from("CFTSR"))
    if layout in "CF":
        return array.copy(order=layout)
    if layout == "T":
        return array.T
    if layout == "S":
        return array[(slice(None, None, -2),) * array.ndim]
    array = array.copy()
    array.flags.writeable = False
    return array


@st.composite
def masked_arrays(draw: st.DrawFn) -> Any:
    """Draw arrays with masks, or without."""
    array = draw(
        arrays().filter(lambda array: array.dtype.names is None)
    )  # numpy itself fails for some records
    mask = draw(st.just(np.ma.nomask) | npst.arrays("?", array.shape))
    return np.ma.MaskedArray(array, mask=mask, hard_mask=draw(st.booleans()))


@st.composite
def sparse_matrices(draw: st.DrawFn) -> Any:
    """Draw sparse matrices and arrays of all formats."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    dense = draw(npst.arrays(draw(st.sampled_from(["?", "i1", "i8", "f4", "f8", "c16"])), shape))
    suffix = draw(st.sampled_from(["array", "matrix"]))
    kind = draw(st.sampled_from(["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]))
    return getattr(scipy.sparse, f"{kind}_{suffix}")(dense)


# -- frames -----------------------------------------------------------------------------------------------------------

_units: st.SearchStrategy[Any] = st.sampled_from(["s", "ms", "us", "ns"])
_texts = st.one_of(st.text(max_size=4), st.sampled_from(["", "a", "größe", "0"]))
_labels = st.one_of(
    _texts,
    st.integers(-5, 5),
    st.floats(),
    st.booleans(),
    st.none(),
    st.dates(),
    st.tuples(_texts, st.integers(0, 3)),
)
_names = st.one_of(st.none(), _texts, st.integers(0, 3), st.tuples(_texts, st.integers(0, 3)))
_masked = ["Int8", "Int64", "UInt64", "Float32", "Float64"]


@st.composite
def columns(draw: st.DrawFn, size: int, kinds: str = "nomtzcCsSxkbI") -> Any:
    """Draw the values of a column: what pandas has types for, missing values among them."""
    kind = draw(st.sampled_from(kinds))
    several = lambda one: draw(st.lists(one, min_size=size, max_size=size))  # noqa: E731
    moments = st.integers(-(1 << 33), 1 << 33) | st.just(np.iinfo("i8").min)
    match kind:
        case "n":
            dtype: Any = draw(st.sampled_from(["?", "i1", "u2", "i8", "u8", "f2", "f4", "f8"]))
            return draw(npst.arrays(dtype, size))
        case "o":
            missing: Any = draw(st.sampled_from([[], [None], [np.nan], [None, np.nan]]))
            return np.array([*several(st.one_of(_texts, *map(st.just, missing))), None], dtype=object)[:-1]
        case "x":
            of = draw(
                st.sampled_from(
                    [st.binary(max_size=3), st.dates(), st.booleans(), st.integers(), st.floats()]
                )
            )
            return np.array([*several(st.none() | of), None], dtype=object)[:-1]
        case "m" | "t" | "z":
            unit = draw(_units)
            numbers = np.array(several(moments), dtype="i8")
            if kind == "m":
                return numbers.view(f"m8[{unit}]")
            stamps = pd.DatetimeIndex(numbers.view(f"M8[{unit}]"))
            if kind == "t":
                return stamps.to_numpy()
            return stamps.tz_localize("UTC").tz_convert(draw(st.sampled_from(FRAME_ZONES))).array
        case "c" | "C":
            of = draw(
                st.sampled_from(
                    [_texts, st.integers(-(1 << 60), 1 << 60), st.dates().map(pd.Timestamp), st.booleans()]
                )
            )
            categories = draw(st.lists(of, unique=True, max_size=4))
            codes = [draw(st.integers(-1, len(categories) - 1)) for _ in range(size)]
            index = pd.Index(categories) if categories else pd.Index([], dtype=object)
            return pd.Categorical.from_codes(codes, index, ordered=kind == "C")
        case "s" | "S":
            values = several(st.none() | _texts)
            dtypes = [
                pd.StringDtype("python"),
                pd.StringDtype("pyarrow"),
                NAN_TEXT,
            ]
            return pd.array(values, dtype=draw(st.sampled_from(dtypes)))
        case "k":
            return pd.array(several(st.none() | st.integers(0, 100)), dtype=draw(st.sampled_from(_masked)))
        case "b":
            return pd.array(several(st.none() | st.booleans()), dtype="boolean")
        case _:
            numeric: Any = draw(st.sampled_from(["?", "i1", "u8", "f4", "f8"]))
            return draw(npst.arrays(numeric, size))


@st.composite
def indexes(draw: st.DrawFn, size: int) -> Any:
    """Draw labels of rows."""
    kind = draw(st.sampled_from("rcccddtmp"))
    name = draw(_names)
    if kind == "r":
        start, step = draw(st.integers(-9, 9)), draw(st.sampled_from([1, 2, -1, -3]))
        return pd.RangeIndex(start, start + size * step, step, name=name)
    if kind == "d":
        zone = draw(st.none() | st.sampled_from(FRAME_ZONES))
        freq = draw(st.sampled_from(["D", "h", "2W", "ME", "B", "3min"]))
        return pd.date_range("2020-03-01", periods=size, freq=freq, tz=zone, unit=draw(_units), name=name)
    if kind == "t":
        return pd.timedelta_range("1h", periods=size, freq=draw(st.sampled_from(["D", "90min"])), name=name)
    if kind == "p":
        return pd.period_range("2020", periods=size, freq="M", name=name)
    if kind == "m":
        levels = [draw(columns(size, "Itmocz")) for _ in range(draw(st.integers(1, 3)))]
        names = [draw(_names) for _ in levels]
        return pd.MultiIndex.from_arrays(levels, names=names)[: draw(st.integers(size, size))]
    return pd.Index(draw(columns(size, "omtzcCsSxkbI")), name=name)


@st.composite
def column_labels(draw: st.DrawFn, size: int) -> Any:
    """Draw labels of columns: texts, numbers, several types, some of them twice, several levels."""
    match draw(st.sampled_from("tttrimMd")):
        case "t":
            return pd.Index(
                draw(st.lists(_texts, min_size=size, max_size=size)), dtype=object, name=draw(_names)
            )
        case "r":
            return pd.RangeIndex(size, name=draw(_names))
        case "i":
            return pd.Index(
                range(5, 5 + size), dtype=draw(st.sampled_from(["i8", "i2", "f8"])), name=draw(_names)
            )
        case "m":
            labels = np.empty(size, dtype=object)
            labels[:] = draw(st.lists(_labels, min_size=size, max_size=size))
            return pd.Index(labels, dtype=object, tupleize_cols=False)
        case "M":
            levels = [draw(columns(size, "Ioct")) for _ in range(2)]
            return pd.MultiIndex.from_arrays(levels, names=[draw(_names), draw(_names)])
        case _:
            return pd.date_range("2020", periods=size, name=draw(_names))


@st.composite
def frames(draw: st.DrawFn) -> Any:
    """Draw frames, and series."""
    rows, width = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    index = draw(indexes(rows))
    if draw(st.integers(0, 4)) == 0:
        return pd.Series(draw(columns(rows)), index=index, name=draw(_names), copy=False)
    if draw(st.integers(0, 3)) == 0:
        frame = pd.DataFrame(draw(npst.arrays("f8", (rows, width))), index=index)
    else:
        drawn = {place: pd.Series(draw(columns(rows)), index=index) for place in range(width)}
        frame = pd.DataFrame(drawn, index=index)
    frame.columns = draw(column_labels(width))
    if draw(st.integers(0, 5)) == 0:
        frame.attrs = draw(st.dictionaries(_texts, plain, max_size=2))
    return frame


members = st.one_of(arrays(), frames(), numpy_scalars, scalars)
composites = nested(members, max_leaves=4)
