"""HTTP as octets: what a client library would never send."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from tests.support.reactor import until


class RawHttp(Protocol):
    """One connection; it keeps what it is told.

    Attributes:
        received: Every octet of the other side.
        lost: Whether the connection is gone.
    """

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = True

    def say(self, octets: bytes) -> None:
        transport: Any = self.transport
        transport.write(octets)

    def drop(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()

    @property
    def statuses(self) -> list[int]:
        """The status of each answer that came."""
        lines = self.received.split(b"HTTP/1.1 ")[1:]
        return [int(line[:3]) for line in lines]


async def connect(port: int, host: str = "127.0.0.1") -> RawHttp:
    """Connect to 127.0.0.1, from an address of this machine."""
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port, bindAddress=(host, 0))
    return await connectProtocol(endpoint, RawHttp())


async def exchange(port: int, octets: bytes) -> RawHttp:
    """Say something, and wait until the other side closes."""
    peer = await connect(port)
    peer.say(octets)
    await until(lambda: peer.lost)
    return peer
