"""A million messages through one gateway while answers are lost, links throttled and cut.

    python benches/load.py [--messages 1000000] [--lost 0.01] [--throttled 0.01] [--cut-every 60]

Two processes: the gateway on SQLite, started as a user starts it, and this one, which is its
carrier (CMPP 3.0) and its customers. Every message has a number of its own in its text. The carrier
takes a submit, and then may not answer it; says "too fast" to some in a row, as carriers do; drops
every connection once in a while; and repeats each report until it is answered. When all messages
are accepted nothing breaks any more, and at the end the account is checked, message by message:

- each accepted one was received by its phone at least once and has ended as delivered;
- each that came twice is marked as a possible duplicate;
- memory did not grow from the middle to the end, in a run long enough to tell.

Exit code 1 when one of these does not hold.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sqlite3
import sys
import tempfile
import time
from collections import deque
from contextlib import closing
from hashlib import md5
from pathlib import Path

from gateway_carriers import CMPP_HEAD, DELIVER, SECRET, SUBMIT, SUBMIT_RESP
from gateway_daemons import Smsgw, alive
from gateway_load import PREFIXES, Client, Loop, Stream, listen
from gateway_machine import environment

DIGITS = 7
TEXT_AT = 175
"""Where the content of a CMPP 3.0 submit to one recipient begins (cmpp.md section 5)."""

TOO_FAST = 8
BURST = 100
"""Submits in a row that are told "too fast"."""

CONNECTIONS = 16
RATE_MAX = 20_000
RESPONSE_TIMEOUT = 3
UNKNOWN_WAIT = 10
GROWTH_MAX = 1.1
GROWTH_FROM = 200_000
"""Messages from which on the caches are full and memory can be judged."""

DRAIN_SECONDS = 300.0
MORE = f"""
rate = {RATE_MAX}
response_timeout = {RESPONSE_TIMEOUT}

[delivery]
unknown_wait = {UNKNOWN_WAIT}
"""
WORDS = "您有一条新的审批请求，请回复同意或不同意并说明理由"
QUERY = """SELECT CAST(substr(m.text, 1, 7) AS INTEGER), m.status, m.reason, s.possible_duplicate,
 s.attempts FROM message m LEFT JOIN segment s ON s.message_id = m.id"""


class Town:
    """The carrier of all connections, and what it did.

    Attributes:
        received: How often the phone of each message got it, by the message's number.
        refused: How often each was told "too fast".
        reported: Reports that were answered.
    """

    def __init__(self, options: argparse.Namespace, loop: Loop) -> None:
        self.options = options
        self.loop = loop
        self.lots = random.Random(options.seed)
        self.received = bytearray(options.messages)
        self.refused = bytearray(options.messages)
        self.reported = self.submits = self.lost = self.throttled = self.cuts = 0
        self.burst = 0
        self.waiting: dict[int, bytes] = {}  # reports without an answer, by their sequence
        self.binds: list[Bind] = []

    def cut(self) -> None:
        """Drop every connection without a word."""
        self.cuts += 1
        for bind in list(self.binds):
            bind.lost()

    def answer(self, number: int) -> int | None:
        """What a submit comes to: a result code, or None when nobody ever hears."""
        self.submits += 1
        if self.burst or self.lots.random() < self.options.throttled / BURST:
            self.burst = (self.burst or BURST) - 1
            self.throttled += 1
            self.refused[number] += 1
            return TOO_FAST
        self.received[number] += 1
        if self.lots.random() < self.options.lost:
            self.lost += 1
            return None
        return 0


class Bind(Stream):
    """The carrier's end of one connection."""

    def __init__(self, town: Town, sock: socket.socket) -> None:
        self.town = town
        super().__init__(town.loop, sock)
        town.binds.append(self)

    def lost(self) -> None:
        super().lost()
        if self in self.town.binds:
            self.town.binds.remove(self)

    def received(self, data: bytes, now: float) -> bytes:
        at, town = 0, self.town
        out: list[bytes] = []
        reports: list[bytes] = []
        while len(data) - at >= 12:
            length, command, sequence = CMPP_HEAD.unpack_from(data, at)
            if len(data) - at < length:
                break
            if command == 4:
                self.submitted(data, at, out, reports)
            elif command == 0x80000005:
                town.reported += town.waiting.pop(sequence, None) is not None
            elif command == 1:
                proof = md5(bytes(4) + data[at + 18 : at + 34] + SECRET).digest()
                out.append(CMPP_HEAD.pack(33, 0x80000001, sequence) + bytes(4) + proof + b"\x30")
                reports += town.waiting.values()
            elif command == 8:
                out.append(CMPP_HEAD.pack(13, 0x80000008, sequence) + b"\0")
            elif command == 2:
                out.append(CMPP_HEAD.pack(12, 0x80000002, sequence))
            at += length
        self.rest = data[at:]
        if reports:
            self.loop.later.append((now + 0.02, self, b"".join(reports)))
        return b"".join(out)

    def submitted(self, data: bytes, at: int, out: list[bytes], reports: list[bytes]) -> None:
        town = self.town
        sequence, _, source, phone = SUBMIT.unpack_from(data, at)
        start = at + TEXT_AT
        number = int(data[start : start + 2 * DIGITS].decode("utf-16-be"))
        result = town.answer(number)
        key = town.submits
        if result is not None:
            out.append(SUBMIT_RESP.pack(24, 0x80000004, sequence, key, result))
        if result != TOO_FAST:
            report = DELIVER.pack(
                180, 5, key, key, source, 0, 0, 0, phone, 0, 1, 71,
                key, b"DELIVRD", b"2611221200", b"2611221200", phone, key,
            )  # fmt: skip
            town.waiting[key] = report
            reports.append(report)

    def write(self, data: bytes | bytearray) -> None:
        if self.sock.fileno() >= 0:
            super().write(data)


