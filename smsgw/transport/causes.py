"""Why a link sends no faster: one cause at a time, and how long each has held it up."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

SLOW_ANSWER_SECONDS = 1.0
"""Answers slower than this are named as the cause when they keep the window full."""


class Cause(enum.StrEnum):
    """What keeps a link from sending more now."""

    NOTHING = "nothing to send"
    NOT_BOUND = "not bound"
    THROTTLED = "throttled"
    RATE = "rate limit"
    STORE = "waiting for the store"
    WINDOW = "window full"
    LATENCY = "remote latency"


class Limit(NamedTuple):
    """A cause, and what there is to say about it.

    Attributes:
        cause: Which.
        detail: For people: the connector's reason, the rate in force, the time answers take.
    """

    cause: Cause
    detail: str = ""

    def state(self) -> dict[str, str]:
        """Cause and detail, JSON-ready."""
        return {"cause": self.cause.value, "detail": self.detail}


def full_window(answer_seconds: float) -> Limit:
    """Return why a full window is full: it is small, or the peer is slow."""
    if answer_seconds < SLOW_ANSWER_SECONDS:
        return Limit(Cause.WINDOW)
    return Limit(Cause.LATENCY, f"answers take {answer_seconds:.1f} s")


class LimitedTime:
    """Adds up how long each cause held a link up; touched only when the cause changes.

    Args:
        now: The present time.
    """

    __slots__ = ("_cause", "_seconds", "_since")

    def __init__(self, now: float) -> None:
        self._cause = Cause.NOTHING
        self._since = now
        self._seconds = dict.fromkeys(Cause, 0.0)

    def become(self, cause: Cause, now: float) -> None:
        """This holds it up from now on."""
        if cause is not self._cause:
            self._count(now)
            self._cause = cause

    def seconds(self, now: float) -> Mapping[str, float]:
        """Return the seconds by cause, the present one counted up to now."""
        self._count(now)
        return {cause.value: seconds for cause, seconds in self._seconds.items()}

    def _count(self, now: float) -> None:
        self._seconds[self._cause] += max(0.0, now - self._since)
        self._since = now
