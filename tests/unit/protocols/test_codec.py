"""What every carrier's codec does with whole frames, versions and other versions' bodies."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from smsgw.errors import PduError, ValidationError
from smsgw.protocols.codec import Codec
from smsgw.protocols.kinds import U8, U16, U32
from smsgw.protocols.layout import Pdu, pdu


@pdu(1, "TOY_ASK")
class Ask(Pdu):
    number: Annotated[int, U8] = 0


@pdu(1, "TOY_ASK")
class AskWide(Pdu):
    number: Annotated[int, U16] = 0


@pdu(1, "TOY_ASK")
class AskWider(Pdu):
    number: Annotated[int, U32] = 0


@pdu(2, "TOY_TELL")
class Tell(Pdu):
    number: Annotated[int, U8] = 0


def add_double(pdu: Pdu, fields: dict[str, Any]) -> None:
    fields["double"] = 2 * fields["number"]


def drop_double(fields: dict[str, Any]) -> None:
    fields.pop("double", None)


PLAIN = Codec("toy", {"1": [Ask, Tell], "2": [AskWide]}, "1", 8, 16)
RICH = Codec(
    "toy",
    {"1": [Ask]},
    "1",
    8,
    16,
    lenient=[Tell, Ask, AskWider, AskWide],
    refine=add_double,
    restore=drop_double,
)


def test_the_version_chooses_the_class() -> None:
    assert PLAIN.decode(Ask(5).encode()) == Ask(5)
    assert PLAIN.decode(AskWide(5).encode(), "2") == AskWide(5)
    assert PLAIN.encode(Ask(5)) == bytes.fromhex("000000090000000105")


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        ("00", "header.total_length at offset 0: 1 octets, at least 8"),
        ("0000000a0000000105", "header.total_length at offset 0: says 10 octets, the PDU has 9"),
        ("000000090000000505", "0x00000005.command_id at offset 4: unknown command"),
    ],
)
def test_a_frame_that_lies_is_refused_with_its_offset(octets: str, message: str) -> None:
    with pytest.raises(PduError) as caught:
        PLAIN.decode(bytes.fromhex(octets))
    assert str(caught.value) == message


def test_another_versions_body_is_read_only_where_the_carrier_lists_it() -> None:
    assert RICH.decode(AskWide(7).encode()) == AskWide(7)
    with pytest.raises(PduError, match="1 octets after the last field"):
        PLAIN.decode(AskWide(7).encode())
    with pytest.raises(PduError, match="2 octets after the last field"):
        RICH.decode(bytes.fromhex("0000000b00000001000000"))


def test_a_pdu_becomes_an_object_and_back() -> None:
    fields = {"command": "TOY_ASK", "total_length": 9, "command_id": 1, "number": 5}
    assert PLAIN.to_fields(Ask(5)) == fields
    assert PLAIN.from_fields(fields) == Ask(5)
    assert PLAIN.from_fields({"command": "TOY_ASK", "number": 5}, "2") == AskWide(5)


def test_a_carrier_adds_and_drops_what_only_it_knows() -> None:
    fields = RICH.to_fields(Ask(5), 9)
    assert fields["double"] == 10
    given = dict(fields)
    assert RICH.from_fields(given) == Ask(5)
    assert given == fields


def test_a_command_of_another_version_is_unknown() -> None:
    with pytest.raises(ValidationError, match="command: 'TOY_TELL' is none of TOY_ASK"):
        PLAIN.from_fields({"command": "TOY_TELL"}, "2")


def test_a_framer_knows_the_protocols_bounds() -> None:
    framer = PLAIN.framer()
    assert (framer.smallest, framer.largest) == (8, 16)
