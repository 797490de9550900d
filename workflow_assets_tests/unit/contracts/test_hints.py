"""Type hints are read one by one: what cannot be resolved is left alone."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NewType, Optional, TypeVar, Union

import pytest

from workflow_assets import step
from workflow_assets.contracts.hints import (
    Unresolved,
    marks_of,
    plain_hint,
    read_hints,
    says_nothing,
    union_members,
)

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]

UserId = NewType("UserId", int)
T = TypeVar("T")


def test_postponed_hints_are_resolved():
    """Names of the function's module, and text in quotes."""

    def f(a: int, b: list[UserId], c: "dict[str, int]", d: Optional["float"] = None) -> None:  # noqa: UP037, UP045
        """Take and give."""

    assert read_hints(f) == {
        "a": int,
        "b": list[UserId],
        "c": dict[str, int],
        "d": float | None,
        "return": type(None),
    }


def test_a_hint_for_type_checkers_only_does_not_hide_the_others():
    """It is kept as its text; the others are read."""

    def f(a: Missing, b: int, c: list[Missing], d: nowhere.Missing) -> str:  # type: ignore[name-defined] # noqa: F821
        raise NotImplementedError

    hints = read_hints(f)
    assert hints["a"] == Unresolved("Missing")
    assert (hints["b"], hints["return"]) == (int, str)
    assert hints["c"] == Unresolved("list[Missing]")
    assert hints["d"] == Unresolved("nowhere.Missing")


def test_local_classes_are_found_where_the_step_is_declared():
    """A step in a function may take and give the function's own classes."""

    class Local:
        pass

    @step
    def f(a: Local, b: list[Local]) -> Local:
        return a

    assert f.parameters["a"].annotation is Local
    assert f.parameters["b"].annotation == list[Local]
    assert f.returns is Local


def test_a_step_without_hints_has_none():
    """Nothing is made up."""

    @step
    def f(a, b=1):
        return a

    assert says_nothing(f.parameters["a"].annotation)
    assert says_nothing(f.returns)


def test_annotations_are_kept():
    """What is written in `Annotated` belongs to the contract."""

    def f(a: Annotated[int, "mark"]):
        return a

    assert read_hints(f)["a"] == Annotated[int, "mark"]


@pytest.mark.parametrize(
    "hint", [Any, object, T, "Text", Unresolved("Missing"), typing.ForwardRef("Missing")]
)
def test_some_hints_say_nothing(hint):
    """Any value may come."""
    assert says_nothing(hint)


@pytest.mark.parametrize("hint", [int, None, list, list[Any], int | None, UserId, type(None)])
def test_the_others_say_something(hint):
    """Even if it is little."""
    assert not says_nothing(hint)


@pytest.mark.parametrize(
    ("hint", "plain"),
    [
        (UserId, int),
        (NewType("Inner", UserId), int),
        (Final[int], int),
        (ClassVar[str], str),
        (typing.Required[int], int),
        (None, type(None)),
        (list[UserId], list[UserId]),
    ],
)
def test_a_new_type_stands_for_another(hint, plain):
    """So do final and required ones."""
    assert plain_hint(hint) == plain


def test_an_alias_stands_for_its_value():
    """As in ``type Name = int``, from Python 3.12 on."""

    class TypeAliasType:
        __value__ = UserId

    assert plain_hint(TypeAliasType()) is int


def test_unions_have_members():
    """However they are written."""
    assert union_members(int | None) == union_members(Optional[int]) == (int, type(None))  # noqa: UP045
    assert union_members(Union[int, str]) == (int, str)  # noqa: UP007
    assert union_members(int) is None


def test_an_annotated_type_is_taken_apart():
    """The type, and its marks."""
    assert marks_of(Annotated[int, 1, "a"]) == (int, (1, "a"))
    assert marks_of(int) == (int, ())
