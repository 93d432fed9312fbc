"""Sessions over loopback: submit + response pairs a second, beside a bare Protocol in one run.

    python benches/session.py [--seconds 4] [--protocol cmpp,smgp,sgip]

Two processes: this one is the customer (client), the child the gateway (server). Each row is one
protocol, window and number of binds; `client µs` and `server µs` are CPU time per pair of the
process. The limit is a bare Twisted Protocol that packs and unpacks the same CMPP PDUs with the
hand-written struct code of codec.py and knows nothing else: no states, no timers, no events.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import struct
import subprocess
import sys
from datetime import datetime
from typing import Any

from codec import (
    hand_decode_submit,
    hand_decode_submit_resp,
    hand_encode_submit,
    hand_encode_submit_resp,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Factory, Protocol

from smsgw.model import Segment
from smsgw.protocols import cmpp
from smsgw.protocols import events as ev
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.states import Role, Side
from smsgw.transport.adapter import SessionProtocol

HOST = "127.0.0.1"
TEXT = "长" * 70
CONTENT = TEXT.encode("utf-16-be")
ROWS = [(16, 1), (64, 1), (512, 1), (16, 4), (64, 4), (512, 4)]


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def wall() -> datetime:
    return datetime.now()


def account(protocol: str, window: int) -> Any:
    kinds: dict[str, Any] = {"name": "901234", "secret": "s3cret", "window": window}
    carrier = CARRIERS[protocol]
    return carrier.account(version=carrier.codec.default_version, **kinds)


# ---- ours -----------------------------------------------------------------------------------


class Gateway(Factory):
    """The server: answers every submit at once with a new id."""

    noisy = False

    def __init__(self, protocol: str) -> None:
        self.carrier = CARRIERS[protocol]
        self.account = account(protocol, 65536)
        self.make = self.carrier.sessions(wall, Side.GATEWAY, {"901234": "s3cret"}.get)
        self.count = 0

    def buildProtocol(self, addr: Any) -> SessionProtocol:
        session = self.make(self.account, Role.SERVER)
        return SessionProtocol(session, reactor, self.events, lambda protocol, why: None)

    def events(self, protocol: SessionProtocol, events: list[Any]) -> None:
        session, count = protocol.session, self.count
        answer = session.answer_submit
        for event in events:
            if type(event) is ev.SubmitReceived:
                count += 1
                answer(event.pdu, 0, f"{count:020x}"[-self.digits :])
        self.count = count
        protocol.flush()

    @property
    def digits(self) -> int:
        return {"cmpp": 16, "smgp": 20}.get(self.carrier.name, 24)


class Customer(ClientFactory):
    """The client: keeps its windows full until it is told to stop."""

    noisy = False

    def __init__(self, protocol: str, window: int) -> None:
        self.carrier = CARRIERS[protocol]
        self.account = account(protocol, window)
        self.make = self.carrier.sessions(wall)
        self.segment = Segment("13800001001", "10690001042", 8, CONTENT)
        self.pairs = 0
        self.bound = 0

    def buildProtocol(self, addr: Any) -> SessionProtocol:
        session = self.make(self.account, Role.CLIENT)
        return SessionProtocol(session, reactor, self.events, lambda protocol, why: None)

    def events(self, protocol: SessionProtocol, events: list[Any]) -> None:
        answered = sum(type(event) is ev.SubmitAnswered for event in events)
        self.pairs += answered
        if any(type(event) is ev.Bound for event in events):
            self.bound += 1
        session, now = protocol.session, reactor.seconds()
        to_submit, submit, segment = self.carrier.to_submit, session.submit, self.segment
        version, settings = session.version, self.account
        for _ in range(session.window.free):
            submit(to_submit(settings, version, segment), now, segment)
        protocol.flush()


# ---- the limit ------------------------------------------------------------------------------

HEAD = struct.Struct(">III")


class Bare(Protocol):
    """Cuts frames with offsets, one write per read; no state of any kind."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.rest = b""
        self.sequence = 0
        self.waiting: dict[int, float] = {}
        self.factory.opened(self)

    def fill(self, count: int) -> None:
        out, now = [], reactor.seconds()
        for _ in range(count):
            self.sequence += 1
            self.waiting[self.sequence] = now
            pdu = cmpp.Submit30(
                sequence_id=self.sequence,
                registered_delivery=1,
                fee_user_type=2,
                msg_fmt=8,
                msg_src="901234",
                fee_type="01",
                fee_code="000000",
                src_id="10690001042",
                dest_terminal_id=["13800001001"],
                msg_content=CONTENT,
            )
            out.append(hand_encode_submit(pdu))
        self.transport.write(b"".join(out))

    def dataReceived(self, data: bytes) -> None:
        buffer = self.rest + data if self.rest else data
        at, end, out, answered = 0, len(buffer), [], 0
        while end - at >= 12:
            length, command, sequence = HEAD.unpack_from(buffer, at)
            if end - at < length:
                break
            if command == 4:
                hand_decode_submit(buffer, at, at + length)
                out.append(hand_encode_submit_resp(cmpp.SubmitResp30(sequence, sequence, 0)))
            else:
                answer = hand_decode_submit_resp(buffer, at, at + length)
                del self.waiting[answer.sequence_id]
                answered += 1
            at += length
        self.rest = buffer[at:]
        if out:
            self.transport.write(b"".join(out))
        if answered:
            self.factory.pairs += answered
            self.fill(answered)


