"""PDU <-> plain JSON object, in the shape of the test vectors.

Names are the specification's in snake_case; integers stay integers, text stays text without its
padding, octets become hex under ``<name>_hex``, and the derived lengths and counts are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import construct
import msgspec

from smsgw.errors import ValidationError
from smsgw.protocols.kinds import (
    Choice,
    CText,
    Listed,
    Octets,
    Record,
    Rest,
    Sized,
    Text,
    Tlv,
    Tlvs,
)
from smsgw.protocols.layout import Pdu

TLV_KEYS = {"tag", "length", "value_hex", "name", "value"}
"""``name`` and ``value`` are a carrier's own additions, which it has checked itself."""


def pdu_to_fields(pdu: Pdu, total_octets: int | None = None) -> dict[str, Any]:
    """Return the PDU's fields in wire order, derived ones included.

    Args:
        pdu: Any PDU.
        total_octets: Its length on the wire where known; else it is computed.
    """
    fields: dict[str, Any] = {
        "command": pdu.command,
        "total_length": total_octets if total_octets is not None else len(pdu.encode()),
        "command_id": pdu.command_id,
    }
    for name, subcon in pdu.layout.fields:
        value = getattr(pdu, name)
        if isinstance(subcon, Sized):
            fields[subcon.length_name] = len(value)
            fields[f"{name}_hex"] = value.hex()
        elif isinstance(subcon, Octets):
            fields[f"{name}_hex"] = value.hex()
        elif isinstance(subcon, Listed):
            fields[subcon.count_name] = len(value)
            fields[name] = [_item_fields(subcon.item, item) for item in value]
        elif isinstance(subcon, Tlvs):
            fields[name] = [
                {"tag": tlv.tag, "length": len(tlv.value), "value_hex": tlv.value.hex()}
                for tlv in value
            ]
        elif not isinstance(subcon, Rest):
            fields[name] = value
    return fields


def _item_fields(subcon: Text | Record | Choice, item: Any) -> Any:
    if isinstance(subcon, Choice):
        flag = subcon.flags[type(item)]
        return {subcon.flag_name: flag, **_item_fields(subcon.records[flag], item)}
    if isinstance(subcon, Text):
        return item
    return {
        _key(name, field): value.hex() if isinstance(field, Octets) else value
        for name, field in subcon.fields
        for value in (getattr(item, name),)
    }


def _key(name: str, subcon: Any) -> str:
    return f"{name}_hex" if isinstance(subcon, Sized | Octets) else name


def pdu_from_fields(classes: Mapping[str, type[Pdu]], fields: Mapping[str, Any]) -> Pdu:
    """Return the PDU that ``fields`` describes; derived fields may be left out.

    Raises:
        ValidationError: A key is missing, unknown, of the wrong kind, or contradicts the rest.
        EncodeError: A value does not fit its field.
    """
    command = fields.get("command")
    if not isinstance(command, str) or command not in classes:
        raise ValidationError("command", f"{command!r} is none of {', '.join(sorted(classes))}")
    cls = classes[command]
    left = {key: value for key, value in fields.items() if key != "command"}
    derived: dict[str, Any] = {
        key: left.pop(key) for key in ("total_length", "command_id") if key in left
    }
    values: dict[str, Any] = {}
    for name, subcon in cls.layout.fields:
        if isinstance(subcon, Rest):
            continue
        if isinstance(subcon, Sized) and subcon.length_name in left:
            derived[subcon.length_name] = left.pop(subcon.length_name)
        if isinstance(subcon, Listed) and subcon.count_name in left:
            derived[subcon.count_name] = left.pop(subcon.count_name)
        key = _key(name, subcon)
        if key in left:
            values[name] = _value(key, subcon, left.pop(key))
    if left:
        raise ValidationError(min(left), f"{command} has no such field")
    pdu = cls(**values)
    _fill_rest(pdu, derived.get("total_length"))
    _compare(pdu, derived)
    return pdu


def _value(key: str, subcon: Any, value: Any) -> Any:
    if isinstance(subcon, Sized | Octets):
        return _octets(key, value)
    if isinstance(subcon, Text | CText):
        return _typed(key, value, str, "text")
    if isinstance(subcon, construct.FormatField):
        return _typed(key, value, int, "an integer")
    items = _typed(key, value, list, "a list")
    if isinstance(subcon, Tlvs):
        return [_tlv(f"{key}[{i}]", item) for i, item in enumerate(items)]
    if isinstance(subcon.item, Choice):
        return [_chosen(f"{key}[{i}]", subcon.item, item) for i, item in enumerate(items)]
    if isinstance(subcon.item, Record):
        return [_record(f"{key}[{i}]", subcon.item, item) for i, item in enumerate(items)]
    return [_typed(f"{key}[{i}]", item, str, "text") for i, item in enumerate(items)]


def _tlv(key: str, item: Any) -> Tlv:
    item = _typed(key, item, dict, "an object")
    if odd := [name for name in item if name not in TLV_KEYS]:
        raise ValidationError(f"{key}.{odd[0]}", "no such field")
    tag = _typed(f"{key}.tag", item.get("tag"), int, "an integer")
    if not 0 <= tag <= 0xFFFF:
        raise ValidationError(f"{key}.tag", f"{tag}, limit 0 to 65535")
    value = _octets(f"{key}.value_hex", item.get("value_hex"))
    if "length" in item and item["length"] != len(value):
        raise ValidationError(
            f"{key}.length", f"{item['length']}, but value_hex has {len(value)} octets"
        )
    return Tlv(tag, value)


def _chosen(key: str, choice: Choice, item: Any) -> msgspec.Struct:
    rest = dict(_typed(key, item, dict, "an object"))
    path = f"{key}.{choice.flag_name}"
    flag = _typed(path, rest.pop(choice.flag_name, None), int, "an integer")
    if flag not in choice.records:
        raise ValidationError(path, f"{flag} is none of {', '.join(map(str, choice.records))}")
    return _record(key, choice.records[flag], rest)


def _record(key: str, record: Record, item: Any) -> msgspec.Struct:
    item = _typed(key, item, dict, "an object")
    fields = {_key(name, subcon): (name, subcon) for name, subcon in record.fields}
    values = {}
    for given, value in item.items():
        if given not in fields:
            raise ValidationError(f"{key}.{given}", "no such field")
        name, subcon = fields[given]
        values[name] = _value(f"{key}.{given}", subcon, value)
    return record.cls(**values)


def _octets(key: str, value: Any) -> bytes:
    try:
        return bytes.fromhex(_typed(key, value, str, "hexadecimal text"))
    except ValueError:
        raise ValidationError(key, "not hexadecimal: two digits 0-9 a-f for each octet") from None


def _typed(key: str, value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        got = "missing" if value is None else f"{type(value).__name__} given"
        raise ValidationError(key, f"must be {name}, {got}")
    return value


def _fill_rest(pdu: Pdu, total_length: Any) -> None:
    """A tolerated tail is not shown; its length is all that a total length tells of it."""
    name, subcon = pdu.layout.fields[-1]
    if isinstance(subcon, Rest) and isinstance(total_length, int):
        missing = total_length - len(pdu.encode())
        if 0 < missing <= 0xFFFF:
            setattr(pdu, name, bytes(missing))


def _compare(pdu: Pdu, derived: Mapping[str, Any]) -> None:
    if not derived:
        return
    actual = pdu_to_fields(pdu)
    for key, value in derived.items():
        if actual[key] != value:
            raise ValidationError(
                key, f"{value}, but the other fields make it {actual[key]}; leave it out"
            )
