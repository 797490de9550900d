"""Calling one step: what goes in and comes out is checked, and its random stream is its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.contexts import Context
from workflow_assets.contracts.annotations import Checker, Metrics, checker, metric_type
from workflow_assets.errors import ContractError, GlobalRandomnessError
from workflow_assets.plans import PlannedSource, PlannedStep
from workflow_assets.steps import REQUIRED, private_copy
from workflow_assets.store.codecs import drained
from workflow_assets.streams import GlobalGenerator, generator, integer, seeded_globals

Recorded = list[tuple[str, Any, dict[str, Any]]]
"""What a step recorded in its context: name, value, tags."""


class Place(NamedTuple):
    """Where in the grid a call happens: the replicate by key, and by the index or name that steps are given."""

    treatment: str
    replicate: str
    identity: int | str
    seed: int


class Caller:
    """Calls a planned step, any number of times."""

    def __init__(self, step: PlannedStep, resources: Mapping[str, Any], watch: GlobalGenerator) -> None:
        node = step.node
        self.slot, self.stream, self.step = step.name, step.stream, node.step
        self.function: Callable[..., Any] = node.step.function
        self.resources = resources
        self.watch = watch
        self.settings = dict(node.settings)
        self.copied = [name for name, value in self.settings.items() if private_copy(value) is not value]
        self.inputs: dict[str, Checker] = {}
        for name, given in step.inputs:
            annotation = node.step.parameters[name].annotation
            produced = given.source.returns if isinstance(given, PlannedSource) else given.node.step.returns
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

    def call(self, arguments: dict[str, Any], place: Place) -> tuple[Any, Recorded]:
        """Call the step's function with its inputs; give its value, and what it recorded.

        Raises `ContractError` for values that are not of the declared types, `GlobalRandomnessError` where numpy's
        global generator was used without saying so, and whatever the function raises.
        """
        for name, look in self.inputs.items():
            if fault := look(arguments[name]):
                raise ContractError(f"step {self.slot!r} was handed a wrong {name!r}: {fault}")
        arguments.update(self.settings)
        for name in self.copied:
            arguments[name] = private_copy(self.settings[name])
        context = self._give(arguments, place) if self.step.given else None
        if self.step.legacy_rng:
            with seeded_globals(place.seed, self.stream):
                value = self._called(arguments)
        else:
            before = self.watch.position()
            value = self._called(arguments)
            if before is not None and self.watch.position() != before:
                raise GlobalRandomnessError(
                    f"step {self.slot!r} drew from numpy's global generator, perhaps inside a library that was given "
                    "no seed: take `rng` or `seed` as a parameter and pass it on, or declare @step(legacy_rng=True)"
                )
        if self.scalar is not None:
            value = unwrap_scalar(value)
            if self.scalar is float and type(value) is int:
                value = float(value)
        return value, context.recorded() if context is not None else []

    def _called(self, arguments: dict[str, Any]) -> Any:
        """Give what the function returns; what a generator yields is written down while its random stream is there."""
        value = self.function(**arguments)
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
        context = Context(self.slot, place.treatment, place.replicate, self.resources, self.declared)
        arguments["ctx"] = context
        return context

    def metrics(self, value: Any, recorded: Recorded) -> dict[str, Any]:
        """Give the metrics by the names that the step declares."""
        metrics: dict[str, Any] = {}
        if isinstance(value, Metrics):
            metrics.update(value)
        elif "" in self.step.metrics:
            metrics[""] = value
        if self.declared is not None:
            metrics.update({name: item for name, item, tags in recorded if not tags})
        return metrics
