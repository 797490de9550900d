"""Recordings: calls of steps that are written down instead of made, while a workflow is being composed."""

from __future__ import annotations

from abc import ABC, abstractmethod
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


class Handed(ABC):
    """What can be handed to steps although no step of the workflow gives it: a datum.

    `name` is what an input that holds it is called, `key` that of what a store has of it.
    """

    name: str
    key: str

    @property
    @abstractmethod
    def parts(self) -> Any:
        """What it is made of, in a list or mapping, or the `Pending` that it stands for; None for one that is whole."""

    @property
    @abstractmethod
    def content(self) -> Any:
        """What an input holds of one that is whole: its value, or itself where a store has that."""

    @abstractmethod
    def load(self) -> Any:
        """Give the value, the caller's own."""

    @abstractmethod
    def key_in(self, store: Any) -> str | None:
        """Give the key under which a store has it already; None where it has not."""
