"""CMPP PDUs <-> the neutral model."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from smsgw.errors import PduError
from smsgw.model import MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols import cmpp
from smsgw.protocols.cmpp import mapping
from tests.support.vectors import vector

ACCOUNT = cmpp.CmppAccount(name="901234", secret="1234", service_id="HELP")
SEGMENT = Segment(
    to="13800001001",
    source="1069000188",
    coding=8,
    content="同意吗".encode("utf-16-be"),
    udhi=True,
    part=1,
    total=2,
    link_id="12345678901234567890",
)
MO = MoMessage(
    sender="13800001001",
    destination="1069000188",
    coding=8,
    content="同意".encode("utf-16-be"),
    udhi=True,
    carrier_message_id="5625f00003e90007",
    link_id="12345678901234567890",
)
REPORT = StatusReport(
    carrier_message_id="5625e3c003e9002a",
    status=MessageStatus.DELIVERED,
    stat="DELIVRD",
    to="13800001001",
    source="1069000188",
    submitted="2505120930",
    done="2505120931",
)


def test_a_segment_becomes_the_submit_of_the_vector() -> None:
    case = vector("cmpp", "submit_30_ucs2")
    wanted = cmpp.decode(case.octets)
    assert isinstance(wanted, cmpp.Submit30)
    segment = Segment(to="13800138000", source="1069000188", coding=8, content=wanted.msg_content)
    submit = mapping.to_submit(ACCOUNT, "3.0", segment)
    submit.sequence_id = wanted.sequence_id
    assert submit == wanted


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_segment_survives_its_submit(version: str) -> None:
    submit = mapping.to_submit(ACCOUNT, version, SEGMENT)
    read = cmpp.decode(submit.encode(), version)
    assert isinstance(read, cmpp.Submit20 | cmpp.Submit30)
    link_id = "" if version == "2.0" else SEGMENT.link_id
    assert mapping.from_submit(read) == [msgspec.structs.replace(SEGMENT, link_id=link_id)]


def test_what_the_contract_fixes_comes_from_the_account() -> None:
    account = cmpp.CmppAccount(
        name="901234",
        secret="1234",
        service_id="NEWS",
        msg_src="905678",
        fee_user_type=0,
        fee_type="02",
        fee_code="000010",
        udhi=0x40,
        number_prefix="86",
    )
    submit = mapping.to_submit(account, "3.0", SEGMENT)
    assert (submit.service_id, submit.msg_src, submit.fee_user_type) == ("NEWS", "905678", 0)
    assert (submit.fee_type, submit.fee_code, submit.tp_udhi) == ("02", "000010", 0x40)
    assert submit.dest_terminal_id == ["8613800001001"]
    plain = msgspec.structs.replace(SEGMENT, udhi=False, want_report=False)
    submit = mapping.to_submit(account, "2.0", plain)
    assert (submit.tp_udhi, submit.registered_delivery) == (0, 0)


def test_a_submit_to_several_is_one_segment_for_each() -> None:
    submit = cmpp.Submit30(dest_terminal_id=["8613800001001", "+8613800001002", "13800001003"])
    assert [segment.to for segment in mapping.from_submit(submit)] == [
        "13800001001",
        "13800001002",
        "13800001003",
    ]


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_an_mo_survives_its_deliver(version: str) -> None:
    account = cmpp.CmppAccount(name="901234", secret="1234", number_prefix="86")
    deliver = mapping.to_deliver(account, version, MO)
    read = cmpp.decode(deliver.encode(), version)
    assert isinstance(read, cmpp.Deliver20 | cmpp.Deliver30)
    assert not mapping.is_report(read)
    link_id = "" if version == "2.0" else MO.link_id
    assert mapping.from_deliver(read) == msgspec.structs.replace(MO, link_id=link_id)


@pytest.mark.parametrize("octet", [0x01, 0x40, 0x41])
def test_either_form_of_the_header_indicator_counts(octet: int) -> None:
    assert mapping.from_deliver(cmpp.Deliver30(tp_udhi=octet)).udhi
    assert mapping.from_submit(cmpp.Submit30(tp_udhi=octet, dest_terminal_id=["1"]))[0].udhi
    assert not mapping.from_deliver(cmpp.Deliver30(tp_udhi=0x02)).udhi


def test_an_mo_without_an_id_is_delivered_with_none() -> None:
    message = MoMessage(sender="13800001001", destination="1069", coding=0, content=b"")
    assert mapping.to_deliver(ACCOUNT, "3.0", message).msg_id == 0


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_report_survives_its_deliver(version: str) -> None:
    deliver = mapping.to_report(ACCOUNT, version, REPORT)
    assert len(deliver.msg_content) == {"2.0": 60, "3.0": 71}[version]
    read = cmpp.decode(deliver.encode(), version)
    assert isinstance(read, cmpp.Deliver20 | cmpp.Deliver30)
    assert mapping.is_report(read)
    assert mapping.from_report(read) == REPORT


def test_where_the_version_is_open_the_newest_layout_is_used() -> None:
    assert isinstance(mapping.to_submit(ACCOUNT, "auto", SEGMENT), cmpp.Submit30)
    assert len(mapping.to_report(ACCOUNT, "auto", REPORT).msg_content) == 71


def test_a_report_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(PduError):
        mapping.from_report(cmpp.Deliver30(registered_delivery=1, msg_content=b"short"))


def test_a_message_id_is_sixteen_digits_of_hex() -> None:
    assert mapping.message_id(1001, datetime(2025, 5, 12, 9, 30, 15), 42) == "5625e3c003e9002a"
    assert len(mapping.message_id(0, datetime(2025, 1, 1), 0)) == 16


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("13800001001", "13800001001"),
        ("8613800001001", "13800001001"),
        ("+8613800001001", "13800001001"),
        (" 8613800001001 ", "13800001001"),
        ("861064800001001", "1064800001001"),
        ("86138", "86138"),
        ("", ""),
    ],
)
def test_a_number_is_read_without_its_country_code(written: str, number: str) -> None:
    assert mapping.from_deliver(cmpp.Deliver30(src_terminal_id=written)).sender == number


def test_a_destination_padded_with_spaces_is_the_same_number() -> None:
    read = cmpp.decode(cmpp.Deliver30(dest_id="10690001968 ").encode())
    assert mapping.from_deliver(read).destination == "10690001968"  # type: ignore[arg-type]
