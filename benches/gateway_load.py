"""The other process of gateway.py, sockets side: an epoll loop, HTTP clients, what was seen.

No Twisted and nothing of smsgw: packed by hand and in batches, so that a message costs this process
a microsecond or two and the gateway is what is measured.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

HOST = "127.0.0.1"
READ_OCTETS = 1 << 18
REST_SECONDS = 0.01
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")

PREFIXES = (134, 135, 136, 137, 138, 139, 150, 151, 152, 157, 158, 159, 182, 183, 184, 187, 188)
TEXT = "您有一条新的审批请求，请回复同意或不同意并说明理由。编号" * 3


def recipients(count: int) -> list[tuple[str, str]]:
    """Return phone numbers, each once, and a text of 70 characters of its own for each."""
    if count > 10_000 * len(PREFIXES):
        raise SystemExit(f"{count} messages at a time: at most {10_000 * len(PREFIXES) // 2}")
    return [
        (f"{PREFIXES[n // 10_000]}0000{n % 10_000:04d}", f"{n:06d}{TEXT[:64]}")
        for n in range(count)
    ]


class Ledger:
    """What was asked for and what came back, counted and timed.

    Attributes:
        issued: Messages in requests written, less those of refused requests.
        acked: Numbers of the reports whose answer came: durable at the gateway by its promise.
        accepted: Bodies of the answers that accepted, when they are kept.
        accepts: Seconds from a request to its answer.
        sents: Seconds from a request to the carrier's receiving the submit of each message in it.
        started: When each request of the pool was written, or was due.
    """

    def __init__(self, batch: int, numbers: Sequence[str], keep: bool) -> None:
        self.issued = 0
        self.refused = 0
        self.submits = 0
        self.acked: list[int] = []
        self.accepted: list[bytes] = []
        self.keep = keep
        self.accepts: list[float] = []
        self.sents: list[float] = []
        self.batch = batch
        self.started = [0.0] * (len(numbers) // batch)
        self.request_of = {number.encode(): n // batch for n, number in enumerate(numbers)}

    @property
    def in_flight(self) -> int:
        return self.issued - len(self.acked)

    def forget_times(self) -> None:
        self.accepts.clear()
        self.sents.clear()


class Stream:
    """One connection. ``received`` gets what came; what it returns is written."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loop = loop
        self.sock = sock
        self.rest = b""
        self.unsent = bytearray()
        loop.add(sock, self.ready)

    def received(self, data: bytes, now: float) -> bytes:
        raise NotImplementedError

    def lost(self) -> None:
        self.loop.remove(self.sock)

    def ready(self, mask: int, now: float) -> None:
        if mask & select.EPOLLOUT:
            unsent, self.unsent = self.unsent, bytearray()
            self.loop.poller.modify(self.sock, select.EPOLLIN)
            self.write(unsent)
        if mask & ~select.EPOLLOUT:
            buffer = self.loop.buffer
            try:
                octets = self.sock.recv_into(buffer)
            except BlockingIOError:
                return
            except OSError:
                octets = 0
            data = bytes(buffer[:octets])
            if not data:
                self.lost()
                return
            out = self.received(self.rest + data if self.rest else data, now)
            if out:
                self.write(out)

    def write(self, data: bytes | bytearray) -> None:
        if self.unsent:
            self.unsent += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the read that follows tells
        if sent < len(data):
            self.unsent = bytearray(data[sent:])
            self.loop.poller.modify(self.sock, select.EPOLLIN | select.EPOLLOUT)


