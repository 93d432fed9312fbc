"""Timers on both databases: each fires once, whoever tries, and however many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from smsgw.errors import StoreError
from smsgw.services.requests import timers as firing_timers
from smsgw.services.requests.timers import LOOK_SECONDS, TimerKind, Timers
from smsgw.store import timers
from smsgw.store.address import Server
from smsgw.store.database import Database
from smsgw.store.ids import IdSource
from smsgw.store.timers import TimerRow
from tests.support.reactor import reactor_test, until
from tests.support.store import NOW
from tests.support.stores import Place, opened

COUNT = 150
LATE_MS = 5000


def rows(ids: IdSource, due_at: int, count: int = COUNT) -> list[TimerRow]:
    """As many timers, each of a request of its own."""
    return [TimerRow(made, TimerKind.REMIND, made, 0, 0, due_at) for made in ids.take(count)]


async def set_timers(database: Database, given: Sequence[TimerRow]) -> None:
    await database.writer.run(lambda connection: timers.set(connection, given))


def now_ms() -> int:
    return int(reactor.seconds() * 1000)


class Firing:
    """Timers of one process, and what it fired."""

    def __init__(self, database: Database, *, shared: bool = False) -> None:
        self.database = database
        self.calls = 0
        self.fired: list[int] = []
        self.timers = Timers(database, reactor, self.fire, shared=shared)

    def fire(self, timer: TimerRow) -> Deferred[None]:
        self.calls += 1

        def noted(taken: bool) -> None:
            if taken:
                self.fired.append(timer.id)

        taken = self.database.writer.run(lambda connection: timers.take(connection, timer.id))
        return taken.addCallback(noted)


@asynccontextmanager
async def firing(*those: Firing) -> AsyncIterator[Callable[[], int]]:
    """Start them; what is given back counts what was fired. All fired once when it ends."""
    for one in those:
        one.timers.start()
    try:
        yield lambda: sum(len(one.fired) for one in those)
    finally:
        await gatherResults([one.timers.stop() for one in those])
    assert set(Counter(made for one in those for made in one.fired).values()) <= {1}


async def left(database: Database) -> list[TimerRow]:
    def find(connection: Connection) -> list[TimerRow]:
        return timers.due(connection, 2**60, 10_000)

    return await database.read(find)


@reactor_test
async def test_timers_go_in_and_out(place: Place) -> None:
    async with opened(place, node=3) as database:
        one, two, three = rows(database.ids, NOW, 3)
        other = rows(IdSource(5, lambda: NOW / 1000), NOW - 1, 1)[0]

        def work(connection: Connection) -> None:
            timers.set(connection, [one, two, three, other])
            assert timers.due(connection, NOW, 2) == [other, one]
            seen = {"node": 3, "late_ms": LATE_MS}
            assert timers.due(connection, NOW, 9, **seen) == [one, two, three]
            assert timers.take(connection, one.id)
            assert not timers.take(connection, one.id)
            assert timers.move(connection, two.id, NOW + 7)
            timers.clear(connection, three.request_id, three.kind, [three.subject_id])
            assert timers.next_due(connection, NOW + 9, **seen) == NOW + 7
            assert timers.take(connection, two.id)
            assert timers.next_due(connection, NOW + 9, **seen) == NOW - 1 + LATE_MS
            assert timers.next_due(connection, NOW - 2, **seen) is None
            assert timers.due(connection, NOW + LATE_MS, 9, **seen) == [other]

        await database.writer.run(work)


@reactor_test
async def test_two_on_one_database_fire_each_timer_once(place: Place) -> None:
    async with opened(place) as database:
        await set_timers(database, rows(database.ids, now_ms() - 1))
        one, two = Firing(database), Firing(database)
        async with firing(one, two) as count:
            await until(lambda: count() == COUNT)
            soon = rows(database.ids, now_ms() + 20, 3)
            await set_timers(database, soon)
        fired = {*one.fired, *two.fired}
        assert await left(database) == [timer for timer in soon if timer.id not in fired]


@reactor_test
async def test_a_timer_that_is_set_meanwhile_fires_on_time(place: Place) -> None:
    async with opened(place) as database:
        one = Firing(database)
        async with firing(one) as count:
            due_at = now_ms() + 30
            await set_timers(database, rows(database.ids, due_at, 1))
            one.timers.wake(due_at)
            await until(lambda: count() == 1)
            assert due_at <= now_ms() < due_at + LOOK_SECONDS * 1000


@reactor_test
async def test_a_timer_stays_when_what_it_is_for_is_undone(place: Place) -> None:
    async with opened(place) as database:
        given = rows(database.ids, NOW, 1)
        await set_timers(database, given)

        def work(connection: Connection) -> None:
            assert timers.take(connection, given[0].id)
            raise StoreError("no room")

        with pytest.raises(StoreError, match="no room"):
            await database.writer.run(work)
        assert await left(database) == given


@reactor_test
async def test_two_processes_that_take_the_same_timers_at_once_get_each_once(
    server: Server,
) -> None:
    async with opened(server, node=1) as first, opened(server, node=2) as second:
        given = rows(first.ids, NOW)
        await set_timers(first, given)

        def taking(database: Database, made: int) -> Deferred[bool]:
            return database.writer.run(lambda connection: timers.take(connection, made))

        taken = [[taking(one, row.id) for row in given] for one in (first, second)]
        ours, theirs = await gatherResults([gatherResults(one) for one in taken])
        assert [sum(pair) for pair in zip(ours, theirs, strict=True)] == [1] * COUNT
        assert await left(first) == []


@reactor_test
async def test_two_processes_that_leave_each_other_nothing_fire_each_timer_once(
    server: Server,
) -> None:
    async with opened(server, node=1) as first, opened(server, node=2) as second:
        await set_timers(first, rows(first.ids, now_ms() - 1))
        async with firing(Firing(first), Firing(second)) as count:
            await until(lambda: count() == COUNT)
        assert await left(first) == []


@reactor_test
async def test_of_processes_that_share_a_database_each_fires_its_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing_timers, "LATE_SECONDS", 600.0)  # then it would be anybody's
    async with opened(server, node=1) as first, opened(server, node=2) as second:
        mine, others = rows(first.ids, now_ms() - 1), rows(second.ids, now_ms() - 1)
        await set_timers(first, [*others, *mine])
        one, two = Firing(first, shared=True), Firing(second, shared=True)
        async with firing(one, two) as count:
            await until(lambda: count() == 2 * COUNT)
        assert sorted(one.fired) == sorted(row.id for row in mine)
        assert (one.calls, two.calls) == (COUNT, COUNT)


@reactor_test
async def test_what_a_process_that_is_gone_left_is_fired_by_the_others(server: Server) -> None:
    async with opened(server, node=1) as first, opened(server, node=2) as second:
        await set_timers(first, rows(IdSource(9, lambda: NOW / 1000), now_ms() - LATE_MS))
        one, two = Firing(first, shared=True), Firing(second, shared=True)
        async with firing(one, two) as count:
            await until(lambda: count() == COUNT)
        assert await left(second) == []
