"""Steps: registered functions that say what they take, what they give and what they must be given."""

from __future__ import annotations

import copy
import importlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeVar, overload

from workflow_assets.contracts import Metrics, MetricType, metric_type, read_hints
from workflow_assets.errors import DeclarationError, UnknownNameError, did_you_mean
from workflow_assets.modules import qualified_name
from workflow_assets.names import identifier_fault

P = ParamSpec("P")
R = TypeVar("R")

GIVEN = ("rng", "seed", "replicate", "treatment", "ctx")
"""Parameters of these names are given by the engine."""

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One parameter of a step's function; `default` is `REQUIRED` where there is none."""

    name: str
    annotation: Any
    default: Any


@dataclass(frozen=True, eq=False)
class Step(Generic[P, R]):
    """A registered function. Calling a step calls its function.

    `name` is the slot that it fills in a workflow, `slug` the name that it is registered under.
    """

    function: Callable[P, R]
    name: str
    slug: str
    version: str | None = None
    stream: str | None = None
    legacy_rng: bool = False
    memo: bool = True
    transient: bool = False
    records: type[Metrics] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    scope: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        faults = _function_faults(self)
        if faults:
            raise DeclarationError(f"step {self.name!r}", faults)
        hints = read_hints(self.function, self.scope)
        parameters = {
            parameter.name: Parameter(parameter.name, hints.get(parameter.name, REQUIRED), parameter.default)
            for parameter in inspect.signature(self.function).parameters.values()
        }
        self._set("given", frozenset(parameters) & frozenset(GIVEN))
        self._set("parameters", {name: one for name, one in parameters.items() if name not in GIVEN})
        self._set("returns", hints.get("return", REQUIRED))
        self._set("metrics", _declared_metrics(self))
        self._set("__doc__", self.function.__doc__)
        self._set("__name__", self.name)
        self._set("__module__", self.function.__module__)
        self._set("__qualname__", self.function.__qualname__)
        if self.transient and self.metrics:
            raise DeclarationError(
                f"step {self.name!r}", ["it is transient, so that nothing would keep the metrics it reports"]
            )

    given: frozenset[str] = field(init=False, repr=False)
    parameters: Mapping[str, Parameter] = field(init=False, repr=False)
    returns: Any = field(init=False, repr=False)
    metrics: Mapping[str, MetricType] = field(init=False, repr=False)
    """Metric names as they end: a field's name, or "" for a step that returns one number."""

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def __wrapped__(self) -> Callable[P, R]:
        """The function."""
        return self.function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    @property
    def description(self) -> str:
        """The function's docstring."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def random(self) -> bool:
        """Whether the result depends on the replicate's random stream."""
        return self.legacy_rng or bool(self.given & {"rng", "seed"})

    def named(self, name: str) -> Step[P, R]:
        """Use one function for another slot: ``model.named("second_model")``."""
        return replace(self, name=name)

    def metric_names(self) -> dict[str, MetricType]:
        """Give the declared metrics by their full names, such as ``score.accuracy``."""
        return {
            f"{self.name}.{metric}" if metric else self.name: kind for metric, kind in self.metrics.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        if _find(self.function.__module__, self.function.__qualname__) is self.function:
            state = {name: getattr(self, name) for name in _STATE}
            return _rebuild, (self.function, state)
        found = _find(self.function.__module__, self.function.__qualname__)
        if not isinstance(found, Step) or found.function is not self.function:
            raise TypeError(
                f"step {self.name!r} cannot be pickled by name: "
                f"{qualified_name(self.function)} is not a step of an importable module"
            )
        return _restore, (self.function.__module__, self.function.__qualname__, self.name)


_STATE = ("name", "slug", "version", "stream", "legacy_rng", "memo", "transient", "records", "tags", "owners")


def _rebuild(function: Callable[..., Any], state: Mapping[str, Any]) -> Step[..., Any]:
    return Step(function, **state)


def _restore(module: str, qualname: str, name: str) -> Step[..., Any]:
    found = _find(importlib.import_module(module).__name__, qualname)
    if not isinstance(found, Step):
        raise UnknownNameError(f"{module} has no step {qualname!r}")
    return found if found.name == name else found.named(name)


def _find(module: str, qualname: str) -> Any:
    holder: Any = sys.modules.get(module)
    for part in qualname.split("."):
        holder = getattr(holder, part, None)
    return holder


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    name: str | None = None,
    slug: str | None = None,
    version: str | None = None,
    stream: str | None = None,
    legacy_rng: bool = False,
    memo: bool = True,
    transient: bool = False,
    records: type[Metrics] | None = None,
    tags: Mapping[str, str] | None = None,
    owners: tuple[str, ...] = (),
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    slug: str | None = None,
    version: str | None = None,
    stream: str | None = None,
    legacy_rng: bool = False,
    memo: bool = True,
    transient: bool = False,
    records: type[Metrics] | None = None,
    tags: Mapping[str, str] | None = None,
    owners: tuple[str, ...] = (),
) -> Any:
    """Make a function a step of experiments.

    A parameter named like another step or a source is an input; `rng`, `seed`, `replicate`, `treatment` and `ctx`
    are given by the engine; every other parameter is configuration.

    Args:
        function: a plain function whose parameters can all be passed by name.
        name: the slot that it fills; the function's own name by default.
        slug: the name in registries and documents; the function's own name by default.
        version: takes the place of the code's fingerprint in compute keys; for steps in installed packages.
        stream: the name of the random stream, to keep the same numbers when the slot is renamed.
        legacy_rng: seed `random`, `numpy.random` and torch from the stream before each call, and restore them after.
        memo: False for what must not be remembered (a clock, a service): it and what follows run every time.
        transient: store nothing; compute inside whatever consumes it.
        records: the metrics that the step records through ``ctx.record``.
        tags: labels shown in Dagster.
        owners: e-mail addresses or ``team:name``, shown in Dagster.

    Raises `DeclarationError` for a function that cannot be a step.

    >>> @step
    ... def double(number: int = 2) -> int:
    ...     return 2 * number
    >>> double(4)
    8
    """
    frame = sys._getframe(1)
    scope = {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)

    def decorate(function: Callable[..., Any]) -> Step[..., Any]:
        if isinstance(function, Step):
            raise DeclarationError(
                f"step {function.name!r}", ["it is a step already; use .named() for another slot"]
            )
        own = getattr(function, "__name__", type(function).__qualname__)
        return Step(
            function,
            name=own if name is None else name,
            slug=own if slug is None else slug,
            version=None if version is None else str(version),
            stream=stream,
            legacy_rng=legacy_rng,
            memo=memo,
            transient=transient,
            records=records,
            tags=dict(tags or {}),
            owners=tuple(owners),
            scope=scope,
        )

    return decorate if function is None else decorate(function)


