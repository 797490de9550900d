"""Calls: what each argument of a step in a workflow is taken from, or which value it has."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workflow_assets.contracts.checkers import describe
from workflow_assets.contracts.hints import says_nothing
from workflow_assets.errors import ContractError, DeclarationError, did_you_mean, excerpt, listing
from workflow_assets.faults import Faults
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.recordings import Handed, Pending
from workflow_assets.registries import signature
from workflow_assets.sources import Given, Source
from workflow_assets.steps import GIVEN, REQUIRED, Step
from workflow_assets.wires import From


class Composed:
    """A workflow, which is no value: what takes it for one is told so."""

    name: str


@dataclass(frozen=True)
class Call:
    """A step as it stands in a workflow: what its arguments are taken from, and which have values.

    `by_name` says whether parameters that are not told are wired by their names; else they have their defaults. `ui` is
    a front end's own, kept for its document.
    """

    step: Step[..., Any]
    wires: Mapping[str, Any] = field(default_factory=FrozenDict)
    values: Mapping[str, Any] = field(default_factory=FrozenDict)
    by_name: bool = True
    ui: Any = None


def bound_arguments(step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give arguments by the names of parameters; raise `DeclarationError` with the step's signature."""
    arguments = dict(kwargs)
    faults = []
    if args:
        taken = _positional(step.function)
        if len(args) > len(taken):
            some = f"{len(taken)} at most" if taken else "none"
            faults.append(f"it is handed {len(args)} arguments by their place, and takes {some}")
        for name, argument in zip(taken, args, strict=False):
            if name in arguments:
                faults.append(f"{name!r} is given twice")
            arguments[name] = argument
    for name in kwargs:
        if name in GIVEN:
            faults.append(f"{name!r} is given by the engine")
        elif name not in step.parameters:
            faults.append(f"{name!r} is no parameter of it: {did_you_mean(name, step.parameters)}")
    missing = [
        name for name, one in step.parameters.items() if one.default is REQUIRED and name not in arguments
    ]
    if missing:
        faults.append(f"{listing(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    if faults:
        *others, last = faults
        raise DeclarationError(f"a call of step {step.name!r}", [*others, f"{last}, in {signature(step)}"])
    return {name: arguments[name] for name in step.parameters if name in arguments}


@functools.lru_cache(maxsize=1024)
def _positional(function: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(
        one.name for one in parameters if one.name not in GIVEN and one.kind is one.POSITIONAL_OR_KEYWORD
    )


def bound_inputs(
    name: str, inputs: Mapping[str, Given], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Give arguments of a workflow by the names of its inputs; raise `DeclarationError` with all inputs."""
    names = list(inputs)
    arguments = {**dict(zip(names, args, strict=False)), **kwargs}
    faults = [f"{one!r} is no input of it: {did_you_mean(one, names)}" for one in kwargs if one not in inputs]
    faults += [f"{one!r} is given twice" for one in names[: len(args)] if one in kwargs]
    if len(args) > len(names):
        faults.append(f"it is handed {len(args)} arguments, and has {len(names)} inputs")
    missing = [one for one, given in inputs.items() if given.is_empty and one not in arguments]
    if missing:
        faults.append(f"{listing(missing)} {'has' if len(missing) == 1 else 'have'} no value")
    if faults:
        told = ", ".join(
            one
            + ("" if says_nothing(given.returns) else f": {describe(given.returns)}")
            + ("" if given.is_empty else f" = {excerpt(given.value, 40)}")
            for one, given in inputs.items()
        )
        *others, last = faults
        raise DeclarationError(f"a call of workflow {name!r}", [*others, f"{last}, in {name}({told})"])
    return arguments


def is_wired(argument: Any) -> bool:
    """Whether an argument is, or holds, what stands for a value: else it is a value itself."""
    if isinstance(argument, Pending | Source | Step | Composed | Handed):
        return True
    inner: Iterable[Any] = ()
    if isinstance(argument, Mapping):
        inner = argument.values()
    elif isinstance(argument, list | tuple | set | frozenset):
        inner = argument
    return any(map(is_wired, inner))


def rewired(wire: Any, anew: Mapping[str, Any]) -> Any:
    """Take what is wired to some names from elsewhere.

    Raises `DeclarationError` for an output of what has none of that name.

    >>> rewired([From("a"), From("b", "x"), 3], {"b": From("c")})
    [From(name='a', output=''), From(name='c', output='x'), 3]
    """
    if isinstance(wire, From):
        return _output_of(anew[wire.name], wire) if wire.name in anew else wire
    if isinstance(wire, Mapping):
        return {name: rewired(inner, anew) for name, inner in wire.items()}
    return [rewired(inner, anew) for inner in wire] if isinstance(wire, list) else wire


def _output_of(target: Any, wire: From) -> Any:
    if not wire.output:
        return target
    if isinstance(target, From) and not target.output:
        return From(target.name, wire.output)
    if isinstance(target, Mapping) and wire.output in target:
        return target[wire.output]
    what = f"{target.output!r} of {target.name!r}" if isinstance(target, From) else "a collection of several"
    raise DeclarationError(
        f"input {wire.name!r}", [f"a step takes its output {wire.output!r}, and it is handed {what}"]
    )


def _kept(told: Any, value: Any) -> Any:
    """Give what an input holds: a reference itself, so that its datum is known by its key."""
    return told.content if isinstance(told, Handed) and isinstance(told.content, Handed) else value


def read_input(owner: str, name: Any, told: Any, faults: Faults, declared: Any = REQUIRED) -> Given | None:
    """Make an input of a value, or of the type of the values that it will be given; note what prevents it."""
    if fault := identifier_fault(name):
        faults.add(f"input {excerpt(name)}: its name {fault}")
        return None
    if name in GIVEN:
        faults.add(f"input {name!r} is what the engine gives to steps: rename it")
        return None
    if told is REQUIRED or (declared is REQUIRED and _is_type(told)):
        return Given.of(owner, name, REQUIRED, declared if told is REQUIRED else told)
    if isinstance(told, Pending | Source | Step):
        faults.add(f"input {name!r} is {told!r}: an input is a value; hand that on where it is used")
        return None
    from workflow_assets.contracts.coercions import coerce  # workers do without pydantic

    try:
        value = coerce(told.load() if isinstance(told, Handed) else told, declared, f"input {name!r}")
        return Given.of(owner, name, _kept(told, value), declared)
    except ContractError as error:
        faults.add(str(error))
        return None


def _is_type(told: Any) -> bool:
    return (
        isinstance(told, type | types.UnionType | typing.NewType)
        or told is Any
        or typing.get_origin(told) is not None
    )
