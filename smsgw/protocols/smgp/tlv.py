"""SMGP's optional parameters: the tags of smgp.md section 8, read and written.

Reading is tolerant: unknown tags are kept, short values are taken, of a repeated tag the last one
counts. Writing follows the table: texts are padded to its length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smsgw.protocols import tlvs
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.tlvs import Tag, number_octets, text_octets, text_of

TP_PID = 0x0001
TP_UDHI = 0x0002
LINK_ID = 0x0003
CHARGE_USER_TYPE = 0x0004
PK_TOTAL = 0x0009
PK_NUMBER = 0x000A
MSG_SRC = 0x0010
M_SERVICE_ID = 0x0012

TAGS = {
    TP_PID: Tag("TP_pid"),
    TP_UDHI: Tag("TP_udhi"),
    LINK_ID: Tag("LinkID", "text", 20),
    CHARGE_USER_TYPE: Tag("ChargeUserType"),
    0x0005: Tag("ChargeTermType"),
    0x0006: Tag("ChargeTermPseudo", "text", 0),
    0x0007: Tag("DestTermType"),
    0x0008: Tag("DestTermPseudo", "text", 0),
    PK_TOTAL: Tag("PkTotal"),
    PK_NUMBER: Tag("PkNumber"),
    0x000B: Tag("SubmitMsgType"),
    0x000C: Tag("SPDealReslt"),
    0x000D: Tag("SrcTermType"),
    0x000E: Tag("SrcTermPseudo", "text", 0),
    0x000F: Tag("NodesCount"),
    MSG_SRC: Tag("MsgSrc", "text", 8),
    0x0011: Tag("SrcType"),
    M_SERVICE_ID: Tag("MServiceID", "text", 21),
}


def value_of(tlv: Tlv) -> int | str | None:
    """What a TLV says: an integer, or text cut at its first 0x00; None for an unknown tag."""
    row = TAGS.get(tlv.tag)
    return None if row is None else tlvs.value_of(row, tlv.value)


def number(options: Sequence[Tlv], tag: int, default: int = 0) -> int:
    """The last value of ``tag`` as an integer, or ``default``."""
    raw = _last(options, tag)
    return int.from_bytes(raw, "big") if raw else default


def text(options: Sequence[Tlv], tag: int) -> str:
    """The last value of ``tag`` as text without padding, or ""."""
    return text_of(_last(options, tag))


def make(tag: int, value: int | str) -> Tlv:
    """Return a TLV as the table wants it.

    Args:
        tag: One of ``TAGS``.
        value: An integer or text, as the tag asks.

    Raises:
        EncodeError: The value does not fit.
    """
    row = TAGS[tag]
    if isinstance(value, int):
        return Tlv(tag, number_octets(row, value))
    raw = text_octets(row, value, row.octets or 0xFFFF)
    return Tlv(tag, raw.ljust(row.octets, b"\0"))


def to_item(tlv: Tlv) -> dict[str, Any]:
    """A TLV as one JSON-ready object; see :func:`smsgw.protocols.tlvs.to_item`."""
    return tlvs.to_item(TAGS, tlv)


def from_item(path: str, item: Any) -> Any:
    """Complete such an object; see :func:`smsgw.protocols.tlvs.from_item`."""
    return tlvs.from_item(TAGS, make, path, item)


def _last(options: Sequence[Tlv], tag: int) -> bytes:
    for tlv in reversed(options):
        if tlv.tag == tag:
            return tlv.value
    return b""
