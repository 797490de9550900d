"""Calling one step: what goes in and comes out is checked, and its random stream is its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.contexts import Context
from workflow_assets.contracts.checkers import Checker, Reported, checker, metric_type
from workflow_assets.errors import ContractError, GlobalRandomnessError
from workflow_assets.plans import PlannedSource, PlannedStep
from workflow_assets.provenance import peak_memory
from workflow_assets.recordings import RECORDING, unrecorded
from workflow_assets.resources import Resources
from workflow_assets.steps import REQUIRED, private_copy
from workflow_assets.store.codecs import drained
from workflow_assets.streams import GlobalGenerator, generator, integer, seeded_globals
from workflow_assets.wires import item_type

if TYPE_CHECKING:
    import asyncio

    from workflow_assets.contracts.annotations import Metrics

Recorded = list[tuple[str, Any, dict[str, Any]]]
"""What a step recorded in its context: name, value, tags."""


class Place(NamedTuple):
    """Where in the grid a call happens: the replicate by key, and by the index or name that steps are given."""

    treatment: str
    replicate: str
    identity: int | str
    seed: int


class SuspectError(Exception):
    """Some step has drawn from the process's generator, and several were running."""


BRIEF = 0.001
"""A step that takes fewer seconds fills little memory, and asking how much is filled may take longer than it."""


