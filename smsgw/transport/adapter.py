"""The one Twisted protocol: drives any session, in either role.

After every call into the session it does the same four things: write, re-arm one timer, hand out
events, close if closed. It knows nothing else, except when to stop reading: a peer that sends more
than it reads, or more than we can take in, waits in its own memory and not in ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.protocols.events import Event, MoReceived, ReportReceived
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import Session
from smsgw.protocols.states import Ending, Role, State

CLOSE_WITHIN = 5.0
"""Seconds a connection that is ending gets for its unbind, and to take what is still to be written.

A peer that is alive answers an unbind in milliseconds; a stop must not wait T for one that is not.
"""

UNACKNOWLEDGED_MAX = 1000
"""Delivers and reports of one connection that may wait for our commit before we stop reading.

Carriers keep 16 to some hundreds unanswered, so only a peer that does not wait for answers, or a
database that stands still, gets here. One read of the socket (64 KiB) may add some hundred more.
"""

INBOUND = frozenset((MoReceived, ReportReceived))
"""What must be acknowledged."""


@implementer(IPushProducer)
class SessionProtocol(Protocol):
    """One connection with its session.

    It is registered with the transport as the producer of what it writes, so that it learns when
    the write buffer is full: then it reads no more until the peer has read.

    Args:
        session: A fresh session.
        clock: For the one timer.
        on_events: Called with each batch of events.
        on_closed: Called once, when the connection is gone, with the reason for people.
        host: Whose connection it is, where the peer dialled us.
    """

    def __init__(
        self,
        session: Session,
        clock: IReactorTime,
        on_events: Callable[[SessionProtocol, list[Event]], None],
        on_closed: Callable[[SessionProtocol, str], None],
        host: str = "",
    ) -> None:
        self.session = session
        self.host = host
        self._clock = clock
        self._on_events = on_events
        self._on_closed = on_closed
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self._soon: IDelayedCall | None = None
        self._ending: IDelayedCall | None = None
        self._relief: IDelayedCall | None = None
        self._closing = False
        self._gone = False
        self._unacknowledged = 0
        self._write_full = False
        self._held = False
        self._reads = True

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        now = self._clock.seconds()
        self.session.connected(now)
        if self.session.role is Role.CLIENT:
            self.session.bind(now)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        self.session.receive_data(data, self._clock.seconds())
        self.flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        for call in (self._timer, self._soon, self._ending, self._relief):
            if call is not None and call.active():
                call.cancel()
        self._timer = self._soon = self._ending = self._relief = None
        self._gone = True
        self.session.connection_lost(self._clock.seconds())
        self.session.data_to_send()
        self._hand_out()
        self._on_closed(self, reason.getErrorMessage() if reason is not None else "")

    # ---- ending --------------------------------------------------------------------------

    def unbind(self) -> None:
        """Ask the peer to end the session, or just close where nothing is bound.

        A peer that does not answer within ``CLOSE_WITHIN`` is cut off.
        """
        if self.session.bound and self.session.role is Role.CLIENT:
            self.session.unbind(self._clock.seconds())
            self._end_soon()
            self.flush()
        else:
            self.close()

    def close(self) -> None:
        """Close once everything is written; a peer that takes nothing is cut off soon after."""
        if not self._closing and not self._gone and self.transport is not None:
            self._closing = True
            if not self.session.closed:
                self.session.ending = Ending.OURS
            transport: Any = self.transport
            transport.unregisterProducer()  # a producer that waits would hold up the closing
            transport.loseConnection()
            self._end_soon()

    def abort(self) -> None:
        """Drop the connection now, written or not."""
        if ITCPTransport.providedBy(self.transport) and not self._gone:
            self.transport.abortConnection()

    def _end_soon(self) -> None:
        if self._ending is None:
            self._ending = self._clock.callLater(CLOSE_WITHIN, self._give_up)

    def _give_up(self) -> None:
        self._ending = None
        self.abort()

    # ---- the four things -----------------------------------------------------------------

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
            for event in events:
                if type(event) in INBOUND:
                    self._unacknowledged += 1
            self._on_events(self, events)
            self._steer()

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
        if self.session.state is State.UNBINDING:  # by itself: it was idle
            self._end_soon()
        self.flush()

    # ---- reading no faster than we can take in -------------------------------------------

    def acknowledge(self, token: Pdu, result: int) -> None:
        """Answer a deliver or report that ``on_events`` got, once; harmless when all is over."""
        if not self.session.closed:
            self.session.acknowledge(token, result)
            self.flush_soon()
        self._unacknowledged = max(0, self._unacknowledged - 1)
        if self._relief is not None:
            self._steer()

    def hold(self, held: bool) -> None:
        """Read nothing more, or read again: the peer has as much unanswered as it may have."""
        self._held = held
        self._steer()

    def pauseProducing(self) -> None:
        """The write buffer is full: the peer does not read."""
        self._write_full = True
        self._steer()

    def resumeProducing(self) -> None:
        """The write buffer is empty again."""
        self._write_full = False
        self._steer()

    def stopProducing(self) -> None:
        """The connection ends; :meth:`connectionLost` follows."""

    def _steer(self) -> None:
        """Read, or do not, as what waits here allows; reading resumes at half the limit."""
        limit = UNACKNOWLEDGED_MAX if self._relief is None else UNACKNOWLEDGED_MAX // 2
        overloaded = self._unacknowledged > limit
        if self._closing or self._gone:
            return
        if overloaded and self._relief is None:
            patience = self.session.account.response_timeout
            self._relief = self._clock.callLater(patience, self._relieve)
        elif not overloaded and self._relief is not None:
            self._relief.cancel()
            self._relief = None
        reads = not (overloaded or self._write_full or self._held)
        if reads is not self._reads:
            self._reads = reads
            transport: Any = self.transport
            if reads:
                transport.resumeProducing()
            else:
                transport.pauseProducing()

    def _relieve(self) -> None:
        """What was not acknowledged for T never will be (a commit failed): read on.

        The peer has given those up as well, and brings them again.
        """
        self._relief = None
        self._unacknowledged = 0
        self._steer()
