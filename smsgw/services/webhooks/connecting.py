"""Connections to receivers: to an address that was checked, and for answers of a limited size."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from smsgw.errors import SmsgwError
from smsgw.services.webhooks.addresses import Rules
from smsgw.transport.certificates import Contexts
from smsgw.transport.tls import ClientTls, TlsEndpoint

ANSWER_OCTETS_MAX = 65536
"""What a receiver may send for one POST, headers and all; more ends the connection."""

ADDRESSES_MAX = 4
"""Addresses of one name that are tried, one after the other."""


class Forbidden(SmsgwError):
    """The address is none that we call."""


def addresses_of(host: str) -> list[str]:
    """Ask the system for a host's addresses; blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@implementer(IAgentEndpointFactory)
class Endpoints:
    """Endpoints that look a name up, check what it means, and connect to that."""

    def __init__(
        self,
        reactor: Any,
        rules: Rules,
        tls: ClientTls,
        seconds: float,
        lookup: Callable[[str], Deferred[list[str]]],
    ) -> None:
        self.reactor = reactor
        self.rules = rules
        self.seconds = seconds
        self.contexts = Contexts(tls)
        self._tls = tls
        self._lookup = lookup

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        scheme, host = uri.scheme.decode(), uri.host.decode().strip("[]")
        endpoint: IStreamClientEndpoint = _Checked(self, scheme, host, uri.port)
        if scheme == "https":
            tls = TlsEndpoint(endpoint, self._tls, host, self.reactor, self.seconds, self.contexts)
            endpoint = tls
        return _Metered(endpoint)

    async def resolve(self, scheme: str, host: str) -> list[str]:
        """Return the addresses of a host that may be called.

        Raises:
            Forbidden: None of them may be.
            OSError: It has none.
        """
        name = "" if _is_literal(host) else host
        found = await self._lookup(host) if name else [host]
        problems = {address: self.rules.problem(address, scheme, name) for address in found}
        allowed = [address for address, problem in problems.items() if not problem]
        if not allowed:
            raise Forbidden(next(iter(problems.values()), f"{host} has no address"))
        return allowed[:ADDRESSES_MAX]


def _is_literal(host: str) -> bool:
    return ":" in host or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", host) is not None


@implementer(IStreamClientEndpoint)
class _Checked:
    """Connects to the first address of a host that may be called and answers."""

    def __init__(self, endpoints: Endpoints, scheme: str, host: str, port: int) -> None:
        self._endpoints = endpoints
        self._scheme = scheme
        self._host = host
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        reactor, seconds = self._endpoints.reactor, self._endpoints.seconds
        addresses = await self._endpoints.resolve(self._scheme, self._host)
        while True:
            address = addresses.pop(0)
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            # With others left, one that does not answer leaves them time.
            patience = seconds / (len(addresses) + 1)
            try:
                return await kind(reactor, address, self._port, patience).connect(factory)
            except (CancelledError, ConnectingCancelledError):
                raise
            except Exception:
                if not addresses:
                    raise


# ---- how much --------------------------------------------------------------------------------


class _MeteredProtocol(ProtocolWrapper):
    """Ends a connection whose peer sends more for one POST than an answer needs.

    It ends at once: a peer that goes on sending is not waited for.
    """

    _octets = 0

    def write(self, data: bytes) -> None:
        self._octets = 0
        super().write(data)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        self._octets += len(data)
        if self._octets > ANSWER_OCTETS_MAX:
            self.loseConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def loseConnection(self) -> None:
        self.disconnecting = 1
        transport: Any = self.transport
        transport.abortConnection()


class _MeteredFactory(WrappingFactory):
    protocol = _MeteredProtocol
    noisy = False


@implementer(IStreamClientEndpoint)
class _Metered:
    """Measures what comes back on the connections of another endpoint."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[Any] = self._endpoint.connect(_metered(protocolFactory))
        return connected.addCallback(_wrapped)


def _metered(factory: IProtocolFactory) -> IProtocolFactory:
    return _MeteredFactory(factory)  # type: ignore[no-untyped-call]


def _wrapped(wrapper: ProtocolWrapper) -> IProtocol:
    inner: IProtocol = wrapper.wrappedProtocol
    return inner
