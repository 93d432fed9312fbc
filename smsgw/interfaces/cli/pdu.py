"""``smsgw pdu``: PDUs as JSON objects in the shape of the test vectors, and back.

``decode`` writes nothing unless every octet could be read; what is wrong goes to standard error as
one line that names the field and the offset, and the exit code is 2. ``--pretty`` is for people.
"""

from __future__ import annotations

import json
import string
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

import click
import construct

from smsgw.errors import PduError, SmsgwError
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table
from smsgw.model import Coding
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.cmpp.constants import STATUS_TEXTS
from smsgw.protocols.codec import Codec
from smsgw.protocols.kinds import Choice, CText, Listed, Octets, Record, Sized, Text, Tlvs
from smsgw.protocols.layout import Pdu
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.sgip.results import error_text
from smsgw.text.charset import Family, alphabet_of
from smsgw.text.charset import decode as decode_text
from smsgw.text.udh import split_header

HEX = set(string.hexdigits)
UDHI_MASK = 0x41  # 1, or the esm_class bit 0x40 that gateways copy (cmpp.md section 16 Q7)
ESM_UDHI = 0x40  # SMPP
TP_UDHI = 0x0002  # SMGP's TLV


@click.group(epilog=EPILOG)
def pdu() -> None:
    """Decode and encode PDUs."""


def _codec_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--version", help="The protocol's version; default: the newest."),
        click.option("--protocol", type=click.Choice(list(CARRIERS)), required=True),
    ):
        command = option(command)
    return command


@pdu.command(epilog=EPILOG)
@_codec_options
@click.option("--pretty", is_flag=True, help="A table with offsets and meanings, for people.")
@click.argument("hex_digits", metavar="HEX...", nargs=-1, required=True)
def decode(protocol: str, version: str | None, pretty: bool, hex_digits: tuple[str, ...]) -> None:
    """Print the PDUs in HEX: a JSON object, or a list of them.

    HEX may contain spaces, line ends and 0x; "-" reads it from standard input.
    """
    carrier = CARRIERS[protocol]
    try:
        _check_version(carrier.codec, version)
        octets = _octets(hex_digits)
        read = list(_read(carrier.codec, octets, version))
    except SmsgwError as error:
        _refuse(str(error))
    if pretty:
        for start, end, one, fields in read:
            title = f"{one.command}, {end - start} octets"
            columns = ["offset", "octets", "field", "value", "meaning"]
            show_table(columns, _rows(carrier, one, fields, end - start), title)
    else:
        objects = [fields for _, _, _, fields in read]
        show_json(objects[0] if len(objects) == 1 else objects)


@pdu.command(epilog=EPILOG)
@_codec_options
def encode(protocol: str, version: str | None) -> None:
    """Print in hex the PDUs that standard input describes: a JSON object, or a list of them.

    Lengths, counts and fields with their usual value may be left out.
    """
    codec = CARRIERS[protocol].codec
    try:
        _check_version(codec, version)
        lines = [
            _encoded(codec, where, item, version)
            for where, item in _objects(sys.stdin.buffer.read())
        ]
    except SmsgwError as error:
        _refuse(str(error))
    for line in lines:
        click.echo(line)


# ---- reading -----------------------------------------------------------------------------------


class _Refused(SmsgwError):
    """What is wrong with the input, as one sentence."""


def _refuse(problem: str) -> NoReturn:
    click.echo(f"smsgw: {' '.join(problem.split())}", err=True)
    raise click.exceptions.Exit(2)


def _check_version(codec: Codec, version: str | None) -> None:
    if version is not None and version not in codec.tables:
        raise _Refused(f"--version: {version!r} is none of {', '.join(codec.tables)}")


def _octets(arguments: tuple[str, ...]) -> bytes:
    if arguments == ("-",):
        arguments = (sys.stdin.buffer.read().decode("latin-1"),)
    words = " ".join(arguments).split()
    digits = "".join(word[2:] if word[:2] in ("0x", "0X") else word for word in words)
    for at, digit in enumerate(digits):
        if digit not in HEX:
            raise _Refused(f"HEX: {digit!r} at digit {at + 1} is none of 0-9 a-f")
    if not digits or len(digits) % 2:
        raise _Refused(f"HEX: {len(digits)} digits; write two for each octet, at least one octet")
    return bytes.fromhex(digits)


