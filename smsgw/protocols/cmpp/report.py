"""The status report inside a DELIVER with Registered_Delivery 1 (cmpp.md section 7)."""

from __future__ import annotations

import functools
import re
import struct
from datetime import datetime

import msgspec

from smsgw.errors import EncodeError, PduError
from smsgw.model import MessageStatus
from smsgw.protocols.cmpp.auth import make_message_id
from smsgw.protocols.cmpp.constants import REPORT_FIXED_OCTETS, REPORT_OCTETS_MIN

WORDS = struct.Struct("7s10s10s")
MESSAGE_ID_OCTETS = 8
NUMBER_OCTETS = {"2.0": 21, "3.0": 32}

STATUSES = {
    "DELIVRD": MessageStatus.DELIVERED,
    "EXPIRED": MessageStatus.EXPIRED,
    "DELETED": MessageStatus.UNDELIVERED,
    "UNDELIV": MessageStatus.UNDELIVERED,
    "ACCEPTD": MessageStatus.SENT,
    "UNKNOWN": MessageStatus.UNDELIVERED,
    "REJECTD": MessageStatus.REJECTED,
}
"""Section 7: DELIVRD is the only success; ACCEPTD is not final."""

STATUSES_BY_PREFIX = {
    "MI": MessageStatus.EXPIRED,
    "ML": MessageStatus.SENT,
    "MN": MessageStatus.REJECTED,
}
"""Section 7, by convention: the SMSC's final state with the SMSC's own code behind it."""


STAT_WORD = rb"(?:%s|[A-Z]{2}:[0-9A-Za-z]{1,4})" % "|".join(STATUSES).encode()
BINARY_ID = re.compile(rb"(?s:.{8})" + STAT_WORD)
TEXT_ID = re.compile(rb"(-?[0-9A-Fa-f]{16,22})[\0 ]{0,16}(?=%s)" % STAT_WORD)
HEX_DIGITS = 16
PARTS_DIGITS = 22  # MMDDHHMMSS, gateway in 7 digits, sequence in 5 (section 5)


class Report(msgspec.Struct, gc=False):
    """A status report's fields, names as in the specification."""

    msg_id: int
    stat: str
    submit_time: str
    done_time: str
    dest_terminal_id: str
    smsc_sequence: int


def parse_report(content: bytes) -> Report:
    """Read Msg_Content of a report in either version's layout, chosen by its length.

    Spec: cmpp.md section 7, section 16 Q1 (60 octets under 3.0; number field = length - 39),
    section 5 (Msg_Id as text: hex, decimal, or its parts in decimal).

    Raises:
        PduError: Shorter than 60 octets.
    """
    content = _with_binary_id(content)
    if len(content) < REPORT_OCTETS_MIN:
        raise PduError(
            "CMPP_DELIVER",
            "msg_content",
            0,
            f"report of {len(content)} octets, at least {REPORT_OCTETS_MIN}",
        )
    msg_id, words, number, sequence = _layout(len(content)).unpack(content)
    return Report(msg_id, *_words(words), _text(number), sequence)


def build_report(report: Report, version: str) -> bytes:
    """Return Msg_Content of a report in ``version``'s layout: 60 octets in 2.0, 71 in 3.0.

    Raises:
        EncodeError: A field does not fit.
    """
    octets = NUMBER_OCTETS.get(version, NUMBER_OCTETS["3.0"])
    raw = {}
    for name, limit in (
        ("stat", 7),
        ("submit_time", 10),
        ("done_time", 10),
        ("dest_terminal_id", octets),
    ):
        value: str = getattr(report, name)
        if len(value) > limit:
            raise EncodeError(f"report.{name}", f"{limit} octets", f"{len(value)} octets")
        try:
            raw[name] = value.encode("latin-1")
        except UnicodeEncodeError as error:
            odd = value[error.start]
            raise EncodeError(
                f"report.{name}", "one octet a character", f"character {odd!r}"
            ) from None
    words = WORDS.pack(raw["stat"], raw["submit_time"], raw["done_time"])
    layout = _layout(REPORT_FIXED_OCTETS + octets)
    return layout.pack(report.msg_id, words, raw["dest_terminal_id"], report.smsc_sequence)


def status_of(stat: str) -> MessageStatus:
    """What a Stat means: an open set, so an unknown word is a failure (section 7)."""
    known = STATUSES.get(stat)
    if known is not None:
        return known
    prefix, colon, _ = stat.partition(":")
    return STATUSES_BY_PREFIX.get(prefix if colon else "", MessageStatus.UNDELIVERED)


@functools.cache
def _layout(octets: int) -> struct.Struct:
    """A report of so many octets: what is not fixed is the number's."""
    return struct.Struct(f">Q{WORDS.size}s{octets - REPORT_FIXED_OCTETS}sI")


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin-1")


@functools.lru_cache(maxsize=1024)
def _words(raw: bytes) -> tuple[str, str, str]:
    """Read the state and the two minutes, which many reports in a row share."""
    stat, submitted, done = WORDS.unpack(raw)
    return _text(stat), _text(submitted), _text(done)


def _with_binary_id(content: bytes) -> bytes:
    """Put 8 octets in the place of a Msg_Id that is written as text.

    Only where Stat is not where the specification has it, and follows the text: an id is opaque,
    so its octets alone prove nothing.
    """
    if BINARY_ID.match(content):
        return content
    match = TEXT_ID.match(content)
    msg_id = _number_of(match[1]) if match else None
    if match is None or msg_id is None:
        return content
    return msg_id.to_bytes(MESSAGE_ID_OCTETS, "big") + content[match.end() :]


def _number_of(digits: bytes) -> int | None:
    """The id that a text means; a signed 64-bit number may be negative (section 5)."""
    text = digits.decode("ascii")
    if len(text) == HEX_DIGITS:
        return int(text, 16) if text[0] != "-" else None
    if not text.removeprefix("-").isdigit():
        return None
    if len(text) == PARTS_DIGITS:
        return _number_of_parts(text)
    value = int(text)
    return value & 0xFFFFFFFFFFFFFFFF if -(1 << 63) <= value < 1 << 64 else None


def _number_of_parts(text: str) -> int | None:
    try:
        when = datetime.strptime(f"2000{text[:10]}", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return make_message_id(int(text[10:17]), when, int(text[17:]))
