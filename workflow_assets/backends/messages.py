"""Messages: what is logged in a worker, handled in the run's own process."""

from __future__ import annotations

import logging


def levels() -> dict[str, int]:
    """Give the levels that are set for loggers here, so that a worker logs what is handled."""
    loggers = {"": logging.getLogger(), **logging.Logger.manager.loggerDict}
    return {
        name: logger.level
        for name, logger in loggers.items()
        if isinstance(logger, logging.Logger) and (logger.level or not name)
    }


def handle(record: logging.LogRecord) -> None:
    """Log here what was logged in a worker."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
