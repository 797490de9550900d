"""Steps: registered functions that say what they take, what they give and what they must be given."""

from __future__ import annotations

import copy
import inspect
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, cast, get_origin, overload

from workflow_assets.cards import step_card
from workflow_assets.contracts.checkers import MetricType, Reported, metric_type
from workflow_assets.contracts.hints import marks_of, plain_hint, read_hints, says_nothing, unit_of
from workflow_assets.errors import DeclarationError, did_you_mean, excerpt
from workflow_assets.functions import Registered, as_owners, declared_faults, names_around
from workflow_assets.layouts import for_terminal, terminal_width
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.recordings import RECORDING, Pending, outside
from workflow_assets.tellings import card_of
from workflow_assets.traits import (
    NO_RETRIES,
    Category,
    Mode,
    Retries,
    read_category,
    read_metadata,
    read_mode,
    read_resources,
    read_retries,
    read_timeout,
)
from workflow_assets.views import card

if TYPE_CHECKING:
    from workflow_assets.contracts.annotations import Metrics

P = ParamSpec("P")
R = TypeVar("R")

GIVEN = ("rng", "seed", "replicate", "treatment", "ctx")
"""Parameters of these names are given by the engine."""

REQUIRED = inspect.Parameter.empty

Combine = Literal["zip", "product"]
COMBINATIONS = ("zip", "product")
"""How the items of several parameters are taken together."""

OVERRIDABLE = ("retries", "timeout", "resources", "memo", "transient", "stream")
"""The traits that one use of a step may have otherwise than its declaration."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a step's function; `default` is `REQUIRED` where there is none."""

    name: str
    annotation: Any
    default: Any


