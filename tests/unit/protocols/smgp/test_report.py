"""Receipts: ten raw octets, then labels in whatever spelling."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import EncodeError, PduError
from smsgw.model import MessageStatus
from smsgw.protocols.smgp.report import Report, build_report, parse_report, status_of
from tests.support.vectors import vector

ID = bytes.fromhex("01006101161700012345")

CANONICAL = Report(
    msg_id=ID,
    stat="DELIVRD",
    err="000",
    sub="001",
    dlvrd="001",
    submit_date="2601161700",
    done_date="2601161701",
    text=b"012Your code is".ljust(20, b"\0"),
)


def content_of(name: str) -> bytes:
    fields = vector("smgp", name).fields
    assert fields is not None
    return bytes.fromhex(fields["msg_content_hex"])


def test_the_canonical_form_has_122_octets_and_is_built_as_the_vector_has_it() -> None:
    built = build_report(CANONICAL)
    assert len(built) == 122
    assert built == content_of("deliver_report_delivrd")


def test_the_canonical_form_is_read() -> None:
    assert parse_report(content_of("deliver_report_delivrd")) == CANONICAL


def test_the_field_capture_of_110_octets_is_read() -> None:
    report = parse_report(content_of("deliver_report_capture_110_octets"))
    assert report.msg_id.hex() == "6495c36ac4ea6b00000b"
    assert (report.sub, report.dlvrd, report.stat, report.err) == ("001", "001", "DELIVRD", "000")
    assert report.submit_date == report.done_date == "1807052207"
    assert report.text.decode("gbk") == "中国0a8ae5"


LABELS = "{0}sub:001 dlvrd:001 {1}:2601161700 {2}:2601161701 {3}:DELIVRD {4}:000 {5}:hello"


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.format(" ", "submit date", "done date", "stat", "err", "text"),
        LABELS.format(" ", "Submit date", "done date", "stat", "err", "Text"),
        LABELS.format(" ", "Submit_Date", "Done_Date", "stat", "err", "text"),
        LABELS.format(" ", "Submit_date", "done_date", "stat", "err", "Text"),
        LABELS.format(" ", "submit_date", "done_date", "stat", "err", "text"),
        LABELS.format("", "submit_date", "done_date", "stat", "err", "txt"),
        LABELS.format("", "SUBMIT DATE", "DONE DATE", "STAT", "ERR", "TXT"),
        LABELS.format(" ", "submit date", "done date", "Stat", "Err", "Text"),
    ],
)
def test_every_spelling_met_in_practice_is_read(labels: str) -> None:
    report = parse_report(b"Id:" + ID + labels.encode())
    assert report == msgspec.structs.replace(CANONICAL, text=b"hello")


def test_a_space_after_a_colon_is_no_part_of_the_value() -> None:
    report = parse_report(b"id:" + ID + b" sub: 001 done date: 2601161701 stat: DELIVRD err: 000")
    assert (report.sub, report.done_date, report.stat) == ("001", "2601161701", "DELIVRD")
    assert report.err == "000"


def test_twelve_digit_dates_are_kept_whole() -> None:
    report = parse_report(b"id:" + ID + b" submit date:260116170059 stat:DELIVRD")
    assert report.submit_date == "260116170059"


@pytest.mark.parametrize("msg_id", [b" sub:000 x", b" stat:EXPI", bytes(10), b"id:id:id:i"])
def test_the_id_is_taken_without_looking_at_it(msg_id: bytes) -> None:
    report = parse_report(build_report(msgspec.structs.replace(CANONICAL, msg_id=msg_id)))
    assert report == msgspec.structs.replace(CANONICAL, msg_id=msg_id)


@pytest.mark.parametrize("stat", ["DTBLACK", "VMFLUCTL", "MI:0001", "ERR:105", "-99"])
def test_a_platforms_own_stat_is_kept_as_text(stat: str) -> None:
    report = parse_report(b"id:" + ID + b" sub:001 stat:" + stat.encode() + b" err:XA1 text:")
    assert (report.stat, report.err, report.text) == (stat, "XA1", b"")


def test_labels_inside_the_text_are_text() -> None:
    report = parse_report(b"id:" + ID + b" stat:DELIVRD err:000 text: stat:EXPIRED err:001")
    assert (report.stat, report.err) == ("DELIVRD", "000")
    assert report.text == b" stat:EXPIRED err:001"


def test_the_first_of_a_repeated_label_counts() -> None:
    assert parse_report(b"id:" + ID + b" stat:DELIVRD stat:EXPIRED").stat == "DELIVRD"


def test_what_a_gateway_leaves_out_is_empty() -> None:
    report = parse_report(b"id:" + ID + b"stat:UNDELIV\0\0")
    assert report == Report(ID, "UNDELIV", sub="", dlvrd="")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "0 octets"),
        (b"id:short", "8 octets"),
        (b"id:" + ID[:9], "12 octets"),
        (b"hello, this is a message", "not 'id:'"),
        (b"id:" + ID, "without a stat"),
        (b"id:" + ID + b" sub:001 stat: err:000", "without a stat"),
        (b"id:" + ID + b" text: stat:DELIVRD", "without a stat"),
    ],
)
def test_what_is_no_receipt_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(PduError, match=problem) as caught:
        parse_report(content)
    assert caught.value.field == "msg_content"


@given(st.binary(max_size=140))
def test_no_content_raises_anything_else(content: bytes) -> None:
    with contextlib.suppress(PduError):
        parse_report(b"id:" + content)


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("msg_id", bytes(8), "exactly 10 octets"),
        ("stat", "VMFLUCTL", "7 octets"),
        ("err", "0000", "3 octets"),
        ("done_date", "260116170159", "10 octets"),
        ("stat", "成功", "ASCII"),
        ("text", bytes(21), "20 octets"),
    ],
)
def test_a_field_that_does_not_fit_the_canonical_form_is_refused(
    field: str, value: bytes | str, limit: str
) -> None:
    with pytest.raises(EncodeError) as caught:
        build_report(msgspec.structs.replace(CANONICAL, **{field: value}))
    assert (caught.value.field, caught.value.limit) == (f"report.{field}", limit)


def test_short_values_are_padded_and_read_without_their_padding() -> None:
    report = Report(ID, "-99", err="1", submit_date="", done_date="", text=bytes(20))
    built = build_report(report)
    assert len(built) == 122
    assert parse_report(built) == report


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
        ("DTBLACK", MessageStatus.UNDELIVERED),
        ("", MessageStatus.UNDELIVERED),
    ],
)
def test_only_delivrd_is_a_success(stat: str, status: MessageStatus) -> None:
    assert status_of(stat) is status
