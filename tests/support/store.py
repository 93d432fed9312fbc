"""Rows for tests of the store and what stands on it: valid as they are, any field replaceable."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from smsgw.model import Event, MessageClass, MessageStatus
from smsgw.store import events, messages, schema
from smsgw.store.batches import BatchRow
from smsgw.store.ids import IdSource
from smsgw.store.inbox import InboundRow, PartRow
from smsgw.store.messages import AcceptedMessage, MessageRow, SegmentRow, encode_contents
from smsgw.store.outbox import SETTLE, Settled, Settlement
from smsgw.store.queue import TAKE, Handful, QueuedSegment, Taken
from smsgw.store.reports import REPORTS, Reported, ReportRow
from smsgw.store.requests import RequestRow
from smsgw.store.statements import insert_rows

NOW = 1_800_000_000_000
PHONE = "13800001001"


def message_row(ids: IdSource, **fields: Any) -> MessageRow:
    """A queued message; every part carries its text."""
    row: dict[str, Any] = {
        "id": ids.next(),
        "account": "newsroom",
        "reference": "order-1",
        "recipient": PHONE,
        "text": "您好",
        "message_class": "interactive",
        "status": "queued",
        "reason": "",
        "expects_reply": True,
        "want_report": True,
        "operator": "mobile",
        "link": "cmcc",
        "access_number": "10690001",
        "extension": "001",
        "coding": 8,
        "parts": 1,
        "contents": b"",
        "created_at": NOW,
        "valid_until": NOW + 86_400_000,
        **fields,
    }
    content = row["text"].encode("utf-16-be")
    row["contents"] = row["contents"] or encode_contents([content] * row["parts"])
    return MessageRow(**row)


def queued_segment(message: MessageRow, part: int = 1, **fields: Any) -> QueuedSegment:
    """A part of a message as it is sent."""
    item = QueuedSegment(
        message.id,
        part,
        message.parts,
        message.account,
        message.link,
        message.recipient,
        message.access_number + message.extension,
        message.coding,
        message.text.encode("utf-16-be"),
        MessageClass(message.message_class),
        message.valid_until,
    )
    for name, value in fields.items():
        setattr(item, name, value)
    return item


def queued_segments(message: MessageRow) -> list[QueuedSegment]:
    """All parts of a message as they are sent."""
    return [queued_segment(message, part) for part in range(1, message.parts + 1)]


def accepted(message: MessageRow, node: int = 0) -> AcceptedMessage:
    """A message as it is accepted."""
    return message, [item.queue_row(node, item.due_at) for item in queued_segments(message)]


def batch_row(batch_id: int, messages: int, **fields: Any) -> BatchRow:
    """A batch of the newsroom's; its messages are :func:`message_row`'s."""
    row: dict[str, Any] = {
        "id": batch_id,
        "account": "newsroom",
        "reference": "spring",
        "text": "您好 {name}",
        "message_class": "interactive",
        "expects_reply": False,
        "send_at": None,
        "valid_for": 86_400_000,
        "created_at": NOW,
    }
    return BatchRow(**{**row, "messages": messages, **fields})


def part_row(ids: IdSource, **fields: Any) -> PartRow:
    """A single, unjoined part from the phone."""
    part_id = ids.next()
    row: dict[str, Any] = {
        "id": part_id,
        "link": "cmcc",
        "dedupe_key": str(part_id),
        "sender": PHONE,
        "destination": "10690001001",
        "reference": "",
        "total": 1,
        "sequence": 1,
        "coding": 8,
        "content": "同意".encode("utf-16-be"),
        "pdu": b"\x00\x01",
        "received_at": NOW,
    }
    return PartRow(**{**row, **fields})


def inbound_row(ids: IdSource, **fields: Any) -> InboundRow:
    """A whole inbound message nobody has read."""
    row: dict[str, Any] = {
        "id": ids.next(),
        "link": "cmcc",
        "sender": PHONE,
        "destination": "10690001001",
        "access_number": "10690001",
        "extension": "001",
        "text": "同意",
        "parts": 1,
        "missing": "",
        "received_at": NOW,
    }
    return InboundRow(**{**row, **fields})


def settlement(
    message: MessageRow, state: MessageStatus, part: int = 1, **fields: Any
) -> Settlement:
    """What the submit of a part came to, a millisecond after its message was accepted."""
    row = {"link": message.link, "account": message.account, "at": NOW + 1, "attempts": 1, **fields}
    return Settlement(message.id, part, state=state, **row)


def report_row(carrier_message_id: str, status: MessageStatus, **fields: Any) -> ReportRow:
    """A carrier's report about the segment it knows by that id."""
    row = {"link": "cmcc", "recipient": PHONE, "stat": "DELIVRD", "error": "000", "at": NOW + 9}
    return ReportRow(carrier_message_id=carrier_message_id, status=status, **{**row, **fields})


