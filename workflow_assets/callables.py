"""Callables: a workflow as one plain function of its inputs, which stores nothing."""

from __future__ import annotations

import asyncio
import copy
import marshal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Self

from workflow_assets.alterations import Alterable
from workflow_assets.callers import Caller, Place, Surroundings
from workflow_assets.calls import bound_inputs
from workflow_assets.contracts.checkers import checker
from workflow_assets.errors import ContractError, UnknownNameError, did_you_mean
from workflow_assets.items import Guard, ItemKeys, calls_key, seed_of, taken_apart
from workflow_assets.plans import Plan, PlannedSource, PlannedStep
from workflow_assets.recordings import Handed
from workflow_assets.sources import Given
from workflow_assets.store.codecs import Encoded, encode, independent_copy
from workflow_assets.store.trees import is_tree
from workflow_assets.treatments import BASELINE

_IMMUTABLE = frozenset({bool, int, float, str, bytes, type(None)})
_NUMBERS = "biufcmM"
"""The kinds of numpy's types of which an array is nothing but its memory."""


class WorkflowFunction:
    """A workflow as a plain function of its inputs: values are handed on in memory, and nothing is stored.

    It gives what a run gives, the random numbers included, for a few microseconds a step: each reader is handed a value
    of its own, types are checked, and steps on each item are called on each. What else a run does, it does not: nothing
    is remembered, retried, ended after its timeout or told. `Workflow.function` makes it.

    A step that fails raises what it raised, with a note that names it. Several threads may call it at once. Where steps
    have resources that are opened for them, `close` closes these, as does the end of a `with` block.
    """

    def __init__(
        self, workflow: Alterable, plan: Plan, names: Sequence[str], resources: Mapping[str, Any] | None
    ) -> None:
        steps = plan.by_treatment[BASELINE]
        for name in names:
            if name not in steps:
                near = did_you_mean(name, steps)
                raise UnknownNameError(f"workflow {workflow.name!r} has no step {name!r}: {near}")
        self.workflow = workflow
        self.names = tuple(names or (slot for slot, one in steps.items() if not one.node.step.transient))
        self._transient = {slot for slot in self.names if steps[slot].node.step.transient}
        self._single = len(names) == 1
        self._around = _Alone(resources or {})
        (replicate,) = plan.replicates.values()
        place = Place(BASELINE, replicate.key, replicate.identity, plan.seed(replicate))
        self._tasks = _tasks(_needed(steps, self.names), self.names, place, self._around)
        taken = {take.name for task in self._tasks for take in task.takes}
        self._loaded = {
            name: _loaded(one, plan)
            for name, one in plan.sources.items()
            if name in taken and not isinstance(one.source, Given)
        }

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the steps that were asked for: give the value of one, or the values of several by name.

        The arguments are the workflow's inputs, by name or in their order.

        Raises `DeclarationError` for inputs that it does not have, that lack a value, or have one of a wrong type, and
        whatever a step raises.
        """
        inputs = bound_inputs(self.workflow.name, self.workflow.inputs, args, kwargs)
        values = dict(self._loaded)
        for name, one in self.workflow.checked(inputs).items():
            if not one.is_empty:
                values[name] = _kept(one.value.load() if isinstance(one.value, Handed) else one.value, name)
        for task in self._tasks:
            values[task.name] = self._value(task, values)
            for name in task.spent:
                del values[name]
        made = {
            name: values[name] if name in self._transient else _own(values[name], last=True)
            for name in self.names
        }
        return made[self.names[0]] if self._single else made

    def close(self) -> None:
        """Close what was opened for steps."""
        self._around.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        inputs = ", ".join(self.workflow.inputs)
        return f"WorkflowFunction({self.workflow.name}({inputs}) -> {', '.join(self.names)})"

    def _value(self, task: _Task, values: dict[str, Any]) -> Any:
        arguments = {}
        for place, name, last, transient in task.takes:
            value = values[name]
            arguments[place] = value if transient or type(value) in _IMMUTABLE else _own(value, last)
        slot = task.planned.name
        try:
            value = task.call(arguments)
        except Exception as error:
            error.add_note(f"It was raised in step {slot!r} of workflow {self.workflow.name!r}.")
            raise
        return value if type(value) in _IMMUTABLE or task.planned.node.step.transient else _kept(value, slot)


class _Take(NamedTuple):
    """What a parameter is handed: the value of that name, whether nobody takes it afterwards, or ever did but this."""

    place: str
    name: str
    last: bool
    transient: bool


class _Task(NamedTuple):
    """One step: what it takes, what calls it, and whose values nobody asks for after it."""

    name: str
    planned: PlannedStep
    takes: tuple[_Take, ...]
    call: Callable[[dict[str, Any]], Any]
    spent: tuple[str, ...]


class _Unwatched:
    """Stands in for the watch on the process's generator, which other threads may use meanwhile."""

    def position(self) -> None:
        return None

    def moved(self, before: None) -> bool:  # noqa: ARG002
        return False


