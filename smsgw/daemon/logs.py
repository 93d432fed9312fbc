"""Logging set-up: one JSON object a line.

Every line has ``time`` (UTC), ``level``, ``from`` (the module) and ``text``; whatever else an event
carries as plain values stands beside them. Phones are masked and texts are lengths where the line
is made, so nothing here needs to know what is secret.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import IO, Any

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogFilterPredicate,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
    globalLogBeginner,
)
from zope.interface import implementer


def start_logging(out: IO[str], level: LogLevel = LogLevel.info) -> None:
    """Send every event at or above ``level`` to ``out``, but Twisted's notes about its ports."""
    wanted = LogLevelFilterPredicate(defaultLogLevel=level)
    observer = FilteringLogObserver(FileLogObserver(out, json_line), [_NoNotes(), wanted])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


@implementer(ILogFilterPredicate)
class _NoNotes:
    """Drops what libraries of old note; we say ourselves where we listen and when we end."""

    def __call__(self, event: LogEvent) -> Any:
        legacy = event.get("log_namespace") == "log_legacy"
        noted = legacy and event.get("log_level") is LogLevel.info
        return PredicateResult.no if noted else PredicateResult.maybe


def json_line(event: LogEvent) -> str:
    """One event as a JSON line."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": event["log_level"].name if event.get("log_level") is not None else "info",
        "from": event.get("log_namespace", ""),
        "text": formatEvent(event),
    }
    failure = event.get("log_failure")
    if failure is not None:
        line["failure"] = failure.getTraceback()
    for key, value in event.items():
        if not key.startswith("log_") and key not in line and isinstance(value, str | int | float):
            line[key] = value
    return json.dumps(line, ensure_ascii=False) + "\n"
