"""One contract for both databases: from accepted to delivered."""

from __future__ import annotations

from typing import Any

import msgspec

from smsgw.model import MessageClass, MessageStatus
from smsgw.store import (
    backlog,
    queue,
    unsent,
)
from smsgw.store.database import Database
from smsgw.store.messages import ACCEPT
from smsgw.store.outbox import SETTLE
from smsgw.store.queue import PUT_BACK, QueuedSegment
from smsgw.store.reports import REPORTS, ReportFate, rematch_parked
from tests.support.reactor import reactor_test
from tests.support.store import (
    NOW,
    StoredMessages,
    accepted,
    message_row,
    queued_segment,
    queued_segments,
    report_row,
    settlement,
)
from tests.support.stores import Place, kinds, opened, shown, within

S = MessageStatus
LANE = ("cmcc", "interactive")


async def waiting(
    database: Database, limit: int = 100, held: Any = (), horizon: int = NOW
) -> list[QueuedSegment]:
    node = database.ids.node
    return await database.read(
        lambda c: queue.waiting(c, node, "cmcc", "interactive", NOW, horizon, limit, held)
    )


class TestSending:
    @reactor_test
    async def test_what_was_accepted_waits_to_be_sent_in_order(self, place: Place) -> None:
        async with opened(place) as database:
            rows = [message_row(database.ids, parts=parts) for parts in (1, 2, 1, 1, 1, 1)]
            ids = await database.writer.batch(ACCEPT, [accepted(row) for row in rows])
            assert ids == [row.id for row in rows]
            found = await waiting(database)
            assert found[0].message_class is MessageClass.INTERACTIVE
            assert [msgspec.structs.astuple(one) for one in found] == [
                msgspec.structs.astuple(one) for row in rows for one in queued_segments(row)
            ]
            held = {found[0].key, found[2].key}
            assert [one.key for one in await waiting(database, 2, held)] == [
                found[1].key,
                found[3].key,
            ]
            counted = await database.read(lambda c: queue.queued_by_link(c, 0))
            assert counted == {"cmcc": 7}
            assert await kinds(database) == ["message.queued"] * 6

    @reactor_test
    async def test_a_handful_leaves_the_queue_once_and_may_come_back(self, place: Place) -> None:
        async with opened(place) as database:
            message = message_row(database.ids, parts=2)
            await database.writer.batch(ACCEPT, [accepted(message)])
            one, two = queued_segments(message)
            taken = await within(database, lambda s: s.take([one, two]))
            assert (taken.id > 0, list(taken.missing)) == (True, [])
            again = await within(database, lambda s: s.take([one, two]))
            assert (again.id, set(again.missing)) == (0, {one.key, two.key})
            await database.writer.batch(PUT_BACK, [two.queue_row(0, 0)])
            assert [item.key for item in await waiting(database)] == [two.key]
            third = await within(database, lambda s: s.take([two], [taken.id]))
            assert third.missing == set()
            assert await within(database, lambda s: s.sending()) == [[[message.id, 2, 1]]]

    @reactor_test
    async def test_a_message_goes_from_accepted_to_delivered(self, place: Place) -> None:
        async with opened(place) as database:
            rows = [message_row(database.ids) for _ in range(6)]
            await database.writer.batch(ACCEPT, [accepted(row) for row in rows])
            await within(database, lambda s: s.take([queued_segment(row) for row in rows]))
            settled = await database.writer.batch(
                SETTLE,
                [
                    settlement(r, S.SENT, carrier_message_id=f"{r.id}", attempts=1, first=True)
                    for r in rows
                ],
            )
            assert [(one.applied, one.changes) for one in settled] == [(True, [])] * 6
            assert (await shown(database, rows[0].id))[0] == "sent"
            reports = [report_row(f"{row.id}", S.DELIVERED) for row in rows]
            told = await database.writer.batch(REPORTS, [*reports, reports[0]])
            assert [one.fate for one in told] == [*[ReportFate.MATCHED] * 6, ReportFate.DUPLICATE]
            assert [one.changes[0].message_id for one in told[:6]] == [row.id for row in rows]
            status, (segment,) = await shown(database, rows[5].id)
            assert (status, segment.state, segment.stat) == ("delivered", "delivered", "DELIVRD")
            assert (segment.attempts, segment.sent_at, segment.final_at) == (1, NOW + 1, NOW + 9)
            assert await kinds(database) == [
                *["message.queued"] * 6,
                *["message.sent"] * 6,
                *["message.delivered"] * 6,
            ]

    @reactor_test
    async def test_the_parts_of_a_message_are_folded_into_its_status(self, place: Place) -> None:
        async with opened(place) as database:
            message = await within(database, lambda s: s.message(S.SENDING, S.SENDING, S.SENDING))
            for part, state in ((1, S.SENT), (2, S.UNKNOWN), (3, S.SENT)):
                row = settlement(message, state, part, carrier_message_id=f"{part}", attempts=1)
                row.next_attempt_at = NOW if state is S.UNKNOWN else None
                await database.writer.batch(SETTLE, [row])
            assert (await shown(database, message.id))[0] == "unknown"
            told = [report_row(f"{part}", S.DELIVERED) for part in (1, 2, 3)]
            assert [one.changes for one in await database.writer.batch(REPORTS, told[:2])] == [
                [],
                [],
            ]
            (last,) = await database.writer.batch(REPORTS, told[2:])
            assert [change.status for change in last.changes] == [S.DELIVERED]
            (late,) = await database.writer.batch(REPORTS, [report_row("2", S.UNDELIVERED)])
            assert late.fate is ReportFate.CONFLICT
            status, parts = await shown(database, message.id)
            assert (status, [one.state for one in parts]) == ("delivered", ["delivered"] * 3)

    @reactor_test
    async def test_a_refused_segment_waits_for_its_time(self, place: Place) -> None:
        async with opened(place) as database:
            message = await within(database, lambda s: s.message(S.SENDING))
            await within(database, lambda s: s.retry(message, NOW + 5, attempts=1))
            assert await waiting(database, horizon=NOW + 4) == []
            (one,) = await waiting(database, horizon=NOW + 5)
            assert (one.attempts, one.recorded, one.due_at) == (1, True, NOW + 5)
            due = await database.read(lambda c: queue.due_lanes(c, 0, [LANE], NOW + 5))
            assert (due.lanes, due.next_at) == ([LANE], 0)
            due = await database.read(lambda c: queue.due_lanes(c, 0, [LANE], NOW + 4))
            assert (due.lanes, due.next_at) == ([], NOW + 5)
            taken = await within(database, lambda s: s.take([one]))
            assert taken.missing == set()

    @reactor_test
    async def test_what_is_past_its_time_is_given_up(self, place: Place) -> None:
        async with opened(place) as database:
            message = await within(database, lambda s: s.message(S.QUEUED, S.QUEUED))
            late = message.valid_until
            assert await database.read(lambda c: unsent.overdue(c, 0, *LANE, late - 1, 9)) == []
            found = await database.read(lambda c: unsent.overdue(c, 0, *LANE, late, 9))
            assert len(found) == 2
            census = await database.read(lambda c: unsent.census(c, 0, NOW))
            assert census == [unsent.Census(*LANE, 2, late)]
            (change,) = await database.writer.run(lambda c: unsent.expire(c, found, late))
            assert (change.message_id, change.status) == (message.id, S.EXPIRED)
            assert (await shown(database, message.id))[0] == "expired"
            assert await within(database, lambda s: s.queued()) == []

    @reactor_test
    async def test_what_a_run_was_sending_is_unknown_and_is_sent_again(self, place: Place) -> None:
        async with opened(place) as database:
            message = await within(database, lambda s: s.message(S.SENDING))
            other = await within(database, lambda s: s.message())
            found = await within(
                database,
                lambda s: queue.settle_interrupted(
                    s.connection, 0, NOW, dict.fromkeys(MessageClass, NOW + 9)
                ),
            )
            assert (found.count, found.changes) == (1, [])
            assert (await shown(database, message.id))[0] == "unknown"
            assert (await shown(database, other.id))[0] == "queued"

            def end(store: StoredMessages) -> list[backlog.Ended]:
                return backlog.end_waits(
                    store.connection, NOW + 9, dict.fromkeys(MessageClass, 3), 10
                )

            (ended,) = await within(database, end)
            assert ended.resend is not None
            assert (ended.resend.key, ended.resend.possible_duplicate) == ((message.id, 1), True)
            assert await within(database, end) == []
            taken = await within(database, lambda s: s.take([ended.resend]))
            assert taken.missing == set()
            assert "message.resent" in await kinds(database)


