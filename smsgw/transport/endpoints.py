"""Host and port -> Twisted endpoint, in one place for every link, listener and simulator."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint, TCP6ServerEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint

DIAL_SECONDS = 15
"""How long a connection attempt may take."""


def dial_endpoint(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
    """Where to connect: a name or an address."""
    endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, host, port, DIAL_SECONDS)
    return endpoint


def listen_endpoint(reactor: Any, host: str, port: int) -> IStreamServerEndpoint:
    """Where to listen; port 0 lets the system choose."""
    kind = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, port, interface=host)
    return endpoint
