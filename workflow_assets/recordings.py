"""Recordings: calls of steps that are written down instead of made, while a workflow is being composed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

RECORDING: ContextVar[Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any] | None] = ContextVar(
    "RECORDING", default=None
)
"""Who writes down the calls of steps; None where steps are called as the functions that they are."""


class Pending:
    """Stands for a value that a workflow will have: a step's result, one output of it, or an input.

    Handed to other steps while a workflow is composed, it wires them. ``parts["train"]`` is one output of several.
    """

    def __init__(self, owner: object, name: str, output: str = "") -> None:
        self.owner = owner
        self.name = name
        self.output = output

    def __getitem__(self, output: str) -> Pending:
        if self.output:
            raise TypeError(f"{self!r} is one output of {self.name!r} already: take what is in it in a step")
        if not isinstance(output, str) or not output:
            raise TypeError(
                f"{self!r}[{output!r}]: the outputs of a step have names; take an item of a list in a step"
            )
        return Pending(self.owner, self.name, output)

    def __repr__(self) -> str:
        return f"<{self.name}.{self.output}, pending>" if self.output else f"<{self.name}, pending>"

    def __iter__(self) -> Any:
        raise TypeError(f"{self!r} has no value yet, so that nothing can be done with it but to hand it on")

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} has no value yet: decide inside a step, or compose two workflows")
