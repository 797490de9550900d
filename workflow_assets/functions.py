"""Functions that are registered as steps and sources: found by name, so that they can be copied and pickled."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Self, get_origin

from workflow_assets.errors import UnknownNameError, excerpt
from workflow_assets.modules import qualified_name
from workflow_assets.names import identifier_fault


class Registered:
    """A function with a declaration around it: never changed, so that a copy is the same object.

    Pickling writes where the function stands. What stands nowhere, such as a function made in a function, cannot be
    pickled.
    """

    function: Callable[..., Any]

    @property
    def __wrapped__(self) -> Callable[..., Any]:
        return self.function

    @property
    def description(self) -> str:
        """The function's docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        place = self.function.__module__, self.function.__qualname__
        found = find(*place)
        if found is self.function:
            return _declared_again, (type(self), self.function, _differences(self, None))
        if not isinstance(found, Registered) or found.function is not self.function:
            kind = type(self).__name__.lower()
            raise TypeError(
                f"{kind} {getattr(self, 'name', '')!r} cannot be pickled: {qualified_name(self.function)} is not what "
                f"stands under that name. Define the {kind} at the top of a module that can be imported"
            )
        return _found_again, (*place, _differences(self, found))

    def _take_after_function(self) -> None:
        """Look like the function, for help and for error messages."""
        for name in ("__doc__", "__module__", "__qualname__"):
            object.__setattr__(self, name, getattr(self.function, name))
        object.__setattr__(self, "__name__", getattr(self, "name", ""))


def find(module: str, qualname: str) -> Any:
    """Find what stands in a loaded module under a qualified name; None where nothing does."""
    holder: Any = sys.modules.get(module)
    for part in qualname.split("."):
        holder = getattr(holder, part, None)
    return holder


def _differences(one: Any, other: Any) -> dict[str, Any]:
    fields = (
        field.name
        for field in dataclasses.fields(one)
        if field.init and field.name not in {"function", "scope"}
    )
    return {
        name: getattr(one, name)
        for name in fields
        if other is None or getattr(one, name) != getattr(other, name)
    }


def _declared_again(kind: type, function: Callable[..., Any], fields: Mapping[str, Any]) -> Any:
    return kind(function, **fields)


def _found_again(module: str, qualname: str, changes: Mapping[str, Any]) -> Any:
    found = find(importlib.import_module(module).__name__, qualname)
    if not isinstance(found, Registered):
        raise UnknownNameError(f"module {module!r} has no step or source {qualname!r}")
    return dataclasses.replace(found, **changes) if changes else found  # type: ignore[type-var]


def names_around(frame: types.FrameType) -> dict[str, Any]:
    """Give the names of the function around a definition that type hints and inputs may mean: no data.

    Empty at the top of a module, whose names are found without.
    """
    if frame.f_locals is frame.f_globals:
        return {}
    return {
        name: value
        for name, value in frame.f_locals.items()
        if isinstance(value, types.ModuleType) or get_origin(value) is not None or callable(value)
    }


def declared_faults(one: Any, kind: str) -> list[str]:
    """Say what is wrong with what steps and sources have in common."""
    faults = []
    if fault := identifier_fault(one.name):
        faults.append(f"its name {fault}")
    if not isinstance(one.slug, str) or not one.slug.strip():
        faults.append(f"slug = {excerpt(one.slug)}: expected a text")
    if one.version is not None and not one.version.strip():
        faults.append("version is empty: leave it out, or write what changes when the code does")
    if not isinstance(one.tags, Mapping) or not all(
        isinstance(text, str) for item in one.tags.items() for text in item
    ):
        faults.append(f"tags = {excerpt(one.tags)}: expected a mapping from texts to texts")
    if not all(isinstance(owner, str) for owner in one.owners):
        faults.append(f"owners = {excerpt(one.owners)}: expected e-mail addresses or 'team:name'")
    if isinstance(one.function, types.FunctionType):
        return faults
    given = type(one.function).__qualname__
    if isinstance(one.function, str):
        return [
            *faults,
            f"a {kind} is a plain function, not a text: for its name, write @{kind}(name={one.function!r})",
        ]
    return [*faults, f"a {kind} is a plain function, not a {given}; write `def` around it"]


def as_owners(owners: Any) -> tuple[str, ...]:
    """Read owners: several, or one text."""
    return (owners,) if isinstance(owners, str) else tuple(owners or ())
