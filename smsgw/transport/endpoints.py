"""Host and port -> Twisted endpoint, in one place for every link, listener and simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from smsgw.errors import ConfigError
from smsgw.transport.certificates import ClientTls, ServerTls
from smsgw.transport.proxy import Proxy, ProxyEndpoint
from smsgw.transport.proxy_protocol import HeaderFirst
from smsgw.transport.tls import TlsEndpoint, TlsFirst

DIAL_SECONDS = 15
"""How long a connection attempt may take; a proxy's exchange and a TLS handshake each as long."""

BACKLOG = 512
"""Connections that may wait for us to take them; the system may allow fewer. With few, a burst of
strangers makes honest peers wait for their second try."""


def dial_endpoint(
    reactor: Any,
    host: str,
    port: int,
    *,
    tls: ClientTls | None = None,
    proxy: Proxy | None = None,
) -> IStreamClientEndpoint:
    """Where to connect: a name or an address.

    Args:
        reactor: Sockets, names and timers.
        host: The peer's host.
        port: The peer's port.
        tls: How to secure the connection; None leaves it open.
        proxy: What to connect through; TLS then goes through its tunnel.

    Raises:
        ConfigError: The host or the proxy's login cannot be sent.
    """
    first = (proxy.host, proxy.port) if proxy is not None else (host, port)
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, *first, DIAL_SECONDS)
    if proxy is not None:
        endpoint = ProxyEndpoint(endpoint, proxy, host, port, reactor, DIAL_SECONDS)
    if tls is not None:
        endpoint = TlsEndpoint(endpoint, tls, host, reactor, DIAL_SECONDS)
    return endpoint


def listen_endpoint(
    reactor: Any,
    host: str,
    port: int,
    *,
    tls: ServerTls | None = None,
    balancers: Callable[[str], bool] | None = None,
) -> IStreamServerEndpoint:
    """Where to listen; port 0 lets the system choose.

    Args:
        reactor: Sockets and timers.
        host: Our address.
        port: Our port.
        tls: How connections are secured; None leaves them open.
        balancers: Which hosts pass connections on, each with a PROXY header; None: nobody does,
            and there is none.
    """
    kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, port, BACKLOG, interface=host)
    if tls is not None or balancers is not None:
        return _LayeredEndpoint(endpoint, reactor, tls, balancers)
    return endpoint


@implementer(IStreamServerEndpoint)
class _LayeredEndpoint:
    """Listens with what comes before the real protocol: the PROXY header, then TLS."""

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        reactor: Any,
        tls: ServerTls | None,
        balancers: Callable[[str], bool] | None,
    ) -> None:
        self._endpoint = endpoint
        self._reactor = reactor
        self._tls = tls
        self._balancers = balancers

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        factory = protocolFactory
        try:
            if self._tls is not None:
                factory = TlsFirst(factory, self._reactor, self._tls)
        except ConfigError as error:
            return fail(error)
        if self._balancers is not None:
            factory = HeaderFirst(factory, self._reactor, self._balancers)
        return self._endpoint.listen(factory)
