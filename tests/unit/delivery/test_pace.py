"""How fast segments may leave, and the one reason why no faster."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.delivery.lanes import Lanes
from smsgw.delivery.pace import STORE_PAUSE_SECONDS, Pace
from smsgw.delivery.throttle import RECOVERY_SECONDS, UNLIMITED, Limits
from smsgw.store.ids import IdSource
from smsgw.transport.causes import Cause
from tests.support.store import NOW, message_row, queued_segment

IDS = IdSource(0, lambda: NOW / 1000)


def lanes(ready: int) -> Lanes:
    made = Lanes(100)
    for _ in range(ready):
        made.put(queued_segment(message_row(IDS, message_class="bulk")))
    return made


def why(pace: Pace, now: float, waiting: int = 5, **known: Any) -> tuple[Cause, str]:
    facts: dict[str, Any] = {"ready": 0, "in_store": False, "free": True, "answer_seconds": 0.01}
    limit = pace.why(lanes(waiting), **{**facts, **known}, now=now)
    return limit.cause, limit.detail


def test_without_a_limit_only_the_store_can_hold_up_a_free_window() -> None:
    pace = Pace(Limits(), 0.0)
    assert pace.available(0.0) == UNLIMITED
    assert why(pace, 0.0) == (Cause.STORE, "")


def test_each_cause_is_named() -> None:
    pace = Pace(Limits(rate=10.0), 0.0)
    assert why(pace, 0.0, waiting=0) == (Cause.NOTHING, "")
    assert why(pace, 0.0, waiting=0, in_store=True) == (Cause.STORE, "")
    assert why(pace, 0.0, free=False) == (Cause.WINDOW, "")
    slow = why(pace, 0.0, waiting=0, ready=3, free=False, answer_seconds=2.0)
    assert slow == (Cause.LATENCY, "answers take 2.0 s")
    pace.take(pace.available(0.0), 0.0)
    assert why(pace, 0.0) == (Cause.RATE, "10 of 10 a second")


def test_a_rate_that_the_carrier_lowered_is_throttling_until_it_is_the_agreed_one_again() -> None:
    pace = Pace(Limits(rate=100.0), 0.0)
    assert pace.throttled(10.0) == 11.0
    assert pace.paused(10.5)
    assert why(pace, 10.5) == (Cause.THROTTLED, "50.8 of 100 a second")
    assert why(pace, 10.5, waiting=0) == (Cause.NOTHING, "")
    assert not pace.paused(11.0)
    pace.take(pace.available(11.0), 11.0)
    assert why(pace, 11.0)[0] is Cause.THROTTLED
    after = 10.0 + RECOVERY_SECONDS / 2
    pace.take(pace.available(after), after)
    assert why(pace, after) == (Cause.RATE, "100 of 100 a second")


def test_without_an_agreed_rate_any_rate_is_throttling() -> None:
    pace = Pace(Limits(), 0.0)
    pace.take(20, 0.0)
    pace.throttled(0.5)
    assert why(pace, 0.6) == (Cause.THROTTLED, "10 a second")


def test_nothing_is_taken_up_while_the_store_is_in_trouble() -> None:
    pace = Pace(Limits(), 0.0)
    pace.store_failed(5.0)
    assert pace.available(5.0) == 0
    assert pace.wait(5.0) == STORE_PAUSE_SECONDS
    assert why(pace, 5.0) == (Cause.STORE, "it could not record what is about to be sent")
    assert pace.available(5.0 + STORE_PAUSE_SECONDS) == UNLIMITED


def test_a_clock_that_goes_back_does_not_lengthen_the_pause() -> None:
    pace = Pace(Limits(rate=10.0), 1000.0)
    pace.throttled(1000.0)
    assert pace.resumes(500.0) == pytest.approx(501.0)


def test_another_agreed_rate_holds_at_once_and_ends_no_pause() -> None:
    pace = Pace(Limits(rate=10.0), 0.0)
    pace.throttled(0.0)
    pace.agree(Limits(rate=100.0), 0.5)
    assert (pace.rate, pace.paused(0.5), pace.paused(2.0)) == (100.0, True, False)
    assert pace.available(2.0) == 10
    pace.agree(Limits(), 2.0)
    assert pace.available(2.0) == UNLIMITED
