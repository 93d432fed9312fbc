"""What a gateway remembers of its submits: bounded, and only what was accepted or is open."""

from __future__ import annotations

from smsgw.protocols import cmpp
from smsgw.protocols.repeats import KEPT, Repeats

ONE, OTHER, ANSWER = b"one", b"other", b"answer"
REFUSAL = cmpp.SubmitResp30(7, 0, 3)


def test_a_submit_is_new_once() -> None:
    repeats = Repeats(60.0)
    assert repeats.take(7, ONE, 0.0) is None
    known = repeats.take(7, ONE, 60.0)
    assert known is not None
    assert known.reply(ONE, REFUSAL) == b""
    assert repeats.take(8, ONE, 60.0) is None


def test_an_accepted_submit_is_answered_as_before() -> None:
    repeats = Repeats(60.0)
    repeats.take(7, ONE, 0.0)
    repeats.answered(7, ANSWER)
    known = repeats.take(7, ONE, 1.0)
    assert known is not None
    assert known.reply(ONE, REFUSAL) == ANSWER


def test_a_refused_submit_may_be_asked_again() -> None:
    repeats = Repeats(60.0)
    repeats.take(7, ONE, 0.0)
    repeats.answered(7, b"")
    assert len(repeats) == 0
    assert repeats.take(7, ONE, 1.0) is None


def test_another_submit_under_an_open_sequence_is_refused() -> None:
    repeats = Repeats(60.0)
    repeats.take(7, ONE, 0.0)
    known = repeats.take(7, OTHER, 0.0)
    assert known is not None
    assert known.reply(OTHER, REFUSAL) == REFUSAL.encode()


def test_another_submit_under_an_answered_sequence_is_new_where_sequences_are_reused() -> None:
    repeats = Repeats(60.0)
    repeats.take(7, ONE, 0.0)
    repeats.answered(7, ANSWER)
    assert repeats.take(7, OTHER, 1.0) is None
    known = repeats.take(7, OTHER, 1.0)
    assert known is not None
    assert known.reply(OTHER, REFUSAL) == b""
    strict = Repeats(60.0, reusable=False)
    strict.take(7, ONE, 0.0)
    strict.answered(7, ANSWER)
    known = strict.take(7, OTHER, 1.0)
    assert known is not None
    assert known.reply(OTHER, REFUSAL) == REFUSAL.encode()


def test_it_is_remembered_as_long_as_a_customer_sends_again() -> None:
    repeats = Repeats(60.0)
    repeats.take(1, ONE, 119.0)
    repeats.answered(1, ANSWER)
    for late in (179.0, 239.0):
        assert repeats.take(1, ONE, late) is not None
    assert repeats.take(1, ONE, 119.0 + 4 * 60.0) is None


def test_an_answer_that_comes_in_the_next_generation_is_kept() -> None:
    repeats = Repeats(60.0)
    repeats.take(1, ONE, 0.0)
    repeats.take(2, ONE, 121.0)
    repeats.answered(1, ANSWER)
    known = repeats.take(1, ONE, 122.0)
    assert known is not None
    assert known.answer == ANSWER
    repeats.answered(1, b"")
    assert repeats.take(1, ONE, 123.0) is None


def test_an_answer_to_what_is_forgotten_is_no_matter() -> None:
    repeats = Repeats(60.0)
    repeats.answered(1, ANSWER)
    assert len(repeats) == 0


def test_it_is_bounded() -> None:
    repeats = Repeats(60.0)
    for key in range(3 * KEPT):
        assert repeats.take(key, ONE, 0.0) is None
    assert len(repeats) <= 2 * KEPT
    repeats.take(0, ONE, 1000.0)
    assert len(repeats) == 1


def test_no_time_at_all_is_no_division_by_zero() -> None:
    repeats = Repeats(0.0)
    assert repeats.take(1, ONE, 0.0) is None
    assert repeats.take(1, ONE, 1.0) is None
