"""Edges between steps: refused where no value fits, allowed where one may."""

import abc
import collections.abc as abcs
import enum
import typing
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any, Generic, Literal, NewType, Optional, Protocol, TypedDict, TypeVar

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray

from workflow_assets import Experiment, File, Items, MemoryStore, Picture, step
from workflow_assets.contracts.annotations import Array, Columns
from workflow_assets.contracts.edges import compatible, handed
from workflow_assets.contracts.hints import Unresolved
from workflow_assets.errors import DeclarationError

T = TypeVar("T")
UserId, OrderId = NewType("UserId", int), NewType("OrderId", int)


class Base:
    pass


class Derived(Base):
    pass


class Other:
    pass


class Abstract(abc.ABC):
    @abc.abstractmethod
    def run(self): ...


class Speaks(Protocol):
    def speak(self) -> str: ...


class Box(Generic[T]):
    pass


class Shelf(Box[int]):
    pass


class Movie(TypedDict):
    name: str


class Colour(enum.Enum):
    RED = 1


@dataclass
class Split:
    train: int


FIT: list[tuple[Any, Any]] = [
    (int, int),
    (int, float),
    (int, complex),
    (float, complex),
    (np.float64, float),
    (np.float32, float),
    (float, np.float64),
    (np.int64, int),
    (np.int64, float),
    (np.bool_, bool),
    (Derived, Base),
    (Base, Derived),
    (Path, PurePath),
    (Split, Split),
    (None, None),
    (None, type(None)),
    (Any, int),
    (int, Any),
    (object, int),
    (int, object),
    (T, int),
    (Unresolved("Missing"), int),
    (int, "Missing"),
    (int, Speaks),
    (Speaks, int),
    (Optional[int], int),  # noqa: UP045
    (int, Optional[int]),  # noqa: UP045
    (int | str, str | bytes),
    (int | None, float | None),
    (Literal["a"], str),
    (str, Literal["a"]),
    (Literal["a", "b"], Literal["b", "c"]),
    (Literal["a", 1], int),
    (Literal["a"], Any),
    (UserId, int),
    (int, UserId),
    (UserId, OrderId),
    (list[int], list[int]),
    (list[int], list[float]),
    (list, list[int]),
    (list[int], list),
    (list[int], Sequence[int]),
    (list[Any], list[int]),
    (list[Derived], list[Base]),
    (list[int | None], list[int]),
    (tuple[int, str], tuple[int, str]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int, int], tuple[int, ...]),
    (tuple[int, ...], tuple[float, ...]),
    (tuple, tuple[int, int]),
    (tuple[int, str], Sequence[Any]),
    (dict[str, int], Mapping[str, int]),
    (dict[str, int], Iterable[str]),
    (dict[str, list[int]], dict[str, Sequence[float]]),
    (set[int], Iterable[int]),
    (Iterator[int], Iterable[int]),
    (abcs.Generator[int, None, None], Iterator[int]),
    (Iterable, Sized),
    (Hashable, Iterable[int]),
    (Abstract, Iterable),
    (str, Sequence[str]),
    (Callable[[int], str], Callable),
    (Callable[[int], str], Callable[[str], str]),
    (type[Derived], type[Base]),
    (type, Callable),
    (Movie, dict),
    (Movie, dict[str, Any]),
    (dict, Movie),
    (Box[int], Box[int]),
    (Box[int], Box),
    (Shelf, Box[int]),
    (Colour, Colour),
    (np.ndarray, NDArray[np.float64]),
    (NDArray[np.float64], np.ndarray),
    (NDArray[np.float64], NDArray[np.floating]),
    (NDArray[np.floating], NDArray[np.float64]),
    (NDArray[Any], NDArray[np.float64]),
    (NDArray[np.float64 | np.int64], NDArray[np.int64]),
    (np.ndarray[tuple[int, int], np.dtype[np.float64]], NDArray[np.float64]),
    (np.ndarray[tuple[int, ...], Any], np.ndarray[tuple[int, int], Any]),
    (pd.DataFrame, pd.DataFrame),
    (Annotated[int, "mark"], int),
    (int, Annotated[float, "mark"]),
    (Annotated[pd.DataFrame, Columns(a=float)], pd.DataFrame),
    (Annotated[pd.DataFrame, Columns(a=float)], Annotated[pd.DataFrame, Columns(b=int)]),
    (Annotated[np.ndarray, Array("uint8")], Annotated[np.ndarray, Array(ndim=2)]),
    (Annotated[Any, Array("uint8")], Annotated[pd.DataFrame, Columns(a=float)]),
    (Annotated[int, "mark"] | None, int),
]

