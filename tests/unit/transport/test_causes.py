"""What holds a link up, and for how long."""

from __future__ import annotations

from smsgw.transport.causes import SLOW_ANSWER_SECONDS, Cause, Limit, LimitedTime, full_window


def test_a_full_window_is_the_peers_fault_only_when_its_answers_are_slow():
    assert full_window(SLOW_ANSWER_SECONDS / 2) == Limit(Cause.WINDOW)
    assert full_window(2.5).state() == {
        "cause": "remote latency",
        "detail": "answers take 2.5 s",
    }


def test_the_time_of_each_cause_adds_up_to_all_the_time():
    limited = LimitedTime(100.0)
    limited.become(Cause.WINDOW, 101.0)
    limited.become(Cause.WINDOW, 102.0)
    limited.become(Cause.RATE, 104.0)
    limited.become(Cause.WINDOW, 104.5)
    seconds = limited.seconds(105.0)
    assert set(seconds) == {cause.value for cause in Cause}
    assert seconds["nothing to send"] == 1.0
    assert seconds["window full"] == 3.5
    assert seconds["rate limit"] == 0.5
    assert sum(limited.seconds(110.0).values()) == 10.0


def test_a_clock_that_goes_back_takes_no_time_away():
    limited = LimitedTime(100.0)
    limited.become(Cause.STORE, 50.0)
    assert sum(limited.seconds(51.0).values()) == 1.0