class _Alone(Surroundings):
    """Where steps are called by whoever calls the function, in any thread."""

    def __init__(self, resources: Mapping[str, Any]) -> None:
        super().__init__(resources)
        self.watch = _Unwatched()  # type: ignore[assignment]
        self._seeded = threading.RLock()

    def alone(self) -> AbstractContextManager[Any]:
        return self._seeded

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(coroutine)


def _needed(steps: Mapping[str, PlannedStep], names: Collection[str]) -> list[PlannedStep]:
    """Give steps and those that they need, which follow what they depend on."""
    needed = set(names)
    for slot in reversed(list(steps)):
        if slot in needed:
            needed |= {given.name for _, given in steps[slot].inputs}
    return [planned for slot, planned in steps.items() if slot in needed]


def _tasks(
    steps: Sequence[PlannedStep], wanted: Collection[str], place: Place, around: Surroundings
) -> list[_Task]:
    """Put steps in order; a transient one is called for each that takes what it gives, as in a run."""
    times = Counter(wanted)
    for planned in reversed(steps):
        calls = times[planned.name] if planned.node.step.transient else 1
        for _, given in planned.inputs:
            times[given.name] += calls
    left, made = Counter(times), []
    for planned in steps:
        step = planned.node.step
        call = _caller(planned, Caller(planned, around), place)
        for number in range(times[planned.name] if step.transient else 1):
            takes, spent = [], []
            for parameter, given in planned.inputs:
                left[given.name] -= 1
                transient = isinstance(given, PlannedStep) and given.node.step.transient
                name = _numbered(given.name, left[given.name]) if transient else given.name
                # What was loaded is taken again by the next call.
                last = not left[given.name] and isinstance(given, PlannedStep)
                takes.append(_Take(parameter, name, last, transient))
                spent += [name] * (last or transient)
            name = _numbered(planned.name, number) if step.transient else planned.name
            made.append(_Task(name, planned, tuple(takes), call, tuple(spent)))
    return made


def _numbered(slot: str, number: int) -> str:
    """Name one of the calls of a transient step; the first is the one whose value may be asked for."""
    return f"{slot} {number}" if number else slot


def _caller(planned: PlannedStep, caller: Caller, place: Place) -> Callable[[dict[str, Any]], Any]:
    if planned.node.step.over:
        return lambda arguments: _on_each(planned, caller, arguments, place)
    return lambda arguments: caller.call(arguments, place)[0]


def _on_each(planned: PlannedStep, caller: Caller, arguments: dict[str, Any], place: Place) -> Any:
    """Call a step on each item; the first that fails ends it."""
    step = planned.node.step
    collection, items, whole = taken_apart(caller, arguments)
    guard, keys = Guard(whole, pickles=True), None
    if step.random:
        keys = ItemKeys(calls_key(planned, place.seed, whole, pickles=True), pickles=True, counted=True)
    for label, parts in zip(collection.labels, items, strict=True):
        own = place if keys is None else place._replace(seed=seed_of(keys.of(parts)))
        try:
            value = caller.call({**whole, **dict(zip(step.over, parts, strict=True))}, own)[0]
        except Exception as error:
            error.add_note(f"It was raised for item {label!r}.")
            raise
        collection.values.append(value)
    guard.check()
    return collection.whole()


def _loaded(planned: PlannedSource, plan: Plan) -> Any:
    """Give what a source holds, which is loaded once."""
    record = plan.store.find(planned.key)
    value = planned.source.load() if record is None else plan.store.load(record)
    look = checker(planned.source.returns)
    if look is not None and (fault := look(value)):
        raise ContractError(f"source {planned.name!r} returned a wrong value: {fault}")
    return _kept(value, planned.name)


def _kept(value: Any, name: str) -> Any:
    """Give what copies are made of: the value, if a store would give back an equal one, and else what it would keep."""
    if type(value) in _IMMUTABLE or _is_exact(value):
        return value
    return encode(value, pickles=True, place=f"the value of {name!r}")


def _is_exact(value: Any) -> bool:
    """Whether a value is copied as a store would give it back."""
    kind = type(value)
    if kind in (list, dict):
        return is_tree(value)
    home, name = kind.__module__.partition(".")[0], kind.__name__
    if home == "numpy" and name == "ndarray":
        return value.dtype.kind in _NUMBERS
    return home == "pandas" and name == "DataFrame" and all(one.kind in _NUMBERS for one in value.dtypes)


def _own(value: Any, last: bool) -> Any:
    """Give a reader a value of its own."""
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if kind is Encoded:
        return independent_copy(value, pickles=True, last=last)
    # A step may have returned what it holds on to, so that the last reader is handed a copy, too.
    return marshal.loads(marshal.dumps(value)) if kind in (list, dict) else copy.deepcopy(value)  # noqa: S302 - our own