class BareGateway(Factory):
    noisy = False
    protocol = Bare

    def opened(self, protocol: Bare) -> None: ...


class BareCustomer(ClientFactory):
    noisy = False
    protocol = Bare

    def __init__(self, window: int) -> None:
        self.window = window
        self.pairs = 0

    def opened(self, protocol: Bare) -> None:
        protocol.fill(self.window)


# ---- running --------------------------------------------------------------------------------


def serve(protocol: str) -> None:
    factory = BareGateway() if protocol == "bare" else Gateway(protocol)
    port = reactor.listenTCP(0, factory, interface=HOST)
    print(port.getHost().port, flush=True)

    def asked() -> None:
        for _ in sys.stdin:
            print(cpu(), flush=True)
        reactor.callFromThread(reactor.stop)

    reactor.callInThread(asked)
    reactor.run()


def measure(protocol: str, window: int, binds: int, seconds: float) -> dict[str, float]:
    child = subprocess.Popen(
        [sys.executable, __file__, "--serve", protocol],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    port = int(child.stdout.readline())

    def child_cpu() -> float:
        child.stdin.write("\n")
        child.stdin.flush()
        return float(child.stdout.readline())

    factory = BareCustomer(window) if protocol == "bare" else Customer(protocol, window)
    connectors = [reactor.connectTCP(HOST, port, factory) for _ in range(binds)]
    marks: list[tuple[float, int, float, float]] = []

    def mark() -> None:
        marks.append((reactor.seconds(), factory.pairs, cpu(), child_cpu()))

    reactor.callLater(0.7, mark)
    reactor.callLater(0.7 + seconds, mark)
    done: Deferred[None] = Deferred()
    reactor.callLater(0.75 + seconds, done.callback, None)
    done.addCallback(lambda _: reactor.crash())
    reactor.run()
    for connector in connectors:
        connector.disconnect()
    child.stdin.close()
    child.wait(5)
    (t0, n0, c0, s0), (t1, n1, c1, s1) = marks
    pairs = max(1, n1 - n0)
    return {
        "rate": pairs / (t1 - t0),
        "client": (c1 - c0) / pairs * 1e6,
        "server": (s1 - s0) / pairs * 1e6,
    }


def row(protocol: str, window: int, binds: int, seconds: float) -> dict[str, float]:
    """One row in a process of its own, since a reactor runs once."""
    arguments = [sys.executable, __file__, "--row", f"{protocol},{window},{binds},{seconds}"]
    run = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--protocol", default=",".join(CARRIERS))
    parser.add_argument("--serve")
    parser.add_argument("--row")
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
    elif asked.row:
        protocol, window, binds, seconds = asked.row.split(",")
        print(json.dumps(measure(protocol, int(window), int(binds), float(seconds))))
    else:
        table(asked.protocol.split(","), asked.seconds)


def table(protocols: list[str], seconds: float) -> None:
    print(
        f"CPython {platform.python_version()} {platform.python_compiler()}, {os.cpu_count()} cores,"
        f" {type(reactor).__name__}; submit of 70 hanzi + response, {seconds:g} s each\n"
    )
    print(
        f"{'':6} {'window':>6} {'binds':>5} {'pairs/s':>9} {'client µs':>9} {'server µs':>9}"
        "  of bare"
    )
    bare = {}
    for protocol in ["bare", *protocols]:
        for window, binds in ROWS:
            one = row(protocol, window, binds, seconds)
            bare.setdefault((window, binds), one["rate"])
            print(
                f"{protocol:6} {window:6} {binds:5} {one['rate']:9,.0f} {one['client']:9.2f}"
                f" {one['server']:9.2f}  {one['rate'] / bare[window, binds]:6.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
