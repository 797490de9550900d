"""Echoes: that steps begin and end, heard in the process of the run, wherever they are executed.

Workers send what is logged to the run's own process. So hooks that log where the steps are executed are heard there,
and nothing else has to connect the two.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from workflow_assets.errors import message_of
from workflow_assets.hooks import Hooks, StepEvent

logger = logging.getLogger(__name__)

_ECHO = "workflow_assets_echo"
"""The attribute of a log record that holds an echo."""


class Echo(NamedTuple):
    """A call of a step begins, or has ended.

    Args:
        run_id: the run.
        step: its name.
        attempt: 1, or more where the step has `retries`.
        seconds: that the call took; None where it begins.
        kind: of the exception that it raised; "" for none.
        message: of the exception.
    """

    run_id: str
    step: str
    attempt: int
    seconds: float | None = None
    kind: str = ""
    message: str = ""


def echoing() -> Hooks:
    """Give the hooks that are to be heard."""
    return Hooks(before_step=_begins, after_step=_ends)


def _begins(event: StepEvent) -> None:
    _log(Echo(event.run_id, event.step, event.attempt))


def _ends(event: StepEvent) -> None:
    echo = Echo(event.run_id, event.step, event.attempt, event.seconds)
    if event.error is not None:
        echo = echo._replace(kind=type(event.error).__qualname__, message=message_of(event.error))
    _log(echo)


def _log(echo: Echo) -> None:
    logger.info("%s", echo.step, extra={_ECHO: echo})


class Listener(logging.Handler):
    """Hands on what is heard of one run, with the moment at which it was said; from whichever thread.

    Args:
        run_id: the run.
        heard: what is told.
    """

    def __init__(self, run_id: str, heard: Callable[[Echo, float], object]) -> None:
        super().__init__()
        self._run_id = run_id
        self._heard = heard

    def __enter__(self) -> Self:
        """Listen."""
        logger.propagate = False  # here alone: in a worker it goes the way of all that is logged
        logger.setLevel(logging.INFO)  # which workers are told
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Hear."""
        echo: Any = getattr(record, _ECHO, None)
        if isinstance(echo, Echo) and echo.run_id == self._run_id:
            self._heard(echo, record.created)
