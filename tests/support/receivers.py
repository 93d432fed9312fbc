"""Receivers of webhooks on real sockets: good ones, and bad ones of every kind."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

Behaviour = Callable[["Wire"], None]


def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether one of the signatures is right, as the Standard Webhooks text says it is made.

    Spec: Standard Webhooks, "Verifying signatures": the signed content is the id, the timestamp
    and the body, joined by full stops; the key is what follows ``whsec_``, base64 decoded; the
    header is a space delimited list of signatures, each its version, a comma, and base64.
    """
    key = base64.b64decode(secret.split("_", 1)[1])
    content = ".".join((headers["webhook-id"], headers["webhook-timestamp"], body.decode()))
    expected = base64.b64encode(hmac.new(key, content.encode(), hashlib.sha256).digest()).decode()
    given = [one.split(",", 1) for one in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and mac == expected for version, mac in given)


class Post:
    """One POST as it came."""

    def __init__(self, line: str, headers: dict[str, str], body: bytes) -> None:
        self.line = line
        self.headers = headers
        self.body = body

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found

    @property
    def subjects(self) -> list[int]:
        return [int(event["subject_id"]) for event in self.events]


class Wire(Protocol):
    """A connection that a receiver took."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self._data = b""
        self._timers: list[IDelayedCall] = []

    def connectionMade(self) -> None:
        self.receiver.wires.append(self)
        self.receiver.connections += 1

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.receiver.wires.remove(self)
        for timer in self._timers:
            if timer.active():
                timer.cancel()

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        while True:
            head, ended, rest = self._data.partition(b"\r\n\r\n")
            if not ended:
                return
            line, *fields = head.decode("ascii").split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (f.partition(": ") for f in fields)
            }
            length = int(headers.get("content-length", "0"))
            if len(rest) < length:
                return
            self._data = rest[length:]
            self.receiver.take(self, Post(line, headers, rest[:length]))

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def hang_up(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def again(self, pause: float, fn: Callable[[], None]) -> None:
        """Call something again and again, until the connection is lost."""

        def call() -> None:
            fn()
            self._timers = [reactor.callLater(pause, call)]  # type: ignore[attr-defined]

        call()


def answer(status: int = 200, headers: str = "", body: bytes = b"ok") -> Behaviour:
    """Answer at once."""
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return lambda wire: wire.say(head.encode() + body)


def hang(wire: Wire) -> None:
    """Never answer."""


def close(wire: Wire) -> None:
    """Hang up instead of an answer."""
    wire.hang_up()


def drip_head(wire: Wire) -> None:
    """Say an octet of an endless header every now and then."""
    wire.say(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    wire.again(0.01, lambda: wire.say(b"x"))


def endless_head(wire: Wire) -> None:
    """Send headers and headers."""
    wire.say(b"HTTP/1.1 200 OK\r\n")
    wire.again(0.001, lambda: wire.say(b"X-More: " + b"x" * 8000 + b"\r\n"))


def drip_body(wire: Wire) -> None:
    """Acknowledge, and then say an octet of a long body every now and then."""
    wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
    wire.again(0.01, lambda: wire.say(b"x"))


def endless_body(wire: Wire) -> None:
    """Acknowledge, and then send without end."""
    wire.say(b"HTTP/1.1 200 OK\r\n\r\n")
    wire.again(0.001, lambda: wire.say(b"x" * 65536))


def junk(wire: Wire) -> None:
    """Say what is no HTTP."""
    wire.say(b"\x00\x01\x02SSH-2.0-what\r\n\r\n" * 10)


def trailing_junk(wire: Wire) -> None:
    """Answer, and go on talking."""
    wire.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\x00\x00" * 3)


class Receiver(Factory):
    """Listens until it is closed; use it with ``async with``.

    Args:
        behaviours: What it does with one POST after the other; the last with all further ones.

    Attributes:
        posts: What came.
        connections: How many were taken.
    """

    noisy = False

    def __init__(self, *behaviours: Behaviour) -> None:
        self.behaviours = list(behaviours or (answer(),))
        self.posts: list[Post] = []
        self.wires: list[Wire] = []
        self.connections = 0

    def buildProtocol(self, addr: object) -> Wire:
        return Wire(self)

    def take(self, wire: Wire, post: Post) -> None:
        self.posts.append(post)
        behaviours = self.behaviours
        behave = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        behave(wire)

    async def __aenter__(self) -> Receiver:
        self._port = self._listen()
        return self

    def _listen(self) -> Any:
        return reactor.listenTCP(0, self, interface="127.0.0.1")  # type: ignore[attr-defined]

    async def __aexit__(self, *exc: object) -> None:
        await self._port.stopListening()
        for wire in list(self.wires):
            wire.transport.abortConnection()  # type: ignore[union-attr]

    @property
    def port(self) -> int:
        return int(self._port.getHost().port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [post.id for post in self.posts]

    @property
    def subjects(self) -> list[int]:
        """Of every event, as often as it came."""
        return [subject for post in self.posts for subject in post.subjects]