class Loop:
    """Epoll, streams with something to say later, and one function called every turn."""

    def __init__(self) -> None:
        self.poller = select.epoll()
        self.buffer = memoryview(bytearray(READ_OCTETS))
        self.sockets: dict[int, socket.socket] = {}
        self.ready: dict[int, Callable[[int, float], None]] = {}
        self.later: deque[tuple[float, Stream, bytes]] = deque()
        self.each_turn: Callable[[float], float] = lambda now: 1.0

    def add(self, sock: socket.socket, ready: Callable[[int, float], None]) -> None:
        self.sockets[sock.fileno()] = sock
        self.ready[sock.fileno()] = ready
        self.poller.register(sock, select.EPOLLIN)

    def remove(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            del self.ready[sock.fileno()], self.sockets[sock.fileno()]
            self.poller.unregister(sock)
            sock.close()

    def run(self, until: Callable[[], bool], seconds: float) -> None:
        """Turn until ``until()`` or for ``seconds``."""
        end = time.perf_counter() + seconds
        while (now := time.perf_counter()) < end and not until():
            wait = min(self.each_turn(now), end - now)
            if self.later:
                wait = min(wait, self.later[0][0] - now)
            events = self.poller.poll(0)
            if not events and wait > 0:
                select.select([self.poller], [], [], wait)  # epoll counts in milliseconds
                events = self.poller.poll(0)
            ready = self.ready
            for descriptor, mask in events:
                handler = ready.get(descriptor)
                if handler is not None:
                    handler(mask, time.perf_counter())
            self.say()

    def say(self) -> None:
        later, now = self.later, time.perf_counter()
        while later and later[0][0] <= now:
            _, stream, data = later.popleft()
            stream.write(data)

    def close(self) -> None:
        for sock in list(self.sockets.values()):
            self.remove(sock)
        self.poller.close()


class Client(Stream):
    """A keep-alive HTTP connection with at most one request on it."""

    def __init__(self, load: Load, port: int) -> None:
        self.load = load
        self.port = port
        self.began = 0.0
        super().__init__(load.loop, socket.create_connection((HOST, port)))

    def ask(self, request: bytes, began: float) -> None:
        self.began = began
        self.write(request)

    def received(self, data: bytes, now: float) -> bytes:
        self.rest = data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return b""
        length = LENGTH.search(data, 0, end)
        octets = int(length[1]) if length else 0
        if len(data) < end + 4 + octets:
            return b""
        self.rest = b""
        self.load.answered(self, data[9:12], data[end + 4 :], now)
        if b"connection: close" in data[:end].lower():
            self.lost()
        return b""

    def lost(self) -> None:
        super().lost()
        self.load.reconnect(self)


class Load:
    """Writes prebuilt requests: as soon as there is room (closed loop), or on time (open loop).

    Args:
        ports: Where the gateway listens; connections are shared out among them.
        in_flight: The most messages without an acknowledged report.
        rate: Messages a second that are due; 0 is the closed loop.
    """

    def __init__(
        self,
        loop: Loop,
        ports: Sequence[int],
        ledger: Ledger,
        requests: Sequence[bytes],
        *,
        connections: int,
        in_flight: int,
        rate: float,
    ) -> None:
        self.loop = loop
        self.ledger = ledger
        self.requests = requests
        self.in_flight = in_flight
        self.turn = 0
        self.due: deque[float] = deque()
        self.step = ledger.batch / rate if rate else 0.0
        self.next_due = time.perf_counter()
        self.resting: list[tuple[float, Client]] = []
        self.problem = b""
        self.idle = deque(Client(self, ports[n % len(ports)]) for n in range(connections))
        loop.each_turn = self.open_turn if rate else self.closed_turn

    def answered(self, client: Client, status: bytes, body: bytes, now: float) -> None:
        ledger = self.ledger
        if status in (b"202", b"200"):
            ledger.accepts.append(now - client.began)
            if ledger.keep:
                ledger.accepted.append(body)
            self.idle.append(client)
            return
        ledger.issued -= ledger.batch
        ledger.refused += ledger.batch
        self.problem = status + b" " + body[:200]
        self.resting.append((now + REST_SECONDS, client))

    def reconnect(self, client: Client) -> None:
        if client in self.idle:
            self.idle.remove(client)
        self.resting = [(until, one) for until, one in self.resting if one is not client]
        try:
            self.idle.append(Client(self, client.port))
        except OSError:
            self.problem = b"the gateway takes no more connections"

    def closed_turn(self, now: float) -> float:
        ledger = self.ledger
        wait = self.rested(now)
        while self.idle and ledger.in_flight + ledger.batch <= self.in_flight:
            self.send(now)
        return wait

    def open_turn(self, now: float) -> float:
        ledger = self.ledger
        while self.next_due <= now:
            self.due.append(self.next_due)
            self.next_due += self.step
        wait = self.rested(now)
        while self.idle and self.due and ledger.in_flight + ledger.batch <= self.in_flight:
            self.send(self.due.popleft())
        return min(wait, max(0.0, self.next_due - time.perf_counter()))

    def send(self, began: float) -> None:
        ledger, turn = self.ledger, self.turn
        ledger.issued += ledger.batch
        ledger.started[turn] = began
        self.idle.popleft().ask(self.requests[turn], began)
        self.turn = (turn + 1) % len(self.requests)

    def rested(self, now: float) -> float:
        while self.resting and self.resting[0][0] <= now:
            self.idle.append(self.resting.pop(0)[1])
        return self.resting[0][0] - now if self.resting else 1.0


class Hook(Stream):
    """Takes the reports that a gateway brings to its customer; says so as Jasmin wants it."""

    def received(self, data: bytes, now: float) -> bytes:
        if not data.endswith(b"\r\n\r\n"):
            self.rest = data
            return b""
        self.rest = b""
        return b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nACK/Jasmin"


def listen(loop: Loop, make: Callable[[socket.socket], Any]) -> int:
    """Accept connections for the carrier; return the port."""
    server = socket.create_server((HOST, 0), backlog=64)
    loop.add(server, lambda mask, now: make(server.accept()[0]))
    return int(server.getsockname()[1])
