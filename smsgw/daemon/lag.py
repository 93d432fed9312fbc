"""How late the reactor is: the time everything else waits while one thing takes too long."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

EVERY_SECONDS = 0.25
"""How often it is measured."""

HALF_SECONDS = 30.0
"""The worst of the present and of the last half minute is what people are told."""


class ReactorLag:
    """Asks to be called back, and measures how much later that happens.

    Args:
        reactor: What is measured.
        lagged: Told each lag, in seconds.
        monotonic: A clock that is never set.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        lagged: Callable[[float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._lagged = lagged
        self._monotonic = monotonic
        self._call: IDelayedCall | None = None
        self._due = self._half_ends = 0.0
        self._worst = self._worst_before = 0.0

    def start(self) -> None:
        """Measure until :meth:`stop`."""
        now = self._monotonic()
        self._half_ends = now + HALF_SECONDS
        self._again(now)

    def stop(self) -> None:
        """Measure no more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def worst(self) -> float:
        """Return the longest lag of the last 30 to 60 seconds, one that lasts still included."""
        lasting = self._monotonic() - self._due if self._call is not None else 0.0
        return max(self._worst, self._worst_before, lasting)

    def _again(self, now: float) -> None:
        self._due = now + EVERY_SECONDS
        self._call = self._reactor.callLater(EVERY_SECONDS, self._called)

    def _called(self) -> None:
        now = self._monotonic()
        lag = max(0.0, now - self._due)
        self._lagged(lag)
        if now >= self._half_ends:
            self._half_ends = now + HALF_SECONDS
            self._worst_before, self._worst = self._worst, 0.0
        self._worst = max(self._worst, lag)
        self._again(now)
