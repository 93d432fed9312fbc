"""SMGP's optional parameters."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.errors import EncodeError, ValidationError
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smgp import tlv


def test_the_table_has_the_eighteen_tags_of_the_specification() -> None:
    assert sorted(tlv.TAGS) == list(range(1, 0x13))
    assert tlv.TAGS[0x000C].name == "SPDealReslt"


@pytest.mark.parametrize(
    ("tag", "value", "octets"),
    [
        (tlv.TP_UDHI, 1, "01"),
        (tlv.LINK_ID, "5566778899", "3535363637373838393900000000000000000000"),
        (tlv.MSG_SRC, "106901", "3130363930310000"),
        (tlv.M_SERVICE_ID, "110000000000000000001", "313130303030303030303030303030303030303031"),
        (0x0006, "pseudo", "70736575646f"),
        (0x0008, "", ""),
    ],
)
def test_a_value_is_written_as_long_as_the_table_says(
    tag: int, value: int | str, octets: str
) -> None:
    made = tlv.make(tag, value)
    assert made == Tlv(tag, bytes.fromhex(octets))
    assert tlv.value_of(made) == value


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (tlv.PK_TOTAL, 256, "PkTotal: 256, limit 0 to 255"),
        (tlv.PK_TOTAL, -1, "PkTotal: -1, limit 0 to 255"),
        (tlv.MSG_SRC, "123456789", "MsgSrc: 9 octets, limit 8 octets"),
        (tlv.MSG_SRC, "电信", "MsgSrc: character '电', limit one octet a character"),
        (0x0008, "x" * 65536, "DestTermPseudo: 65536 octets, limit 65535 octets"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(tag: int, value: int | str, message: str) -> None:
    with pytest.raises(EncodeError) as caught:
        tlv.make(tag, value)
    assert str(caught.value) == message


def test_texts_are_cut_at_their_first_zero_and_may_be_short() -> None:
    assert tlv.text([Tlv(tlv.M_SERVICE_ID, b"ABC\0")], tlv.M_SERVICE_ID) == "ABC"
    assert tlv.text([Tlv(tlv.MSG_SRC, b"106901")], tlv.MSG_SRC) == "106901"
    assert tlv.text([], tlv.MSG_SRC) == ""


def test_numbers_are_read_whatever_their_length() -> None:
    assert tlv.number([Tlv(tlv.PK_TOTAL, b"\0\3")], tlv.PK_TOTAL) == 3
    assert tlv.number([Tlv(tlv.PK_TOTAL, b"")], tlv.PK_TOTAL, 1) == 1
    assert tlv.number([], tlv.PK_TOTAL, 1) == 1


def test_the_last_of_a_repeated_tag_counts() -> None:
    tlvs = [Tlv(2, b"\0"), Tlv(2, b"\1"), Tlv(20, b"\7")]
    assert tlv.number(tlvs, tlv.TP_UDHI) == 1


def test_an_unknown_tag_has_no_value() -> None:
    unknown = Tlv(0x0014, b"\1")
    assert tlv.value_of(unknown) is None
    assert tlv.to_item(unknown) == {
        "tag": 20,
        "name": "unknown",
        "length": 1,
        "value_hex": "01",
    }


@pytest.mark.parametrize(
    ("item", "tag", "value_hex"),
    [
        ({"name": "PkTotal", "value": 2}, 9, "02"),
        ({"tag": 16, "value": "106901"}, 16, "3130363930310000"),
        ({"tag": 20, "value": "ignored", "value_hex": "01"}, 20, "01"),
        ({"tag": 18, "value": "ABC", "value_hex": "41424300"}, 18, "41424300"),
        ({"tag": 2, "value_hex": "01"}, 2, "01"),
        ({"tag": "2", "value_hex": "01"}, "2", "01"),
    ],
)
def test_an_item_is_completed(item: dict[str, Any], tag: Any, value_hex: str) -> None:
    done = tlv.from_item("tlvs[0]", item)
    assert (done["tag"], done["value_hex"]) == (tag, value_hex)


@pytest.mark.parametrize("value_hex", ["not hex", 5])
def test_octets_that_are_none_are_left_for_the_field_tables_to_refuse(value_hex: Any) -> None:
    item = {"tag": 2, "value": 1, "value_hex": value_hex}
    assert tlv.from_item("tlvs[0]", item) == item


def test_what_is_no_item_is_left_for_the_field_tables_to_refuse() -> None:
    assert tlv.from_item("tlvs[0]", 5) == 5


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"name": "TP_odd", "value": 1}, r"tlvs\[0\].name: 'TP_odd' is none of TP_pid"),
        ({"value": 1}, r"tlvs\[0\].name: None is none of"),
        ({"name": ["TP_udhi"], "value": 1}, r"tlvs\[0\].name: \['TP_udhi'\] is none of"),
        ({"tag": 2, "value": "1"}, r"tlvs\[0\].value: TP_udhi is an integer"),
        ({"tag": 2, "value": True}, r"tlvs\[0\].value: TP_udhi is an integer"),
        ({"tag": 16, "value": 1}, r"tlvs\[0\].value: MsgSrc is text"),
        ({"tag": 2, "value": 300}, r"tlvs\[0\].value: TP_udhi: 300, limit 0 to 255"),
        ({"tag": 2, "value": 1, "value_hex": "00"}, r"1 contradicts value_hex"),
    ],
)
def test_an_item_that_cannot_be_meant_is_refused(item: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        tlv.from_item("tlvs[0]", item)
