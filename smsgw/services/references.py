"""Which reference the next long message between two numbers carries."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

REFERENCES_MAX = 100_000
"""Pairs of numbers whose last long message reference is remembered."""


class References:
    """Long message references: a counter for each pair of sender number and recipient.

    A pair not seen before starts from the clock, so that a restart does not repeat the references
    of messages whose parts are still on their way. For any thread.

    Spec: text-and-long-messages.md section 3 (Reference numbers).
    """

    def __init__(self, clock: Callable[[], float], limit: int = REFERENCES_MAX) -> None:
        self._clock = clock
        self._limit = limit
        self._last: dict[tuple[str, str], int] = {}  # least recently used first
        self._lock = Lock()

    def next(self, source: str, recipient: str, width: int) -> int:
        """Return the reference of the next long message between two numbers."""
        key = (source, recipient)
        with self._lock:
            last = self._last.pop(key, None)
            number = (int(self._clock()) if last is None else last + 1) & 0xFFFF
            self._last[key] = number
            if len(self._last) > self._limit:
                del self._last[next(iter(self._last))]
        return number & ((1 << width) - 1)
