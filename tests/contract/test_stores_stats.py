"""Counts of a span of time, on both databases."""

from __future__ import annotations

from functools import partial

import msgspec
from sqlalchemy import Connection

from smsgw.model import MessageStatus as S
from smsgw.store import stats
from smsgw.store.ids import first_at
from smsgw.store.schema import inbound, request
from smsgw.store.statements import insert_rows
from smsgw.store.stats import Sent
from tests.support.reactor import reactor_test
from tests.support.store import NOW, StoredMessages, inbound_row, request_row
from tests.support.stores import Place, opened, within

SPAN = {"since_ms": NOW, "until_ms": NOW + 1000}


@reactor_test
async def test_messages_are_counted_by_class_link_and_what_became_of_them(place: Place) -> None:
    async with opened(place) as database:
        first = first_at(NOW)

        def make(store: StoredMessages) -> None:
            store.message(id=first, created_at=NOW + 3)
            store.message(S.SENT, S.SENT, id=first + 1, status="sent", message_class="bulk")
            store.message(S.SENT, id=first + 2, message_class="bulk", link="spare")
            store.message(id=first + 3, created_at=NOW + 1)
            store.message(id=first_at(NOW + 1000) - 1, account="sales")
            store.message(id=first - 1)
            store.message(id=first_at(NOW + 1000))

        await within(database, make)
        look = partial(stats.count, accounts=["newsroom"], **SPAN)
        assert sorted((await database.read(look)).sent) == [
            Sent("bulk", "cmcc", "sent", 1, 2, NOW),
            Sent("bulk", "spare", "sent", 1, 1, NOW),
            Sent("interactive", "cmcc", "queued", 2, 2, NOW + 1),
        ]
        both = partial(stats.count, accounts=["newsroom", "sales"], **SPAN)
        assert sum(one.messages for one in (await database.read(both)).sent) == 5


@reactor_test
async def test_replies_and_requests_are_counted_by_their_outcome(place: Place) -> None:
    async with opened(place) as database:
        first = first_at(NOW)
        received = [
            inbound_row(database.ids, id=first, account="newsroom", outcome="decided"),
            inbound_row(database.ids, id=first + 1, account="", outcome=""),
            inbound_row(database.ids, id=first + 2, account="sales", outcome="decided"),
            inbound_row(database.ids, id=first - 1, account="newsroom", outcome="decided"),
        ]
        asked = [
            request_row(first, account="newsroom"),
            request_row(first + 1, account="newsroom", state="closed", outcome="approved"),
            request_row(first + 2, account="sales"),
        ]

        def make(connection: Connection) -> None:
            insert_rows(connection, inbound, [msgspec.structs.astuple(row) for row in received])
            insert_rows(connection, request, [msgspec.structs.astuple(row) for row in asked])

        await database.writer.run(make)
        found = await database.read(partial(stats.count, accounts=["newsroom"], **SPAN))
        assert (found.received, found.requests) == (
            {"decided": 1, "": 1},
            {"open": 1, "approved": 1},
        )
