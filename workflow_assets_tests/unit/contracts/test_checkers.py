"""Values against type hints: what fits passes, what does not is told in a sentence."""

import collections
import enum
import typing
from collections import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Required,
    TypedDict,
    TypeVar,
    Union,
    runtime_checkable,
)

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pydantic import BaseModel

from workflow_assets.contracts.annotations import Array, Columns
from workflow_assets.contracts.checkers import checker, describe, metric_type, plain_number
from workflow_assets.contracts.hints import Unresolved

T = TypeVar("T")
UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int


@dataclass
class Config:
    rate: float = 1.0


class Model(BaseModel):
    rate: float = 1.0


class Box(Generic[T]):
    pass


class Stack(list[T], Generic[T]):
    pass


class Movie(TypedDict):
    name: str
    year: NotRequired[int]


class Partial(TypedDict, total=False):
    name: Required[Annotated[str, "mark"]]
    tags: list[str]


class Lost(TypedDict):
    name: "Missing"  # type: ignore[name-defined] # noqa: F821


class Closes(Protocol):
    def close(self) -> None: ...


@runtime_checkable
class Opens(Protocol):
    def open(self) -> None: ...


class Door:
    def open(self):
        return None


class Child(Config):
    pass


FITS: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "int": (
        int,
        [1, 0, -5, np.int64(1), np.uint8(1), np.array(3)],
        [1.0, True, np.True_, "1", None, np.float64(1), [1]],
    ),
    "float": (
        float,
        [1.0, 1, np.float32(1), np.int8(1), np.longdouble(1), float("nan")],
        ["1.0", True, None, 1j, [1.0]],
    ),
    "complex": (complex, [1j, 1.0, 1, np.complex64(1j)], ["1", None, True]),
    "bool": (bool, [True, False, np.True_], [1, 0, None, "True", np.int64(1)]),
    "str": (str, ["", "a", np.str_("a")], [b"a", 1, None, Colour.RED]),
    "bytes": (bytes, [b"", np.bytes_(b"a")], ["a", bytearray(b"a"), None]),
    "none": (None, [None], [0, False, "", []]),
    "the type of none": (type(None), [None], [0]),
    "anything": (Any, [None, 1, object()], []),
    "an object": (object, [None, 1], []),
    "a class": (Config, [Config(), Child()], [Model(), Config, None, {"rate": 1.0}]),
    "a model": (Model, [Model()], [Config(), {"rate": 1.0}]),
    "an enumeration": (Colour, [Colour.RED], ["red", "RED", None]),
    "a path": (Path, [Path("a")], ["a", None]),
    "an optional": (Optional[int], [None, 1], ["1", 1.0, True]),  # noqa: UP045
    "a union": (Union[int, str], [1, "a"], [1.0, None, b"a"]),  # noqa: UP007
    "a new union": (int | list[str] | None, [1, ["a"], [], None], [[1], "a", (1,)]),
    "a union with anything": (int | Any, [1, "a", None], []),
    "a literal": (
        Literal["a", 1, None],  # noqa: PYI061 - as it may be written
        ["a", 1, None, np.str_("a"), np.int64(1)],
        ["b", True, 1.0, "1", np.array(["a"])],
    ),
    "a literal member": (Literal[Colour.RED], [Colour.RED], ["red"]),
    "a new type": (UserId, [1], ["1", True]),
    "a type variable": (T, [1, "a"], []),
    "what cannot be resolved": (Unresolved("Missing"), [1, None], []),
    "text": ("Missing", [1, None], []),
    "a list": (list, [[], [1, "a"]], [(), "a", None, {}, np.array([1])]),
    "a list of numbers": (
        list[float],
        [[], [1.0, 2], [np.float32(1)]],
        [["1"], [None], (1.0,), [[1.0]], [True]],
    ),
    "an old list": (typing.List[int], [[1]], [["a"], (1,)]),  # noqa: UP006
    "a bare old list": (typing.List, [[1], ["a"]], [(1,)]),  # noqa: UP006
    "a nested list": (list[list[int]], [[[1], []]], [[1], [[1], ["a"]]]),
    "a list of anything": (list[Any], [[1, "a"]], [()]),
    "a set": (set[int], [set(), {1}], [{"a"}, frozenset({1}), [1]]),
    "a frozen set": (frozenset[str], [frozenset("a")], [{"a"}, frozenset({1})]),
    "a tuple": (tuple, [(), (1, "a")], [[], None]),
    "a bare old tuple": (typing.Tuple, [(), (1, "a")], [[]]),  # noqa: UP006
    "an empty tuple": (tuple[()], [()], [(1,), []]),
    "a pair": (tuple[int, str], [(1, "a")], [(1,), ("a", 1), (1, "a", 2), [1, "a"]]),
    "a tuple of any length": (tuple[int, ...], [(), (1, 2)], [("a",), [1]]),
    "an open tuple": (tuple[str, *tuple[int, ...]], [("a", 1), ("a",)], [["a"]]),
    "a named tuple": (Point, [Point(1)], [(1,)]),
    "a dict": (dict[str, int], [{}, {"a": 1}], [{1: 1}, {"a": "b"}, [("a", 1)]]),
    "a dict of lists": (dict[str, list[int]], [{"a": [1]}], [{"a": ["b"]}, {"a": 1}]),
    "a default dict": (collections.defaultdict[str, int], [collections.defaultdict(int, a=1)], [{"a": 1}]),
    "a counter": (collections.Counter[str], [collections.Counter("a")], [{"a": 1}]),
    "a mapping": (Mapping[str, int], [{"a": 1}, collections.OrderedDict(a=1)], [{"a": "b"}, [1]]),
    "a bare mapping": (Mapping, [{"a": "b"}], [[1]]),
    "a sequence": (Sequence[int], [[1], (1,), range(3)], [["a"], {1}, "a", np.array([1])]),
    "a sequence of texts": (Sequence[str], [["a"], ("a",)], [[1], {"a"}]),
    "an iterable": (Iterable[int], [[1], {1}, range(3), iter(["a"])], [["a"], 1]),
    "an iterator": (Iterator[int], [iter([1]), iter(["a"])], [[1], 1]),
    "a generator": (abc.Generator[int, None, None], [(n for n in [1])], [[1], iter([1])]),
    "a deque": (collections.deque[int], [collections.deque([1])], [[1], collections.deque("a")]),
    "a callable": (Callable, [len, Config, lambda: 1], [1, "a"]),
    "a callable of a kind": (Callable[[int], str], [str, len], [1]),
    "a type": (type, [int, Config], [1, "int"]),
    "a subclass": (type[Config], [Config, Child], [int, Config(), "Config"]),
    "any type": (type[Any], [int, Config], [1]),
    "a typed dict": (
        Movie,
        [{"name": "a"}, {"name": "a", "year": 1}],
        [{}, {"name": 1}, {"name": "a", "year": "b"}, []],
    ),
    "a partial typed dict": (
        Partial,
        [{"name": "a"}, {"name": "a", "tags": ["b"]}],
        [{}, {"name": "a", "tags": [1]}],
    ),
    "a typed dict that is lost": (Lost, [{"name": 1}], [{}, 1]),
    "a protocol for type checkers": (Closes, [1, "a"], []),
    "a protocol": (Opens, [Door()], [1]),
    "a generic class": (Box[int], [Box()], [1, []]),
    "a generic list": (Stack[int], [Stack([1])], [[1], Stack(["a"])]),
    "an annotated type": (Annotated[int, "mark"], [1], ["a"]),
    "an annotated array": (
        Annotated[np.ndarray, Array("uint16", ndim=2)],
        [np.zeros((2, 2), "uint16")],
        [np.zeros((2, 2)), np.zeros(2, "uint16"), [[1]], pd.DataFrame({"a": [1]})],
    ),
    "an annotated frame": (
        Annotated[pd.DataFrame, Columns(a=float)],
        [pd.DataFrame({"a": [1.0], "b": [2]})],
        [pd.DataFrame({"b": [1.0]}), pd.DataFrame({"a": ["b"]}), {"a": [1.0]}],
    ),
    "two marks": (
        Annotated[np.ndarray, Array(ndim=2), Array("uint8")],
        [np.zeros((2, 2), "uint8")],
        [np.zeros((2, 2)), np.zeros(2, "uint8")],
    ),
    "an array": (np.ndarray, [np.zeros(2), np.zeros((2, 2), int)], [[1], pd.Series([1]), 1.0]),
    "an array of a dtype": (
        NDArray[np.float64],
        [np.zeros(2), np.zeros((2, 2))],
        [np.zeros(2, "f4"), np.zeros(2, int), [1.0]],
    ),
    "an array of a kind": (NDArray[np.floating], [np.zeros(2), np.zeros(2, "f4")], [np.zeros(2, int)]),
    "an array of a generic kind": (NDArray[np.floating[Any]], [np.zeros(2, "f4")], [np.zeros(2, int)]),
    "an array of two dtypes": (
        NDArray[np.float64 | np.int64],
        [np.zeros(2), np.zeros(2, int)],
        [np.zeros(2, "f4")],
    ),
    "an array of anything": (NDArray[Any], [np.zeros(2), np.zeros(2, bool)], [[1]]),
    "a matrix": (
        np.ndarray[tuple[int, int], np.dtype[np.float64]],
        [np.zeros((2, 2))],
        [np.zeros(2), np.zeros((2, 2), "f4")],
    ),
    "an array of any shape": (np.ndarray[Any, np.dtype[np.bool_]], [np.zeros((2, 2), bool)], [np.zeros(2)]),
    "an array of many dimensions": (np.ndarray[tuple[int, ...], np.dtype[Any]], [np.zeros((2, 2, 2))], [1]),
    "a numpy number": (np.float64, [np.float64(1), 1.0, 1], ["a", None, True]),
    "a small numpy number": (np.int8, [np.int8(1), 1], ["a", 1.5]),
    "a frame": (pd.DataFrame, [pd.DataFrame()], [pd.Series([1]), {}, None]),
}


