"""Customers who bind to us: what they submitted in part, and what they are to be brought.

Rules: what a submit leads to is written in one transaction: the messages, the reports that are owed
under the ids the customer was given, and the end of the parts they were joined from. A delivery is
a row until the customer acknowledged it. Deliveries come from events, in their order, and each
event is read once, whichever process reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from smsgw.model import FINAL_RANK, STATUS_RANK, Event
from smsgw.store import events, messages
from smsgw.store.inbox import InboundRow
from smsgw.store.messages import AcceptedMessage
from smsgw.store.schema import (
    awaited_report,
    customer_delivery,
    inbound,
    reader,
    submitted_part,
)
from smsgw.store.schema import event as event_table
from smsgw.store.schema import message as message_table
from smsgw.store.statements import fetch_json, insert_new, insert_rows, json_array, run, shared
from smsgw.store.writer import Operation

_as_tuple = msgspec.structs.astuple

READER = "customers"
UNFINISHED = "submit.unfinished"
"""Parts of a message that never became whole, or could not be sent when it was."""
REFUSED = "delivery.refused"
"""A customer would not take a report or a message."""

_FINAL = [f"message.{status}" for status, rank in STATUS_RANK.items() if rank == FINAL_RANK]


class SubmittedPart(msgspec.Struct, gc=False):
    """A row of ``submitted_part``; the fields are its columns, in their order."""

    id: int
    customer: str
    source: str
    recipients: str
    reference: str
    total: int
    sequence: int
    coding: int
    content: bytes
    report: int
    received_at: int


class Delivery(msgspec.Struct, gc=False):
    """A row of ``customer_delivery``; the fields are its columns, in their order."""

    id: int
    customer: str
    kind: str
    subject_id: int
    content: bytes
    created_at: int


Awaited = tuple[int, str, int, bool]
"""A row of ``awaited_report``."""


class Submitted(NamedTuple):
    """What one or several submits of a customer lead to.

    Attributes:
        accepted: The messages.
        awaited: The reports that are owed on them.
        part_ids: The stored parts they were joined from.
    """

    accepted: Sequence[AcceptedMessage]
    awaited: Sequence[Awaited] = ()
    part_ids: Sequence[int] = ()


_ids_decoder = msgspec.json.Decoder(list[tuple[int]])
_LOCK_PARTS = """SELECT ROWS(id) FROM
 (SELECT id FROM submitted_part WHERE id IN IDS(?) ORDER BY id FOR UPDATE) p"""
_PARTS = "SELECT ROWS(id) FROM submitted_part WHERE id IN IDS(?)"


class Submit(Operation[Submitted, bool]):
    """Record what submits lead to; False, and nothing done, where another has had the parts."""

    name: ClassVar[str] = "submit"
    rank: ClassVar[int] = 1

    def execute(self, connection: Connection, rows: Sequence[Submitted]) -> list[bool]:
        """Insert what is to be inserted; the parts go."""
        parts = [part_id for row in rows for part_id in row.part_ids]
        found = _take_parts(connection, parts) if parts else set()
        results = [found.issuperset(row.part_ids) for row in rows]
        kept = [row for row, is_ours in zip(rows, results, strict=True) if is_ours]
        messages.insert(connection, [one for row in kept for one in row.accepted])
        insert_rows(connection, awaited_report, [one for row in kept for one in row.awaited])
        return results


SUBMIT = Submit()


def _take_parts(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Delete parts; return those that were there."""
    wanted = json_array(ids)
    text = _LOCK_PARTS if shared(connection) else _PARTS
    found = {part_id for (part_id,) in fetch_json(connection, _ids_decoder, text, wanted)}
    run(connection, "DELETE FROM submitted_part WHERE id IN IDS(?)", wanted)
    return found


class KeepParts(Operation[SubmittedPart, None]):
    """Record parts that wait for others; one that is there stays as it is."""

    name: ClassVar[str] = "keep parts"
    rank: ClassVar[int] = 0

    def execute(self, connection: Connection, rows: Sequence[SubmittedPart]) -> list[None]:
        """Insert them."""
        insert_new(connection, submitted_part, [_as_tuple(row) for row in rows])
        return [None] * len(rows)


KEEP_PARTS = KeepParts()


def give_up_parts(connection: Connection, ids: Sequence[int], event: Event) -> bool:
    """Delete stored parts and tell why; False, and nothing told, when another has had them."""
    if not _take_parts(connection, ids):
        return False
    events.append(connection, event.at, [event])
    return True


def parts(
    connection: Connection, customers: Collection[str], after: int = 0, limit: int = 1000
) -> list[SubmittedPart]:
    """Return stored parts of some customers, oldest first; ``after`` is an id."""
    table = submitted_part.c
    query = select(submitted_part).where(table.customer.in_(customers), table.id > after)
    return [
        SubmittedPart(*row) for row in connection.execute(query.order_by(table.id).limit(limit))
    ]


def beside(connection: Connection, part: SubmittedPart) -> list[SubmittedPart]:
    """Return all stored parts of a part's message, whichever process took them."""
    table = submitted_part.c
    query = select(submitted_part).where(
        table.customer == part.customer,
        table.source == part.source,
        table.recipients == part.recipients,
        table.reference == part.reference,
        table.total == part.total,
    )
    return [SubmittedPart(*row) for row in connection.execute(query.order_by(table.id))]


# ---- what customers are brought ----------------------------------------------------------


class Ended(NamedTuple):
    """A message that a customer wants a report on has come to an end."""

    event_id: int
    kind: str
    at: int
    id: int
    message_id: int
    customer: str
    failures_only: bool
    recipient: str
    sender: str
    created_at: int
    reason: str


