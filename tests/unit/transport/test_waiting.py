"""The queue before a link."""

from __future__ import annotations

from smsgw.errors import Disposition, LinkDown
from smsgw.model import Segment, SubmitResult
from smsgw.transport.waiting import BATCH, Waiting, WaitingSubmits

SEGMENTS = [Segment("13800001001", "10690001", 0, bytes([i])) for i in range(3)]
ACCEPTED = SubmitResult(0, Disposition.ACCEPTED, "11", "success")


class Room:
    """A link with so much room, and what it took."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken: list[Waiting] = []
        self.calls = 0

    def submit_many(self, items):
        self.calls += 1
        taken = items[: self.room]
        self.room -= len(taken)
        self.taken += [context for _, context in taken]
        return len(taken)

    @property
    def sent(self) -> list[Segment]:
        return [one.segment for one in self.taken]


def test_what_the_link_takes_leaves_in_order_and_the_rest_waits() -> None:
    link = Room(1)
    waiting = WaitingSubmits(link.submit_many)
    results = [waiting.add(segment) for segment in SEGMENTS]
    assert link.sent == SEGMENTS[:1]
    results[1].addErrback(lambda failure: None)
    results[1].cancel()
    link.room = 5
    waiting.send()
    assert link.sent == [SEGMENTS[0], SEGMENTS[2]]
    assert len(waiting) == 0
    waiting.send()


def test_a_long_queue_is_offered_in_pieces() -> None:
    link = Room(0)
    waiting = WaitingSubmits(link.submit_many)
    for _ in range(2 * BATCH + 10):
        waiting.add(SEGMENTS[0])
    link.room, link.calls = 2 * BATCH + 5, 0
    waiting.send()
    assert (len(waiting), link.calls) == (5, 3)


def test_what_never_left_goes_first_and_what_was_given_up_meanwhile_not_at_all() -> None:
    link = Room(3)
    waiting = WaitingSubmits(link.submit_many)
    results = [waiting.add(segment) for segment in SEGMENTS]
    late = waiting.add(Segment("13800001002", "10690001", 0, b"late"))
    unsent, link.taken = link.taken, []
    results[1].addErrback(lambda failure: None)
    results[1].cancel()
    waiting.again(unsent)
    link.room = 9
    waiting.send()
    assert [one.result for one in link.taken] == [results[0], results[2], late]


def test_a_caller_that_gave_up_is_not_told() -> None:
    link = Room(1)
    waiting = WaitingSubmits(link.submit_many)
    given_up = waiting.add(SEGMENTS[0])
    given_up.addErrback(lambda failure: None)
    given_up.cancel()
    link.taken[0].answer(ACCEPTED)
    assert given_up.result is None


def test_what_waits_fails_when_there_is_no_hope() -> None:
    waiting = WaitingSubmits(lambda items: 0)
    failed: list[type] = []
    waiting.add(SEGMENTS[0]).addErrback(lambda failure: failed.append(failure.type))
    waiting.fail(LinkDown("stopped"))
    assert failed == [LinkDown]