@pytest.mark.parametrize("case", FITS)
def test_a_hint_lets_pass_what_fits_and_nothing_else(case):
    """A fault is one sentence that says what was expected and what was given."""
    hint, fitting, others = FITS[case]
    look = checker(hint)
    for value in fitting:
        assert look is None or look(value) is None, value
    assert bool(others) == (look is not None)
    for value in others:
        assert look is not None
        told = look(value)
        assert told, value
        assert "expected" in told or "missing" in told or "should be" in told
        assert "\n" not in told


TOLD: dict[str, tuple[Any, Any, str]] = {
    "a number": (int, "a", "expected int, got str 'a'"),
    "a boolean": (int, True, "expected int, got bool True"),
    "none": (None, 1, "expected None, got int 1"),
    "an optional": (float | None, "a", "expected float | None, got str 'a'"),
    "a union": (list[int] | dict[str, float], 1, "expected list[int] | dict[str, float], got int 1"),
    "an item": (list[int], [1, "a"], "item 1: expected int, got str 'a'"),
    "an item of an item": (list[list[int]], [[], ["a"]], "item 1: item 0: expected int, got str 'a'"),
    "a list": (list[int], (1,), "expected list, got tuple (1,)"),
    "a key": (dict[str, int], {1: 2}, "key 1: expected str, got int 1"),
    "a value": (dict[str, int], {"a": "b"}, "['a']: expected int, got str 'b'"),
    "a length": (tuple[int, int], (1,), "expected a tuple of 2, got 1 items"),
    "a literal": (
        Literal["fast", "slow"],
        "fats",
        "expected 'fast' or 'slow', got str 'fats': did you mean 'fast'?",
    ),
    "another literal": (Literal[1, 2], 3, "expected 1 or 2, got int 3"),
    "a missing key": (Movie, {"nane": "a"}, "key 'name' is missing: did you mean 'nane'?"),
    "a key of a dict": (Movie, {"name": 1}, "['name']: expected str, got int 1"),
    "a subclass": (type[Config], int, "expected Config or a subclass, got <class 'int'>"),
    "a dtype": (NDArray[np.float64], np.zeros(2, int), "expected dtype float64, got int64"),
    "dtypes": (
        NDArray[np.float64 | np.int64],
        np.zeros(2, bool),
        "expected dtype float64 or int64, got bool",
    ),
    "dimensions": (
        np.ndarray[tuple[int, int], np.dtype[Any]],
        np.zeros(2),
        "expected 2 dimensions, got 1 (shape (2,))",
    ),
    "one dimension": (
        np.ndarray[tuple[int], Any],
        np.zeros((2, 2)),
        "expected 1 dimension, got 2 (shape (2, 2))",
    ),
    "an array": (NDArray[np.float64], [1.0], "expected an array, got list [1.0]"),
    "a long value": (int, "a" * 500, f"expected int, got str '{'a' * 76}..."),
}


