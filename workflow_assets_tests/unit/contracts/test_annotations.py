"""Declared metrics, arrays and columns."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import Field, ValidationError

from workflow_assets import step
from workflow_assets.contracts.annotations import Array, Columns, Metrics
from workflow_assets.errors import ContractError, WorkflowAssetsError
from workflow_assets.fingerprint import fingerprint


class Score(Metrics):
    accuracy: float
    rows: int = 0
    passed: bool = True
    note: str | None = None


class Detailed(Score):
    log_loss: float | None = None
    positive: float = Field(default=1.0, gt=0)


NUMBERS = [
    1.5,
    1,
    np.float16(1.5),
    np.float32(1.5),
    np.float64(1.5),
    np.longdouble(1.5),
    np.int8(1),
    np.uint64(1),
    np.array(1.5),
]


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: type(value).__name__)
def test_a_metric_takes_any_number(value):
    """It becomes a plain float."""
    score = Score(accuracy=value)
    assert score.accuracy == float(value)
    assert type(score.accuracy) is float


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_metric_may_be_no_finite_number(value):
    """What a model reports is reported."""
    assert str(Score(accuracy=value).accuracy) == str(float(value))


def test_whole_numbers_booleans_and_texts_of_numpy_are_taken():
    """As what they hold."""
    held: dict[str, Any] = {"rows": np.int32(3), "passed": np.False_, "note": np.str_("fine")}
    score = Score(accuracy=1, **held)
    assert dict(score) == {"accuracy": 1.0, "rows": 3, "passed": False, "note": "fine"}
    assert [type(value) for _, value in score] == [float, int, bool, str]


WRONG: dict[str, tuple[type[Metrics], dict[str, Any], str]] = {
    "a text": (Score, {"accuracy": "0.9"}, "Score.accuracy: expected float, got str '0.9'"),
    "none": (Score, {"accuracy": None}, "Score.accuracy: expected float, got NoneType None"),
    "a boolean": (Score, {"accuracy": True}, "Score.accuracy: expected float, got bool True"),
    "an array": (Score, {"accuracy": [0.9]}, "Score.accuracy: expected float, got list [0.9]"),
    "a float as a count": (Score, {"accuracy": 1, "rows": 2.5}, "Score.rows: expected int, got float 2.5"),
    "a whole float as a count": (
        Score,
        {"accuracy": 1, "rows": 2.0},
        "Score.rows: expected int, got float 2.0",
    ),
    "a number as a boolean": (Score, {"accuracy": 1, "passed": 1}, "Score.passed: expected bool, got int 1"),
    "a number as a text": (Score, {"accuracy": 1, "note": 1}, "Score.note: expected str | None, got int 1"),
    "missing": (Score, {}, "Score.accuracy is missing"),
    "misspelt": (
        Score,
        {"acuracy": 0.9},
        "Score.accuracy is missing; Score has no metric 'acuracy': did you mean 'accuracy'?",
    ),
    "unknown": (
        Score,
        {"accuracy": 1, "zzz": 2},
        "Score has no metric 'zzz': there are 'accuracy', 'rows', 'passed' and 'note'",
    ),
    "of a subclass": (
        Detailed,
        {"accuracy": 1, "log_loss": "a"},
        "Detailed.log_loss: expected float | None, got str 'a'",
    ),
    "out of bounds": (
        Detailed,
        {"accuracy": 1, "positive": 0},
        "Detailed.positive: Input should be greater than 0",
    ),
    "two": (
        Score,
        {"accuracy": "a", "rows": "b"},
        "Score.accuracy: expected float, got str 'a'; Score.rows: expected int, got str 'b'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_metric_is_named(case):
    """With what was expected and what was given, and near matches; all at once."""
    metrics, values, told = WRONG[case]
    with pytest.raises(ContractError) as error:
        metrics(**values)
    assert str(error.value) == told
    assert isinstance(error.value, WorkflowAssetsError)


def test_metrics_may_be_extended():
    """A subclass has the metrics of its base, first."""
    assert list(Detailed.model_fields) == ["accuracy", "rows", "passed", "note", "log_loss", "positive"]
    assert Detailed(accuracy=1, log_loss=None).log_loss is None


@pytest.mark.parametrize("annotation", [list[float], complex, float | int, dict, Score, Any, object])
def test_what_is_no_metric_cannot_be_declared_as_one(annotation):
    """The class itself is refused, by the name of the field."""
    with pytest.raises(
        TypeError, match=r"Wrong\.value is declared as .*: a metric is a float, int, bool or str"
    ):
        type(
            "Wrong",
            (Metrics,),
            {"__annotations__": {"value": annotation}, "__module__": __name__, "__qualname__": "Wrong"},
        )


def test_metrics_are_frozen():
    """What was measured stays."""
    score = Score(accuracy=1)
    with pytest.raises(ValidationError, match="frozen"):
        score.accuracy = 2.0  # type: ignore[misc]


def test_metrics_can_be_copied_and_pickled():
    """They travel between processes, NaN and all."""
    score = Detailed(accuracy=0.5, note="a")
    assert copy.deepcopy(score) == pickle.loads(pickle.dumps(score)) == score


def test_metrics_may_have_any_name():
    """Also one that begins with `model_`, which pydantic would keep for itself."""

    class Named(Metrics):
        model_accuracy: float

    assert Named(model_accuracy=1).model_accuracy == 1.0


# -- arrays -----------------------------------------------------------------------------------------------------------


IMAGE = np.zeros((2, 3), "uint16")

ARRAYS: dict[str, tuple[Array, Any, str | None]] = {
    "any": (Array(), IMAGE, None),
    "dtype": (Array("uint16"), IMAGE, None),
    "dtype as a type": (Array(np.uint16), IMAGE, None),
    "dtype of Python": (Array(float), np.zeros(2), None),
    "dtype by another name": (Array("float"), np.zeros(2), None),
    "dtype by its code": (Array("<u2"), IMAGE, None),
    "another dtype": (Array("uint8"), IMAGE, "expected dtype uint8, got uint16"),
    "dimensions": (Array(ndim=2), IMAGE, None),
    "other dimensions": (Array(ndim=3), IMAGE, "expected 3 dimensions, got 2 (shape (2, 3))"),
    "one dimension": (Array(ndim=1), IMAGE, "expected 1 dimension, got 2 (shape (2, 3))"),
    "shape": (Array(shape=(2, 3)), IMAGE, None),
    "part of a shape": (Array(shape=(None, 3)), IMAGE, None),
    "shape as a list": (Array(shape=[2, 3]), IMAGE, None),  # type: ignore[arg-type]
    "another shape": (Array(shape=(None, 4)), IMAGE, "expected shape (None, 4), got (2, 3)"),
    "a longer shape": (Array(shape=(None, 3, 1)), IMAGE, "expected shape (None, 3, 1), got (2, 3)"),
    "no array": (Array(), [1], "expected an array, got list [1]"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_an_array_is_held_to_its_declaration(case):
    """Dtype, dimensions and shape."""
    declared, value, told = ARRAYS[case]
    assert declared.fault(value) == told


@pytest.mark.parametrize(
    ("one", "two", "excluded"),
    [
        (Array(), Array("uint8"), False),
        (Array("float"), Array("float64"), False),
        (Array("uint8"), Array("uint16"), True),
        (Array(ndim=2), Array(ndim=3), True),
        (Array(ndim=2), Array(shape=(None, 3)), False),
        (Array(ndim=3), Array(shape=(None, 3)), True),
        (Array(shape=(2, 3)), Array(shape=(2, None)), False),
        (Array(shape=(2, 3)), Array(shape=(2, 4)), True),
        (Array("uint8", ndim=2), Array("uint8", ndim=2), False),
    ],
)
def test_declared_arrays_exclude_each_other(one, two, excluded):
    """Whether or not an array can satisfy both, in either direction."""
    assert one.excludes(two) is excluded
    assert two.excludes(one) is excluded


def test_an_array_that_contradicts_itself_cannot_be_declared():
    """Two dimensions and a shape of three."""
    with pytest.raises(TypeError, match=r"Array cannot have 2 dimensions and the shape \(1, 2, 3\)"):
        Array(ndim=2, shape=(1, 2, 3))


# -- columns ----------------------------------------------------------------------------------------------------------


FRAME = pd.DataFrame(
    {
        "radius": [1.5, 2.0],
        "count": [1, 2],
        "flag": [True, False],
        "name": ["a", None],
        "label": pd.Categorical(["x", "y"]),
        "when": pd.to_datetime(["2024-03-01", "2024-03-02"]),
        "zoned": pd.to_datetime(["2024-03-01", "2024-03-02"]).tz_localize("UTC"),
        "mixed": ["a", 1],
        "text": pd.array(["a", "b"], dtype="string"),
        "whole": pd.array([1, None], dtype="Int64"),
        "empty": [None, None],
        7: [1.0, 2.0],
    }
)

COLUMNS: dict[str, tuple[Columns, str | None]] = {
    "kinds": (Columns(radius=float, count=int, flag=bool, name=str, label="category", when="datetime"), None),
    "zoned times": (Columns(zoned="datetime"), None),
    "texts": (Columns(text=str), None),
    "only missing texts": (Columns(empty=str), None),
    "missing whole numbers": (Columns(whole=int), None),
    "a dtype by its name": (Columns(radius="float64", whole="Int64"), None),
    "a dtype of numpy": (Columns(radius=np.float64, count=np.int64), None),
    "any type": (Columns(mixed=None), None),
    "a column that is numbered": (Columns({"7": float}), None),
    "the number of a column": (Columns({7: float}), None),  # type: ignore[dict-item]
    "a missing column": (Columns(raduis=float), "column 'raduis' is missing: did you mean 'radius'?"),
    "a wrong kind": (Columns(count=float), "column 'count' should be float, and is int64"),
    "texts that are not": (
        Columns(mixed=str),
        "column 'mixed' should be str, and holds mixed-integer values",
    ),
    "categories that are not": (Columns(name="category"), "column 'name' should be category, and is object"),
    "texts that are categories": (Columns(label=str), "column 'label' should be str, and is category"),
    "times that are not": (Columns(radius="datetime"), "column 'radius' should be datetime, and is float64"),
    "a narrower dtype": (Columns(radius="float32"), "column 'radius' should be float32, and is float64"),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_frame_is_held_to_its_declaration(case):
    """Columns and their types; others may be there."""
    declared, told = COLUMNS[case]
    assert declared.fault(FRAME) == told


def test_an_exact_declaration_admits_no_other_columns():
    """They are named."""
    frame = FRAME[["radius", "count", "flag"]]
    assert Columns({"radius": float, "count": int, "flag": bool}, exact=True).fault(frame) is None
    assert Columns({"radius": float}, exact=True).fault(frame) == (
        "columns 'count' and 'flag' are not declared, and the declaration is exact"
    )


@pytest.mark.parametrize("value", [{"a": [1]}, pd.Series([1], name="a"), np.zeros((2, 2)), None])
def test_only_a_frame_has_columns(value):
    """Anything else is told by its type."""
    told = Columns(a=float).fault(value)
    assert told is not None
    assert told.startswith(f"expected a DataFrame, got {type(value).__qualname__}")


def test_two_columns_of_one_name_do_no_harm():
    """The first counts."""
    frame = pd.DataFrame([[1.0, "a"]], columns=["x", "x"])
    assert Columns(x=float).fault(frame) is None


@pytest.mark.parametrize("kind", [list, [float], 3, object()])
def test_a_kind_that_cannot_be_checked_cannot_be_declared(kind):
    """The message names what can."""
    with pytest.raises(
        TypeError, match=r"Columns cannot check .*: expected float, int, bool, str, 'datetime'"
    ):
        Columns(a=kind)


@pytest.mark.parametrize(
    ("one", "two", "excluded"),
    [
        (Columns(a=float), Columns(b=int), False),
        (Columns(a=float), Columns(a=float, b=int), False),
        (Columns(a=float), Columns(a=int), True),
        (Columns(a=float), Columns(a=None), False),
        (Columns(a=float), Columns(a="float32"), False),
        (Columns(a=int), Columns(a="uint8"), False),
        (Columns(a=int), Columns(a="Int64"), False),
        (Columns(a=float), Columns(a="int64"), True),
        (Columns(a=str), Columns(a="object"), False),
        (Columns(a=str), Columns(a="category"), True),
        (Columns(a="datetime"), Columns(a="datetime64[ns]"), False),
        (Columns(a="datetime"), Columns(a="category"), True),
        (Columns({"a": float}, exact=True), Columns(a=float), False),
        (Columns({"a": float}, exact=True), Columns(b=float), True),
        (Columns({"a": float}, exact=True), Columns({"a": float, "b": int}, exact=True), True),
    ],
)
def test_declared_columns_exclude_each_other(one, two, excluded):
    """Whether or not a frame can satisfy both, in either direction."""
    assert one.excludes(two) is excluded
    assert two.excludes(one) is excluded


def test_equal_declarations_are_equal():
    """So that one contract written twice is one."""
    assert Columns(a=float, b="category") == Columns({"b": "category", "a": float})
    assert hash(Columns(a=float, b="category")) == hash(Columns({"b": "category", "a": float}))
    assert Columns(a=float) != Columns(a=int)
    assert Columns(a=float) != Columns({"a": float}, exact=True)
    assert repr(Columns({"a": float, "b": "category"}, exact=True)) == "Columns(a=float, b=category, exact)"


class Kept(Metrics):
    accuracy: float


@step
def kept(replicate: int) -> Kept:
    """Report a number."""
    return Kept(accuracy=float(replicate))


def test_the_code_of_a_step_that_reports_metrics_is_the_same_in_every_version():
    # Another digest here means that every stored datum of a step that reports metrics is lost.
    assert fingerprint(kept).digest == "2d1a2fe9eabc0d5ebdb4a1af376e9e03d629b0fa"
