"""What a run tells Dagster's log while it goes on: how far it is, and what steps log."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.log_manager import DagsterLogHandler

from workflow_assets.orchestration.events import MaterializationLog
from workflow_assets.outcomes import CellOutcome, Failure
from workflow_assets.progress import Log

_LEVELS = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO)
"""Those that Dagster knows, but `DEBUG`, which is for the rest."""


def followed(
    context: dg.AssetExecutionContext, outcomes: Iterable[CellOutcome], log: MaterializationLog, cells: int
) -> Iterator[CellOutcome]:
    """Tell Dagster of cells as they are done: events, failures, now and then how far the run is."""
    progress = Log(context.log.info, cells)
    with forwarded(context.log):
        try:
            for outcome in outcomes:
                log.add(outcome)
                progress.add(outcome)
                if outcome.failure is not None:
                    _log_failure(context, outcome.failure)
                yield outcome
        finally:
            log.write()
            progress.close()


def _log_failure(context: dg.AssetExecutionContext, failure: Failure) -> None:
    context.log.error("%s × %s failed\n%s", failure.treatment, failure.replicate, failure.traceback)


@contextmanager
def forwarded(log: logging.Logger, place: str = "{treatment} × {replicate}, {step}: ") -> Iterator[None]:
    """Let what steps say with ``ctx.log``, and what the engine says, stand in the run's log, with the place of a step.

    An instance that captures Python's loggers (``managed_python_loggers``) has it there already.
    """
    ours = logging.getLogger("workflow_assets")
    if any(isinstance(one, DagsterLogHandler) for one in (*ours.handlers, *logging.getLogger().handlers)):
        yield
        return
    handler, level = _Forwarder(log, place), ours.level
    ours.addHandler(handler)
    if ours.getEffectiveLevel() > logging.INFO:
        ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        ours.removeHandler(handler)


class _Forwarder(logging.Handler):
    def __init__(self, log: logging.Logger, place: str) -> None:
        super().__init__()
        self._log = log
        self._place = place

    def emit(self, record: logging.LogRecord) -> None:
        said: dict[str, Any] = record.__dict__
        place = self._place.format(**said) if "replicate" in said else ""
        level = next((known for known in _LEVELS if known <= record.levelno), logging.DEBUG)
        self._log.log(level, "%s%s", place, self.format(record))
