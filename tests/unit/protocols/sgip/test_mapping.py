"""SGIP PDUs <-> segments, messages and reports."""

from __future__ import annotations

import pytest

from smsgw.errors import EncodeError
from smsgw.model import Coding, MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols import sgip
from smsgw.protocols.sgip import mapping
from tests.support.vectors import vector

ACCOUNT = sgip.SgipAccount(
    name="sp12345",
    secret="Pa55w0rd",
    node=3010012345,
    corp_id="12345",
    service_type="HELP",
)
ID = "b36924b906ec9d1000000002"  # of the Submit in submit_gbk_two_users


def read(name: str) -> sgip.Submit:
    pdu = sgip.decode(vector("sgip", name).octets)
    assert isinstance(pdu, sgip.Submit)
    return pdu


def test_a_segment_becomes_the_submit_of_the_vector() -> None:
    golden = read("submit_udh8_part1of2")
    segment = Segment(
        to="13012345678",
        source="10690001",
        coding=Coding.UCS2,
        content=golden.message_content,
        udhi=True,
        part=1,
        total=2,
    )
    submit = mapping.to_submit(ACCOUNT, "1.2", segment)
    submit.sequence_node, submit.sequence_time = golden.sequence_node, golden.sequence_time
    submit.sequence_counter = golden.sequence_counter
    assert submit == golden
    assert [*submit.user_number[0]][:2] == ["8", "6"]


def test_what_the_account_says_is_written() -> None:
    account = sgip.SgipAccount(
        name="sp12345",
        secret="Pa55w0rd",
        charge_number="8613000001001",
        fee_type=2,
        fee_value="100",
        given_value="7",
        agent_flag=1,
        morelateto_mt_flag=0,
        priority=9,
        report_flag=0,
        number_prefix="",
    )
    submit = mapping.to_submit(account, "1.2", Segment("13000001001", "10690001", 0, b"hi"))
    fields = sgip.CODEC.to_fields(submit)
    assert fields["charge_number"] == "8613000001001"
    assert (fields["fee_type"], fields["fee_value"], fields["given_value"]) == (2, "100", "7")
    assert (fields["agent_flag"], fields["morelateto_mt_flag"]) == (1, 0)
    assert (fields["priority"], fields["report_flag"], fields["tp_udhi"]) == (9, 0, 0)
    assert fields["user_number"] == ["13000001001"]


def test_no_report_is_asked_for_when_none_is_wanted() -> None:
    segment = Segment("13000001001", "10690001", 0, b"hi", want_report=False)
    assert mapping.to_submit(ACCOUNT, "1.2", segment).report_flag == 2


def test_a_link_id_travels_in_reserve() -> None:
    segment = Segment("13000001001", "10690001", 0, b"hi", link_id="12345678")
    submit = mapping.to_submit(ACCOUNT, "1.2", segment)
    assert submit.reserve == "12345678"
    assert mapping.from_submit(submit)[0].link_id == "12345678"
    segment.link_id = "123456789"
    with pytest.raises(EncodeError, match="reserve: 9 octets, limit 8 octets"):
        mapping.to_submit(ACCOUNT, "1.2", segment).encode()


def test_a_submit_asks_for_one_segment_per_recipient() -> None:
    submit = read("submit_gbk_two_users")
    assert mapping.from_submit(submit) == [
        Segment(to, "10690001", Coding.GBK, submit.message_content)
        for to in ("13012345678", "18612345678")
    ]


def test_only_the_lowest_bit_of_tp_udhi_counts() -> None:
    assert mapping.from_submit(read("submit_udh8_part1of2"))[0].udhi is True
    submit = read("submit_ascii")
    submit.tp_udhi = 0x40
    assert mapping.from_submit(submit)[0].udhi is False


@pytest.mark.parametrize(("flag", "wanted"), [(0, False), (1, True), (2, False), (3, True)])
def test_a_report_of_failures_only_counts_as_none(flag: int, wanted: bool) -> None:
    submit = read("submit_ascii")
    submit.report_flag = flag
    assert mapping.from_submit(submit)[0].want_report is wanted


def test_the_id_of_a_submit_is_its_own_sequence() -> None:
    assert mapping.submit_id(read("submit_gbk_two_users")) == ID
    assert sgip.CARRIER.submit_id(read("submit_gbk_two_users")) == ID
    assert sgip.CARRIER.message_id is None


def test_a_deliver_is_a_message() -> None:
    pdu = sgip.decode(vector("sgip", "deliver_mo_gbk_linkid").octets)
    assert isinstance(pdu, sgip.Deliver)
    assert not mapping.is_report(pdu)
    assert mapping.from_deliver(pdu) == MoMessage(
        sender="13012345678",
        destination="10690001",
        coding=Coding.GBK,
        content=bytes.fromhex("b2e9d1af5451"),
        carrier_message_id="00018a8906ec9f0e00000004",
        link_id="00001234",
    )


@pytest.mark.parametrize(
    ("written", "sender"),
    [
        ("8613000001001", "13000001001"),
        ("13000001001", "13000001001"),
        ("+8613000001001 ", "13000001001"),
        ("861440000010001", "1440000010001"),
        ("8610086", "8610086"),
    ],
)
def test_a_number_loses_its_country_code_if_it_has_one(written: str, sender: str) -> None:
    deliver = sgip.Deliver(user_number=written, sp_number="106900010201 ")
    message = mapping.from_deliver(deliver)
    assert message.sender == sender
    assert message.destination == "106900010201"


def test_a_message_becomes_a_deliver_and_comes_back() -> None:
    message = MoMessage(
        sender="13000001001",
        destination="106900010201",
        coding=Coding.UCS2,
        content=bytes.fromhex("05000311030190008ba2"),
        udhi=True,
        link_id="7",
    )
    deliver = mapping.to_deliver(ACCOUNT, "1.2", message)
    assert deliver.user_number == "8613000001001"
    message.carrier_message_id = "0" * 24
    assert mapping.from_deliver(deliver) == message
    message.udhi = False
    assert mapping.to_deliver(ACCOUNT, "1.2", message).tp_udhi == 0


@pytest.mark.parametrize(
    ("name", "report"),
    [
        (
            "report_delivered",
            StatusReport(ID, MessageStatus.DELIVERED, "0", "", "13012345678"),
        ),
        (
            "report_failed",
            StatusReport(ID, MessageStatus.UNDELIVERED, "2", "26", "18612345678"),
        ),
        (
            "report_waiting",
            StatusReport(ID[:-1] + "3", MessageStatus.SENT, "1", "", "13012345678"),
        ),
    ],
)
def test_a_report_names_the_submit_by_its_sequence(name: str, report: StatusReport) -> None:
    pdu = sgip.decode(vector("sgip", name).octets)
    assert isinstance(pdu, sgip.Report)
    assert mapping.is_report(pdu)
    assert mapping.from_report(pdu) == report
    again = mapping.to_report(ACCOUNT, "1.2", report)
    again.sequence_node, again.sequence_time = pdu.sequence_node, pdu.sequence_time
    again.sequence_counter = pdu.sequence_counter
    assert again == pdu


def test_a_report_without_a_sequence_cannot_be_written() -> None:
    report = StatusReport("", MessageStatus.DELIVERED, "0")
    with pytest.raises(EncodeError, match="carrier_message_id"):
        mapping.to_report(ACCOUNT, "1.2", report)
