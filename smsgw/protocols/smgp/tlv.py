"""SMGP's optional parameters: the tags of smgp.md section 8, read and written.

Reading is tolerant: unknown tags are kept, short values are taken, of a repeated tag the last one
counts. Writing follows the table: texts are padded to its length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from smsgw.errors import EncodeError, ValidationError
from smsgw.protocols.kinds import Tlv


class Tag(NamedTuple):
    """One row of the table.

    Attributes:
        name: The specification's.
        octets: Length of the value; 0 = it varies.
        is_number: An unsigned integer, else text.
    """

    name: str
    octets: int = 1
    is_number: bool = True


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
    LINK_ID: Tag("LinkID", 20, False),
    CHARGE_USER_TYPE: Tag("ChargeUserType"),
    0x0005: Tag("ChargeTermType"),
    0x0006: Tag("ChargeTermPseudo", 0, False),
    0x0007: Tag("DestTermType"),
    0x0008: Tag("DestTermPseudo", 0, False),
    PK_TOTAL: Tag("PkTotal"),
    PK_NUMBER: Tag("PkNumber"),
    0x000B: Tag("SubmitMsgType"),
    0x000C: Tag("SPDealReslt"),
    0x000D: Tag("SrcTermType"),
    0x000E: Tag("SrcTermPseudo", 0, False),
    0x000F: Tag("NodesCount"),
    MSG_SRC: Tag("MsgSrc", 8, False),
    0x0011: Tag("SrcType"),
    M_SERVICE_ID: Tag("MServiceID", 21, False),
}

TAG_BY_NAME = {row.name: tag for tag, row in TAGS.items()}


def value_of(tlv: Tlv) -> int | str | None:
    """What a TLV says: an integer, or text cut at its first 0x00; None for an unknown tag."""
    row = TAGS.get(tlv.tag)
    if row is None:
        return None
    return int.from_bytes(tlv.value, "big") if row.is_number else _text(tlv.value)


def number(tlvs: Sequence[Tlv], tag: int, default: int = 0) -> int:
    """The last value of ``tag`` as an integer, or ``default``."""
    raw = _last(tlvs, tag)
    return int.from_bytes(raw, "big") if raw else default


def text(tlvs: Sequence[Tlv], tag: int) -> str:
    """The last value of ``tag`` as text without padding, or ""."""
    return _text(_last(tlvs, tag))


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
        largest = (1 << 8 * row.octets) - 1
        if not 0 <= value <= largest:
            raise EncodeError(row.name, f"0 to {largest}", str(value))
        return Tlv(tag, value.to_bytes(row.octets, "big"))
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError as error:
        odd = value[error.start]
        raise EncodeError(row.name, "one octet a character", f"character {odd!r}") from None
    limit = row.octets or 0xFFFF
    if len(raw) > limit:
        raise EncodeError(row.name, f"{limit} octets", f"{len(raw)} octets")
    return Tlv(tag, raw.ljust(row.octets, b"\0"))


def to_item(tlv: Tlv) -> dict[str, Any]:
    """A TLV as one JSON-ready object (smgp.md section 15)."""
    row = TAGS.get(tlv.tag)
    item = {
        "tag": tlv.tag,
        "name": row.name if row else "unknown",
        "length": len(tlv.value),
        "value_hex": tlv.value.hex(),
    }
    if row:
        item["value"] = value_of(tlv)
    return item


def from_item(path: str, item: Any) -> Any:
    """Complete such an object: the tag may be given by name, and ``value`` in place of octets.

    Args:
        path: Where the object stands, for errors.
        item: The object; anything else is returned as it is.

    Raises:
        ValidationError: No such name, or ``value`` contradicts ``value_hex`` or does not fit.
    """
    if not isinstance(item, Mapping):
        return item
    item = dict(item)
    if "tag" not in item:
        item["tag"] = _tag_called(path, item.get("name"))
    row = TAGS.get(item["tag"]) if isinstance(item["tag"], int) else None
    if row is None or "value" not in item:
        return item
    value = item["value"]
    if not isinstance(value, int if row.is_number else str) or isinstance(value, bool):
        kind = "an integer" if row.is_number else "text"
        raise ValidationError(f"{path}.value", f"{row.name} is {kind}")
    if "value_hex" in item:
        _compare(path, item, value)
        return item
    try:
        item["value_hex"] = make(item["tag"], value).value.hex()
    except EncodeError as error:
        raise ValidationError(f"{path}.value", str(error)) from None
    return item


def _compare(path: str, item: Mapping[str, Any], value: int | str) -> None:
    try:
        raw = bytes.fromhex(item["value_hex"])
    except (TypeError, ValueError):
        return  # the field tables complain about octets that are none
    if value_of(Tlv(item["tag"], raw)) != value:
        raise ValidationError(
            f"{path}.value", f"{value!r} contradicts value_hex; leave one of the two out"
        )


def _tag_called(path: str, name: Any) -> int:
    if not isinstance(name, str) or name not in TAG_BY_NAME:
        known = ", ".join(TAG_BY_NAME)
        raise ValidationError(f"{path}.name", f"{name!r} is none of {known}; give the tag instead")
    return TAG_BY_NAME[name]


def _last(tlvs: Sequence[Tlv], tag: int) -> bytes:
    for tlv in reversed(tlvs):
        if tlv.tag == tag:
            return tlv.value
    return b""


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin-1")
