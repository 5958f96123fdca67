"""Logging: structlog to standard error, one line an event with fields; the driver's standard output stays its own.

JSON where lines are collected, key=value on a terminal. While a stream is worked on, every line says how far: frame and sequence number.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

QUIET = "warning"
"""What is printed where nobody said what is wanted."""
_place: dict[str, int] = {}


def configure(level: str = "info", form: str = "text") -> None:
    """Set the least level that is printed, and how: json, text, or auto (text on a terminal). Raises ValueError for a word that is no level."""
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is no log level; one of debug, info, warning, error")
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]) if text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_place,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def at(frame: int, sequence_number: int | None = None) -> None:
    """From now on, lines say that this frame is being worked on, or was the last."""
    _place["frame"] = frame
    if sequence_number is not None:
        _place["sequence_number"] = sequence_number


def nowhere() -> None:
    """From now on, lines say nothing of a stream."""
    _place.clear()


def _add_place(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in _place.items():
        event.setdefault(name, value)
    return event


def get_logger() -> Any:
    """Return the program's logger."""
    if not structlog.is_configured():  # structlog's own default prints to standard output, which is not the log's
        configure(QUIET)
    return structlog.get_logger()
