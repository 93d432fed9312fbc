"""Encode and decode per second: derived, plain construct, hand-written ``struct``, in one run.

The hand-written functions are what a careful engineer writes for one PDU: precompiled structs,
every length checked, the same PDU object built, nothing remembered between calls. All three give
the same octets and the same objects; the bench checks that before it measures.

    python benches/codec.py [--seconds 0.3] [--repeats 5]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import struct
import sysconfig
import time
from collections.abc import Callable, Iterator
from typing import Any

from smsgw.protocols import cmpp
from smsgw.protocols.layout import Pdu

HANZI = "您有一条新的审批请求，请回复同意或不同意并说明理由。" * 3
CONTENT = HANZI[:70].encode("utf-16-be")
PHONES = [f"{prefix}0000{line}" for prefix in (138, 139) for line in range(1000, 5000)]
"""More numbers than any cache holds: a real stream repeats everything but them and the text."""


class WrongOctets(ValueError):
    """What the hand-written form raises."""


# ---- by hand -----------------------------------------------------------------------------------

SUBMIT_HEAD = struct.Struct(">IIIQBBBB10sB32sBBBB6s2s6s17s17s21sB")
SUBMIT_TAIL = struct.Struct(">BB")
SUBMIT_RESP = struct.Struct(">IIIQI")
DELIVER_HEAD = struct.Struct(">IIIQ21s10sBBB32sBBB")
Z = b"\0"


def hand_encode_submit(pdu: cmpp.Submit30) -> bytes:
    if (
        len(pdu.service_id) > 10
        or len(pdu.fee_terminal_id) > 32
        or len(pdu.msg_src) > 6
        or len(pdu.fee_type) > 2
        or len(pdu.fee_code) > 6
        or len(pdu.valid_time) > 17
        or len(pdu.at_time) > 17
        or len(pdu.src_id) > 21
        or len(pdu.link_id) > 20
    ):
        raise WrongOctets("a text is too long")
    for number in pdu.dest_terminal_id:
        if len(number) > 32:
            raise WrongOctets("a number is too long")
    numbers = b"".join([n.encode("latin-1").ljust(32, Z) for n in pdu.dest_terminal_id])
    content = pdu.msg_content
    total = SUBMIT_HEAD.size + len(numbers) + 2 + len(content) + 20
    head = SUBMIT_HEAD.pack(
        total,
        4,
        pdu.sequence_id,
        pdu.msg_id,
        pdu.pk_total,
        pdu.pk_number,
        pdu.registered_delivery,
        pdu.msg_level,
        pdu.service_id.encode("latin-1"),
        pdu.fee_user_type,
        pdu.fee_terminal_id.encode("latin-1"),
        pdu.fee_terminal_type,
        pdu.tp_pid,
        pdu.tp_udhi,
        pdu.msg_fmt,
        pdu.msg_src.encode("latin-1"),
        pdu.fee_type.encode("latin-1"),
        pdu.fee_code.encode("latin-1"),
        pdu.valid_time.encode("latin-1"),
        pdu.at_time.encode("latin-1"),
        pdu.src_id.encode("latin-1"),
        len(pdu.dest_terminal_id),
    )
    tail = SUBMIT_TAIL.pack(pdu.dest_terminal_type, len(content))
    return head + numbers + tail + content + pdu.link_id.encode("latin-1").ljust(20, Z)


def hand_decode_submit(buffer: bytes, start: int, end: int) -> cmpp.Submit30:
    (
        _,
        _,
        sequence_id,
        msg_id,
        pk_total,
        pk_number,
        registered_delivery,
        msg_level,
        service_id,
        fee_user_type,
        fee_terminal_id,
        fee_terminal_type,
        tp_pid,
        tp_udhi,
        msg_fmt,
        msg_src,
        fee_type,
        fee_code,
        valid_time,
        at_time,
        src_id,
        count,
    ) = SUBMIT_HEAD.unpack_from(buffer, start)
    at = start + SUBMIT_HEAD.size
    numbers_end = at + 32 * count
    if numbers_end + 2 > end:
        raise WrongOctets("dest_terminal_id")
    numbers = [
        buffer[i : i + 32].partition(Z)[0].decode("latin-1") for i in range(at, numbers_end, 32)
    ]
    dest_terminal_type, length = SUBMIT_TAIL.unpack_from(buffer, numbers_end)
    at = numbers_end + 2
    if at + length + 20 != end:
        raise WrongOctets("msg_content")
    return cmpp.Submit30(
        sequence_id,
        msg_id,
        pk_total,
        pk_number,
        registered_delivery,
        msg_level,
        service_id.partition(Z)[0].decode("latin-1"),
        fee_user_type,
        fee_terminal_id.partition(Z)[0].decode("latin-1"),
        fee_terminal_type,
        tp_pid,
        tp_udhi,
        msg_fmt,
        msg_src.partition(Z)[0].decode("latin-1"),
        fee_type.partition(Z)[0].decode("latin-1"),
        fee_code.partition(Z)[0].decode("latin-1"),
        valid_time.partition(Z)[0].decode("latin-1"),
        at_time.partition(Z)[0].decode("latin-1"),
        src_id.partition(Z)[0].decode("latin-1"),
        numbers,
        dest_terminal_type,
        buffer[at : at + length],
        buffer[at + length : end].partition(Z)[0].decode("latin-1"),
    )


def hand_encode_submit_resp(pdu: cmpp.SubmitResp30) -> bytes:
    return SUBMIT_RESP.pack(24, 0x80000004, pdu.sequence_id, pdu.msg_id, pdu.result)


def hand_decode_submit_resp(buffer: bytes, start: int, end: int) -> cmpp.SubmitResp30:
    if end - start != 24:
        raise WrongOctets("total_length")
    _, _, sequence_id, msg_id, result = SUBMIT_RESP.unpack_from(buffer, start)
    return cmpp.SubmitResp30(sequence_id, msg_id, result)


def hand_encode_deliver(pdu: cmpp.Deliver30) -> bytes:
    if (
        len(pdu.dest_id) > 21
        or len(pdu.service_id) > 10
        or len(pdu.src_terminal_id) > 32
        or len(pdu.link_id) > 20
    ):
        raise WrongOctets("a text is too long")
    content = pdu.msg_content
    head = DELIVER_HEAD.pack(
        DELIVER_HEAD.size + len(content) + 20,
        5,
        pdu.sequence_id,
        pdu.msg_id,
        pdu.dest_id.encode("latin-1"),
        pdu.service_id.encode("latin-1"),
        pdu.tp_pid,
        pdu.tp_udhi,
        pdu.msg_fmt,
        pdu.src_terminal_id.encode("latin-1"),
        pdu.src_terminal_type,
        pdu.registered_delivery,
        len(content),
    )
    return head + content + pdu.link_id.encode("latin-1").ljust(20, Z)


def hand_decode_deliver(buffer: bytes, start: int, end: int) -> cmpp.Deliver30:
    (
        _,
        _,
        sequence_id,
        msg_id,
        dest_id,
        service_id,
        tp_pid,
        tp_udhi,
        msg_fmt,
        src_terminal_id,
        src_terminal_type,
        registered_delivery,
        length,
    ) = DELIVER_HEAD.unpack_from(buffer, start)
    at = start + DELIVER_HEAD.size
    if at + length + 20 != end:
        raise WrongOctets("msg_content")
    return cmpp.Deliver30(
        sequence_id,
        msg_id,
        dest_id.partition(Z)[0].decode("latin-1"),
        service_id.partition(Z)[0].decode("latin-1"),
        tp_pid,
        tp_udhi,
        msg_fmt,
        src_terminal_id.partition(Z)[0].decode("latin-1"),
        src_terminal_type,
        registered_delivery,
        buffer[at : at + length],
        buffer[at + length : end].partition(Z)[0].decode("latin-1"),
    )


# ---- what is measured --------------------------------------------------------------------------


def submits() -> Iterator[cmpp.Submit30]:
    for number, phone in enumerate(PHONES):
        yield cmpp.Submit30(
            sequence_id=number,
            registered_delivery=1,
            service_id="HELP",
            fee_user_type=2,
            msg_fmt=8,
            msg_src="901234",
            fee_type="01",
            fee_code="000000",
            src_id=f"10690001{number % 1000:03d}",
            dest_terminal_id=[phone],
            msg_content=CONTENT,
        )


def submit_resps() -> Iterator[cmpp.SubmitResp30]:
    for number, _ in enumerate(PHONES):
        yield cmpp.SubmitResp30(number, 0x5625E3C003E90000 + number, 0)


def delivers() -> Iterator[cmpp.Deliver30]:
    for number, phone in enumerate(PHONES):
        yield cmpp.Deliver30(
            sequence_id=number,
            msg_id=0x5625F00003E90000 + number,
            dest_id=f"10690001{number % 1000:03d}",
            service_id="HELP",
            msg_fmt=8,
            src_terminal_id=phone,
            msg_content="同意".encode("utf-16-be"),
        )


KINDS: list[tuple[str, Callable[[], Iterator[Pdu]], Any, Any]] = [
    ("SUBMIT, 1 destination, 70 hanzi", submits, hand_encode_submit, hand_decode_submit),
    ("SUBMIT_RESP", submit_resps, hand_encode_submit_resp, hand_decode_submit_resp),
    ("DELIVER, 2 hanzi", delivers, hand_encode_deliver, hand_decode_deliver),
]


def per_second(call: Callable[[Any], object], items: list[Any], seconds: float) -> float:
    """Calls a second, over whole passes of ``items`` until ``seconds`` are spent."""
    done, spent = 0, 0.0
    while spent < seconds:
        began = time.perf_counter()
        for item in items:
            call(item)
        spent += time.perf_counter() - began
        done += len(items)
    return done / spent


def measure(
    forms: dict[str, Callable[[Any], object]], items: list[Any], seconds: float, repeats: int
) -> dict[str, float]:
    """Median calls a second of each form; they take turns, so that all see the same machine."""
    rates: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, call in forms.items():
            rates[name].append(per_second(call, items, seconds))
    return {name: statistics.median(found) for name, found in rates.items()}


def show(title: str, rates: dict[str, float]) -> None:
    derived = rates["derived"]
    print(f"  {title}")
    for name, rate in rates.items():
        ratio = "" if name == "derived" else f"   derived is {derived / rate:6.2f} x this"
        print(f"    {name:<12} {rate:>12,.0f} /s {1e6 / rate:>8.2f} µs{ratio}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    options.add_argument("--repeats", type=int, default=5, help="the median of so many is shown")
    arguments = options.parse_args()
    built = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimised = [flag for flag in ("--enable-optimizations", "--with-lto") if flag in built]
    print(f"{platform.python_implementation()} {platform.python_version()}", end=", ")
    print(f"{' '.join(optimised) or 'plain build'}, {sysconfig.get_config_var('OPT') or ''}")
    for title, make, hand_encode, hand_decode in KINDS:
        pdus = list(make())
        layout = pdus[0].layout
        frames = [pdu.encode() for pdu in pdus]
        for pdu, frame in zip(pdus[:200], frames, strict=False):
            assert frame == layout.reference_encode(pdu) == hand_encode(pdu)
            read = layout.decode(frame, 0, len(frame))
            assert read == layout.reference_decode(frame) == hand_decode(frame, 0, len(frame))
        print(f"\nCMPP 3.0 {title}: {len(frames[0])} octets")
        encoders = {
            "derived": layout.encode,
            "construct": layout.reference_encode,
            "by hand": hand_encode,
        }
        decode = layout.decode
        decoders = {
            "derived": lambda frame, decode=decode: decode(frame, 0, len(frame)),
            "construct": layout.reference_decode,
            "by hand": lambda frame, decode=hand_decode: decode(frame, 0, len(frame)),
        }
        show("encode", measure(encoders, pdus, arguments.seconds, arguments.repeats))
        show("decode", measure(decoders, frames, arguments.seconds, arguments.repeats))


if __name__ == "__main__":
    main()