@pytest.mark.parametrize("case", TOLD)
def test_a_fault_reads_well(case):
    """Its words are exact."""
    hint, value, told = TOLD[case]
    look = checker(hint)
    assert look is not None
    assert look(value) == told


def test_an_iterator_is_not_used_up_by_looking():
    """Its items are the step's."""
    items = iter([1, 2])
    look = checker(Iterable[str])
    assert look is not None
    assert look(items) is None
    assert list(items) == [1, 2]


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (float, float),
        (int, int),
        (bool, bool),
        (str, str),
        (float | None, float),
        (Optional[int], int),  # noqa: UP045
        (Annotated[float, "mark"], float),
        (Annotated[float | None, "mark"], float),
        (UserId, int),
        (np.float64, float),
        (np.float32, float),
        (np.int64, int),
        (np.bool_, bool),
        (np.str_, str),
        (complex, None),
        (np.timedelta64, None),
        (np.datetime64, None),
        (float | int, None),
        (list[float], None),
        (None, None),
        (Any, None),
        (Config, None),
        (np.ndarray, None),
        (Unresolved("Missing"), None),
        ("Missing", None),
    ],
)
def test_a_metric_is_a_plain_number_or_text(hint, kind):
    """Or one of these or None; numpy's scalar types count as Python's."""
    assert metric_type(hint) is kind


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_of_all_widths_are_plain_numbers(kind):
    """A long one is the nearest that Python has."""
    assert plain_number(kind(0.5)) == 0.5
    assert type(plain_number(kind(0.5))) is float


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Config, "Config"),
        (list[int], "list[int]"),
        (int | None, "int | None"),
        (Optional[int], "int | None"),  # noqa: UP045
        (Mapping[str, int], "Mapping[str, int]"),
        (Literal["a"], "Literal['a']"),
        (UserId, "UserId"),
        (Any, "Any"),
        (Unresolved("pd.DataFrame"), "pd.DataFrame"),
        (np.ndarray[tuple[int, int], np.dtype[np.float64]], "ndarray[tuple[int, int], dtype[float64]]"),
        (Annotated[pd.DataFrame, Columns(a=float)], "DataFrame with Columns(a=float)"),
        ("category", "category"),
    ],
)
def test_a_type_is_described_as_it_was_written(hint, text):
    """Without the modules that nobody writes."""
    assert describe(hint) == text
