"""Hooks: plain functions that are told when runs, cells and steps begin and end.

They are for timing, tracking services and notifications. A hook that raises fails nothing: that is logged once, and the
run goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from workflow_assets.errors import DeclarationError, excerpt
from workflow_assets.outcomes import CellOutcome, Failure

logger = logging.getLogger("workflow_assets")


@dataclass(frozen=True)
class RunEvent:
    """A run begins or has ended.

    Args:
        experiment: its name.
        run_id: the run, as the provenance of what it computes names it.
        cells: how many it is about.
        done: how many of them are known; the counts and the seconds are 0 before the run.
        stored: those of them for which nothing was computed.
        failed: those of them that failed.
        seconds: how long it took.
        error: what has ended it early, such as a `KeyboardInterrupt`.
    """

    experiment: str
    run_id: str
    cells: int
    done: int = 0
    stored: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: BaseException | None = None


@dataclass(frozen=True)
class CellEvent:
    """A cell begins or is done.

    Args:
        experiment: its name.
        run_id: the run.
        treatment: the cell's.
        replicate: its key.
        seed: of the replicate.
        computed: the steps that were computed now; this and what follows is empty before the cell.
        metrics: by their full names; none where the cell failed.
        seconds: that the computed steps took.
        failure: why the cell failed.
    """

    experiment: str
    run_id: str
    treatment: str
    replicate: str
    seed: int
    computed: frozenset[str] = frozenset()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True)
class StepEvent:
    """A step is called or has returned.

    Args:
        experiment: its name.
        run_id: the run.
        treatment: the cell's; for a datum that several cells share, the first one's.
        replicate: its key; "" for a datum that all replicates share.
        step: its name.
        attempt: 1, or more where the step has `retries`.
        seconds: that the call took; 0 before it.
        error: what it raised.
    """

    experiment: str
    run_id: str
    treatment: str
    replicate: str
    step: str
    attempt: int = 1
    seconds: float = 0.0
    error: BaseException | None = None


@dataclass(frozen=True)
class Hooks:
    """Functions that are told when runs, cells and steps begin and end; each takes one event.

    What is told of runs, and `after_cell`, is told in the process that `run` was called in; `before_cell` and what is
    told of steps where the step is executed: with ``backend="processes"`` in the worker, to which the function is sent,
    and with threads by several at a time. A step whose datum is stored is not called. A worker that is killed, as one
    is whose step exceeds its timeout, tells nothing any more, and another begins the cell again: `after_cell` alone is
    told once of every cell.

    >>> from workflow_assets import Experiment, Hooks, step
    >>> @step
    ... def measure(rng) -> float:
    ...     return rng.normal()
    >>> def tell(cell):
    ...     print(cell.treatment, cell.replicate, *cell.computed)
    >>> result = Experiment("study", [measure], replicates=2).run(hooks=Hooks(after_cell=tell))
    baseline 0000 measure
    baseline 0001 measure
    """

    before_run: Callable[[RunEvent], object] | None = None
    after_run: Callable[[RunEvent], object] | None = None
    before_cell: Callable[[CellEvent], object] | None = None
    after_cell: Callable[[CellEvent], object] | None = None
    before_step: Callable[[StepEvent], object] | None = None
    after_step: Callable[[StepEvent], object] | None = None

    def __post_init__(self) -> None:
        faults = [
            f"{moment} = {excerpt(hook)}: expected a function of one argument"
            for moment in MOMENTS
            if (hook := getattr(self, moment)) is not None and not callable(hook)
        ]
        if faults:
            raise DeclarationError("Hooks", faults)


MOMENTS = tuple(one.name for one in fields(Hooks))

ELSEWHERE = ("before_cell", "before_step", "after_step")
"""What is told where cells are executed."""


def read_hooks(given: Any) -> tuple[Hooks, ...]:
    """Read what a run is given as `hooks`: one, several, or None.

    Raises `DeclarationError` for anything else.
    """
    hooks = () if given is None else (given,) if isinstance(given, Hooks) else given
    if isinstance(hooks, Iterable):
        several = tuple(hooks)
        if all(isinstance(one, Hooks) for one in several):
            return several
    raise DeclarationError("run", [f"hooks = {excerpt(given)}: expected Hooks(...), or a list of them"])


class Listeners:
    """The hooks of one run, as one process calls them.

    Args:
        hooks: what to call.
        experiment: the name that events bear.
        run_id: the run that events bear.
        moments: of which to tell.
    """

    def __init__(
        self,
        hooks: Sequence[Hooks] = (),
        experiment: str = "",
        run_id: str = "",
        moments: Iterable[str] = MOMENTS,
    ) -> None:
        self._of = hooks, experiment, run_id
        self.functions: dict[str, list[Callable[[Any], object]]] = {}
        for moment in moments:
            if listening := [hook for one in hooks if (hook := getattr(one, moment)) is not None]:
                self.functions[moment] = listening
        self._raised: set[tuple[str, int]] = set()
        self._named: dict[str, Any] = {"experiment": experiment, "run_id": run_id}
        self.steps = "before_step" in self.functions or "after_step" in self.functions

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Send only what is told elsewhere: what is told here may be bound to what cannot be sent."""
        hooks, experiment, run_id = self._of
        names = [name for name in ELSEWHERE if name in self.functions]
        sent = [Hooks(**{name: getattr(one, name) for name in names}) for one in hooks]
        return type(self), (sent, experiment, run_id, names)

    def run(self, moment: str, cells: int, **told: Any) -> None:
        """Tell of the run."""
        if moment in self.functions:
            self._tell(moment, RunEvent(cells=cells, **self._named, **told))

    def before_cell(self, treatment: str, replicate: str, seed: int) -> None:
        """Tell that a cell begins."""
        if "before_cell" in self.functions:
            event = CellEvent(treatment=treatment, replicate=replicate, seed=seed, **self._named)
            self._tell("before_cell", event)

    def after_cell(self, outcome: CellOutcome) -> None:
        """Tell what became of a cell."""
        if "after_cell" in self.functions:
            event = CellEvent(
                treatment=outcome.treatment,
                replicate=outcome.replicate,
                seed=outcome.seed,
                computed=outcome.computed,
                metrics=outcome.metrics() if outcome.failure is None else {},
                seconds=sum(outcome.records[slot].seconds for slot in outcome.computed),
                failure=outcome.failure,
                **self._named,
            )
            self._tell("after_cell", event)

    def step(self, moment: str, treatment: str, replicate: str, step: str, attempt: int, **told: Any) -> None:
        """Tell of a call."""
        if moment in self.functions:
            event = StepEvent(
                treatment=treatment, replicate=replicate, step=step, attempt=attempt, **self._named, **told
            )
            self._tell(moment, event)

    def _tell(self, moment: str, event: object) -> None:
        for number, hook in enumerate(self.functions[moment]):
            try:
                hook(event)
            except Exception:
                if (moment, number) not in self._raised:
                    self._raised.add((moment, number))
                    name = getattr(hook, "__qualname__", None) or repr(hook)
                    logger.exception("the hook %s=%s raised; the run goes on, and says so once", moment, name)
