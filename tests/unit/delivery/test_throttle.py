from __future__ import annotations

import pytest

from smsgw.delivery.throttle import PAUSE_SECONDS, RATE_MIN, UNLIMITED, TokenBucket


def test_without_a_rate_everything_may_be_sent() -> None:
    for rate in (None, 0.0):
        bucket = TokenBucket(rate, 0.0)
        bucket.take(10_000, 0.0)
        assert bucket.available(0.0) == UNLIMITED
        assert bucket.wait(0.0) == 0.0


def test_a_second_lets_through_the_rate_and_one_burst() -> None:
    bucket = TokenBucket(100.0, 0.0)
    sent = 0
    for step in range(1001):
        now = step / 1000
        count = bucket.available(now)
        bucket.take(count, now)
        sent += count
    assert 109 <= sent <= 111


def test_wait_tells_when_the_next_one_may_go() -> None:
    bucket = TokenBucket(2.0, 0.0)
    bucket.take(bucket.available(0.0), 0.0)
    assert bucket.available(0.0) == 0
    assert bucket.wait(0.0) == pytest.approx(0.5)
    assert bucket.available(0.4) == 0
    assert bucket.available(0.5) == 1


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    bucket = TokenBucket(10.0, 100.0)
    bucket.take(1, 100.0)
    assert bucket.available(50.0) == 0
    assert bucket.available(50.11) == 1


def test_a_clock_that_goes_back_does_not_lengthen_a_pause() -> None:
    bucket = TokenBucket(100.0, 5000.0)
    bucket.throttled(5000.0)
    assert bucket.wait(1000.0) == pytest.approx(1.0)


def test_too_fast_pauses_and_halves_the_rate_once_per_pause() -> None:
    bucket = TokenBucket(100.0, 0.0)
    bucket.throttled(10.0)
    bucket.throttled(10.5)
    assert bucket.rate == pytest.approx(50.0, rel=0.1)
    assert bucket.wait(10.75) == pytest.approx(0.25)
    assert bucket.available(10.9) == 0
    assert bucket.available(11.5) > 0
    bucket.throttled(12.0)
    assert bucket.rate == pytest.approx(25.0, rel=0.1)


def test_the_rate_grows_back_to_the_agreed_one_and_no_further() -> None:
    bucket = TokenBucket(60.0, 0.0)
    bucket.throttled(0.0)
    bucket.available(10.0)
    assert bucket.rate == pytest.approx(40.0)
    bucket.available(1000.0)
    assert bucket.rate == 60.0


def test_the_rate_never_falls_to_nothing() -> None:
    bucket = TokenBucket(1.0, 0.0)
    for pause in range(10):
        bucket.throttled(pause * 1.0)
    assert bucket.rate is not None
    assert bucket.rate >= RATE_MIN


def test_without_an_agreed_rate_half_of_what_was_sent_in_a_second_is_the_start() -> None:
    bucket = TokenBucket(None, 0.0)
    for tick in range(20):
        bucket.take(10, tick / 10)
    bucket.throttled(2.0)
    assert bucket.rate == pytest.approx(50.0)
    bucket.available(600.0)
    assert bucket.rate is not None
    assert bucket.rate > 500.0


def test_what_was_sent_long_ago_does_not_count() -> None:
    bucket = TokenBucket(None, 0.0)
    bucket.take(500, 0.0)
    bucket.take(1, 60.0)
    bucket.throttled(60.5)
    assert bucket.rate == 0.5


def test_what_was_sent_while_there_was_no_limit_is_no_debt_after_too_fast() -> None:
    bucket = TokenBucket(None, 0.0)
    for second in range(3600):
        bucket.take(300, float(second))
    bucket.throttled(3600.0)
    assert bucket.rate == pytest.approx(150.0)
    assert bucket.wait(3600.0) == pytest.approx(PAUSE_SECONDS)


def test_too_fast_never_raises_a_rate_that_is_below_the_least() -> None:
    bucket = TokenBucket(RATE_MIN / 5, 0.0)
    bucket.throttled(0.0)
    assert bucket.rate == RATE_MIN / 5
