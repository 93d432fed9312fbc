"""One contract for both databases: what phones sent, and what was asked of them."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection

from smsgw.errors import Conflict
from smsgw.model import Operator, PortedNumber
from smsgw.store import (
    inbox,
    ported,
    requests,
    slots,
)
from smsgw.store.database import Database
from smsgw.store.inbox import RECEIVE, Received
from smsgw.store.requests import AnswerRow, AssignmentRow, RequestRows, StepRow
from smsgw.store.slots import SlotRow
from tests.support.reactor import reactor_test
from tests.support.store import (
    NOW,
    PHONE,
    inbound_row,
    part_row,
    request_row,
)
from tests.support.stores import Place, opened

ACCESS = "10690001"


class TestInbox:
    @reactor_test
    async def test_a_repeat_is_known_in_one_group_and_over_groups(self, place: Place) -> None:
        async with opened(place) as database:
            one, two = part_row(database.ids), part_row(database.ids)
            same = part_row(database.ids, dedupe_key=one.dedupe_key)
            elsewhere = part_row(database.ids, dedupe_key=one.dedupe_key, link="telecom")
            found = await database.writer.batch(RECEIVE, [one, same, two, elsewhere])
            assert found == [
                Received(False, one.id),
                Received(True, one.id),
                Received(False, two.id),
                Received(False, elsewhere.id),
            ]
            assert await database.writer.batch(RECEIVE, [same]) == [Received(True, one.id)]

    @reactor_test
    async def test_parts_become_one_message_that_is_handled_once(self, place: Place) -> None:
        async with opened(place) as database:
            parts = [part_row(database.ids, received_at=NOW + n) for n in range(3)]
            await database.writer.batch(RECEIVE, parts)
            after = (NOW, parts[0].id)
            page = await database.read(lambda c: inbox.waiting_parts(c, after))
            assert page == parts[1:]
            row = inbound_row(database.ids)
            claim = [part.id for part in parts[:2]]
            await database.writer.run(lambda c: inbox.insert_inbound(c, row, claim))
            other = inbound_row(database.ids)
            with pytest.raises(Conflict, match="2 parts to join, 0 of them free"):
                await database.writer.run(lambda c: inbox.insert_inbound(c, other, claim))
            assert await database.read(inbox.waiting_parts) == parts[2:]
            assert await database.read(inbox.unhandled) == [row]

            def handle(connection: Connection) -> bool:
                return inbox.mark_handled(connection, row.id, "inbox", NOW)

            assert [await database.writer.run(handle) for _ in range(2)] == [True, False]
            same = await database.read(
                lambda c: inbox.recent_same(c, PHONE, row.destination, row.text, NOW)
            )
            assert same is not None
            assert same.handled_at == NOW


class TestRequests:
    @reactor_test
    async def test_of_two_changes_at_the_same_version_one_is_told(self, place: Place) -> None:
        async with opened(place) as database:
            rows = _request(database)

            def work(connection: Connection) -> list[bool]:
                requests.insert(connection, rows)
                return [
                    requests.advance_version(connection, rows.request, state="closed", closed_at=5)
                    for _ in range(2)
                ]

            assert await database.writer.run(work) == [True, False]
            found = await database.read(lambda c: requests.get(c, rows.request.id))
            assert found is not None
            assert (found.request.version, found.request.state) == (2, "closed")
            assert (found.steps, found.assignments) == (rows.steps, rows.assignments)

    @reactor_test
    async def test_answers_and_what_was_asked_are_found(self, place: Place) -> None:
        async with opened(place) as database:
            rows = _request(database)
            answer = AnswerRow(
                database.ids.next(),
                rows.request.id,
                rows.assignments[0].id,
                "sms",
                PHONE,
                None,
                "同意",
                "yes",
                "",
                "word",
                "",
                True,
                NOW,
            )

            def work(connection: Connection) -> None:
                requests.insert(connection, rows)
                requests.insert_answer(connection, answer)
                rows.assignments[0].asked_back = 1
                requests.save_assignment(connection, rows.assignments[0])

            await database.writer.run(work)
            found = await database.read(lambda c: requests.answers_of(c, rows.request.id))
            assert found == [answer]
            pairs = await database.read(lambda c: requests.open_for(c, PHONE))
            assert pairs == [(rows.assignments[0], rows.request)]
            page = await database.read(lambda c: requests.page(c, before=2**62, state="open"))
            assert page == [rows.request]
            counted = await database.read(
                lambda c: requests.automatic_answers(c, PHONE, "request.asked_back", NOW, NOW + 1)
            )
            assert counted == 0

    @reactor_test
    async def test_a_slot_is_found_reused_and_released_by_who_has_it(self, place: Place) -> None:
        async with opened(place) as database:
            of, slot_id = ("vote", "assignment", 7), database.ids.next()
            row = SlotRow(slot_id, PHONE, ACCESS, "001", 1, *of, NOW, NOW + 10)
            row.cools_until = NOW + 30

            def work(connection: Connection) -> None:
                assert slots.insert(connection, row)
                twin = msgspec.structs.replace(row, id=database.ids.next())
                assert not slots.insert(connection, twin)
                assert slots.find(connection, PHONE, ACCESS, "001") == row
                assert slots.used(connection, PHONE, ACCESS) == {"001"}
                assert slots.counts(connection, NOW) == (1, 0)
                assert not slots.release(connection, row.id, "assignment", 8, NOW)
                assert not slots.release(connection, row.id, "conversation", 7, NOW)
                assert slots.release(connection, row.id, "assignment", 7, NOW)
                least = [
                    slots.least_recent(connection, PHONE, ACCESS, "0", 3, at, before)
                    for at, before in ((NOW, None), (NOW + 20, None), (NOW, NOW))
                ]
                assert [found and found.id for found in least] == [None, row.id, row.id]
                static = slots.least_recent(
                    connection, PHONE, ACCESS, "", 3, NOW + 20, taken=["9", "00"]
                )
                assert static is None
                row.generation = 2
                assert [slots.reuse(connection, row) for _ in range(2)] == [True, False]

            await database.writer.run(work)

    @reactor_test
    async def test_ported_numbers_are_kept_by_their_last_change(self, place: Place) -> None:
        async with opened(place) as database:
            old = PortedNumber(PHONE, Operator.UNICOM, "import", NOW, NOW + 1000)
            new = PortedNumber(PHONE, Operator.TELECOM, "mo", NOW + 1, NOW + 2000)
            run = database.writer.run
            assert await run(lambda c: ported.put(c, [old])) == 1
            assert await run(lambda c: ported.put(c, [new])) == 1
            assert await run(lambda c: ported.put(c, [old])) == 0
            assert await database.read(lambda c: ported.get(c, PHONE)) == new
            assert await database.read(lambda c: ported.page(c, NOW)) == [new]
            assert await run(lambda c: ported.forget(c, [PHONE], NOW + 5)) == 1
            ((_, last),) = await database.read(ported.changed)
            assert last.expires_at == NOW + 5
            assert await run(lambda c: ported.sweep(c, NOW + 86_400_005)) == 1


def _request(database: Database) -> RequestRows:
    request_id, step_id, assignment_id = database.ids.take(3)
    return RequestRows(
        request_row(request_id),
        [StepRow(step_id, request_id, 1, "", "all", True, "{}", "open")],
        [AssignmentRow(assignment_id, request_id, step_id, 1, "assignee", "N", PHONE, "asked")],
    )
