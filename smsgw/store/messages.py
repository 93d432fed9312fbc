"""Messages (what a customer sent) and their segments (one submit's worth each): insert and read.

A message is accepted with one row and one row in the queue for each of its parts; a part gets its
row in ``segment`` when something came of handing it to a link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    case,
    func,
    literal_column,
    select,
)

from smsgw.model import MessageStatus
from smsgw.store import events
from smsgw.store.ids import NODE_MAX, SEQUENCE_BITS, node_of
from smsgw.store.schema import message as message_table
from smsgw.store.schema import queue as queue_table
from smsgw.store.schema import segment as segment_table
from smsgw.store.statements import insert_rows
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
    want_report: bool
    operator: str
    link: str
    access_number: str
    extension: str
    coding: int
    parts: int
    contents: bytes
    created_at: int
    valid_until: int
    final_at: int | None = None
    send_at: int | None = None


class QueueRow(msgspec.Struct, gc=False):
    """A row of ``queue``; the fields are its columns, in their order."""

    node: int
    link: str
    message_class: str
    due_at: int
    message_id: int
    part: int
    valid_until: int


class SegmentRow(msgspec.Struct, gc=False):
    """A row of ``segment``; the fields are its columns, in their order."""

    message_id: int
    part: int
    link: str
    state: str
    carrier_message_id: str | None = None
    attempts: int = 0
    next_attempt_at: int | None = None
    sent_at: int | None = None
    final_at: int | None = None
    stat: str = ""
    error: str = ""
    possible_duplicate: int = 0


AcceptedMessage = tuple[MessageRow, Sequence[QueueRow]]
"""One message with what is to be sent of it."""

encode_contents = msgspec.msgpack.Encoder().encode
decode_contents = msgspec.msgpack.Decoder(list[bytes]).decode


def insert(
    connection: Connection, rows: Sequence[AcceptedMessage], about: Mapping[str, str] | None = None
) -> None:
    """Insert all messages, then what is to be sent of them; their first events say ``about``."""
    insert_rows(connection, message_table, [_as_tuple(message) for message, _ in rows])
    queued = [_as_tuple(row) for _, parts in rows for row in parts]
    insert_rows(connection, queue_table, queued)
    data = msgspec.json.encode(about).decode() if about else ""
    events.note(
        connection,
        [
            (message.created_at, "message." + message.status, message.id, message.account, data)
            for message, _ in rows
        ],
    )


class Accept(Operation[AcceptedMessage, int]):
    """Record accepted messages; each result is the message's id."""

    name: ClassVar[str] = "accept"
    rank: ClassVar[int] = 0

    def execute(self, connection: Connection, rows: Sequence[AcceptedMessage]) -> list[int]:
        """Insert them all."""
        insert(connection, rows)
        return [message.id for message, _ in rows]


ACCEPT = Accept()

_ONE_PART_STATE = (
    # One that is sent again after an unknown outcome stays unknown: a status never goes back.
    select(
        case(
            (
                and_(segment_table.c.state == "queued", segment_table.c.possible_duplicate > 0),
                "unknown",
            ),
            else_=segment_table.c.state,
        )
    )
    .where(segment_table.c.message_id == message_table.c.id, segment_table.c.part == 1)
    .correlate(message_table)
    .scalar_subquery()
)

STATUS = case(
    (
        and_(message_table.c.parts == 1, message_table.c.final_at.is_(None)),
        func.coalesce(_ONE_PART_STATE, message_table.c.status),
    ),
    else_=message_table.c.status,
).label("status")
"""A message's status. One of a single part spares itself the updates between accepted and final."""

_SELECTED = [STATUS if column.name == "status" else column for column in message_table.columns]


def _selected() -> Select[Any]:
    return select(*_SELECTED).select_from(message_table)


def get(connection: Connection, message_id: int) -> MessageRow | None:
    """Return a message, or None."""
    row = connection.execute(_selected().where(message_table.c.id == message_id)).first()
    return MessageRow(*row) if row is not None else None


def page(
    connection: Connection,
    *,
    before: int | None = None,
    account: str | None = None,
    recipient: str | None = None,
    status: MessageStatus | str | None = None,
    within: tuple[int, int] | None = None,
    limit: int = 50,
) -> list[MessageRow]:
    """Return messages newest first; ``before`` is the id of the last one of the page before.

    ``within`` are the first and the last id of messages that were made together.
    """
    table = message_table.c
    query = _selected().order_by(table.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.id < before)
    if account is not None:
        query = query.where(table.account == account)
    if recipient is not None:
        query = query.where(table.recipient == recipient)
    if status is not None:
        query = query.where(STATUS.element == str(status))
    if within is not None:
        query = query.where(made_together(*within))
    return [MessageRow(*row) for row in connection.execute(query)]


_MADE_BY: ColumnElement[int] = literal_column(
    f"((message.id >> {SEQUENCE_BITS}) & {NODE_MAX})", Integer
)


def made_together(first_id: int, last_id: int) -> ColumnElement[bool]:
    """Messages whose ids one node made in one go, from the first to the last."""
    return and_(message_table.c.id.between(first_id, last_id), _MADE_BY.in_((node_of(first_id),)))


def segments_of(connection: Connection, message: MessageRow) -> list[SegmentRow]:
    """Return a message's segments by part; nothing came yet of what is queued or scheduled."""
    query = (
        select(segment_table)
        .where(segment_table.c.message_id == message.id)
        .order_by(segment_table.c.part)
    )
    found = {row.part: SegmentRow(*row) for row in connection.execute(query)}
    waiting = "scheduled" if message.status == "scheduled" else "queued"
    return [
        found.get(part) or SegmentRow(message.id, part, message.link, waiting)
        for part in range(1, message.parts + 1)
    ]
