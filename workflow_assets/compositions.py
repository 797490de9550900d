"""Compositions: workflows that are told by the names of their steps, or by calling them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import Token
from dataclasses import dataclass, field, replace
from typing import Any, Self

from workflow_assets.arguments import check_names, read_list, read_sources, read_steps, read_text
from workflow_assets.canonical import parameter_form
from workflow_assets.contracts.coercions import coerce
from workflow_assets.errors import (
    ContractError,
    DeclarationError,
    UnkeyableError,
    UnknownNameError,
    did_you_mean,
    excerpt,
)
from workflow_assets.faults import Faults
from workflow_assets.fingerprint import code_form
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.recordings import RECORDING, Pending
from workflow_assets.sources import Given, Source
from workflow_assets.steps import GIVEN, REQUIRED, Step
from workflow_assets.treatments import Treatment
from workflow_assets.wirings import From, WiredSteps, Wiring


@dataclass(frozen=True)
class Call:
    """A step as it stands in a workflow: what its arguments are taken from, and which have values.

    Where all its wires are `told`, as in a document, none is found by name. `ui` is a front end's own, kept for its
    document.
    """

    step: Step[..., Any]
    wires: Mapping[str, Any] = field(default_factory=FrozenDict)
    values: Mapping[str, Any] = field(default_factory=FrozenDict)
    told: bool = False
    ui: Any = None


class Composition:
    """Steps, the inputs and sources that they read, and how they are wired; nothing is computed.

    Args:
        name: an identifier: the job's name in Dagster, and the first part of each asset's key.
        steps: steps that are wired by the names of their parameters. Without any, the workflow is composed by call.
        inputs: values that it begins with, by name; or types, of those that each run is given.
        parameters: values by ``step.parameter``.
        sources: sources that are not found by name where the steps are defined.
        description: one or more sentences.

    Raises `DeclarationError` with every fault found.
    """

    def __init__(
        self,
        name: str,
        steps: Sequence[Step[..., Any] | Source[Any]] = (),
        *,
        inputs: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        sources: Sequence[Source[Any]] = (),
        description: str = "",
    ) -> None:
        faults = Faults()
        if fault := identifier_fault(name):
            faults.add(f"its name {fault}")
        read_text(description, "description", faults)
        self.name = name
        self.description = description
        self.ui: Any = None
        """What a front end keeps in the workflow's document, such as positions: it means nothing here."""
        self._recorder: Token[Any] | None = None
        self.inputs: dict[str, Given] = {}
        for one, told in (inputs or {}).items():
            if made := _input(name, one, told, faults):
                self.inputs[one] = made
        broken: set[str] = set()
        given = read_list(steps, "steps", "[load, clean, score]", faults)
        slots, among = read_steps(given, broken, faults) if given else ({}, [])
        more = read_list(sources, "sources", "[customers, orders]", faults)
        self.sources = read_sources([*more, *among], broken, faults)
        check_names([*slots, *self.inputs], self.sources, broken, faults)
        self.calls: dict[str, Call] = {slot: Call(step) for slot, step in slots.items()}
        try:
            values = dict(Treatment({} if parameters is None else parameters).parameters)
        except DeclarationError as error:
            faults.extend(error.faults)
            values = {}
        for address, value in values.items():
            slot, _, parameter = address.partition(".")
            if slot not in self.calls:
                near = did_you_mean(address, [f"{one}." for one in self.calls])
                faults.add(f"{address!r} is no parameter of any step: {near}")
            else:
                call = self.calls[slot]
                self.calls[slot] = replace(call, values=FrozenDict({**call.values, parameter: value}))
        if not faults and self.calls:
            self._wire(faults)
        self._refuse(faults)

    # -- composing by call --------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if RECORDING.get() is not None:
            raise DeclarationError(
                f"workflow {self.name!r}",
                ["another workflow is being composed: end that first, and then use it here"],
            )
        self._recorder = RECORDING.set(self._add)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self._recorder is not None
        RECORDING.reset(self._recorder)
        self._recorder = None
        if kind is None:
            faults = Faults()
            self._wire(faults)
            self._refuse(faults)

    def add(self, step: Step[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Add a step, as calling it while the workflow is being composed does; give what stands for its result.

        Raises `DeclarationError` for arguments that the step does not have.
        """
        return self._add(step, args, kwargs)

    def input(self, name: str, value: Any = REQUIRED, type: Any = REQUIRED) -> Any:  # noqa: A002 - what it is
        """Add an input; give what stands for it. One without a value is given by each run."""
        faults = Faults()
        if name in self.inputs or name in self.calls:
            faults.add(f"two things are called {name!r}: give the input another name")
        made = _input(self.name, name, type if value is REQUIRED else value, faults, declared=type)
        self._refuse(faults)
        assert made is not None
        self.inputs[name] = made
        return Pending(self, name)

    def _add(self, step: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Pending:
        if not isinstance(step, Step):
            raise DeclarationError(
                f"workflow {self.name!r}", [f"{excerpt(step)} is no step: decorate the function with @step"]
            )
        arguments = _bound(step, args, kwargs)
        slot = step.name if step.name not in (*self.calls, *self.inputs) else self._free(step.name)
        wires: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, argument in arguments.items():
            if _is_wired(argument):
                wires[name] = self._wire_of(argument, f"{slot}.{name}")
            else:
                values[name] = argument
        self.calls[slot] = Call(step.named(slot), FrozenDict(wires), FrozenDict(values))
        return Pending(self, slot)

    def _free(self, name: str) -> str:
        number = 2
        while f"{name}_{number}" in self.calls or f"{name}_{number}" in self.inputs:
            number += 1
        return f"{name}_{number}"

    def _wire_of(self, argument: Any, place: str) -> Any:
        if isinstance(argument, Pending):
            if argument.owner is not self:
                owner = getattr(argument.owner, "name", "another")
                raise DeclarationError(
                    f"workflow {self.name!r}",
                    [f"{place} is handed {argument!r} of the workflow {owner!r}: compose the step in there"],
                )
            return From(argument.name, argument.output)
        if isinstance(argument, Source):
            known = self.sources.setdefault(argument.name, argument)
            if known is not argument:
                raise DeclarationError(
                    f"workflow {self.name!r}", [f"two different sources are called {argument.name!r}"]
                )
            return From(argument.name)
        if isinstance(argument, Mapping):
            return {name: self._wire_of(inner, f"{place}[{name!r}]") for name, inner in argument.items()}
        if isinstance(argument, list | tuple):
            return [self._wire_of(inner, f"{place}[{at}]") for at, inner in enumerate(argument)]
        return argument

    # -- what it is ---------------------------------------------------------------------------------------------------

    def _wire(self, faults: Faults) -> None:
        if not self.calls:
            faults.add("it has no steps: name them, or call them in `with Workflow(...)`")
            return
        wiring = Wiring(
            {slot: call.step for slot, call in self.calls.items()},
            {**self.inputs, **self.sources},
            {
                f"{slot}.{name}": value
                for slot, call in self.calls.items()
                for name, value in call.values.items()
            },
            faults,
            wires={slot: call.wires for slot, call in self.calls.items()},
            told={slot for slot, call in self.calls.items() if call.told},
        )
        made = wiring.wire()
        if made is not None:
            self.__dict__["_wired"] = made

    @property
    def wired(self) -> WiredSteps:
        """The steps in an order in which each follows what it depends on, and what each is handed."""
        made: WiredSteps | None = self.__dict__.get("_wired")
        if made is None or made.nodes.keys() != self.calls.keys():
            faults = Faults()
            self._wire(faults)
            self._refuse(faults)
            made = self.__dict__["_wired"]
        return made

    def _refuse(self, faults: Faults) -> None:
        if faults:
            subject = f"workflow {self.name!r}" if isinstance(self.name, str) else "workflow"
            raise DeclarationError(subject, list(faults))

    def __iter__(self) -> Iterator[str]:
        return iter(self.wired.nodes)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, step: str | int) -> Pending:
        names = list(self.wired.nodes)
        if isinstance(step, int):
            return Pending(self, names[step])
        if step not in (*names, *self.inputs):
            raise UnknownNameError(
                f"workflow {self.name!r} has no step {step!r}: {did_you_mean(str(step), [*names, *self.inputs])}"
            )
        return Pending(self, step)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composition) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(self.name)

    def identity(self) -> list[Any]:
        """Give what two workflows have in common if they compute the same: steps, wiring, values and inputs."""
        wired = self.wired
        nodes = [
            [
                node.slot,
                node.step.slug,
                sorted(node.inputs.items()),
                sorted(node.outputs.items()),
                sorted(node.forms.items()),
            ]
            for node in sorted(wired, key=lambda node: node.slot)
        ]
        inputs = [[name, _form(one)] for name, one in sorted(self.inputs.items())]
        return [self.name, nodes, inputs, sorted(set(wired.sources) - set(self.inputs))]

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}: {' → '.join([*self.inputs, *self.calls])})"

    # -- changing -----------------------------------------------------------------------------------------------------

    @classmethod
    def assembled(
        cls,
        name: str,
        calls: Mapping[str, Call],
        inputs: Mapping[str, Given],
        sources: Mapping[str, Source[Any]],
        **fields: Any,
    ) -> Self:
        """Make a workflow of parts that are wired already; `wired`, `description` and `ui` are among the fields."""
        made = cls(name, description=fields.pop("description", ""))
        vars(made).update(
            calls=dict(calls),
            inputs=dict(inputs),
            sources=dict(sources),
            ui=fields.get("ui"),
            _wired=fields["wired"],
        )
        return made

    def changed(self, calls: Mapping[str, Call], **fields: Any) -> Self:
        """Give the same workflow with other calls; nothing else is shared that could change."""
        made = object.__new__(type(self))
        vars(made).update(
            {**vars(self), "calls": dict(calls), "inputs": dict(self.inputs), "sources": dict(self.sources)},
            **fields,
        )
        made.__dict__.pop("_wired", None)
        faults = Faults()
        made._wire(faults)
        made._refuse(faults)
        return made

    def explicit(self) -> dict[str, Call]:
        """Give the calls with every wire told, whether by name or by call."""
        wired = self.wired
        told = {}
        for slot, call in self.calls.items():
            node = wired.nodes[slot]
            names = {name: From(node.inputs[name]) for name in node.step.parameters if name in node.inputs}
            told[slot] = replace(call, wires=FrozenDict({**names, **call.wires}))
        return told

    def replaced(self, slot: str, step: Step[..., Any]) -> Self:
        """Give the same workflow with another step in a slot, which takes the same inputs.

        Values of parameters that the other step does not have are left out.
        """
        self[slot]
        calls = self.explicit()
        call = calls[slot]
        kept = {name: value for name, value in call.values.items() if name in step.parameters}
        wires = {name: wire for name, wire in call.wires.items() if name in step.parameters}
        calls[slot] = Call(step.named(slot), FrozenDict(wires), FrozenDict(kept), call.told, call.ui)
        return self.changed(calls)

    def without(self, *slots: str) -> Self:
        """Give the same workflow without some steps; what they gave must not be missing."""
        for slot in slots:
            self[slot]
        return self.changed({slot: call for slot, call in self.explicit().items() if slot not in slots})

    def with_step(self, step: Step[..., Any], /, **arguments: Any) -> Self:
        """Give the same workflow with one more step, whose arguments are values or ``workflow["another"]``."""
        made = self.changed(self.explicit())
        made.add(step, **{name: _owned_by(made, value) for name, value in arguments.items()})
        return made.changed(made.calls)

    @property
    def given(self) -> list[Source[Any]]:
        """The inputs and sources."""
        return [
            *self.inputs.values(),
            *(one for name, one in self.wired.sources.items() if name not in self.inputs),
        ]

    def bound(self, inputs: Mapping[str, Any]) -> Self:
        """Give the same workflow with values for its inputs.

        Raises `DeclarationError` for inputs that it does not have, that lack a value, or have one of a wrong type.
        """
        faults = [
            f"it has no input {name!r}: {did_you_mean(str(name), self.inputs)}"
            for name in inputs
            if name not in self.inputs
        ]
        made: dict[str, Given] = {}
        for name, one in self.inputs.items():
            if name in inputs:
                try:
                    value = coerce(inputs[name], one.returns, f"input {name!r}")
                    made[name] = one.holding(value)
                except ContractError as error:
                    faults.append(str(error))
            elif one.is_empty:
                faults.append(f"its input {name!r} has no value: give run({name}=...)")
            else:
                made[name] = one
        if faults:
            raise DeclarationError(f"workflow {self.name!r}", faults)
        return self.changed(self.calls, inputs=made)


def _form(one: Given) -> str:
    """Tell an input's value apart from others; what has no canonical form is itself and no other."""
    if one.is_empty:
        return "each run's own"
    try:
        return parameter_form(one.value, one.name, code_form)
    except UnkeyableError:
        return f"object {id(one.value)}"


def _owned_by(owner: Composition, argument: Any) -> Any:
    if isinstance(argument, Pending):
        return Pending(owner, argument.name, argument.output)
    if isinstance(argument, Mapping):
        return {name: _owned_by(owner, inner) for name, inner in argument.items()}
    return [_owned_by(owner, inner) for inner in argument] if isinstance(argument, list | tuple) else argument


def _is_wired(argument: Any) -> bool:
    if isinstance(argument, Pending | Source):
        return True
    inner: Iterable[Any] = ()
    if isinstance(argument, Mapping):
        inner = argument.values()
    elif isinstance(argument, list | tuple):
        inner = argument
    return any(map(_is_wired, inner))


def _bound(step: Step[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give arguments by the names of parameters, without those that the engine gives."""
    signature = inspect.signature(step.function)
    takes = [one for name, one in signature.parameters.items() if name not in GIVEN]
    try:
        return dict(signature.replace(parameters=takes).bind_partial(*args, **kwargs).arguments)
    except TypeError as error:
        wrong = [
            f"{name!r} is no parameter of it: {did_you_mean(name, [one.name for one in takes])}"
            if name not in GIVEN
            else f"{name!r} is given by the engine"
            for name in kwargs
            if name not in step.parameters
        ] or [f"it takes ({', '.join(one.name for one in takes)}): {error}"]
        raise DeclarationError(f"a call of step {step.name!r}", wrong) from None


def _input(owner: str, name: Any, told: Any, faults: Faults, declared: Any = REQUIRED) -> Given | None:
    """Make an input of a value, or of the type of the values that it will be given."""
    if fault := identifier_fault(name):
        faults.add(f"input {excerpt(name)}: its name {fault}")
        return None
    if name in GIVEN:
        faults.add(f"input {name!r} is what the engine gives to steps: rename it")
        return None
    if told is REQUIRED or isinstance(told, type) or hasattr(told, "__origin__"):
        return Given.of(owner, name, REQUIRED, told)
    return Given.of(owner, name, told, declared)