@dataclass(frozen=True, eq=False, repr=False)
class Step(Registered, Generic[P, R]):
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
    retries: Retries = NO_RETRIES
    timeout: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    records: type[Metrics] | None = None
    category: Category | None = None
    mode: Mode = "whole"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    combine: Combine = "zip"
    scope: Mapping[str, Any] = field(default_factory=dict, repr=False)
    overridden: Mapping[str, Any] = field(default_factory=FrozenDict, repr=False)

    def __post_init__(self) -> None:
        self._set("owners", as_owners(self.owners))
        faults = [*declared_faults(self, "step"), *_option_faults(self)]
        for trait, read in _TRAITS.items():
            value, found = read(getattr(self, trait))
            self._set(trait, value)
            faults += found
        if isinstance(self.function, types.FunctionType):
            faults += _function_faults(self.function)
        if faults:
            raise DeclarationError(_subject(self), faults)
        hints = read_hints(self.function, self.scope)
        parameters = {
            parameter.name: Parameter(parameter.name, hints.get(parameter.name, REQUIRED), parameter.default)
            for parameter in inspect.signature(self.function).parameters.values()
        }
        self._set("given", frozenset(parameters) & frozenset(GIVEN))
        self._set(
            "parameters", FrozenDict({name: one for name, one in parameters.items() if name not in GIVEN})
        )
        self._set("returns", hints.get("return", REQUIRED))
        self._set("tags", FrozenDict(self.tags))
        if self.mode == "each" and not self.over:
            self._set("over", tuple(self.parameters)[:1])
        faults += [*_each_faults(self), *_stream_faults(self)]
        returns = self.returns
        self._set(
            "gives",
            types.GenericAlias(list, (returns,)) if self.over and returns is not REQUIRED else returns,
        )
        self._set("metrics", FrozenDict({} if self.over else _declared_metrics(self, faults)))
        self._take_after_function()
        if self.mode == "each" and not self.parameters:
            faults.append("mode = 'each', and it takes nothing of which there could be items")
        if self.transient and self.metrics:
            faults.append("it is transient, so that nothing would keep the metrics it reports")
        if faults:
            raise DeclarationError(_subject(self), faults)

    given: frozenset[str] = field(init=False, repr=False)
    parameters: Mapping[str, Parameter] = field(init=False, repr=False)
    returns: Any = field(init=False, repr=False)
    gives: Any = field(init=False, repr=False)
    """What others are handed: what it returns, or for a step on each item a list of these."""
    metrics: Mapping[str, MetricType] = field(init=False, repr=False)
    """Metric names as they end: a field's name, or "" for a step that returns one number."""

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Step({self.name}({', '.join(inspect.signature(self.function).parameters)}))"

    def __str__(self) -> str:
        return for_terminal("\n".join(card(card_of(self), terminal_width())))

    def _repr_html_(self) -> str:
        return step_card(card_of(self))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function; while a workflow is being composed, write the call down instead."""
        recorder = RECORDING.get()
        if recorder is None:
            for one in args:  # written out: steps are called in loops, too
                if isinstance(one, Pending):
                    raise outside(self.name, one)
            for one in kwargs.values():
                if isinstance(one, Pending):
                    raise outside(self.name, one)
            return self.function(*args, **kwargs)
        return cast("R", recorder(self, args, kwargs))

    @property
    def is_coroutine(self) -> bool:
        """Whether calling the function gives a coroutine, which an event loop runs."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.function))

    @property
    def random(self) -> bool:
        """Whether the result depends on the replicate's random stream."""
        return self.legacy_rng or bool(self.given & {"rng", "seed"})

    def named(self, name: str) -> Step[P, R]:
        """Use one function for another slot: ``model.named("second_model")``."""
        if name == self.name:
            return self
        if fault := slot_fault(name):
            raise DeclarationError(f"step {self.name!r}", [f"its new name {fault}"])
        made = object.__new__(type(self))  # all else has been validated
        vars(made).update({**vars(self), "name": name, "__name__": name})
        return made

    def each(self, *parameters: str, combine: Combine = "zip") -> Step[..., list[R]]:
        """Call it on each item of what some parameters are handed, by default of the first one.

        Items are those of a list, array or what a step yielded, the values of a mapping, or the rows of a frame (as
        mappings); the other parameters are handed whole. What it gives is a list, or a mapping with the same keys. An
        item that fails fails alone; what is stored of the others is not computed again.

        Args:
            parameters: those whose items are taken together, one of each.
            combine: "zip" needs as many items of each parameter; "product" takes every combination.

        >>> @step
        ... def double(number: int) -> int:
        ...     return 2 * number
        >>> double.each().over
        ('number',)
        """
        named = parameters or tuple(self.parameters)[:1]
        return cast("Step[..., list[R]]", replace(self, mode="each", over=named, combine=combine))

    def with_traits(self, **traits: Any) -> Step[P, R]:
        """Use the step with other traits in one place: ``fetch.with_traits(retries=5, timeout=60)``.

        Raises `DeclarationError` for what is no trait that a use may override, and for values that are none.
        """
        if unknown := [name for name in traits if name not in OVERRIDABLE]:
            faults = [f"{name!r} cannot be overridden: {did_you_mean(name, OVERRIDABLE)}" for name in unknown]
            raise DeclarationError(_subject(self), faults)
        told = FrozenDict(
            {**self.overridden, **{name: private_copy(value) for name, value in traits.items()}}
        )
        return replace(self, **traits, overridden=told) if traits else self

    def metric_names(self) -> dict[str, MetricType]:
        """Give the declared metrics by their full names, such as ``score.accuracy``."""
        return {
            f"{self.name}.{metric}" if metric else self.name: kind for metric, kind in self.metrics.items()
        }

    def metric_units(self) -> dict[str, str]:
        """Give the units of the metrics that declare one, by their full names."""
        units = {self.name: unit_of(marks_of(plain_hint(self.returns))[1])}
        for reported in (self.returns, self.records):
            if isinstance(reported, type) and issubclass(reported, Reported):
                fields = cast("type[Metrics]", reported).model_fields
                units |= {f"{self.name}.{name}": unit_of(field.metadata) for name, field in fields.items()}
        return {name: unit for name, unit in units.items() if unit is not None}


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
    retries: int | Retries = NO_RETRIES,
    timeout: float | None = None,
    resources: Mapping[str, float | str] | None = None,
    records: type[Metrics] | None = None,
    category: Category | None = None,
    mode: Mode = "whole",
    metadata: Mapping[str, Any] | None = None,
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
    retries: int | Retries = NO_RETRIES,
    timeout: float | None = None,
    resources: Mapping[str, float | str] | None = None,
    records: type[Metrics] | None = None,
    category: Category | None = None,
    mode: Mode = "whole",
    metadata: Mapping[str, Any] | None = None,
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
        retries: how often to call it again when it raises; `Retries` says how long to wait, and after which exceptions.
        timeout: the seconds that a call may take; a cell that takes longer fails, and its worker is free again.
        resources: what a call needs, such as ``{"gpu": 1, "memory": "4 GiB"}``: cells that need more together than
            there is wait for each other.
        records: the metrics that the step records through ``ctx.record``.
        category: what kind of work it is: "extract", "transform", "analyse" or "load"; shown in catalogues.
        mode: what a call is handed: the "whole" of its inputs, "each" item of them, or a "stream" of chunks.
        metadata: whatever else there is to say, in plain values that JSON can hold; nothing is computed anew for it.
        tags: labels shown in Dagster.
        owners: e-mail addresses or ``team:name``, shown in Dagster.

    Raises `DeclarationError` for a function that cannot be a step.

    >>> @step
    ... def double(number: int = 2) -> int:
    ...     return 2 * number
    >>> double(4)
    8
    """
    scope = names_around(sys._getframe(1))

    def decorate(function: Callable[..., Any]) -> Step[..., Any]:
        if isinstance(function, Step):
            raise DeclarationError(
                f"step {function.name!r}",
                [f"it is a step already; {function.name}.named('another') fills another slot with it"],
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
            retries=cast("Retries", retries),  # read when the step is made, as are the resources
            timeout=timeout,
            resources=cast("Mapping[str, float]", {} if resources is None else resources),
            records=records,
            category=category,
            mode=mode,
            metadata={} if metadata is None else metadata,
            tags={} if tags is None else tags,
            owners=as_owners(owners),
            scope=scope,
        )

    return decorate if function is None else decorate(function)


_TRAITS: Mapping[str, Callable[[Any], tuple[Any, list[str]]]] = {
    "retries": read_retries,
    "timeout": read_timeout,
    "resources": read_resources,
    "category": read_category,
    "mode": read_mode,
    "metadata": read_metadata,
}


def _subject(one: Step[..., Any]) -> str:
    return f"step {one.name!r}" if isinstance(one.name, str) else "step"


def slot_fault(name: Any) -> str | None:
    """Say why a name cannot be that of a step in a workflow; None if it can."""
    if name == "results":
        return "is that of the table that every experiment ends in: choose another than 'results'"
    return identifier_fault(name)


def _option_faults(one: Any) -> list[str]:
    faults = []
    if one.name == "results":
        faults.append(f"its name {slot_fault(one.name)}")
    if one.stream is not None and (not isinstance(one.stream, str) or not one.stream.strip()):
        faults.append(f"stream = {excerpt(one.stream)}: expected a text")
    if one.records is not None and not (isinstance(one.records, type) and issubclass(one.records, Reported)):
        faults.append(f"records = {excerpt(one.records)}: expected a class that is derived from Metrics")
    options = {option: getattr(one, option) for option in ("legacy_rng", "memo", "transient")}
    faults += [
        f"{option} = {excerpt(value)}: expected True or False"
        for option, value in options.items()
        if not isinstance(value, bool)
    ]
    return faults


def _each_faults(one: Any) -> list[str]:
    known = list(one.parameters)
    faults = [
        f"it cannot be called on each {name!r}, which is no parameter of it: {did_you_mean(str(name), known)}"
        for name in one.over
        if name not in known
    ]
    if one.combine not in COMBINATIONS:
        faults.append(f"combine = {one.combine!r}: {did_you_mean(str(one.combine), COMBINATIONS)}")
    if len(set(one.over)) < len(one.over):
        faults.append("it is called on each item of one parameter twice: name each parameter once")
    return faults


def _stream_faults(one: Any) -> list[str]:
    """Note a step that says it works on chunks, and is handed and gives whole values only."""
    if one.mode != "stream" or inspect.isgeneratorfunction(inspect.unwrap(one.function)):
        return []
    hints = [marks_of(plain_hint(parameter.annotation))[0] for parameter in one.parameters.values()]
    if any(says_nothing(hint) or (get_origin(hint) or hint) in (Iterable, Iterator) for hint in hints):
        return []
    return [
        "mode = 'stream', and it neither yields nor takes an Iterable: annotate what it is handed in chunks so"
    ]


def _function_faults(function: types.FunctionType) -> list[str]:
    faults = []
    inner = inspect.unwrap(function)
    if inspect.isasyncgenfunction(inner):
        faults.append("it is an asynchronous generator; return a list, or yield from a plain function")
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


def _declared_metrics(one: Step[..., Any], faults: list[str]) -> dict[str, MetricType]:
    metrics: dict[str, MetricType] = {}
    if isinstance(one.returns, type) and issubclass(one.returns, Reported):
        metrics.update(_fields(cast("type[Metrics]", one.returns)))
    elif (kind := metric_type(one.returns)) is not None and kind is not str:
        metrics[""] = kind
    for name, recorded in _fields(one.records).items() if one.records is not None else ():
        if name in metrics:
            faults.append(f"metric {name!r} is both returned and recorded")
        metrics[name] = recorded
    return metrics


def _fields(metrics: type[Metrics]) -> dict[str, MetricType]:
    kinds = {name: metric_type(field.annotation) for name, field in metrics.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def private_copy(value: Any) -> Any:
    """Give a value that nobody else holds, so that changing it in place is nobody's surprise."""
    return value if value is None or isinstance(value, _UNCHANGEABLE) else copy.deepcopy(value)


_UNCHANGEABLE = (
    str,
    bytes,
    int,
    float,
    complex,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
    type,
)
