"""Tiny proxies on 127.0.0.1: SOCKS5 and HTTP's CONNECT, just enough to be dialled through."""

from __future__ import annotations

import base64
import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from smsgw.transport.endpoints import listen_endpoint


class _Far(Protocol):
    """The connection to where the client wanted to go."""

    def __init__(self, near: _Near) -> None:
        self.near = near

    def dataReceived(self, data: bytes) -> None:
        assert self.near.transport is not None
        self.near.transport.write(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        assert self.near.transport is not None
        self.near.transport.loseConnection()


class _Near(Protocol):
    """The client's connection."""

    factory: TinyProxy  # type: ignore[assignment]

    def __init__(self) -> None:
        self.buffer = b""
        self.far: _Far | None = None
        self.greeted = False

    def connectionMade(self) -> None:
        self.factory.open.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self.far is not None and self.far.transport is not None:
            self.far.transport.write(data)
            return
        self.buffer += data
        if not self.factory.silent:
            self.step()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.factory.open.discard(self)
        if self.far is not None and self.far.transport is not None:
            self.far.transport.loseConnection()

    def step(self) -> None:
        raise NotImplementedError

    def say(self, octets: bytes) -> None:
        assert self.transport is not None
        self.transport.write(octets)

    def join(self, host: str, port: int, answer: bytes) -> None:
        self.factory.asked.append((host, port))
        far = _Far(self)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)

        def joined(_: Any) -> None:
            self.far = far
            self.say(answer)

        connectProtocol(endpoint, far).addCallback(joined)


class _Socks(_Near):
    def step(self) -> None:
        login = self.factory.login
        if not self.greeted:
            self.greeted = True
            methods = self.buffer[2 : 2 + self.buffer[1]]
            self.buffer = b""
            wanted = 2 if login else 0
            self.say(bytes([5, wanted if wanted in methods else 0xFF]))
        elif self.buffer[0] == 1:
            length = self.buffer[1]
            user, password = self.buffer[2 : 2 + length], self.buffer[3 + length :]
            self.buffer = b""
            assert login is not None
            self.say(bytes([1, (user, password) != (login[0].encode(), login[1].encode())]))
        else:
            kind, length = self.buffer[3], self.buffer[4]
            host = (
                self.buffer[5 : 5 + length].decode()
                if kind == 3
                else ".".join(map(str, self.buffer[4:8]))
            )
            (port,) = struct.unpack("!H", self.buffer[-2:])
            if self.factory.refuses:
                self.say(b"\x05\x02\x00\x01" + bytes(6))
            else:
                self.join(host, port, b"\x05\x00\x00\x01" + bytes(6))


class _Connect(_Near):
    def step(self) -> None:
        if not self.buffer.endswith(b"\r\n\r\n"):
            return
        lines = self.buffer.decode().split("\r\n")
        host, _, port = lines[0].split(" ")[1].rpartition(":")
        login = self.factory.login
        if login is not None:
            said = base64.b64encode(":".join(login).encode()).decode()
            if f"Proxy-Authorization: Basic {said}" not in lines:
                self.say(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
        if self.factory.refuses:
            self.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        else:
            self.join(host, int(port), b"HTTP/1.1 200 Connection established\r\n\r\n")


class TinyProxy(Factory):
    """A proxy.

    Args:
        scheme: ``socks5`` or ``http``.
        login: User and password it wants.
        refuses: Whether it refuses to connect anywhere.
        silent: Whether it never says anything.

    Attributes:
        asked: Where clients wanted to go; it always connects to 127.0.0.1.
        open: Connections of clients.
    """

    noisy = False

    def __init__(
        self,
        scheme: str,
        login: tuple[str, str] | None = None,
        refuses: bool = False,
        silent: bool = False,
    ) -> None:
        self.kind = _Socks if scheme == "socks5" else _Connect
        self.login = login
        self.refuses = refuses
        self.silent = silent
        self.asked: list[tuple[str, int]] = []
        self.open: set[_Near] = set()
        self._port: IListeningPort | None = None

    def buildProtocol(self, addr: IAddress | None) -> _Near:
        protocol = self.kind()
        protocol.factory = self
        return protocol

    async def start(self) -> int:
        self._port = await listen_endpoint(reactor, "127.0.0.1", 0).listen(self)
        port: int = self._port.getHost().port  # type: ignore[attr-defined]
        return port

    async def stop(self) -> None:
        assert self._port is not None
        await self._port.stopListening()
        for near in list(self.open):
            near.transport.abortConnection()  # type: ignore[union-attr]
