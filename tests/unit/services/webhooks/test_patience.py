from __future__ import annotations

from smsgw.services.webhooks.patience import GIVEN_UP_AFTER, PAUSES, pause


def test_pauses_grow_to_an_hour() -> None:
    assert [pause(n, None, lambda: 0.0) for n in range(1, 9)] == [*PAUSES, 3600.0, 3600.0]


def test_chance_shortens_a_pause_by_less_than_a_third() -> None:
    assert pause(3, None, lambda: 1.0) == PAUSES[2] * 0.7


def test_the_receiver_may_ask_for_longer_but_not_for_more_than_a_day() -> None:
    assert pause(1, 300.0, lambda: 0.5) == 300.0
    assert pause(6, 1.0, lambda: 0.0) == 3600.0
    assert pause(1, 1e9, lambda: 0.0) == GIVEN_UP_AFTER == 86400.0
