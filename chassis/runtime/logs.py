"""Logs: one JSON object a line, with the trace it belongs to."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from chassis.runtime.telemetry import current_traceparent


def _with_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    traceparent = current_traceparent.get()
    if traceparent:
        event["trace_id"] = traceparent.split("-")[1]
    return event


def set_up_logs(level: str) -> None:
    """Sends logs to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _with_trace,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
