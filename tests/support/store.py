"""Rows for tests of the store and what stands on it: valid as they are, any field replaceable."""

from __future__ import annotations

from typing import Any

from smsgw.store.ids import IdSource
from smsgw.store.inbox import InboundRow, PartRow
from smsgw.store.messages import MessageRow, SegmentRow

NOW = 1_800_000_000_000
PHONE = "13800001001"


def message_row(ids: IdSource, **fields: Any) -> MessageRow:
    """A queued one-part message."""
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
        "operator": "mobile",
        "link": "cmcc",
        "access_number": "10690001",
        "extension": "001",
        "coding": 8,
        "parts": 1,
        "created_at": NOW,
        "valid_until": NOW + 86_400_000,
    }
    return MessageRow(**{**row, **fields})


def segment_row(ids: IdSource, message: MessageRow, **fields: Any) -> SegmentRow:
    """A queued segment of a message."""
    row: dict[str, Any] = {
        "id": ids.next(),
        "message_id": message.id,
        "link": message.link,
        "part": 1,
        "total": message.parts,
        "recipient": message.recipient,
        "source": message.access_number + message.extension,
        "coding": message.coding,
        "udhi": message.parts > 1,
        "content": message.text.encode("utf-16-be"),
        "state": "queued",
    }
    return SegmentRow(**{**row, **fields})


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