class Customers:
    """Send all messages in batches, each until it is accepted."""

    def __init__(self, options: argparse.Namespace, town: Town, gateway: Smsgw, port: int) -> None:
        self.loop = town.loop
        self.options = options
        self.town = town
        self.gateway = gateway
        self.next = self.accepted = self.refused = 0
        self.again: list[int] = []
        self.asked: dict[Client, int] = {}
        self.idle = deque(Client(self, port) for _ in range(CONNECTIONS))  # type: ignore[arg-type]
        self.loop.each_turn = self.turn

    def turn(self, now: float) -> float:
        batch = self.options.batch
        while self.idle and (self.again or self.next < self.options.messages):
            if self.accepted - self.town.reported > self.options.in_flight:
                break
            if self.again:
                first = self.again.pop()
            else:
                first, self.next = self.next, self.next + batch
            client = self.idle.popleft()
            self.asked[client] = first
            client.ask(self.gateway.request(self.batch(first)), now)
        return 0.01

    def batch(self, first: int) -> list[tuple[str, str]]:
        last = min(first + self.options.batch, self.options.messages)
        return [
            (
                f"{PREFIXES[n // 10_000 % len(PREFIXES)]}0000{n % 10_000:04}",
                f"{n:0{DIGITS}}{WORDS}",
            )
            for n in range(first, last)
        ]

    def answered(self, client: Client, status: bytes, body: bytes, now: float) -> None:
        first = self.asked.pop(client)
        if status == b"202":
            self.accepted += len(json.loads(body)["ids"])
        else:
            self.refused += 1
            self.again.append(first)
        self.idle.append(client)

    def reconnect(self, client: Client) -> None:
        """Idle connections are closed; whoever has work left opens another."""
        if client in self.idle:
            self.idle.remove(client)
        if client in self.asked:
            raise SystemExit("the gateway closed a customer's connection without an answer")
        if self.next < self.options.messages:
            self.idle.append(Client(self, client.port))  # type: ignore[arg-type]


