from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail

from smsgw.errors import QuotaExceeded, StoreError, ValidationError
from smsgw.services.access.callers import Caller
from smsgw.services.access.usage import WRITE_SECONDS
from smsgw.store import tokens
from tests.support.access import Door, done
from tests.support.memory import result_of


async def sent() -> str:
    return "sent"


def send(door: Door, caller: Caller, count: int = 1) -> str:
    return done(caller.counted(count, sent))


def stored(door: Door, caller: Caller) -> int:
    day = int(door.time() + 8 * 3600) // 86400
    return result_of(door.store.run(lambda c: tokens.spent(c, caller.token_id, day)))


def limited(door: Door, daily: int = 5) -> Caller:
    return door.admit(door.make(daily=daily))


def test_so_many_messages_a_day_and_no_more(door: Door) -> None:
    caller = limited(door)
    send(door, caller, 3)
    with pytest.raises(QuotaExceeded, match="5 messages a day, 2 are left") as caught:
        send(door, caller, 3)
    assert caught.value.retry_after == until_midnight(door)
    send(door, caller, 2)
    with pytest.raises(QuotaExceeded):
        send(door, caller)


def test_the_next_day_begins_at_midnight_in_china(door: Door) -> None:
    caller = limited(door)
    send(door, caller, 5)
    door.time.advance(until_midnight(door) - 1)
    with pytest.raises(QuotaExceeded) as caught:
        send(door, caller)
    assert caught.value.retry_after == 1
    door.time.advance(1)
    assert send(door, caller, 5) == "sent"


def test_what_is_not_sent_does_not_count(door: Door) -> None:
    caller = limited(door)

    async def refused() -> None:
        raise ValidationError("to", "is none")

    for _ in range(3):
        with pytest.raises(ValidationError):
            done(caller.counted(5, refused))
    send(door, caller, 5)


def test_while_it_is_being_sent_it_counts(door: Door) -> None:
    caller = limited(door)
    waiting: Deferred[str] = Deferred()
    first = Deferred.fromCoroutine(caller.counted(5, lambda: waiting))
    with pytest.raises(QuotaExceeded):
        send(door, caller)
    waiting.callback("sent")
    assert result_of(first) == "sent"


def test_counts_are_written_in_batches_and_outlive_the_process(door: Door) -> None:
    caller = limited(door, 100)
    for _ in range(10):
        send(door, caller)
    assert stored(door, caller) == 0
    door.time.advance(WRITE_SECONDS)
    assert stored(door, caller) == 10
    send(door, caller)
    done(door.access.stop())
    assert stored(door, caller) == 11


def test_processes_learn_of_each_other_with_each_write(door: Door) -> None:
    made = door.make(daily=10)
    other = Door()
    other.store.close()
    other.store = door.store
    here, there = door.admit(made), other.admit(made)
    send(door, here, 4)
    send(other, there, 4)
    door.time.advance(WRITE_SECONDS)
    other.time.advance(WRITE_SECONDS)
    with pytest.raises(QuotaExceeded, match="2 are left"):
        send(other, there, 3)
    send(door, here, 2)
    door.time.advance(WRITE_SECONDS)
    send(other, there, 1)
    other.time.advance(WRITE_SECONDS)
    with pytest.raises(QuotaExceeded, match="0 are left"):
        send(other, there)


def test_a_write_that_fails_is_done_again(door: Door) -> None:
    made = door.make(daily=100)
    caller = door.admit(made)
    send(door, caller, 7)
    run = door.store.run
    door.store.run = lambda fn: fail(StoreError("away"))  # type: ignore[method-assign]
    door.time.advance(WRITE_SECONDS)
    send(door, caller, 1)
    door.store.run = run  # type: ignore[method-assign]
    door.time.advance(WRITE_SECONDS)
    assert stored(door, caller) == 8
    assert door.shown(made)["last_used_at"] is not None


def test_without_a_limit_nothing_is_counted(door: Door) -> None:
    caller = door.admit(door.make())
    door.time.advance(WRITE_SECONDS)
    asked = door.asked
    assert send(door, caller, 1000) == "sent"
    assert door.asked == asked
    assert door.time.getDelayedCalls() == []


def until_midnight(door: Door) -> Any:
    return 86400 - int(door.time() + 8 * 3600) % 86400
