"""What is written about a segment that was taken to be sent. Pure."""

from __future__ import annotations

from smsgw.model import MessageStatus
from smsgw.store.outbox import Settlement
from smsgw.store.queue import (
    EXPIRED_ERROR,
    SIBLING_ERROR,
    UNKNOWN_ERROR,
    Handful,
    QueuedSegment,
)


def settlement(item: QueuedSegment, state: MessageStatus, at: int, error: str = "") -> Settlement:
    """Return a segment's new state at a time (ms)."""
    return Settlement(
        item.message_id,
        item.part,
        item.link,
        item.account,
        state,
        at,
        error=error,
        attempts=item.attempts,
    )


def handful(
    link: str, picked: list[QueuedSegment], given_up: list[QueuedSegment], done: list[int]
) -> Handful:
    """Return what is taken out of the queue to be submitted, or to be given up."""
    segments = [
        (str(i.message_class), i.due_at, i.message_id, i.part, i.attempts + 1) for i in picked
    ]
    segments += [(str(i.message_class), i.due_at, i.message_id, i.part, 0) for i in given_up]
    return Handful(link, segments, done)


def gave_up(item: QueuedSegment, at: int) -> Settlement:
    """Return why a segment is not sent: its time is over, or else a sibling failed."""
    if item.valid_until > at:
        return settlement(item, MessageStatus.CANCELED, at, SIBLING_ERROR)
    error = UNKNOWN_ERROR if item.possible_duplicate else EXPIRED_ERROR
    return settlement(item, MessageStatus.EXPIRED, at, error)
