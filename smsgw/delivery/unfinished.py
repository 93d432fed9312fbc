"""What a sender still has to finish before it may be forgotten."""

from __future__ import annotations

from collections.abc import Coroutine, Sized
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.delivery.commits import log_failure


class Unfinished:
    """Work that waits for the store, and submits that wait for answers.

    Args:
        in_flight: The submits; :meth:`check` must be called when it shrinks by itself.
        reactor: Provides the limit on waiting.
        log: Where work that failed is told.
    """

    def __init__(self, in_flight: Sized, reactor: IReactorTime, log: Logger) -> None:
        self._in_flight = in_flight
        self._reactor = reactor
        self._log = log
        self._running: set[Deferred[None]] = set()
        self._idle: list[Deferred[None]] = []

    def run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Run something that nobody else waits for."""
        running = Deferred.fromCoroutine(work)
        self._running.add(running)

        def ended(outcome: Any) -> None:
            self._running.discard(running)
            log_failure(self._log, outcome)
            self.check()

        running.addBoth(ended)

    def check(self) -> None:
        """Let go who waits, if all is done."""
        if self._idle and not self._busy():
            self.let_go()

    async def wait(self, timeout: float) -> None:
        """Wait until all is done, so many seconds at most."""
        if self._busy():
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            idle.addTimeout(timeout, self._reactor)
            await idle.addErrback(_gave_up)

    def cancel(self) -> None:
        """Give up what still runs."""
        for running in list(self._running):
            running.cancel()

    def _busy(self) -> bool:
        return bool(len(self._in_flight) or self._running)

    def let_go(self) -> None:
        """Have nobody wait any longer."""
        idle, self._idle = self._idle, []
        for one in idle:
            one.callback(None)


def _gave_up(failure: Failure) -> None:
    failure.trap(TimedOut)
