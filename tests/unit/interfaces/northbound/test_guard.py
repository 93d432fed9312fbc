"""How long a login waits after wrong ones, and how fast a customer may submit."""

from __future__ import annotations

from twisted.internet.task import Clock

from smsgw.interfaces.northbound.guard import FORGOTTEN_SECONDS, HOSTS_MAX, WAITING_MAX, Guard
from smsgw.interfaces.northbound.present import Allowance

HOST = "192.0.2.1"


def test_each_wrong_login_makes_the_next_wait_longer():
    clock = Clock()
    guard = Guard(clock)
    assert guard.wait(HOST) == 0
    waits = []
    for _ in range(7):
        guard.failed(HOST)
        waits.append(guard.wait(HOST))
        clock.advance(guard.wait(HOST))
        assert guard.wait(HOST) == 0
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert guard.wait("192.0.2.2") == 0


def test_a_right_login_and_time_make_it_forgotten():
    clock = Clock()
    guard = Guard(clock)
    guard.failed(HOST)
    guard.succeeded(HOST)
    assert guard.wait(HOST) == 0
    guard.failed(HOST)
    guard.failed(HOST)
    clock.advance(FORGOTTEN_SECONDS + 3)
    guard.failed(HOST)
    assert guard.wait(HOST) == 1


def test_hosts_and_those_that_wait_are_bounded():
    guard = Guard(Clock())
    for n in range(HOSTS_MAX + 5):
        guard.failed(f"h{n}")
    assert guard.wait("h0") == 0
    assert guard.wait(f"h{HOSTS_MAX + 4}") == 1
    assert not guard.is_full(HOST)
    guard.waiting[HOST] = WAITING_MAX
    assert guard.is_full(HOST)


def test_a_rate_allows_a_seconds_worth_at_once_and_no_more():
    allowance = Allowance(10, 0.0)
    assert [allowance.take(1, 0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert allowance.take(5, 0.5)
    assert not allowance.take(1, 0.5)
    assert [allowance.take(1, 100.0) for _ in range(11)] == [True] * 10 + [False]


def test_no_rate_is_no_limit_and_many_recipients_wait_for_a_whole_second():
    assert Allowance(0, 0.0).take(10**6, 0.0)
    allowance = Allowance(5, 0.0)
    assert allowance.take(20, 0.0)
    assert not allowance.take(1, 1.0)
    assert allowance.take(1, 5.0)
