"""Messages (what a customer sent) and their segments (one submit's worth each): insert and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from sqlalchemy import Connection, select

from smsgw.model import Event, MessageStatus
from smsgw.store import events as event_rows
from smsgw.store.schema import message as message_table
from smsgw.store.schema import segment as segment_table
from smsgw.store.statements import ids_of, insert_rows
from smsgw.store.writer import Operation

_as_tuple = msgspec.structs.astuple


class MessageRow(msgspec.Struct, gc=False):
    """A row of ``message``; the fields are its columns, in their order."""

    id: int
    account: str
    reference: str
    recipient: str
    text: str
    message_class: str
    status: str
    reason: str
    expects_reply: bool
    operator: str
    link: str
    access_number: str
    extension: str
    coding: int
    parts: int
    created_at: int
    valid_until: int
    final_at: int | None = None


class SegmentRow(msgspec.Struct, gc=False):
    """A row of ``segment``; the fields are its columns, in their order."""

    id: int
    message_id: int
    link: str
    part: int
    total: int
    recipient: str
    source: str
    coding: int
    udhi: bool
    content: bytes
    state: str
    carrier_message_id: str | None = None
    attempts: int = 0
    next_attempt_at: int | None = None
    sent_at: int | None = None
    final_at: int | None = None
    stat: str = ""
    error: str = ""
    possible_duplicate: bool = False


AcceptedMessage = tuple[MessageRow, Sequence[SegmentRow], Sequence[Event]]
"""One message with its segments and the events that tell of it."""


def insert(
    connection: Connection, messages: Sequence[MessageRow], segments: Sequence[SegmentRow]
) -> None:
    """Insert messages and their segments in as few statements as possible."""
    insert_rows(connection, message_table, [_as_tuple(row) for row in messages])
    insert_rows(connection, segment_table, [_as_tuple(row) for row in segments])


class Accept(Operation[AcceptedMessage, int]):
    """Record accepted messages; each result is the message's id."""

    name: ClassVar[str] = "accept"
    rank: ClassVar[int] = 0

    def execute(self, connection: Connection, rows: Sequence[AcceptedMessage]) -> list[int]:
        """Insert all messages, then all segments, then all events."""
        insert(
            connection,
            [message for message, _, _ in rows],
            [segment for _, segments, _ in rows for segment in segments],
        )
        events: list[Event] = []
        for message, _, told in rows:
            for event in told:
                event.at = event.at or message.created_at
                events.append(event)
        event_rows.append(connection, ids_of(connection), 0, events)
        return [message.id for message, _, _ in rows]


ACCEPT = Accept()


def get(connection: Connection, message_id: int) -> MessageRow | None:
    """Return a message, or None."""
    row = connection.execute(select(message_table).where(message_table.c.id == message_id)).first()
    return MessageRow(*row) if row is not None else None


def page(
    connection: Connection,
    *,
    before: int | None = None,
    account: str | None = None,
    recipient: str | None = None,
    status: MessageStatus | str | None = None,
    limit: int = 50,
) -> list[MessageRow]:
    """Return messages newest first; ``before`` is the id of the last one of the page before."""
    table = message_table.c
    query = select(message_table).order_by(table.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.id < before)
    if account is not None:
        query = query.where(table.account == account)
    if recipient is not None:
        query = query.where(table.recipient == recipient)
    if status is not None:
        query = query.where(table.status == str(status))
    return [MessageRow(*row) for row in connection.execute(query)]


def segments_of(connection: Connection, message_id: int) -> list[SegmentRow]:
    """Return a message's segments by part."""
    query = (
        select(segment_table)
        .where(segment_table.c.message_id == message_id)
        .order_by(segment_table.c.part)
    )
    return [SegmentRow(*row) for row in connection.execute(query)]
