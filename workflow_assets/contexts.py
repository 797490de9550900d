"""What the engine gives to a step that asks for `ctx`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from workflow_assets.canonical import unwrap_scalar
from workflow_assets.contracts.checkers import MetricType
from workflow_assets.errors import ContextError, did_you_mean, excerpt

logger = logging.getLogger("workflow_assets.steps")


class Context:
    """A frozen view of the cell that a step runs in: where to record metrics, where to log, which resources there are.

    `treatment`, `replicate` and `step` are for messages. What a value may depend on, a step takes as a parameter, so
    that the compute key knows.
    """

    __slots__ = ("_declared", "_recorded", "log", "replicate", "resources", "step", "treatment")

    step: str
    treatment: str
    replicate: str
    resources: Mapping[str, Any]
    log: logging.LoggerAdapter[logging.Logger]

    def __init__(
        self,
        step: str,
        treatment: str,
        replicate: str,
        resources: Mapping[str, Any],
        declared: Mapping[str, MetricType] | None = None,
    ) -> None:
        fields = {
            "step": step,
            "treatment": treatment,
            "replicate": replicate,
            "resources": resources,
            "log": logging.LoggerAdapter(
                logger, {"step": step, "treatment": treatment, "replicate": replicate}
            ),
            "_declared": declared,
            "_recorded": [],
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise ContextError(
            f"ctx.{name} = {excerpt(value)} in step {self.step!r}: a context is frozen. Return the value, or record "
            f"a metric with ctx.record({name!r}, ...)"
        )

    __setitem__ = __setattr__

    def __delattr__(self, name: str) -> None:
        raise ContextError(f"del ctx.{name} in step {self.step!r}: a context is frozen")

    def record(self, name: str, value: float | bool | str, **tags: Any) -> None:
        """Record a metric: it is kept with the datum, and replayed when the datum is used again.

        With tags (``epoch=3``) a metric may be recorded many times; it then stands in ``result.records`` only.

        Raises `ContextError` for a value that is no number or text, for a name that the step's ``records=`` does not
        declare, and for recording a name twice without tags.
        """
        value = unwrap_scalar(value)
        if not isinstance(value, float | int | str):
            raise ContextError(
                f"ctx.record({name!r}, {excerpt(value)}) in step {self.step!r}: a metric is a number or text, not a "
                f"{type(value).__qualname__}"
            )
        recorded: list[tuple[str, Any, dict[str, Any]]] = self._recorded  # type: ignore[attr-defined]
        declared: Mapping[str, MetricType] | None = self._declared  # type: ignore[attr-defined]
        if not tags and declared is not None and name not in declared:
            raise ContextError(
                f"ctx.record({name!r}, ...) in step {self.step!r} is not declared in its records=: "
                f"{did_you_mean(name, declared)}"
            )
        if not tags and any(other == name and not known for other, _, known in recorded):
            raise ContextError(
                f"ctx.record({name!r}, ...) in step {self.step!r} for the second time: add a tag that tells them "
                f"apart, such as ctx.record({name!r}, value, epoch=2)"
            )
        recorded.append((name, value, {key: unwrap_scalar(tag) for key, tag in tags.items()}))

    def recorded(self) -> list[tuple[str, Any, dict[str, Any]]]:
        """Give what was recorded, in order: name, value, tags."""
        return list(self._recorded)  # type: ignore[attr-defined]
