"""What the process logs: one line for each event, JSON for programs or short for a person.

Every line has ``time`` (UTC), ``level``, ``event`` (its name, for programs to go by), ``from`` (the
module) and ``text``; whatever else an event carries as plain values stands beside them. Phones are
masked and texts are lengths where the line is made; here, what looks like a Chinese mobile number
all the same is masked too: a database or a library may have quoted it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
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

from smsgw.daemon.repeats import Repeats
from smsgw.daemon.sections import Section
from smsgw.daemon.settings import LogSettings
from smsgw.routing.numbers import mask

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("auto", "json", "text")

TICK_SECONDS = 5.0
"""Between two looks for what was logged again and again."""

NOTED = "library.noted"
"""The name of what a library logs: its calls name no event."""

_NUMBER = re.compile(r"(?<![0-9A-Za-z.])(?:86)?1[3-9][0-9]{9}(?![0-9A-Za-z])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def read_log(section: Section) -> LogSettings:
    """Return what ``[log]`` says."""
    settings = LogSettings(
        level=section.choice("level", LEVELS, "info"),
        form=section.choice("format", FORMATS, "auto"),
    )
    section.finish()
    return settings


def shown_log(settings: LogSettings) -> dict[str, Any]:
    """Return ``[log]``, JSON-ready."""
    return {"level": settings.level, "format": settings.form}


def start_logging(
    out: IO[str], settings: LogSettings, reactor: Any
) -> Callable[[LogSettings], None]:
    """Write what the process logs, until the reactor has stopped.

    Returns what takes another level; the form stays.

    Args:
        out: Where lines go.
        settings: From which level on, and in which form; ``auto`` is short lines on a terminal.
        reactor: Provides the timer that tells of what was logged again and again.
    """
    short = settings.form == "text" or (settings.form == "auto" and out.isatty())
    repeats = Repeats(FileLogObserver(out, text_line if short else json_line))
    level = _Level(settings)
    observer = FilteringLogObserver(repeats, [level])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)

    def tick() -> None:
        repeats.tick(time.time())
        reactor.callLater(TICK_SECONDS, tick)

    reactor.callLater(TICK_SECONDS, tick)
    reactor.addSystemEventTrigger("after", "shutdown", repeats.flush)
    return level.adopt


@implementer(ILogFilterPredicate)
class _Level:
    """Passes what is at or above a level; of what libraries only note, ports and the like, nothing
    but when it is ``debug``: we tell what matters of it."""

    def __init__(self, settings: LogSettings) -> None:
        self.adopt(settings)

    def adopt(self, settings: LogSettings) -> None:
        """Go by another level from now on."""
        self._notes = settings.level == "debug"
        self._levels = LogLevelFilterPredicate(LogLevel.lookupByName(settings.level))

    def __call__(self, event: LogEvent) -> Any:
        noted = "event" not in event and event.get("log_level") is LogLevel.info
        return PredicateResult.no if noted and not self._notes else self._levels(event)


def json_line(event: LogEvent) -> str:
    """One event as a JSON line."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": _level(event),
        "event": _name(event),
        "from": event.get("log_namespace", ""),
        "text": without_numbers(formatEvent(event)),
    }
    failure = event.get("log_failure")
    if failure is not None:
        line["failure"] = without_numbers(failure.getTraceback())
    for key, value in event.items():
        if key.startswith("log_") or key in line or key in _LEGACY:
            continue
        if isinstance(value, str):
            line[key] = without_numbers(value)
        elif isinstance(value, int | float):
            line[key] = value
    return json.dumps(line, ensure_ascii=False) + "\n"


def text_line(event: LogEvent) -> str:
    """One event as a person at a terminal reads it, with the time there."""
    at = datetime.fromtimestamp(event["log_time"]).astimezone()
    repeated = event.get("repeated")
    more = f" ({repeated} times like that within a minute)" if repeated else ""
    line = f"{at:%H:%M:%S} {_level(event):<8} {_name(event)}: {formatEvent(event)}{more}\n"
    failure = event.get("log_failure")
    whole = line if failure is None else line + failure.getTraceback()
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", without_numbers(whole))


def without_numbers(text: str) -> str:
    """Return a text in which what looks like a Chinese mobile number is masked."""
    return _NUMBER.sub(lambda found: mask(found[0]), text)


_LEGACY = frozenset(("isError", "message", "format", "system", "debug"))
"""What Twisted adds for the log it had before."""


def _level(event: LogEvent) -> str:
    level = event.get("log_level")
    return str(level.name) if level is not None else "info"


def _name(event: LogEvent) -> str:
    return str(event.get("event", NOTED))
