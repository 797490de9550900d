"""Type hints, read where they can be and left alone where they cannot."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NewType, TypeVar, Union, get_args, get_origin


@dataclasses.dataclass(frozen=True)
class Unresolved:
    """A hint that names something which is not there at run time, as under ``if TYPE_CHECKING``: unchecked."""

    text: str


def read_hints(function: Callable[..., Any], local_names: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a function's type hints one by one, so that one that cannot be resolved does not hide the others."""
    try:
        return typing.get_type_hints(function, localns=dict(local_names or {}), include_extras=True)
    except Exception:  # noqa: BLE001 - whatever a hint raises, the others can be read
        inner = inspect.unwrap(function)
        names = {**getattr(inner, "__globals__", {}), **(local_names or {})}
        return {name: _resolve(hint, names) for name, hint in getattr(inner, "__annotations__", {}).items()}


def _resolve(hint: Any, names: dict[str, Any]) -> Any:
    if hint is None:
        return type(None)
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, names)  # noqa: S307 - the user's own annotation, as typing.get_type_hints does
    except Exception:  # noqa: BLE001
        return Unresolved(hint)


def says_nothing(annotation: Any) -> bool:
    """Tell whether a hint leaves open what the values are.

    >>> says_nothing(Any), says_nothing(int)
    (True, False)
    """
    return (
        annotation is Any
        or annotation is object
        or annotation is inspect.Parameter.empty
        or isinstance(annotation, Unresolved | TypeVar | str | typing.ForwardRef)
    )


def plain_hint(annotation: Any) -> Any:
    """Give what a new or alias type stands for (``UserId = NewType("UserId", int)``), and None's type for None."""
    while True:
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":  # `type Name = ...`, from Python 3.12 on
            annotation = annotation.__value__
        elif get_origin(annotation) in _WRAPPERS:
            annotation = get_args(annotation)[0]
        else:
            return type(None) if annotation is None else annotation


_WRAPPERS = (typing.Final, typing.ClassVar, typing.Required, typing.NotRequired)


def union_members(annotation: Any) -> tuple[Any, ...] | None:
    """Give the members of a union; None for what is none.

    >>> union_members(int | None)
    (<class 'int'>, <class 'NoneType'>)
    """
    return get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else None


def marks_of(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Take apart an annotated type: the type, and what it is annotated with."""
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        return base, tuple(marks)
    return annotation, ()


@dataclasses.dataclass(frozen=True)
class Unit:
    """The unit of a metric, for `Annotated`: reports and plots name it.

    >>> from typing import Annotated
    >>> Length = Annotated[float, Unit("µm")]
    """

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise TypeError(f"Unit({self.name!r}): give the unit's name, as in Unit('µm')")


def unit_of(marks: Iterable[Any]) -> str | None:
    """Give the name of the unit among what a type is annotated with."""
    return next((mark.name for mark in marks if isinstance(mark, Unit)), None)
