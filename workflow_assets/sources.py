"""Sources: data sets with a content version, loaded once and shared by every experiment that names them."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from workflow_assets.contracts.hints import read_hints
from workflow_assets.errors import DeclarationError, listing
from workflow_assets.functions import Registered, as_owners, declared_faults, names_around
from workflow_assets.mappings import FrozenDict

R = TypeVar("R")


@dataclass(frozen=True, eq=False, repr=False)
class Source(Registered, Generic[R]):
    """A registered data set. Calling a source loads it.

    With a `version`, the loader runs only when the version or the loader's code is new. Without one, the data are
    loaded and digested before each run is planned.
    """

    function: Callable[[], R]
    name: str
    slug: str
    version: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    scope: Mapping[str, Any] = field(default_factory=dict, repr=False)
    returns: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "owners", as_owners(self.owners))
        faults = declared_faults(self, "source")
        if isinstance(self.function, types.FunctionType):
            faults += _loader_faults(self.function)
        if faults:
            raise DeclarationError(
                f"source {self.name!r}" if isinstance(self.name, str) else "source", faults
            )
        returns = read_hints(self.function, self.scope).get("return", inspect.Parameter.empty)
        object.__setattr__(self, "returns", returns)
        object.__setattr__(self, "tags", FrozenDict(self.tags))
        self._take_after_function()

    def __repr__(self) -> str:
        return (
            f"Source({self.name})"
            if self.version is None
            else f"Source({self.name}, version={self.version!r})"
        )

    def __call__(self) -> R:
        """Load the data."""
        return self.function()


def _loader_faults(function: types.FunctionType) -> list[str]:
    faults = []
    if parameters := list(inspect.signature(function).parameters):
        faults.append(f"its loader takes {listing(parameters)}; a source takes nothing: make it a step")
    inner = inspect.unwrap(function)
    if inspect.iscoroutinefunction(inner):
        faults.append("its loader is a coroutine function: run the event loop inside")
    elif inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        faults.append("its loader is a generator function; a source returns one value: return a list")
    return faults


@overload
def source(function: Callable[[], R], /) -> Source[R]: ...
@overload
def source(
    *,
    version: str | None = None,
    name: str | None = None,
    slug: str | None = None,
    tags: Mapping[str, str] | None = None,
    owners: tuple[str, ...] = (),
) -> Callable[[Callable[[], R]], Source[R]]: ...
def source(
    function: Callable[[], Any] | None = None,
    /,
    *,
    version: str | None = None,
    name: str | None = None,
    slug: str | None = None,
    tags: Mapping[str, str] | None = None,
    owners: tuple[str, ...] = (),
) -> Any:
    """Make a loader a source of experiments.

    Args:
        function: a plain function without parameters.
        version: changes when the data change; without one the content is digested before each run.
        name: the name that steps ask for; the function's own name by default.
        slug: the name in registries and documents; the function's own name by default.
        tags: labels shown in Dagster.
        owners: e-mail addresses or ``team:name``, shown in Dagster.

    Raises `DeclarationError` for a function that cannot be a source.

    >>> @source(version="1")
    ... def numbers() -> list[int]:
    ...     return [1, 2, 3]
    >>> numbers.version
    '1'
    """
    scope = names_around(sys._getframe(1))

    def decorate(function: Callable[[], Any]) -> Source[Any]:
        if isinstance(function, Registered):
            raise DeclarationError(
                f"source {getattr(function, 'name', '')!r}",
                [f"it is a {type(function).__name__.lower()} already"],
            )
        own = getattr(function, "__name__", type(function).__qualname__)
        return Source(
            function,
            name=own if name is None else name,
            slug=own if slug is None else slug,
            version=None if version is None else str(version),
            tags={} if tags is None else tags,
            owners=as_owners(owners),
            scope=scope,
        )

    return decorate if function is None else decorate(function)
