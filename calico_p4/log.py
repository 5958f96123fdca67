"""Logging: structlog to standard error, one line an event with fields; the driver's standard output stays its own."""

import logging
import sys
from typing import Any

import structlog

QUIET = "warning"
"""What is printed where nobody said what is wanted."""


def configure(level: str = "info") -> None:
    """Set the least level that is printed. Raises ValueError for a word that is no level."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is no log level; one of debug, info, warning, error")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def get_logger() -> Any:
    """Return the program's logger."""
    if not structlog.is_configured():  # structlog's own default prints to standard output, which is not the log's
        configure(QUIET)
    return structlog.get_logger()
