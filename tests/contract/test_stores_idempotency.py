"""Idempotency keys on both databases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection
from twisted.internet.defer import DeferredList

from smsgw.errors import InProgress
from smsgw.store import idempotency, messages
from smsgw.store.idempotency import ACCEPT_ONCE, KeyRow
from tests.support.reactor import reactor_test
from tests.support.store import NOW, message_row
from tests.support.stores import Place, opened

DAY = 86_400_000


def key(name: str, status: int = 202, at: int = NOW, digest: bytes = b"d" * 32) -> KeyRow:
    return KeyRow("oa", name, digest, status, "{}", b'{"id":"1"}', at)


def find(name: str) -> Callable[[Connection], KeyRow | None]:
    return partial(idempotency.get, account="oa", name=name)


@reactor_test
async def test_a_key_is_recorded_by_one_only_and_what_the_other_did_is_undone(
    place: Place,
) -> None:
    async with opened(place) as database:

        def work(connection: Connection, number: int) -> int:
            row = message_row(database.ids)
            messages.insert(connection, [(row, ())])
            return idempotency.remember(connection, lambda one: key("a", one), number)

        calls = [database.writer.run(partial(work, number=number)) for number in (1, 2)]
        first, second = await DeferredList(calls, consumeErrors=True)
        assert first == (True, 1)
        assert second[1].check(InProgress)
        assert len(await database.read(messages.page)) == 1
        assert await database.read(find("a")) == key("a", 1)


@reactor_test
async def test_nothing_is_recorded_without_a_key(place: Place) -> None:
    async with opened(place) as database:
        assert await database.writer.run(lambda c: idempotency.remember(c, None, 7)) == 7
        assert await database.read(find("a")) is None


@reactor_test
async def test_what_goes_on_is_recorded_again_and_another_request_s_key_stays(
    place: Place,
) -> None:
    async with opened(place) as database:
        for row in (key("a", 1), key("a", 2), key("b", 1), key("a", 3, digest=b"e" * 32)):
            await database.writer.run(partial(idempotency.put, row=row))
        assert await database.read(find("a")) == key("a", 2)
        assert await database.read(find("b")) == key("b", 1)


@reactor_test
async def test_what_is_old_is_as_good_as_gone_and_is_swept(place: Place) -> None:
    async with opened(place) as database:
        run = database.writer.run
        for name, at in (("old", NOW - DAY), ("older", NOW - 2 * DAY), ("new", NOW)):
            await run(partial(idempotency.put, row=key(name, at=at)))
        for name in ("old", "new"):
            drop = partial(idempotency.forget, account="oa", name=name, cutoff=NOW - DAY + 1)
            await run(drop)
        names = ("old", "older", "new")
        found = [await database.read(find(one)) for one in names]
        assert found == [None, key("older", at=NOW - 2 * DAY), key("new")]
        assert await run(partial(idempotency.sweep, cutoff=NOW - DAY)) == 1
        assert await database.read(find("older")) is None


@reactor_test
async def test_a_key_that_is_there_leaves_its_messages_out_and_no_others(place: Place) -> None:
    async with opened(place) as database:
        rows = [(message_row(database.ids), ()) for _ in range(4)]
        ids = [row.id for row, _ in rows]
        calls = [
            database.writer.batch(ACCEPT_ONCE, [(rows[0], key("a")), (rows[1], None)]),
            database.writer.batch(ACCEPT_ONCE, [(rows[2], key("a"))]),
            database.writer.batch(ACCEPT_ONCE, [(rows[3], key("b"))]),
        ]
        first, second, third = await DeferredList(calls, consumeErrors=True)
        assert (first, third) == ((True, ids[:2]), (True, ids[3:]))
        assert not second[0]
        assert second[1].check(InProgress)
        assert [row.id for row in await database.read(messages.page)] == [
            ids[3],
            ids[1],
            ids[0],
        ]
        with pytest.raises(InProgress):
            await database.writer.batch(ACCEPT_ONCE, [(rows[2], key("b"))])