def _read(
    codec: Codec, octets: bytes, version: str | None
) -> Iterator[tuple[int, int, Pdu, dict[str, Any]]]:
    """Each PDU with where it starts and ends, and its JSON object."""
    framer = codec.framer()
    _, bounds = framer.feed(octets)
    for start, end in pairwise(bounds):
        try:
            frame = octets[start:end]
            one = codec.decode(frame, version)
            yield start, end, one, codec.to_fields(one, len(frame))
        except PduError as error:
            raise _Refused(_where(start) + str(error) + _hint(codec, frame, version)) from None
    left = octets[bounds[-1] :]
    if framer.error is not None:
        problem: object = framer.error
    elif not left:
        return
    elif len(left) < 4:
        problem = f"{len(left)} octets, a header has {codec.header_octets}"
    else:
        problem = f"says {int.from_bytes(left[:4], 'big')} octets, {len(left)} are here"
    raise _Refused(f"{_where(bounds[-1])}header.total_length at offset 0: {problem}")


def _where(start: int) -> str:
    return f"PDU at octet {start}: " if start else ""


def _hint(codec: Codec, frame: bytes, version: str | None) -> str:
    for other in codec.tables:
        if other != (version or codec.default_version):
            try:
                codec.to_fields(codec.decode(frame, other))
            except PduError:
                continue
            return f" (it reads as --version {other})"
    return ""


def _objects(octets: bytes) -> list[tuple[str, Any]]:
    """(how to name it, object) for each PDU described."""
    try:
        described = json.loads(octets)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"standard input: no JSON: {error}") from None
    if isinstance(described, list):
        if not described:
            raise _Refused("standard input: an empty list describes no PDU")
        return [(f"[{index}].", item) for index, item in enumerate(described)]
    return [("", described)]


def _encoded(codec: Codec, where: str, item: Any, version: str | None) -> str:
    if not isinstance(item, dict):
        what = where.rstrip(".") or "standard input"
        raise _Refused(f"{what}: must be an object, {type(item).__name__} given")
    try:
        return codec.from_fields(item, version).encode().hex()
    except SmsgwError as error:
        raise _Refused(where + str(error)) from None


# ---- for people --------------------------------------------------------------------------------


class Row(NamedTuple):
    """One line of the table."""

    offset: int | str
    octets: int | str
    field: str
    value: object
    meaning: str


def _rows(carrier: Carrier, one: Pdu, fields: dict[str, Any], total: int) -> list[Row]:
    rows = [
        Row(0, 4, "total_length", total, ""),
        Row(4, 4, "command_id", f"0x{one.command_id:08x}", one.command),
    ]
    at = 8
    for name, subcon in one.layout.fields:
        for octets, field, value, meaning in _parts(carrier, one, name, subcon):
            rows.append(Row(at, octets, field, value, meaning))
            at += octets
    report = fields.get("report")
    if report is not None:
        status = carrier.from_report(one).status
        rows += [
            Row("", "", f"report.{key}", value, status if key == "stat" else "")
            for key, value in report.items()
        ]
    return rows


