"""The kinds of field a PDU is declared with: construct objects that say width, padding and limits.

Spec: cmpp.md section 2, smgp.md section 2, sgip.md section 2, SMPP 3.4 3.1. What
:mod:`smsgw.protocols.compiler` does not find here, or among construct's integers, it refuses at
import.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin, get_type_hints

import construct
import msgspec

U8 = construct.Int8ub
U16 = construct.Int16ub
U32 = construct.Int32ub
U64 = construct.Int64ub

LATIN1 = "latin-1"


class Text(construct.Adapter):  # type: ignore[misc]
    """Fixed-width text: left aligned, padded with 0x00; read up to the first 0x00.

    A value that fills the field has no terminator. One octet is one character (Latin-1), so
    whatever a peer writes can be read and written back.

    Spec: cmpp.md section 2, smgp.md section 2, sgip.md section 2 (STR).
    """

    masked = False
    remembered = True  # decoding keeps octets -> text of a bounded number of values

    def __init__(self, octets: int) -> None:
        super().__init__(construct.Bytes(octets))
        self.octets = octets

    def _decode(self, obj: bytes, context: object, path: str) -> str:
        return obj.partition(b"\0")[0].decode(LATIN1)

    def _encode(self, obj: str, context: object, path: str) -> bytes:
        raw = obj.encode(LATIN1)
        if len(raw) > self.octets:
            raise construct.StringError(f"{len(raw)} octets, limit {self.octets}", path=path)
        return raw.ljust(self.octets, b"\0")


class Number(Text):
    """A phone's number: text that seldom repeats, so that remembering it would only cost."""

    remembered = False


class Secret(Text):
    """Text that no log and no ``str()`` may show, and that nothing keeps."""

    masked = True
    remembered = False


class CText(construct.Adapter):  # type: ignore[misc]
    """SMPP's C-Octet String: text up to its 0x00, one octet a character (Latin-1).

    Spec: SMPP 3.4 3.1.

    Args:
        octets_max: Most octets on the wire, the 0x00 included.
    """

    masked = False
    remembered = True

    def __init__(self, octets_max: int) -> None:
        super().__init__(construct.NullTerminated(construct.GreedyBytes))
        self.octets_max = octets_max

    def _decode(self, obj: bytes, context: object, path: str) -> str:
        if len(obj) >= self.octets_max:
            raise construct.StringError(f"no 0x00 within {self.octets_max} octets", path=path)
        return obj.decode(LATIN1)

    def _encode(self, obj: str, context: object, path: str) -> bytes:
        raw = obj.encode(LATIN1)
        if len(raw) >= self.octets_max:
            raise construct.StringError(
                f"{len(raw)} octets, limit {self.octets_max - 1}", path=path
            )
        if b"\0" in raw:
            raise construct.StringError("0x00 inside a text that 0x00 ends", path=path)
        return raw


class CNumber(CText):
    """A phone's number, or an id: text that seldom repeats."""

    remembered = False


class CSecret(CText):
    """Text that no log and no ``str()`` may show, and that nothing keeps."""

    masked = True
    remembered = False


class Reserved(Text):
    """Reserved octets: only trailing 0x00 are dropped, so any value survives a round trip."""

    remembered = False

    def _decode(self, obj: bytes, context: object, path: str) -> str:
        return obj.rstrip(b"\0").decode(LATIN1)


class Octets(construct.Adapter):  # type: ignore[misc]
    """Exactly ``octets`` raw octets, never trimmed. Digests and binary ids."""

    def __init__(self, octets: int) -> None:
        super().__init__(construct.Bytes(octets))
        self.octets = octets

    def _decode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj

    def _encode(self, obj: bytes, context: object, path: str) -> bytes:
        if len(obj) != self.octets:
            raise construct.StringError(f"{len(obj)} octets, exactly {self.octets}", path=path)
        return obj


class Sized(construct.Adapter):  # type: ignore[misc]
    """Raw octets behind their length field, which is derived and not an attribute.

    Args:
        length_name: The length field's name in the specification.
        length: Its construct integer.
    """

    def __init__(self, length_name: str, length: Any) -> None:
        super().__init__(construct.Prefixed(length, construct.GreedyBytes))
        self.length_name = length_name
        self.length = length

    def _decode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj

    def _encode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj


