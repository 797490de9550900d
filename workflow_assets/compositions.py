"""Compositions: workflows that are told by the names of their steps, or by calling them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextvars import Token
from dataclasses import replace
from typing import Any, Self

from workflow_assets.arguments import check_names, read_list, read_sources, read_steps, read_text
from workflow_assets.calls import Call, read_input
from workflow_assets.canonical import parameter_form
from workflow_assets.cards import story_card
from workflow_assets.composers import Composer
from workflow_assets.errors import (
    DeclarationError,
    UnkeyableError,
    UnknownNameError,
    did_you_mean,
    listing,
)
from workflow_assets.faults import Faults
from workflow_assets.fingerprint import code_form
from workflow_assets.layouts import for_terminal, terminal_width
from workflow_assets.mappings import FrozenDict
from workflow_assets.markups import safe, tag
from workflow_assets.modules import qualified_name
from workflow_assets.names import identifier_fault
from workflow_assets.recordings import Handed, Pending
from workflow_assets.sources import Given, Source
from workflow_assets.steps import Step
from workflow_assets.tellings import story_of
from workflow_assets.treatments import Treatment
from workflow_assets.views import flow, line, process
from workflow_assets.wires import From
from workflow_assets.wirings import WiredSteps, Wiring

__all__ = ["Call", "Composition"]

_NAMED = 12
"""Names that `repr` tells."""


class Composition(Composer):
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
        self.groups = FrozenDict()
        self.ui: Any = None
        """What a front end keeps in the workflow's document, such as positions: it means nothing here."""
        self._recorder: Token[Any] | None = None
        self._abandoned = ""
        self._numbers: dict[str, int] = {}
        self._lineage = object()  # what all that are changed from one have in common
        self.inputs: dict[str, Given] = {}
        given_inputs: Any = {} if inputs is None else inputs
        if not isinstance(given_inputs, Mapping):
            faults.add(
                f"inputs is a {type(inputs).__qualname__}: expected a mapping such as {{'numbers': [1, 2]}}"
            )
            given_inputs = {}
        for one, told in given_inputs.items():
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
                [*node.step.over, node.step.combine] if node.step.over else [],
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
        names = list(dict.fromkeys([*self.inputs, *(homes.get(slot, slot) for slot in self.calls)]))
        if len(names) > _NAMED:
            names = [*names[: _NAMED - 2], f"… {len(names) - _NAMED + 1} more …", names[-1]]
        return f"Workflow({self.name!r}: {' → '.join(names)})"

    # -- looking at it ------------------------------------------------------------------------------------------------

    def line(self) -> str:
        """Tell it as one line, which is wrapped to the terminal."""
        return for_terminal("\n".join(line(story_of(self), terminal_width())))

    def flow(self) -> str:
        """Draw which step hands its data to which."""
        return for_terminal("\n".join(flow(story_of(self), terminal_width())))

    def __str__(self) -> str:
        try:
            return for_terminal("\n".join(process(story_of(self), terminal_width())))
        except DeclarationError as error:  # it is only begun
            return f"{self!r}\n{error}"

    def _repr_html_(self) -> str:
        try:
            return story_card(story_of(self))
        except DeclarationError:
            return tag("pre", safe(self))

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
            groups=FrozenDict(fields.get("groups", {})),
            _wired=fields["wired"],
        )
        return made

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
        if "_wired" not in fields:
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
    if isinstance(one.value, Handed):
        return f"datum {one.value.key}"
    try:
        return parameter_form(one.value, one.name, code_form)
    except UnkeyableError:
        return f"object {id(one.value)}"
