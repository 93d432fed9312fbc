"""How fast webhooks go out: to one fast subscriber, to several, and beside some that hang.

    python benches/webhooks.py [--events 40000] [--hanging 20] [--repeats 3] [--folder .]

The events are in the database before, so what is measured is reading, signing, posting and
recording. The receivers are a process of their own: the fast one answers each POST at once, the
hanging one never. The floor is Twisted's own client alone, which posts the same octets over one
connection, one after the other, and does nothing else.
"""

from __future__ import annotations

import argparse
import ipaddress
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway_machine import environment
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater, react

from smsgw.daemon.assembly import SWITCH_INTERVAL
from smsgw.model import Event
from smsgw.services.webhooks.addresses import Rules
from smsgw.services.webhooks.book import Webhooks
from smsgw.services.webhooks.lane import Tools, body_of
from smsgw.services.webhooks.posting import Poster
from smsgw.services.webhooks.subscribers import Subscribers
from smsgw.store import events, wanted, webhooks
from smsgw.store.database import Database

ACCOUNT = "newsroom"
GROUP = 1000
FLOOR_POSTS = 400
RULES = Rules(allow=(ipaddress.ip_network("127.0.0.0/8"),))


# ---- the receivers' process --------------------------------------------------------------


class Fast(Protocol):
    """Reads POSTs by their length and answers each at once."""

    answers = True

    def __init__(self) -> None:
        self._data = b""

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        while True:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._data[:end].lower()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            if len(self._data) < end + 4 + length:
                return
            self._data = self._data[end + 4 + length :]
            if self.answers and self.transport is not None:
                self.transport.write(b"HTTP/1.1 204 OK\r\n\r\n")


class Hanging(Fast):
    """Reads, and never answers."""

    answers = False


def receive() -> None:
    """Listen, and say where."""
    ports = [
        reactor.listenTCP(0, Factory.forProtocol(kind), interface="127.0.0.1")  # type: ignore[attr-defined]
        for kind in (Fast, Hanging)
    ]
    print(*(port.getHost().port for port in ports), flush=True)
    reactor.run()  # type: ignore[attr-defined]


# ---- the gateway's side ------------------------------------------------------------------


class Site:
    """Webhooks on a database of their own."""

    def __init__(self, path: Path) -> None:
        self.database = Database(path, reactor)  # type: ignore[arg-type]
        self.database.open()
        self.poster = Poster(reactor, RULES)
        self.posts = 0
        self.tools = Tools(self.database, self.poster, reactor, self._count)  # type: ignore[arg-type]
        self.subscribers = Subscribers(self.tools, cancel=self.poster.cancel)
        self.database.writer.watchers.append(self.subscribers.committed)
        self.webhooks = Webhooks(self.tools, RULES, self.poster.resolve, self.subscribers.reload)

    def _count(self, result: str, count: int) -> None:
        self.posts += result == "delivered"

    async def fill(self, count: int) -> int:
        """Record events of messages' kinds; returns the newest."""
        for start in range(0, count, GROUP):
            await self.database.writer.run(lambda c, start=start: self._some(c, start))
        return await self.database.read(wanted.newest)

    def _some(self, connection: Connection, start: int) -> None:
        data = {
            "from": "13800001001",
            "to": "10690001",
            "text": "同意，本周五前完成",
            "missing": "",
        }
        told = [Event("inbound.received", start + n, ACCOUNT, data) for n in range(GROUP)]
        events.append(connection, self.tools.now(), told)

    async def close(self) -> None:
        await self.subscribers.stop()
        await self.poster.close()
        await self.database.close()


async def deliver(path: Path, ports: list[int], count: int, fast: int, hanging: int) -> Any:
    """Return POSTs and events a second, and CPU µs an event, over all fast subscribers."""
    site = Site(path)
    ids = []
    for place in range(fast + hanging):
        port = ports[0] if place < fast else ports[1]
        made = await site.webhooks.create(ACCOUNT, f"http://127.0.0.1:{port}/{place}")
        ids.append(int(made["id"]))
    newest = await site.fill(count)
    began, cpu = time.perf_counter(), time.process_time()
    await site.subscribers.start()
    while True:
        rows = await site.database.read(lambda c: webhooks.rows_of(c, ids[:fast]))
        if all(row.cursor >= newest for row in rows):
            break
        await deferLater(reactor, 0.005)  # type: ignore[arg-type]
    seconds = time.perf_counter() - began
    spent = (time.process_time() - cpu) / (count * fast) * 1e6
    await site.close()
    return site.posts / seconds, count * fast / seconds, spent


async def floor(ports: list[int]) -> float:
    """Return POSTs a second of the client alone."""
    data = {"from": "13800001001", "to": "10690001", "text": "同意，本周五前完成", "missing": ""}
    body = body_of([Event("inbound.received", n, ACCOUNT, data, n, 0) for n in range(100)])
    poster = Poster(reactor, RULES)
    url = f"http://127.0.0.1:{ports[0]}/"
    await poster.post(url, {}, body)
    began = time.perf_counter()
    for _ in range(FLOOR_POSTS):
        await poster.post(url, {}, body)
    seconds = time.perf_counter() - began
    await poster.close()
    return FLOOR_POSTS / seconds


async def measure(options: argparse.Namespace) -> None:
    """Print the table."""
    words = [sys.executable, __file__, "--receive"]
    receivers = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert receivers.stdout is not None
    ports = [int(port) for port in receivers.stdout.readline().split()]
    hanging = options.hanging
    cases = {
        "one fast": (1, 0),
        f"one fast, {hanging} that hang": (1, hanging),
        "ten fast": (10, 0),
        f"ten fast, {hanging} that hang": (10, hanging),
    }
    found: dict[str, list[Any]] = {name: [] for name in ("floor", *cases)}
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            print(environment(Path(folder)))
            for turn in range(options.repeats):
                found["floor"].append((await floor(ports),))
                for place, (name, (fast, slow)) in enumerate(cases.items()):
                    path = Path(folder) / f"{turn}-{place}.db"
                    count = options.events // (10 if fast > 1 else 1)
                    found[name].append(await deliver(path, ports, count, fast, slow))
    finally:
        receivers.kill()
        receivers.wait()
    show(found)


def show(found: dict[str, list[Any]]) -> None:
    """Print medians, and what they are to each other."""
    medians = {
        name: [statistics.median(values) for values in zip(*runs, strict=True)]
        for name, runs in found.items()
    }
    lowest = medians.pop("floor")[0]
    print(f"\nTwisted's client alone: {lowest:,.0f} POSTs/s\n")
    print("| subscribers | POSTs/s | events/s | CPU µs an event | POSTs/s / floor |")
    print("|---|---|---|---|---|")
    for name, (posts, told, spent) in medians.items():
        print(f"| {name} | {posts:,.0f} | {told:,.0f} | {spent:.1f} | {posts / lowest:.2f} |")
    names = list(medians)
    for alone, beside in (names[:2], names[2:]):
        ratio = medians[beside][1] / medians[alone][1]
        print(f"\n{beside} / {alone}: events/s {ratio:.2f}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--hanging", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", default=".")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.receive:
        receive()
        return
    sys.setswitchinterval(SWITCH_INTERVAL)
    react(lambda _: Deferred.fromCoroutine(measure(options)))


if __name__ == "__main__":
    main()
