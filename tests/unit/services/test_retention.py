from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from smsgw.errors import StoreError
from smsgw.model import MessageStatus
from smsgw.services.retention import (
    AGAIN_SECONDS,
    DAY_SECONDS,
    EVERY_SECONDS,
    FIRST_SECONDS,
    Purging,
    Retention,
    for_all,
)
from smsgw.store.schema import message
from tests.support.memory import MemoryStore, result_of
from tests.support.store import NOW, StoredMessages

KEPT = Retention(messages=for_all(DAY_SECONDS))


class Place:
    """A place among processes, asked for and dropped."""

    def __init__(self) -> None:
        self.held = False
        self.asked = False

    def ask(self, changed: Callable[[], None]) -> None:
        self.asked = True

    def drop(self) -> None:
        self.asked = False


class Shared(MemoryStore):
    """A database that others write to as well, when there is a place."""

    place: Place | None = None

    def permit(self, pool: str, size: int) -> Place | None:
        return self.place


class Case:
    """Three messages that ended long ago."""

    def __init__(self, retention: Retention = KEPT) -> None:
        self.clock = Clock()
        self.clock.advance(NOW / 1000)
        self.store = Shared(self.clock.seconds)
        self.counted: dict[str, int] = {}
        with self.store.transaction() as connection:
            for _ in range(3):
                StoredMessages(connection, self.store.ids).message(
                    MessageStatus.DELIVERED, final_at=NOW, status="delivered"
                )
        self.clock.advance(2 * DAY_SECONDS)
        self.purging = Purging(self.store, retention, self.clock, self.count)

    def count(self, kind: str, rows: int) -> None:
        self.counted[kind] = self.counted.get(kind, 0) + rows

    def texts(self) -> list[str]:
        query = select(message.c.text)
        return result_of(self.store.read(lambda c: list(c.execute(query).scalars())))

    def pass_by(self, seconds: float) -> None:
        self.clock.pump([seconds / 100] * 100)


def test_it_begins_a_while_after_the_start_and_is_done_again() -> None:
    case = Case()
    case.purging.start()
    case.clock.advance(FIRST_SECONDS - 1)
    assert case.texts() == ["您好"] * 3
    case.pass_by(5)
    assert case.texts() == [""] * 3
    assert case.counted == {"interactive": 3}
    with case.store.transaction() as connection:
        one = StoredMessages(connection, case.store.ids)
        one.message(MessageStatus.DELIVERED, final_at=NOW, status="delivered")
    case.clock.advance(EVERY_SECONDS)
    case.pass_by(5)
    assert case.texts().count("您好") == 1  # it is too young by its id
    case.clock.advance(AGAIN_SECONDS)
    case.pass_by(5)
    assert case.texts() == [""] * 4


def test_a_stop_ends_a_pause_and_leaves_no_timer() -> None:
    case = Case()
    case.purging.start()
    case.clock.advance(FIRST_SECONDS)
    assert case.counted == {"interactive": 3}  # and now it rests
    result_of(Deferred.fromCoroutine(case.purging.stop()))
    assert case.clock.getDelayedCalls() == []


def test_of_several_processes_only_the_one_that_has_the_place_purges() -> None:
    case = Case()
    case.store.place = place = Place()
    case.purging.start()
    assert place.asked
    case.clock.advance(FIRST_SECONDS)
    case.pass_by(5)
    assert case.counted == {}
    place.held = True
    case.clock.advance(EVERY_SECONDS)
    case.pass_by(5)
    assert case.counted == {"interactive": 3}


def test_other_times_hold_from_the_next_look_on() -> None:
    case = Case(Retention(messages=for_all(0)))
    case.purging.start()
    case.clock.advance(FIRST_SECONDS)
    case.pass_by(5)
    assert case.counted == {}
    case.purging.retention = KEPT
    case.clock.advance(EVERY_SECONDS)
    case.pass_by(5)
    assert case.counted == {"interactive": 3}


def test_a_database_that_is_away_is_tried_again_at_the_next_look() -> None:
    case = Case()
    away = StoreError("the database is away")
    read, case.store.read = case.store.read, lambda fn: _failing(away)  # type: ignore[method-assign]
    case.purging.start()
    case.clock.advance(FIRST_SECONDS)
    case.store.read = read  # type: ignore[method-assign]
    case.clock.advance(EVERY_SECONDS)
    case.pass_by(5)
    assert case.counted == {"interactive": 3}


def _failing(error: Exception) -> object:
    return fail(error)
