"""How fast a customer may submit."""

from __future__ import annotations

from smsgw.interfaces.northbound.present import Allowance


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