class StoredMessages:
    """Messages of any number of parts in any state, and what happens to them, in few words."""

    def __init__(self, connection: Connection, ids: IdSource) -> None:
        self.connection = connection
        self.ids = ids

    def message(self, *states: MessageStatus, **fields: Any) -> MessageRow:
        """A message whose parts stand where these states say: QUEUED in the queue, SENDING taken
        out of it, all others with a row of their own. No event tells of it."""
        message = message_row(self.ids, **{"parts": len(states) or 1, **fields})
        insert_rows(self.connection, schema.message, [msgspec.structs.astuple(message)])
        queue, taken, segments = [], [], []
        for part, state in enumerate(states or (MessageStatus.QUEUED,), 1):
            if state is MessageStatus.QUEUED:
                item = queued_segment(message, part)
                queue.append(msgspec.structs.astuple(item.queue_row(self.ids.node, 0)))
            elif state is MessageStatus.SENDING:
                taken.append((message.id, part, 1))
            else:
                row = SegmentRow(message.id, part, message.link, state.value, attempts=1)
                segments.append(msgspec.structs.astuple(row))
        insert_rows(self.connection, schema.queue, queue)
        insert_rows(self.connection, schema.segment, segments)
        if taken:
            named = msgspec.json.encode(taken).decode()
            handful = (self.ids.next(), self.ids.node, message.link, named)
            insert_rows(self.connection, schema.sending, [handful])
        return message

    def take(self, items: Iterable[QueuedSegment], done: Iterable[int] = ()) -> Taken:
        """Take segments of one link out of the queue, to submit them once more."""
        found = list(items)
        named = [(str(i.message_class), i.due_at, *i.key, i.attempts + 1) for i in found]
        return TAKE.execute(self.connection, [Handful(found[0].link, named, list(done))])[0]

    def settle(
        self, message: MessageRow, state: MessageStatus, part: int = 1, **fields: Any
    ) -> Settled:
        """Settle the submit of one part."""
        return SETTLE.execute(self.connection, [settlement(message, state, part, **fields)])[0]

    def retry(self, message: MessageRow, due: int, part: int = 1, **fields: Any) -> Settled:
        """Settle the submit of one part as refused for now."""
        again = queued_segment(message, part).queue_row(self.ids.node, due)
        queued = MessageStatus.QUEUED
        return self.settle(message, queued, part, next_attempt_at=due, again=again, **fields)

    def report(
        self,
        carrier_message_id: str,
        status: MessageStatus = MessageStatus.DELIVERED,
        **fields: Any,
    ) -> Reported:
        """Apply one report."""
        return REPORTS.execute(self.connection, [report_row(carrier_message_id, status, **fields)])[
            0
        ]

    def now(self, message: MessageRow) -> MessageRow:
        """The message as it is shown."""
        found = messages.get(self.connection, message.id)
        assert found is not None
        return found

    def segment(self, message: MessageRow, part: int = 1) -> SegmentRow:
        """One part as it is shown."""
        return messages.segments_of(self.connection, message)[part - 1]

    def queued(self) -> list[tuple[int, int, int]]:
        """When, message and part of all that stands in the queue."""
        table = schema.queue.c
        query = select(table.due_at, table.message_id, table.part).order_by(*table)
        return [tuple(row) for row in self.connection.execute(query)]

    def sending(self) -> list[list[list[int]]]:
        """What each handful that is not forgotten names, oldest first."""
        table = schema.sending.c
        query = select(table.segments).order_by(table.id)
        return [msgspec.json.decode(row.segments) for row in self.connection.execute(query)]

    def parked(self) -> int:
        """How many reports wait for their segment."""
        query = select(func.count()).select_from(schema.parked_report)
        return self.connection.execute(query).scalar_one()

    def events(self) -> list[Event]:
        """All events so far."""
        events.write_noted(self.connection)
        return events.list_after(self.connection)

    def kinds(self) -> list[str]:
        """What the events tell of."""
        return [event.kind for event in self.events()]


def request_row(request_id: int, **fields: Any) -> RequestRow:
    """An open request of the office."""
    values: dict[str, Any] = {
        "id": request_id,
        "account": "office",
        "type": "",
        "preset": "approval",
        "subject": "采购",
        "body": "请审批",
        "reference": "",
        "applicant_name": "",
        "applicant_phone": "",
        "settings": "{}",
        "state": "open",
        "outcome": "",
        "version": 1,
        "created_at": NOW,
    }
    return RequestRow(**{**values, **fields})
