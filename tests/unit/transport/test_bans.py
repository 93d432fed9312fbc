"""How often somebody may be wrong, and what follows."""

from __future__ import annotations

import pytest

from smsgw.transport.bans import FORGOTTEN_SECONDS, KEYS_MAX, Bans


@pytest.fixture
def bans() -> Bans:
    return Bans(failures=3, window=60.0, first=30.0, longest=100.0)


def fail(bans: Bans, key: str, times: int, now: float) -> float:
    return [bans.failed(key, now) for _ in range(times)][-1]


def test_so_many_failures_in_time_are_a_ban_and_only_for_that_key(bans: Bans) -> None:
    assert fail(bans, "a", 2, 0.0) == 0
    assert bans.left("a", 0.0) == 0
    assert fail(bans, "a", 1, 59.0) == 30
    assert bans.left("a", 60.0) == 29
    assert bans.left("b", 60.0) == 0
    assert bans.left("a", 89.0) == 0


def test_few_at_a_time_ban_nobody(bans: Bans) -> None:
    assert [fail(bans, "a", 2, window * 60.0) for window in range(10)] == [0] * 10


def test_each_ban_is_longer_up_to_the_longest_and_a_quiet_hour_begins_anew(bans: Bans) -> None:
    now, seconds = 0.0, []
    for _ in range(4):
        seconds.append(fail(bans, "a", 3, now))
        now += seconds[-1]
    assert seconds == [30, 60, 100, 100]
    assert fail(bans, "a", 3, now + FORGOTTEN_SECONDS) == 30


def test_success_makes_it_forgotten(bans: Bans) -> None:
    fail(bans, "a", 2, 0.0)
    bans.succeeded("a")
    assert fail(bans, "a", 2, 1.0) == 0


def test_memory_has_an_end(bans: Bans) -> None:
    for number in range(KEYS_MAX + 10):
        bans.failed(f"k{number}", 0.0)
    assert len(bans) == KEYS_MAX


def test_a_clock_that_is_set_back_bans_nobody_for_long(bans: Bans) -> None:
    fail(bans, "a", 3, 1e6)
    assert bans.left("a", 0.0) == 0
