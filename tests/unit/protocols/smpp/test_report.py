"""Delivery receipts as SMSCs write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsgw.errors import EncodeError, PduError
from smsgw.model import MessageStatus
from smsgw.protocols import smpp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smpp.report import STATE_WORDS, Report, build_report, is_report, read_report

STANDARD = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2601161700 done date:2601161701"
    b" stat:DELIVRD err:000 text:hello"
)


def receipt(content: bytes, *tlvs: Tlv) -> smpp.DeliverSm:
    return smpp.DeliverSm(esm_class=4, short_message=content, tlvs=list(tlvs))


def test_the_specifications_form_is_read_field_by_field() -> None:
    assert read_report(receipt(STANDARD)) == Report(
        "0123456789", "DELIVRD", "000", "001", "001", "2601161700", "2601161701", "hello"
    )


@pytest.mark.parametrize(
    "content",
    [
        STANDARD.upper().replace(b"DATE", b"Date"),
        STANDARD.replace(b" text:", b" Text:"),
        STANDARD.replace(b"submit date", b"submit_date").replace(b"done date", b"donedate"),
        STANDARD.replace(b" text:hello", b""),
        STANDARD.replace(b" ", b"  "),
        STANDARD.replace(b"submit date", b"\nsubmit date").replace(b"DELIVRD", b"DELIVRD,"),
        STANDARD + b"\0",
        STANDARD.decode().encode("utf-16-be"),
        STANDARD.decode().encode("utf-16-be") + b"\0",
        b"\0" + STANDARD,
    ],
    ids=[
        "upper case",
        "Text",
        "other dates",
        "no text",
        "two spaces",
        "line end and comma",
        "0x00 behind",
        "UCS-2",
        "UCS-2, odd",
        "0x00 before",
    ],
)
def test_other_spellings_say_the_same(content: bytes) -> None:
    report = read_report(receipt(content))
    assert (report.message_id, report.status) == ("0123456789", MessageStatus.DELIVERED)
    assert (report.err, report.done_date) == ("000", "2601161701")


def test_fields_may_be_missing_and_stand_in_another_order() -> None:
    report = read_report(receipt(b"stat:EXPIRED id:ab-CD_7"))
    assert report == Report("ab-CD_7", "EXPIRED")
    assert report.status is MessageStatus.EXPIRED


def test_an_smscs_own_labels_are_no_part_of_a_value() -> None:
    content = b"id:42 smsc:BJ1 sub:001 stat:DELIVRD mccmnc:46000, err:000 price:0 text:hi"
    report = read_report(receipt(content))
    assert (report.message_id, report.stat, report.err) == ("42", "DELIVRD", "000")


@pytest.mark.parametrize(
    "pdu",
    [
        receipt(b"id:" + b"7" * 65 + b" stat:DELIVRD"),
        receipt(b"stat:DELIVRD", Tlv(0x001E, b"7" * 70)),
    ],
)
def test_an_id_longer_than_any_that_was_given_out_is_refused(pdu: smpp.DeliverSm) -> None:
    with pytest.raises(PduError, match=r"receipt with an id of \d\d octets, limit 64"):
        read_report(pdu)


def test_a_stat_with_a_colon_hides_no_label_and_the_text_is_not_searched() -> None:
    report = read_report(receipt(b"id:1 stat:ERR:105 err:9 text:id:2 stat:DELIVRD"))
    assert (report.message_id, report.stat, report.err) == ("1", "ERR:105", "9")
    assert report.text == "id:2 stat:DELIVRD"
    assert report.status is MessageStatus.UNDELIVERED


def test_the_first_of_a_repeated_label_counts() -> None:
    assert read_report(receipt(b"id:1 id:2 stat:DELIVRD")).message_id == "1"


@pytest.mark.parametrize(
    ("stat", "status"),
    [
        ("DELIVRD", MessageStatus.DELIVERED),
        ("delivrd", MessageStatus.DELIVERED),
        ("DELIVERED", MessageStatus.DELIVERED),
        ("EXPIRED", MessageStatus.EXPIRED),
        ("DELETED", MessageStatus.UNDELIVERED),
        ("UNDELIV", MessageStatus.UNDELIVERED),
        ("ACCEPTD", MessageStatus.SENT),
        ("ENROUTE", MessageStatus.SENT),
        ("UNKNOWN", MessageStatus.UNDELIVERED),
        ("REJECTD", MessageStatus.REJECTED),
        ("MK:0001", MessageStatus.UNDELIVERED),
    ],
)
def test_a_word_stands_for_a_status(stat: str, status: MessageStatus) -> None:
    report = read_report(receipt(f"id:1 stat:{stat}".encode()))
    assert (report.stat, report.status) == (stat, status)


@pytest.mark.parametrize(("state", "word"), STATE_WORDS.items())
def test_message_state_alone_says_as_much_as_its_word(state: int, word: str) -> None:
    tlvs = Tlv(0x001E, b"42\0"), Tlv(0x0427, bytes([state]))
    report = read_report(receipt(b"", *tlvs))
    assert (report.message_id, report.stat) == ("42", word)
    assert report.status is Report("1", word).status


def test_optional_parameters_count_where_the_text_says_something_else() -> None:
    tlvs = Tlv(0x001E, b"7220BB6B\0"), Tlv(0x0427, b"\2")
    report = read_report(receipt(b"id:1914747755 stat:UNKNOWN", *tlvs))
    assert (report.message_id, report.stat) == ("7220BB6B", "UNKNOWN")
    assert report.status is MessageStatus.DELIVERED


def test_a_message_state_that_nobody_defines_leaves_the_word() -> None:
    report = read_report(receipt(b"id:1 stat:DELIVRD", Tlv(0x0427, b"\x4d")))
    assert report.status is MessageStatus.DELIVERED
    with pytest.raises(PduError, match="receipt without stat"):
        read_report(receipt(b"id:1", Tlv(0x0427, b"\x4d")))


@pytest.mark.parametrize(("value", "err"), [(b"\x03\x00\x1b", "027"), (b"\x03\x1b", ""), (b"", "")])
def test_network_error_code_is_the_error_where_the_text_has_none(value: bytes, err: str) -> None:
    assert read_report(receipt(b"id:1 stat:UNDELIV", Tlv(0x0423, value))).err == err
    assert read_report(receipt(b"id:1 stat:UNDELIV err:5", Tlv(0x0423, value))).err == "5"


def test_a_receipt_may_come_in_message_payload_and_in_data_sm() -> None:
    payload = Tlv(0x0424, STANDARD)
    assert read_report(receipt(b"", payload)).message_id == "0123456789"
    assert read_report(smpp.DataSm(esm_class=4, tlvs=[payload])).message_id == "0123456789"


@pytest.mark.parametrize("pdu", [receipt(b"hello"), receipt(b""), smpp.DataSm(esm_class=4)])
def test_what_names_no_message_is_refused(pdu: smpp.DeliverSm | smpp.DataSm) -> None:
    with pytest.raises(PduError, match="receipt without id") as caught:
        read_report(pdu)
    assert caught.value.field == "short_message"
    assert caught.value.offset == len(pdu.encode()) - len(pdu.short_message)


@pytest.mark.parametrize(
    ("pdu", "yes"),
    [
        (smpp.DeliverSm(), False),
        (smpp.DeliverSm(esm_class=0x04), True),
        (smpp.DeliverSm(esm_class=0x44), True),
        (smpp.DeliverSm(esm_class=0x20), True),
        (smpp.DeliverSm(esm_class=0x08), False),
        (smpp.DeliverSm(esm_class=0x10), False),
        (smpp.DeliverSm(esm_class=0x40), False),
        (smpp.DeliverSm(tlvs=[Tlv(0x001E, b"1\0"), Tlv(0x0427, b"\2")]), True),
        (smpp.DeliverSm(tlvs=[Tlv(0x001E, b"1\0")]), False),
        (smpp.DeliverSm(tlvs=[Tlv(0x0427, b"\2")]), False),
        (smpp.DataSm(esm_class=0x04), True),
    ],
)
def test_esm_class_or_both_optional_parameters_make_a_receipt(
    pdu: smpp.DeliverSm | smpp.DataSm, yes: bool
) -> None:
    assert is_report(pdu) is yes


def test_a_receipt_is_built_as_the_specification_says() -> None:
    read = read_report(receipt(STANDARD))
    assert build_report(read) == STANDARD
    assert build_report(Report("1", "UNDELIV")) == (
        b"id:1 sub:001 dlvrd:001 submit date: done date: stat:UNDELIV err:000 text:"
    )


def test_a_text_in_a_receipt_is_cut_to_twenty_characters() -> None:
    assert build_report(Report("1", "DELIVRD", text="x" * 30)).endswith(b"text:" + b"x" * 20)


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (Report("1", "已送达"), "report: other characters, limit ASCII"),
        (Report("1" * 200, "DELIVRD"), "report: 272 octets, limit 254 octets"),
    ],
)
def test_a_receipt_that_does_not_fit_is_refused(report: Report, message: str) -> None:
    with pytest.raises(EncodeError) as caught:
        build_report(report)
    assert str(caught.value) == message


LABELS = st.sampled_from(
    [b"id:", b" sub:", b" dlvrd:", b" submit date:", b" done date:", b" stat:", b" err:", b" text:"]
)


@given(
    content=st.one_of(
        st.binary(max_size=254),
        st.lists(st.one_of(LABELS, st.binary(max_size=6)), max_size=20).map(b"".join),
    ),
    tlvs=st.lists(
        st.builds(
            Tlv,
            st.sampled_from([0x001E, 0x0423, 0x0424, 0x0427, 0x1400]),
            st.binary(max_size=40),
        ),
        max_size=4,
    ),
)
@example(content=b"id:\x851 stat:\x85", tlvs=[])
def test_whatever_a_receipt_says_only_a_pdu_error_is_raised(
    content: bytes, tlvs: list[Tlv]
) -> None:
    pdu = receipt(content[:255], *tlvs)
    with contextlib.suppress(PduError):
        report = read_report(pdu)
        assert report.message_id
        assert report.status in MessageStatus
