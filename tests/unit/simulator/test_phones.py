from __future__ import annotations

import pytest

from smsgw.model import Coding, Segment
from smsgw.simulator import phones
from smsgw.simulator.phones import Phone, Phones, Received
from smsgw.simulator.script import always, silent
from smsgw.text import segmentation
from smsgw.text.udh import split_header

LONG = "新闻部申请使用三号外景转播车" * 12
SENDER = "10690001042"


def parts_of(text: str, reference: int = 1, source: str = SENDER) -> list[Segment]:
    """The segments of a long message."""
    plan = segmentation.plan(text, Coding.UCS2)
    return [
        Segment("13800001001", source, 8, content, udhi=True)
        for content in segmentation.segments(plan, reference)
    ]


@pytest.fixture
def phone() -> Phone:
    return Phone("13800001001")


def test_a_short_message_is_shown_at_once(phone: Phone) -> None:
    segment = Segment("13800001001", SENDER, 8, "您好".encode("utf-16-be"))
    assert phone.take(segment) == Received(SENDER, "您好", 1)
    assert phone.inbox == [Received(SENDER, "您好", 1)]


def test_a_long_message_is_shown_once_it_is_whole_in_any_order(phone: Phone) -> None:
    segments = parts_of(LONG)
    for segment in [*segments[1:], segments[1]]:
        assert phone.take(segment) is None
    assert phone.take(segments[0]) == Received(SENDER, LONG, len(segments))


def test_parts_of_different_messages_and_senders_are_not_mixed(phone: Phone) -> None:
    texts = [LONG, LONG.replace("三", "四"), LONG.replace("三", "五")]
    series = [parts_of(texts[0]), parts_of(texts[1], 2), parts_of(texts[2], 1, "10690001043")]
    for segments in zip(*series, strict=True):
        for segment in segments:
            phone.take(segment)
    assert [received.text for received in phone.inbox] == texts


def test_a_header_without_parts_is_not_text(phone: Phone) -> None:
    header = bytes.fromhex("06 05 04 0b84 23f0")
    segment = Segment("13800001001", SENDER, 8, header + "您好".encode("utf-16-be"), udhi=True)
    received = phone.take(segment)
    assert received is not None
    assert received.text == "您好"


def test_what_it_writes_is_cut_as_a_handset_does(phone: Phone) -> None:
    (short,) = phone.write(SENDER, "同意")
    assert (short.sender, short.destination, short.udhi) == ("13800001001", SENDER, False)
    assert short.content == "同意".encode("utf-16-be")
    first, second = phone.write(SENDER, LONG), phone.write(SENDER, LONG)
    assert len(first) > 1
    assert all(message.udhi for message in first)
    references = [_reference(messages[0].content) for messages in (first, second)]
    assert references[0] != references[1]


def _reference(content: bytes) -> int:
    header, _, _ = split_header(content)
    assert header is not None
    assert header.concatenation is not None
    return header.concatenation.reference


def test_phones_are_switched_on_when_first_met() -> None:
    script = always("1")
    phones = Phones(script)
    met = phones.get("13800001001")
    assert met.script is script
    assert phones.get("13800001001") is met
    assert phones.add("13800001001").script is silent
    assert phones.add("13300001001", script).number == "13300001001"


def test_a_phone_forgets_what_is_old_and_what_never_becomes_whole(phone, monkeypatch) -> None:
    monkeypatch.setattr(phones, "INBOX_KEPT", 10)
    monkeypatch.setattr(phones, "PARTIAL_KEPT", 3)
    for number in range(25):
        phone.take(Segment("13800001001", SENDER, 0, str(number).encode()))
    assert [one.text for one in phone.inbox] == [str(number) for number in range(15, 25)]
    first = parts_of(LONG, reference=0)
    for reference in range(5):
        assert phone.take(parts_of(LONG, reference)[0]) is None
    assert [phone.take(part) for part in first[1:]] == [None] * (len(first) - 1)
