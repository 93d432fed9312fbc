"""Accepts logins: the SMG that dials us (SGIP), and the simulated gateways."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from smsgw.protocols.account import Account
from smsgw.protocols.events import Event
from smsgw.protocols.session import Session
from smsgw.transport.adapter import SessionProtocol


class PeerListener(msgspec.Struct):
    """How the gateway reaches us where it dials (SGIP).

    Attributes:
        endpoint: Where we listen.
        account: The name and password the gateway uses, and the timers.
        allow: Whether a peer's host may connect.
    """

    endpoint: IStreamServerEndpoint
    account: Account
    allow: Callable[[str], bool]


class Listener(Factory):
    """A listening port whose connections each get a session.

    Args:
        endpoint: Where to listen.
        make_session: A fresh session, in the server role, for each connection.
        clock: For timers.
        on_events: As :class:`~smsgw.transport.adapter.SessionProtocol`'s.
        on_closed: Called with each connection that ended.
        allow: Whether a peer's host may connect; others are closed at once, unanswered.
        limit: Most connections at a time.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        make_session: Callable[[], Session],
        clock: IReactorTime,
        on_events: Callable[[SessionProtocol, list[Event]], None],
        on_closed: Callable[[SessionProtocol, str], None] = lambda protocol, why: None,
        allow: Callable[[str], bool] = lambda host: True,
        limit: int = 64,
    ) -> None:
        self._endpoint = endpoint
        self._make_session = make_session
        self._clock = clock
        self._on_events = on_events
        self._on_closed = on_closed
        self._allow = allow
        self._limit = limit
        self._port: IListeningPort | None = None
        self._gone: list[Deferred[None]] = []
        self.connections: set[SessionProtocol] = set()

    @property
    def port(self) -> int | None:
        """The port listened on; None before :meth:`start`."""
        return getattr(self._port.getHost(), "port", None) if self._port is not None else None

    async def start(self) -> IListeningPort:
        """Listen.

        Raises:
            CannotListenError: The address is taken or not ours.
        """
        self._port = await self._endpoint.listen(self)
        return self._port

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._port is not None:
            port, self._port = self._port, None
            await maybeDeferred(port.stopListening)
        for protocol in list(self.connections):
            gone: Deferred[None] = Deferred()
            self._gone.append(gone)
            protocol.close()
        await DeferredList(self._gone)
        self._gone = []

    def buildProtocol(self, addr: IAddress | None) -> SessionProtocol | None:
        """Make the connection's protocol; None closes it."""
        host = getattr(addr, "host", "")
        if not self._allow(host):
            self.log.warn("{host} was turned away: it is in no network of allow", host=host)
            return None
        if len(self.connections) >= self._limit:
            self.log.warn(
                "{host} was turned away: {limit} connections are open", host=host, limit=self._limit
            )
            return None
        protocol = self.make_protocol(host)
        self.connections.add(protocol)
        return protocol

    def make_protocol(self, host: str) -> SessionProtocol:
        """Return the protocol of a connection from a host that may connect."""
        return SessionProtocol(self._make_session(), self._clock, self._on_events, self._closed)

    def _closed(self, protocol: SessionProtocol, why: str) -> None:
        self.connections.discard(protocol)
        self._on_closed(protocol, why)
        if self._gone:
            self._gone.pop().callback(None)
