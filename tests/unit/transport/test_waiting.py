"""The queue before a link."""

from __future__ import annotations

from smsgw.errors import LinkDown
from smsgw.model import Segment
from smsgw.transport.waiting import WaitingSubmits

SEGMENTS = [Segment("13800001001", "10690001", 0, bytes([i])) for i in range(3)]


def test_what_the_link_takes_leaves_in_order_and_the_rest_waits() -> None:
    room, sent = [1, 0, 0], []

    def submit_many(items):
        taken = min(room.pop(0), len(items))
        sent.extend(segment for segment, _ in items[:taken])
        return taken

    waiting = WaitingSubmits(submit_many)
    results = [waiting.add(segment) for segment in SEGMENTS]
    assert sent == SEGMENTS[:1]
    results[1].addErrback(lambda failure: None)
    results[1].cancel()
    room.append(5)
    waiting.send()
    assert sent == [SEGMENTS[0], SEGMENTS[2]]
    waiting.send()


def test_what_waits_fails_when_there_is_no_hope() -> None:
    waiting = WaitingSubmits(lambda items: 0)
    failed: list[type] = []
    waiting.add(SEGMENTS[0]).addErrback(lambda failure: failed.append(failure.type))
    waiting.fail(LinkDown("stopped"))
    assert failed == [LinkDown]
