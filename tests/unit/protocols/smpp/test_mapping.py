"""SMPP PDUs <-> the neutral model."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from smsgw.errors import EncodeError, PduError
from smsgw.model import Coding, MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols import smpp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smpp import mapping
from smsgw.text import gsm7
from tests.support.vectors import vector


def account(**settings: Any) -> smpp.SmppAccount:
    return smpp.SmppAccount(name="901234", secret="1234", **settings)


PLAIN = Segment(to="13800001001", source="10690001", coding=Coding.ASCII, content=b"hello")
WIDE = Segment(
    to="13800001001",
    source="10690001",
    coding=Coding.UCS2,
    content="请审批".encode("utf-16-be"),
)
PART = Segment(
    to="13800001001",
    source="10690001",
    coding=Coding.UCS2,
    content=bytes.fromhex("050003c70201") + "长文".encode("utf-16-be"),
    udhi=True,
    part=1,
    total=2,
)
PART16 = msgspec.structs.replace(
    PART, content=bytes.fromhex("06080412340202") + "长文".encode("utf-16-be"), part=2
)
MO = MoMessage(
    sender="13800001001",
    destination="10690001123",
    coding=Coding.UCS2,
    content="同意".encode("utf-16-be"),
)
REPORT = StatusReport(
    carrier_message_id="1001260116170000000001",
    status=MessageStatus.DELIVERED,
    stat="DELIVRD",
    error="000",
    to="13800001001",
    source="10690001",
    submitted="2601161700",
    done="2601161701",
)


def sent(segment: Segment, version: str = "3.4", **settings: Any) -> smpp.SubmitSm:
    """What the gateway reads of a submit."""
    pdu = smpp.decode(mapping.to_submit(account(**settings), version, segment).encode())
    assert isinstance(pdu, smpp.SubmitSm)
    return pdu


# ---- submits -------------------------------------------------------------------------------


def test_a_plain_segment_becomes_the_vectors_submit() -> None:
    submit = mapping.to_submit(account(), "3.4", PLAIN)
    submit.sequence_number = 8
    assert submit.encode() == vector("smpp", "submit_sm_gsm7").octets


def test_the_accounts_contract_is_in_every_submit() -> None:
    submit = sent(
        msgspec.structs.replace(PLAIN, want_report=True),
        service_type="CMT",
        source_addr_ton=3,
        source_addr_npi=9,
        dest_addr_ton=2,
        dest_addr_npi=8,
        number_prefix="+86",
        priority=3,
        registered_delivery=0x11,
    )
    assert (submit.service_type, submit.priority_flag) == ("CMT", 3)
    assert (submit.source_addr_ton, submit.source_addr_npi) == (3, 9)
    assert (submit.dest_addr_ton, submit.dest_addr_npi) == (2, 8)
    assert (submit.source_addr, submit.destination_addr) == ("10690001", "+8613800001001")
    assert submit.registered_delivery == 0x11


def test_no_report_is_asked_for_where_none_is_wanted() -> None:
    submit = sent(msgspec.structs.replace(PLAIN, want_report=False))
    assert submit.registered_delivery == 0
    assert not mapping.from_submit(submit)[0].want_report


@pytest.mark.parametrize("prefix", ["", "86", "+86"])
@pytest.mark.parametrize("version", ["3.3", "3.4"])
@pytest.mark.parametrize("form", ["udh", "sar", "payload"])
@pytest.mark.parametrize("segment", [PLAIN, WIDE, PART, PART16])
def test_a_segment_survives_the_way_to_the_gateway(
    segment: Segment, form: str, version: str, prefix: str
) -> None:
    submit = sent(segment, version, long_form=form, number_prefix=prefix)
    assert mapping.from_submit(submit) == [segment]
    assert version == "3.4" or submit.tlvs == []


@pytest.mark.parametrize(
    ("form", "name"),
    [("udh", "submit_sm_udh8_part1of2"), ("sar", "submit_sm_sar_part1of2")],
)
def test_a_part_is_marked_as_the_account_says(form: str, name: str) -> None:
    submit = mapping.to_submit(account(long_form=form, registered_delivery=0), "3.4", PART)
    octets = vector("smpp", name).octets
    submit.sequence_number = octets[15]
    assert submit.encode() == octets


def test_a_payload_keeps_the_header_and_leaves_the_short_message_empty() -> None:
    submit = sent(PART, long_form="payload")
    assert (submit.esm_class, submit.short_message) == (0x40, b"")
    assert submit.tlvs == [Tlv(0x0424, PART.content)]


def test_a_whole_long_text_fits_only_in_a_payload() -> None:
    long = msgspec.structs.replace(WIDE, content="长".encode("utf-16-be") * 150)
    submit = sent(long, long_form="payload")
    assert (submit.esm_class, submit.short_message) == (0, b"")
    assert mapping.from_submit(submit) == [long]
    for form, version in (("udh", "3.4"), ("sar", "3.4"), ("payload", "3.3")):
        with pytest.raises(EncodeError, match="short_message: 300 octets, limit 254 octets"):
            sent(long, version, long_form=form)


@pytest.mark.parametrize("header", ["0b0003c7020105041f901f90", "0605041f901f90", "ff", ""])
def test_a_header_that_says_more_or_nothing_stays_where_it_is(header: str) -> None:
    content = bytes.fromhex(header)
    segment = msgspec.structs.replace(PART, content=content, total=1, part=1)
    submit = sent(segment, long_form="sar")
    assert (submit.esm_class, submit.short_message, submit.tlvs) == (0x40, content, [])


@pytest.mark.parametrize(
    ("header", "total", "part"), [("0500030a0302", 3, 2), ("0605041f901f90", 1, 1), ("ff", 1, 1)]
)
def test_a_headers_numbers_are_the_segments(header: str, total: int, part: int) -> None:
    submit = smpp.SubmitSm(esm_class=0x40, short_message=bytes.fromhex(header))
    segment = mapping.from_submit(submit)[0]
    assert (segment.udhi, segment.total, segment.part) == (True, total, part)


def sar(reference: int, total: int, sequence: int) -> list[Tlv]:
    return [
        Tlv(0x020C, reference.to_bytes(2, "big")),
        Tlv(0x020E, bytes([total])),
        Tlv(0x020F, bytes([sequence])),
    ]


def test_sar_parameters_become_a_header() -> None:
    deliver = smpp.DeliverSm(data_coding=8, short_message=b"\0A", tlvs=sar(0xC7, 2, 1))
    message = mapping.from_deliver(deliver)
    assert (message.udhi, message.content) == (True, bytes.fromhex("050003c702010041"))
    deliver.tlvs = sar(0x1234, 2, 2)
    assert mapping.from_deliver(deliver).content == bytes.fromhex("060804123402020041")


@pytest.mark.parametrize("cls", [smpp.DeliverSm, smpp.DataSm])
@pytest.mark.parametrize("octets", [4, 600])
@pytest.mark.parametrize(
    ("header", "tlvs", "read"),
    [
        ("", [], ""),
        ("050003c70201", [], "050003c70201"),
        ("06080412340202", [], "06080412340202"),
        ("", sar(0xC7, 2, 1), "050003c70201"),
        ("", sar(0x1234, 2, 2), "06080412340202"),
        ("06080412340202", sar(0xC7, 2, 1), "06080412340202"),
    ],
    ids=["whole", "udh8", "udh16", "sar", "sar16", "both"],
)
def test_a_payload_is_read_with_whatever_marks_its_part(
    cls: type[Any], octets: int, header: str, tlvs: list[Tlv], read: str
) -> None:
    text = ("长文" * octets).encode("utf-16-be")[:octets]
    payload = Tlv(0x0424, bytes.fromhex(header) + text)
    pdu = cls(esm_class=0x40 if header else 0, data_coding=8, tlvs=[*tlvs, payload])
    message = mapping.from_deliver(smpp.decode(pdu.encode()))  # type: ignore[arg-type]
    assert (message.udhi, message.content) == (bool(read), bytes.fromhex(read) + text)


def test_a_short_message_counts_where_a_payload_stands_beside_it() -> None:
    pdu = smpp.DeliverSm(short_message=b"short", tlvs=[Tlv(0x0424, b"payload")])
    assert mapping.from_deliver(pdu).content == b"short"


def test_a_header_counts_where_sar_parameters_stand_beside_it() -> None:
    deliver = smpp.DeliverSm(esm_class=0x40, short_message=PART.content, tlvs=sar(1, 3, 3))
    assert mapping.from_deliver(deliver).content == PART.content


@pytest.mark.parametrize(
    "tlvs",
    [
        sar(1, 1, 1),
        sar(1, 2, 3),
        sar(1, 2, 0),
        sar(1, 0, 0),
        [Tlv(0x020E, b"\1\1"), Tlv(0x020F, b"\1")],
        [],
    ],
)
def test_sar_parameters_that_cannot_be_make_no_header(tlvs: list[Tlv]) -> None:
    message = mapping.from_deliver(smpp.DeliverSm(short_message=b"x", tlvs=tlvs))
    assert (message.udhi, message.content) == (False, b"x")


# ---- the default alphabet ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alphabet", "octet", "octets"),
    [("gsm7", 0, "6100021b3c"), ("ascii", 1, "6140245b"), ("latin1", 3, "6140245b")],
)
def test_plain_text_goes_out_in_the_smscs_alphabet(alphabet: str, octet: int, octets: str) -> None:
    segment = msgspec.structs.replace(PLAIN, content=gsm7.encode("a@$["))
    submit = sent(segment, default_alphabet=alphabet, data_coding=octet)
    assert (submit.data_coding, submit.short_message.hex()) == (octet, octets)


def test_a_header_is_not_text() -> None:
    content = bytes.fromhex("050003400201") + gsm7.encode("é@")
    segment = msgspec.structs.replace(PART, coding=0, content=content)
    submit = sent(segment, default_alphabet="latin1")
    assert submit.short_message == bytes.fromhex("050003400201e940")


def test_a_character_the_smsc_lacks_is_refused() -> None:
    segment = msgspec.structs.replace(PLAIN, content=gsm7.encode("aé"))
    with pytest.raises(EncodeError, match="short_message: character 'é', limit ascii"):
        sent(segment, default_alphabet="ascii")


def test_other_codings_pass_as_they_are() -> None:
    assert sent(WIDE, default_alphabet="ascii", data_coding=1).data_coding == 8


# ---- inbound -------------------------------------------------------------------------------


def test_the_mo_vector_becomes_a_message() -> None:
    pdu = smpp.decode(vector("smpp", "deliver_sm_mo_ucs2").octets)
    assert isinstance(pdu, smpp.DeliverSm)
    assert not mapping.is_report(pdu)
    assert mapping.from_deliver(pdu) == MO


@pytest.mark.parametrize("version", ["3.3", "3.4"])
@pytest.mark.parametrize(
    "message",
    [
        MO,
        msgspec.structs.replace(MO, udhi=True, content=PART.content),
        msgspec.structs.replace(MO, coding=0, content=b"YES"),
    ],
)
def test_an_mo_survives_the_way_to_the_esme(message: MoMessage, version: str) -> None:
    raw = mapping.to_deliver(account(), version, message).encode()
    assert mapping.from_deliver(smpp.decode(raw)) == message  # type: ignore[arg-type]


def test_an_mo_is_addressed_the_other_way_round() -> None:
    settings = account(source_addr_ton=3, source_addr_npi=9, service_type="CMT")
    deliver = mapping.to_deliver(settings, "3.4", MO)
    assert (deliver.source_addr_ton, deliver.source_addr_npi) == (1, 1)
    assert (deliver.dest_addr_ton, deliver.dest_addr_npi) == (3, 9)
    assert (deliver.source_addr, deliver.service_type) == ("8613800001001", "CMT")


def test_an_mo_may_come_in_data_sm() -> None:
    pdu = smpp.DataSm(
        source_addr="8613800001001",
        destination_addr="10690001123 ",
        data_coding=8,
        tlvs=[Tlv(0x0424, MO.content)],
    )
    assert mapping.from_deliver(pdu) == MO
    assert mapping.from_submit(pdu)[0].content == MO.content


def test_the_receipt_vector_becomes_a_report() -> None:
    pdu = smpp.decode(vector("smpp", "deliver_sm_receipt").octets)
    assert isinstance(pdu, smpp.DeliverSm)
    assert mapping.is_report(pdu)
    report = mapping.from_report(pdu)
    assert (report.carrier_message_id, report.status) == ("0123456789", MessageStatus.DELIVERED)
    assert (report.to, report.source) == ("13800001001", "10690001123")


@pytest.mark.parametrize("version", ["3.3", "3.4"])
def test_a_report_survives_the_way_to_the_esme(version: str) -> None:
    pdu = smpp.decode(mapping.to_report(account(), version, REPORT).encode())
    assert isinstance(pdu, smpp.DeliverSm)
    assert mapping.is_report(pdu)
    assert mapping.from_report(pdu) == REPORT
    assert (pdu.tlvs == []) is (version == "3.3")


@pytest.mark.parametrize(
    ("stat", "status", "state"),
    [
        ("EXPIRED", MessageStatus.EXPIRED, 3),
        ("enroute", MessageStatus.SENT, 1),
        ("MK:0001", MessageStatus.REJECTED, 8),
        ("MK:0001", MessageStatus.UNDELIVERED, 5),
        ("MK:0001", MessageStatus.SENT, 6),
    ],
)
def test_message_state_follows_the_word_or_else_the_status(
    stat: str, status: MessageStatus, state: int
) -> None:
    report = msgspec.structs.replace(REPORT, stat=stat, status=status)
    pdu = mapping.to_report(account(), "3.4", report)
    assert Tlv(0x0427, bytes([state])) in pdu.tlvs
    assert mapping.from_report(pdu) == report


def test_an_id_that_is_no_latin1_is_refused() -> None:
    with pytest.raises(EncodeError, match="report"):
        mapping.to_report(
            account(), "3.4", msgspec.structs.replace(REPORT, carrier_message_id="号")
        )


def test_a_receipt_that_names_nothing_is_refused() -> None:
    with pytest.raises(PduError, match="receipt without id"):
        mapping.from_report(smpp.DeliverSm(esm_class=4))


def test_a_new_id_is_text_of_digits() -> None:
    when = datetime(2026, 1, 16, 17, 0, 0)
    assert mapping.message_id(1001, when, 1) == "1001260116170000000001"
