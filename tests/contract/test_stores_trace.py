"""What is recorded about one message, found again on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection

from smsgw.model import Event
from smsgw.services.webhooks import deliveries
from smsgw.store import events, inbox, messages, redeliveries, trace, webhooks
from smsgw.store.ids import made_at
from smsgw.store.inbox import InboundRow
from smsgw.store.messages import MessageRow
from smsgw.store.redeliveries import RedeliveryRow
from smsgw.store.schema import awaited_report, customer_delivery, rerouted
from smsgw.store.statements import insert_rows, run
from smsgw.store.trace import Owed
from smsgw.store.webhooks import WebhookRow
from tests.support.reactor import reactor_test
from tests.support.store import accepted, inbound_row, message_row
from tests.support.stores import opened


async def stored(database: Any, **fields: Any) -> MessageRow:
    """A message accepted just now, by the clock that its id is made by."""
    row = message_row(database.ids, **fields)
    row.created_at = made_at(row.id)
    await database.writer.run(lambda c: messages.insert(c, [accepted(row)]))
    return row


async def tell(database: Any, kind: str, subject: int, **data: Any) -> None:
    event = Event(kind, subject, "newsroom", data)
    await database.writer.run(lambda c: events.append(c, 1000, [event]))


async def kinds(database: Any, row: MessageRow, scanned: int, *moments: int) -> tuple[Any, bool]:
    look = partial(trace.events_about, message=row, moments=moments, scanned=scanned)
    told = await database.read(look)
    return [event.kind for event in told.events], told.complete


@reactor_test
async def test_the_events_of_a_message_are_found_in_order_among_others(place: Any):
    async with opened(place) as database:
        row = await stored(database)
        other = await stored(database)
        await tell(database, "message.rerouted", row.id, why="link down")
        await tell(database, "report.conflict", row.id, part=1)
        await tell(database, "report.parked", row.id)  # the subject is a row of its own table
        await tell(database, "message.sent", other.id)
        await tell(database, "message.delivered", row.id)
        told = ["message.queued", "message.rerouted", "report.conflict", "message.delivered"]
        assert await kinds(database, row, 100) == (told, True)
        found = await database.read(partial(trace.events_about, message=row, moments=()))
        assert found.events[1].data["why"] == "link down"
        assert found.events[0].data == {"to": row.recipient, "reference": row.reference}


@reactor_test
async def test_it_is_said_when_there_are_too_many_events_to_look_through(place: Any):
    async with opened(place) as database:
        row = await stored(database)
        for _ in range(5):
            await tell(database, "message.sent", row.id + 1)
        await tell(database, "message.delivered", row.id)
        newest = made_at(await database.read(lambda c: events.list_after(c, 0, 99)[-1].id))
        assert await kinds(database, row, 3) == (["message.queued"], False)
        found, complete = await kinds(database, row, 3, newest)
        assert (found[0], complete) == ("message.queued", False)
        row.final_at = row.created_at - 2000  # nothing can come after its end
        assert (await kinds(database, row, 3))[1]


@reactor_test
async def test_the_links_a_message_left_are_named(place: Any):
    async with opened(place) as database:
        row = await stored(database)
        left = [(row.id, "b"), (row.id, "a"), (row.id + 1, "c")]
        await database.writer.run(lambda c: insert_rows(c, rerouted, left))
        assert await database.read(partial(trace.links_left, message_id=row.id)) == ["a", "b"]


@reactor_test
async def test_replies_are_those_to_its_number_until_that_sent_something_else(place: Any):
    async with opened(place) as database:
        first = await stored(database)
        at = first.created_at
        await stored(database, extension="002")  # from another number of ours

        def receive(connection: Connection, **fields: Any) -> InboundRow:
            row = inbound_row(database.ids, **{"account": "newsroom", "received_at": at, **fields})
            inbox.insert_inbound(connection, row, [])
            return row

        async def received(**fields: Any) -> str:
            row: InboundRow = await database.writer.run(partial(receive, **fields))
            return row.text

        mine = [
            await received(text="收到"),
            await received(text="1", account="", received_at=at + 1),
        ]
        await received(text="early", received_at=at - 1)
        await received(text="other account", account="crm")
        await received(text="other number", destination="10690001002")
        await received(text="other phone", sender="13800001002")
        found = await database.read(partial(trace.replies_to, message=first))
        assert [one.text for one in found] == mine
        second = message_row(database.ids, created_at=at + 10)
        await database.writer.run(lambda c: messages.insert(c, [accepted(second)]))
        late = await received(text="late", received_at=at + 11)
        found = await database.read(partial(trace.replies_to, message=first))
        assert [one.text for one in found] == mine
        found = await database.read(partial(trace.replies_to, message=second))
        assert [one.text for one in found] == [late]


@reactor_test
async def test_what_customers_are_owed_is_found_until_they_have_had_it(place: Any):
    async with opened(place) as database:
        row, other = await stored(database), await stored(database)
        parts = database.ids.take(2)
        awaited = [(one, "acme", row.id, True) for one in parts]
        awaited.append((other.id, "beta", other.id, False))
        await database.writer.run(lambda c: insert_rows(c, awaited_report, awaited))

        async def owed(*replies: InboundRow, scanned: int = 10) -> list[Owed]:
            look = partial(trace.owed_to_customers, message=row, replies=replies, scanned=scanned)
            return await database.read(look)

        since = made_at(parts[0])
        assert await owed() == [Owed("acme", "report", row.id, True, False, since, 2)]

        def end(connection: Connection) -> None:
            run(connection, "DELETE FROM awaited_report WHERE message_id = ?", row.id)
            made = [
                (database.ids.next(), "acme", kind, subject, b"x", 1000)
                for kind, subject in (("report", row.id),) * 2 + (("report", 5), ("mo", 7))
            ]
            insert_rows(connection, customer_delivery, made)

        await database.writer.run(end)
        assert await owed() == []  # it has not ended: a report would be another one's
        row.final_at = row.created_at
        report = Owed("acme", "report", row.id, False, True, 1000, 2)
        assert await owed() == [report]
        assert await owed(scanned=1) == [report._replace(number=1)]
        reply = inbound_row(database.ids, id=7, received_at=row.created_at)
        assert await owed(reply) == [report, Owed("acme", "mo", 7, False, True, 1000, 1)]
        forget = "DELETE FROM customer_delivery WHERE subject_id = ?"
        await database.writer.run(lambda c: run(c, forget, row.id) and None)
        assert await owed() == []


@reactor_test
async def test_that_a_customer_would_not_take_its_report_is_told(place: Any):
    async with opened(place) as database:
        row = await stored(database)
        await tell(database, "delivery.refused", row.id, customer="acme", reason="full")
        assert await kinds(database, row, 100) == (["message.queued", "delivery.refused"], True)


@reactor_test
async def test_what_each_webhook_did_about_an_event_is_read_from_its_rows(place: Any):
    async with opened(place) as database:
        await database.writer.run(lambda c: None)
        for kind in ("a.sent", "b.sent", "a.sent"):
            await tell(database, kind, 7)
        told = await database.read(lambda c: events.list_after(c, 0, 99))
        first, second, third = (event.id for event in told)

        def state(hook: dict[str, Any], apart: Sequence[dict[str, Any]] = ()) -> Any:
            def look(c: Connection) -> list[tuple[str, int, str]]:
                about = {"id": 1, "account": "newsroom", "url": "https://a.example/x"}
                webhooks.add(c, WebhookRow(**{**about, "kinds": '["a.*"]', **hook}))
                for place, one in enumerate(apart):
                    row = {"id": place, "webhook_id": 1, "events": 1, "failing_since": 5}
                    redeliveries.add(c, RedeliveryRow(**{**row, "at": 9, **one}))
                found = deliveries.of_events(c, "newsroom", told)
                assert deliveries.of_events(c, "crm", told) == []
                webhooks.remove(c, 1)
                return [(one.state, one.attempts, one.problem) for one in found]

            return database.writer.run(look)

        assert await state({"cursor": third}) == [("delivered", 0, "")] * 2
        assert await state({"cursor": first}) == [("delivered", 0, ""), ("waiting", 0, "")]
        failing = {"batch_id": 4, "batch_until": first, "attempts": 3, "problem": "503"}
        assert await state(failing) == [("sending", 3, "503"), ("waiting", 0, "503")]
        paused = {"cursor": first, "state": "paused", "reason": "by hand"}
        assert await state(paused) == [("delivered", 0, ""), ("paused", 0, "by hand")]
        assert await state({"cursor": third, "created_at": 2000}) == []  # it came after them
        apart = [
            {"state": "dead", "after_id": 0, "until_id": first, "why": "gone"},
            {"state": "replaying", "after_id": second, "until_id": third, "why": ""},
        ]
        assert await state({"cursor": third, "created_at": 2000}, apart) == [
            ("given_up", 0, "gone"),
            ("replaying", 0, ""),
        ]