class TestReports:
    @reactor_test
    async def test_one_that_overtook_the_answer_is_parked_once_and_applied_then(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            message = await within(database, lambda s: s.message(S.SENDING))
            early = [report_row("0a", S.DELIVERED), report_row("0a", S.DELIVERED)]
            told = await database.writer.batch(REPORTS, early)
            assert [one.fate for one in told] == [ReportFate.PARKED, ReportFate.DUPLICATE]
            row = settlement(message, S.SENT, carrier_message_id="0a", first=True, attempts=1)
            (settled,) = await database.writer.batch(SETTLE, [row])
            assert [change.status for change in settled.changes] == [S.DELIVERED]
            assert await within(database, lambda s: s.parked()) == 0

    @reactor_test
    async def test_one_whose_segment_is_known_after_all_is_found_by_the_sweep(
        self, place: Place
    ) -> None:
        async with opened(place) as database:
            await within(database, lambda s: s.report("0a"))
            await within(database, lambda s: s.report("0b"))
            await within(database, lambda s: s.report("0a", recipient="13800001009"))
            message = await within(database, lambda s: s.message(S.SENT))

            def name(store: StoredMessages) -> None:  # as if another process had settled it
                store.connection.exec_driver_sql("UPDATE segment SET carrier_message_id = '0a'")

            await within(database, name)
            (found,) = await within(
                database, lambda s: rematch_parked(s.connection, NOW + 600_000, 10)
            )
            ends = [(change.message_id, change.status) for change in found.changes]
            assert ends == [(message.id, S.DELIVERED)]
            assert await within(database, lambda s: s.parked()) == 2
            again = await within(database, lambda s: rematch_parked(s.connection, NOW, 10))
            assert again == []

    @reactor_test
    async def test_parked_ones_are_forgotten_after_their_time(self, place: Place) -> None:
        async with opened(place) as database:
            await within(database, lambda s: s.report("0a"))
            assert await database.writer.run(lambda c: backlog.purge_parked(c, NOW + 9)) == 0
            assert await database.writer.run(lambda c: backlog.purge_parked(c, NOW + 10)) == 1
