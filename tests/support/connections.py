"""Connections without sockets: endpoints that hand out StringTransports, driven by hand."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(ITCPTransport)
class Wire(StringTransport):
    """A StringTransport whose closing reaches the protocol, as a socket's does."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Protocol | None = None
        self.aborted = False

    def attach(self, protocol: Protocol) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def abortConnection(self) -> None:
        self.aborted = True
        self.drop()

    def drop(self) -> None:
        """The connection is gone."""
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(ConnectionDone("gone")))


class Dialled:
    """A client endpoint: each connect makes a :class:`Wire`, or fails when told to."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.refuse = False

    def connect(self, factory: IProtocolFactory) -> Deferred[Protocol]:
        if self.refuse:
            failed: Deferred[Protocol] = Deferred()
            failed.errback(Failure(ConnectionRefusedError("refused")))
            return failed
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 7890))
        wire = Wire()
        self.wires.append(wire)
        wire.attach(protocol)
        return succeed(protocol)


@implementer(IListeningPort)
class FakePort:
    """A port that stops at once."""

    listening = True

    def startListening(self) -> None: ...

    def stopListening(self) -> None:
        self.listening = False

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 7890)


class Listening:
    """A server endpoint: keeps the factory so that a test can connect to it."""

    def __init__(self) -> None:
        self.factory: IProtocolFactory | None = None
        self.port = FakePort()

    def listen(self, factory: IProtocolFactory) -> Deferred[FakePort]:
        self.factory = factory
        return succeed(self.port)

    def connect(self, host: str = "127.0.0.1") -> Wire | None:
        """A peer connects; None when it is turned away."""
        assert self.factory is not None
        protocol = self.factory.buildProtocol(IPv4Address("TCP", host, 5000))
        if protocol is None:
            return None
        wire = Wire()
        wire.attach(protocol)
        return wire


def shuttle(
    left: Wire, right: Wire, turns: int = 6, tick: Callable[[], None] = lambda: None
) -> None:
    """Carry what each side wrote to the other until both are quiet."""
    for _ in range(turns):
        tick()
        for source, target in ((left, right), (right, left)):
            data = source.value()
            source.clear()
            if data and target.protocol is not None:
                target.protocol.dataReceived(data)
