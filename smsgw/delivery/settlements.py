"""What is written about a segment that is being sent. Pure."""

from __future__ import annotations

from smsgw.delivery.lanes import QueuedSegment
from smsgw.model import MessageStatus
from smsgw.store.backlog import EXPIRED_ERROR, UNKNOWN_ERROR
from smsgw.store.outbox import Settlement

SIBLING_ERROR = "another part of the message failed"


def settlement(item: QueuedSegment, state: MessageStatus, at: int, error: str = "") -> Settlement:
    """Return a segment's new state at a time (ms)."""
    row = item.row
    return Settlement(row.id, row.message_id, state, at, error=error, attempts=row.attempts)


def marked(item: QueuedSegment, at: int) -> Settlement:
    """Return that a segment is about to be submitted: one attempt more."""
    row = settlement(item, MessageStatus.SENDING, at)
    row.attempts += 1
    return row


def returned(item: QueuedSegment, at: int, due: int) -> Settlement:
    """Return that a marked segment was not submitted, and waits until it is due."""
    row = settlement(item, MessageStatus.QUEUED, at)
    row.next_attempt_at = due
    return row


def gave_up(item: QueuedSegment, at: int) -> Settlement:
    """Return why a segment is not sent: its time is over, or else a sibling failed."""
    if item.valid_until > at:
        return settlement(item, MessageStatus.CANCELED, at, SIBLING_ERROR)
    error = UNKNOWN_ERROR if item.row.possible_duplicate else EXPIRED_ERROR
    return settlement(item, MessageStatus.EXPIRED, at, error)
