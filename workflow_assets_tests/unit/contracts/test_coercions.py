"""Parameters are brought to their annotated type, and nothing is guessed."""

import collections
import datetime
import decimal
import enum
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, Protocol, TypedDict

import numpy as np
import pandas as pd
import pytest
from annotated_types import Gt
from numpy.typing import NDArray
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression

from workflow_assets.canonical import canonical
from workflow_assets.contracts.annotations import Array, Columns
from workflow_assets.contracts.coercions import coerce
from workflow_assets.errors import ContractError
from workflow_assets.fingerprint import code_form


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Config:
    rate: float
    names: list[str] = field(default_factory=list)
    mode: Mode = Mode.FAST


@dataclass
class Holder:
    frame: pd.DataFrame


class Model(BaseModel):
    rate: float = 1.0
    count: int = 0


class Movie(TypedDict):
    name: str


class Point(NamedTuple):
    x: float
    y: float


class Speaks(Protocol):
    def speak(self) -> str: ...


UserId = NewType("UserId", int)
DAY = datetime.date(2024, 3, 1)
NOON = datetime.datetime(2024, 3, 1, 12, tzinfo=datetime.UTC)

TAKEN: dict[str, tuple[Any, Any, Any]] = {
    "a whole number for a float": (1, float, 1.0),
    "a float": (0.5, float, 0.5),
    "a number of numpy": (np.float32(0.5), float, 0.5),
    "a whole number of numpy for a float": (np.int64(1), float, 1.0),
    "a whole number of numpy": (np.int8(3), int, 3),
    "a long float": (np.longdouble(0.5), float, 0.5),
    "a boolean of numpy": (np.True_, bool, True),
    "a text of numpy": (np.str_("a"), str, "a"),
    "an optional": (None, Optional[float], None),  # noqa: UP045
    "an optional number": (1, float | None, 1.0),
    "the nearer of two": (1, int | float, 1),
    "the nearer of two texts": ("a", str | Path, "a"),
    "a literal": ("a", Literal["a", "b"], "a"),
    "a new type": (1, UserId, 1),
    "a list": ([1, 2], list[float], [1.0, 2.0]),
    "a tuple for a list": ((1, 2), list[int], [1, 2]),
    "a list for a tuple": ([1, 2], tuple[int, int], (1, 2)),
    "a list for a tuple of any length": ([1, 2], tuple[float, ...], (1.0, 2.0)),
    "a list for a set": ([1, 2], set[int], {1, 2}),
    "a list for a frozen set": (["a"], frozenset[str], frozenset({"a"})),
    "a list for a sequence": ([1], Sequence[float], [1.0]),
    "a tuple for a sequence": ((1,), Sequence[float], (1.0,)),
    "numbers of numpy in a list": ([np.int64(1), np.float64(0.5)], list[float], [1.0, 0.5]),
    "a list in a dict": ({"a": [1]}, dict[str, tuple[int, ...]], {"a": (1,)}),
    "whole numbers as keys": ({1: 2}, dict[int, float], {1: 2.0}),
    "a mapping": ({"a": 1}, Mapping[str, float], {"a": 1.0}),
    "an iterable": ([1, 2], Iterable[int], [1, 2]),
    "iterables in a dict": ({"a": [1]}, dict[str, Iterable[int]], {"a": [1]}),
    "a bare list": ([1, "a"], list, [1, "a"]),
    "a bare dict": ({"a": [1]}, dict, {"a": [1]}),
    "a member": (Mode.FAST, Mode, Mode.FAST),
    "a member by its value": ("fast", Mode, Mode.FAST),
    "a member by its number": (1, Level, Level.LOW),
    "members in a list": (["fast", "slow"], list[Mode], [Mode.FAST, Mode.SLOW]),
    "a member or none": ("slow", Mode | None, Mode.SLOW),
    "a path": (Path("a"), Path, Path("a")),
    "a text for a path": ("a/b", Path, Path("a/b")),
    "a date": (DAY, datetime.date, DAY),
    "a text for a date": ("2024-03-01", datetime.date, DAY),
    "a text for a time": ("2024-03-01T12:00:00Z", datetime.datetime, NOON),
    "a decimal": (decimal.Decimal("1.5"), decimal.Decimal, decimal.Decimal("1.5")),
    "a text for a decimal": ("1.50", decimal.Decimal, decimal.Decimal("1.50")),
    "a text for an identifier": (str(uuid.UUID(int=5)), uuid.UUID, uuid.UUID(int=5)),
    "a pattern": (re.compile("a"), re.Pattern, re.compile("a")),
    "a dataclass": (Config(1.0), Config, Config(1.0)),
    "a mapping for a dataclass": ({"rate": 1, "mode": "slow"}, Config, Config(1.0, [], Mode.SLOW)),
    "a model": (Model(rate=2), Model, Model(rate=2)),
    "a mapping for a model": ({"rate": 2}, Model, Model(rate=2)),
    "models in a list": ([{"count": 1}], list[Model], [Model(count=1)]),
    "a typed dict": ({"name": "a"}, Movie, {"name": "a"}),
    "a named tuple": (Point(1, 2), Point, Point(1.0, 2.0)),
    "a list for a named tuple": ([1, 2], Point, Point(1.0, 2.0)),
    "a function": (len, Callable, len),
    "a function of a kind": (len, Callable[[Any], int], len),
    "a class": (Config, type, Config),
    "a subclass": (bool, type[int], bool),
    "anything": ("1", Any, "1"),
    "an object": (3, object, 3),
    "a protocol": (3, Speaks, 3),
    "text as a hint": (3, "Missing", 3),
    "a bounded number": (1, Annotated[float, Gt(0)], 1.0),
    "an estimator's type": (LogisticRegression, type, LogisticRegression),
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_value_is_brought_to_its_type(case):
    """It equals what the annotation promises, and is of the promised type; so are its parts."""
    value, annotation, wanted = TAKEN[case]
    taken = coerce(value, annotation, "model.x")
    assert taken == wanted
    assert type(taken) is type(wanted)
    assert canonical(taken, code_form) == canonical(wanted, code_form)


def test_what_has_the_right_type_is_taken_as_it_is():
    """Arrays, frames, estimators and dataclasses that hold them."""
    array, frame, model = np.zeros(3), pd.DataFrame({"a": [1.0]}), LogisticRegression()
    held = Holder(frame)
    for value, annotation in (
        (array, np.ndarray),
        (array, NDArray[np.float64]),
        (array, Annotated[np.ndarray, Array(ndim=1)]),
        (frame, pd.DataFrame),
        (frame, Annotated[pd.DataFrame, Columns(a=float)]),
        (model, LogisticRegression),
        (model, Any),
        (held, Holder),
    ):
        assert coerce(value, annotation, "model.x") is value
    assert coerce([array], list[np.ndarray], "model.x")[0] is array


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "text for a number": ("1", int, "model.x: expected int, got str '1'"),
    "text for a float": ("0.5", float, "model.x: expected float, got str '0.5'"),
    "a number for text": (1, str, "model.x: expected str, got int 1"),
    "a boolean for a number": (True, int, "model.x: expected int, got bool True"),
    "a boolean for a float": (True, float, "model.x: expected float, got bool True"),
    "a number for a boolean": (1, bool, "model.x: expected bool, got int 1"),
    "a float for a whole number": (1.0, int, "model.x: expected int, got float 1.0"),
    "a fraction for a whole number": (1.5, int, "model.x: expected int, got float 1.5"),
    "none": (None, int, "model.x: expected int, got NoneType None"),
    "text for an optional": ("1", float | None, "model.x: expected float | None, got str '1'"),
    "another literal": (
        "fats",
        Literal["fast"],
        "model.x: expected 'fast', got str 'fats': did you mean 'fast'?",
    ),
    "an item": ([1, "a"], list[int], "model.x: item 1: expected int, got str 'a'"),
    "a text for a list": ("ab", list[str], "model.x: expected list, got str 'ab'"),
    "a length": ([1], tuple[int, int], "model.x: expected a tuple, got list [1]"),
    "a set for a list": ({1}, list[int], "model.x: expected list, got set {1}"),
    "an array for a list": (np.zeros(2), list[float], "model.x: expected list, got ndarray array([0., 0.])"),
    "a value in a dict": ({"a": "b"}, dict[str, int], "model.x: ['a']: expected int, got str 'b'"),
    "another member": ("fats", Mode, "model.x: expected Mode, got str 'fats': did you mean 'fast'?"),
    "another member or none": (
        "fats",
        Mode | None,
        "model.x: expected Mode | None, got str 'fats': did you mean 'fast'?",
    ),
    "the name of a member": (
        "FAST",
        Mode,
        "model.x: expected Mode, got str 'FAST': there are 'fast' and 'slow'",
    ),
    "a number for a path": (1, Path, "model.x: expected Path, got int 1"),
    "no date": ("yesterday", datetime.date, "model.x: expected date, got str 'yesterday'"),
    "a field of a dataclass": (
        {"rate": "fast"},
        Config,
        "model.x: expected Config, got dict {'rate': 'fast'}",
    ),
    "a bound": (-1, Annotated[int, Gt(0)], "model.x: input should be greater than 0, got -1"),
    "another class": (
        Config(1.0),
        Model,
        "model.x: expected Model, got Config Config(rate=1.0, names=[], mode=<Mode.FAST: 'fast'>)",
    ),
    "another estimator": (3, LogisticRegression, "model.x: expected LogisticRegression, got int 3"),
    "no function": (3, Callable, "model.x: expected Callable, got int 3"),
    "another subclass": (str, type[int], "model.x: expected int or a subclass, got <class 'str'>"),
    "a list for an array": ([1.0], NDArray[np.float64], "model.x: expected an array, got list [1.0]"),
    "another dtype": (np.zeros(2, int), NDArray[np.float64], "model.x: expected dtype float64, got int64"),
    "other dimensions": (
        np.zeros(2),
        Annotated[np.ndarray, Array(ndim=2)],
        "model.x: expected 2 dimensions, got 1 (shape (2,))",
    ),
    "other columns": (
        pd.DataFrame({"a": [1]}),
        Annotated[pd.DataFrame, Columns(b=int)],
        "model.x: column 'b' is missing: there is only 'a'",
    ),
    "a missing key": ({}, Movie, "model.x: key 'name' is missing: there are none"),
    "an iterable": ([1, "a"], Iterable[int], "model.x: item 1: expected int, got str 'a'"),
    "a long value": ("a" * 500, int, f"model.x: expected int, got str '{'a' * 76}..."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_name(case):
    """The message names the parameter, what was expected and what was given."""
    value, annotation, told = REFUSED[case]
    with pytest.raises(ContractError) as error:
        coerce(value, annotation, "model.x")
    assert str(error.value) == told


def test_the_given_value_is_left_alone():
    """What is returned may be another object; what was given is not changed."""
    given = {"a": [np.int64(1)], "b": (1, 2)}
    coerce(given, dict[str, list[float]], "model.x")
    assert given == {"a": [1], "b": (1, 2)}
    assert type(given["a"][0]) is np.int64


def test_an_unhashable_hint_is_no_obstacle():
    """As when it is annotated with a list."""
    assert coerce(1, Annotated[int, ["mark"]], "model.x") == 1
    with pytest.raises(ContractError):
        coerce("a", Annotated[int, ["mark"]], "model.x")


def test_a_default_dict_stays_one():
    """Containers of other types are taken as they are."""
    value = collections.defaultdict(int, a=1)
    assert coerce(value, dict[str, int], "model.x") == {"a": 1}
    assert coerce(value, collections.defaultdict[str, int], "model.x") == value
