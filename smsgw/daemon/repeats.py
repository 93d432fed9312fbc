"""What is logged again and again is written a few times a minute, and then counted."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from threading import RLock

from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

LINES = 10
"""Lines of one kind that are written in a minute."""

MINUTE_SECONDS = 60.0

MINUTES_MAX = 1000
"""Kinds that are counted apart at a time; beyond them an event is counted whoever it is about."""

WHOSE = ("link", "customer", "webhook_id", "account", "node", "operation")
"""Fields that make events of one name different kinds. A peer's address is none of them: whoever
scans us from many addresses would have a line for each."""


@dataclass(slots=True)
class _Minute:
    started_at: float
    written: int = 0
    held_back: int = 0
    last: LogEvent | None = None


@implementer(ILogObserver)
class Repeats:
    """Passes events on, but of one kind no more than LINES a minute.

    When the minute is over, the last one held back is passed on for all of them, with ``repeated``:
    how many they were. May be called by any thread; a kind is a name and whom it is about.

    Args:
        then: Where to.
    """

    def __init__(self, then: ILogObserver) -> None:
        self._then = then
        self._minutes: dict[Hashable, _Minute] = {}
        self._lock = RLock()

    def __call__(self, event: LogEvent) -> None:
        now: float = event["log_time"]
        with self._lock:
            minute = self._minute(event, now)
            if minute.written < LINES:
                minute.written += 1
                self._then(event)
            else:
                minute.held_back += 1
                minute.last = event

    def tick(self, now: float) -> None:
        """Pass on what was held back and whose minute is over.

        Args:
            now: Seconds since the epoch, as events have them.
        """
        with self._lock:
            over = [key for key, one in self._minutes.items() if _is_over(one, now)]
            for key in over:
                self._end(self._minutes.pop(key))

    def flush(self) -> None:
        """Pass on all that was held back, since the process ends."""
        self.tick(float("inf"))

    def _minute(self, event: LogEvent, now: float) -> _Minute:
        name = event.get("event", event.get("log_namespace"))
        key: Hashable = (name, *(str(event.get(field)) for field in WHOSE))
        found = self._minutes.get(key)
        if found is not None and _is_over(found, now):
            self._end(self._minutes.pop(key))
            found = None
        if found is None and len(self._minutes) >= MINUTES_MAX:
            self.tick(now)
            if len(self._minutes) >= MINUTES_MAX:
                key = name
        return self._minutes.setdefault(key, _Minute(now)) if found is None else found

    def _end(self, minute: _Minute) -> None:
        if minute.last is not None:
            self._then({**minute.last, "repeated": minute.held_back})


def _is_over(minute: _Minute, now: float) -> bool:
    """Whether it began a minute ago, or, by a clock that was set back, has not begun."""
    return not minute.started_at <= now < minute.started_at + MINUTE_SECONDS