def run(options: argparse.Namespace, folder: Path) -> int:
    print(
        f"{environment(folder)}\n{options.messages:,} messages in batches of {options.batch},"
        f" {CONNECTIONS} connections, at most {options.in_flight:,} in flight,"
        f" window {options.window}",
        flush=True,
    )
    loop = Loop()
    town = Town(options, loop)
    port = listen(loop, lambda sock: Bind(town, sock))
    gateway = Smsgw(folder / "gateway", "cmpp", MORE)
    problems: list[str] = []
    try:
        http = gateway.open(port, options.window, loop.run)
        customers = Customers(options, town, gateway, http)
        rss = sent(options, town, customers)
        drained(gateway, town)
        end = line("end", town, customers, 0.0)
        middle = rss[len(rss) // 2] if rss else end
        if options.messages >= GROWTH_FROM and end > GROWTH_MAX * middle:
            problems.append(f"RSS grew from {middle:.1f} MiB in the middle to {end:.1f} MiB")
        problems += account(gateway.folder / "bench.db", town)
    finally:
        gateway.kill()
        loop.close()
    for problem in problems[:20]:
        print(f"WRONG: {problem}")
    print(f"{len(problems)} things are wrong" if problems else "nothing is wrong")
    return 1 if problems else 0


def sent(options: argparse.Namespace, town: Town, customers: Customers) -> list[float]:
    """Send everything; return RSS after each tenth but the last."""
    rss: list[float] = []
    began = time.perf_counter()
    cut = began + options.cut_every
    while customers.accepted < options.messages:
        town.loop.run(lambda: customers.accepted >= options.messages, 0.5)
        alive(customers.gateway)
        if time.perf_counter() >= cut:
            cut += options.cut_every
            town.cut()
        tenths = customers.accepted * 10 // options.messages
        if len(rss) < tenths < 10:
            rate = customers.accepted / (time.perf_counter() - began)
            rss.append(line(f"{tenths} tenths", town, customers, rate))
    rate = customers.accepted / (time.perf_counter() - began)
    line("all accepted", town, customers, rate)
    return rss


def line(name: str, town: Town, customers: Customers, rate: float) -> float:
    rss = customers.gateway.rss_mib()
    print(
        f"{name:13} {customers.accepted:>9,} accepted{f' ({rate:,.0f}/s)' if rate else '':>12}, "
        f"{town.submits:,} submits, {town.lost:,} answers lost, {town.throttled:,} too fast, "
        f"{town.cuts} cuts, {town.reported:,} reports answered, {customers.refused} refused, "
        f"RSS {rss:.1f} MiB",
        flush=True,
    )
    return rss


def drained(gateway: Smsgw, town: Town) -> None:
    """Wait until every message has come to its end."""
    town.options.lost = town.options.throttled = 0.0
    end = time.perf_counter() + DRAIN_SECONDS
    while time.perf_counter() < end:
        town.loop.run(lambda: False, 3.0)
        with closing(sqlite3.connect(gateway.folder / "bench.db")) as connection:
            query = "SELECT 1 FROM message WHERE final_at IS NULL LIMIT 1"
            if not town.waiting and connection.execute(query).fetchone() is None:
                return


def account(database: Path, town: Town) -> list[str]:
    """Compare both ends, message by message."""
    problems: list[str] = []
    seen = bytearray(len(town.received))
    marked = doubled = 0
    with closing(sqlite3.connect(database)) as connection:
        for number, status, reason, doubtful, submits in connection.execute(QUERY):
            seen[number] += 1
            count = town.received[number]
            marked += bool(doubtful)
            doubled += count > 1
            if count > 1 and not doubtful:
                problems.append(f"{number} came {count} times and is not marked")
            if status != "delivered":
                told = town.refused[number]
                problems.append(
                    f"{number} ended as {status} {reason!r} after {submits} submits:"
                    f" it came {count} times, and was told {told} times that it is too fast"
                )
            elif count == 0:
                problems.append(f"{number} is delivered and never came")
    problems += [f"{n} is stored {count} times" for n, count in enumerate(seen) if count != 1]
    print(f"{doubled:,} messages came more than once; {marked:,} are marked as possible duplicates")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=5_000)
    parser.add_argument("--lost", type=float, default=0.01, help="share of answers")
    parser.add_argument("--throttled", type=float, default=0.01, help="share of submits")
    parser.add_argument("--cut-every", type=float, default=60.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=None, help="where the database goes; names the disk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smsgw-load-", dir=options.folder) as folder:
        return run(options, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
