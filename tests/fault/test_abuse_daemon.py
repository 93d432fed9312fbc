"""The daemon under attack, as a process: other callers and links go on, memory has an end.

Each prints its figures. Attackers come from other addresses of this machine than honest callers.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.states import Role, Side
from smsgw.transport.link import china_now
from tests.support.customers import DOORS, LOGINS, customer_toml
from tests.support.daemon import Town
from tests.support.ports import free_port
from tests.support.raw_http import RawHttp, connect
from tests.support.reactor import reactor_test, until
from tests.support.rigs import NUMBERS, make_account

pytestmark = pytest.mark.long

PHONE = NUMBERS["cmpp"]
MESSAGE = {"to": PHONE, "text": "您好"}
MIB_MAX = 64
"""What the daemon may grow by, whatever is done to it."""


class Siege:
    """A daemon with doors, an honest caller that never stops, and what that caller sees."""

    def __init__(self, folder: Path) -> None:
        self.town = Town(folder)
        self.folder = folder
        self.ports = {"smpp": free_port(), "cmpp": free_port()}
        self.seconds: list[float] = []
        self.refused = 0
        self.longest_gap = 0.0
        self._calling = True
        self._called: Deferred[None] | None = None

    async def __aenter__(self) -> Siege:
        town = self.town
        original = town.run

        async def run() -> None:
            with town.config.open("a") as file:
                file.write(DOORS.format(**self.ports))
                file.write(customer_toml("smpp", binds=2) + customer_toml("cmpp", binds=2))
            await original()

        town.run = run  # type: ignore[method-assign]
        await town.start()
        self.http = int(town.url.rsplit(":", 1)[1])
        self.resident = self.mebibytes()
        self._called = Deferred.fromCoroutine(self._call())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._calling = False
        if self._called is not None:
            await self._called
        await self.town.stop()

    async def _call(self) -> None:
        good = reactor.seconds()  # type: ignore[attr-defined]
        while self._calling:
            began = reactor.seconds()  # type: ignore[attr-defined]
            try:
                await self.town.post("/v1/messages", MESSAGE)
            except Exception:
                self.refused += 1
            else:
                now = reactor.seconds()  # type: ignore[attr-defined]
                self.seconds.append(now - began)
                self.longest_gap = max(self.longest_gap, now - good)
                good = now
            await deferLater(reactor, 0.02)  # type: ignore[arg-type]

    def mebibytes(self) -> float:
        assert self.town.daemon is not None
        status = Path(f"/proc/{self.town.daemon.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def descriptors(self) -> int:
        assert self.town.daemon is not None
        return len(list(Path(f"/proc/{self.town.daemon.pid}/fd").iterdir()))

    async def metric(self, door: str, reason: str) -> int:
        """How many connections were turned away; asked over the honest caller's own door."""
        answer = await treq.get(self.town.url + "/metrics", pool=self.town._pool)
        text = (await answer.content()).decode()
        name = f'smsgw_turned_away_total{{door="{door}",reason="{reason}"}} '
        return sum(int(float(one.split()[-1])) for one in text.splitlines() if one.startswith(name))

    def told(self, what: str) -> None:
        assert self.town.daemon is not None
        took = sorted(self.seconds)
        median = took[len(took) // 2]
        print(
            f"\n{what}: honest caller {len(took)} messages, median {median * 1e3:.0f} ms,"
            f" slowest {took[-1] * 1e3:.0f} ms, refused {self.refused}, longest without"
            f" {self.longest_gap:.1f} s; daemon grew {self.mebibytes() - self.resident:.0f} MiB,"
            f" {self.descriptors()} descriptors, log {len(self.town.daemon.log) // 1024} KiB"
        )
        assert self.mebibytes() - self.resident < MIB_MAX


async def crowd(port: int, hosts: list[str], count: int) -> list[RawHttp]:
    """Open so many connections, in turns from these addresses."""
    peers: list[RawHttp] = []
    for start in range(0, count, 250):
        some = [
            Deferred.fromCoroutine(connect(port, hosts[n % len(hosts)]))
            for n in range(start, min(start + 250, count))
        ]
        for good, peer in await DeferredList(some, consumeErrors=True):
            if good:
                peers.append(peer)  # type: ignore[arg-type]
        await deferLater(reactor, 0)  # type: ignore[arg-type]
    return peers


def alive(peers: list[RawHttp]) -> int:
    return sum(not peer.lost for peer in peers)


def drop(peers: list[RawHttp]) -> None:
    for peer in peers:
        peer.drop()


@pytest.fixture(autouse=True)
def descriptors() -> Any:
    """Enough of them for the attackers, who are all in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip(f"{hard} file descriptors, and 12000 are needed: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (12_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@reactor_test(seconds=240)
async def test_ten_thousand_connections_that_say_nothing(tmp_path: Path) -> None:
    async with Siege(tmp_path) as siege:
        peers = await crowd(siege.http, ["127.0.1.1"], 5000)
        peers += await crowd(siege.ports["smpp"], ["127.0.1.1"], 5000)
        siege.told(f"{len(peers)} silent connections from one address")
        assert siege.refused == 0
        assert siege.descriptors() < 60 + 256 + 10
        assert await siege.metric("http", "full_for_address") > 1000
        assert await siege.metric("northbound.smpp", "full_for_address") > 1000
        drop(peers)
    async with Siege(tmp_path) as siege:
        hosts = [f"127.0.2.{n}" for n in range(1, 41)]
        peers = await crowd(siege.http, hosts, 10_000)
        most = siege.descriptors()
        assert 400 < most < 60 + 512 + 40  # some that made room are still closing
        await until(lambda: siege.descriptors() < 60)  # the last of them is cut off after 20 s
        served = len(siege.seconds)
        await until(lambda: len(siege.seconds) > served + 20)
        siege.told(f"{len(peers)} silent connections from 40 addresses, {most} descriptors")
        assert siege.longest_gap < 5.0
        assert siege.refused == 0
        drop(peers)


def login(protocol: str, secret: str) -> bytes:
    """The octets of a login."""
    carrier = CARRIERS[protocol]
    account = make_account(carrier, LOGINS[protocol], secret=secret)
    session = carrier.sessions(china_now, Side.SP)(account, Role.CLIENT)
    session.bind(0.0)
    return session.data_to_send()


@reactor_test(seconds=240)
async def test_a_storm_of_logins(tmp_path: Path) -> None:
    async with Siege(tmp_path) as siege:
        hosts = [f"127.0.3.{n}" for n in range(1, 101)]
        tried = 0
        for protocol, port in siege.ports.items():
            octets = login(protocol, "wrong")
            for _ in range(20):
                peers = await crowd(port, hosts, 200)
                for peer in peers:
                    peer.say(octets)
                tried += len(peers)
                await until(lambda peers=peers: not alive(peers))
        banned = await siege.metric("northbound.smpp", "banned")
        siege.told(f"{tried} wrong logins, {banned} of SMPP's closed unheard")
        assert banned > 1000
        assert siege.refused == 0
        assert max(siege.seconds) < 5.0
        assert siege.town.daemon is not None
        assert len(siege.town.daemon.log) < 1024 * 1024


def floods(siege: Siege) -> dict[str, tuple[int, bytes, Callable[[int], bytes]]]:
    """Port, what is said first, and what is said over and over."""
    unknown = bytes.fromhex("000000107f0000ff0000000000000001")
    heartbeat = bytes.fromhex("00000010000000150000000000000001")
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    return {
        "heartbeats": (siege.ports["smpp"], login("smpp", "s3cret"), lambda n: heartbeat * 4000),
        "unknown PDUs": (siege.ports["smpp"], login("smpp", "s3cret"), lambda n: unknown * 4000),
        "unknown PDUs of strangers": (siege.ports["smpp"], b"", lambda n: unknown * 4000),
        "requests, answers unread": (siege.http, b"", lambda n: request * 1500),
        "requests of one octet at a time": (
            siege.http,
            b"",
            lambda n: request[n % len(request)].to_bytes(1, "big"),
        ),
    }


@reactor_test(seconds=240)
async def test_floods_of_tiny_things(tmp_path: Path) -> None:
    for name in ("heartbeats", "unknown PDUs", "unknown PDUs of strangers"):
        await flood(tmp_path, name, reads=True)
    for name in ("heartbeats", "requests, answers unread", "requests of one octet at a time"):
        await flood(tmp_path, name, reads=False)


async def flood(folder: Path, name: str, reads: bool) -> None:
    """Flood a fresh daemon for three seconds."""
    async with Siege(folder) as siege:
        port, first, more = floods(siege)[name]
        until_ = reactor.seconds() + 3.0  # type: ignore[attr-defined]
        peers: list[RawHttp] = []
        said = n = 0
        while reactor.seconds() < until_:  # type: ignore[attr-defined]
            if not peers or peers[-1].lost:
                peers.append(await connect(port, f"127.0.4.{1 + len(peers) % 200}"))
                peers[-1].say(first)
                transport: Any = peers[-1].transport
                if not reads:
                    transport.pauseProducing()
            if len(transport.dataBuffer) + sum(map(len, transport._tempDataBuffer)) < 2**20:
                octets = more(n)
                n += 1
                said += len(octets)
                peers[-1].say(octets)
            peers[-1].received = b""
            await deferLater(reactor, 0.001)  # type: ignore[arg-type]
        siege.told(f"{said // 1024} KiB of {name}, {'read' if reads else 'not read'}")
        assert siege.refused == 0
        assert max(siege.seconds) < 5.0
        drop(peers)
