"""What became of segments: settling submits.

States move forward only (:data:`smsgw.model.STATUS_RANK`). The one step back is a retry: a segment
that was not accepted goes back into the queue. An answer may bring the id that a report has named
already (:mod:`smsgw.store.reports`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from sqlalchemy import Connection

from smsgw.errors import StoreError
from smsgw.model import MessageStatus
from smsgw.store import events, reroute
from smsgw.store.messages import QueueRow
from smsgw.store.progress import RANK, Batch, SegmentNow, StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.store.reports import Named, add_reported, any_parked, apply_parked, contradicts
from smsgw.store.schema import segment
from smsgw.store.statements import insert_rows
from smsgw.store.writer import Operation

_QUEUED, _UNKNOWN, _SENT = "queued", "unknown", "sent"


class Settlement(msgspec.Struct, gc=False):
    """What a submit came to.

    Attributes:
        message_id: The segment's message.
        part: Which part of it.
        link: Where it was submitted.
        account: Whose message it is.
        state: SENT, UNKNOWN, REJECTED, EXPIRED or CANCELED; or QUEUED with ``again`` for a retry.
        at: When, in milliseconds.
        carrier_message_id: The id its reports will name, as soon as it is known.
        stat: The carrier's result in its words; "" when there is none.
        error: What it means, or our own reason.
        next_attempt_at: When a retry is due; with UNKNOWN, when waiting for the outcome ends.
        attempts: Submits made so far.
        possible_duplicate: The phone may get it twice: it is sent again after an unknown outcome.
        again: Its place in the queue, for a retry.
        first: Nothing is recorded of the segment yet, and it is the only one of its message.
        elsewhere: The message is to take another link, if it may and there is one; if parts of it
            are with this link still, the segment waits for them in the queue, as ``again`` says.
    """

    message_id: int
    part: int
    link: str
    account: str
    state: MessageStatus
    at: int
    carrier_message_id: str | None = None
    stat: str = ""
    error: str = ""
    next_attempt_at: int | None = None
    attempts: int = 0
    possible_duplicate: bool = False
    again: QueueRow | None = None
    first: bool = False
    elsewhere: bool = False


class Settled(msgspec.Struct, gc=False):
    """What was done with a settlement.

    Attributes:
        applied: Whether it was news.
        changes: The end of its message, if that followed.
        again: Whether the segment is in the queue again.
        moved: The message's segments, when it takes another link.
    """

    applied: bool
    changes: list[StatusChange]
    again: bool = False
    moved: list[QueuedSegment] | None = None


class Settle(Operation[Settlement, Settled]):
    """Apply settlements in order, then the reports that waited for the ids they bring.

    A message of one part that its carrier took at the first try, which most are, is one new row;
    for all others what is known of them is loaded first.
    """

    name: ClassVar[str] = "settle"
    rank: ClassVar[int] = 3

    def execute(self, connection: Connection, rows: Sequence[Settlement]) -> list[Settled]:
        """Apply all rows.

        Raises:
            StoreError: A row names a segment that is not recorded.
        """
        _insert_first(connection, [row for row in rows if row.first])
        batch = Batch(connection)
        batch.load({row.message_id for row in rows if not row.first})
        results: list[Settled] = []
        named: Named = {}
        parked = any_parked(connection)
        for row in rows:
            result = Settled(True, []) if row.first else _settle(batch, row)
            results.append(result)
            if parked and row.carrier_message_id and result.applied:
                told = ((row.message_id, row.part), result, row.at)
                named.setdefault((row.link, row.carrier_message_id), []).append(told)
        if named:
            add_reported(connection, named)
            apply_parked(connection, batch, named)
        batch.save()
        return results


SETTLE = Settle()


def not_first(row: Settlement) -> None:
    """Look before a settlement is written: it may be recorded already."""
    row.first = False


def _insert_first(connection: Connection, rows: Sequence[Settlement]) -> None:
    """Record segments that were sent at the first try."""
    insert_rows(
        connection,
        segment,
        [
            (
                row.message_id,
                row.part,
                row.link,
                "sent",
                row.carrier_message_id,
                row.attempts,
                None,
                row.at,
                None,
                row.stat,
                row.error,
                0,
            )
            for row in rows
        ],
    )
    events.note(
        connection, [(row.at, "message.sent", row.message_id, row.account, "") for row in rows]
    )


def _settle(batch: Batch, row: Settlement) -> Settled:
    now = batch.find(row.message_id, row.part)
    if now is None:
        problem = f"message {row.message_id} part {row.part}: not recorded, cannot be settled"
        raise StoreError(problem)
    named = row.carrier_message_id
    state = str(row.state)
    if not _is_news(now, row):
        if contradicts(now, state):
            data = {"is": now.state, "got": state, "stat": row.stat, "part": row.part}
            batch.tell("message.conflict", now.message, row.at, data)
        # A late answer brings the id that reports will name, whatever it says besides.
        fits = named and row.link == now.link and not now.carrier_message_id
        return Settled(bool(fits and batch.name(now, named or "")), [])
    again = row.again
    if row.elsewhere:
        told = {"part": row.part, "stat": row.stat, "error": row.error}
        moved, waits = reroute.after_refusal(batch, now, row.at, told)
        if moved:
            return Settled(True, [], moved=moved)
        if waits:
            state = _QUEUED
        elif state != _QUEUED:
            again = None
    changes = batch.move(now, state, row.at, row.stat, row.error)
    now.link = row.link
    if named:
        batch.name(now, named)
    now.attempts = max(now.attempts, row.attempts)
    now.next_attempt_at = row.next_attempt_at if again is None else again.due_at
    now.possible_duplicate = now.possible_duplicate or int(row.possible_duplicate)
    batch.touch(now)
    if again is not None:
        batch.queue(again)
    return Settled(True, changes, again is not None)


def _is_news(now: SegmentNow, row: Settlement) -> bool:
    """Whether a segment moves: forward, or back for a retry.

    Of a copy that was submitted again since, also through another link, only that the carrier took
    it counts; and what was taken, only a report ends.
    """
    if row.state is not MessageStatus.SENT and (
        now.state == _SENT or row.attempts < now.attempts or row.link != now.link
    ):
        return False
    return RANK[str(row.state)] > RANK[now.state] or _is_retry(now, row)


def _is_retry(now: SegmentNow, row: Settlement) -> bool:
    """The one allowed step back; from ``unknown``, and only from there, with the doubt visible.

    A late refusal of one that is queued again already must not queue it a second time.
    """
    return row.again is not None and now.state == (_UNKNOWN if row.possible_duplicate else _QUEUED)
