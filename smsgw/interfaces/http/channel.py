"""One HTTP connection: how long a request may take to arrive, and which ones are not taken at all.

twisted.web gives up a connection that is silent; one that says an octet now and then it would keep
for ever. And it takes what a proxy before us may read in another way, which lets a caller smuggle a
second request into a body: folded headers, codings besides chunked, lengths that are no length.

Spec: RFC 9112 sections 3.2 (Host), 5.2 (obs-fold), 6.1 and 6.3 (Transfer-Encoding, Content-Length).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from smsgw.transport.gate import Gate

HEADERS_SECONDS = 20.0
"""How long a request's headers may take, a connection's first octet and TLS handshake included."""

BODY_SECONDS = 60.0
"""How long its body may take after that."""

CLOSING_SECONDS = 5.0
"""How long the other side gets to close once we do."""

LENGTH_DIGITS_MAX = 18
"""Of a Content-Length; Python refuses to read much longer numbers."""

BODIES_OCTETS_MAX = 64 * 1024 * 1024
"""What the bodies on their way may hold together, over all connections."""

_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_BAD = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Shared:
    """What the connections of a port have together.

    Attributes:
        octets: What the bodies on their way hold.
        waiting: The connections no whole request has come over, or none since the last answer; who
            waits longest first.
    """

    def __init__(self) -> None:
        self.octets = 0
        self.waiting: dict[ApiChannel, None] = {}

    def spare(self) -> str | None:
        """Close the connection that waits longest, and return its host; None without any.

        Whoever has a request to make sends it at once, so it is a stranger's, or an idle one.
        """
        if not self.waiting:
            return None
        channel = next(iter(self.waiting))
        channel.make_room()
        return channel.host

    def take(self, octets: int) -> bool:
        """Count so many more, unless there is no room for them."""
        if self.octets + octets > BODIES_OCTETS_MAX:
            return False
        self.octets += octets
        return True


class ApiChannel(HTTPChannel):
    """A connection of the API.

    Attributes:
        shared: What it shares with those of its port.
        gate: Told when it is over; None for a Unix socket.
        host: Where it comes from.
    """

    shared: Shared
    gate: Gate | None = None
    host = ""
    transport: Any

    def __init__(self) -> None:
        channel: Any = super()
        channel.__init__()
        self._due: IDelayedCall | None = None
        self._next: IDelayedCall | None = None
        self._at_work = False  # a whole request is here and not answered yet
        self._closing = False
        self._held = 0

    def hold(self, octets: int) -> bool:
        """Whether there is room for so many octets of the body that comes now; counts them."""
        if not self.shared.take(octets):
            return False
        self._held += octets
        return True

    def let_go(self) -> None:
        """Nothing of a body is kept here any more."""
        self.shared.octets -= self._held
        self._held = 0

    def make_room(self) -> None:
        """Close at once: another connection is worth more."""
        self._leave()
        self._closing = True
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        channel: Any = super()
        channel.connectionMade()
        self._wait()
        self._give(HEADERS_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        if self._due is None and not self._at_work:
            self._give(HEADERS_SECONDS)
        channel: Any = super()
        channel.dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        if self._closing:
            return
        if line[:1] in (b" ", b"\t"):
            self._refuse()
            return
        channel: Any = super()
        channel.lineReceived(line)

    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        no_length = name == b"content-length" and len(value) > LENGTH_DIGITS_MAX
        coded = name == b"transfer-encoding" and value.lower() != b"chunked"
        again = name == b"host" and self.requests[-1].requestHeaders.hasHeader(name)
        if no_length or coded or again:
            self._refuse()
            return False
        channel: Any = super()
        return bool(channel.headerReceived(line))

    def allHeadersReceived(self) -> None:
        self._give(BODY_SECONDS)
        channel: Any = super()
        channel.allHeadersReceived()

    def allContentReceived(self) -> None:
        self._give(None)
        self._at_work = True
        self.shared.waiting.pop(self, None)
        channel: Any = super()
        channel.allContentReceived()

    def requestDone(self, request: Any) -> None:
        """Go on to the next request, where one is here already, a turn later.

        And not before what was answered is written: a caller that sends requests and reads no
        answers would have us keep thousands of those at once.
        """
        self._at_work = False
        self._wait()
        self.let_go()
        self.paused = True
        channel: Any = super()
        channel.requestDone(request)
        if self._buffer:
            self._networkProducer.pauseProducing()
            self._go_on()
        else:
            self.paused = False

    def resumeProducing(self) -> None:
        """What was written is on its way."""
        channel: Any = super()
        channel.resumeProducing()
        if self.paused:
            self._networkProducer.pauseProducing()
            self._go_on()

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line has more than 16 KiB."""
        self._refuse()

    def timeoutConnection(self) -> None:
        """It was silent for too long."""
        self._close()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._give(None)
        self.let_go()
        if self._next is not None:
            self._next.cancel()
        self._leave()
        channel: Any = super()
        channel.connectionLost(reason)

    # ---- inside --------------------------------------------------------------------------

    def _wait(self) -> None:
        if self.gate is not None:  # which counts it
            self.shared.waiting[self] = None

    def _leave(self) -> None:
        self.shared.waiting.pop(self, None)
        if self.gate is not None:
            gate, self.gate = self.gate, None
            gate.left(self.host)

    def _go_on(self) -> None:
        if self._next is None and not self._waitingForTransport:
            channel: Any = self
            self._next = channel.callLater(0, self._go_on_now)

    def _go_on_now(self) -> None:
        self._next, self.paused = None, False
        if not self._closing:
            self._networkProducer.resumeProducing()
            self.dataReceived(b"")

    def _give(self, seconds: float | None) -> None:
        """Give the next thing so many seconds; None for no limit."""
        if self._due is not None and self._due.active():
            self._due.cancel()
        channel: Any = self
        self._due = None if seconds is None else channel.callLater(seconds, self._late)

    def _late(self) -> None:
        if self.gate is not None:
            self.gate.turned_away(self.host, "late")
        self.transport.write(_LATE)
        self._close()

    def _refuse(self) -> None:
        self.transport.write(_BAD)
        self._close()

    def _close(self) -> None:
        """Close; who does not take part in that is cut off soon after."""
        self._closing = True
        self._give(None)
        channel: Any = self
        self._due = channel.callLater(CLOSING_SECONDS, self.transport.abortConnection)
        channel.loseConnection()
