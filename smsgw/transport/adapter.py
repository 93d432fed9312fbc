"""The one Twisted protocol: drives any session, in either role.

After every call into the session it does the same four things: write, re-arm one timer, hand out
events, close if closed. It knows nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from smsgw.protocols.events import Event
from smsgw.protocols.session import Role, Session

CLOSE_WITHIN = 5.0
"""Seconds a closing connection gets to take what is still to be written."""


class SessionProtocol(Protocol):
    """One connection with its session.

    Args:
        session: A fresh session.
        clock: For the one timer.
        on_events: Called with each batch of events.
        on_closed: Called once, when the connection is gone, with the reason for people.
    """

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        on_events: Callable[[SessionProtocol, list[Event]], None],
        on_closed: Callable[[SessionProtocol, str], None],
    ) -> None:
        self.session = session
        self._clock = clock
        self._on_events = on_events
        self._on_closed = on_closed
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self._soon: IDelayedCall | None = None
        self._closing: IDelayedCall | None = None
        self._gone = False

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        now = self._clock.seconds()
        self.session.connected(now)
        if self.session.role is Role.CLIENT:
            self.session.bind(now)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        self.session.receive_data(data, self._clock.seconds())
        self.flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        for call in (self._timer, self._soon, self._closing):
            if call is not None and call.active():
                call.cancel()
        self._timer = self._soon = self._closing = None
        self._gone = True
        self.session.connection_lost(self._clock.seconds())
        self.session.data_to_send()
        self._hand_out()
        self._on_closed(self, reason.getErrorMessage() if reason is not None else "")

    def unbind(self) -> None:
        """Ask the peer to end the session, or just close where nothing is bound."""
        if self.session.bound and self.session.role is Role.CLIENT:
            self.session.unbind(self._clock.seconds())
            self.flush()
        else:
            self.close()

    def close(self) -> None:
        """Close once everything is written; a peer that takes nothing is cut off soon after."""
        if self._closing is None and not self._gone and self.transport is not None:
            self.transport.loseConnection()
            self._closing = self._clock.callLater(CLOSE_WITHIN, self._give_up)

    def abort(self) -> None:
        """Drop the connection now, written or not."""
        if ITCPTransport.providedBy(self.transport) and not self._gone:
            self.transport.abortConnection()

    def flush(self) -> None:
        """Do the four things; call it after any direct use of :attr:`session`."""
        data = self.session.data_to_send()
        if data and self.transport is not None:
            self.transport.write(data)
        self._arm()
        self._hand_out()
        if self.session.closed:
            self.close()

    def flush_soon(self) -> None:
        """Flush at the end of this reactor turn, once for however many calls."""
        if self._soon is None and not self.session.closed:
            self._soon = self._clock.callLater(0, self._flush_now)

    def _flush_now(self) -> None:
        self._soon = None
        self.flush()

    def _hand_out(self) -> None:
        events = self.session.events()
        if events:
            self._on_events(self, events)

    def _arm(self) -> None:
        due = self.session.next_deadline()
        if due is None:
            return
        if self._timer is not None:
            if self._timer_at <= due:
                return  # it fires early, finds nothing due, and is set again
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._clock.callLater(max(0.0, due - self._clock.seconds()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.session.tick(self._clock.seconds())
        self.flush()

    def _give_up(self) -> None:
        self._closing = None
        self.abort()
