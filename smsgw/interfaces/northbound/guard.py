"""Keeps guessers of secrets slow: each login from a host that failed is looked at a while later."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from smsgw.protocols.events import Event
from smsgw.protocols.session import Session
from smsgw.protocols.states import State
from smsgw.transport.adapter import SessionProtocol

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 30.0
"""How long after a failed login the next of its host is looked at; doubled with each failure."""

FORGOTTEN_SECONDS = 600.0
HOSTS_MAX = 4096
WAITING_MAX = 8
"""Connections of a host that may wait for that; others are closed at once."""


class _Failures(NamedTuple):
    times: int
    until: float


class Guard:
    """What is known of the hosts whose logins failed.

    Args:
        clock: Its time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._failures: dict[str, _Failures] = {}  # the latest last
        self.waiting: dict[str, int] = {}

    def wait(self, host: str) -> float:
        """Return the seconds until a login from a host may be looked at; 0 when that is now."""
        known = self._failures.get(host)
        return 0.0 if known is None else max(0.0, known.until - self._clock.seconds())

    def is_full(self, host: str) -> bool:
        """Whether enough connections of a host wait."""
        return self.waiting.get(host, 0) >= WAITING_MAX

    def failed(self, host: str) -> None:
        """A login was wrong."""
        now = self._clock.seconds()
        known = self._failures.pop(host, None)
        if known is None or now - known.until > FORGOTTEN_SECONDS:
            known = _Failures(0, now)
        penalty = min(FIRST_SECONDS * 2.0**known.times, LONGEST_SECONDS)
        self._failures[host] = _Failures(known.times + 1, now + penalty)
        if len(self._failures) > HOSTS_MAX:
            del self._failures[next(iter(self._failures))]

    def succeeded(self, host: str) -> None:
        """A login was right."""
        self._failures.pop(host, None)


class Caller(SessionProtocol):
    """The connection of a customer, or of somebody who says so.

    Args:
        session: Fresh.
        clock: For timers.
        on_events: As the adapter's.
        on_closed: As the adapter's.
        host: Where it comes from.
        guard: Says how long its login waits.
    """

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        on_events: Callable[[SessionProtocol, list[Event]], None],
        on_closed: Callable[[SessionProtocol, str], None],
        host: str,
        guard: Guard,
    ) -> None:
        super().__init__(session, clock, on_events, on_closed)
        self.host = host
        self._guard = guard
        self._early = b""
        self._looked_at: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        if self.session.state is State.OPEN:
            wait = self._guard.wait(self.host)
            if wait > 0:
                self._wait(self._early + data, wait)
                return
            data, self._early = self._early + data, b""
        super().dataReceived(data)

    def connectionLost(self, reason: object = None) -> None:
        self._stop_waiting()
        super().connectionLost(reason)  # type: ignore[arg-type]

    def _wait(self, data: bytes, seconds: float) -> None:
        self._early = data
        if self._looked_at is None:
            waiting = self._guard.waiting
            waiting[self.host] = waiting.get(self.host, 0) + 1
            self._looked_at = self._clock.callLater(seconds, self._look)
            self.hold(True)

    def _look(self) -> None:
        self._stop_waiting()
        self.hold(False)
        self.dataReceived(b"")

    def _stop_waiting(self) -> None:
        if self._looked_at is None:
            return
        if self._looked_at.active():
            self._looked_at.cancel()
        self._looked_at = None
        waiting = self._guard.waiting
        waiting[self.host] -= 1
        if not waiting[self.host]:
            del waiting[self.host]
