"""PDU <-> JSON object: the names of the specification, and every mistake named by its key."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from smsgw.errors import EncodeError, ValidationError
from smsgw.protocols.fields import pdu_from_fields, pdu_to_fields
from smsgw.protocols.kinds import U8, U16, Listed, Octets, Record, Rest, Sized, Text, Tlv, Tlvs
from smsgw.protocols.layout import Pdu, pdu


class Node(msgspec.Struct):
    code: Annotated[int, U8] = 0
    name: Annotated[str, Text(4)] = ""
    mark: Annotated[bytes, Octets(1)] = b"\0"


@pdu(9, "TOY_FULL")
class Full(Pdu):
    number: Annotated[int, U16] = 0
    name: Annotated[str, Text(6)] = ""
    digest: Annotated[bytes, Octets(2)] = b"\0\0"
    phones: Annotated[list[str], Listed("phone_count", U8, Text(5))] = msgspec.field(
        default_factory=list
    )
    nodes: Annotated[list[Node], Listed("node_count", U8, Record(Node))] = msgspec.field(
        default_factory=list
    )
    content: Annotated[bytes, Sized("content_length", U8)] = b""
    options: Annotated[list[Tlv], Tlvs()] = msgspec.field(default_factory=list)


@pdu(10, "TOY_TAIL")
class Tail(Pdu):
    number: Annotated[int, U8] = 0
    rest: Annotated[bytes, Rest()] = b""


CLASSES: dict[str, type[Pdu]] = {"TOY_FULL": Full, "TOY_TAIL": Tail}

FULL = Full(7, "ab", b"\1\2", ["1", "2"], [Node(3, "x", b"\4")], b"hi", [Tlv(16, b"\xff")])
FULL_FIELDS: dict[str, Any] = {
    "command": "TOY_FULL",
    "total_length": 44,
    "command_id": 9,
    "number": 7,
    "name": "ab",
    "digest_hex": "0102",
    "phone_count": 2,
    "phones": ["1", "2"],
    "node_count": 1,
    "nodes": [{"code": 3, "name": "x", "mark_hex": "04"}],
    "content_length": 2,
    "content_hex": "6869",
    "options": [{"tag": 16, "length": 1, "value_hex": "ff"}],
}


def changed(**changes: Any) -> dict[str, Any]:
    fields = pdu_to_fields(FULL)
    fields.update(changes)
    return {key: value for key, value in fields.items() if value is not ...}


def test_every_field_is_shown_in_wire_order_with_its_lengths_and_counts() -> None:
    fields = pdu_to_fields(FULL)
    assert list(fields) == list(FULL_FIELDS)
    assert fields == FULL_FIELDS
    assert pdu_from_fields(CLASSES, fields) == FULL


def test_a_known_length_is_not_computed_again() -> None:
    assert pdu_to_fields(FULL, 99)["total_length"] == 99


def test_derived_fields_may_be_left_out() -> None:
    derived = ("total_length", "command_id", "phone_count", "node_count", "content_length")
    given = changed(**dict.fromkeys(derived, ...))
    read = pdu_from_fields(CLASSES, given)
    assert read == FULL


def test_fields_left_out_have_their_defaults() -> None:
    assert pdu_from_fields(CLASSES, {"command": "TOY_FULL"}) == Full()
    assert pdu_from_fields(CLASSES, {"command": "TOY_TAIL", "total_length": 9}) == Tail()


def test_a_tolerated_tail_is_shown_by_its_length_alone() -> None:
    fields = pdu_to_fields(Tail(1, b"xyz"))
    assert fields == {"command": "TOY_TAIL", "total_length": 12, "command_id": 10, "number": 1}
    assert pdu_from_fields(CLASSES, fields) == Tail(1, bytes(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"command": ...}, "command: None is none of TOY_FULL, TOY_TAIL"),
        ({"command": ["TOY_FULL"]}, "command: ['TOY_FULL'] is none of TOY_FULL, TOY_TAIL"),
        ({"command": "TOY_NONE"}, "command: 'TOY_NONE' is none of TOY_FULL, TOY_TAIL"),
        ({"nmae": 1}, "nmae: TOY_FULL has no such field"),
        ({"content": "hi"}, "content: TOY_FULL has no such field"),
        ({"number": "7"}, "number: must be an integer, str given"),
        ({"number": True}, "number: must be an integer, bool given"),
        ({"number": None}, "number: must be an integer, missing"),
        ({"name": 5}, "name: must be text, int given"),
        ({"digest_hex": 5}, "digest_hex: must be hexadecimal text, int given"),
        ({"content_hex": "6"}, "content_hex: not hexadecimal: two digits 0-9 a-f for each octet"),
        ({"phones": "1"}, "phones: must be a list, str given"),
        ({"phones": ["1", 2]}, "phones[1]: must be text, int given"),
        ({"nodes": [5]}, "nodes[0]: must be an object, int given"),
        ({"nodes": [{"coed": 5}]}, "nodes[0].coed: no such field"),
        ({"nodes": [{"code": "5"}]}, "nodes[0].code: must be an integer, str given"),
        ({"options": {}}, "options: must be a list, dict given"),
        ({"options": [5]}, "options[0]: must be an object, int given"),
        ({"options": [{"value_hex": ""}]}, "options[0].tag: must be an integer, missing"),
        (
            {"options": [{"tag": 1}]},
            "options[0].value_hex: must be hexadecimal text, missing",
        ),
        (
            {"options": [{"tag": 65536, "value_hex": ""}]},
            "options[0].tag: 65536, limit 0 to 65535",
        ),
        (
            {"options": [{"tag": 1, "length": 2, "value_hex": "ff"}]},
            "options[0].length: 2, but value_hex has 1 octets",
        ),
        ({"options": [{"tag": 1, "value_hex": "", "x": 1}]}, "options[0].x: no such field"),
        (
            {"content_length": 3},
            "content_length: 3, but the other fields make it 2; leave it out",
        ),
        ({"phone_count": 1}, "phone_count: 1, but the other fields make it 2; leave it out"),
        ({"command_id": 8}, "command_id: 8, but the other fields make it 9; leave it out"),
        ({"total_length": 47}, "total_length: 47, but the other fields make it 44; leave it out"),
    ],
)
def test_a_mistake_is_named_by_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        pdu_from_fields(CLASSES, changed(**changes))
    assert str(caught.value) == message


def test_a_value_that_does_not_fit_is_an_encode_error() -> None:
    with pytest.raises(EncodeError, match="name: 7 octets, limit 6 octets"):
        pdu_from_fields(CLASSES, changed(name="1234567"))
