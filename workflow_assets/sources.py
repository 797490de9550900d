"""Sources: data sets with a content version, loaded once and shared by every experiment that names them."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from workflow_assets.contracts import read_hints
from workflow_assets.errors import DeclarationError
from workflow_assets.names import identifier_fault

R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Source(Generic[R]):
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
        faults = []
        if not isinstance(self.function, types.FunctionType):
            faults.append(f"a source is a plain function, not a {type(self.function).__qualname__}")
        else:
            parameters = list(inspect.signature(self.function).parameters)
            if parameters:
                faults.append(
                    f"its loader takes {', '.join(parameters)}; a source takes nothing: make it a step"
                )
            if inspect.isgeneratorfunction(self.function) or inspect.iscoroutinefunction(self.function):
                faults.append("its loader returns one value, it neither yields nor awaits")
        if fault := identifier_fault(self.name):
            faults.append(f"its name {fault}")
        if faults:
            raise DeclarationError(f"source {self.name!r}", faults)
        hints = read_hints(self.function, self.scope)
        object.__setattr__(self, "returns", hints.get("return", inspect.Parameter.empty))
        object.__setattr__(self, "__doc__", self.function.__doc__)
        object.__setattr__(self, "__name__", self.name)
        object.__setattr__(self, "__module__", self.function.__module__)
        object.__setattr__(self, "__qualname__", self.function.__qualname__)

    @property
    def __wrapped__(self) -> Callable[[], R]:
        """The loader."""
        return self.function

    def __call__(self) -> R:
        """Load the data."""
        return self.function()

    @property
    def description(self) -> str:
        """The loader's docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")


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
    frame = sys._getframe(1)
    scope = {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)

    def decorate(function: Callable[[], Any]) -> Source[Any]:
        own = getattr(function, "__name__", type(function).__qualname__)
        return Source(
            function,
            name=own if name is None else name,
            slug=own if slug is None else slug,
            version=None if version is None else str(version),
            tags=dict(tags or {}),
            owners=tuple(owners),
            scope=scope,
        )

    return decorate if function is None else decorate(function)
