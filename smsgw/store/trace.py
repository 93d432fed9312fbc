"""What is recorded about one message besides its own rows: events, links it left, replies.

Events of messages have no index by their subject. They are looked for where they must be: from the
message's acceptance on, and from each later moment its rows name, so many events at a time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from smsgw.model import Event
from smsgw.store.events import event_of
from smsgw.store.ids import first_at, made_at
from smsgw.store.inbox import InboundRow
from smsgw.store.messages import MessageRow
from smsgw.store.schema import OF_NO_MESSAGE, inbound, rerouted
from smsgw.store.schema import event as event_table
from smsgw.store.schema import message as message_table

SCANNED = 50_000
"""How many events are looked through from one moment on."""

REPLIES_MAX = 20


class Told(NamedTuple):
    """The events of a message, oldest first.

    Attributes:
        events: What was found.
        complete: Whether there can be no others.
    """

    events: list[Event]
    complete: bool


def events_about(
    connection: Connection, message: MessageRow, moments: Collection[int], scanned: int = SCANNED
) -> Told:
    """Return the events of a message.

    Args:
        connection: Any connection.
        message: The message.
        moments: When something happened to it, in milliseconds since the Unix epoch.
        scanned: How many events are looked through from each moment on.
    """
    table = event_table.c
    named = select(event_table).where(table.subject_id == message.id, OF_NO_MESSAGE)
    found: dict[int, Any] = {row.id: row for row in connection.execute(named) if _is_ours(row.kind)}
    beyond = connection.execute(
        select(table.id)
        .where(table.id >= first_at(message.created_at))
        .order_by(table.id)
        .offset(scanned)
        .limit(1)
    ).scalar()
    ended = message.final_at
    complete = beyond is None or (ended is not None and made_at(beyond) > ended + 1000)
    later = [] if complete else sorted(moments)
    for at in [message.created_at, *later]:
        found |= {row.id: row for row in connection.execute(_from(at, message.id, scanned))}
    rows = [(*found[made], message.recipient, message.reference) for made in sorted(found)]
    return Told([event_of(*row) for row in rows], complete)


def links_left(connection: Connection, message_id: int) -> list[str]:
    """Return the links that a message was taken from."""
    query = select(rerouted.c.link).where(rerouted.c.message_id == message_id)
    return sorted(connection.execute(query.order_by(rerouted.c.link)).scalars())


def replies_to(connection: Connection, message: MessageRow) -> list[InboundRow]:
    """Return what its phone sent to its number until that number sent it something else."""
    others, replies = message_table.c, inbound.c
    until = connection.execute(
        select(func.min(others.created_at)).where(
            others.recipient == message.recipient,
            others.id > message.id,
            others.access_number == message.access_number,
            others.extension == message.extension,
        )
    ).scalar()
    query = select(inbound).where(
        replies.sender == message.recipient,
        replies.destination == message.access_number + message.extension,
        replies.received_at >= message.created_at,
        replies.account.in_((message.account, "")),
    )
    if until is not None:
        query = query.where(replies.received_at < until)
    query = query.order_by(replies.received_at, replies.id).limit(REPLIES_MAX)
    return [InboundRow(*row) for row in connection.execute(query)]


def _from(at: int, message_id: int, scanned: int) -> Select[tuple[object, ...]]:
    """Return the query for a message's events among those from a moment on."""
    table = event_table.c
    near = (
        select(event_table)
        .where(table.id >= first_at(at))
        .order_by(table.id)
        .limit(scanned)
        .subquery()
    )
    return select(near).where(near.c.subject_id == message_id, near.c.kind.startswith("message."))


def _is_ours(kind: str) -> bool:
    """Whether an event that is not of a message is about one: rows of other tables have ids too."""
    return kind.startswith("report.") and kind not in ("report.parked", "report.dropped")
