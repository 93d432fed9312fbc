"""Hostile octets into framer, decoder and session of every carrier, both roles, for a bounded time.

    python benches/fuzz.py [--inputs 1000000] [--seconds 600] [--seed 1]

An input is one call of ``receive_data``: random octets, a valid PDU that was mutated (bits,
lengths, cuts, repeats), or valid PDUs in an order that makes no sense. Nothing may be raised but
our own error types out of the codec, and nothing at all out of a session; no buffer may grow beyond
the largest PDU; a call's time may not grow faster than its octets. Prints inputs, inputs per
second, the slowest input per KiB and what was found; exits 1 when something was. One process per
core.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import random
import struct
import sys
import time
import traceback
from datetime import datetime
from typing import Any

from smsgw.errors import FrameError, PduError
from smsgw.model import MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols import events as ev
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.session import Role, Session, Side

BUFFER_MAX = 70_000
SLOW_SECONDS_PER_KIB = 0.05


def wall() -> datetime:
    return datetime(2026, 3, 1, 9, 30, 15)


def make(carrier: Any, role: Role) -> Session:
    account = carrier.account(name="901234", secret="s3cret", version=carrier.codec.default_version)
    side = Side.SP if role is Role.CLIENT else Side.GATEWAY
    session = carrier.sessions(wall, side, {"901234": "s3cret"}.get)(account, role)
    session.connected(0.0)
    if role is Role.CLIENT:
        session.bind(0.0)
    return session


def corpus(carrier: Any) -> list[bytes]:
    """Every PDU a session might meet, encoded with plausible content."""
    version = carrier.codec.default_version
    account = carrier.account(name="901234", secret="s3cret", version=version)
    pdus = [cls() for table in carrier.codec.tables.values() for cls in table.values()]
    text = "同意".encode("utf-16-be")
    pdus.append(carrier.to_submit(account, version, Segment("13800001001", "10690001", 8, text)))
    pdus.append(carrier.to_deliver(account, version, MoMessage("13800001001", "10690001", 8, text)))
    whole = "0" * 24 if carrier.message_id is None else carrier.message_id(1001, wall(), 1)
    report = StatusReport(whole, MessageStatus.DELIVERED, "DELIVRD", to="13800001001")
    pdus.append(carrier.to_report(account, version, report))
    octets = [pdu.encode() for pdu in pdus]
    client = make(carrier, Role.CLIENT)
    octets.append(client.data_to_send())
    return octets


def mutate(choice: random.Random, octets: bytes) -> bytes:
    raw = bytearray(octets or b"\0" * 12)
    kind = choice.randrange(9)
    if kind == 0:
        for _ in range(choice.randrange(1, 9)):
            raw[choice.randrange(len(raw))] = choice.randrange(256)
    elif kind == 1:
        at = choice.randrange(len(raw))
        raw[at : at + choice.randrange(1, 20)] = b""
    elif kind == 2:
        at = choice.randrange(len(raw))
        raw[at:at] = choice.randbytes(choice.randrange(1, 40))
    elif kind == 3:
        raw[:4] = struct.pack(">I", choice.choice([0, 1, 11, 12, 19, 4096, 0xFFFFFFFF]))
    elif kind == 4:
        raw[:4] = struct.pack(">I", len(raw) + choice.randrange(-20, 20) & 0xFFFFFFFF)
    elif kind == 5:
        raw[8:12] = choice.randbytes(4)
    elif kind == 6:
        raw += bytes(raw)
    elif kind == 7:
        return bytes(raw[: choice.randrange(len(raw))])
    if kind in (1, 2) and len(raw) >= 4:
        struct.pack_into(">I", raw, 0, len(raw))
    return bytes(raw)


def an_input(choice: random.Random, known: list[bytes]) -> bytes:
    kind = choice.randrange(6)
    if kind == 0:
        return choice.randbytes(choice.randrange(1, 200))
    if kind == 1:
        return b"".join(choice.choices(known, k=choice.randrange(1, 6)))
    if kind == 2:
        return mutate(choice, mutate(choice, choice.choice(known)))
    return mutate(choice, choice.choice(known))


def one_session(
    choice: random.Random, carrier: Any, role: Role, known: list[bytes]
) -> tuple[int, float]:
    session = make(carrier, role)
    peer_login = known[-1]
    if role is Role.SERVER and choice.random() < 0.8:
        session.receive_data(peer_login, 0.0)
    now, slowest, inputs = 0.0, 0.0, 0
    while not session.closed and inputs < 40:
        data = an_input(choice, known)
        began = time.perf_counter()
        session.receive_data(data, now)
        slowest = max(slowest, (time.perf_counter() - began) / max(1.0, len(data) / 1024))
        for event in session.events():
            if isinstance(event, ev.SubmitReceived):
                expected(carrier.from_submit, event.pdu)
            elif isinstance(event, ev.MoReceived):
                expected(carrier.from_deliver, event.pdu)
            elif isinstance(event, ev.ReportReceived):
                expected(carrier.from_report, event.pdu)
        session.data_to_send()
        now += choice.random() * 10
        session.tick(now)
        assert session._framer.waiting_octets <= BUFFER_MAX, "the buffer grows"
        inputs += 1
    session.connection_lost(now)
    frame = an_input(choice, known)
    for version in carrier.codec.tables:
        expected(carrier.codec.decode, frame, version)
    return inputs, slowest


def expected(call: Any, *arguments: Any) -> None:
    with contextlib.suppress(PduError, FrameError):
        call(*arguments)


def work(seed: int, inputs: int, seconds: float) -> tuple[int, float, list[str]]:
    choice = random.Random(seed)
    known = {name: corpus(carrier) for name, carrier in CARRIERS.items()}
    done, slowest, found = 0, 0.0, []
    until = time.monotonic() + seconds
    while done < inputs and time.monotonic() < until and len(found) < 5:
        name = choice.choice(list(CARRIERS))
        role = choice.choice([Role.CLIENT, Role.SERVER])
        try:
            count, slow = one_session(choice, CARRIERS[name], role, known[name])
        except Exception:  # whatever it is, it is what we look for
            found.append(f"{name} {role.value}, seed {seed}\n{traceback.format_exc()}")
            count, slow = 1, 0.0
        done += count
        slowest = max(slowest, slow)
    return done, slowest, found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    asked = parser.parse_args()
    share = -(-asked.inputs // asked.processes)
    began = time.monotonic()
    jobs = [(asked.seed * 1000 + i, share, asked.seconds) for i in range(asked.processes)]
    with multiprocessing.Pool(asked.processes) as pool:
        results = pool.starmap(work, jobs)
    took = time.monotonic() - began
    done = sum(result[0] for result in results)
    slowest = max(result[1] for result in results)
    found = [one for result in results for one in result[2]]
    print(f"{done:,} inputs, {done / took:,.0f}/s, slowest {slowest * 1000:.1f} ms per KiB")
    print(f"found: {len(found) or 'nothing'}")
    for one in found:
        print(one)
    sys.exit(1 if found or slowest > SLOW_SECONDS_PER_KIB * 20 else 0)


if __name__ == "__main__":
    main()
