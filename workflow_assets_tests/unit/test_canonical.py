"""The one form in which values enter compute keys."""

import collections
import datetime
import decimal
import enum
import functools
import json
import random
import re
import socket
import threading
import types
import zoneinfo
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workflow_assets.canonical import MAXIMUM_BYTES, canonical, digest, parameter_form, unwrap_scalar
from workflow_assets.errors import UnkeyableError
from workflow_assets.fingerprint import code_form
from workflow_assets.modules import qualified_name


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 - an alias
    GREEN = 2


class Shade(enum.Enum):
    RED = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Settings:
    rate: float = 0.5
    names: list = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Frozen:
    rate: float = 0.5


class Pair(NamedTuple):
    left: int
    right: int


class Plain:
    def __init__(self, **values):
        vars(self).update(values)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


class Words(list):
    pass


class Named(str):
    __slots__ = ()


class Cached:
    def __init__(self, size):
        self.size = size

    @functools.cached_property
    def table(self):
        return list(range(self.size))


class Zone(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(hours=1)

    def dst(self, when):
        return None

    def tzname(self, when):
        return "an hour ahead"


def used(value):
    assert value.table
    return value


def holding_itself(items):
    items.append(items)
    return items


UTC, PARIS = datetime.UTC, zoneinfo.ZoneInfo("Europe/Paris")
NOON = datetime.datetime(2024, 3, 1, 12)  # noqa: DTZ001 - times without a zone are values too
FRAME = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})
IMAGE = np.arange(6.0).reshape(2, 3)
RECORD = np.array([(1, 2.5)], dtype=[("n", "i4"), ("x", "f8")])

SAME: dict[str, tuple[Any, Any]] = {
    "minus zero": (-0.0, 0.0),
    "nan": (float("nan"), -float("nan")),
    "nan of numpy": (float("nan"), np.float64("nan")),
    "a numpy float": (0.5, np.float64(0.5)),
    "a short numpy float": (0.5, np.float32(0.5)),
    "a numpy integer": (5, np.int64(5)),
    "a small numpy integer": (5, np.uint8(5)),
    "a numpy boolean": (True, np.True_),
    "a numpy text": ("a long text that numpy holds", np.str_("a long text that numpy holds")),
    "numpy bytes": (b"a long text that numpy holds", np.bytes_(b"a long text that numpy holds")),
    "a numpy complex": (1 + 2j, np.complex128(1 + 2j)),
    "an array of no dimensions": (0.5, np.array(0.5)),
    "numpy scalars inside": ([1, {"a": 0.5}], [np.int64(1), {"a": np.float64(0.5)}]),
    "the order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "the order of a set": ({"a", "b", "c"}, {"c", "b", "a"}),
    "the order of a frozenset in a dict": ({"k": frozenset("abc")}, {"k": frozenset("cba")}),
    "a member by its alias": (Colour.RED, Colour.CRIMSON),
    "a combined flag": (Right.READ | Right.WRITE, Right(3)),
    "equal ranges": (range(0, 3, 2), range(0, 4, 2)),
    "a path": (Path("a") / "b", Path("a/b")),
    "a pure path": (Path("a/b"), PurePosixPath("a/b")),
    "equal dataclasses": (Settings(1.0), Settings(1.0)),
    "equal objects": (Plain(a=1, b=2), Plain(b=2, a=1)),
    "a cached property": (used(Cached(3)), Cached(3)),
    "minus zero in an array": (np.array([-0.0, 1.0]), np.array([0.0, 1.0])),
    "nan in an array": (np.array([np.nan, 1.0]), np.array([-np.nan, 1.0])),
    "the layout of an array": (IMAGE, np.asfortranarray(IMAGE)),
    "a view of an array": (IMAGE[:, ::2], IMAGE[:, ::2].copy()),
    "the byte order of an array": (IMAGE, IMAGE.astype(">f8")),
    "what a mask hides": (
        np.ma.array([1.0, 2.0], mask=[False, True]),
        np.ma.array([1.0, 3.0], mask=[False, True]),
    ),
    "minus zero in a record": (np.array([-0.0], dtype=[("x", "f8")]), np.array([0.0], dtype=[("x", "f8")])),
    "padding in a record": (
        np.frombuffer(b"\x01aaaaaaa" + bytes(8), dtype=np.dtype([("n", "u1"), ("x", "f8")], align=True)),
        np.frombuffer(b"\x01bbbbbbb" + bytes(8), dtype=np.dtype([("n", "u1"), ("x", "f8")], align=True)),
    ),
    "equal frames": (FRAME, FRAME.copy()),
    "a range as index": (pd.Series([1, 2]), pd.Series([1, 2], index=[0, 1])),
    "nan in a frame": (pd.DataFrame({"a": [np.nan]}), pd.DataFrame({"a": [-np.nan]})),
    "a partial function": (functools.partial(int, base=2), functools.partial(int, base=2)),
    "estimators": (LogisticRegression(C=2.0), LogisticRegression(C=2.0)),
    "lists that hold themselves": (holding_itself([1]), holding_itself([1])),
    "a mapping proxy": (types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 1})),
    "a zone without a form of its own": (NOON.replace(tzinfo=Zone()), NOON.replace(tzinfo=Zone())),
    "a deque": (collections.deque([1, 2]), collections.deque([1, 2])),
}


