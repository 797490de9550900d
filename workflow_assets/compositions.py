"""Compositions: workflows that are told by the names of their steps, or by calling them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import Token
from dataclasses import replace
from typing import Any, Self

from workflow_assets.arguments import check_names, read_list, read_sources, read_steps, read_text
from workflow_assets.calls import (
    Call,
    Composed,
    bound_arguments,
    bound_inputs,
    is_wired,
    read_input,
    rewired,
)
from workflow_assets.canonical import parameter_form
from workflow_assets.contracts.checkers import describe
from workflow_assets.contracts.edges import compatible, handed
from workflow_assets.errors import (
    DeclarationError,
    UnkeyableError,
    UnknownNameError,
    did_you_mean,
    excerpt,
    listing,
)
from workflow_assets.faults import Faults
from workflow_assets.fingerprint import code_form
from workflow_assets.mappings import FrozenDict
from workflow_assets.modules import qualified_name
from workflow_assets.names import identifier_fault
from workflow_assets.recordings import RECORDING, Pending, PendingGroup, unrecorded
from workflow_assets.sources import Given, Source
from workflow_assets.steps import REQUIRED, Step
from workflow_assets.treatments import Treatment
from workflow_assets.wirings import From, WiredSteps, Wiring, parts_of

__all__ = ["Call", "Composition"]


class Composition(Composed):
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

    groups: Mapping[str, tuple[str, ...]]
    """The steps of each workflow that is one step of this one, by its name; one in another is ``outer__inner``."""

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
        self.groups = FrozenDict()
        self._recorder: Token[Any] | None = None
        self._abandoned = ""
        self._numbers: dict[str, int] = {}
        self._lineage = object()  # what all that are changed from one have in common
        self.inputs: dict[str, Given] = {}
        for one, told in (inputs or {}).items():
            if made := read_input(name, one, told, faults):
                self.inputs[one] = made
        broken: set[str] = set()
        given = read_list(steps, "steps", "[load, clean, score]", faults)
        slots, among = read_steps(given, broken, faults) if given else ({}, [])
        more = read_list(sources, "sources", "[customers, orders]", faults)
        self.sources = read_sources([*more, *among], broken, faults)
        check_names([*slots, *self.inputs], self.sources, broken, faults)
        if both := [one for one in self.inputs if one in slots]:
            faults.add(
                f"{listing(both)} {'names' if len(both) == 1 else 'name'} both a step and an input: rename one"
            )
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
            taken = self.__dict__["_wired"].sources if not faults else self.inputs
            for one in self.inputs:
                if one not in taken:
                    names = [name for call in self.calls.values() for name in call.step.parameters]
                    faults.add(f"no step takes the input {one!r}: {did_you_mean(one, names)}")
        self._refuse(faults)

    # -- composing by call --------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._recorder is not None:
            self._refuse(["it is being composed already"])
        self._recorder = RECORDING.set(self._record)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, _: object) -> None:
        assert self._recorder is not None
        RECORDING.reset(self._recorder)
        self._recorder = None
        self.__dict__.pop("_wired", None)
        if kind is not None:
            self._abandoned = f"{kind.__qualname__}: {error}"
            return
        faults = Faults()
        self._wire(faults)
        self._refuse(faults)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the workflow one step of the one that is being composed; give what stands for what it gives.

        Its steps are named after it, ``clean__load``. Its inputs are the arguments: what stands for a value is wired,
        and a value, or one that the workflow itself has, is an input ``clean__threshold`` of the other.

        Raises `DeclarationError` where none is being composed.
        """
        recorder = RECORDING.get()
        if recorder is None:
            told = "".join(f"{name}=..., " for name in self.inputs).removesuffix(", ")
            self._refuse([f"it is called where no workflow is being composed: to run it, write run({told})"])
        assert recorder is not None
        return recorder(self, args, kwargs)

    def add(self, step: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Add a step or workflow, as calling it while this is being composed does; give what stands for its result.

        Raises `DeclarationError` for arguments that it does not have, and for those that are missing.
        """
        if isinstance(step, Composition):
            return self._add_group(step, args, kwargs)
        if isinstance(step, Source):
            if args or kwargs:
                self._refuse([f"source {step.name!r} takes no arguments"])
            return Pending(self, self._wire_of(step, step.name).name)
        if not isinstance(step, Step):
            self._refuse([f"{excerpt(step)} is no step: decorate the function with @step"])
        arguments = bound_arguments(step, args, kwargs)
        slot = self._free(step.name)
        wires: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, argument in arguments.items():
            if is_wired(argument):
                wires[name] = self._wire_of(argument, f"{slot}.{name}")
            else:
                values[name] = argument
        self.calls[slot] = Call(step.named(slot), FrozenDict(wires), FrozenDict(values), by_name=False)
        return Pending(self, slot)

    def input(self, name: str, value: Any = REQUIRED, type: Any = REQUIRED) -> Any:  # noqa: A002 - what it is
        """Add an input; give what stands for it. One without a value is given by each run."""
        faults = Faults()
        made = read_input(self.name, name, value, faults, declared=type)
        if self._is_taken(name) or name in self.sources:
            faults.add(f"two things are called {name!r}: give the input another name")
        self._refuse(faults)
        assert made is not None
        self.inputs[name] = made
        return Pending(self, name)

    def _record(self, called: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if self._recorder is None:  # a task that began in the `with` and outlived it
            with unrecorded():
                return called(*args, **kwargs)
        return self.add(called, *args, **kwargs)

    def _add_group(
        self, inner: Composition, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> PendingGroup:
        if inner is self:
            self._refuse(["it cannot be one of its own steps"])
        arguments = bound_inputs(inner.name, inner.inputs, args, kwargs)
        calls = inner.explicit()
        name = self._free(inner.name, list(calls))
        anew: dict[str, Any] = {slot: From(f"{name}__{slot}") for slot in calls}
        faults = Faults()
        made: dict[str, Given] = {}
        for one, given in inner.inputs.items():
            if one in arguments and is_wired(arguments[one]):
                anew[one] = wire = self._wire_of(arguments[one], f"{name}.{one}")
                self._fit(wire, given, f"{name}.{one}", faults)
            elif one not in inner.wired.sources:
                continue
            else:
                own = f"{name}__{one}"
                told = arguments.get(one, given.value)
                if (whole := read_input(self.name, own, told, faults, declared=given.returns)) is not None:
                    made[own] = whole
                anew[one] = From(own)
        self._refuse(faults)
        for source in inner.given:
            if not isinstance(source, Given):
                self._wire_of(source, name)
        self.inputs |= made
        for slot, call in calls.items():
            wires = {parameter: rewired(wire, anew) for parameter, wire in call.wires.items()}
            own = f"{name}__{slot}"
            self.calls[own] = replace(call, step=call.step.named(own), wires=FrozenDict(wires))
        groups = {f"{name}__{sub}": slots for sub, slots in inner.groups.items()}
        self.groups = FrozenDict(
            {
                **self.groups,
                name: tuple(f"{name}__{slot}" for slot in calls),
                **{sub: tuple(f"{name}__{slot}" for slot in slots) for sub, slots in groups.items()},
            }
        )
        return self._group(name)

    def _fit(self, wire: Any, given: Given, place: str, faults: Faults) -> None:
        """Note where what is handed to another workflow's input is of another type than it says."""
        if not isinstance(wire, From) or wire.output:
            return
        call = self.calls.get(wire.name)
        provider: Any = (
            call.step if call is not None else self.inputs.get(wire.name) or self.sources[wire.name]
        )
        handed_on = provider.returns if getattr(provider, "transient", False) else handed(provider.returns)
        if not compatible(handed_on, given.returns):
            faults.add(f"{wire.name!r} gives {describe(handed_on)}, but {place} is {describe(given.returns)}")

    def _group(self, name: str) -> PendingGroup:
        slots = self.groups[name]
        used = {
            wire.name
            for slot in slots
            for wire in parts_of(dict(self.calls[slot].wires))
            if isinstance(wire, From)
        }
        steps = {slot.removeprefix(f"{name}__"): slot for slot in slots}
        results = tuple(inner for inner, slot in steps.items() if slot not in used)
        return PendingGroup(self, name, FrozenDict(steps), results)

    def _is_taken(self, name: str) -> bool:
        return name in self.calls or name in self.inputs or name in self.groups

    def _free(self, name: str, inner: Iterable[str] = ()) -> str:
        """Give a name that nothing has, nor what would be in it."""
        number = self._numbers.get(name, 1)
        while True:
            made = name if number == 1 else f"{name}_{number}"
            number += 1
            if not self._is_taken(made) and not any(self._is_taken(f"{made}__{one}") for one in inner):
                self._numbers[name] = number
                return made

    def _wire_of(self, argument: Any, place: str) -> Any:
        if isinstance(argument, PendingGroup):
            self._check_owner(argument, place)
            return self._wire_of(argument.whole(), place)
        if isinstance(argument, Pending):
            self._check_owner(argument, place)
            return From(argument.name, argument.output)
        if isinstance(argument, Source):
            known = self.sources.setdefault(argument.name, argument)
            if known is not argument:
                self._refuse([f"two different sources are called {argument.name!r}"])
            return From(argument.name)
        if isinstance(argument, Step | Composed):
            what = "step" if isinstance(argument, Step) else "workflow"
            call = f"{argument.name}(...)"
            self._refuse(
                [
                    f"{place} is handed the {what} {argument.name!r} itself: to hand on what it gives, write {call}"
                ]
            )
        if isinstance(argument, Mapping):
            return {name: self._wire_of(inner, f"{place}[{name!r}]") for name, inner in argument.items()}
        if isinstance(argument, list | tuple):
            return [self._wire_of(inner, f"{place}[{at}]") for at, inner in enumerate(argument)]
        if isinstance(argument, set | frozenset) and is_wired(argument):
            self._refuse([f"{place} is handed a set, which has no order: hand on a list"])
        return argument

    def _check_owner(self, argument: Pending, place: str) -> None:
        if getattr(argument.owner, "_lineage", None) is not self._lineage:
            owner = getattr(argument.owner, "name", "another")
            self._refuse(
                [f"{place} is handed {argument!r} of the workflow {owner!r}: compose the step in there"]
            )

    # -- what it is ---------------------------------------------------------------------------------------------------

    def _wire(self, faults: Faults) -> None:
        if self._abandoned:
            faults.add(f"composing it ended with {self._abandoned}; compose it again")
            return
        if not self.calls:
            faults.add("it has no steps: name them, or call them in `with Workflow(...)`")
            return
        check_names([*self.calls, *self.inputs], self.sources, set(), faults)
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
            settled=[slot for slot, call in self.calls.items() if not call.by_name],
        )
        made = wiring.wire()
        if made is not None and not faults:
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

    def _refuse(self, faults: Iterable[str]) -> None:
        if told := list(faults):
            raise DeclarationError(
                f"workflow {self.name!r}" if isinstance(self.name, str) else "workflow", told
            )

    def __iter__(self) -> Iterator[str]:
        return iter(self.wired.nodes)

    def __len__(self) -> int:
        return len(self.calls)

    def __getitem__(self, step: str | int) -> Pending:
        if isinstance(step, int):
            names = list(self.wired.nodes)
            if not -len(names) <= step < len(names):
                raise UnknownNameError(f"workflow {self.name!r} has {len(names)} steps, and no step {step}")
            return Pending(self, names[step])
        if step in self.groups:
            return self._group(step)
        if step not in self.calls and step not in self.inputs:
            near = did_you_mean(str(step), [*self.calls, *self.groups, *self.inputs])
            raise UnknownNameError(f"workflow {self.name!r} has no step {step!r}: {near}")
        return Pending(self, step)

    def __contains__(self, step: object) -> bool:
        return step in self.calls

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composition) and self.identity() == other.identity()

    def __hash__(self) -> int:
        return hash(self.name)

    def identity(self) -> list[Any]:
        """Give what two workflows have in common if they compute the same: steps, wiring, values, inputs, groups."""
        wired = self.wired
        nodes = [
            [
                node.slot,
                _identity(node.step),
                sorted(node.inputs.items()),
                sorted(node.outputs.items()),
                sorted(node.forms.items()),
            ]
            for node in sorted(wired, key=lambda node: node.slot)
        ]
        inputs = [[name, _form(one)] for name, one in sorted(self.inputs.items())]
        sources = [
            [name, _identity(one)] for name, one in sorted(wired.sources.items()) if name not in self.inputs
        ]
        return [
            self.name,
            nodes,
            inputs,
            sources,
            sorted((name, sorted(slots)) for name, slots in self.groups.items()),
        ]

    def __repr__(self) -> str:
        homes = {slot: name for name, slots in [*self.groups.items()][::-1] for slot in slots}
        names = dict.fromkeys([*self.inputs, *(homes.get(slot, slot) for slot in self.calls)])
        return f"Workflow({self.name!r}: {' → '.join(names)})"

    # -- changing -----------------------------------------------------------------------------------------------------

    def changed(self, calls: Mapping[str, Call], **fields: Any) -> Self:
        """Give the same workflow with other calls; nothing else is shared that could change."""
        made = object.__new__(type(self))
        groups = {name: tuple(slot for slot in slots if slot in calls) for name, slots in self.groups.items()}
        vars(made).update(
            {
                **vars(self),
                "calls": dict(calls),
                "inputs": dict(self.inputs),
                "sources": {
                    **self.sources,
                    **{one.name: one for one in self.given if not isinstance(one, Given)},
                },
                "groups": FrozenDict({name: slots for name, slots in groups.items() if slots}),
                "_numbers": dict(self._numbers),
            },
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
            told[slot] = replace(call, wires=FrozenDict({**names, **call.wires}), by_name=False)
        return told

    @property
    def given(self) -> list[Source[Any]]:
        """The inputs and sources that steps take."""
        return list(self.wired.sources.values())


def _identity(one: Step[..., Any] | Source[Any]) -> list[str | None]:
    return [one.slug, qualified_name(one.function), one.version]


def _form(one: Given) -> str:
    """Tell an input's value apart from others; what has no canonical form is itself and no other."""
    if one.is_empty:
        return "each run's own"
    try:
        return parameter_form(one.value, one.name, code_form)
    except UnkeyableError:
        return f"object {id(one.value)}"