class News(NamedTuple):
    """What happened since an event.

    Attributes:
        reached: The last event looked at.
        more: Whether there are more events already.
        ended: Ends of messages that reports are owed on, in order.
        inbound: What phones sent, each with its event's id, in order.
        unfinished: Parts that nothing came of, in order.
    """

    reached: int
    more: bool
    ended: list[Ended]
    inbound: list[tuple[int, InboundRow]]
    unfinished: list[Event]


def position(connection: Connection) -> tuple[int, int] | None:
    """Return the last event read, and the greatest id of a delivery made; None before the first."""
    query = select(reader.c.event_id, reader.c.newest_id).where(reader.c.name == READER)
    found = connection.execute(query).first()
    return None if found is None else (found.event_id, found.newest_id)


def start_reading(connection: Connection) -> None:
    """Begin with what happens from now on, unless it was begun before."""
    newest = connection.execute(select(func.max(event_table.c.id))).scalar() or 0
    insert_new(connection, reader, [(READER, newest, 0)])


def news(connection: Connection, after: int, accounts: Collection[str], limit: int) -> News:
    """Return what customers may have to be told of, of the next events.

    Args:
        connection: Any connection.
        after: The last event read.
        accounts: Whose phones' messages are wanted.
        limit: The most events to look at.
    """
    page = select(event_table.c.id).where(event_table.c.id > after)
    page = page.order_by(event_table.c.id).limit(limit)
    ids = [row.id for row in connection.execute(page)]
    if not ids:
        return News(after, False, [], [], [])
    looked_at = (event_table.c.id > after, event_table.c.id <= ids[-1])
    owed, message = awaited_report.c, message_table.c
    ended = (
        select(
            event_table.c.id,
            event_table.c.kind,
            event_table.c.at,
            owed.id,
            owed.message_id,
            owed.customer,
            owed.failures_only,
            message.recipient,
            message.access_number + message.extension,
            message.created_at,
            message.reason,
        )
        .join_from(event_table, awaited_report, owed.message_id == event_table.c.subject_id)
        .join(message_table, message.id == event_table.c.subject_id)
        .where(*looked_at, event_table.c.kind.in_(_FINAL))
        .order_by(event_table.c.id, owed.id)
    )
    came = (
        select(event_table.c.id.label("event_id"), inbound)
        .join_from(event_table, inbound, inbound.c.id == event_table.c.subject_id)
        .where(
            *looked_at,
            event_table.c.kind == "inbound.received",
            event_table.c.account.in_(accounts),
        )
        .order_by(event_table.c.id)
    )
    unfinished = (
        select(event_table)
        .where(*looked_at, event_table.c.kind == UNFINISHED)
        .order_by(event_table.c.id)
    )
    return News(
        ids[-1],
        len(ids) == limit,
        [Ended._make(row) for row in connection.execute(ended)],
        [(row[0], InboundRow(*row[1:])) for row in connection.execute(came)],
        [_event(row) for row in connection.execute(unfinished)],
    )


def _event(row: Any) -> Event:
    data = msgspec.json.decode(row.data)
    return Event(row.kind, row.subject_id, row.account, data, row.id, row.at)


class Made(NamedTuple):
    """What was made of some events.

    Attributes:
        after: The event after which they come.
        reached: The last of them.
        deliveries: In order.
        reported: Ids of reports that are not awaited any more.
    """

    after: int
    reached: int
    deliveries: Sequence[Delivery]
    reported: Sequence[int]


def write_deliveries(connection: Connection, made: Made) -> bool:
    """Record deliveries and how far the events were read.

    Returns:
        False, and nothing done, when another process has read on meanwhile.
    """
    newest = max((one.id for one in made.deliveries), default=0)
    moved = connection.execute(
        update(reader)
        .where(reader.c.name == READER, reader.c.event_id == made.after)
        .values(
            event_id=made.reached,
            **({"newest_id": newest} if newest else {}),
        )
    )
    if not moved.rowcount:
        return False
    insert_rows(connection, customer_delivery, [_as_tuple(one) for one in made.deliveries])
    if made.reported:
        wanted = json_array(made.reported)
        run(connection, "DELETE FROM awaited_report WHERE id IN IDS(?)", wanted)
    return True


def deliveries(
    connection: Connection, customer: str, after: int = 0, limit: int = 500
) -> list[Delivery]:
    """Return what a customer is to be brought, in order; ``after`` is an id."""
    table = customer_delivery.c
    query = select(customer_delivery).where(table.customer == customer, table.id > after)
    return [Delivery(*row) for row in connection.execute(query.order_by(table.id).limit(limit))]


def waiting(connection: Connection) -> dict[str, int]:
    """Return how many deliveries wait, for each customer that has any."""
    table = customer_delivery.c
    query = select(table.customer, func.count()).group_by(table.customer)
    return {row[0]: row[1] for row in connection.execute(query)}


class Delivered(Operation[int, None]):
    """Forget deliveries that customers acknowledged."""

    name: ClassVar[str] = "delivered"
    rank: ClassVar[int] = 6

    def execute(self, connection: Connection, rows: Sequence[int]) -> list[None]:
        """Delete them."""
        run(connection, "DELETE FROM customer_delivery WHERE id IN IDS(?)", json_array(rows))
        return [None] * len(rows)


DELIVERED = Delivered()


def give_up_delivery(connection: Connection, delivery_id: int, event: Event) -> None:
    """Delete a delivery that its customer would not take, and tell of it."""
    connection.execute(delete(customer_delivery).where(customer_delivery.c.id == delivery_id))
    events.append(connection, event.at, [event])