def form(value):
    return canonical(value, code=code_form)


@pytest.mark.parametrize("case", SAME)
def test_what_a_step_cannot_tell_apart_has_one_form(case):
    """Values that mean the same to a step are written the same."""
    one, two = SAME[case]
    assert form(one) == form(two)


DIFFERENT: dict[str, tuple[Any, ...]] = {
    "one": (
        1,
        1.0,
        True,
        "1",
        b"1",
        1 + 0j,
        decimal.Decimal(1),
        [1],
        (1,),
        {1},
        frozenset({1}),
        {1: 1},
        np.array([1]),
    ),
    "nothing": (
        None,
        0,
        False,
        "",
        b"",
        [],
        (),
        {},
        set(),
        frozenset(),
        ...,
        "None",
        float("nan"),
        np.array([]),
    ),
    "text": ("a", "A", "á", "a\u0301", "a ", "a\0", "\udcff", "'a'", Named("a")),
    "bytes": (b"a", bytearray(b"a"), b"a" * 65, b"b" * 65, bytes.fromhex(digest(b"a" * 65))),
    "numbers": (
        0.1,
        0.1 + 1e-17 + 1e-16,
        np.float32(0.1),
        float("inf"),
        -float("inf"),
        10**400,
        -1,
        2**63,
        2.0**63,
    ),
    "complex numbers": (1 + 2j, 2 + 1j, complex("nan"), complex(0, float("nan"))),
    "lists": (
        [1, 2],
        [2, 1],
        [[1, 2]],
        [1, [2]],
        [1, 2, 2],
        (1, 2),
        Words([1, 2]),
        collections.deque([1, 2]),
    ),
    "joined": (["a,b"], ["a", "b"], ["a", ",b"], "a,b", "['a','b']", ["3'a,b'"], "list[1'a',1'b']"),
    "pairs": ({"a": "b"}, {"a:b": ""}, [("a", "b")], {"a": {"b": None}}, {("a", "b")}, {"b": "a"}),
    "keys": ({1: "a"}, {"1": "a"}, {1.0: "a"}, {True: "a"}, {(1,): "a"}, {None: "a"}),
    "dicts": (
        {"a": 1, "b": 2},
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
        collections.defaultdict(int, a=1, b=2),
        collections.Counter(a=1, b=2),
        types.MappingProxyType({"a": 1, "b": 2}),
        types.SimpleNamespace(a=1, b=2),
    ),
    "members": (
        Colour.RED,
        Colour.GREEN,
        Shade.RED,
        1,
        Right.READ,
        Right.WRITE,
        Right.READ | Right.WRITE,
        Right(0),
    ),
    "paths": (Path("a/b"), Path("a"), "a/b", Path("/a/b"), Path("a/b/c")),
    "decimals": (decimal.Decimal("1.5"), decimal.Decimal("1.50"), decimal.Decimal("-1.5"), 1.5),
    "times": (
        NOON,
        NOON.replace(tzinfo=UTC),
        NOON.replace(tzinfo=PARIS),
        NOON.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
        NOON.replace(fold=1),
        NOON.replace(microsecond=1),
        NOON.date(),
        NOON.time(),
        NOON.isoformat(),
        pd.Timestamp(NOON),
        pd.Timestamp(NOON, tz="UTC"),
        np.datetime64("2024-03-01T12:00:00"),
        np.datetime64("2024-03-01T12:00:00.000"),
    ),
    "spans": (
        datetime.timedelta(1),
        datetime.timedelta(hours=1),
        pd.Timedelta("1h"),
        np.timedelta64(1, "h"),
        3600,
    ),
    "ranges": (range(3), range(4), range(0, 3, 2), range(1, 3), [0, 1, 2], slice(3), slice(0, 3)),
    "objects": (
        Settings(),
        Settings(1.0),
        Settings(names=["a"]),
        Frozen(),
        Frozen(1.0),
        Plain(a=1),
        Plain(a=2),
        Plain(b=1),
    ),
    "slots": (Slotted(1), Slotted(2), Plain(a=1)),
    "tuples": (Pair(1, 2), Pair(2, 1), (1, 2)),
    "patterns": (re.compile("a"), re.compile("b"), re.compile(b"a"), re.compile("a", re.IGNORECASE)),
    "arrays": (
        IMAGE,
        IMAGE.T,
        IMAGE.ravel(),
        IMAGE + 1,
        IMAGE.astype("f4"),
        IMAGE.astype("i8"),
        IMAGE.astype(object),
        IMAGE.tolist(),
        np.matrix(IMAGE),
        np.ma.array(IMAGE),
        np.ma.array(IMAGE, mask=IMAGE > 4),
        IMAGE.astype("U3"),
        IMAGE.astype("S3"),
        IMAGE.astype(bool),
        IMAGE.astype("c16"),
        IMAGE.astype("m8[s]"),
        IMAGE.astype("M8[s]"),
        IMAGE.astype(np.longdouble),
    ),
    "empty arrays": tuple(
        np.zeros(shape, dtype) for shape in ((0,), (0, 3), (3, 0)) for dtype in ("f8", "f4", object)
    ),
    "arrays of objects": tuple(
        np.array(items, dtype=object) for items in ([1, "a"], ["1", "a"], [None, "a"], ["a", 1])
    ),
    "long numbers": tuple(np.array([x], np.longdouble) for x in ("1", "1.0000000000000000001", "nan", "inf")),
    "records": (
        RECORD,
        RECORD.astype([("m", "i4"), ("x", "f8")]),
        RECORD.astype([("n", "i8"), ("x", "f8")]),
        RECORD[["x", "n"]],
        np.array([(1, 2.6)], RECORD.dtype),
        np.ma.array(RECORD, mask=[(True, False)]),
        np.ma.array(RECORD, mask=[(False, True)]),
        RECORD[0],
    ),
    "nested records": tuple(np.array([((1, x),)], [("p", [("a", "i4"), ("b", "f8")])]) for x in (1.0, 2.0)),
    "frames": (
        FRAME,
        FRAME.rename(columns={"a": "c"}),
        FRAME[["b", "a"]],
        FRAME.iloc[::-1],
        FRAME.astype({"a": "f4"}),
        FRAME.assign(b=["x", "None"]),
        FRAME.assign(b=["x", np.nan]),
        FRAME.set_axis(["r", "s"]),
        FRAME.rename_axis("index"),
        FRAME.rename_axis(columns="columns"),
        FRAME.astype({"b": "category"}),
        FRAME.astype({"b": "string"}),
        FRAME.iloc[:1],
        FRAME.iloc[:0],
        FRAME.set_axis(pd.MultiIndex.from_tuples([(0, 1), (1, 1)])),
        FRAME.set_axis(pd.MultiIndex.from_tuples([(0, 1), (1, 2)])),
        FRAME["a"],
        FRAME["b"],
    ),
    "series": (
        pd.Series([1, 2]),
        pd.Series([1, 2], name="a"),
        pd.Series([1, 2], index=[1, 0]),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-03-02"])),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-03-02"]).tz_localize("UTC")),
        pd.Series(pd.to_datetime(["2024-03-01", "2024-03-02"]).tz_localize("Europe/Paris")),
        pd.Series(pd.period_range("2024-03", periods=2, freq="M")),
        pd.Series(pd.interval_range(0, 2)),
        pd.Series(pd.interval_range(0, 2, closed="left")),
        pd.Series(pd.arrays.SparseArray(np.array([1, 2]))),
        pd.Index([1, 2]),
        pd.Categorical([1, 2]),
        np.array([1, 2]),
    ),
    "categories": (
        pd.Series(["a", "b"], dtype="category"),
        pd.Series(["b", "a"], dtype="category"),
        pd.Series(pd.Categorical(["a", "b"], ordered=True)),
        pd.Series(pd.Categorical(["a", "b"], ["a", "b", "c"])),
        pd.Series(pd.Categorical(["a", "b"], ["b", "a"])),
        pd.Series(pd.Categorical(["a", None], ["a", "b"])),
        pd.Series(pd.Categorical(["a", "b"], [*(f"c{n}" for n in range(50)), "a", "b"])),
        pd.Series(
            pd.Categorical(
                ["a", "b"], [*(f"c{n}" for n in range(25)), "x", *(f"c{n}" for n in range(26, 50)), "a", "b"]
            )
        ),
    ),
    "missing": (pd.NaT, pd.NA, None, np.nan, np.datetime64("NaT")),
    "estimators": (
        LogisticRegression(),
        LogisticRegression(C=2.0),
        RandomForestClassifier(),
        RandomForestClassifier(random_state=np.random.RandomState(0)),
        RandomForestClassifier(random_state=np.random.RandomState(1)),
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(with_mean=False), LogisticRegression()),
        LogisticRegression().fit([[0.0], [1.0]], [0, 1]),
        LogisticRegression,
    ),
    "functions": (
        max,
        min,
        len,
        np.mean,
        np.median,
        np.exp,
        np.log,
        str.upper,
        str.lower,
        "a".upper,
        [1].append,
        [2].append,
        functools.partial(max, key=len),
        functools.partial(max, key=abs),
        lambda x: x,
        lambda x: -x,
        lambda x, y=1: x,
        lambda x, y=2: x,
        functools.cache(qualified_name),
        int,
        float,
        list[int],
        list[str],
        int | None,
        np.float32,
        np.dtype("f4"),
        np.dtype("f8"),
        Settings,
        Colour,
        json,
        Settings(names=["a"]).names.append,
        Cached(1).table.count,
    ),
    "generators": (
        np.random.default_rng(0),
        np.random.default_rng(1),
        np.random.RandomState(0),
        random.Random(0),
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_a_step_can_tell_apart_has_two_forms(case):
    """Each of these values has a form of its own."""
    forms: dict[str, list[Any]] = {}
    for value in DIFFERENT[case]:
        forms.setdefault(form(value), []).append(value)
    assert [group for group in forms.values() if len(group) > 1] == []


def test_a_form_is_repeatable():
    """Writing a value changes nothing about it."""
    values = [value for values in DIFFERENT.values() for value in values]
    assert [form(value) for value in values] == [form(value) for value in values]


def test_digests_keep_their_parts_apart():
    """Neither where parts are cut nor whether they are text or bytes can be forged; and text is its bytes."""
    forms = [
        digest("ab", "c"),
        digest("a", "bc"),
        digest("abc"),
        digest("abc", ""),
        digest("", "abc"),
        digest(),
    ]
    assert len(set(forms)) == len(forms)
    assert digest("é") == digest("é".encode())


def generator():
    yield 1


UNKEYABLE: dict[str, Any] = {
    "a lock": threading.Lock,
    "a generator": generator,
    "a socket": socket.socket,
    "an open file": Path(__file__).open,
    "a memory view": lambda: memoryview(b"a"),
    "a lock in a dict": lambda: {"a": [threading.Lock()]},
    "a lock in an object": lambda: Plain(lock=threading.Lock()),
    "a lock in a dataclass": lambda: Settings(names=[threading.RLock()]),
}


@pytest.mark.parametrize("case", UNKEYABLE)
def test_what_cannot_be_written_is_refused_by_name(case):
    """The message names the parameter and the type in the way, and says what to do."""
    value = UNKEYABLE[case]()
    with pytest.raises(UnkeyableError) as told:
        parameter_form(value, "model.tool", code_form)
    if hasattr(value, "close"):
        value.close()
    message = str(told.value)
    assert message.startswith("model.tool = ")
    assert "cannot be part of a compute key" in message
    assert message.endswith("Pass a plain value, or load it in a source")
    wanted = {
        "a lock": "lock",
        "a lock in a dict": "lock",
        "a lock in an object": "lock",
        "a lock in a dataclass": "RLock",
    }
    assert wanted.get(case, type(value).__qualname__) in message


def test_code_needs_a_reader():
    """Without one, a function has no form: its name alone would hide its changes."""
    with pytest.raises(UnkeyableError, match="is code, and no reader of code was given"):
        canonical(max)


@pytest.mark.parametrize(
    "value",
    [
        "x" * (MAXIMUM_BYTES + 1),
        b"x" * (MAXIMUM_BYTES + 1),
        bytearray(MAXIMUM_BYTES + 1),
        np.zeros(MAXIMUM_BYTES // 8 + 1),
        pd.DataFrame({"a": np.zeros(MAXIMUM_BYTES // 8 + 1)}),
        list(range(300_000)),
        {"a": ["x" * 600_000, b"x" * 600_000]},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_too_large_for_a_key_is_refused(value):
    """Over a megabyte, data belong in a source."""
    told = r"^model.data holds \d\.\d MB; a parameter holds at most 1 MB. Make it a source$"
    with pytest.raises(UnkeyableError, match=told):
        parameter_form(value, "model.data")


def test_what_is_just_small_enough_is_taken():
    """A megabyte of array is no fault."""
    assert parameter_form(np.zeros(MAXIMUM_BYTES // 8 - 100), "model.data")


def test_what_is_nested_too_deeply_is_refused():
    """It says so, instead of breaking the interpreter's stack."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(UnkeyableError, match="nested too deeply"):
        parameter_form(value, "model.data")
    assert canonical(value, opaque=True) == "opaque[builtins:list]"


def test_what_only_identity_tells_apart_is_written_by_its_type_where_that_will_do():
    """A logger or a lock that a function happens to use is no fault, and says nothing about its result."""
    assert canonical(threading.Lock(), opaque=True) == canonical(threading.Lock(), opaque=True)
    assert canonical([threading.Lock()], opaque=True) != canonical([1], opaque=True)


def test_state_is_left_out_on_request():
    """An attribute that code changes as it runs is no part of a constant; nor is an object that is state altogether."""
    one, two = Plain(calls=1, rate=2), Plain(calls=5, rate=2)

    def calls(value):
        return ("calls",) if isinstance(value, Plain) else ()

    def everything(value):
        return None if isinstance(value, Plain) else ()

    assert canonical([one], state=calls) == canonical([two], state=calls)
    assert canonical([one]) != canonical([two])
    assert canonical([one, 1], state=everything) == canonical([Plain(rate=3), 1], state=everything)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (np.int8(-3), -3),
        (np.bool_(True), True),
        (np.str_("a longer text than sixteen bytes"), "a longer text than sixteen bytes"),
        (np.bytes_(b"a"), b"a"),
        (np.complex64(1j), 1j),
        (np.array(3), 3),
        (pd.Series([0.5])[0], 0.5),
    ],
)
def test_a_scalar_is_unwrapped_to_a_plain_value(value, plain):
    """Scalars of numpy become Python's."""
    assert unwrap_scalar(value) == plain
    assert type(unwrap_scalar(value)) is type(plain)


@pytest.mark.parametrize(
    "value", [np.datetime64("2024-03-01"), np.longdouble(1), np.array([1]), np.void(b"a"), 3, "a", None]
)
def test_what_is_no_plain_scalar_stays(value):
    """Neither dates, whose unit Python does not know, nor arrays are touched."""
    assert unwrap_scalar(value) is value
