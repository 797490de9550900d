"""Alterations: workflows that are made from another by adding, removing and replacing steps; it stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from workflow_assets.calls import Call, read_input, rewired
from workflow_assets.compositions import Composition
from workflow_assets.contracts.hints import says_nothing
from workflow_assets.errors import did_you_mean, excerpt, listing
from workflow_assets.faults import Faults
from workflow_assets.mappings import FrozenDict
from workflow_assets.names import identifier_fault
from workflow_assets.recordings import Pending, PendingGroup
from workflow_assets.sources import Given
from workflow_assets.steps import REQUIRED, Step
from workflow_assets.wires import From


class Alterable(Composition):
    """A composition from which others can be made."""

    def named(self, name: str) -> Self:
        """Give the same workflow under another name, as when it is twice in another."""
        if fault := identifier_fault(name):
            self._refuse([f"its new name {fault}"])
        inputs = {one: Given.of(name, one, given.value, given.returns) for one, given in self.inputs.items()}
        return self.changed(self.calls, name=name, inputs=inputs)

    def with_step(
        self, step: Any, /, *, after: str | None = None, before: str | None = None, **arguments: Any
    ) -> Self:
        """Give the same workflow with one more step, or with a workflow as one.

        Args:
            step: what is added; nothing takes what it gives.
            after: the step behind which it is told; the last by default.
            before: the step ahead of which it is told.
            arguments: values, or ``workflow["another"]``.
        """
        if after is not None and before is not None:
            self._refuse([f"after={after!r} and before={before!r}: give one of them"])
        place = after if before is None else before
        if place is not None:
            self._check_steps([place])
        made = self.changed(self.explicit())
        made.add(step, **arguments)
        if place is None:
            return made.changed(made.calls)
        more = {slot: call for slot, call in made.calls.items() if slot not in self.calls}
        ends = self.groups.get(place, (place,))
        calls: dict[str, Call] = {}
        for slot, call in self.explicit().items():
            if before is not None and slot == ends[0]:
                calls |= more
            calls[slot] = call
            if before is None and slot == ends[-1]:
                calls |= more
        return made.changed(calls)

    def inserted(self, step: Any, /, *, after: str, **arguments: Any) -> Self:
        """Give the same workflow with a step between another, or an input, and all that takes what that gives.

        The one parameter that has no default and is not among the arguments is handed what `after` gives.
        """
        given = self[after]
        if isinstance(given, PendingGroup):
            whole = given.whole()
            if not isinstance(whole, Pending):
                self._refuse([f"{after!r} gives {listing(whole)}: insert the step after one of these"])
            assert isinstance(whole, Pending)
            given = whole
        if not isinstance(step, Step):
            self._refuse([f"{excerpt(step)} is no step: decorate the function with @step"])
        open_ones = [
            name for name, one in step.parameters.items() if one.default is REQUIRED and name not in arguments
        ]
        if len(open_ones) > 1:
            self._refuse(
                [f"step {step.name!r} takes {listing(open_ones)}: give all but what {after!r} is handed to"]
            )
        handed: dict[str, Any] = dict.fromkeys(open_ones, given)
        place = given.name if given.name in self.calls else None
        made = self.with_step(step, after=place, **handed, **arguments)
        (slot,) = made.calls.keys() - self.calls.keys()
        calls = {
            one: call
            if one == slot
            else replace(
                call,
                wires=FrozenDict(
                    {name: rewired(wire, {given.name: From(slot)}) for name, wire in call.wires.items()}
                ),
            )
            for one, call in made.calls.items()
        }
        if place is None:  # after an input, ahead of all steps
            calls = {slot: calls[slot], **calls}
        return made.changed(calls)

    def replaced(self, slot: str, step: Any) -> Self:
        """Give the same workflow with another step in a slot, which takes the same inputs.

        Values of parameters that the other step does not have are left out.
        """
        self._check_steps([slot])
        if slot in self.groups:
            self._refuse(
                [f"{slot!r} is a workflow of the steps {listing(self.groups[slot])}: replace one of these"]
            )
        if not isinstance(step, Step):
            self._refuse([f"{excerpt(step)} is no step: decorate the function with @step"])
        calls = self.explicit()
        call = calls[slot]
        kept = {name: value for name, value in call.values.items() if name in step.parameters}
        wires = {name: wire for name, wire in call.wires.items() if name in step.parameters}
        calls[slot] = replace(call, step=step.named(slot), wires=FrozenDict(wires), values=FrozenDict(kept))
        return self.changed(calls)

    def without(self, *slots: str, instead: Pending | None = None) -> Self:
        """Give the same workflow without some steps, or workflows that are steps of it.

        What they gave must not be missing, unless it is said what is handed on `instead`: ``workflow["another"]``.
        """
        self._check_steps(slots)
        gone = {one for slot in slots for one in self.groups.get(slot, (slot,))}
        calls = {slot: call for slot, call in self.explicit().items() if slot not in gone}
        if instead is not None:
            wire = self._wire_of(instead, "instead")
            anew = dict.fromkeys(gone, wire)
            calls = {
                slot: replace(
                    call, wires=FrozenDict({name: rewired(one, anew) for name, one in call.wires.items()})
                )
                for slot, call in calls.items()
            }
        return self.changed(calls)

    def bound(self, inputs: Mapping[str, Any]) -> Self:
        """Give the same workflow with values for its inputs.

        Raises `DeclarationError` for inputs that it does not have, that lack a value, or have one of a wrong type.
        """
        made = self.checked(inputs)
        return self.holding(made) if inputs else self

    def checked(self, inputs: Mapping[str, Any]) -> dict[str, Given]:
        """Give the inputs as a run has them, which gives values for some; raise as `bound` does."""
        faults = Faults(
            f"it has no input {name!r}: {did_you_mean(str(name), self.inputs)}"
            for name in inputs
            if name not in self.inputs
        )
        made: dict[str, Given] = {}
        for name, one in self.inputs.items():
            if name in inputs:
                value = read_input(self.name, name, inputs[name], faults, declared=_or_any(one.returns))
                if value is not None:
                    made[name] = one.holding(value.value)
            elif one.is_empty and name in self.wired.sources:
                faults.add(f"its input {name!r} has no value: give run({name}=...)")
            else:
                made[name] = one
        self._refuse(faults)
        return made

    def holding(self, inputs: Mapping[str, Given]) -> Self:
        """Give the same workflow with inputs that hold other values."""
        sources = FrozenDict({name: inputs.get(name, one) for name, one in self.wired.sources.items()})
        return self.changed(self.calls, inputs=inputs, _wired=replace(self.wired, sources=sources))

    def _check_steps(self, slots: Any) -> None:
        known = [*self.calls, *self.groups]
        self._refuse(
            f"it has no step {excerpt(slot)}: {did_you_mean(str(slot), known)}"
            for slot in slots
            if slot not in known
        )


def _or_any(hint: Any) -> Any:
    """Give a type for the value of an input, so that a value that is a type is not taken for one."""
    return Any if says_nothing(hint) else hint
