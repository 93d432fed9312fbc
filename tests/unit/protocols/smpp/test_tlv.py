"""SMPP's optional parameters, read with tolerance and written by the table."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.errors import EncodeError, ValidationError
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smpp import tlv


@pytest.mark.parametrize(
    ("tag", "value", "octets"),
    [
        (tlv.SAR_MSG_REF_NUM, 0xC7, "00c7"),
        (tlv.MESSAGE_STATE, 2, "02"),
        (0x0017, 1, "00000001"),
        (tlv.RECEIPTED_MESSAGE_ID, "42", "343200"),
        (tlv.RECEIPTED_MESSAGE_ID, "", "00"),
        (tlv.MESSAGE_PAYLOAD, b"\1\2", "0102"),
        (0x130C, b"", ""),
    ],
)
def test_a_value_is_written_as_the_table_says(tag: int, value: Any, octets: str) -> None:
    assert tlv.make(tag, value) == Tlv(tag, bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (tlv.MESSAGE_STATE, 256, "message_state: 256, limit 0 to 255"),
        (tlv.MESSAGE_STATE, -1, "message_state: -1, limit 0 to 255"),
        (tlv.NETWORK_ERROR_CODE, bytes(4), "network_error_code: 4 octets, limit 3 octets"),
        (tlv.RECEIPTED_MESSAGE_ID, "x" * 65, "receipted_message_id: 65 octets, limit 64 octets"),
        (
            tlv.RECEIPTED_MESSAGE_ID,
            "4中",
            "receipted_message_id: character '中', limit one octet a character",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tag: int, value: Any, message: str) -> None:
    with pytest.raises(EncodeError) as caught:
        tlv.make(tag, value)
    assert str(caught.value) == message


def test_the_first_of_a_repeated_tag_counts_and_a_missing_one_is_nothing() -> None:
    tlvs = [Tlv(0x0427, b"\2"), Tlv(0x0427, b"\3"), Tlv(0x001E, b"42"), Tlv(0x020C, b"")]
    assert tlv.number(tlvs, tlv.MESSAGE_STATE) == 2
    assert tlv.text(tlvs, tlv.RECEIPTED_MESSAGE_ID) == "42"
    assert tlv.number(tlvs, tlv.SAR_MSG_REF_NUM, 7) == 7
    assert tlv.find(tlvs, tlv.MESSAGE_PAYLOAD) is None
    assert tlv.text([], tlv.RECEIPTED_MESSAGE_ID) == ""


def test_a_tlv_is_shown_with_its_name_and_value() -> None:
    assert tlv.to_item(Tlv(0x020E, b"\2")) == {
        "tag": 0x020E,
        "name": "sar_total_segments",
        "length": 1,
        "value_hex": "02",
        "value": 2,
    }
    assert "value" not in tlv.to_item(Tlv(0x0424, b"text"))
    assert tlv.to_item(Tlv(0x1400, b""))["name"] == "unknown"


@pytest.mark.parametrize(
    ("item", "value_hex"),
    [
        ({"name": "receipted_message_id", "value": "42"}, "343200"),
        ({"tag": 0x020C, "value": 5}, "0005"),
        ({"tag": 0x020C, "value": 5, "value_hex": "05"}, "05"),
        ({"tag": 0x020C, "value": 5, "value_hex": "x"}, "x"),
        ({"tag": 0x020C, "value_hex": "05"}, "05"),
        ({"tag": 0x0424, "value": "shown", "value_hex": "05"}, "05"),
        ({"tag": "x", "value_hex": "05"}, "05"),
    ],
)
def test_an_object_is_completed_from_its_name_and_value(item: Any, value_hex: str) -> None:
    assert tlv.from_item("tlvs[0]", item)["value_hex"] == value_hex


def test_what_is_no_object_is_left_to_the_field_tables() -> None:
    assert tlv.from_item("tlvs[0]", 5) == 5


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"name": "none", "value": 1}, r"tlvs\[0\].name: 'none' is none of dest_addr_subunit"),
        ({"value": 1}, r"tlvs\[0\].name: None is none of"),
        ({"tag": 0x0427, "value": "2"}, r"tlvs\[0\].value: message_state is an integer"),
        ({"tag": 0x0427, "value": True}, r"tlvs\[0\].value: message_state is an integer"),
        ({"tag": 0x001E, "value": 42}, r"tlvs\[0\].value: receipted_message_id is text"),
        ({"tag": 0x0427, "value": 256}, r"tlvs\[0\].value: message_state: 256, limit"),
        ({"tag": 0x0427, "value": 2, "value_hex": "03"}, r"2 contradicts value_hex"),
    ],
)
def test_an_object_that_contradicts_itself_is_refused(item: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        tlv.from_item("tlvs[0]", item)
