"""The carriers of gateway.py: CMPP 3.0 and SMPP 3.4, packed by hand, for one trusting bench.

Each takes any login, answers every submit at once with a new id, brings its report where one is
asked for, and counts the answers to reports. Nothing is checked: what it talks to is under test
elsewhere.
"""

from __future__ import annotations

import socket
import struct
from hashlib import md5

from gateway_load import Ledger, Loop, Stream

SECRET = b"s3cret"

# ---- CMPP 3.0 (cmpp.md sections 3 to 7) ---------------------------------------------------------

CMPP_HEAD = struct.Struct(">III")
SUBMIT = struct.Struct(">8xI10xB96x21sx11s")  # sequence, Registered_Delivery, Src_Id, number
SUBMIT_RESP = struct.Struct(">IIIQI")
DELIVER = struct.Struct(">IIIQ21s10xBBB32sBBBQ7s10s10s32sI20x")


class CmppCarrier(Stream):
    """The carrier's end of one CMPP connection.

    Attributes:
        message_id: How the id of the submit with a number is written in the database.
        submits: How many came over this connection.
    """

    message_id = "%016x"

    def __init__(self, loop: Loop, sock: socket.socket, ledger: Ledger, report_after: float):
        self.ledger = ledger
        self.report_after = report_after
        self.submits = 0
        super().__init__(loop, sock)

    def received(self, data: bytes, now: float) -> bytes:
        at, end = 0, len(data)
        out: list[bytes] = []
        reports: list[bytes] = []
        ledger = self.ledger
        acked, sents = ledger.acked.append, ledger.sents.append
        request_of, started, count = ledger.request_of, ledger.started, ledger.submits
        while end - at >= 12:
            length, command, sequence = CMPP_HEAD.unpack_from(data, at)
            if end - at < length:
                break
            if command == 4:
                sequence, wants, source, number = SUBMIT.unpack_from(data, at)
                count += 1
                sents(now - started[request_of[number]])
                out.append(SUBMIT_RESP.pack(24, 0x80000004, sequence, count, 0))
                if wants:
                    reports.append(
                        DELIVER.pack(
                            180, 5, count, count, source, 0, 0, 0, number, 0, 1, 71,
                            count, b"DELIVRD", b"2611221200", b"2611221200", number, count,
                        )
                    )  # fmt: skip
            elif command == 0x80000005:
                acked(sequence)
            elif command == 1:
                login = data[at + 18 : at + 34]
                proof = md5(bytes(4) + login + SECRET).digest()
                out.append(CMPP_HEAD.pack(33, 0x80000001, sequence) + bytes(4) + proof + b"\x30")
            elif command == 8:
                out.append(CMPP_HEAD.pack(13, 0x80000008, sequence) + b"\0")
            elif command == 2:
                out.append(CMPP_HEAD.pack(12, 0x80000002, sequence))
            at += length
        self.rest = data[at:]
        self.submits += count - ledger.submits
        ledger.submits = count
        if reports:
            self.loop.later.append((now + self.report_after, self, b"".join(reports)))
        return b"".join(out)


# ---- SMPP 3.4 (smpp.md) -------------------------------------------------------------------------

SMPP_HEAD = struct.Struct(">IIII")
RECEIPT = (
    b"id:7%09d sub:001 dlvrd:001 submit date:2611221200 done date:2611221200"
    b" stat:DELIVRD err:000 text:"
)
RECEIPT_OCTETS = len(RECEIPT % 0)


class SmppCarrier(CmppCarrier):
    """The SMSC's end of one SMPP connection."""

    message_id = "7%09d"

    def received(self, data: bytes, now: float) -> bytes:
        at, end = 0, len(data)
        out: list[bytes] = []
        reports: list[bytes] = []
        ledger = self.ledger
        request_of, started, before = ledger.request_of, ledger.started, ledger.submits
        while end - at >= 16:
            length, command, _, sequence = SMPP_HEAD.unpack_from(data, at)
            if end - at < length:
                break
            if command == 4:
                ledger.submits = count = ledger.submits + 1
                source_end = data.index(0, data.index(0, at + 16) + 3)
                source = data[data.index(0, at + 16) + 3 : source_end]
                number_end = data.index(0, source_end + 3)
                number = data[source_end + 3 : number_end]
                schedule_end = data.index(0, number_end + 4)
                wants = data[data.index(0, schedule_end + 1) + 1]
                ledger.sents.append(now - started[request_of[number[-11:]]])
                out.append(SMPP_HEAD.pack(27, 0x80000004, 0, sequence) + b"7%09d\0" % count)
                if wants & 3:
                    reports.append(deliver_sm(count, number, source))
            elif command == 0x80000005:
                ledger.acked.append(sequence)
            elif command in (1, 2, 9):
                out.append(SMPP_HEAD.pack(22, command | 0x80000000, 0, sequence) + b"bench\0")
            elif command < 0x80000000:
                out.append(SMPP_HEAD.pack(16, command | 0x80000000, 0, sequence))
            at += length
        self.rest = data[at:]
        self.submits += ledger.submits - before
        if reports:
            self.loop.later.append((now + self.report_after, self, b"".join(reports)))
        return b"".join(out)


def deliver_sm(count: int, number: bytes, source: bytes) -> bytes:
    """Return the receipt of one submit_sm; its sequence is the count of submits."""
    body = b"\0\1\1%b\0\1\1%b\0\4\0\0\0\0\0\0\0\0%c" % (number, source, RECEIPT_OCTETS)
    length = 16 + len(body) + RECEIPT_OCTETS
    return SMPP_HEAD.pack(length, 5, 0, count) + body + RECEIPT % count


CARRIERS = {"cmpp": CmppCarrier, "smpp": SmppCarrier}
