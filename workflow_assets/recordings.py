"""Recordings: calls of steps that are written down instead of made, while a workflow is being composed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from workflow_assets.errors import DeclarationError, UnknownNameError, did_you_mean

RECORDING: ContextVar[Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any] | None] = ContextVar(
    "RECORDING", default=None
)
"""Who writes down the calls of steps; None where steps are called as the functions that they are."""


@contextmanager
def unrecorded() -> Iterator[None]:
    """Make the calls of steps that would be written down: a workflow may run while another is composed."""
    token = RECORDING.set(None)
    try:
        yield
    finally:
        RECORDING.reset(token)


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

    def __bool__(self) -> bool:
        raise TypeError(f"{self!r} has no value yet: decide inside a step, or compose two workflows")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name in {"owner", "name", "output"}:  # which copying and pickling ask for
            raise AttributeError(name)
        raise AttributeError(
            f"{self!r} has no value yet, and so no attribute {name!r}: use it in a step, or take the output [{name!r}]"
        )


def _refuse(self: Pending, *_: Any, **__: Any) -> NoReturn:
    raise TypeError(
        f"{self!r} has no value yet, so that nothing can be done with it but to hand it to a step"
    )


for _name in (
    *(
        "iter",
        "next",
        "len",
        "contains",
        "call",
        "await",
        "enter",
        "int",
        "float",
        "index",
        "array",
        "format",
    ),
    *("lt", "le", "gt", "ge", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv"),
    *(
        "rfloordiv",
        "mod",
        "rmod",
        "pow",
        "rpow",
        "matmul",
        "rmatmul",
        "and",
        "rand",
        "or",
        "ror",
        "xor",
        "rxor",
    ),
    *("neg", "pos", "abs", "invert", "round", "setitem", "delitem"),
):
    setattr(Pending, f"__{_name}__", _refuse)


class PendingGroup(Pending):
    """Stands for what a workflow gives that is one step of another: what the last of its steps give.

    Where that is several, they are handed on as a mapping by the names of the steps, and ``clean["report"]`` is one of
    them. So is what a step before the last gives.
    """

    def __init__(self, owner: object, name: str, steps: Mapping[str, str], results: tuple[str, ...]) -> None:
        super().__init__(owner, name)
        self.steps = steps
        self.results = results

    def whole(self) -> Pending | dict[str, Pending]:
        """Give what stands for the result, or for each of the results."""
        made = {inner: Pending(self.owner, self.steps[inner]) for inner in self.results}
        return next(iter(made.values())) if len(made) == 1 else made

    def __getitem__(self, output: str) -> Pending:
        if output in self.steps:
            return Pending(self.owner, self.steps[output])
        whole = self.whole()
        if isinstance(whole, Pending):
            return whole[output]
        raise UnknownNameError(
            f"{self.name!r} has no step {output!r}: {did_you_mean(str(output), self.steps)}"
        )


def outside(step: str, pending: Pending) -> DeclarationError:
    """Say that a step was called with what has no value yet, where nobody writes the call down."""
    owner = getattr(pending.owner, "name", "")
    told = (
        f"it is handed {pending!r} of the workflow {owner!r}, which is not being composed here: call it inside the "
        "`with` and in the same thread, or see Workflow.with_step"
    )
    return DeclarationError(f"a call of step {step!r}", [told])


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
