"""The status report inside a DELIVER, in both layouts (cmpp.md section 7)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import EncodeError, PduError
from smsgw.model import MessageStatus
from smsgw.protocols import cmpp
from smsgw.protocols.cmpp.report import Report, build_report, parse_report, status_of
from tests.support.vectors import vector

REPORT = Report(
    msg_id=0x5625E3C003E9002A,
    stat="DELIVRD",
    submit_time="2505120930",
    done_time="2505120931",
    dest_terminal_id="13800138000",
    smsc_sequence=0x12345678,
)


@pytest.mark.parametrize(
    ("name", "version"), [("deliver_report_20", "2.0"), ("deliver_report_30", "3.0")]
)
def test_the_layout_of_each_version_is_read_and_built(name: str, version: str) -> None:
    deliver = cmpp.decode(vector("cmpp", name).octets, version)
    assert isinstance(deliver, cmpp.Deliver20 | cmpp.Deliver30)
    assert parse_report(deliver.msg_content) == REPORT
    assert build_report(REPORT, version) == deliver.msg_content


def test_the_layout_is_chosen_by_length_and_not_by_version() -> None:
    deliver = cmpp.decode(vector("cmpp", "deliver_report_30_with_60_octet_body").octets, "3.0")
    assert isinstance(deliver, cmpp.Deliver30)
    assert len(deliver.msg_content) == 60
    report = parse_report(deliver.msg_content)
    assert (report.dest_terminal_id, report.smsc_sequence) == ("13800138000", 0x12345678)


def test_a_report_shorter_than_any_layout_is_an_error() -> None:
    with pytest.raises(PduError, match="report of 59 octets, at least 60"):
        parse_report(bytes(59))


@given(st.binary(min_size=60, max_size=255))
def test_any_content_long_enough_is_read(content: bytes) -> None:
    report = parse_report(content)
    assert len(report.dest_terminal_id) <= len(content) - 39
    status_of(report.stat)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stat": "DELIVERED"}, "report.stat: 9 octets, limit 7 octets"),
        ({"submit_time": "25051209301"}, "report.submit_time: 11 octets, limit 10 octets"),
        ({"done_time": "25051209301"}, "report.done_time: 11 octets, limit 10 octets"),
        ({"dest_terminal_id": "1" * 22}, "report.dest_terminal_id: 22 octets, limit 21 octets"),
        ({"stat": "成功"}, "report.stat: character '成', limit one octet a character"),
    ],
)
def test_what_does_not_fit_a_report_is_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(EncodeError) as caught:
        build_report(msgspec.structs.replace(REPORT, **change), "2.0")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("stat", "status"),
    [
        ("DELIVRD", MessageStatus.DELIVERED),
        ("EXPIRED", MessageStatus.EXPIRED),
        ("DELETED", MessageStatus.UNDELIVERED),
        ("UNDELIV", MessageStatus.UNDELIVERED),
        ("ACCEPTD", MessageStatus.SENT),
        ("UNKNOWN", MessageStatus.UNDELIVERED),
        ("REJECTD", MessageStatus.REJECTED),
        ("MA:0001", MessageStatus.UNDELIVERED),
        ("MI:0024", MessageStatus.EXPIRED),
        ("ML:0001", MessageStatus.SENT),
        ("MN:0001", MessageStatus.REJECTED),
        ("MIDDLE", MessageStatus.UNDELIVERED),
        ("AF:4", MessageStatus.UNDELIVERED),
        ("", MessageStatus.UNDELIVERED),
    ],
)
def test_delivrd_is_the_only_success_and_an_unknown_word_a_failure(
    stat: str, status: MessageStatus
) -> None:
    assert status_of(stat) is status