class Listed(construct.Adapter):  # type: ignore[misc]
    """Equal items behind their count field, which is derived and not an attribute.

    Args:
        count_name: The count field's name in the specification.
        count: Its construct integer.
        item: A :class:`Text`, a :class:`Record`, or a :class:`Choice`.
    """

    def __init__(self, count_name: str, count: Any, item: Text | Record | Choice) -> None:
        super().__init__(construct.PrefixedArray(count, item))
        self.count_name = count_name
        self.count = count
        self.item = item

    def _decode(self, obj: list[Any], context: object, path: str) -> list[Any]:
        return list(obj)

    def _encode(self, obj: list[Any], context: object, path: str) -> list[Any]:
        return obj


class Record(construct.Adapter):  # type: ignore[misc]
    """One item of a list that is itself several fields."""

    def __init__(self, cls: type[msgspec.Struct]) -> None:
        self.cls = cls
        self.fields = declared_fields(cls)
        self.fixed = not any(isinstance(subcon, CText) for _, subcon in self.fields)
        super().__init__(construct.Struct(*[name / subcon for name, subcon in self.fields]))

    def _decode(self, obj: Any, context: object, path: str) -> msgspec.Struct:
        return self.cls(**{name: obj[name] for name, _ in self.fields})

    def _encode(self, obj: Any, context: object, path: str) -> dict[str, Any]:
        return {name: getattr(obj, name) for name, _ in self.fields}


class Choice(construct.Adapter):  # type: ignore[misc]
    """One item of a list whose kind its first octet says, which is derived and not an attribute.

    Args:
        flag_name: That octet's name in the specification.
        records: Its values -> what then follows; each of another class.
    """

    fixed = False

    def __init__(self, flag_name: str, records: dict[int, Record]) -> None:
        self.flag_name = flag_name
        self.records = records
        self.flags: dict[type, int] = {record.cls: flag for flag, record in records.items()}
        super().__init__(
            construct.Struct(
                "flag" / construct.OneOf(U8, list(records)),
                "item" / construct.Switch(construct.this.flag, records),
            )
        )

    def _decode(self, obj: Any, context: object, path: str) -> msgspec.Struct:
        item: msgspec.Struct = obj.item
        return item

    def _encode(self, obj: Any, context: object, path: str) -> dict[str, Any]:
        return {"flag": self.flags.get(type(obj), -1), "item": obj}


class Tlv(msgspec.Struct, gc=False):
    """One optional parameter: a tag, and its value's octets as they are on the wire."""

    tag: int
    value: bytes


class Tlvs(construct.Adapter):  # type: ignore[misc]
    """Optional parameters (tag 2, length 2, value) up to the PDU's end, order kept."""

    def __init__(self) -> None:
        one = construct.Struct(
            "tag" / U16, "value" / construct.Prefixed(U16, construct.GreedyBytes)
        )
        super().__init__(construct.GreedyRange(one))

    def _decode(self, obj: list[Any], context: object, path: str) -> list[Tlv]:
        return [Tlv(item.tag, item.value) for item in obj]

    def _encode(self, obj: list[Tlv], context: object, path: str) -> list[dict[str, Any]]:
        return [{"tag": tlv.tag, "value": tlv.value} for tlv in obj]


class Rest(construct.Adapter):  # type: ignore[misc]
    """Whatever octets a peer adds after the last field: tolerated, kept, meaningless."""

    def __init__(self) -> None:
        super().__init__(construct.GreedyBytes)

    def _decode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj

    def _encode(self, obj: bytes, context: object, path: str) -> bytes:
        return obj


def declared_fields(cls: type[msgspec.Struct]) -> list[tuple[str, Any]]:
    """The (name, construct object) pairs of a PDU class, in wire order."""
    hints = get_type_hints(cls, include_extras=True)
    fields = []
    for name in cls.__struct_fields__:
        hint = hints[name]
        if get_origin(hint) is not Annotated:
            raise TypeError(f"{cls.__name__}.{name} has no construct object in its annotation")
        fields.append((name, get_args(hint)[1]))
    return fields
