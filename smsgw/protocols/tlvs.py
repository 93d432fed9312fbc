"""What the carriers with optional parameters share: a table's rows, and TLVs as JSON objects.

Each carrier's ``tlv.py`` has its table and says which of several TLVs counts and how a value is
padded; what a row means and how a person writes one is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from smsgw.errors import EncodeError, ValidationError
from smsgw.protocols.kinds import LATIN1, Tlv

Kind = Literal["number", "text", "octets"]


class Tag(NamedTuple):
    """One row of a table.

    Attributes:
        name: The specification's.
        kind: An unsigned integer, text up to its first 0x00, or octets as they are.
        octets: Length of an integer; what it limits for the others is the carrier's.
    """

    name: str
    kind: Kind = "number"
    octets: int = 1


Tags = Mapping[int, Tag]


def text_of(raw: bytes) -> str:
    """Text up to its first 0x00, which some peers leave out."""
    return raw.partition(b"\0")[0].decode(LATIN1)


def value_of(row: Tag, raw: bytes) -> int | str | None:
    """What a value says: an integer or text; None where it says no more than its octets."""
    if row.kind == "octets":
        return None
    return int.from_bytes(raw, "big") if row.kind == "number" else text_of(raw)


def number_octets(row: Tag, value: int) -> bytes:
    """Return an integer as the table wants it.

    Raises:
        EncodeError: It does not fit.
    """
    largest = (1 << 8 * row.octets) - 1
    if not 0 <= value <= largest:
        raise EncodeError(row.name, f"0 to {largest}", str(value))
    return value.to_bytes(row.octets, "big")


def text_octets(row: Tag, value: str, limit: int) -> bytes:
    """Return text as octets, not padded.

    Raises:
        EncodeError: It has more than ``limit``, or a character that is no octet.
    """
    try:
        raw = value.encode(LATIN1)
    except UnicodeEncodeError as error:
        odd = value[error.start]
        raise EncodeError(row.name, "one octet a character", f"character {odd!r}") from None
    if len(raw) > limit:
        raise EncodeError(row.name, f"{limit} octets", f"{len(raw)} octets")
    return raw


def to_item(tags: Tags, tlv: Tlv) -> dict[str, Any]:
    """A TLV as one JSON-ready object; ``value`` only where it says more than the octets."""
    row = tags.get(tlv.tag)
    item: dict[str, Any] = {
        "tag": tlv.tag,
        "name": row.name if row else "unknown",
        "length": len(tlv.value),
        "value_hex": tlv.value.hex(),
    }
    value = value_of(row, tlv.value) if row is not None else None
    return item if value is None else {**item, "value": value}


def from_item(tags: Tags, make: Callable[[int, int | str], Tlv], path: str, item: Any) -> Any:
    """Complete such an object: the tag may be given by name, and ``value`` in place of octets.

    Args:
        tags: The carrier's table.
        make: Writes a value as that table wants it.
        path: Where the object stands, for errors.
        item: The object; anything else is returned as it is.

    Raises:
        ValidationError: No such name, or ``value`` contradicts ``value_hex`` or does not fit.
    """
    if not isinstance(item, Mapping):
        return item
    item = dict(item)
    if "tag" not in item:
        item["tag"] = _tag_called(tags, path, item.get("name"))
    row = tags.get(item["tag"]) if isinstance(item["tag"], int) else None
    if row is None or row.kind == "octets" or "value" not in item:
        return item
    value = item["value"]
    if not isinstance(value, int if row.kind == "number" else str) or isinstance(value, bool):
        kind = "an integer" if row.kind == "number" else "text"
        raise ValidationError(f"{path}.value", f"{row.name} is {kind}")
    if "value_hex" in item:
        _compare(path, row, item["value_hex"], value)
        return item
    try:
        item["value_hex"] = make(item["tag"], value).value.hex()
    except EncodeError as error:
        raise ValidationError(f"{path}.value", str(error)) from None
    return item


def _compare(path: str, row: Tag, value_hex: Any, value: int | str) -> None:
    try:
        raw = bytes.fromhex(value_hex)
    except (TypeError, ValueError):
        return  # the field tables complain about octets that are none
    if value_of(row, raw) != value:
        raise ValidationError(
            f"{path}.value", f"{value!r} contradicts value_hex; leave one of the two out"
        )


def _tag_called(tags: Tags, path: str, name: Any) -> int:
    by_name = {row.name: tag for tag, row in tags.items()}
    if not isinstance(name, str) or name not in by_name:
        known = ", ".join(by_name)
        raise ValidationError(f"{path}.name", f"{name!r} is none of {known}; give the tag instead")
    return by_name[name]
