"""Workflows: steps wired to each other and to sources, told as an ordered list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_assets.canonical import parameter_form
from workflow_assets.contracts import MetricType, coerce, compatible, describe
from workflow_assets.errors import ContractError, UnkeyableError, did_you_mean, listing
from workflow_assets.fingerprint import code_form
from workflow_assets.sources import Source
from workflow_assets.steps import GIVEN, REQUIRED, Step, private_copy


@dataclass(frozen=True)
class Node:
    """A step in its slot: what each input is wired to, and the configuration in effect.

    `forms` holds the canonical form of each configured value, which is what enters the compute key.
    """

    slot: str
    step: Step[..., Any]
    inputs: Mapping[str, str]
    settings: Mapping[str, Any]
    forms: Mapping[str, str]


@dataclass(frozen=True)
class Workflow:
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


def wire(  # noqa: C901 - one branch for each way in which a parameter can be provided
    steps: Mapping[str, Step[..., Any]],
    sources: Mapping[str, Source[Any]],
    parameters: Mapping[str, Any],
) -> tuple[Workflow | None, list[str]]:
    """Wire steps by the names of their parameters; give the workflow, or every fault that prevents it.

    `steps` maps slots to steps; `parameters` maps ``slot.parameter`` to values.
    """
    faults: list[str] = []
    sources = dict(sources)
    nodes: dict[str, Node] = {}
    owned = _settings_by_slot(steps, parameters, faults)
    for slot, step in steps.items():
        inputs: dict[str, str] = {}
        settings: dict[str, Any] = {}
        forms: dict[str, str] = {}
        for parameter in step.parameters.values():
            name, place = parameter.name, f"{slot}.{parameter.name}"
            provider = steps.get(name) or sources.get(name) or _source_in_scope(step, name)
            if provider is not None and name in owned[slot]:
                faults.append(
                    f"{place} is wired to {_kind(provider)} {name!r} and cannot be set to a value too"
                )
            elif provider is not None and parameter.default is not REQUIRED:
                faults.append(
                    f"{place} could be {_kind(provider)} {name!r} or the parameter with default "
                    f"{parameter.default!r}: rename one of them"
                )
            elif provider is not None:
                inputs[name] = name
                if isinstance(provider, Source):
                    known = sources.setdefault(name, provider)
                    if known is not provider:
                        faults.append(
                            f"two different sources are called {name!r}; name them in sources=[...]"
                        )
                if not compatible(provider.returns, parameter.annotation):
                    faults.append(
                        f"{_kind(provider)} {name!r} gives {describe(provider.returns)}, but {place} takes "
                        f"{describe(parameter.annotation)}"
                    )
            elif name not in owned[slot] and parameter.default is REQUIRED:
                near = did_you_mean(name, [*(other for other in steps if other != slot), *sources, *GIVEN])
                faults.append(
                    f"{place} is provided by nobody: no step or source is called {name!r} ({near}), it has no "
                    f"default, and parameters={{{place!r}: ...}} does not set it"
                )
            else:
                _configure(place, parameter, owned[slot], settings, forms, faults)
        nodes[slot] = Node(slot, step, inputs, settings, forms)
    order, cycle = _order(
        {slot: [name for name in node.inputs.values() if name in nodes] for slot, node in nodes.items()}
    )
    if cycle:
        faults.append(f"steps depend on each other in a circle: {' → '.join(cycle)}")
    if faults:
        return None, faults
    used = {name for node in nodes.values() for name in node.inputs.values()}
    faults.extend(
        f"source {name!r} is read by no step: name a step's parameter after it, or leave it out"
        for name in sources
        if name not in used
    )
    if faults:
        return None, faults
    return Workflow({slot: nodes[slot] for slot in order}, sources), []


def _settings_by_slot(
    steps: Mapping[str, Step[..., Any]], parameters: Mapping[str, Any], faults: list[str]
) -> dict[str, dict[str, Any]]:
    owned: dict[str, dict[str, Any]] = {slot: {} for slot in steps}
    for address, value in parameters.items():
        slot, dot, name = address.partition(".")
        known = [
            f"{other}.{parameter.name}"
            for other, step in steps.items()
            for parameter in step.parameters.values()
            if parameter.default is not REQUIRED or parameter.name not in steps
        ]
        if not dot or slot not in steps or name not in steps[slot].parameters:
            if name in GIVEN and slot in steps:
                faults.append(f"{address!r} is given by the engine and cannot be set")
            else:
                faults.append(f"{address!r} is no parameter of any step: {did_you_mean(address, known)}")
        else:
            owned[slot][name] = value
    return owned


def _configure(
    place: str,
    parameter: Any,
    owned: Mapping[str, Any],
    settings: dict[str, Any],
    forms: dict[str, str],
    faults: list[str],
) -> None:
    value = owned.get(parameter.name, parameter.default)
    try:
        if parameter.name in owned or value is not None:  # `x: int = None` is a common way to say "unset"
            value = coerce(private_copy(value), parameter.annotation, place)
        forms[parameter.name] = parameter_form(value, place, code_form)
        settings[parameter.name] = value
    except (ContractError, UnkeyableError) as error:
        faults.append(str(error))
    except Exception as error:  # noqa: BLE001 - a user's own __deepcopy__ may raise anything
        faults.append(f"{place} cannot be copied, so that it could change under way: {error}")


def _source_in_scope(step: Step[..., Any], name: str) -> Source[Any] | None:
    """Find a source where the step's function would find a variable of that name."""
    for scope in (step.scope, getattr(step.function, "__globals__", {})):
        if isinstance(scope.get(name), Source) and scope[name].name == name:
            return scope[name]  # type: ignore[no-any-return]
    return None


def _kind(provider: Step[..., Any] | Source[Any]) -> str:
    return "source" if isinstance(provider, Source) else "step"


def _order(dependencies: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Order slots so that each follows what it depends on, else in the order given; or name a cycle."""
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


def union_cycle(workflows: Sequence[Workflow]) -> list[str]:
    """Name a cycle in the wirings of several treatments together; their assets share one lineage."""
    dependencies: dict[str, list[str]] = {}
    for workflow in workflows:
        for node in workflow:
            known = dependencies.setdefault(node.slot, [])
            known.extend(
                name for name in node.inputs.values() if name in workflow.nodes and name not in known
            )
    return _order(dependencies)[1]


def slots_of(steps: Sequence[Any], faults: list[str]) -> dict[str, Step[..., Any]]:
    """Read a user's list of steps; note what is no step, and two of one name."""
    slots: dict[str, Step[..., Any]] = {}
    for place, one in enumerate(steps):
        if not isinstance(one, Step):
            name = getattr(one, "__name__", type(one).__qualname__)
            faults.append(f"steps[{place}] is {name!r}, not a step: decorate it with @step")
        elif one.name in slots:
            faults.append(
                f"two steps are called {one.name!r}: use {one.name}.named('another') for one of them"
            )
        else:
            slots[one.name] = one
    return slots


def check_names(steps: Mapping[str, Any], sources: Mapping[str, Any], faults: list[str]) -> None:
    """Note names that mean two things."""
    both = [name for name in steps if name in sources]
    if both:
        faults.append(f"{listing(both)} names both a step and a source: rename one of them")
    given = [name for name in (*steps, *sources) if name in GIVEN]
    if given:
        faults.append(f"{listing(given)} is what the engine gives to steps: rename the step or source")
