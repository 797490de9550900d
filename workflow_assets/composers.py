"""Composers: workflows while they are composed by call, and workflows that stand in another as one step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextvars import Token
from dataclasses import replace
from typing import Any, Self

from workflow_assets.calls import (
    Call,
    Composed,
    bound_arguments,
    bound_inputs,
    is_wired,
    read_input,
    rewired,
)
from workflow_assets.contracts.checkers import describe
from workflow_assets.contracts.edges import compatible, handed
from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.faults import Faults
from workflow_assets.mappings import FrozenDict
from workflow_assets.recordings import RECORDING, Handed, Pending, PendingGroup, unrecorded
from workflow_assets.sources import Given, Source
from workflow_assets.steps import GIVEN, REQUIRED, Step
from workflow_assets.wires import From, parts_of
from workflow_assets.wirings import WiredSteps


class Composer(Composed, ABC):
    """A workflow that steps can be added to, and that can be one step of another."""

    calls: dict[str, Call]
    inputs: dict[str, Given]
    sources: dict[str, Source[Any]]
    groups: Mapping[str, tuple[str, ...]]
    """The steps of each workflow that is one step of this one, by its name; one in another is ``outer__inner``."""

    _recorder: Token[Any] | None
    _abandoned: str
    _numbers: dict[str, int]
    _lineage: object

    @abstractmethod
    def _wire(self, faults: Faults) -> None:
        """Wire the steps, and note what prevents it."""

    @property
    @abstractmethod
    def wired(self) -> WiredSteps:
        """The steps in an order in which each follows what it depends on, and what each is handed."""

    @abstractmethod
    def explicit(self) -> dict[str, Call]:
        """Give the calls with every wire told, whether by name or by call."""

    @property
    @abstractmethod
    def given(self) -> list[Source[Any]]:
        """The inputs and sources that steps take."""

    def _refuse(self, faults: Iterable[str]) -> None:
        if told := list(faults):
            raise DeclarationError(
                f"workflow {self.name!r}" if isinstance(self.name, str) else "workflow", told
            )

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
        if isinstance(step, Composer):
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

    def _add_group(self, inner: Composer, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> PendingGroup:
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
        gives = provider.gives if isinstance(provider, Step) else provider.returns
        handed_on = gives if getattr(provider, "transient", False) else handed(gives)
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
        if isinstance(argument, Handed):
            parts = argument.parts
            return self._take(argument, place) if parts is None else self._wire_of(parts, place)
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

    def _take(self, datum: Handed, place: str) -> From:
        """Make a datum an input, or find the input that it is already."""
        for name, one in self.inputs.items():
            if one.value is datum.content and name.startswith(datum.name):
                return From(name)
        taken = {*self.calls, *self.inputs, *self.groups, *GIVEN, place.partition(".")[0]}
        names = [datum.name, *(f"{datum.name}_{number}" for number in range(2, len(taken) + 3))]
        name = next(one for one in names if one not in taken)
        self.inputs[name] = Given.of(self.name, name, datum.content)
        return From(name)

    def _check_owner(self, argument: Pending, place: str) -> None:
        if getattr(argument.owner, "_lineage", None) is not self._lineage:
            owner = getattr(argument.owner, "name", "another")
            self._refuse(
                [f"{place} is handed {argument!r} of the workflow {owner!r}: compose the step in there"]
            )
