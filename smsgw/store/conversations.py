"""Conversations of applications: whose, with whom, and under which extension.

The slot of a conversation says until when replies map to it (:mod:`smsgw.store.slots`); the replies
are rows of ``inbound`` that name it.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select, update

from smsgw.store.inbox import InboundRow
from smsgw.store.schema import conversation, inbound
from smsgw.store.statements import insert_rows


class ConversationRow(msgspec.Struct, gc=False):
    """A row of ``conversation``; the fields are its columns, in their order."""

    id: int
    account: str
    reference: str
    phone: str
    access_number: str
    extension: str
    slot_id: int
    created_at: int
    expires_at: int
    ended_at: int | None = None


def insert(connection: Connection, row: ConversationRow) -> None:
    """Insert a conversation."""
    insert_rows(connection, conversation, [msgspec.structs.astuple(row)])


def get(connection: Connection, conversation_id: int) -> ConversationRow | None:
    """Return a conversation, or None."""
    found = connection.execute(select(conversation).where(conversation.c.id == conversation_id))
    row = found.first()
    return ConversationRow(*row) if row is not None else None


def page(
    connection: Connection,
    account: str,
    *,
    before: int | None = None,
    reference: str | None = None,
    phone: str | None = None,
    limit: int = 50,
) -> list[ConversationRow]:
    """Return an account's conversations newest first; ``before`` is the last id of a page."""
    table = conversation.c
    query = select(conversation).where(table.account == account)
    if before is not None:
        query = query.where(table.id < before)
    if reference is not None:
        query = query.where(table.reference == reference)
    if phone is not None:
        query = query.where(table.phone == phone)
    rows = connection.execute(query.order_by(table.id.desc()).limit(limit))
    return [ConversationRow(*row) for row in rows]


def end(connection: Connection, conversation_id: int, now: int) -> bool:
    """Note when a conversation was ended; False, and nothing changed, when it was before."""
    changed = connection.execute(
        update(conversation)
        .where(conversation.c.id == conversation_id, conversation.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    return changed.rowcount == 1


def replies(connection: Connection, conversation_id: int, limit: int) -> list[InboundRow]:
    """Return the newest replies of a conversation, newest first."""
    query = (
        select(inbound)
        .where(inbound.c.conversation_id == conversation_id)
        .order_by(inbound.c.id.desc())
        .limit(limit)
    )
    return [InboundRow(*row) for row in connection.execute(query)]
