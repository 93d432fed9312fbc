"""Idempotency keys on both databases."""

from __future__ import annotations

from functools import partial

import pytest
from twisted.internet.defer import DeferredList, gatherResults

from smsgw.errors import InProgress
from smsgw.store import idempotency, messages
from smsgw.store.idempotency import ACCEPT_ONCE, KeyRow
from tests.support.reactor import reactor_test
from tests.support.store import NOW, message_row
from tests.support.stores import Place, opened

DAY = 86_400_000


def key(name: str, status: int = 202, at: int = NOW) -> KeyRow:
    return KeyRow("oa", name, b"d" * 32, status, "{}", b'{"id":"1"}', at)


@reactor_test
async def test_a_key_is_reserved_by_one_only(place: Place) -> None:
    async with opened(place) as database:
        reserve = partial(idempotency.reserve, row=key("a", 0), cutoff=NOW - DAY)
        both = await gatherResults([database.writer.run(reserve), database.writer.run(reserve)])
        assert both == [None, key("a", 0)]
        await database.writer.run(partial(idempotency.finish, row=key("a")))
        assert await database.writer.run(reserve) == key("a")
        await database.writer.run(partial(idempotency.release, account="oa", name="a"))
        assert await database.writer.run(reserve) is None


@reactor_test
async def test_what_is_old_is_as_good_as_gone_and_is_swept(place: Place) -> None:
    async with opened(place) as database:
        run = database.writer.run
        for name, at in (("old", NOW - DAY), ("older", NOW - 2 * DAY), ("new", NOW)):
            await run(partial(idempotency.reserve, row=key(name, at=at), cutoff=0))
        again = partial(idempotency.reserve, row=key("old", 0), cutoff=NOW - DAY + 1)
        assert await run(again) is None
        assert await run(partial(idempotency.sweep, cutoff=NOW - DAY)) == 1
        find = partial(idempotency.get, account="oa")
        assert [
            await database.read(partial(find, name=one)) for one in ("old", "older", "new")
        ] == [
            key("old", 0),
            None,
            key("new"),
        ]


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
