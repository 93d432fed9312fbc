"""Answer times from two counts a batch, against peers whose delay is known."""

from __future__ import annotations

import pytest

from smsgw.transport.answer_time import EQUAL_SECONDS, AnswerTime


def talk(times: AnswerTime, delay: float, *, window: int, start: float, seconds: float) -> float:
    """Keep a window full towards a peer that answers each request after ``delay``."""
    step = delay / window
    now = start
    times.note(window, 0, now)
    while now < start + seconds:
        now += step
        times.note(window - 1, 1, now)
        times.note(window, 0, now)
    return now


def test_nothing_is_known_before_the_first_answer():
    times = AnswerTime(100.0)
    assert times.seconds(100.0) == 0.0
    assert times.expected(500.0) == EQUAL_SECONDS


@pytest.mark.parametrize(("delay", "window"), [(0.02, 16), (0.5, 1), (2.0, 16), (10.0, 512)])
def test_a_steady_peer_shows_its_delay(delay, window):
    times = AnswerTime(0.0)
    now = talk(times, delay, window=window, start=0.0, seconds=40 * delay)
    assert times.seconds(now) == pytest.approx(delay, rel=0.05)
    assert times.rate == pytest.approx(window / delay, rel=0.1)


def test_answers_in_bursts_show_the_same():
    times = AnswerTime(0.0)
    now = 0.0
    for _ in range(20):
        times.note(16, 0, now)
        now += 2.0
        times.note(13, 3, now)
        times.note(0, 13, now)
    assert times.seconds(now) == pytest.approx(2.0, rel=0.05)


def test_one_message_now_and_then_is_measured_without_the_rest_between():
    times = AnswerTime(0.0)
    for start in range(10, 100, 10):
        times.note(1, 0, float(start))
        times.note(0, 1, start + 0.05)
    assert times.seconds(95.0) == pytest.approx(0.05)


def test_the_first_answers_count_at_once():
    times = AnswerTime(0.0)
    times.note(4, 0, 0.0)
    times.note(0, 4, 0.01)
    assert times.seconds(0.01) == pytest.approx(0.01)


def test_a_peer_that_becomes_slow_shows_within_seconds_and_so_does_its_recovery():
    times = AnswerTime(0.0)
    now = talk(times, 0.01, window=16, start=0.0, seconds=10.0)
    now = talk(times, 2.0, window=16, start=now, seconds=10.0)
    assert times.seconds(now) == pytest.approx(2.0, rel=0.15)
    now = talk(times, 0.01, window=16, start=now, seconds=10.0)
    assert times.seconds(now) == pytest.approx(0.01, rel=0.15)


def test_a_peer_that_stops_answering_shows_while_everything_waits():
    times = AnswerTime(0.0)
    now = talk(times, 0.01, window=16, start=0.0, seconds=10.0)
    assert times.seconds(now + 5.0) == pytest.approx(5.0, rel=0.1)


def test_at_rest_a_slow_peer_is_forgiven_by_and_by():
    times = AnswerTime(0.0)
    now = talk(times, 5.0, window=4, start=0.0, seconds=60.0)
    times.note(0, 4, now)
    assert times.expected(now) == pytest.approx(times.seconds(now))
    assert times.expected(now + 30.0) < 0.01
    assert times.seconds(now + 30.0) > 1.0


def test_a_clock_that_goes_back_spoils_nothing():
    times = AnswerTime(1000.0)
    now = talk(times, 0.1, window=4, start=1000.0, seconds=5.0)
    times.note(4, 0, now - 900.0)
    now = talk(times, 0.1, window=4, start=now - 900.0, seconds=5.0)
    assert times.seconds(now) == pytest.approx(0.1, rel=0.1)
