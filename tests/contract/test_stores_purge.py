"""What is old loses its texts and phones, and then its rows; what may not be purged stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Table, func, select

from smsgw.model import Event, MessageClass, MessageStatus
from smsgw.services import queries
from smsgw.services.requests import view
from smsgw.services.retention import BATCH_ROWS, DAY_SECONDS, Purging, Retention, for_all
from smsgw.store import audit, batches, events, holds, purge, requests, schema
from smsgw.store.customers import Delivery
from smsgw.store.database import Database
from smsgw.store.holds import HoldRow
from smsgw.store.ids import first_at
from smsgw.store.statements import insert_rows
from tests.support.evidence import ANN, APPLICANT, BOB, SECRETS, Case
from tests.support.keeping import DAY_MS, StandingClock, everything, finish, forms, verified
from tests.support.reactor import reactor_test
from tests.support.store import NOW, PHONE, StoredMessages, inbound_row, request_row
from tests.support.stores import Place, long_on_postgresql, within
from tests.support.stores import opened as opened_now

KEPT = Retention(
    messages=for_all(30 * DAY_SECONDS) | {MessageClass.BULK: 10 * DAY_SECONDS},
    inbound=30 * DAY_SECONDS,
    requests=30 * DAY_SECONDS,
    events=30 * DAY_SECONDS,
    deliveries=30 * DAY_SECONDS,
    records=60 * DAY_SECONDS,
)


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Database]:
    """A database whose ids begin at NOW."""
    async with opened_now(place) as database:
        database.ids.continue_after(first_at(NOW))
        yield database


async def purged(database: Database, days: float, retention: Retention = KEPT) -> dict[str, int]:
    """Purge as it is done so many days later; returns what was counted of it."""
    counted: dict[str, int] = {}

    def count(kind: str, rows: int) -> None:
        counted[kind] = counted.get(kind, 0) + rows

    clock: Any = StandingClock(NOW + int(days * DAY_MS))
    purging = Purging(database, retention, clock, count)
    purging._running = True
    assert await purging.once() == counted
    return counted


async def rows(database: Database, table: Table) -> int:
    query = select(func.count()).select_from(table)
    return int(await database.read(lambda c: c.execute(query).scalar_one()))


def hold(connection: Connection, hold_id: int, kind: str, value: str) -> None:
    holds.insert(connection, HoldRow(hold_id, kind, value, "court", None, NOW, "root"))


async def write(database: Database, *statements: Any) -> None:
    await database.writer.run(lambda c: [c.execute(one) for one in statements])


class TestMessages:
    @long_on_postgresql
    @reactor_test
    async def test_text_and_phone_go_by_class_and_what_is_left_is_shown(self, place: Place) -> None:
        def write(store: StoredMessages) -> Sequence[int]:
            fields = {"final_at": NOW, "status": "delivered"}
            return [
                store.message(MessageStatus.DELIVERED, message_class=one, **fields).id
                for one in ("bulk", "notice", "realtime", "interactive")
            ]

        async with opened(place) as database:
            ids = await within(database, write)
            assert await purged(database, 9) == {}
            assert await purged(database, 11) == {"bulk": 1}
            assert await purged(database, 11) == {}
            shown = await database.read(lambda c: queries.message(c, "newsroom", ids[0]))
            assert (shown["to"], shown["text"], shown["purged"]) == ("", "", True)
            assert (shown["status"], shown["ref"]) == ("delivered", "order-1")
            assert shown["segments"][0]["state"] == "delivered"
            assert shown["segments"][0]["octets"] is None
            kept = await database.read(lambda c: queries.message(c, "newsroom", ids[1]))
            assert (kept["to"], kept["text"], kept["purged"]) == (PHONE, "您好", False)
            assert await purged(database, 31) == {"notice": 1, "realtime": 1, "interactive": 1}
            held = await database.read(everything)
            assert not any(form in held for form in forms(PHONE, "您好"))

    @long_on_postgresql
    @reactor_test
    async def test_what_has_not_ended_stays_and_is_looked_at_again_after_a_week(
        self, place: Place
    ) -> None:
        def write(store: StoredMessages) -> None:
            store.message(MessageStatus.QUEUED)
            store.message(MessageStatus.SENT)
            store.message(MessageStatus.UNKNOWN)

        async with opened(place) as database:
            await within(database, write)
            assert await purged(database, 40) == {}
            await database.writer.run(finish)
            assert await purged(database, 41) == {}  # the walk has been there
            assert await purged(database, 48) == {"interactive": 3}

    @long_on_postgresql
    @reactor_test
    async def test_a_hold_keeps_what_is_of_its_phone_account_or_request(self, place: Place) -> None:
        def write(store: StoredMessages) -> None:
            fields = {"final_at": NOW, "status": "delivered"}
            for phone, account in (
                ("13800001001", "tv"),
                ("13800001002", "tv/news"),
                ("13800001003", "tv2"),
                ("13800001004", "tv"),
                ("13800001005", "radio"),
            ):
                store.message(MessageStatus.DELIVERED, recipient=phone, account=account, **fields)
            hold(store.connection, 1, "account", "tv/news")
            hold(store.connection, 2, "phone", "13800001001")
            hold(store.connection, 3, "request", "77")
            insert_rows(
                store.connection,
                schema.request,
                [
                    msgspec.structs.astuple(
                        request_row(77, state="closed", applicant_phone="13800001005")
                    )
                ],
            )

        async with opened(place) as database:
            await within(database, write)
            assert await purged(database, 31) == {"interactive": 2}
            left = await database.read(
                lambda c: sorted(c.execute(select(schema.message.c.recipient)).scalars())
            )
            assert left == ["", "", "13800001001", "13800001002", "13800001005"]
            ended = NOW + 32 * DAY_MS
            assert await database.writer.run(lambda c: holds.end(c, 1, ended, "root"))
            assert not await database.writer.run(lambda c: holds.end(c, 1, ended, "root"))
            await database.writer.run(lambda c: purge.begin_anew(c, ended))
            assert await purged(database, 33) == {"interactive": 1}

    @reactor_test
    async def test_the_rows_go_at_last_and_the_chain_says_so(self, place: Place) -> None:
        async with opened(place) as database:
            case = await database.writer.run(lambda c: Case(c, database.ids).whole())
            await database.writer.run(finish)
            first = await purged(database, 59)
            assert (first["interactive"], first["inbound"]) == (4, 1)
            assert await purged(database, 61) == {"message_row": 4, "inbound_row": 1}
            for table in (schema.message, schema.segment, schema.inbound, schema.inbound_part):
                assert await rows(database, table) == 0
            found = await verified(database)
            assert found
            assert not [str(one) for one in found if one.wrong]
            notes = [one.problem for one in found if "deleted for their age" in one.problem]
            assert [one.split(" up to ")[1].split()[0] for one in notes] == ["message", "inbound"]
            said = await database.read(lambda c: audit.about_nothing(c, audit.PURGED))
            assert [sorted(msgspec.json.decode(row.detail)["until"]) for row in said] == [
                ["message", "rerouted", "segment"],
                ["inbound", "inbound_part", "inbound_read"],
            ]
            await write(database, schema.answer.delete())
            gone = [str(one) for one in await verified(database) if one.wrong]
            assert gone
            assert all(one.endswith("is gone") for one in gone)
            assert case.request_id

    @long_on_postgresql
    @reactor_test
    async def test_more_than_a_window_is_purged_in_batches(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(purge, "WINDOW_ROWS", 200)
        total = 500

        def write(store: StoredMessages) -> None:
            one = store.message(MessageStatus.DELIVERED, final_at=NOW, status="delivered")
            row = msgspec.structs.astuple(one)[1:]
            ids = store.ids.take(total - 1)
            insert_rows(store.connection, schema.message, [(key, *row) for key in ids])

        async with opened(place) as database:
            await within(database, write)
            sizes: list[int] = []
            clock: Any = StandingClock(NOW + 31 * DAY_MS)
            purging = Purging(database, KEPT, clock, lambda kind, count: sizes.append(count))
            purging._running = True
            assert await purging.once() == {"interactive": total}
            assert len(sizes) >= 5
            assert sizes[0] <= BATCH_ROWS
            assert max(sizes) <= 200
            reached = await database.read(lambda c: purge.progress(c, "interactive"))
            assert reached is not None
            assert reached.began_at == clock.now


class TestRequests:
    @long_on_postgresql
    @reactor_test
    async def test_a_closed_request_keeps_its_decisions_and_no_word(self, place: Place) -> None:
        async with opened(place) as database:
            case = await database.writer.run(lambda c: Case(c, database.ids).whole())
            await database.writer.run(finish)
            found = await purged(database, 31)
            assert found["request"] == 1 + 2 + 2  # with its assignments and answers
            kept = await database.read(lambda c: requests.get(c, case.request_id))
            assert kept is not None
            shown = view.summary(kept.request)
            assert (shown["subject"], kept.request.body, shown["applicant"]) == ("", "", None)
            assert (shown["purged"], shown["outcome"]) == (True, "approved")
            assert [one.decision for one in kept.assignments] == ["yes", "yes"]
            assert [one.phone for one in kept.assignments] == ["", ""]
            assert not [one for one in await verified(database) if one.wrong]
            await write(database, schema.event.delete(), schema.audit.delete())
            held = await database.read(everything)
            wanted = [*forms(ANN, *SECRETS), BOB, APPLICANT]
            assert [form for form in wanted if form in held] == []

    @long_on_postgresql
    @reactor_test
    async def test_an_open_request_keeps_all_of_whom_it_asks(self, place: Place) -> None:
        def ask(connection: Connection) -> None:
            case = Case(connection, database.ids)
            case.ask()
            case.reply()
            finish(connection)
            held_back = inbound_row(
                database.ids, sender=ANN, received_at=NOW + 5, handled_at=NOW + 5
            )
            insert_rows(connection, schema.inbound, [msgspec.structs.astuple(held_back)])

        async with opened(place) as database:
            await database.writer.run(ask)
            before = await database.read(everything)
            assert await purged(database, 29) == {}
            found = await purged(database, 31)
            assert "request" not in found
            assert "inbound" not in found
            assert "interactive" not in found
            after = await database.read(everything)
            for table in ("message", "inbound", "inbound_part", "request", "assignment", "answer"):
                kept = [line for line in before.splitlines() if line.startswith(f"{table}: ")]
                assert kept
                assert [one for one in after.splitlines() if one.startswith(f"{table}: ")] == kept

    @long_on_postgresql
    @reactor_test
    async def test_votes_lose_their_phones_and_still_count(self, place: Place) -> None:
        count = purge.ROWS_MAX + 20

        def vote(connection: Connection) -> None:
            row = request_row(77, state="closed", outcome="decided", closed_at=NOW)
            insert_rows(connection, schema.request, [msgspec.structs.astuple(row)])
            votes = [(77, f"138{n:08d}", "yes", 1000 + n, NOW) for n in range(count)]
            insert_rows(connection, schema.ballot, votes)

        async with opened(place) as database:
            await database.writer.run(vote)
            assert await purged(database, 31) == {"ballot": count, "request": 1}
            assert await rows(database, schema.ballot) == count
            assert "138000" not in await database.read(everything)


class TestWhatIsUnderWay:
    @long_on_postgresql
    @reactor_test
    async def test_a_hold_on_a_phone_keeps_what_it_was_asked_and_answered(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            await database.writer.run(lambda c: Case(c, database.ids).whole())
            stand_in = (5, "tv", "substitute", BOB, ANN, "安", NOW, NOW, NOW, None)
            await database.writer.run(lambda c: insert_rows(c, schema.stand_in, [stand_in]))
            await database.writer.run(finish)
            await database.writer.run(lambda c: hold(c, 1, "phone", ANN))
            assert await purged(database, 45) == {"event": 5, "interactive": 2}
            held = await database.read(everything)
            assert all(one in held for one in ("采购三脚架", "预算内", ANN))
            ended = NOW + 46 * DAY_MS
            assert await database.writer.run(lambda c: holds.end(c, 1, ended, "root"))
            await database.writer.run(lambda c: purge.begin_anew(c, ended))
            done = await purged(database, 46)
            assert (done["request"] > 0, done["stand_in"]) == (True, 1)

    @long_on_postgresql
    @reactor_test
    async def test_a_dead_letter_that_is_being_replayed_stays(self, place: Place) -> None:
        async with opened(place) as database:
            webhook = ("office", "https://127.0.0.1/", "[]", "s", "", None, "active", "", 1)
            rest = (NOW, 0, 0, 0, 0, 0, None, None, "", None)

            def write(connection: Connection) -> None:
                insert_rows(connection, schema.webhook, [(1, *webhook, *rest)])
                for key, state in ((2, "dead"), (3, "replaying")):
                    row = (key, 1, state, 0, 9, 1, NOW, "", NOW)
                    insert_rows(connection, schema.redelivery, [row])

            await database.writer.run(write)
            assert await purged(database, 45) == {"dead_letter": 1}
            left = await database.read(
                lambda c: c.execute(select(schema.redelivery.c.state)).scalars().all()
            )
            assert left == ["replaying"]

    @reactor_test
    async def test_a_walk_that_was_under_way_when_a_hold_ended_counts_no_more(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            walk = purge.Progress(7, NOW)
            await database.writer.run(lambda c: purge.remember(c, "bulk", walk))
            await database.writer.run(lambda c: purge.begin_anew(c, NOW + 5))
            later = walk._replace(until_id=9)
            await database.writer.run(lambda c: purge.remember(c, "bulk", later))
            found = await database.read(lambda c: purge.progress(c, "bulk"))
            assert found == purge.Progress(-1, NOW + 5)
            onward = purge.Progress(8, NOW + 5)
            await database.writer.run(lambda c: purge.remember(c, "bulk", onward))
            assert await database.read(lambda c: purge.progress(c, "bulk")) == onward


class TestRows:
    @reactor_test
    async def test_other_old_rows_are_deleted_and_younger_ones_stay(self, place: Place) -> None:
        old, young = NOW, NOW + 20 * DAY_MS

        def write(store: StoredMessages) -> None:
            connection, ids = store.connection, store.ids
            told = [Event("message.sent", 7, "tv"), Event("request.answered", 8, "tv")]
            events.append(connection, old, told)
            for place_, at in enumerate((old, young)):
                delivery = Delivery(ids.next(), "acme", "mo", 7, b"x", at)
                insert_rows(
                    connection, schema.customer_delivery, [msgspec.structs.astuple(delivery)]
                )
                insert_rows(connection, schema.listed, [(PHONE, "1069", place_, 5, at)])
                insert_rows(
                    connection,
                    schema.slot,
                    [(ids.next(), PHONE, "1069", str(place_), 0, "p", "assignment", 5, *[at] * 4)],
                )
                insert_rows(
                    connection,
                    schema.conversation,
                    [(ids.next(), "tv", "r", PHONE, "1069", "1", 5, at, at, None)],
                )
                insert_rows(
                    connection,
                    schema.stand_in,
                    [(ids.next(), "tv", "substitute", PHONE, BOB, "b", at, at, at, None)],
                )
            sent = store.message(MessageStatus.SENT)
            ended = store.message(MessageStatus.DELIVERED, final_at=young, status="delivered")
            owed = [(ids.next(), "acme", one.id, False) for one in (sent, ended)]
            insert_rows(connection, schema.awaited_report, owed)

        async with opened(place) as database:
            await within(database, write)
            assert await purged(database, 45) == {
                "event": 2,
                "customer_delivery": 1,
                "awaited_report": 1,
                "listed": 1,
                "slot": 1,
                "conversation": 1,
                "stand_in": 1,
            }

    @long_on_postgresql
    @reactor_test
    async def test_batches_go_with_the_rows_of_their_messages(self, place: Place) -> None:
        def write(connection: Connection) -> None:
            batch_id = database.ids.next()
            values = ("tv", "r", "您好 {name}", "bulk", False, None, 1000, 1, NOW, None)
            insert_rows(connection, schema.batch, [(batch_id, *values)])
            insert_rows(connection, schema.batch_range, [(batch_id, 5, 6, 2, "", "")])

        async with opened(place) as database:
            await database.writer.run(write)
            await purged(database, 20)
            assert await purged(database, 59) == {}
            assert await purged(database, 61) == {"batch": 1}
            assert await rows(database, schema.batch_range) == 0

    @long_on_postgresql
    @reactor_test
    async def test_the_text_of_a_batch_goes_when_that_of_its_messages_does(
        self, place: Place
    ) -> None:
        def write(connection: Connection) -> None:
            values = ("r", "您好 {name}", "bulk", False, None, DAY_MS, 1, NOW, None)
            for batch_id, account in ((mine, "tv"), (extended, "tv"), (held, "radio")):
                insert_rows(connection, schema.batch, [(batch_id, account, *values)])
            later = first_at(NOW + 5 * DAY_MS)
            insert_rows(connection, schema.batch_range, [(extended, later, later + 9, 10, "", "")])
            hold(connection, 1, "account", "radio")

        def texts(connection: Connection) -> list[str]:
            query = select(schema.batch.c.text).order_by(schema.batch.c.id)
            return list(connection.execute(query).scalars())

        async with opened(place) as database:
            mine, extended, held = database.ids.take(3)
            await database.writer.run(write)
            assert await purged(database, 10.9) == {}
            assert await purged(database, 11.1) == {"batch_bulk": 1}
            assert await database.read(texts) == ["", "您好 {name}", "您好 {name}"]
            assert await purged(database, 15.9) == {}
            assert await purged(database, 18.2) == {"batch_bulk": 1}
            assert await database.read(texts) == ["", "", "您好 {name}"]
            shown = await database.read(lambda c: batches.find(c, "tv", mine))
            assert queries.batch_json(shown)["purged"]

    @long_on_postgresql
    @reactor_test
    async def test_events_of_what_is_on_hold_stay(self, place: Place) -> None:
        def write(store: StoredMessages) -> None:
            to = store.message(MessageStatus.DELIVERED)
            told = [
                Event("message.delivered", to.id, "tv"),
                Event("inbound.received", 8, "tv", {"sender": PHONE}),
                Event("request.closed", 77, "tv"),
                Event("request.closed", 78, "radio/news"),
                Event("request.closed", 79, "tv"),
            ]
            events.append(store.connection, NOW, told)
            hold(store.connection, 1, "phone", PHONE)
            hold(store.connection, 2, "request", "77")
            hold(store.connection, 3, "account", "radio")

        async with opened(place) as database:
            await within(database, write)
            assert (await purged(database, 31))["event"] == 1
            left = await database.read(events.list_after)
            assert 79 not in [event.subject_id for event in left]
            assert len(left) == 4

    @long_on_postgresql
    @reactor_test
    async def test_what_is_kept_for_ever_is_never_purged(self, place: Place) -> None:
        for_ever = Retention(
            messages=for_all(0), inbound=0, requests=0, events=0, deliveries=0, records=0
        )
        async with opened(place) as database:
            await database.writer.run(lambda c: Case(c, database.ids).whole())
            await database.writer.run(finish)
            assert await purged(database, 20_000, for_ever) == {}


@long_on_postgresql
@reactor_test
async def test_a_purge_that_is_stopped_goes_on_where_it_was(place: Place) -> None:
    def write(store: StoredMessages) -> None:
        for _ in range(3):
            store.message(MessageStatus.DELIVERED, final_at=NOW, status="delivered")

    async with opened(place) as database:
        await within(database, write)
        clock: Any = StandingClock(NOW + 31 * DAY_MS)
        purging = Purging(database, KEPT, clock, lambda kind, count: None)
        purging._running = True
        purging._rows = 1
        purging._purged = lambda kind, count: setattr(purging, "_running", False)
        assert await purging.once() == {"interactive": 1}
        assert await purged(database, 31) == {"interactive": 2}
