"""Sources: data sets with a content version, loaded once and shared by every experiment that names them."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar, cast, overload

from workflow_assets.contracts.hints import read_hints
from workflow_assets.errors import DeclarationError, UnknownNameError, excerpt, listing
from workflow_assets.functions import Registered, as_owners, declared_faults, names_around
from workflow_assets.mappings import FrozenDict
from workflow_assets.recordings import RECORDING, Handed, unrecorded

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
        """Load the data; while a workflow is being composed, give what stands for them instead."""
        recorder = RECORDING.get()
        return self.load() if recorder is None else cast("R", recorder(self, (), {}))

    def load(self) -> R:
        """Load the data, whatever is being composed."""
        if RECORDING.get() is not None:
            with unrecorded():
                return self.load()
        return self.function()

    @property
    def asset(self) -> tuple[str, ...]:
        """The key of the asset that the data are in Dagster, and in a store."""
        return (self.name,)

    @property
    def code_version(self) -> str | None:
        """What takes the place of the loader's code in keys."""
        return None


@dataclass(frozen=True, eq=False, repr=False)
class AssetSource(Source[Any]):
    """An asset of Dagster's that feeds experiments: whoever materialises it puts its value into the store.

    Its content version is that of what the store holds when a run is planned. See `asset_source`.
    """

    path: tuple[str, ...] = ()

    @property
    def asset(self) -> tuple[str, ...]:
        """The key of the asset."""
        return self.path

    @property
    def code_version(self) -> str | None:
        """The asset's key: its code is Dagster's, and what it gives is known by its content."""
        return f"asset {'/'.join(self.path)}"

    @property
    def description(self) -> str:
        """Say what it is."""
        return f"The Dagster asset {'/'.join(self.path)}."

    def load(self) -> NoReturn:
        """Raise `UnknownNameError`: there is nothing to load from but a store."""
        raise UnknownNameError(
            f"source {self.name!r} is the Dagster asset {'/'.join(self.path)!r}, whose value is not computed here, and "
            "what the store has of it cannot be used any more: materialise it again"
        )

    def __repr__(self) -> str:
        return f"AssetSource({'/'.join(self.path)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _asset_source, (self.path, self.name)


@dataclass(frozen=True, eq=False, repr=False)
class Given(Source[Any]):
    """An input of a workflow: a value that it begins with, or that each run is given.

    Its content version is that of the value. See `Workflow`.
    """

    owner: str = ""
    value: Any = inspect.Parameter.empty

    @classmethod
    def of(cls, owner: str, name: str, value: Any, hint: Any = inspect.Parameter.empty) -> Given:
        """Make an input that has a value, of a declared type if there is one."""
        made = cls(_given, name=name, slug=f"{owner}/{name}", owner=owner, value=value)
        object.__setattr__(made, "returns", hint)
        return made

    def holding(self, value: Any) -> Given:
        """Give the same input with a value."""
        return Given.of(self.owner, self.name, value, self.returns)

    @property
    def is_empty(self) -> bool:
        """Whether each run has to give the value."""
        return self.value is inspect.Parameter.empty

    @property
    def asset(self) -> tuple[str, ...]:
        """The key of the asset that the value is in Dagster, and in a store."""
        return (self.owner, self.name)

    @property
    def code_version(self) -> str | None:
        """An input has no code: it is known by its content."""
        return "input"

    @property
    def description(self) -> str:
        """Say what it is."""
        return f"The input {self.name} of the workflow {self.owner}."

    def load(self) -> Any:
        """Give the value.

        Raises `UnknownNameError` where there is none.
        """
        if self.is_empty:
            raise UnknownNameError(
                f"input {self.name!r} of workflow {self.owner!r} has no value: give it one"
            )
        return self.value.load() if isinstance(self.value, Handed) else self.value

    def __repr__(self) -> str:
        return f"Given({self.name})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Given.of, (self.owner, self.name, self.value, self.returns)


def _given() -> Any:
    """What stands for the code of an input, which has none."""


def asset_source(asset: str | Sequence[str] | Any, *, name: str | None = None) -> AssetSource:
    """Let a Dagster asset that you write yourself feed experiments.

    Steps take it by a parameter of its name. The asset says ``io_manager_key="datums"``, so that its value goes to the
    store that the experiment reads; it has no partitions. Whenever its value changes, what follows from it is computed
    anew.

    Args:
        asset: the asset itself, its `AssetKey`, or its key as text (``"lab/readings"``) or texts.
        name: the name that steps ask for; the last part of the key by default.

    Raises `DeclarationError` for what is no asset or has no name that a parameter can have.

    >>> asset_source("lab/readings").name
    'readings'
    """
    path = getattr(
        getattr(asset, "key", asset), "path", asset
    )  # of a definition or a key, without importing Dagster
    parts = path.split("/") if isinstance(path, str) else path
    if not isinstance(parts, Sequence) or not parts or not all(isinstance(one, str) and one for one in parts):
        raise DeclarationError(
            "asset_source",
            [f"{excerpt(asset)} is no asset: expected a Dagster asset, or its key, such as 'lab/readings'"],
        )
    return _asset_source(tuple(parts), parts[-1] if name is None else name)


@functools.cache  # so that two experiments that name an asset share one source
def _asset_source(path: tuple[str, ...], name: str) -> AssetSource:
    return AssetSource(_elsewhere, name=name, slug="/".join(path), path=path)


def _elsewhere() -> Any:
    """What stands for the code of an asset, which is Dagster's."""


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
