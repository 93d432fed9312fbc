"""Customers who bind to us: parts, owed reports and deliveries, on both databases."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from smsgw.model import Event, StatusReport
from smsgw.store import customers as rows_of
from smsgw.store import events
from smsgw.store.customers import (
    DELIVERED,
    KEEP_PARTS,
    SUBMIT,
    UNFINISHED,
    Delivery,
    Made,
    Submitted,
    SubmittedPart,
)
from smsgw.store.database import Database
from tests.support.reactor import reactor_test
from tests.support.store import accepted, message_row
from tests.support.stores import opened

PHONE = "13800001001"


def part(part_id: int, sequence: int = 1, customer: str = "acme") -> SubmittedPart:
    return SubmittedPart(
        part_id, customer, "1069000180", PHONE, "8:77", 3, sequence, 8, b"\x4f\x60", 1, 1000
    )


def delivery(delivery_id: int, customer: str = "acme") -> Delivery:
    return Delivery(delivery_id, customer, "report", 77, b"x", 1000)


async def count(database: Database, table: str) -> int:
    found: int = await database.read(
        lambda c: c.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
    )
    return found


async def tell(database: Database, *told: Event) -> None:
    await database.writer.run(lambda c: events.append(c, 1000, told))


@reactor_test
async def test_parts_end_with_the_message_that_is_made_of_them(place: Any):
    async with opened(place) as database:
        await database.writer.batch(KEEP_PARTS, [part(1, 1), part(2, 2), part(7, 1, "beta")])
        await database.writer.batch(KEEP_PARTS, [part(1, 1)])
        stored = await database.read(partial(rows_of.parts, customers=["acme"]))
        assert stored == [part(1, 1), part(2, 2)]
        message = message_row(database.ids)
        owed = [(one, "acme", message.id, False) for one in (1, 2, 3)]
        whole = Submitted([accepted(message)], owed, [1, 2])
        assert await database.writer.batch(SUBMIT, [whole]) == [True]
        assert await count(database, "submitted_part") == 1
        assert await count(database, "awaited_report") == 3
        assert await count(database, "message") == 1


@reactor_test
async def test_parts_that_another_process_joined_make_no_second_message(place: Any):
    async with opened(place) as database:
        await database.writer.batch(KEEP_PARTS, [part(2, 2)])
        message, other = message_row(database.ids), message_row(database.ids)
        late = Submitted([accepted(message)], [(3, "acme", message.id, False)], [1, 2])
        good = Submitted([accepted(other)])
        assert await database.writer.batch(SUBMIT, [late, good]) == [False, True]
        assert await count(database, "message") == 1
        assert await count(database, "awaited_report") == 0


@reactor_test
async def test_parts_are_given_up_once_and_that_is_told(place: Any):
    async with opened(place) as database:
        await database.writer.run(rows_of.start_reading)
        await database.writer.batch(KEEP_PARTS, [part(1, 1), part(2, 2)])
        data = {"customer": "acme", "reports": [["1", PHONE]]}
        event = Event(UNFINISHED, 1, "acme", data, at=2000)
        give_up = partial(rows_of.give_up_parts, ids=[1, 2], event=event)
        assert await database.writer.run(give_up)
        assert not await database.writer.run(give_up)
        after, _ = await database.read(rows_of.position) or (0, 0)
        news = await database.read(partial(rows_of.news, after=after, accounts=["acme"], limit=10))
        assert [(one.kind, one.data) for one in news.unfinished] == [(UNFINISHED, data)]


@reactor_test
async def test_news_are_the_ends_of_owed_messages_in_their_order(place: Any):
    async with opened(place) as database:
        await database.writer.run(rows_of.start_reading)
        start, newest = await database.read(rows_of.position) or (-1, -1)
        message = message_row(database.ids, extension="80")
        owed = [(5, "acme", message.id, False), (6, "acme", message.id, True)]
        await database.writer.batch(SUBMIT, [Submitted([accepted(message)], owed)])
        ended = Event("message.delivered", message.id, "acme", at=3000)
        await tell(database, Event("message.sent", message.id, "acme"), ended)
        await tell(database, Event("message.delivered", 12345, "acme"))
        news = await database.read(partial(rows_of.news, after=start, accounts=["acme"], limit=10))
        assert [(one.id, one.failures_only, one.at) for one in news.ended] == [
            (5, False, 3000),
            (6, True, 3000),
        ]
        assert news.ended[0].sender == "1069000180"
        assert not news.more
        again = await database.read(
            partial(rows_of.news, after=news.reached, accounts=["acme"], limit=10)
        )
        assert again == (news.reached, False, [], [], [])
        short = await database.read(partial(rows_of.news, after=start, accounts=["acme"], limit=2))
        assert (short.more, short.ended) == (True, [])
        made = Made(start, news.reached, [delivery(newest + 9)], [5, 6])
        assert await database.writer.run(partial(rows_of.write_deliveries, made=made))
        assert not await database.writer.run(partial(rows_of.write_deliveries, made=made))
        assert await database.read(rows_of.position) == (news.reached, newest + 9)
        assert await count(database, "awaited_report") == 0
        assert await count(database, "customer_delivery") == 1


@reactor_test
async def test_deliveries_are_read_in_order_and_forgotten(place: Any):
    async with opened(place) as database:
        await database.writer.run(rows_of.start_reading)
        start, _ = await database.read(rows_of.position) or (0, 0)
        rows = [delivery(3), delivery(4, "beta"), delivery(5), delivery(6)]
        made = Made(start, start, rows, [])
        await database.writer.run(partial(rows_of.write_deliveries, made=made))
        assert await database.read(rows_of.waiting) == {"acme": 3, "beta": 1}
        await database.writer.batch(DELIVERED, [3])
        found = await database.read(partial(rows_of.deliveries, customer="acme"))
        assert [one.id for one in found] == [5, 6]
        later = partial(rows_of.deliveries, customer="acme", after=5, limit=5)
        assert [one.id for one in await database.read(later)] == [6]
        event = Event("delivery.refused", 6, "acme", {"reason": "x"}, at=1)
        await database.writer.run(partial(rows_of.give_up_delivery, delivery_id=6, event=event))
        assert await database.read(rows_of.waiting) == {"acme": 1, "beta": 1}


def test_a_report_survives_being_stored():
    report = StatusReport("5", "delivered", "DELIVRD")  # type: ignore[arg-type]
    octets = msgspec.msgpack.encode(report)
    assert msgspec.msgpack.decode(octets, type=StatusReport).status == "delivered"


@pytest.mark.parametrize("again", [False, True])
@reactor_test
async def test_reading_begins_once(place: Any, again: bool):
    async with opened(place) as database:
        await tell(database, Event("message.sent", 1, "acme"))
        await database.writer.run(rows_of.start_reading)
        first = await database.read(rows_of.position)
        if again:
            await tell(database, Event("message.sent", 2, "acme"))
            await database.writer.run(rows_of.start_reading)
        assert await database.read(rows_of.position) == first