def _function_faults(one: Step[..., Any]) -> list[str]:
    function = one.function
    if not isinstance(function, types.FunctionType):
        return [f"a step is a plain function, not a {type(function).__qualname__}; write `def` around it"]
    faults = []
    if fault := identifier_fault(one.name):
        faults.append(f"its name {fault}")
    if one.name == "results":
        faults.append("'results' is the table that every experiment ends in; choose another name")
    if inspect.iscoroutinefunction(function):
        faults.append("it is a coroutine function; steps are plain functions: run the event loop inside")
    elif inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        faults.append("it is a generator function; a step returns one value: return a list")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            faults.append(
                f"{stars}{parameter.name} takes any number of arguments; name each, so that it can be wired"
            )
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            faults.append(f"parameter {parameter.name!r} is positional-only; arguments are passed by name")
        elif parameter.name in GIVEN and parameter.default is not REQUIRED:
            faults.append(f"parameter {parameter.name!r} is given by the engine and takes no default")
    return faults


def _declared_metrics(one: Step[..., Any]) -> dict[str, MetricType]:
    metrics: dict[str, MetricType] = {}
    if isinstance(one.returns, type) and issubclass(one.returns, Metrics):
        metrics.update(_fields(one.returns))
    elif (kind := metric_type(one.returns)) is not None and kind is not str:
        metrics[""] = kind
    for name, recorded in _fields(one.records).items() if one.records is not None else ():
        if name in metrics:
            raise DeclarationError(f"step {one.name!r}", [f"metric {name!r} is both returned and recorded"])
        metrics[name] = recorded
    return metrics


def _fields(metrics: type[Metrics]) -> dict[str, MetricType]:
    kinds = {name: metric_type(field.annotation) for name, field in metrics.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if kind is not None}


class Registry:
    """Steps and sources by slug, so that documents and other packages can name them.

    >>> registry = Registry()
    >>> @registry.add
    ... @step
    ... def clean(text: str = "") -> str:
    ...     return text.strip()
    >>> registry["clean"] is clean
    True
    """

    def __init__(self) -> None:
        self._members: dict[str, Any] = {}

    Member = TypeVar("Member")

    def add(self, member: Member) -> Member:
        """Register a step or a source under its slug.

        Defining the same function again (as a notebook does) replaces it. Raises `DeclarationError` when the slug
        belongs to another function.
        """
        slug = str(getattr(member, "slug", ""))
        function = getattr(member, "__wrapped__", None)
        if not slug or function is None:
            raise DeclarationError(
                "registry", [f"a {type(member).__qualname__} is neither a step nor a source"]
            )
        present = self._members.get(slug)
        holder = None if present is None else qualified_name(present.__wrapped__)
        if holder is not None and holder != qualified_name(function):
            raise DeclarationError(
                "registry",
                [
                    f"slug {slug!r} of {qualified_name(function)} is {holder}'s; give one another: @step(slug=...)"
                ],
            )
        self._members[slug] = member
        return member

    def __getitem__(self, slug: str) -> Any:
        if slug not in self._members:
            raise UnknownNameError(
                f"no step or source has the slug {slug!r}: {did_you_mean(slug, self._members)}"
            )
        return self._members[slug]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def private_copy(value: Any) -> Any:
    """Give a value that nobody else holds, so that changing it in place is nobody's surprise."""
    if (
        isinstance(value, str | bytes | int | float | complex | bool | types.FunctionType | type)
        or value is None
    ):
        return value
    return copy.deepcopy(value)
