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

from smsgw.protocols.account import Account
from smsgw.protocols.events import BindRefused, Event, PeerBound, RefusalKind, SessionFailed
from smsgw.protocols.session import Session
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.gate import Gate, GateObserver
from smsgw.transport.tls import TLS_PROBLEM


class PeerListener(msgspec.Struct):
    """How the gateway reaches us where it dials (SGIP).

    Attributes:
        endpoint: Where we listen.
        account: The name and password the gateway uses, and the timers.
        allow: Whether a peer's host may connect.
        observer: Told of whom is turned away.
    """

    endpoint: IStreamServerEndpoint
    account: Account
    allow: Callable[[str], bool]
    observer: GateObserver | None = None


class Listener(Factory):
    """A listening port whose connections each get a session.

    Args:
        endpoint: Where to listen.
        make_session: A fresh session, in the server role, for a connection from a host.
        clock: For timers.
        on_events: As :class:`~smsgw.transport.adapter.SessionProtocol`'s.
        on_closed: Called with each connection that ended.
        gate: Decides who may connect, and learns how logins end; None lets everybody in (the
            simulator).
    """

    noisy = False

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        make_session: Callable[[str], Session],
        clock: IReactorTime,
        on_events: Callable[[SessionProtocol, list[Event]], None],
        on_closed: Callable[[SessionProtocol, str], None] = lambda protocol, why: None,
        gate: Gate | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._make_session = make_session
        self._clock = clock
        self._on_events = on_events
        self._on_closed = on_closed
        self._gate = gate
        self._port: IListeningPort | None = None
        self._gone: list[Deferred[None]] = []
        self._strangers: dict[SessionProtocol, float] = {}  # since when; who has not logged in
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
        if self._gate is not None and not self._gate.admits(host, self._spare):
            return None
        session = self._make_session(host)
        protocol = SessionProtocol(session, self._clock, self._happened, self._closed, host)
        self.connections.add(protocol)
        if self._gate is not None:
            self._strangers[protocol] = self._clock.seconds()
        return protocol

    def _spare(self) -> str | None:
        """Close the connection that has been without its login longest; return its host.

        Whoever has a login sends it at once.
        """
        if self._gate is None or not self._strangers:
            return None
        protocol = next(iter(self._strangers))
        del self._strangers[protocol]
        self.connections.discard(protocol)
        self._gate.left(protocol.host)
        protocol.abort()
        return protocol.host

    def _happened(self, protocol: SessionProtocol, events: list[Event]) -> None:
        if self._gate is not None and protocol in self._strangers:
            for event in events:
                self._learn(self._gate, protocol, event)
        self._on_events(protocol, events)

    def _learn(self, gate: Gate, protocol: SessionProtocol, event: Event) -> None:
        """Tell the gate how a login ends."""
        host, session = protocol.host, protocol.session
        if isinstance(event, PeerBound):
            self._strangers.pop(protocol, None)
            gate.succeeded(host, event.name)
        elif isinstance(event, BindRefused):
            if event.kind not in (RefusalKind.BUSY, RefusalKind.VERSION):  # nobody guesses those
                gate.failed(host, session.peer_name)
        elif isinstance(event, SessionFailed) and protocol in self._strangers:
            waited = self._clock.seconds() - self._strangers.pop(protocol)
            if waited < session.account.response_timeout:
                gate.turned_away(host, "no_login")
                gate.failed(host)
            else:
                gate.turned_away(host, "late")

    def _closed(self, protocol: SessionProtocol, why: str) -> None:
        counted = protocol in self.connections
        self.connections.discard(protocol)
        stranger = self._strangers.pop(protocol, None) is not None
        if self._gate is not None and counted:
            self._gate.left(protocol.host)
            if stranger and why.startswith(TLS_PROBLEM):
                self._gate.failed(protocol.host)
        self._on_closed(protocol, why)
        if self._gone and counted:
            self._gone.pop().callback(None)
