"""Wirings: which step, source or value each parameter of each step is handed, and what prevents it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast, get_origin

from workflow_assets.canonical import parameter_form
from workflow_assets.contracts.checkers import MetricType, describe
from workflow_assets.contracts.edges import compatible, handed
from workflow_assets.contracts.hints import marks_of, plain_hint, says_nothing
from workflow_assets.errors import ContractError, UnkeyableError, did_you_mean, excerpt, listing
from workflow_assets.faults import Faults
from workflow_assets.fingerprint import code_form, global_draws
from workflow_assets.mappings import FrozenDict
from workflow_assets.sources import Given, Source
from workflow_assets.steps import GIVEN, REQUIRED, Parameter, Step, private_copy
from workflow_assets.wires import (
    From,
    Part,
    assembled,
    collection_type,
    item_of,
    item_type,
    output_names,
    parts_of,
)


@dataclass(frozen=True)
class Node:
    """A step in its slot: what each input is wired to, and the configuration in effect.

    `written` holds the canonical form of each configured value that holds no code. An input that is made of several
    data, or of one output of several, stands in `templates`; `inputs` and `settings` then hold its parts, by their
    places: ``numbers[0]``.
    """

    slot: str
    step: Step[..., Any]
    inputs: Mapping[str, str]
    settings: Mapping[str, Any]
    written: Mapping[str, str] = field(repr=False)
    templates: Mapping[str, Any] = field(default_factory=FrozenDict)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Which output of a step is taken, by the places of those inputs that take one of several."""
        return {
            part.place: part.output
            for template in self.templates.values()
            for part in parts_of(template)
            if part.output
        }

    def assembled(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Give the arguments by parameter, of data and settings by their places.

        Raises `ContractError` for an output that the data do not have.
        """
        made = {name: value for name, value in arguments.items() if name in self.step.parameters}
        for name, template in self.templates.items():
            value = assembled(template, arguments)
            hint = marks_of(plain_hint(self.step.parameters[name].annotation))[0]
            made[name] = (
                tuple(value) if type(value) is list and (get_origin(hint) or hint) is tuple else value
            )
        return made

    @property
    def forms(self) -> dict[str, str]:
        """The canonical form of each configured value, which is what enters the compute key.

        Values that hold code are written anew each time: in a notebook, what a function depends on may change.
        """
        return {
            name: self.written.get(name) or parameter_form(value, f"{self.slot}.{name}", code_form)
            for name, value in self.settings.items()
        }


@dataclass(frozen=True)
class WiredSteps:
    """Steps in an order in which each follows what it depends on, and the sources that they read."""

    nodes: Mapping[str, Node]
    sources: Mapping[str, Source[Any]]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def __repr__(self) -> str:
        return f"Workflow({' → '.join([*self.sources, *self.nodes])})"

    def metrics(self) -> dict[str, MetricType]:
        """Give the metrics that the steps declare, by their full names."""
        metrics: dict[str, MetricType] = {}
        for node in self:
            metrics.update(node.step.metric_names())
        return metrics


@dataclass
class Wiring:
    """Wires steps by the names of their parameters, and notes every fault that prevents it.

    Args:
        steps: the steps by slot.
        sources: the sources by the name that steps ask for; those found where steps are defined are added.
        parameters: values by ``slot.parameter``.
        faults: where faults are noted.
        own: the addresses whose values are the treatment's own.
        treatment: the treatment's name; empty for the baseline.
        broken: names whose faults are told elsewhere; what asks for them is no fault of its own.
        wires: for some slots, what each of some parameters is handed: a `From`, or lists and mappings of these and of
            values. The other parameters are wired by their names.
        settled: slots whose wires are all told, as in a document: what has a value or a default there is wired to
            nothing, whatever its name.
    """

    steps: Mapping[str, Step[..., Any]]
    sources: dict[str, Source[Any]]
    parameters: Mapping[str, Any]
    faults: Faults
    own: Collection[str] = ()
    treatment: str = ""
    broken: Collection[str] = ()
    wires: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settled: Collection[str] = ()

    def wire(self) -> WiredSteps | None:
        """Give the workflow; None where there are faults."""
        before = len(self.faults)
        owned = self._by_slot()
        nodes = {slot: self._node(slot, step, owned[slot]) for slot, step in self.steps.items()}
        order, cycle = in_order(
            {slot: [name for name in node.inputs.values() if name in nodes] for slot, node in nodes.items()}
        )
        if len(cycle) == 2:
            place = f"{cycle[0]}.{cycle[0]}"
            self._fault(
                f"{place} has the name of its own step, which cannot be its own input: rename one", place
            )
        elif cycle:
            self._fault(
                f"steps depend on each other in a circle: {' → '.join(cycle)}", "circle", frozenset(cycle)
            )
        if cycle or self.broken or len(self.faults) > before or not all(map(_is_complete, nodes.values())):
            return None
        used = {name for node in nodes.values() for name in node.inputs.values()}
        sources = {name: source for name, source in self.sources.items() if name in used}
        return WiredSteps(FrozenDict({slot: nodes[slot] for slot in order}), FrozenDict(sources))

    def _fault(self, text: str, *key: Any) -> None:
        self.faults.add(f"treatment {self.treatment!r}: {text}" if self.treatment else text, *key)

    def _by_slot(self) -> dict[str, dict[str, Any]]:
        owned: dict[str, dict[str, Any]] = {slot: {} for slot in self.steps}
        for address, value in self.parameters.items():
            slot, _, name = address.partition(".")
            origin = self.treatment if address in self.own else ""
            if slot in self.steps and name in self.steps[slot].parameters:
                owned[slot][name] = value
            elif slot in self.steps and name in GIVEN:
                self._fault(
                    f"{address!r} is given by the engine and cannot be set", "address", address, origin
                )
            elif isinstance(self.sources.get(address), Given):
                self._fault(
                    f"{address!r} is an input: give it another value in the workflow, or in a treatment",
                    *("address", address, origin),
                )
            elif slot not in self.broken:
                near = did_you_mean(address, self._settable())
                self._fault(f"{address!r} is no parameter of any step: {near}", "address", address, origin)
        return owned

    def _settable(self) -> list[str]:
        return [
            f"{slot}.{parameter.name}"
            for slot, step in self.steps.items()
            for parameter in step.parameters.values()
            if parameter.name not in self.wires.get(slot, {})
            and (parameter.default is not REQUIRED or not self._provider(step, parameter.name))
        ]

    def _node(self, slot: str, step: Step[..., Any], owned: Mapping[str, Any]) -> Node:
        inputs: dict[str, str] = {}
        settings: dict[str, Any] = {}
        written: dict[str, str] = {}
        templates: dict[str, Any] = {}
        wires = self.wires.get(slot, {})
        for parameter in step.parameters.values():
            name, place = parameter.name, f"{slot}.{parameter.name}"
            origin = self.treatment if place in self.own else ""
            code = id(step.function)
            if name in wires and name in owned:
                self._fault(f"{place} is wired, and cannot be set to a value too", "set", code, name, origin)
            elif name in wires:
                template = self._explicit(
                    place, step, parameter, wires[name], (name, inputs, settings, written)
                )
                if template != Part(name):
                    templates[name] = template
            if name in wires:
                continue
            set_here = name in owned or parameter.default is not REQUIRED
            provider = None if slot in self.settled and set_here else self._provider(step, name)
            if provider is not None and name in owned:
                self._fault(
                    f"{place} is wired to {_kind(provider)} {name!r} and cannot be set to a value too",
                    *("set", code, name, origin),
                )
            elif provider is not None and parameter.default is not REQUIRED:
                self._fault(
                    f"{place} could be {_kind(provider)} {name!r} or the parameter with default "
                    f"{excerpt(parameter.default)}: rename one of them",
                    *("ambiguous", code, name),
                )
            elif provider is not None:
                inputs[name] = name
                self._take(name, provider)
                self._fit(place, provider, parameter, code, name in step.over)
            elif set_here:
                self._configure(
                    place, step, parameter, owned, (settings, written), ("value", code, place, origin)
                )
            elif name not in self.broken:
                near = did_you_mean(
                    name, [*(other for other in self.steps if other != slot), *self.sources, *GIVEN]
                )
                self._fault(
                    f"{place} is provided by nobody: no step or source is called {name!r} ({near}), it has no "
                    f"default, and parameters={{{place!r}: ...}} does not set it",
                    *("nobody", code, name),
                )
        return Node(
            slot,
            step,
            FrozenDict(inputs),
            FrozenDict(settings),
            FrozenDict(written),
            FrozenDict(templates),
        )

    def _explicit(
        self,
        address: str,
        step: Step[..., Any],
        parameter: Parameter,
        wire: Any,
        made: tuple[str, dict[str, str], dict[str, Any], dict[str, str]],
    ) -> Any:
        """Wire what is told, and give it with each leaf in its place."""
        place, inputs, settings, written = made
        if isinstance(wire, Mapping | list):
            inner = replace(parameter, annotation=item_of(parameter.annotation, type(wire)))
            items = wire.items() if isinstance(wire, Mapping) else enumerate(wire)
            found = {
                key: self._explicit(
                    address, step, inner, part, (f"{place}[{key!r}]", inputs, settings, written)
                )
                for key, part in items
            }
            return found if isinstance(wire, Mapping) else list(found.values())
        if not isinstance(wire, From):
            standing = replace(parameter, name=place)
            self._configure(
                address, step, standing, {place: wire}, (settings, written), ("value", id(step), place)
            )
            return Part(place)
        provider = self.steps.get(wire.name) or self.sources.get(wire.name)
        if provider is None:
            if wire.name not in self.broken:
                near = did_you_mean(wire.name, [*self.steps, *self.sources])
                self._fault(
                    f"{address} is wired to {wire.name!r}, and no step or source is called that: {near}"
                )
            return Part(place, wire.output)
        inputs[place] = wire.name
        if not wire.output:
            single = parameter.name in step.over and place == parameter.name
            self._fit(address, provider, parameter, id(step.function), single)
        elif (known := output_names(provider.returns)) is not None and wire.output not in known:
            near = did_you_mean(wire.output, list(known))
            self._fault(
                f"{address} takes {wire.output!r} of {_kind(provider)} {wire.name!r}, which has no such output: {near}"
            )
        return Part(place, wire.output)

    def _provider(self, step: Step[..., Any], name: str) -> Step[..., Any] | Source[Any] | None:
        return self.steps.get(name) or self.sources.get(name) or _source_in_scope(step, name)

    def _take(self, name: str, provider: Step[..., Any] | Source[Any]) -> None:
        """Note a source that was found where a step is defined, unless another has its name."""
        if isinstance(provider, Source) and self.sources.setdefault(name, provider) is not provider:
            text = f"two different sources are called {name!r}; say which in sources=[...]"
            self._fault(text, "source", name)

    def _fit(
        self,
        place: str,
        provider: Step[..., Any] | Source[Any],
        parameter: Parameter,
        code: int,
        single: bool,
    ) -> None:
        """Note a type that cannot be handed on."""
        name = provider.name
        transient = isinstance(provider, Step) and provider.transient
        gives = provider.gives if isinstance(provider, Step) else provider.returns
        given = gives if transient else handed(gives)
        if not compatible(item_type(given) if single else given, parameter.annotation):
            stored = "" if given is provider.returns else f", of which others are handed {describe(given)}"
            self._fault(
                f"{_kind(provider)} {name!r} gives {describe(provider.returns)}{stored}, but {place} takes "
                f"{describe(parameter.annotation)}",
                *("edge", id(provider.function), code, parameter.name),
            )

    def _configure(
        self,
        place: str,
        step: Step[..., Any],
        parameter: Parameter,
        owned: Mapping[str, Any],
        made: tuple[dict[str, Any], dict[str, str]],
        key: tuple[Any, ...],
    ) -> None:
        value = owned.get(parameter.name, parameter.default)
        if parameter.name in step.over:
            value = _coerced_items(value, parameter, place)
            parameter = replace(parameter, annotation=REQUIRED)
        reason = ""
        try:
            value = private_copy(value)
        except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
            reason = str(error)
        code: list[Any] = []

        def read(thing: Any) -> str:
            code.append(thing)
            return code_form(thing)

        try:
            if (
                value is not None or parameter.default is not None
            ):  # `x: int = None` is a common way to say "unset"
                from workflow_assets.contracts.coercions import coerce  # workers do without pydantic

                value = coerce(value, parameter.annotation, place)
            form = parameter_form(value, place, read)
        except (ContractError, UnkeyableError) as error:
            self._fault(str(error), *key)
            return
        settings, written = made
        settings[parameter.name] = value
        if not code:
            written[parameter.name] = form
        if reason:
            self._fault(
                f"{place} = {excerpt(value)} cannot be copied, so that it could change under way: {reason}",
                *key,
            )
        draws = () if step.legacy_rng else global_draws([value, *code])
        if draws:
            self._fault(
                f"{place} = {excerpt(value)} draws from {listing(draws)}, whose numbers depend on everything "
                "that ran before: pass what takes a generator as an argument, or declare step "
                f"{step.name!r} with legacy_rng=True",
                *key,
            )


def _coerced_items(value: Any, parameter: Parameter, place: str) -> Any:
    """Give a collection with items of the declared type; as it is where one is of another: that one fails alone."""
    from workflow_assets.contracts.coercions import coerce  # workers do without pydantic

    kind = collection_type(parameter.annotation, value)
    if kind is REQUIRED or says_nothing(parameter.annotation):
        return value
    try:
        return coerce(value, kind, place)
    except ContractError:
        return value


def _source_in_scope(step: Step[..., Any], name: str) -> Source[Any] | None:
    """Find a source where the step is defined: by a variable of that name first, then by the source's own name."""
    for scope in (step.scope, getattr(step.function, "__globals__", {})):
        candidate = scope.get(name)
        if isinstance(candidate, Source) and candidate.name == name:
            return candidate
    for scope in (step.scope, getattr(step.function, "__globals__", {})):
        for candidate in scope.values():
            if issubclass(type(candidate), Source) and candidate.name == name:
                return cast("Source[Any]", candidate)
    return None


def _is_complete(node: Node) -> bool:
    """Whether nothing is missing whose fault was told before."""
    return all(
        name in node.inputs or name in node.settings or name in node.templates
        for name in node.step.parameters
    )


def _kind(provider: Step[..., Any] | Source[Any]) -> str:
    return "input" if isinstance(provider, Given) else "source" if isinstance(provider, Source) else "step"


def in_order(dependencies: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Order slots so that each follows what it depends on, else in the order given; or name a cycle.

    >>> in_order({"score": ["model"], "model": []})
    (['model', 'score'], [])
    >>> in_order({"a": ["b"], "b": ["a"]})
    ([], ['a', 'b', 'a'])
    """
    order: list[str] = []
    state: dict[str, bool] = {}
    for start in dependencies:
        stack = [(start, iter(dependencies[start]))] if start not in state else []
        state.setdefault(start, False)
        while stack:
            slot, pending = stack[-1]
            following = next(pending, None)
            if following is None:
                stack.pop()
                if not state[slot]:
                    state[slot] = True
                    order.append(slot)
            elif following not in state:
                state[following] = False
                stack.append((following, iter(dependencies[following])))
            elif not state[following]:
                path = [name for name, _ in stack]
                return [], [*path[path.index(following) :], following][::-1]
    return order, []


def union_of(workflows: Sequence[WiredSteps]) -> dict[str, list[str]]:
    """Give what each slot depends on in any of several workflows: their assets share one lineage."""
    dependencies: dict[str, list[str]] = {}
    for workflow in workflows:
        for node in workflow:
            known = dependencies.setdefault(node.slot, [])
            known.extend(
                name for name in node.inputs.values() if name in workflow.nodes and name not in known
            )
    return dependencies
