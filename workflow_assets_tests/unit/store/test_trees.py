"""Plain values as JSON, exactly."""

import datetime
import decimal
import fractions
import json
import math
import os
import pathlib
import subprocess
import sys
import uuid
import zoneinfo
from typing import Any

import numpy as np
import pytest

from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode
from workflow_assets_tests.conformance.sameness import assert_same

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    10**4400,
    -(10**4400),
    0.1,
    -0.0,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    -math.nan,
    math.inf - math.inf,
    complex(-0.0, math.nan),
    complex(0.0, -0.0),
    "",
    "größe \U0001f600",
    "\ud83d\ude00",
    "\ude00\ud83d",
    "line\nand\0nul",
    b"\xff\x00",
    bytearray(b"ab"),
    [],
    (),
    {},
    set(),
    frozenset(),
    [1.5, math.nan, 2],
    [1, True, 1.0, None],
    ("a", "\ud800", 3),
    (1, (2, [3, ()])),
    {1: "int", "1": "text", 1.5: "float", None: "none", (1, "a"): "tuple", b"b": "bytes"},
    {True: 1},
    {0: False},
    {"b": 1, "a": 2, "": 3},
    {"$tuple": [1, 2]},
    {"$member": "x"},
    {"$": 1, "b": 2},
    {"\ud83d\ude00": 1},
    {frozenset({1}): {2}},
    {1, "a", None, (1, 2), frozenset({3})},
    range(3, 100, 7),
    range(10**5000),
    decimal.Decimal("1.10"),
    decimal.Decimal("-0E+3"),
    decimal.Decimal("sNaN12"),
    fractions.Fraction(1, 3),
    uuid.UUID(int=7),
    datetime.date(1, 1, 1),
    datetime.timedelta(-1, 5, 7),
    datetime.datetime(2020, 10, 25, 2, 30, fold=1),  # noqa: DTZ001
    datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=BERLIN),
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.UTC),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(minutes=-90, seconds=1))),
    datetime.time(1, 2, 3, tzinfo=BERLIN, fold=1),
    pathlib.Path("a/../größe"),
    pathlib.Path(os.fsdecode(b"\xff\xfe")),
    pathlib.PurePosixPath("/x"),
    np.float64(0.1),
    np.float32("nan"),
    -np.float16("nan"),
    np.float64("-inf"),
    np.longdouble("0.1"),
    np.int8(-3),
    np.uint64(2**64 - 1),
    np.longlong(5),
    np.True_,
    np.complex64(1 - 2j),
    np.str_("x\0"),
    np.str_(""),
    np.bytes_(b"x\0\0"),
    np.bytes_(b""),
    np.datetime64("NaT"),
    np.array("2020-01-01", "M8[25s]")[()],
    np.timedelta64(3, "D"),
    {np.int64(1): np.float64(2), 1.5: [np.float32(3)]},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}"[:20])
def test_a_plain_value_comes_back_as_it_was(value):
    """In type and value, all the way down, without a pickle; and the text is JSON that any tool reads."""
    encoded = encode(value, pickles=False)
    assert encoded.codec == "json"
    assert_same(decode("json", encoded.bytes(), pickles=False, imports=False), value)
    json.loads(encoded.bytes().decode("ascii"), parse_constant=pytest.fail)


def test_what_json_has_words_for_is_written_in_them():
    """Another tool reads the value, not our marks."""
    value = {"accuracy": 0.5, "n": 3, "ok": True, "name": "größe", "parts": [1, [2, None]]}
    assert json.loads(encode(value, pickles=False).bytes()) == value


def test_a_dict_that_looks_like_our_marks_stays_a_dict():
    """Whatever the keys are called."""
    for tag in (
        "$tuple",
        "$set",
        "$float",
        "$object",
        "$enum",
        "$member",
        "$dict",
        "$numpy",
        "$unknown",
        "$",
    ):
        contents: list[object] = [[], ["a", {}], "nan", None, {"$tuple": []}]
        for content in contents:
            value = {tag: content, "other": {tag: content}}
            assert decode("json", encode(value, pickles=False).bytes(), pickles=False) == value
            assert decode("json", encode({tag: content}, pickles=False).bytes(), pickles=False) == {
                tag: content
            }


def test_the_order_of_a_dict_is_kept():
    """Also where some keys are no text."""
    for keys in (["z", "a", "m"], ["z", 1, "a"], ["$z", "a"]):
        assert list(decode("json", encode(dict.fromkeys(keys), pickles=False).bytes(), pickles=False)) == keys


def test_equal_sets_give_equal_bytes_in_every_process():
    """Although the hash of a text differs from process to process."""
    code = (
        "from workflow_assets.store.codecs import encode;"
        "print(encode([{'a', 'b', ('c', 1), None}, {frozenset('xyz'): set('uvw')}], pickles=False).bytes().hex())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1


@pytest.mark.parametrize(
    "tree",
    ["[", '{"$unknown": 1}', '{"$float": "one"}', '{"$dict": [[1]]}', '{"$numpy": ["ndarray", 1]}',
     '{"$numpy": ["load", "x"]}', '{"$scalar": ["|O", ""]}', '{"$member": "x"}',
     '{"$enum": ["enum:Enum", "x"]}', "[" * 100_000],
)  # fmt: skip
def test_a_tree_without_meaning_is_refused(tree):
    """With an error of our own, whatever is wrong."""
    with pytest.raises(CodecError):
        decode("json", tree.encode(), pickles=False)


def nested(depth, kind):
    value: object = 0
    for _ in range(depth):
        value = {"a": value} if kind is dict else kind([value])
    return value


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_a_value_may_be_nested_a_hundred_levels_deep(kind):
    """As a tree; what is deeper is left to pickle."""
    value = nested(100, kind)
    assert decode("json", encode(value, pickles=False).bytes(), pickles=False) == value
    deeper = nested(150, kind)
    with pytest.raises(CodecError, match="nested too deeply"):
        encode(deeper, pickles=False)
    encoded = encode(deeper, pickles=True)
    assert encoded.codec == "pickle"
    assert decode("pickle", encoded.bytes(), pickles=True) == deeper


def test_a_value_too_deep_for_pickle_is_refused():
    """With one clear error, not a crash."""
    with pytest.raises(CodecError, match="result of 'a' cannot be stored"):
        encode(nested(100_000, list), pickles=True, place="the result of 'a'")


def test_a_value_that_holds_itself_is_pickled_or_refused():
    """As a list in itself, or two objects that know each other."""
    ring = [1, {"array": np.arange(3)}]
    ring.append({"back": ring})
    with pytest.raises(CodecError, match="the result of 'a' holds itself"):
        encode(ring, pickles=False, place="the result of 'a'")
    encoded = encode(ring, pickles=True)
    again = decode(encoded.codec, encoded.bytes(), pickles=True)
    assert again[2]["back"] is again
    assert_same(again[1], ring[1])


def test_a_value_held_twice_is_no_ring():
    """It comes back as two equal values."""
    part = [1]
    again = decode("json", encode([part, part, (part,)], pickles=False).bytes(), pickles=False)
    assert again == [[1], [1], ([1],)]
    assert again[0] is not again[1]
