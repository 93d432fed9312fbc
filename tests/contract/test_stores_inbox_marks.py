"""What was read of what phones sent, on both databases."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects import sqlite

from smsgw.errors import ValidationError
from smsgw.services import inbox
from smsgw.store import inbox_marks
from smsgw.store.database import Database
from smsgw.store.ids import made_at
from smsgw.store.inbox_marks import LATE_MS
from smsgw.store.schema import inbound, inbound_read
from smsgw.store.statements import insert_rows
from tests.support.memory import MemoryStore, result_of
from tests.support.reactor import reactor_test
from tests.support.store import inbound_row
from tests.support.stores import Place, opened

MINE, THEIRS = "newsroom", "sales"


async def received(database: Database, *accounts: str) -> list[int]:
    """A message of a phone to each of these, "" to nobody; their ids."""
    rows = [inbound_row(database.ids, account=account) for account in accounts]
    tuples = [msgspec.structs.astuple(row) for row in rows]
    await database.writer.run(lambda connection: insert_rows(connection, inbound, tuples))
    return [row.id for row in rows]


async def unread(database: Database, account: str = MINE, **which: Any) -> list[int]:
    look = partial(inbox_marks.page, account=account, unread=True, **which)
    return [row.id for row, _ in await database.read(look)]


async def named(database: Database) -> int:
    def count(connection: Connection) -> int:
        return connection.execute(select(func.count()).select_from(inbound_read)).scalar_one()

    return await database.read(count)


@reactor_test
async def test_each_account_reads_for_itself(place: Place) -> None:
    async with opened(place) as database:
        mine, nobodys, theirs = await received(database, MINE, "", THEIRS)
        assert await unread(database) == [nobodys, mine]
        read = partial(inbox_marks.read, account=MINE)
        assert await database.writer.run(partial(read, ids=[nobodys, mine])) == 2
        assert await database.writer.run(partial(read, ids=[mine])) == 0
        assert await unread(database) == []
        assert await unread(database, THEIRS) == [theirs, nobodys]
        assert await unread(database, THEIRS, general=False) == [theirs]
        shown = await database.read(partial(inbox_marks.page, account=MINE))
        assert [(row.id, new) for row, new in shown] == [(nobodys, False), (mine, False)]


@reactor_test
async def test_what_is_another_accounts_is_not_there(place: Place) -> None:
    async with opened(place) as database:
        mine, theirs = await received(database, MINE, THEIRS)
        read = partial(inbox_marks.read, account=MINE, ids=[mine, theirs])
        with pytest.raises(ValidationError, match=rf"ids\[1\]: there is no inbound .* {theirs}"):
            await database.writer.run(read)
        assert await unread(database) == [mine]


@reactor_test
async def test_all_up_to_one_is_read_and_nothing_newer(place: Place) -> None:
    async with opened(place) as database:
        _, second, third = await received(database, MINE, "", MINE)
        assert await inbox.read_until(database, MINE, second, made_at(third)) == 2
        assert await unread(database) == [third]
        assert await unread(database, THEIRS) == [second]
        assert await named(database) == 2


@reactor_test
async def test_a_message_that_is_committed_late_under_a_lower_id_is_unread(place: Place) -> None:
    async with opened(place) as database:
        late = database.ids.next()
        (first,) = await received(database, MINE)
        now_ms = made_at(late) + LATE_MS - 1
        assert await inbox.read_until(database, MINE, first, now_ms) == 1
        row = inbound_row(database.ids, id=late, account=MINE)
        rows = [msgspec.structs.astuple(row)]
        await database.writer.run(lambda connection: insert_rows(connection, inbound, rows))
        assert await unread(database) == [late]


@reactor_test
async def test_a_day_later_it_takes_no_rows_any_more(place: Place) -> None:
    async with opened(place) as database:
        first, second = await received(database, MINE, MINE)
        await database.writer.run(partial(inbox_marks.read, account=MINE, ids=[first]))
        later = made_at(second) + LATE_MS + 10
        assert await inbox.read_until(database, MINE, second, later) == 1
        assert (await unread(database), await named(database)) == ([], 0)
        assert await inbox.read_until(database, MINE, first, later) == 0  # never back
        assert await unread(database) == []
        assert await database.writer.run(partial(inbox_marks.read, account=MINE, ids=[first])) == 0
        assert await named(database) == 0


@reactor_test
async def test_many_are_read_piece_by_piece(place: Place) -> None:
    async with opened(place) as database:
        *_, last = await received(database, MINE, "", THEIRS, MINE, MINE, "")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inbox, "PIECE_ROWS", 2)
            assert await inbox.read_until(database, MINE, last, made_at(last)) == 5
            assert await inbox.read_until(database, MINE, last, made_at(last)) == 0
        assert (await unread(database), await named(database)) == ([], 5)


async def read(database: Database, ids: list[int], now_ms: int, account: str = MINE) -> int:
    return await inbox.read(database, account, ids, now_ms)


@reactor_test
async def test_what_was_named_up_to_a_day_ago_takes_no_rows_any_more(place: Place) -> None:
    async with opened(place) as database:
        first, theirs, second, third = await received(database, MINE, THEIRS, "", MINE)
        later = made_at(third) + LATE_MS + 10
        assert await read(database, [first, second], made_at(third)) == 2
        assert await named(database) == 2
        assert await read(database, [first], later) == 0
        assert (await named(database), await unread(database)) == (0, [third])
        assert await read(database, [third], later) == 1
        assert await named(database) == 1
        assert await read(database, [third], later) == 0
        assert (await named(database), await unread(database)) == (0, [])
        assert await unread(database, THEIRS) == [second, theirs]
        (newest,) = await received(database, MINE)
        assert await unread(database) == [newest]


@reactor_test
async def test_what_was_named_is_covered_a_piece_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as database:
        ids = await received(database, *[MINE] * 5)
        assert await read(database, ids, made_at(ids[-1])) == 5
        monkeypatch.setattr(inbox, "PIECE_ROWS", 2)
        later = made_at(ids[-1]) + LATE_MS + 10
        left = []
        for _ in range(4):
            assert await read(database, ids, later) == 0
            left.append(await named(database))
        assert (left, await unread(database)) == ([3, 1, 0, 0], [])


@reactor_test
async def test_a_message_that_is_committed_late_is_not_covered(place: Place) -> None:
    async with opened(place) as database:
        late = database.ids.next()
        (first,) = await received(database, MINE)
        now_ms = made_at(late) + LATE_MS - 1
        assert await read(database, [first], now_ms) == 1
        assert await read(database, [first], now_ms) == 0
        row = msgspec.structs.astuple(inbound_row(database.ids, id=late, account=MINE))
        await database.writer.run(lambda connection: insert_rows(connection, inbound, [row]))
        assert await unread(database) == [late]


@reactor_test
async def test_what_one_account_has_read_stays_when_another_ones_mark_moves(place: Place) -> None:
    async with opened(place) as database:
        nobodys, last = await received(database, "", "")
        later = made_at(last) + LATE_MS + 10
        await database.writer.run(partial(inbox_marks.read, account=THEIRS, ids=[nobodys]))
        assert await inbox.read_until(database, MINE, last, later) == 2
        assert await unread(database, THEIRS) == [last]


def test_what_was_read_of_purged_messages_is_found_by_a_key() -> None:
    store = MemoryStore()
    gone = delete(inbound_read).where(inbound_read.c.inbound_id.in_([1, 2]))
    text = str(gone.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))

    def explain(connection: Connection) -> str:
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())

    assert "SEARCH inbound_read" in result_of(store.read(explain))
    store.close()
