from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from smsgw.delivery import handover
from smsgw.delivery.handover import STORE_PAUSE_SECONDS, Handover, OnInbound
from smsgw.errors import StoreError
from smsgw.store import inbox
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow
from tests.support.delivery import opened, quiet, rename, started_clock
from tests.support.reactor import reactor_test
from tests.support.store import NOW, inbound_row


class Scene:
    def __init__(self, database: Database, limit: int) -> None:
        self.database = database
        self.clock = started_clock()
        self.given: list[InboundRow] = []
        self.reading: list[Deferred[None]] = []
        self.logged: list[Any] = []
        self.handover = self.make(self.on_inbound, limit)

    def make(self, read: OnInbound, limit: int = 100) -> Handover:
        """A handover whose failures do not count as the test's."""
        handover = Handover(self.database, self.clock, read, limit=limit)
        handover.log = Logger(observer=self.logged.append)
        return handover

    def on_inbound(self, row: InboundRow) -> Deferred[None]:
        self.given.append(row)
        self.reading.append(Deferred())
        return self.reading[-1]

    async def rows(self, count: int, **fields: str) -> list[InboundRow]:
        made = [inbound_row(self.database.ids, **fields) for _ in range(count)]
        for row in made:
            await self.database.writer.run(lambda c, row=row: inbox.insert_inbound(c, row, []))
        return made

    async def handle(self, row: InboundRow) -> None:
        await self.database.writer.run(lambda c: inbox.mark_handled(c, row.id, "inbox", NOW))


@asynccontextmanager
async def scene(path: Path, limit: int = 100) -> AsyncIterator[Scene]:
    async with opened(path) as database:
        made = Scene(database, limit)
        yield made
        stopped = made.handover.stop(0.0)
        made.clock.advance(0.0)
        await stopped
        assert made.clock.getDelayedCalls() == []
        assert made.handover.waiting == 0


@reactor_test
async def test_one_phones_messages_are_read_one_after_the_other(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        first, second = await s.rows(2)
        (other,) = await s.rows(1, sender="13800001002")
        for row in (first, second, other, first):
            s.handover.add(row)
        assert s.given == [first, other]
        assert s.handover.waiting == 3
        s.reading[0].callback(None)
        assert s.given == [first, other, second]


@reactor_test
async def test_a_reading_that_fails_is_tried_again_and_then_left_to_the_next_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        (row,) = await s.rows(1)
        s.handover.add(row)
        for pause in (1.0, 5.0, 30.0, 120.0):
            s.reading[-1].errback(ValueError("not now"))
            s.clock.advance(pause)
        assert s.given == [row] * 5
        s.reading[-1].errback(ValueError("never"))
        assert s.handover.waiting == 0
        s.clock.advance(3600.0)
        assert len(s.given) == 5
        assert [event["log_level"].name for event in s.logged] == ["critical"] * 5 + ["critical"]


@reactor_test
async def test_a_reading_is_tried_again_however_long_the_database_is_away(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        (row,) = await s.rows(1)
        s.handover.add(row)
        for _ in range(100):
            s.reading[-1].errback(StoreError("the database is away"))
            s.clock.advance(STORE_PAUSE_SECONDS)
        assert s.given == [row] * 101
        assert {event["event"] for event in s.logged} == {"inbound.waits"}
        s.reading[-1].callback(None)
        assert s.handover.waiting == 0


@reactor_test
async def test_what_is_above_the_limit_is_read_however_long_the_database_was_away(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, limit=1) as s:
        first, second = await s.rows(2)
        s.handover.add(first)
        s.handover.add(second)
        await s.handle(first)
        await rename(s.database, "inbound", "hidden")
        s.reading[0].callback(None)
        for _ in range(3):
            await quiet(s.database)
            s.clock.advance(STORE_PAUSE_SECONDS)
        assert s.given == [first]
        await rename(s.database, "hidden", "inbound")
        s.clock.advance(STORE_PAUSE_SECONDS)
        await quiet(s.database)
        assert [row.id for row in s.given] == [first.id, second.id]


@reactor_test
async def test_a_reader_that_raises_costs_only_that_message(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        first, second = await s.rows(2)

        def read(row: InboundRow) -> Deferred[None]:
            s.given.append(row)
            if row is first:
                raise ValueError("at once")
            return succeed(None)

        handover = s.make(read)
        handover.add(first)
        handover.add(second)
        for pause in (1.0, 5.0, 30.0, 120.0):
            s.clock.advance(pause)
        assert s.given == [first] * 5 + [second]


@reactor_test
async def test_a_start_hands_over_what_nobody_has_read(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        first, second = await s.rows(2)
        await s.handle(first)
        await s.handover.recover()
        assert [row.id for row in s.given] == [second.id]


@reactor_test
async def test_above_the_limit_messages_wait_in_the_store(tmp_path: Path) -> None:
    async with scene(tmp_path, limit=2) as s:
        rows = [(await s.rows(1, sender=f"1380000100{n}"))[0] for n in range(4)]
        for row in rows:
            s.handover.add(row)
        assert s.given == rows[:2]
        for row, reading in zip(rows, list(s.reading), strict=False):
            await s.handle(row)
            reading.callback(None)
        await quiet(s.database)
        assert [row.id for row in s.given] == [row.id for row in rows]


@reactor_test
async def test_a_start_reads_page_by_page_and_no_more_than_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, read = inbox.unhandled, []

    def counted(*args: Any, **fields: Any) -> list[InboundRow]:
        found = real(*args, **fields)
        read.append(len(found))
        return found

    monkeypatch.setattr(inbox, "unhandled", counted)
    monkeypatch.setattr(handover, "PAGE", 2)
    async with scene(tmp_path, limit=4) as s:
        rows = [(await s.rows(1, sender=f"1380000100{n}"))[0] for n in range(7)]
        await s.handover.recover()
        assert [row.id for row in s.given] == [row.id for row in rows[:4]]
        assert read == [2, 2]
        for row, reading in zip(rows, list(s.reading), strict=False):
            await s.handle(row)
            reading.callback(None)
        await quiet(s.database)
        assert [row.id for row in s.given] == [row.id for row in rows]
        assert read == [2, 2, 2, 1]


@reactor_test
async def test_stopping_waits_for_what_is_being_read_and_begins_nothing_new(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        first, second = await s.rows(2)
        s.handover.add(first)
        s.handover.add(second)
        stopped = s.handover.stop(10.0)
        s.handover.add((await s.rows(1, sender="13800001002"))[0])
        assert not stopped.called
        s.reading[0].callback(None)
        await stopped
        assert s.given == [first]


@reactor_test
async def test_stopping_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.handover.add((await s.rows(1))[0])
        stopped = s.handover.stop(10.0)
        s.clock.advance(10.0)
        await stopped


@reactor_test
async def test_a_reading_that_fails_during_a_stop_is_not_repeated(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.handover.add((await s.rows(1))[0])
        stopped = s.handover.stop(10.0)
        s.reading[0].errback(ValueError("not now"))
        await stopped
        assert len(s.given) == 1
