from __future__ import annotations

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from smsgw.model import Event, MessageStatus
from smsgw.store import events, messages
from smsgw.store.ids import IdSource
from tests.support.store import NOW, message_row, segment_row


def test_an_accepted_message_is_stored_with_its_segments_and_events(
    connection: Connection, ids: IdSource
) -> None:
    message = message_row(ids, parts=2, text="很长" * 40)
    parts = [
        segment_row(ids, message, part=part, content=b"\x05" + bytes([part])) for part in (2, 1)
    ]
    queued = Event("message.queued", message.id, message.account)
    other = message_row(ids, status="scheduled")

    results = messages.ACCEPT.execute(
        connection, [(message, parts, [queued]), (other, [segment_row(ids, other)], [])]
    )

    assert results == [message.id, other.id]
    assert messages.get(connection, message.id) == message
    assert messages.segments_of(connection, message.id) == parts[::-1]
    assert messages.get(connection, other.id) == other
    assert events.list_after(connection) == [queued]
    assert queued.at == NOW


def test_an_enum_is_stored_as_its_text(connection: Connection, ids: IdSource) -> None:
    message = message_row(ids, status=MessageStatus.QUEUED)
    messages.insert(connection, [message], [segment_row(ids, message, state=MessageStatus.QUEUED)])
    assert messages.page(connection, status=MessageStatus.QUEUED) == [message]


def test_a_segment_without_its_message_is_refused(connection: Connection, ids: IdSource) -> None:
    with pytest.raises(IntegrityError):
        messages.insert(connection, [], [segment_row(ids, message_row(ids))])


def test_what_is_not_recorded_is_none(connection: Connection) -> None:
    assert messages.get(connection, 1) is None
    assert messages.segments_of(connection, 1) == []


def test_pages_go_back_in_time_without_gap_or_repeat(connection: Connection, ids: IdSource) -> None:
    rows = [message_row(ids) for _ in range(5)]
    messages.insert(connection, rows, [])
    first = messages.page(connection, limit=2)
    second = messages.page(connection, limit=2, before=first[-1].id)
    third = messages.page(connection, limit=2, before=second[-1].id)
    assert first + second + third == rows[::-1]


def test_a_page_can_be_one_account_recipient_or_status(
    connection: Connection, ids: IdSource
) -> None:
    one = message_row(ids, account="a", recipient="13300001001")
    two = message_row(ids, account="b", status="sent")
    messages.insert(connection, [one, two], [])
    assert messages.page(connection, account="a") == [one]
    assert messages.page(connection, recipient="13300001001") == [one]
    assert messages.page(connection, status="sent", account="b") == [two]
    assert messages.page(connection, status="sent", account="a") == []
