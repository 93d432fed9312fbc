"""Outbound proxies: a link's connections through SOCKS5 or through HTTP's CONNECT.

The exchanges are plain Python, octets in and octets out; :class:`ProxyEndpoint` joins them to
Twisted. Names are resolved by the proxy, never here: behind one there is often no other way.

Spec: RFC 1928 (SOCKS5), RFC 1929 (its login), RFC 9110 §9.3.6 and RFC 9112 (CONNECT).
"""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import re
import struct
from collections.abc import Iterator
from typing import Literal, Protocol
from urllib.parse import quote, unquote, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from smsgw.errors import ConfigError, LinkDown
from smsgw.transport.opening import Bearing, Opening, connect_through
from smsgw.transport.tls import ascii_host

LOGIN_OCTETS_MAX = 255
"""Of a name and of a password. Spec: RFC 1929 §2."""

HEAD_OCTETS_MAX = 16 * 1024
"""A proxy's whole answer to CONNECT, until the tunnel begins."""

SHOWN_CHARACTERS = 80
HOW = 'write "socks5://host:port" or "http://host:port", with user@ before the host if it asks'

_REPLIES = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time ran out",
    7: "command not supported",
    8: "address type not supported",
}
"""Spec: RFC 1928 §6."""

_METHODS = {0x00: "no login", 0x02: "name and password"}
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-5][0-9]{2})(?: ([^\r\n]*))?")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy and what it wants to know of us.

    Attributes:
        scheme: What it speaks.
        host: Its name or address.
        port: Its port.
        user: Who we are; "" when it does not ask.
        password: The proof.
    """

    scheme: Literal["socks5", "http"]
    host: str
    port: int
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Return what ``scheme://user:password@host:port`` says.

        Raises:
            ConfigError: It is none; the text is not repeated, as it may hold a password.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port or 0
        except ValueError:
            raise ConfigError("proxy", f"is no proxy; {HOW}") from None
        if parts.scheme not in ("socks5", "http") or not host or not port:
            raise ConfigError("proxy", f"is no proxy; {HOW}")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ConfigError("proxy", f"has something after the port; {HOW}")
        return cls(
            scheme="socks5" if parts.scheme == "socks5" else "http",
            host=host,
            port=port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    def check(self) -> None:
        """Check that the login can be sent.

        Raises:
            ConfigError: It cannot.
        """
        for name, value in (("user", self.user), ("password", self.password)):
            octets = len(value.encode())
            if octets > LOGIN_OCTETS_MAX:
                raise ConfigError("proxy", f"{name}: {octets} octets, limit {LOGIN_OCTETS_MAX}")
        if self.password and not self.user:
            raise ConfigError("proxy", "has a password and no user; write user@ before the host")
        if self.scheme == "socks5" and self.user and not self.password:
            raise ConfigError("proxy", "has a user and no password; set proxy_password")
        if self.scheme == "http" and ":" in self.user:
            raise ConfigError("proxy", "has a colon in its user, which HTTP cannot send")

    def __str__(self) -> str:
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{user}{host}:{self.port}"


class Refused(Exception):
    """The proxy does not do it; the text says why."""


class Exchange(Protocol):
    """What is said to a proxy until the tunnel is open."""

    @property
    def rest(self) -> bytes | None:
        """Octets that came through the tunnel already; None until it is open."""

    def start(self) -> bytes:
        """Return the first octets to send."""

    def feed(self, data: bytes) -> bytes:
        """Take octets of the proxy; return those to send.

        Raises:
            Refused: There will be no tunnel.
        """


class Socks5:
    """RFC 1928: greeting, login if asked, CONNECT.

    Args:
        proxy: The proxy, for its login.
        host: Where to connect; a name is left to the proxy.
        port: Its port.
    """

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        self._proxy = proxy
        self._request = b"\x05\x01\x00" + _socks_address(host) + struct.pack("!H", port)
        self._buffer = b""
        self._steps = self._exchange()
        self._needs = 0
        self._out = b""
        self.rest: bytes | None = None

    def start(self) -> bytes:
        """Offer the ways to log in that we have; a login only when there is one."""
        self._needs = next(self._steps)
        return b"\x05\x02\x00\x02" if self._proxy.user else b"\x05\x01\x00"

    def feed(self, data: bytes) -> bytes:
        """Take octets of the proxy; return those to send."""
        self._buffer += data
        self._out = b""
        while self.rest is None and len(self._buffer) >= self._needs:
            try:
                self._needs = next(self._steps)
            except StopIteration:
                self.rest = self._buffer
        return self._out

    def _take(self, octets: int) -> bytes:
        taken, self._buffer = self._buffer[:octets], self._buffer[octets:]
        return taken

    def _exchange(self) -> Iterator[int]:
        """Yields how many octets must be there to go on."""
        yield 2
        version, method = self._take(2)
        if version != 5:
            raise Refused("it does not speak SOCKS5")
        if method == 2 and self._proxy.user:
            user, password = self._proxy.user.encode(), self._proxy.password.encode()
            self._out += bytes([1, len(user)]) + user + bytes([len(password)]) + password
            yield 2
            if self._take(2)[1] != 0:
                raise Refused("it refused our login")
        elif method == 0xFF or method == 2:
            asks = "it accepts none of our ways to log in"
            raise Refused(asks if self._proxy.user else f"{asks}; set a user and proxy_password")
        elif method != 0:
            raise Refused(f"it chose a way to log in that was not offered ({method:#04x})")
        self._out += self._request
        yield 5
        version, reply, _, kind, length = self._buffer[:5]
        if version != 5:
            raise Refused("it does not speak SOCKS5")
        if reply != 0:
            raise Refused(f"{_REPLIES.get(reply, 'reply')} ({reply})")
        octets = {1: 4, 3: 1 + length, 4: 16}.get(kind)
        if octets is None:
            raise Refused(f"its answer has an unknown address type ({kind})")
        yield 4 + octets + 2
        self._take(4 + octets + 2)


class Connect:
    """RFC 9110 §9.3.6: CONNECT host:port, then everything after the answer's head is the tunnel.

    Args:
        proxy: The proxy, for its login.
        host: Where to connect.
        port: Its port.
    """

    def __init__(self, proxy: Proxy, host: str, port: int) -> None:
        name = ascii_host(host)
        target = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if proxy.user:
            login = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
            lines.append(f"Proxy-Authorization: Basic {login}")
        self._request = "\r\n".join([*lines, "", ""]).encode("ascii")
        self._login = bool(proxy.user)
        self._buffer = b""
        self.rest: bytes | None = None

    def start(self) -> bytes:
        """Ask for the tunnel."""
        return self._request

    def feed(self, data: bytes) -> bytes:
        """Take octets of the proxy; there is nothing more to send."""
        self._buffer += data
        while self.rest is None:
            end = self._buffer.find(b"\r\n\r\n", 0, HEAD_OCTETS_MAX)
            if not b"HTTP/1.".startswith(self._buffer[:7]):
                raise Refused("it does not answer in HTTP/1.1")
            if end < 0:
                if len(self._buffer) >= HEAD_OCTETS_MAX:
                    raise Refused(f"its answer has no end within {HEAD_OCTETS_MAX} octets")
                break
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            if self._opened(head):
                self.rest = self._buffer
        return b""

    def _opened(self, head: bytes) -> bool:
        """Whether this is the answer, and not an interim one (1xx)."""
        line = _STATUS.fullmatch(head.split(b"\r\n", 1)[0])
        if line is None:
            raise Refused("it does not answer in HTTP/1.1")
        status = int(line[1])
        if status == 407:
            raise Refused(
                "it refused our login (407)"
                if self._login
                else "it wants a login (407); set a user and proxy_password"
            )
        if status >= 300:
            raise Refused(f"{status} {_shown(line[2] or b'')}".rstrip())
        return status >= 200


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """Dials a host through a proxy.

    Args:
        endpoint: Where the proxy listens.
        proxy: The proxy.
        host: Where it is to connect to.
        port: Its port.
        clock: For the time limit.
        seconds: How long the proxy may take.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        proxy: Proxy,
        host: str,
        port: int,
        clock: IReactorTime,
        seconds: float,
    ) -> None:
        proxy.check()
        self._kind: type[Socks5] | type[Connect] = Socks5 if proxy.scheme == "socks5" else Connect
        self._kind(proxy, host, port)  # a host that cannot be written is known now
        self._endpoint = endpoint
        self._target = (proxy, host, port)
        self._clock = clock
        self._seconds = seconds

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect; the protocol is built when the tunnel is open."""
        exchange = self._kind(*self._target)
        opening = _Tunnel(protocolFactory, self._clock, self._seconds, self._target[0], exchange)
        return connect_through(self._endpoint, Bearing(opening, protocolFactory), opening)


class _Tunnel(Opening):
    """Has one exchange with a proxy."""

    def __init__(
        self,
        factory: IProtocolFactory,
        clock: IReactorTime,
        seconds: float,
        proxy: Proxy,
        exchange: Exchange,
    ) -> None:
        super().__init__(factory, clock, seconds)
        self._exchange = exchange
        self.what = f"proxy {proxy.host}:{proxy.port}"

    def begin(self) -> None:
        assert self.transport is not None
        self.transport.write(self._exchange.start())

    def take(self, data: bytes) -> None:
        assert self.transport is not None
        try:
            answer = self._exchange.feed(data)
        except Refused as refused:
            self.fail(LinkDown(f"{self.what}: {refused}"))
            return
        if answer:
            self.transport.write(answer)
        if self._exchange.rest is not None:
            self.hand_over(self._exchange.rest)

    def fail(self, error: Exception | Failure) -> None:
        """Say that it was the proxy that could not be reached."""
        if isinstance(error, Failure) and not error.check(LinkDown):
            error = LinkDown(f"{self.what}: {error.getErrorMessage()}")
        super().fail(error)


def _socks_address(host: str) -> bytes:
    """Spec: RFC 1928 §5."""
    name = ascii_host(host)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        octets = name.encode("ascii")
        if len(octets) > 255:
            raise ConfigError("host", f"{len(octets)} octets, limit 255") from None
        return b"\x03" + bytes([len(octets)]) + octets
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


def _shown(reason: bytes) -> str:
    """A proxy's words, shortened, what cannot be shown replaced."""
    text = reason.decode("latin-1")[:SHOWN_CHARACTERS]
    return "".join(char if char.isprintable() else "?" for char in text)
