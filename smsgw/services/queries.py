"""Read models for the API and the command line: rows as JSON-ready objects.

Ids are decimal text (63 bits do not fit a JavaScript number), times ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection

from smsgw.errors import NotFound
from smsgw.model import Coding, Event, MessageStatus
from smsgw.services.webhooks import deliveries
from smsgw.services.webhooks.deliveries import Delivery
from smsgw.store import batches, inbox_marks, messages, reports
from smsgw.store import events as event_rows
from smsgw.store import trace as traces
from smsgw.store.batches import BatchRow, Tally
from smsgw.store.evidence import PSEUDONYM
from smsgw.store.inbox import InboundRow
from smsgw.store.messages import MessageRow, SegmentRow
from smsgw.store.reports import ParkedReport
from smsgw.store.trace import Owed

Json = dict[str, Any]


def iso(ms: int | None) -> str | None:
    """Milliseconds since the Unix epoch as ISO 8601 in UTC; None stays None."""
    if ms is None:
        return None
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def message(connection: Connection, account: str, message_id: int) -> Json:
    """Return one message with its segments.

    Raises:
        NotFound: No such message, or it is another account's.
    """
    row = messages.get(connection, message_id)
    if row is None or row.account != account:
        raise NotFound(f"message {message_id}: not recorded")
    return message_json(row) | {"segments": segments_json(connection, row)}


def trace(connection: Connection, account: str, message_id: int) -> Json:
    """Return one message, and everything recorded about it.

    Raises:
        NotFound: No such message, or it is another account's.
    """
    shown = message(connection, account, message_id)
    row = messages.get(connection, message_id)
    assert row is not None  # the same transaction has just read it
    segments = messages.segments_of(connection, row)
    moments = {at for one in segments for at in (one.sent_at, one.final_at) if at is not None}
    told = traces.events_about(connection, row, moments)
    replies = traces.replies_to(connection, row)
    return {
        "account": account,
        "message": shown,
        "events": [event_json(event) for event in told.events],
        "events_complete": told.complete,
        "links_left": traces.links_left(connection, message_id),
        "replies": [inbound_json(one) for one in replies],
        "deliveries": [
            delivery_json(one) for one in deliveries.of_events(connection, account, told.events)
        ],
        "customers": [owed_json(one) for one in traces.owed_to_customers(connection, row, replies)],
    }


def message_page(
    connection: Connection, account: str, batch: int | None = None, **filters: Any
) -> Sequence[Json]:
    """Return messages, newest first; filters as :func:`smsgw.store.messages.page`."""
    if batch is not None:
        rows = batches.messages_page(connection, account, batch, **filters)
    else:
        rows = messages.page(connection, account=account, **filters)
    return [message_json(row) for row in rows]


def inbound_page(
    connection: Connection,
    account: str,
    before: int | None,
    limit: int,
    *,
    general: bool = True,
    unread: bool = False,
) -> Sequence[Json]:
    """Return what phones sent to ``account``, newest first.

    ``general`` adds what they sent to nobody in particular; ``unread`` is only what the account has
    not read.
    """
    rows = inbox_marks.page(
        connection, account, general=general, unread=unread, before=before, limit=limit
    )
    return [inbound_json(row) | {"unread": new} for row, new in rows]


def events_after(
    connection: Connection, account: str, after: int, limit: int, kinds: Sequence[str] = ()
) -> Sequence[Json]:
    """Return events of ``account`` or nobody in particular, oldest first, newer than ``after``.

    ``kinds`` are names, or such as ``request.*``; none is all.
    """
    found = event_rows.list_after(connection, after, limit, (account, ""), kinds)
    return [event_json(event) for event in found]


def unmatched_page(connection: Connection, **filters: Any) -> Sequence[Json]:
    """Return parked reports, newest first; filters as :func:`smsgw.store.reports.unmatched`."""
    return [unmatched_json(row) for row in reports.unmatched(connection, **filters)]


def message_json(row: MessageRow) -> Json:
    """One message, without its segments."""
    return {
        "id": str(row.id),
        "account": row.account,
        "to": row.recipient,
        "text": row.text,
        "class": row.message_class,
        "ref": row.reference,
        "status": row.status,
        "reason": row.reason,
        "expect_reply": row.expects_reply,
        "operator": row.operator,
        "link": row.link,
        "sender_number": row.access_number + row.extension,
        "access_number": row.access_number,
        "extension": row.extension,
        "coding": _coding(row.coding),
        "parts": row.parts,
        "created_at": iso(row.created_at),
        "send_at": iso(row.send_at),
        "valid_until": iso(row.valid_until),
        "final_at": iso(row.final_at),
        "purged": not row.contents,
    }


def segments_json(connection: Connection, row: MessageRow) -> list[Json]:
    """The segments of a message, by part."""
    octets: list[int | None] = [None] * row.parts
    if row.contents:
        octets = [len(content) for content in messages.decode_contents(row.contents)]
    return [
        segment_json(one, row.parts, octets[one.part - 1])
        for one in messages.segments_of(connection, row)
    ]


def segment_json(row: SegmentRow, total: int, octets: int | None) -> Json:
    """One submit's worth of a message: which part of how many, and its user data's octets."""
    return {
        "part": row.part,
        "total": total,
        "link": row.link,
        "state": row.state,
        "carrier_message_id": row.carrier_message_id,
        "octets": octets,
        "attempts": row.attempts,
        "sent_at": iso(row.sent_at),
        "final_at": iso(row.final_at),
        "stat": row.stat,
        "error": row.error,
        "possible_duplicate": row.possible_duplicate > 0,
    }


def inbound_json(row: InboundRow) -> Json:
    """One message a phone sent."""
    return {
        "id": str(row.id),
        "account": row.account,
        "from": row.sender,
        "to": row.destination,
        "access_number": row.access_number,
        "extension": row.extension,
        "text": row.text,
        "parts": row.parts,
        "missing_parts": row.missing,
        "link": row.link,
        "received_at": iso(row.received_at),
        "request_id": str(row.request_id) if row.request_id is not None else None,
        "conversation_id": None if row.conversation_id is None else str(row.conversation_id),
        "outcome": row.outcome,
        "handled_at": iso(row.handled_at),
        "purged": not row.sender or row.sender.startswith(PSEUDONYM),
    }


def unmatched_json(row: ParkedReport) -> Json:
    """One status report that names no segment we know."""
    return {
        "id": str(row.id),
        "link": row.link,
        "carrier_message_id": row.carrier_message_id,
        "to": row.recipient,
        "status": row.status,
        "stat": row.stat,
        "error": row.error,
        "received_at": iso(row.received_at),
    }


def delivery_json(delivery: Delivery) -> Json:
    """One event at one webhook; of its URL only the host, for the rest may hold a secret."""
    return {
        "webhook_id": str(delivery.webhook.id),
        "host": urlsplit(delivery.webhook.url).hostname,
        "event_id": str(delivery.event.id),
        "kind": delivery.event.kind,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": iso(delivery.next_attempt_at),
        "problem": delivery.problem,
        "at": iso(delivery.at),
    }


def owed_json(owed: Owed) -> Json:
    """What a customer who binds to us is owed."""
    return {
        "customer": owed.customer,
        "kind": owed.kind,
        "subject_id": str(owed.subject_id),
        "state": "waiting" if owed.waiting else "owed",
        "failures_only": owed.failures_only,
        "number": owed.number,
        "since": iso(owed.since),
    }


def event_json(event: Event) -> Json:
    """One event of the outbox."""
    return {
        "id": str(event.id),
        "at": iso(event.at),
        "kind": event.kind,
        "account": event.account,
        "subject_id": str(event.subject_id),
        "data": event.data,
    }


def _coding(code: int) -> str:
    try:
        return Coding(code).name.lower()
    except ValueError:
        return str(code)


def batch_json(row: BatchRow) -> Json:
    """One batch, without its progress."""
    return {
        "id": str(row.id),
        "account": row.account,
        "text": row.text,
        "class": row.message_class,
        "ref": row.reference,
        "expect_reply": row.expects_reply,
        "send_at": iso(row.send_at),
        "valid_for": row.valid_for / 1000,
        "messages": row.messages,
        "created_at": iso(row.created_at),
        "canceled_at": iso(row.canceled_at),
        "purged": not row.text,
    }


def progress_json(row: BatchRow, tally: Tally, counted_at: int) -> Json:
    """How far a batch is."""
    done = tally.finished >= row.messages
    return {
        "counts": {str(status): tally.counts.get(status, 0) for status in MessageStatus},
        "counted_at": iso(counted_at),
        "finished": tally.finished,
        "first_final_at": iso(tally.first_final_at),
        "last_final_at": iso(tally.last_final_at),
        "finished_at": iso(tally.last_final_at) if done else None,
    }
