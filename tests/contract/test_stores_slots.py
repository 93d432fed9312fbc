"""Slots and conversations, on both databases."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import pytest
from sqlalchemy import Connection

from smsgw.services.ledger import (
    ASSIGNMENT,
    CONVERSATION,
    ConversationsExhausted,
    Owner,
    SlotPlan,
    allocate,
    find,
    release,
)
from smsgw.store import conversations, inbox, requests, slots
from smsgw.store.conversations import ConversationRow
from smsgw.store.requests import AssignmentRow, RequestRow, RequestRows, StepRow
from smsgw.store.slots import Load
from tests.support.memory import ANN, BOB
from tests.support.reactor import reactor_test
from tests.support.store import NOW, inbound_row
from tests.support.stores import Place, opened

T = TypeVar("T", bound=msgspec.Struct)

ACCESS = "10690001"
PLAN = SlotPlan("vote", "7", 1, 20, 100, 50, 10, taken=frozenset({"75", "8"}))


def filled(row_type: type[T], **fields: Any) -> T:
    """A row of which only some fields matter."""
    needed = [one for one in msgspec.structs.fields(row_type) if one.required]
    return row_type(**{one.name: one.type() for one in needed} | fields)


def conversation_row(row_id: int, **fields: Any) -> ConversationRow:
    given = {
        "account": "crew",
        "reference": "job-17",
        "phone": ANN,
        "access_number": ACCESS,
        "extension": f"7{row_id}",
        "slot_id": 100 + row_id,
        "created_at": NOW,
        "expires_at": NOW + 100_000,
    }
    return ConversationRow(id=row_id, **{**given, **fields})


class TestLedger:
    @reactor_test
    async def test_a_phone_gets_every_free_number_once_then_the_one_that_ended_first(
        self, place: Place
    ) -> None:
        def work(connection: Connection) -> None:
            given = [
                allocate(connection, ANN, ACCESS, PLAN, NOW, Owner(ASSIGNMENT, number))
                for number in range(9)
            ]
            extensions = {one.extension for one in given}
            assert extensions == {f"7{number}" for number in range(10)} - {"75"}
            late = (connection, ANN, ACCESS, PLAN)
            with pytest.raises(ConversationsExhausted):
                allocate(*late, NOW, Owner(CONVERSATION, 1))
            for turn, number in enumerate((4, 2)):
                assert release(
                    connection, given[number].slot_id, Owner(ASSIGNMENT, number), NOW + turn
                )
            found = find(connection, ANN, ACCESS, given[4].extension, NOW + 49_999)
            assert found is not None
            assert (found.live, found.slot.owner_id, found.slot.plan) == (False, 4, "vote")
            short = allocate(*late, NOW + 20_000, Owner(CONVERSATION, 1))
            assert (short.extension, short.shortened) == (given[4].extension, True)
            cool = allocate(*late, NOW + 60_000, Owner(CONVERSATION, 2))
            assert (cool.extension, cool.generation, cool.shortened) == (
                given[2].extension,
                2,
                False,
            )

        async with opened(place) as database:
            await database.writer.run(work)


class TestInUse:
    @reactor_test
    async def test_slots_are_shown_with_their_owners(self, place: Place) -> None:
        def fill(connection: Connection) -> None:
            request = filled(RequestRow, id=1, account="office", reference="po-7")
            step = filled(StepRow, id=2, request_id=1)
            row = filled(AssignmentRow, id=3, request_id=1, step_id=2, phone=ANN)
            requests.insert(connection, RequestRows(request, [step], [row]))
            conversations.insert(connection, conversation_row(4))
            for owner, phone in ((Owner(ASSIGNMENT, 3), ANN), (Owner(CONVERSATION, 4), BOB)):
                given = allocate(connection, phone, ACCESS, PLAN, NOW, owner)
            release(connection, given.slot_id, Owner(CONVERSATION, 4), NOW)

        def look(connection: Connection) -> None:
            (office,) = slots.in_use(connection, NOW, "office")
            assert (office.account, office.reference, office.request_id) == ("office", "po-7", 1)
            (crew,) = slots.in_use(connection, NOW, "crew", phone=BOB, access_number=ACCESS)
            assert (crew.reference, crew.request_id, crew.slot.owner_id) == ("job-17", None, 4)
            assert slots.in_use(connection, NOW, "crew", before=crew.slot.id) == []
            assert slots.in_use(connection, NOW + 50_000, "crew") == []
            assert slots.busiest(connection, NOW, "office", 5) == [(ANN, ACCESS, 1, 0)]
            assert slots.busiest(connection, NOW, "crew", 5) == [(BOB, ACCESS, 0, 1)]
            assert slots.load(connection, ACCESS, "7", 2, NOW) == Load(1, 1, 1)
            assert slots.load(connection, ACCESS, "7", 3, NOW) == Load(0, 0, 0)

        async with opened(place) as database:
            await database.writer.run(fill)
            await database.read(look)


class TestConversations:
    @reactor_test
    async def test_they_are_found_listed_and_ended_once(self, place: Place) -> None:
        rows = [conversation_row(1), conversation_row(2, phone=BOB, reference="x")]
        rows.append(conversation_row(3, account="other"))

        def work(connection: Connection) -> None:
            for row in rows:
                conversations.insert(connection, row)
            assert conversations.get(connection, 1) == rows[0]
            assert conversations.get(connection, 9) is None
            for filters, ids in (
                ({}, [2, 1]),
                ({"before": 2}, [1]),
                ({"limit": 1}, [2]),
                ({"reference": "x"}, [2]),
                ({"phone": ANN}, [1]),
            ):
                found: list[ConversationRow] = conversations.page(connection, "crew", **filters)
                assert [row.id for row in found] == ids
            assert conversations.end(connection, 1, NOW + 5)
            assert not conversations.end(connection, 1, NOW + 6)
            ended = conversations.get(connection, 1)
            assert ended is not None
            assert ended.ended_at == NOW + 5

        async with opened(place) as database:
            await database.writer.run(work)

    @reactor_test
    async def test_replies_are_what_was_marked_as_theirs(self, place: Place) -> None:
        async with opened(place) as database:
            received = [inbound_row(database.ids, text=text) for text in "abc"]

            def work(connection: Connection) -> None:
                for row in received:
                    inbox.insert_inbound(connection, row, [])
                for row in received[:2]:
                    assert inbox.mark_handled(
                        connection, row.id, "replied", NOW, conversation_id=7, account="crew"
                    )
                found = conversations.replies(connection, 7, 5)
                assert [(row.text, row.account, row.conversation_id) for row in found] == [
                    ("b", "crew", 7),
                    ("a", "crew", 7),
                ]
                assert len(conversations.replies(connection, 7, 1)) == 1

            await database.writer.run(work)
