"""Previews are short, quick and never raise, whatever they are made of."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from PIL import Image

from workflow_assets.previews import LINE, items_of, preview, stored_preview
from workflow_assets.store.base import MemoryStore
from workflow_assets.store.pictures import Picture


class Hostile:
    """Raises whatever is asked of it."""

    def __repr__(self):
        raise ValueError("no")

    def __len__(self):
        raise RuntimeError("no")

    def __bool__(self):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


SELF: list[object] = []
SELF.append(SELF)


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (42, "42"),
        ("text", "'text'"),
        ([2, 4], "[2, 4]"),
        ([], "[]"),
        ((1,), "(1,)"),
        (set(), "set()"),
        ({"a": [1, 2]}, "{'a': [1, 2]}"),
        (b"abc", "3 bytes"),
        (10**5000, "an integer of 16,610 bits"),
        (list(range(1_000_000)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, …] 1,000,000 items"),
        (SELF, "[[[[…]]]] 1 items"),
        (np.zeros((1024, 3)), "1,024 × 3 float64: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, …"),
        (np.float64(0.5), "0.5"),
        (pd.DataFrame({"city": ["x"], "n": [1]}), "1 × 2: city, n"),
        (pl.DataFrame({"city": ["x"], "n": [1]}), "1 × 2: city, n"),
        (pd.Series([1, 2]), "2 int64: 1, 2"),
        (Image.new("RGB", (1024, 768)), "1024x768 image, RGB"),
        (Picture(b"no picture"), "image, 10 B"),
        ("\x1b[31mred", "'\\x1b[31mred'"),
        (Hostile(), "<Hostile whose repr raised ValueError>"),
        ([Hostile()], "[<Hostile whose repr raised ValueError>]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_told_in_one_line(value, line):
    told = preview(value).line
    assert told == line
    assert len(told) <= LINE
    assert told.isprintable()


def test_of_a_frame_the_first_rows_are_shown():
    frame = pd.DataFrame({"city": [f"c{at}" for at in range(1000)], "x": 0.5})
    look = preview(frame)
    assert (look.line, look.length, look.columns) == ("1,000 × 2: city, x", 1000, ("city", "x"))
    assert look.rows[:2] == (("c0", "0.5"), ("c1", "0.5"))
    assert len(look.rows) == 5


def test_a_frame_with_a_hostile_cell_and_a_hostile_name_is_shown():
    look = preview(pd.DataFrame({"a\nb": [Hostile()], "<b>": ["x" * 500]}))
    assert look.rows == (("<Hostile whose repr r...", f"{'x' * 23}…"),)
    assert look.columns == ("a\\nb", "<b>")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (np.zeros((1000, 50)), "1,000 × 50 float64"),
        (pd.DataFrame({"a": range(9000)}), "9,000 × 1: a"),
        (Image.effect_noise((120, 100), 50), "120x100 image"),
        (list(range(5000)), "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16… 23.9 kB"),
    ],
    ids=["array", "frame", "image", "list"],
)
def test_what_is_stored_is_told_from_its_first_bytes(value, line):
    store = MemoryStore()
    record = store.put("k", value)
    assert record.location is not None, "larger than a record holds"
    assert stored_preview(record.codec, record.size, store.glance(record)).line == line


@pytest.mark.parametrize(
    "codec", ["npy", "parquet", "polars", "png", "json", "pickle", "lines", "unheard-of"]
)
@pytest.mark.parametrize("data", [None, b"", b"\x93NUMPY\x01\x00", b"PAR1" * 40, b"\xff" * 100])
def test_bytes_that_are_damaged_or_far_are_told_by_their_number(codec, data):
    told = stored_preview(codec, 5_000_000, data).line
    assert "5 MB" in told
    assert told.isprintable()


def test_items_are_those_of_lists_series_arrays_and_frames():
    assert items_of([1, "a", None]) == (("1", "a", "None"), 3)
    assert items_of(np.arange(30)) == (tuple(map(str, range(10))), 30)
    assert items_of(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})) == (("a=1, b=x", "a=2, b=y"), 2)
    assert items_of({"a": 1}) == (("{'a': 1}",), None)
    assert items_of("text") == (("text",), None)
    assert items_of([Hostile()]) == (("<Hostile whose repr r...",), 1)
