from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from smsgw.errors import StoreError
from smsgw.services.ledger import ASSIGNMENT, Owner, allocate
from smsgw.services.slots import COUNT_SECONDS, SlotMap
from tests.support.conversations import PLANS, Desk
from tests.support.memory import ACCESS, ANN, BOB, result_of


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.store.close()


def page(desk: Desk, account: str = "crew", **filters: Any) -> list[dict[str, Any]]:
    return list(result_of(desk.slots.page(account, **filters)))


def test_the_map_says_what_each_extension_stands_for(desk: Desk) -> None:
    opened = desk.open(reference="job-17")
    (shown,) = page(desk)
    assert (shown["phone"], shown["sender_number"]) == (ANN, opened["sender_number"])
    assert (shown["conversation_id"], shown["reference"]) == (opened["id"], "job-17")
    assert (shown["request_id"], shown["assignment_id"]) == (None, None)
    assert (shown["state"], shown["plan"], shown["generation"]) == ("live", "conversations", 1)
    assert shown["expires_at"] == opened["expires_at"]
    desk.end(opened)
    assert [one["state"] for one in page(desk)] == ["cooling"]
    desk.clock.advance(50)
    assert page(desk) == []


def test_the_map_is_an_account_s_own_and_can_be_narrowed(desk: Desk) -> None:
    slots = [desk.open(phone)["extension"] for phone in (ANN, BOB, ANN)]
    assert page(desk, "other") == []
    assert [one["extension"] for one in page(desk)] == slots[::-1]
    assert [one["phone"] for one in page(desk, phone=ANN)] == [ANN, ANN]
    assert page(desk, access_number="1069") == []
    assert len(page(desk, access_number=ACCESS)) == 3
    first, second = page(desk, limit=2)
    assert [one["extension"] for one in page(desk, before=int(second["id"]))] == slots[:1]
    assert int(first["id"]) > int(second["id"])


def test_capacity_is_what_the_busiest_recipient_has_left(desk: Desk) -> None:
    for _ in range(3):
        desk.open()
    desk.end(desk.open())
    desk.open(BOB)
    with desk.store.transaction() as connection:
        now = int(desk.clock.seconds() * 1000)
        plan = PLANS.plan("1069", "vote")
        allocate(connection, ANN, "1069", plan, now, Owner(ASSIGNMENT, 1))
    shown = result_of(desk.slots.capacity("crew"))
    keys = ("access_number", "plans", "prefix", "extensions", "live", "cooling", "most", "left")
    assert [tuple(one[key] for key in keys) for one in shown["capacity"]] == [
        (ACCESS, ["conversations", "survey"], "", 10, 4, 1, 4, 6),
        (ACCESS, ["vote"], "8", 100, 0, 0, 0, 100),
        ("1069", ["conversations", "survey"], "", 10, 0, 0, 0, 10),
        ("1069", ["vote"], "8", 90, 1, 0, 1, 89),
    ]
    assert shown["busiest"] == [
        {"phone": ANN, "access_number": ACCESS, "live": 3, "cooling": 1},
        {"phone": BOB, "access_number": ACCESS, "live": 1, "cooling": 0},
    ]
    assert result_of(desk.slots.capacity("other"))["busiest"] == []


def test_what_is_in_use_is_counted_again_from_time_to_time(desk: Desk) -> None:

    result_of(Deferred.fromCoroutine(desk.slots.start()))
    desk.open()
    assert desk.slots.in_use == 0
    desk.clock.advance(COUNT_SECONDS)
    assert desk.slots.in_use == 1
    desk.clock.pump([COUNT_SECONDS] * 10)
    assert desk.slots.in_use == 0
    desk.slots.stop()
    assert desk.clock.getDelayedCalls() == []
    desk.slots.stop()


def test_a_database_that_is_away_is_asked_again_later(desk: Desk) -> None:

    class Away:
        def __init__(self) -> None:
            self.is_away = False

        def read(self, fn: Any) -> Any:
            return fail(StoreError("away")) if self.is_away else desk.store.read(fn)

    store = Away()
    counted = SlotMap(store, PLANS, desk.clock)
    result_of(Deferred.fromCoroutine(counted.start()))
    desk.open()
    store.is_away = True
    desk.clock.advance(COUNT_SECONDS)
    assert counted.in_use == 0
    store.is_away = False
    desk.clock.advance(COUNT_SECONDS)
    assert counted.in_use == 1
    counted.stop()