class Surroundings:
    """What steps are executed in: here, one at a time, in this thread. Backends derive others.

    Args:
        resources: what steps find in ``ctx.resources``.
    """

    watched = False
    """Whether somebody wants to be told of each call."""

    guarded = False
    """Whether calls are let in, one by one or many."""

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self.resources = Resources(resources)
        self.watch = GlobalGenerator()
        self._runner: asyncio.Runner | None = None
        self._peak = 0  # when it was last asked for

    def resources_for(self, coroutine: bool) -> Resources:  # noqa: ARG002 - for those derived
        """Give what a step finds in ``ctx.resources``."""
        return self.resources

    def alone(self) -> AbstractContextManager[None]:
        """Keep all other steps of this process from running meanwhile."""
        return nullcontext()

    def among(self, coroutine: bool) -> AbstractContextManager[None]:  # noqa: ARG002 - for those derived
        """Run beside other steps of this process, and not beside one that must be alone."""
        return nullcontext()

    @property
    def crowded(self) -> bool:
        """Whether other steps may run at the same time, so that what the process's generators did says nothing."""
        return False

    def limited(
        self,
        planned: PlannedStep | PlannedSource,  # noqa: ARG002 - for those derived
        place: Place,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Call a function that may be ended from outside; whoever can do that is told."""
        return nullcontext()

    def peak_memory(self, seconds: float) -> int | None:
        """Give the most bytes that the process has used by the end of a step that took so long, if that is known."""
        if seconds >= BRIEF or not self._peak:
            self._peak = peak_memory()
        return self._peak

    def wait_for(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Give what a coroutine comes to."""
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        return self._runner.run(coroutine)

    def close(self) -> None:
        """Let go of all that was opened for steps."""
        self.resources.close()
        if self._runner is not None:
            self._runner.close()
            self._runner = None


class Caller:
    """Calls a planned step, any number of times."""

    def __init__(self, step: PlannedStep, surroundings: Surroundings) -> None:
        node = step.node
        self.planned = step
        self.slot, self.stream, self.step = step.name, step.stream, node.step
        self.function: Callable[..., Any] = node.step.function
        self.surroundings = surroundings
        self.is_coroutine = node.step.is_coroutine
        self.settings = dict(node.settings)
        self.copied = [name for name, value in self.settings.items() if private_copy(value) is not value]
        self.inputs: dict[str, Checker] = {}
        self.assembled = node.assembled if node.templates else None
        for name in node.templates:
            annotation = node.step.parameters[name].annotation
            if annotation is not REQUIRED and (look := checker(annotation)) is not None:
                self.inputs[name] = look
        for name, given in step.inputs:
            if name not in node.step.parameters or name in node.templates:
                continue
            annotation = node.step.parameters[name].annotation
            produced = given.source.returns if isinstance(given, PlannedSource) else given.node.step.gives
            if name in node.step.over:
                produced = item_type(produced)
            look = checker(annotation) if annotation is not REQUIRED and annotation != produced else None
            if look is not None:
                self.inputs[name] = look
        self.result = checker(node.step.returns) if node.step.returns is not REQUIRED else None
        self.scalar = metric_type(node.step.returns)
        records = node.step.records
        self.declared = (
            None
            if records is None
            else {name: kind for name, kind in node.step.metrics.items() if name in records.model_fields}
        )

    def call(self, arguments: dict[str, Any], place: Place, *, alone: bool = False) -> tuple[Any, Recorded]:
        """Call the step's function with its inputs; give its value, and what it recorded.

        Raises `ContractError` for values that are not of the declared types, `GlobalRandomnessError` where numpy's
        global generator was used without saying so, `SuspectError` where it may have been another step that used it
        (so that this one is to be called again, `alone`), and whatever the function raises.
        """
        if not self.step.over:
            self.add_settings(arguments)
        if self.assembled is not None and not self.step.over:
            arguments = self.assembled(arguments)
        for name, look in self.inputs.items():
            if fault := look(arguments[name]):
                raise ContractError(f"step {self.slot!r} was handed a wrong {name!r}: {fault}")
        context = self._give(arguments, place) if self.step.given else None
        if self.surroundings.watched:
            with self.surroundings.limited(self.planned, place):
                value = self._called(arguments, place, alone)
        else:
            value = self._called(arguments, place, alone)
        if self.scalar is not None:
            value = unwrap_scalar(value)
            if self.scalar is float and type(value) is int:
                value = float(value)
        return value, context.recorded() if context is not None else []

    def add_settings(self, arguments: dict[str, Any]) -> None:
        """Add what is configured, the callee's own."""
        arguments.update(self.settings)
        for name in self.copied:
            arguments[name] = private_copy(self.settings[name])

    def _called(self, arguments: dict[str, Any], place: Place, alone: bool) -> Any:
        """Give what the function returns, and see to it that it draws from no generator of the process's."""
        around = self.surroundings
        if self.step.legacy_rng:
            with around.alone(), seeded_globals(place.seed, self.stream):
                return self._value(arguments)
        before = around.watch.position()
        if around.guarded:
            return self._called_under_guard(arguments, alone)
        value = self._value(arguments)
        if around.watch.moved(before):
            raise self._drew()
        return value

    def _called_under_guard(self, arguments: dict[str, Any], alone: bool) -> Any:
        """Do so where a call can be stopped, perhaps beside others whose draws look the same as this one's."""
        around = self.surroundings
        with around.alone() if alone else around.among(self.is_coroutine):
            before = around.watch.position()
            value = self._value(arguments)
            drew = around.watch.moved(before)
        if drew:
            raise SuspectError if around.crowded and not alone else self._drew()
        return value

    def _drew(self) -> GlobalRandomnessError:
        return GlobalRandomnessError(
            f"step {self.slot!r} drew from numpy's global generator, perhaps inside a library that was given "
            "no seed: take `rng` or `seed` as a parameter and pass it on, or declare @step(legacy_rng=True)"
        )

    def _value(self, arguments: dict[str, Any]) -> Any:
        """Give what the function returns; what a generator yields is written down while its random stream is there."""
        if RECORDING.get() is not None:  # a workflow runs while another is being composed
            with unrecorded():
                return self._value(arguments)
        value = self.function(**arguments)
        if self.is_coroutine:
            value = self.surroundings.wait_for(_limited(value, self.step.timeout, self.slot))
        if self.result is not None and (fault := self.result(value)):
            raise ContractError(f"step {self.slot!r} returned a wrong value: {fault}")
        return value if self.step.transient else drained(value, f"the result of {self.slot!r}")

    def _give(self, arguments: dict[str, Any], place: Place) -> Context | None:
        """Add what the engine gives; the context is among it only if the step asks for it."""
        given = self.step.given
        if "rng" in given:
            arguments["rng"] = generator(place.seed, self.stream)
        if "seed" in given:
            arguments["seed"] = integer(place.seed, self.stream)
        if "replicate" in given:
            arguments["replicate"] = place.identity
        if "treatment" in given:
            arguments["treatment"] = place.treatment
        if "ctx" not in given:
            return None
        resources = self.surroundings.resources_for(self.is_coroutine)
        context = Context(self.slot, place.treatment, place.replicate, resources, self.declared)
        arguments["ctx"] = context
        return context

    def metrics(self, value: Any, recorded: Recorded) -> dict[str, Any]:
        """Give the metrics by the names that the step declares."""
        metrics: dict[str, Any] = {}
        if isinstance(value, Reported):
            metrics.update(cast("Metrics", value))
        elif "" in self.step.metrics:
            metrics[""] = value
        if self.declared is not None:
            metrics.update({name: item for name, item, tags in recorded if not tags})
        return metrics


async def _limited(coroutine: Coroutine[Any, Any, Any], timeout: float | None, slot: str) -> Any:
    import asyncio

    try:
        async with asyncio.timeout(timeout) as limit:
            return await coroutine
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(timeout_message(slot, timeout)) from error


def timeout_message(slot: str, timeout: float | None) -> str:
    """Say that a step took too long."""
    return f"step {slot!r} took longer than its timeout of {timeout:g} s"
