"""SMGP PDUs <-> the neutral model."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from smsgw.errors import EncodeError, PduError
from smsgw.model import Coding, MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols import smgp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smgp import mapping
from tests.support.vectors import vector

ACCOUNT = smgp.SmgpAccount(name="106901", secret="1234", service_id="HELP")

PLAIN = Segment(
    to="13300001111", source="10690001", coding=Coding.GBK, content="验证码4821".encode("gbk")
)
PART = Segment(
    to="13300001111",
    source="10690001",
    coding=Coding.UCS2,
    content=bytes.fromhex("050003c70201") + "长文".encode("utf-16-be"),
    udhi=True,
    part=1,
    total=2,
)
MO = MoMessage(
    sender="13300001111",
    destination="10690001123",
    coding=Coding.UCS2,
    content="同意".encode("utf-16-be"),
    carrier_message_id="01006101161701000001",
    link_id="5566778899",
    received="20260116170100",
)
REPORT = StatusReport(
    carrier_message_id="01006101161700012345",
    status=MessageStatus.DELIVERED,
    stat="DELIVRD",
    error="000",
    to="13300001111",
    source="10690001",
    submitted="2601161700",
    done="2601161701",
)


def test_a_plain_segment_becomes_a_submit_without_tlvs() -> None:
    assert mapping.to_submit(ACCOUNT, "3.0", PLAIN) == smgp.Submit30(
        msg_type=6,
        need_report=1,
        priority=1,
        service_id="HELP",
        fee_type="00",
        fee_code="000000",
        fixed_fee="000000",
        msg_format=15,
        src_term_id="10690001",
        dest_term_id=["13300001111"],
        msg_content=PLAIN.content,
    )


def test_a_long_messages_part_has_the_vectors_tlvs() -> None:
    fields = vector("smgp", "submit_udh8_part1of2").fields
    assert fields is not None
    submit = mapping.to_submit(ACCOUNT, "3.0", PART)
    assert smgp.CODEC.to_fields(submit)["tlvs"] == fields["tlvs"]


def test_the_accounts_contract_is_in_every_submit() -> None:
    account = smgp.SmgpAccount(
        name="106901",
        secret="1234",
        priority=3,
        fee_type="03",
        fee_code="10",
        fixed_fee="500",
        charge_term_id="13300002222",
        msg_src="106901",
        mservice_id="110000000000000000001",
        number_prefix="86",
    )
    segment = msgspec.structs.replace(PLAIN, want_report=False, link_id="5566778899")
    submit = mapping.to_submit(account, "3.0", segment)
    assert isinstance(submit, smgp.Submit30)
    assert (submit.priority, submit.need_report) == (3, 0)
    assert (submit.fee_type, submit.fee_code, submit.fixed_fee) == ("03", "10", "500")
    assert submit.charge_term_id == "13300002222"
    assert submit.dest_term_id == ["8613300001111"]
    assert submit.tlvs == [
        Tlv(0x0003, b"5566778899".ljust(20, b"\0")),
        Tlv(0x0010, b"106901\0\0"),
        Tlv(0x0012, b"110000000000000000001"),
    ]


def test_version_1_3_has_no_fixed_fee() -> None:
    submit = mapping.to_submit(ACCOUNT, "1.3", PLAIN)
    assert isinstance(submit, smgp.Submit13)
    assert smgp.decode(submit.encode(), "1.3") == submit


def test_an_enterprise_code_that_is_too_long_is_refused() -> None:
    account = smgp.SmgpAccount(name="106901", secret="1234", msg_src="123456789")
    with pytest.raises(EncodeError, match="MsgSrc: 9 octets, limit 8 octets"):
        mapping.to_submit(account, "3.0", PLAIN)


@pytest.mark.parametrize("version", ["1.3", "2.0", "3.0"])
@pytest.mark.parametrize("prefix", ["", "86", "+86"])
@pytest.mark.parametrize(
    "segment", [PLAIN, PART, msgspec.structs.replace(PLAIN, link_id="1", want_report=False)]
)
def test_a_segment_survives_the_way_to_the_gateway(
    version: str, prefix: str, segment: Segment
) -> None:
    account = smgp.SmgpAccount(name="106901", secret="1234", number_prefix=prefix)
    raw = mapping.to_submit(account, version, segment).encode()
    assert mapping.from_submit(smgp.decode(raw, version)) == [segment]  # type: ignore[arg-type]


def test_every_receiver_of_a_submit_becomes_a_segment() -> None:
    case = vector("smgp", "submit_two_destinations")
    segments = mapping.from_submit(smgp.decode(case.octets))  # type: ignore[arg-type]
    assert [segment.to for segment in segments] == ["13300001111", "18900002222"]


def test_only_the_lowest_bit_of_tp_udhi_counts() -> None:
    submit = smgp.Submit30(dest_term_id=["1"], msg_content=PART.content, tlvs=[Tlv(2, b"\xfe")])
    assert not mapping.from_submit(submit)[0].udhi
    submit.tlvs = [Tlv(2, b"\xff")]
    segment = mapping.from_submit(submit)[0]
    assert (segment.udhi, segment.total, segment.part) == (True, 2, 1)


@pytest.mark.parametrize("mark", [[], [Tlv(2, b"\0")]], ids=["absent", "zero"])
def test_a_valid_header_counts_when_pk_total_says_long(mark: list[Tlv]) -> None:
    tlvs = [*mark, Tlv(9, b"\2"), Tlv(10, b"\1")]
    submit = smgp.Submit30(dest_term_id=["1"], msg_content=PART.content, tlvs=tlvs)
    assert mapping.from_submit(submit)[0].udhi
    deliver = smgp.Deliver(msg_content=PART.content, tlvs=tlvs)
    assert mapping.from_deliver(deliver).udhi


@pytest.mark.parametrize("content", [b"", b"hello", bytes.fromhex("050003c70203") + b"x"])
def test_pk_total_alone_makes_no_header(content: bytes) -> None:
    tlvs = [Tlv(9, b"\2"), Tlv(10, b"\0")]
    submit = smgp.Submit30(dest_term_id=["1"], msg_content=content, tlvs=tlvs)
    segment = mapping.from_submit(submit)[0]
    assert (segment.udhi, segment.total, segment.part) == (False, 2, 1)


def test_a_header_alone_is_text_without_a_tlv_that_says_so() -> None:
    assert not mapping.from_deliver(smgp.Deliver(msg_content=PART.content)).udhi


def test_a_marked_content_that_is_no_header_stays_marked() -> None:
    deliver = smgp.Deliver(msg_content=b"", tlvs=[Tlv(2, b"\1")])
    assert mapping.from_deliver(deliver).udhi


def test_the_mo_vector_becomes_a_message() -> None:
    pdu = smgp.decode(vector("smgp", "deliver_mo_ucs2").octets)
    assert isinstance(pdu, smgp.Deliver)
    assert not mapping.is_report(pdu)
    message = mapping.from_deliver(pdu)
    assert message == MoMessage(
        sender="13300001111",
        destination="10690001",
        coding=8,
        content="退订".encode("utf-16-be"),
        carrier_message_id="01006101161701000001",
        link_id="5566778899",
        received="20260116170100",
    )


@pytest.mark.parametrize("message", [MO, msgspec.structs.replace(MO, udhi=True, link_id="")])
def test_an_mo_survives_the_way_to_the_sp(message: MoMessage) -> None:
    raw = mapping.to_deliver(ACCOUNT, "3.0", message).encode()
    assert mapping.from_deliver(smgp.decode(raw)) == message  # type: ignore[arg-type]


def test_an_mo_without_an_id_is_delivered_with_ten_zero_octets() -> None:
    message = msgspec.structs.replace(MO, carrier_message_id="")
    assert mapping.to_deliver(ACCOUNT, "3.0", message).msg_id == bytes(10)


def test_the_receipt_vector_becomes_a_report() -> None:
    pdu = smgp.decode(vector("smgp", "deliver_report_delivrd").octets)
    assert isinstance(pdu, smgp.Deliver)
    assert mapping.is_report(pdu)
    assert mapping.from_report(pdu) == REPORT


@pytest.mark.parametrize(
    "report",
    [REPORT, msgspec.structs.replace(REPORT, carrier_message_id="6495c36ac4ea6b00000b")],
    ids=["BCD", "opaque"],
)
def test_a_report_survives_the_way_to_the_sp(report: StatusReport) -> None:
    pdu = smgp.decode(mapping.to_report(ACCOUNT, "3.0", report).encode())
    assert isinstance(pdu, smgp.Deliver)
    assert mapping.from_report(pdu) == report
    assert (pdu.msg_format, pdu.src_term_id, pdu.dest_term_id) == (0, report.to, report.source)


@pytest.mark.parametrize("message_id", ["01006101161700012345", "6495c36ac4ea6b00000b"])
def test_a_receipts_own_deliver_has_another_id_each_time_the_same(message_id: str) -> None:
    report = msgspec.structs.replace(REPORT, carrier_message_id=message_id)
    made = mapping.to_report(ACCOUNT, "3.0", report).msg_id
    assert made.hex() != message_id
    assert made.hex()[:14] == message_id[:14]
    assert made == mapping.to_report(ACCOUNT, "3.0", report).msg_id


def test_a_report_without_an_error_code_says_000() -> None:
    pdu = mapping.to_report(ACCOUNT, "3.0", msgspec.structs.replace(REPORT, error=""))
    assert mapping.from_report(pdu).error == "000"


def test_an_id_that_is_no_hexadecimal_is_refused() -> None:
    with pytest.raises(EncodeError, match="msg_id"):
        mapping.to_report(ACCOUNT, "3.0", msgspec.structs.replace(REPORT, carrier_message_id="?"))


def test_a_receipt_that_is_none_is_refused() -> None:
    pdu = smgp.decode(vector("smgp", "bad_report_content_short").octets)
    with pytest.raises(PduError, match="msg_content"):
        mapping.from_report(pdu)  # type: ignore[arg-type]


def test_a_new_message_id_has_twenty_digits() -> None:
    made = mapping.message_id(10061, datetime(2026, 1, 16, 17, 0), 12345)
    assert made == "01006101161700012345"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("13300001111", "13300001111"),
        ("8613300001111", "13300001111"),
        ("+8613300001111", "13300001111"),
        ("02087654321", "02087654321"),
        ("8690001", "8690001"),
    ],
)
def test_numbers_lose_their_country_code(written: str, meant: str) -> None:
    assert mapping.from_deliver(smgp.Deliver(src_term_id=written)).sender == meant


def test_a_destination_padded_with_spaces_is_the_same_number() -> None:
    read = smgp.decode(smgp.Deliver(dest_term_id="10690001968 ").encode())
    assert mapping.from_deliver(read).destination == "10690001968"  # type: ignore[arg-type]
