"""What a connection says before its real protocol: a TLS handshake, a proxy's, a PROXY header.

The real protocol is built only when that is done, so it sees neither the octets nor the time; from
then on it has the connection to itself. Everything that goes wrong before is one error.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from smsgw.errors import LinkDown


class Opening(Protocol):
    """The first exchange of one connection; subclasses fill in :meth:`begin` and :meth:`take`.

    Args:
        factory: Builds the real protocol.
        clock: For the time limit.
        seconds: How long the exchange may take.

    Attributes:
        result: Fires with the real protocol once it has the connection; fails with a
            :class:`~smsgw.errors.LinkDown` that says why there is none, or with NoProtocol when
            the factory built none. Cancelling it gives the connection up.
        what: The exchange, for people.
    """

    what = "opening"

    def __init__(self, factory: IProtocolFactory, clock: IReactorTime, seconds: float) -> None:
        self._factory = factory
        self._clock = clock
        self._seconds = seconds
        self._timer: IDelayedCall | None = None
        self._inner: IProtocol | None = None
        self._over = False
        self.result: Deferred[IProtocol] = Deferred(lambda canceled: self._settle(drop=True))

    # ---- for subclasses ------------------------------------------------------------------

    def begin(self) -> None:
        """The connection is up: say the first thing, if it is ours to say."""

    def take(self, data: bytes) -> None:
        """Take what the peer says until :meth:`hand_over` or :meth:`fail`."""

    def explain(self, reason: Failure) -> Failure:
        """Return the failure to report for a connection that was lost."""
        return reason

    def hand_over(self, rest: bytes = b"", address: IAddress | None = None) -> None:
        """The exchange is done: build the real protocol and give it the connection.

        Args:
            rest: What came after the exchange.
            address: Whose connection it is; None for the peer itself.
        """
        transport: Any = self.transport
        inner = self._factory.buildProtocol(address or transport.getPeer())
        if inner is None:
            self.fail(NoProtocol())
            return
        self._inner = inner
        self._settle()
        inner.makeConnection(transport)
        self.result.callback(inner)
        if rest:
            inner.dataReceived(rest)

    def fail(self, error: Exception | Failure) -> None:
        """It cannot be: drop the connection, report why."""
        if not self._over:
            self._settle(drop=True)
            self.result.errback(error if isinstance(error, Failure) else Failure(error))

    # ---- Twisted's side ------------------------------------------------------------------

    def connectionMade(self) -> None:
        if self._over:  # given up while it was dialling
            self._drop()
            return
        self._timer = self._clock.callLater(self._seconds, self._late)
        self.begin()

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
        elif not self._over:
            self.take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = 0
        reason = self.explain(reason)
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif isinstance(reason.value, LinkDown):
            self.fail(reason)
        else:
            self.fail(LinkDown(f"{self.what}: the peer closed the connection"))

    def _late(self) -> None:
        self._timer = None
        self.fail(LinkDown(f"{self.what}: not done within {self._seconds:g} s"))

    def _settle(self, drop: bool = False) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if drop:
            self._drop()

    def _drop(self) -> None:
        transport: Any = self.transport
        if transport is not None and self.connected:
            transport.abortConnection()


class Bearing(Factory):
    """Gives a connection to its one opening; starts and stops the real factory with itself."""

    noisy = False

    def __init__(self, opening: Opening, factory: IProtocolFactory) -> None:
        self._opening = opening
        self._real = factory

    def startFactory(self) -> None:
        self._real.doStart()

    def stopFactory(self) -> None:
        self._real.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Opening:
        return self._opening


def connect_through(
    endpoint: IStreamClientEndpoint, bearing: IProtocolFactory, opening: Opening
) -> Deferred[IProtocol]:
    """Dial, let the opening do its part, and return what its ``result`` gives.

    Args:
        endpoint: Where to connect.
        bearing: A :class:`Bearing` of the opening, or what wraps one.
        opening: The exchange that comes first.
    """
    dialling = endpoint.connect(bearing)
    dialling.addErrback(opening.fail)
    opening.result.addErrback(_stop_dialling, dialling)
    return opening.result


def _stop_dialling(failure: Failure, dialling: Deferred[Any]) -> Failure:
    dialling.cancel()
    return failure