def _parts(
    carrier: Carrier, one: Pdu, name: str, subcon: Any
) -> Iterator[tuple[int, str, object, str]]:
    """Octets, name, value and meaning of a field, its length or count and its items."""
    value = getattr(one, name)
    if isinstance(subcon, Sized):
        yield int(subcon.length.sizeof()), subcon.length_name, len(value), ""
        yield len(value), name, value.hex(), content_meaning(one)
    elif isinstance(subcon, Listed):
        yield int(subcon.count.sizeof()), subcon.count_name, len(value), ""
        for index, item in enumerate(value):
            yield from _item_parts(f"{name}[{index}]", subcon.item, item)
    elif isinstance(subcon, Tlvs):
        items = carrier.codec.to_fields(one)[name]  # with the carrier's own names
        for index, tlv in enumerate(value):
            item = items[index]
            meaning = f"{item['name']} {item.get('value', '')}".strip()
            yield (
                4 + len(tlv.value),
                f"{name}[{index}]",
                f"{tlv.tag:04x} {tlv.value.hex()}",
                meaning,
            )
    elif isinstance(subcon, CText | Text | Octets | construct.FormatField):
        shown = value.hex() if isinstance(value, bytes) else value
        if getattr(subcon, "masked", False):
            shown = "***"
        yield _size(subcon, value), name, shown, _meaning(carrier, one, name, value)
    elif value:
        yield len(value), name, value.hex(), "after the last field; tolerated"


def _item_parts(name: str, subcon: Any, item: Any) -> Iterator[tuple[int, str, object, str]]:
    if isinstance(subcon, Choice):
        flag = subcon.flags[type(item)]
        yield 1, f"{name}.{subcon.flag_name}", flag, ""
        subcon = subcon.records[flag]
    if isinstance(subcon, Record):
        for field, part in subcon.fields:
            shown = getattr(item, field)
            yield _size(part, shown), f"{name}.{field}", shown, ""
    else:
        yield subcon.octets, name, item, ""


def _size(subcon: Any, value: Any) -> int:
    return len(value) + 1 if isinstance(subcon, CText) else int(subcon.sizeof())


CODINGS: dict[str, Family] = {
    "msg_fmt": "chinese",
    "msg_format": "chinese",
    "message_coding": "chinese",
    "data_coding": "smpp",
}


def _meaning(carrier: Carrier, one: Pdu, name: str, value: Any) -> str:
    """What one value says, from the carrier's own tables; "" when it speaks for itself."""
    if name in CODINGS:
        return alphabet_of(value, CODINGS[name]).value
    if name == "status" and one.command == "CMPP_CONNECT_RESP":
        return STATUS_TEXTS.get(value, "other error") if value else "success"
    if name in ("result", "status", "command_status"):
        return carrier.classify(value).text
    if name == "error_code":
        return error_text(value)
    if name == "state" and carrier.is_report(one):
        return carrier.from_report(one).status
    if name.startswith("authenticator"):
        return "MD5 digest" if any(value) else "no digest"
    if name == "version":
        return f"{value >> 4}.{value & 15}"
    if name == "timestamp":
        digits = f"{value:010d}"
        return f"{digits[:2]}-{digits[2:4]} {digits[4:6]}:{digits[6:8]}:{digits[8:]}"
    if name == "msg_id" and isinstance(value, int):
        return f"{value:016x}"
    return ""


def content_meaning(one: Pdu) -> str:
    """The text of a message's content, and which part of a long one it is."""
    named = ((getattr(one, name), family) for name, family in CODINGS.items() if hasattr(one, name))
    unnamed: tuple[int, Family] = (Coding.BINARY, "chinese")
    coding, family = next(named, unnamed)
    if 1 in (getattr(one, "is_report", 0), getattr(one, "registered_delivery", 0)) and (
        "DELIVER" in one.command
    ):
        return "status report"
    body: bytes = getattr(one, "msg_content", b"") or getattr(one, "message_content", b"")
    body = body or getattr(one, "short_message", b"")
    part = ""
    if _has_header(one):
        header, body, problem = split_header(body)
        if problem:
            part = f"({problem}) "
        elif header is not None and header.concatenation is not None:
            found = header.concatenation
            part = f"({found.sequence} of {found.total}, reference {found.reference}) "
    return part + decode_text(body, coding, family)


def _has_header(one: Pdu) -> bool:
    flag = getattr(one, "tp_udhi", 0) or getattr(one, "esm_class", 0) & ESM_UDHI
    for tlv in getattr(one, "tlvs", []):
        if tlv.tag == TP_UDHI:
            flag = int.from_bytes(tlv.value, "big")
    return bool(flag & UDHI_MASK)