MISFIT: list[tuple[Any, Any]] = [
    (str, int),
    (int, str),
    (float, int),
    (complex, float),
    (bool, int),
    (int, bool),
    (bool, float),
    (np.float64, int),
    (np.float32, str),
    (np.bool_, int),
    (None, int),
    (int, None),
    (str, bytes),
    (str, Path),
    (Base, Other),
    (Split, Base),
    (Derived, int),
    (Optional[int], str),  # noqa: UP045
    (int | str, bytes | None),
    (Literal["a"], int),
    (int, Literal["a"]),
    (Literal["a"], Literal["b"]),
    (Literal[True], int),
    (UserId, str),
    (list[str], list[int]),
    (list[float], list[int]),
    (list[bool], list[int]),
    (list[int], set[int]),
    (list[int], tuple[int, ...]),
    (list[list[int]], list[list[str]]),
    (list[int] | None, list[str]),
    (tuple[int, int], tuple[int, int, int]),
    (tuple[int, str], tuple[str, int]),
    (tuple[int, ...], tuple[int, str]),
    (tuple[str, ...], Sequence[int]),
    (dict[str, int], dict[str, str]),
    (dict[int, int], dict[str, int]),
    (dict[int, str], Iterable[str]),
    (dict[str, int], list[str]),
    (Mapping[str, int], Sequence[int]),
    (Iterator[int], list[int]),
    (Iterable[str], Iterable[int]),
    (type[Base], type[Other]),
    (type[Base], Base),
    (Callable[[int], str], int),
    (Box[int], Box[str]),
    (Movie, str),
    (Colour, int),
    (np.ndarray, pd.DataFrame),
    (pd.Series, pd.DataFrame),
    (NDArray[np.float64], NDArray[np.int64]),
    (NDArray[np.floating], NDArray[np.integer]),
    (np.ndarray[tuple[int, int], Any], np.ndarray[tuple[int], Any]),
    (np.ndarray, list[float]),
    (Annotated[int, "mark"], str),
    (Annotated[pd.DataFrame, Columns(a=float)], Annotated[pd.DataFrame, Columns(a=int)]),
    (Annotated[pd.DataFrame, Columns({"a": float}, exact=True)], Annotated[pd.DataFrame, Columns(b=int)]),
    (Annotated[np.ndarray, Array("uint8")], Annotated[np.ndarray, Array("uint16")]),
    (Annotated[np.ndarray, Array(ndim=2)], Annotated[np.ndarray, Array(ndim=3)]),
    (Annotated[pd.DataFrame, Columns(a=float)], np.ndarray),
]


def named(pair):
    return " to ".join(str(hint).replace("typing.", "") for hint in pair)


@pytest.mark.parametrize("pair", FIT, ids=named)
def test_an_edge_is_allowed_where_a_value_may_fit(pair):
    """What arrives is checked again when it runs."""
    assert compatible(*pair)


@pytest.mark.parametrize("pair", MISFIT, ids=named)
def test_an_edge_is_refused_where_no_value_fits(pair):
    """Before anything runs."""
    assert not compatible(*pair)


def test_an_alias_is_what_it_stands_for():
    """As in ``type Name = int``, from Python 3.12 on."""

    class TypeAliasType:
        __value__ = list[int]

    assert compatible(TypeAliasType(), list[float])
    assert not compatible(TypeAliasType(), list[str])


def test_old_spellings_are_read():
    """`typing.List[int]` is ``list[int]``."""
    assert compatible(typing.List[int], list[int])  # noqa: UP006
    assert not compatible(typing.List[int], list[str])  # noqa: UP006
    assert compatible(typing.Tuple, tuple[int, int])  # noqa: UP006


@step
def drawn() -> Figure:
    return Figure()


@step(transient=True)
def passing() -> Figure:
    return Figure()


def test_a_figure_is_handed_on_as_a_picture():
    """Who takes it as a figure is told so at once, and not while it runs."""

    @step
    def taken(drawn: Picture) -> int:
        return len(drawn.png)

    assert Experiment("figures", [drawn, taken]).run(MemoryStore()).table["taken"][0] > 1000

    @step
    def wrong(drawn: Figure) -> int:
        return len(drawn.axes)

    with pytest.raises(
        DeclarationError, match=r"gives Figure, of which others are handed Picture, but wrong\.drawn"
    ):
        Experiment("figures", [drawn, wrong])


def test_a_transient_figure_is_handed_on_as_it_is():
    """Nothing of it is stored."""

    @step
    def axes(passing: Figure) -> int:
        return len(passing.axes)

    assert Experiment("figures", [passing, axes]).run(MemoryStore()).table["axes"][0] == 0


@pytest.mark.parametrize(
    ("produced", "given"),
    [
        (Iterator[bytes], File),
        (Generator[pd.DataFrame, None, None], Items[pd.DataFrame]),
        (typing.Iterator[int], Items[int]),
        (Iterator, Items | File),
        (Figure | None, Picture | None),
        (float | None, float | None),
        (Iterable[int], Iterable[int]),
        (list[int], list[int]),
    ],
)
def test_what_is_stored_as_something_else_is_known_by_its_type(produced, given):
    """As what can be iterated once, and figures."""
    assert handed(produced) == given
