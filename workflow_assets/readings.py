"""Readings: documents as workflows, every fault told at its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, TypeVar

from workflow_assets.compositions import Call, Composition
from workflow_assets.contracts.checkers import checker
from workflow_assets.contracts.coercions import coerce
from workflow_assets.errors import ContractError, excerpt, listing
from workflow_assets.faults import Faults
from workflow_assets.mappings import FrozenDict
from workflow_assets.notations import at
from workflow_assets.readers import Reader
from workflow_assets.registries import Registry
from workflow_assets.sources import Given, Source
from workflow_assets.steps import GIVEN, REQUIRED, Step, slot_fault
from workflow_assets.typenames import known_types, read_type
from workflow_assets.wires import From, parts_of
from workflow_assets.wirings import Wiring, in_order

BODY = ("inputs", "sources", "steps", "groups")
STEP = ("id", "step", "code_version", "arguments", "execution", "each", "ui")
MOST_COMPARED = 50
ARGUMENT = ("from", "value", "list", "dict")

Made = TypeVar("Made", bound=Composition)


def read_workflow(tree: Any, registry: Registry, make: type[Made], *, pinned: bool = False) -> Made:
    """Read the document of a workflow.

    Raises `DocumentError` with every fault.
    """
    reader = WorkflowReader(registry)
    told = reader.head(tree, "workflow", BODY)
    made = reader.body(told, make, reader.name(told))
    reader.close(pinned)
    assert made is not None
    return made


class WorkflowReader(Reader):
    """Reads inputs, sources and steps, and wires them."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.slots: dict[str, int] = {}
        self.steps: dict[str, Step[..., Any]] = {}
        self.broken: set[str] = set()
        self.inputs: dict[str, Given] = {}
        self.sources: dict[str, Source[Any]] = {}
        self.wires: dict[str, dict[str, Any]] = {}
        self.values: dict[str, dict[str, Any]] = {}
        self.faulty: set[str] = set()
        self.groups: dict[str, tuple[str, ...]] = {}
        self._tangled = False  # whether a step takes what stands behind it, as far as is known

    # -- inputs, sources and steps ------------------------------------------------------------------------------------

    def body(self, told: Mapping[str, Any], make: type[Made], name: str) -> Made | None:
        """Read inputs, sources and steps, and wire them; None where there are faults."""
        self._steps(self.sequence(told.get("steps", []), "$.steps"))
        for one, given in self.mapping(told.get("inputs", {}), "$.inputs").items():
            self._input(name, one, given)
        for one, slug in self.mapping(told.get("sources", {}), "$.sources").items():
            self._source(one, slug)
        for slot, place in self.slots.items():
            if slot in self.steps:
                told_arguments = told["steps"][place].get("arguments", {})
                self._arguments(told_arguments, slot, f"$.steps[{place}].arguments")
        if self._tangled:
            self._circles()
        for one, slots in self.mapping(told.get("groups", {}), "$.groups").items():
            self._group(one, slots)
        return self._wired(told, make, name)

    def _steps(self, told: list[Any]) -> None:
        if not told and not self.places.faults:
            self.add("$.steps", "it has no steps")
        for place, one in enumerate(told):
            path = f"$.steps[{place}]"
            entry = self.mapping(one, path, STEP, ("id", "step"))
            slot = self.identifier(entry["id"], f"{path}.id") if "id" in entry else ""
            step = self.use(entry, path) if "step" in entry else None
            if not slot:
                continue
            if slot in self.slots:
                self.add(
                    f"{path}.id",
                    f"{slot!r} is the id of $.steps[{self.slots[slot]}] already: choose another",
                )
            elif slot in GIVEN:
                self.add(f"{path}.id", f"{slot!r} is what the engine gives to steps: choose another")
            self.slots.setdefault(slot, place)
            if step is None:
                self.broken.add(slot)
            elif slot not in self.steps:
                if fault := slot_fault(slot):
                    self.broken.add(slot)
                    self.add(f"{path}.id", f"it {fault}")
                else:
                    self.steps[slot] = step.named(slot)

    def _input(self, owner: str, name: str, told: Any) -> None:
        path = at("$.inputs", name)
        entry = self.mapping(told, path, ("type", "value"))
        if not self.identifier(name, path) or not self._free(name, path):
            self.broken.add(name)
            return
        hint: Any = REQUIRED
        if "type" in entry:
            text = self.text(entry["type"], at(path, "type"))
            known = known_types(self.steps.values())
            try:
                hint = read_type(text, known) if text else REQUIRED
            except (LookupError, TypeError) as error:
                near = self.places.near(
                    text, ["int", "float", "str", "bool", "list[int]", "dict[str, Any]", *known]
                )
                self.add(at(path, "type"), f"{excerpt(error.args[0])} is no type that documents know: {near}")
        value = entry.get("value", REQUIRED)
        if value is not REQUIRED and hint is not REQUIRED:
            try:
                value = coerce(value, hint, f"input {name!r}")
            except ContractError as error:
                self.add(at(path, "value"), str(error))
                self.faulty.add(name)
        self.inputs[name] = Given.of(owner, name, value, hint)

    def _source(self, name: str, slug: Any) -> None:
        path = at("$.sources", name)
        found = self.member(slug, path, Source)
        if found is None or not self._free(name, path):
            self.broken.add(name)
        elif found.name != name:
            self.broken.add(name)
            self.add(path, f"the source {slug!r} is called {found.name!r}: write it under that name")
        else:
            self.sources[name] = found

    def _group(self, name: str, told: Any) -> None:
        """Read which steps are one workflow within this."""
        path = at("$.groups", name)
        if self.identifier(name, path) and (name in self.slots or name in self.inputs):
            self.add(path, f"two things are called {name!r}: rename one")
        members: dict[str, None] = {}
        if told == []:
            self.add(path, "it has no steps: name some, or leave it out")
        for place, slot in enumerate(self.sequence(told, path)):
            if not self.text(slot, at(path, place), empty=False):
                continue
            if slot not in self.slots:
                self.add(
                    at(path, place),
                    f"no step is called {excerpt(slot)}: {self.places.near(slot, self.slots)}",
                )
            elif slot in members:
                self.add(at(path, place), f"{slot!r} stands here already: name each step once")
            members[slot] = None
        for other, theirs in self.groups.items():
            both = members.keys() & {*theirs}
            if both and both != members.keys() and both != {*theirs}:
                self.add(
                    path, f"it shares {listing(sorted(both))} with {other!r}, and neither is within the other"
                )
        self.groups[name] = tuple(members)

    def _free(self, name: str, path: str) -> bool:
        if name in GIVEN:
            self.add(path, f"{name!r} is what the engine gives to steps: rename it")
        elif name in self.slots or name in self.inputs:
            self.add(path, f"two things are called {name!r}: rename one")
        else:
            return True
        return False

    # -- arguments ----------------------------------------------------------------------------------------------------

    def _arguments(self, told: Any, slot: str, path: str) -> None:
        step = self.steps[slot]
        wires, values = self.wires[slot], self.values[slot] = {}, {}
        entry = self.mapping(told, path)
        for name, argument in entry.items():
            if name in step.parameters and type(argument) is dict and len(argument) == 1:  # as nearly all are
                if "value" in argument:
                    values[name] = argument["value"]
                    continue
                if self._is_before(argument.get("from"), slot):
                    wires[name] = From(argument["from"])
                    continue
            self._tangled = True
            place, before = at(path, name), len(self.places.faults)
            if name in GIVEN:
                self.add(place, f"{name!r} is given by the engine and cannot be set")
                continue
            if name not in step.parameters:
                self.add(
                    place,
                    f"{step.slug!r} has no parameter {excerpt(name)}: {self.places.near(name, step.parameters)}",
                )
                continue
            wire = self._argument(argument, place)
            if len(self.places.faults) > before:
                self.faulty.add(f"{slot}.{name}")
            elif any(isinstance(leaf, From) for leaf in parts_of(wire)):
                wires[name] = wire
            else:
                values[name] = wire
        for name, parameter in step.parameters.items():
            if parameter.default is REQUIRED and name not in entry:
                self.faulty.add(f"{slot}.{name}")
                self.add(
                    path, f"{name!r} is missing, which has no default: give a value, or what it is taken from"
                )

    def _is_before(self, told: Any, slot: str) -> bool:
        """Whether a reference is to a whole input, or to a step that stands before another."""
        return type(told) is str and (told in self.inputs or self.slots.get(told, inf) < self.slots[slot])

    def _argument(self, told: Any, path: str) -> Any:
        entry = self.mapping(told, path, ARGUMENT)
        if len(entry) != 1:
            if type(told) is dict:
                self.add(path, f"expected one of 'from', 'value', 'list' and 'dict', and it has {len(entry)}")
            return None
        ((word, inner),) = entry.items()
        place = at(path, word)
        if word == "from":
            return self._reference(inner, place)
        if word == "list":
            return [self._argument(one, at(place, n)) for n, one in enumerate(self.sequence(inner, place))]
        if word == "dict":
            return {
                key: self._argument(one, at(place, key)) for key, one in self.mapping(inner, place).items()
            }
        return inner

    def _reference(self, told: Any, path: str) -> From:
        reference = self.text(told, path, empty=False)
        name, dot, output = reference.partition(".")
        if reference and name not in self.slots and name not in self.inputs and name not in self.sources:
            if name not in self.broken:
                near = self.places.near(name, [*self.slots, *self.inputs, *self.sources])
                self.add(path, f"no step, input or source is called {excerpt(name)}: {near}")
        elif dot and not output:
            self.add(
                path,
                f"{excerpt(reference)} names no output after the point: leave the point out, or name one",
            )
        return From(name, output)

    def _circles(self) -> None:
        edges: dict[str, dict[str, str]] = {
            slot: {
                leaf.name: name
                for name, wire in self.wires.get(slot, {}).items()
                for leaf in parts_of(wire)
                if isinstance(leaf, From) and leaf.name in self.steps
            }
            for slot in self.steps
        }
        for _ in range(20):
            cycle = in_order({slot: list(many) for slot, many in edges.items()})[1]
            if not cycle:
                return
            first, second = cycle[:2] if cycle[1] in edges[cycle[0]] else cycle[1::-1]
            parameter = edges[first].pop(second)
            path = at(at(at("$.steps", self.slots[first]), "arguments"), parameter)
            self.add(path, f"steps depend on each other in a circle: {' → '.join(cycle)}")
            self.faulty.add(f"{first}.{parameter}")

    # -- wiring -------------------------------------------------------------------------------------------------------

    def _wired(self, told: Mapping[str, Any], make: type[Made], name: str) -> Made | None:
        faults = Faults()
        # Each missing argument is compared with all names: of many faults, those of the arguments beside are not told.
        left_out = (
            {one.partition(".")[0] for one in self.faulty} if len(self.faulty) > MOST_COMPARED else set()
        )
        steps = {slot: step for slot, step in self.steps.items() if slot not in left_out}
        values = {f"{slot}.{key}": value for slot in steps for key, value in self.values[slot].items()}
        wired = Wiring(
            steps,
            {**self.inputs, **self.sources},
            values,
            faults,
            broken={*self.broken, *left_out},
            wires=self.wires,
            settled=self.steps,
        ).wire()
        self.locate(one for one in faults if not _CIRCLE.search(one))
        self._fits()
        if self.places.faults or wired is None:
            return None
        calls = {
            slot: Call(
                self.steps[slot],
                FrozenDict(self.wires[slot]),
                FrozenDict(self.values[slot]),
                by_name=False,
                ui=told["steps"][place].get("ui"),
            )
            for slot, place in self.slots.items()
        }
        return make.assembled(
            name,
            calls,
            self.inputs,
            self.sources,
            wired=wired,
            ui=told.get("ui"),
            groups=self.groups,
            description=told.get("description", ""),
        )

    def _fits(self) -> None:
        """Note values of inputs that a step would not take."""
        if all(one.is_empty for one in self.inputs.values()):
            return
        for slot, wires in self.wires.items():
            for name, wire in wires.items():
                one = self.inputs.get(wire.name) if isinstance(wire, From) and not wire.output else None
                if one is None or one.is_empty or one.name in self.faulty:
                    continue
                if name in self.steps[slot].over:
                    continue
                look = checker(self.steps[slot].parameters[name].annotation)
                if look is not None and (fault := look(one.value)):
                    self.add(
                        at(at("$.inputs", one.name), "value"), f"{slot}.{name} takes another type: {fault}"
                    )

    def locate(self, faults: Iterable[str]) -> None:
        """Note faults that name places as ``step.parameter``, at their places; what was told of a place is enough."""
        for sentence in faults:
            path = "$"
            for match in _ADDRESS.finditer(sentence):
                address = match[0]
                if address in self.faulty:
                    path = ""
                    break
                slot, _, name = address.partition(".")
                if slot in self.steps and name in self.steps[slot].parameters:
                    path = at(at(at("$.steps", self.slots[slot]), "arguments"), name)
                    break
            else:
                path = next(
                    (self._named(match[1]) for match in _QUOTED.finditer(sentence) if self._named(match[1])),
                    "$",
                )
            if path and (path != "$" or not self.places.faults):
                self.add(path, sentence)

    def _named(self, name: str) -> str:
        for place, names in (("$.inputs", self.inputs), ("$.sources", self.sources)):
            if name in names:
                return at(place, name)
        return at("$.steps", self.slots[name]) if name in self.slots else ""


_ADDRESS = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*")
_QUOTED = re.compile(r"'(\w+)'")
_CIRCLE = re.compile("depend on each other in a circle|has the name of its own step")
