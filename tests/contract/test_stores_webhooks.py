"""Webhooks on both databases: which events, and whose the batch under way is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import Connection
from twisted.internet.defer import gatherResults

from smsgw.model import Event
from smsgw.store import events, redeliveries, wanted, webhooks
from smsgw.store.address import Server
from smsgw.store.database import Database
from smsgw.store.redeliveries import RedeliveryRow
from smsgw.store.webhooks import Batch, WebhookRow
from tests.support.reactor import reactor_test
from tests.support.store import NOW, message_row
from tests.support.stores import Place, opened, within

T = TypeVar("T")


def hook(**fields: Any) -> WebhookRow:
    values = {"id": 7, "account": "oa", "url": "https://a.example/", "kinds": "[]", **fields}
    return WebhookRow(**{"secret": "whsec_AAAA", "created_at": NOW, **values})


async def written(database: Database, *told: tuple[str, str]) -> list[int]:
    """Commit events of kinds and accounts; returns their ids."""

    def work(connection: Connection) -> None:
        given = [Event(kind, place, account) for place, (kind, account) in enumerate(told)]
        events.append(connection, NOW, given)

    before = await database.read(wanted.newest)
    await database.writer.run(work)
    return [event.id for event in await database.read(lambda c: events.list_after(c, before))]


def run(database: Database, fn: Callable[[Connection], T]) -> Any:
    return database.writer.run(fn)


@reactor_test
async def test_events_are_chosen_by_account_and_kind(place: Place) -> None:
    async with opened(place) as database:
        ids = await written(
            database,
            ("message.sent", "oa"),
            ("request.closed", "oa"),
            ("request.closed", "crm"),
            ("request.created", ""),
            ("requests.odd", "oa"),
            ("inbound.received", "oa"),
        )
        for kinds, places in {
            "[]": [0, 1, 3, 4, 5],
            '["request.*"]': [1, 3],
            '["request.closed","inbound.received"]': [1, 5],
            '["request.closed","inbound.*"]': [1, 5],
            '["reply.*"]': [],
        }.items():
            row = hook(kinds=kinds)

            def find(c: Connection, row: WebhookRow = row) -> Any:
                return wanted.read_events(c, row, 0, None, 9)

            found, looked_to, more = await database.read(find)
            assert [event.id for event in found] == [ids[one] for one in places], kinds
            assert (looked_to, more) == (ids[-1], False)
            count = await database.read(lambda c, row=row: wanted.count_events(c, row, 0, None))
            assert count == (len(places), ids[-1], False)
        row = hook()
        part = await database.read(lambda c: wanted.read_events(c, row, ids[0], ids[4], 2))
        assert ([one.id for one in part[0]], part[1], part[2]) == ([ids[1], ids[3]], ids[3], True)
        news = await database.read(lambda c: wanted.news(c, ids[1]))
        assert sorted(news) == [
            ("", "request.created", ids[3]),
            ("crm", "request.closed", ids[2]),
            ("oa", "inbound.received", ids[5]),
            ("oa", "requests.odd", ids[4]),
        ]


@reactor_test
async def test_a_look_ends_with_its_window(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanted, "WINDOW", 3)
    async with opened(place) as database:
        told = [("message.sent", "oa")] * 3 + [("request.closed", "oa")]
        ids = await written(database, *told)
        row = hook(kinds='["request.*"]')
        first = await database.read(lambda c: wanted.read_events(c, row, 0, None, 9))
        assert first == ([], ids[2], True)
        assert await database.read(lambda c: wanted.count_events(c, row, 0, None)) == (
            0,
            ids[2],
            True,
        )
        found, last, more = await database.read(
            lambda c: wanted.read_events(c, row, ids[2], None, 9)
        )
        assert ([one.id for one in found], last, more) == ([ids[3]], ids[3], False)


@reactor_test
async def test_an_event_of_a_message_says_to_whom_it_went(place: Place) -> None:
    async with opened(place) as database:
        message = message_row(database.ids, account="oa")
        await within(database, lambda store: store.message(account="oa", id=message.id))

        def work(connection: Connection) -> None:
            events.append(connection, NOW, [Event("message.sent", message.id, "oa")])

        await run(database, work)
        found, _, _ = await database.read(lambda c: wanted.read_events(c, hook(), 0, None, 9))
        assert found[-1].data["to"] == message.recipient


@reactor_test
async def test_a_batch_is_declared_with_the_end_of_the_one_before(place: Place) -> None:
    async with opened(place) as database:
        ids = await written(database, *[("message.sent", "oa")] * 4)
        row = hook()
        await run(database, lambda c: webhooks.add(c, row))
        first = Batch(101, (), ids[1])
        one = await run(database, lambda c: webhooks.settle(c, row, None, first, 0, NOW))
        assert (one.batch_id, one.batch_until, one.cursor) == (101, ids[1], 0)
        found = await database.read(lambda c: webhooks.next_batch(c, one, 0, 100, replay=False))
        assert (found.batch.id, [event.id for event in found.batch.events]) == (101, ids[:2])
        again = Batch(102, (), ids[2])
        lost = await run(database, lambda c: webhooks.settle(c, row, None, again, 0, NOW))
        assert lost.batch_id == 101  # somebody was faster
        done, second = Batch(101, found.batch.events, ids[1]), Batch(103, (), ids[3])
        two = await run(database, lambda c: webhooks.settle(c, one, done, second, ids[1], NOW))
        assert (two.batch_id, two.cursor, two.delivered_at) == (103, ids[1], NOW)
        late = await run(database, lambda c: webhooks.settle(c, one, done, None, ids[1], NOW))
        assert late.batch_id == 103
        assert await database.read(lambda c: webhooks.get(c, row.id)) == two
        assert await database.read(lambda c: webhooks.get(c, row.id, "crm")) is None


@reactor_test
async def test_what_people_change_stops_the_next_batch_and_keeps_what_was_done(
    place: Place,
) -> None:
    async with opened(place) as database:
        row = hook()
        await run(database, lambda c: webhooks.add(c, row))
        first, second = Batch(101, (Event("a.b", 1),), 5), Batch(102, (), 9)
        one = await run(database, lambda c: webhooks.settle(c, row, None, first, 0, NOW))
        await run(database, lambda c: webhooks.change(c, one, state="paused"))
        two = await run(database, lambda c: webhooks.settle(c, one, first, second, 7, NOW))
        assert (two.batch_id, two.cursor, two.state, two.version) == (0, 5, "paused", 2)
        late = {"attempts": 1, "failing_since": 1, "next_attempt_at": 1, "problem": "x"}
        put_off = await run(database, lambda c: webhooks.put_off(c, one, **late))
        assert put_off.attempts == 0
        await run(database, lambda c: webhooks.pass_over(c, one, 50))  # of another version
        assert (await database.read(lambda c: webhooks.get(c, row.id))).cursor == 5
        await run(database, lambda c: webhooks.pass_over(c, two, 50))
        assert (await database.read(lambda c: webhooks.get(c, row.id))).cursor == 50
        assert await database.read(webhooks.versions) == {}
        assert await database.read(webhooks.paused) == [row.id]


@reactor_test
async def test_dead_letters_of_one_outage_are_one(place: Place) -> None:
    async with opened(place) as database:
        row = hook(cursor=10, batch_id=101, batch_until=15, failing_since=NOW)
        await run(database, lambda c: webhooks.add(c, row))
        buried = {"why": "the receiver answered 503", "now": NOW}

        def bury(row: WebhookRow, until: int, count: int, made: int) -> Any:
            return run(
                database,
                lambda c: webhooks.bury(
                    c, row, until=until, events=count, redelivery_id=made, **buried
                ),
            )

        one = await bury(row, 15, 5, 900)
        assert (one.cursor, one.batch_id, one.attempts) == (15, 0, 0)
        two = await bury(one, 20, 0, 901)
        three = await bury(two, 30, 7, 902)
        other = await bury(msgspec.structs.replace(three, failing_since=NOW + 1), 31, 1, 903)
        letters = await database.read(lambda c: redeliveries.page(c, row.id))
        told = [(one.id, one.after_id, one.until_id, one.events) for one in letters]
        assert told == [(903, 30, 31, 1), (900, 10, 30, 12)]
        assert await database.read(redeliveries.dead) == {row.id: 13}
        assert await run(database, lambda c: redeliveries.replay(c, row.id, 900)) == 1
        assert await run(database, lambda c: redeliveries.replay(c, row.id, 900)) == 0
        counts = await database.read(lambda c: redeliveries.tally(c, [row.id, 8]))
        assert counts == {row.id: {"dead": (1, 1), "replaying": (1, 12)}}
        done = Batch(0, (Event("a.b", 1),), 30, 900)
        await run(database, lambda c: webhooks.settle(c, other, done, None, 31, NOW))
        letters = await database.read(lambda c: redeliveries.page(c, row.id, state="replaying"))
        assert letters == []
        await run(database, lambda c: webhooks.remove(c, row.id))
        assert await database.read(lambda c: redeliveries.page(c, row.id)) == []


@reactor_test
async def test_a_redelivery_moves_on_with_its_batches(place: Place) -> None:
    async with opened(place) as database:
        ids = await written(database, *[("message.sent", "oa")] * 5)
        row = hook(cursor=ids[4])
        again = RedeliveryRow(900, row.id, "replaying", 0, ids[3], 4, None, "asked for", NOW)

        def work(connection: Connection) -> None:
            webhooks.add(connection, row)
            redeliveries.add(connection, again)

        await run(database, work)
        position, seen = ids[4], []
        while True:
            now = row

            def look(c: Connection, now: WebhookRow = now) -> Any:
                return webhooks.next_batch(c, now, position, 3, replay=True)

            found = await database.read(look)
            if found.batch is None:
                break
            batch = msgspec.structs.replace(found.batch, id=len(seen) + 1)
            seen.append([event.id for event in batch.events])
            row = await run(
                database, lambda c, b=batch, now=now: webhooks.settle(c, now, None, b, 0, NOW)
            )
            row = await run(
                database, lambda c, b=batch, now=row: webhooks.settle(c, now, b, None, 0, NOW)
            )
        assert seen == [ids[:3], ids[3:4]]
        assert row.cursor == ids[4]


@reactor_test
async def test_of_two_processes_one_declares_a_batch(server: Server) -> None:
    async with opened(server, node=1) as first, opened(server, node=2) as second:
        row = hook()
        await run(first, lambda c: webhooks.add(c, row))
        both = [
            run(one, lambda c, made=made: webhooks.settle(c, row, None, Batch(made, (), 5), 0, NOW))
            for made, one in ((101, first), (102, second))
        ]
        ours, theirs = await gatherResults(both)
        assert ours.batch_id == theirs.batch_id
        assert ours.batch_id in (101, 102)
