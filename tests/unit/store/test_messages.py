from __future__ import annotations

import pytest
from sqlalchemy import Connection, select

from smsgw.model import MessageStatus
from smsgw.store import events, messages, schema
from smsgw.store.ids import IdSource
from smsgw.store.messages import SegmentRow
from tests.support.store import NOW, PHONE, StoredMessages, accepted, message_row

S = MessageStatus


def test_an_accepted_message_is_stored_with_its_place_in_the_queue_and_its_event(
    connection: Connection, ids: IdSource, store: StoredMessages
) -> None:
    long = message_row(ids, parts=2, text="很长" * 40)
    other = message_row(ids, message_class="bulk", valid_until=NOW + 5)

    results = messages.ACCEPT.execute(connection, [accepted(long, 1), accepted(other, 1)])

    assert results == [long.id, other.id]
    assert messages.get(connection, long.id) == long
    assert messages.get(connection, other.id) == other
    queued = [tuple(row) for row in connection.execute(select(schema.queue))]
    assert queued == [
        (1, "cmcc", "bulk", 0, other.id, 1, NOW + 5),
        (1, "cmcc", "interactive", 0, long.id, 1, long.valid_until),
        (1, "cmcc", "interactive", 0, long.id, 2, long.valid_until),
    ]
    assert connection.execute(select(schema.segment)).all() == []
    told = [(e.kind, e.subject_id, e.account, e.at, e.data) for e in store.events()]
    data = {"to": PHONE, "reference": "order-1"}
    assert told == [
        ("message.queued", message.id, "newsroom", NOW, data) for message in (long, other)
    ]


def test_its_first_event_says_what_it_is_about(connection: Connection, ids: IdSource) -> None:
    rows = [accepted(message_row(ids)), accepted(message_row(ids, status="scheduled"))]
    messages.insert(connection, rows, {"request": "7"})
    events.write_noted(connection)
    found = events.list_after(connection)
    assert [event.kind for event in found] == ["message.queued", "message.scheduled"]
    assert {event.data["request"] for event in found} == {"7"}


def test_an_enum_is_stored_as_its_text(connection: Connection, ids: IdSource) -> None:
    message = message_row(ids, status=S.QUEUED)
    messages.insert(connection, [accepted(message)])
    assert messages.page(connection, status=S.QUEUED) == [message]


def test_what_is_not_recorded_is_none(connection: Connection) -> None:
    assert messages.get(connection, 1) is None


@pytest.mark.parametrize("contents", [[b"\x05\x00\x03", b""], [bytes(range(256))]])
def test_the_octets_of_all_parts_come_back_as_they_were(contents: list[bytes]) -> None:
    assert messages.decode_contents(messages.encode_contents(contents)) == contents


class TestSegments:
    def test_a_part_nothing_came_of_yet_is_queued_or_scheduled(
        self, connection: Connection, ids: IdSource
    ) -> None:
        rows = [message_row(ids, parts=2, status=status) for status in ("queued", "scheduled")]
        messages.insert(connection, [accepted(row) for row in rows])
        for row in rows:
            assert messages.segments_of(connection, row) == [
                SegmentRow(row.id, part, "cmcc", row.status) for part in (1, 2)
            ]

    def test_all_parts_are_listed_in_order(self, store: StoredMessages) -> None:
        message = store.message(S.QUEUED, S.SENT, S.SENDING, S.REJECTED)
        found = messages.segments_of(store.connection, message)
        assert [(row.part, row.state) for row in found] == [
            (1, "queued"),
            (2, "sent"),
            (3, "queued"),
            (4, "rejected"),
        ]


class TestStatus:
    def stored(self, store: StoredMessages, message: messages.MessageRow) -> str:
        """What stands in the message's own row."""
        query = select(schema.message.c.status).where(schema.message.c.id == message.id)
        return store.connection.execute(query).scalar_one()

    def test_of_one_part_it_is_written_at_the_end_and_shown_all_along(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.SENDING)
        steps = []
        for step in (
            lambda: store.settle(message, S.UNKNOWN),
            lambda: store.settle(message, S.SENT, carrier_message_id="0a"),
            lambda: store.report("0a"),
        ):
            step()
            steps.append((self.stored(store, message), store.now(message).status))
        assert steps == [("queued", "unknown"), ("queued", "sent"), ("delivered", "delivered")]
        assert store.now(message).final_at == NOW + 9

    def test_of_several_parts_every_step_is_written(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING, S.SENDING)
        steps = [
            store.settle(message, S.SENT, part) and self.stored(store, message) for part in (1, 2)
        ]
        assert steps == ["sending", "sent"]

    def test_once_final_it_is_not_what_the_segment_says(self, store: StoredMessages) -> None:
        message = store.message(S.SENT, status="canceled", final_at=NOW)
        assert store.now(message).status == "canceled"


class TestPages:
    def test_pages_go_back_in_time_without_gap_or_repeat(self, store: StoredMessages) -> None:
        rows = [store.message() for _ in range(5)]
        connection = store.connection
        first = messages.page(connection, limit=2)
        second = messages.page(connection, limit=2, before=first[-1].id)
        third = messages.page(connection, limit=2, before=second[-1].id)
        assert first + second + third == rows[::-1]

    def test_a_page_can_be_one_account_recipient_or_status(self, store: StoredMessages) -> None:
        one = store.message(account="a", recipient="13300001001")
        two = store.message(S.SENT, S.SENT, account="b", status="sent")
        page = messages.page
        assert page(store.connection, account="a") == [one]
        assert page(store.connection, recipient="13300001001") == [one]
        assert page(store.connection, status="sent", account="b") == [two]
        assert page(store.connection, status="sent", account="a") == []

    def test_a_message_of_one_part_is_found_by_the_status_it_shows(
        self, store: StoredMessages
    ) -> None:
        waits, sent = store.message(), store.message(S.SENT)
        found = {
            status: [row.id for row in messages.page(store.connection, status=status)]
            for status in (S.QUEUED, S.SENT, S.UNKNOWN)
        }
        assert found == {S.QUEUED: [waits.id], S.SENT: [sent.id], S.UNKNOWN: []}
        assert messages.page(store.connection, status="sent")[0].status == "sent"
