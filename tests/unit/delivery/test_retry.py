from __future__ import annotations

import pytest

from smsgw.delivery.retry import RetryPolicy, retry_at

POLICY = RetryPolicy(attempts=5, first_seconds=4.0, cap_seconds=20.0)


@pytest.mark.parametrize(("refusals", "wait"), [(1, 4.0), (2, 8.0), (3, 16.0), (4, 20.0)])
def test_the_wait_doubles_up_to_its_cap(refusals: int, wait: float) -> None:
    assert retry_at(POLICY, refusals, 100.0, chance=1.0) == 100.0 + wait


@pytest.mark.parametrize(("chance", "at"), [(0.0, 102.0), (0.5, 103.0), (1.0, 104.0)])
def test_chance_spreads_the_wait_over_its_upper_half(chance: float, at: float) -> None:
    assert retry_at(POLICY, 1, 100.0, chance) == at


@pytest.mark.parametrize("refusals", [5, 6])
def test_the_last_refusal_is_final(refusals: int) -> None:
    assert retry_at(POLICY, refusals, 100.0, 0.5) is None


def test_very_many_refusals_do_not_overflow() -> None:
    assert retry_at(RetryPolicy(attempts=10**9), 10**6, 0.0, 1.0) == 300.0
