"""What is recorded about one message besides its own rows: events, links it left, replies, and what
customers who bind to us are owed.

Events of messages have no index by their subject. They are looked for where they must be: from the
message's acceptance on, and from each later moment its rows name, so many events at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from smsgw.model import Event
from smsgw.store.customers import REFUSED
from smsgw.store.events import event_of
from smsgw.store.ids import first_at, made_at
from smsgw.store.inbox import InboundRow
from smsgw.store.messages import MessageRow
from smsgw.store.schema import (
    OF_NO_MESSAGE,
    awaited_report,
    customer_delivery,
    inbound,
    rerouted,
)
from smsgw.store.schema import event as event_table
from smsgw.store.schema import message as message_table

SCANNED = 50_000
"""How many events are looked through from one moment on."""

REPLIES_MAX = 20

CLOCKS_MS = 60_000
"""By how much the clocks of processes may differ."""


class Told(NamedTuple):
    """The events of a message, oldest first.

    Attributes:
        events: What was found.
        complete: Whether there can be no others.
    """

    events: list[Event]
    complete: bool


class Owed(NamedTuple):
    """What a customer who binds to us is to be brought, and has not acknowledged.

    Attributes:
        customer: Who.
        kind: ``report``, or ``mo``: a reply.
        subject_id: The message, or the reply.
        failures_only: Of a report that is not made yet: it is not wanted of a success.
        waiting: It is made, and waits to be acknowledged; else it comes when the message has ended.
        since: When that began, in milliseconds since the Unix epoch.
        number: How many there are: parts of a long message have a report each, and long replies
            parts.
    """

    customer: str
    kind: str
    subject_id: int
    failures_only: bool
    waiting: bool
    since: int
    number: int


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


def owed_to_customers(
    connection: Connection,
    message: MessageRow,
    replies: Sequence[InboundRow],
    scanned: int = SCANNED,
) -> list[Owed]:
    """Return what customers are owed of a message and its replies; what they have had is forgotten.

    Deliveries have no index by what they tell of: they are looked for among so many made from the
    message's end on, and from its first reply on.
    """
    owed, waits = awaited_report.c, customer_delivery.c
    query = (
        select(owed.customer, owed.failures_only, func.min(owed.id), func.count())
        .where(owed.message_id == message.id)
        .group_by(owed.customer, owed.failures_only)
        .order_by(func.min(owed.id))
    )
    found = [
        Owed(row[0], "report", message.id, bool(row[1]), False, made_at(row[2]), row[3])
        for row in connection.execute(query)
    ]
    looked_for = [("report", message.final_at, [message.id])] if message.final_at else []
    if replies:
        looked_for.append(("mo", replies[0].received_at, [one.id for one in replies]))
    for kind, since, subjects in looked_for:
        near = (
            select(customer_delivery)
            .where(waits.id >= first_at(since - CLOCKS_MS))
            .order_by(waits.id)
            .limit(scanned)
            .subquery()
        )
        key = (near.c.customer, near.c.subject_id)
        query = (
            select(*key, func.min(near.c.created_at), func.count())
            .where(near.c.kind == kind, near.c.subject_id.in_(subjects))
            .group_by(*key)
            .order_by(func.min(near.c.id))
        )
        found += [
            Owed(row[0], kind, row[1], False, True, row[2], row[3])
            for row in connection.execute(query)
        ]
    return found


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
    if kind == REFUSED:
        return True
    return kind.startswith("report.") and kind not in ("report.parked", "report.dropped")
