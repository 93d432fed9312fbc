"""Messages that change their link: planned anew and replaced, in the transaction of what made them.

Only what is certainly not on its way through another link changes: no part of it may be handed to a
link or of unknown outcome. What was sent changes only after a report that it did not arrive.
Which link, if any, is asked of a function that a writing connection knows (:func:`give_finder`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection

from smsgw.model import MessageClass
from smsgw.store import messages
from smsgw.store.messages import MessageRow, QueueRow, SegmentRow, encode_contents
from smsgw.store.progress import Batch, MessageNow, SegmentNow
from smsgw.store.queue import QueuedSegment
from smsgw.store.schema import queue, rerouted, segment
from smsgw.store.statements import fetch_json, ids_of, insert_rows, run


class Why(StrEnum):
    """What makes a message change its link."""

    DOWN = "link down"
    REFUSED = "refused"
    UNDELIVERED = "undelivered"


class Elsewhere(msgspec.Struct, gc=False):
    """A message as another link sends it; ``contents`` has each part's octets."""

    link: str
    access_number: str
    coding: int
    contents: list[bytes]


FindLink = Callable[[MessageRow, Collection[str], Why], Elsewhere | None]
"""(message, links it may not take, why) -> the message planned for another link, or None."""


Place = tuple[int, int, int]
"""A place in what waits for a link, of one class: when it is due, message, part."""


class Waiting(msgspec.Struct, gc=False):
    """What became of messages that wait for a link that is down.

    Attributes:
        left: Ids of those that wait for it no longer.
        moved: Their segments as they are queued for other links.
        last: Where to go on; None when all were looked at.
        next_at: When the next one is due that is to be sent later (ms), or else how far was looked.
    """

    left: set[int]
    moved: list[QueuedSegment]
    last: Place | None
    next_at: int


BEGINNING: Place = (-1, 0, 0)
"""Where :func:`move_waiting` begins."""

AHEAD_MS = 3_600_000
"""What waits for another try waits no longer, as a rule; what is due later is to be sent later."""


def after(due_at: int) -> Place:
    """Return where :func:`move_waiting` begins with what is due later than that."""
    return due_at + 1, -1, 0


NOT_RECEIVED = frozenset(("EXPIRED", "DELETED", "UNDELIV", "REJECTD"))
"""States that say that the phone has not got it. Others, such as a network's own codes, may mean
anything: what is sent again after them may come twice.

Spec: cmpp.md section 7, smgp.md section 7, SMPP 3.4 5.2.28.
"""

_FINDER = "smsgw.find_link"

_PAGE = """SELECT ROWS(node, link, message_class, due_at, message_id, part, valid_until)
 FROM (SELECT * FROM queue WHERE node = ? AND link = ? AND message_class = ?
 AND (due_at, message_id, part) > (?, ?, ?) AND due_at <= ?
 ORDER BY due_at, message_id, part LIMIT ?) q"""
_PARTS = """SELECT ROWS(node, link, message_class, due_at, message_id, part, valid_until)
 FROM queue WHERE node = ? AND link = ? AND message_class = ? AND due_at {due}
 AND message_id = ?"""
_PARTS_OF = tuple(_PARTS.format(due=due) for due in ("= 0", "> 0"))
"""The parts of one message: by their whole key, or among what was tried before."""

_LEAVE = """DELETE FROM queue WHERE node = ? AND link = ? AND message_class = ? AND due_at = ?
 AND message_id = ? AND part = ?"""
_CHANGE = """UPDATE message SET status = ?, link = ?, access_number = ?, coding = ?, parts = ?,
 contents = ? WHERE id = ?"""
_TRIED = "SELECT link FROM rerouted WHERE message_id = ?"

_rows_decoder = msgspec.json.Decoder(list[tuple[int, str, str, int, int, int, int]])


def give_finder(connection: Connection, find: FindLink) -> None:
    """Make a writing connection ask ``find`` from now on; without it no message changes."""
    connection.info[_FINDER] = find


def after_refusal(
    batch: Batch, now: SegmentNow, at: int, told: dict[str, Any]
) -> tuple[list[QueuedSegment], bool]:
    """Give a message another link, because its own one refuses a part of it.

    Args:
        batch: Has the message.
        now: The part, before anything is recorded of the refusal.
        at: When, in milliseconds.
        told: What the event says of the refusal.

    Returns:
        Its segments as they are queued now, none when it stays; and whether it is worth asking
        again, since other parts are with the link still.
    """
    message = now.message
    if not _all_waits(batch, message):
        return [], False
    row = _row(batch, message.id)
    parts = _parts_queued(batch, row) if message.parts > 1 else []
    to = _find(batch.connection, row, Why.REFUSED, at)
    if to is None:
        return [], False
    waiting = {one.part for one in [*parts, *batch.queued_of(message.id)]}
    if any(part is not now and part.part not in waiting for part in batch.parts(message)):
        return [], True
    _note_tried(batch.connection, row)
    return _replace(batch, row, to, parts, at, _data(row, to, Why.REFUSED, told)), False


def after_report(
    batch: Batch, now: SegmentNow, at: int, stat: str, error: str
) -> list[QueuedSegment]:
    """Queue a message for another link, because a part of it is reported as not delivered.

    Args:
        batch: Has the message.
        now: The part, before its report is applied.
        at: When, in milliseconds.
        stat: The carrier's state word.
        error: Its error.

    Returns:
        Its segments as they are queued now; none when it stays.
    """
    message = now.message
    others = [part for part in batch.parts(message) if part is not now]
    if now.state != "sent" or any(part.state not in ("sent", "delivered") for part in others):
        return []
    row = _row(batch, message.id)
    to = _find(batch.connection, row, Why.UNDELIVERED, at)
    if to is None:
        return []
    _note_tried(batch.connection, row)
    doubt = stat not in NOT_RECEIVED or bool(others) or now.possible_duplicate > 0
    told = {
        "part": now.part,
        "stat": stat,
        "error": error,
        "carrier_message_id": now.carrier_message_id,
        "possible_duplicate": doubt,
    }
    data = _data(row, to, Why.UNDELIVERED, told)
    return _replace(batch, row, to, [], at, data, doubt=doubt)


def move_waiting(
    connection: Connection,
    link: str,
    message_class: str,
    now_ms: int,
    start: Place,
    limit: int,
) -> Waiting:
    """Give what waits for a link that is down to other links of its route.

    What is to be sent later stays until it is due. It runs on the writer's connection. Call it
    again with ``last`` until that is None.

    Args:
        connection: The writer's.
        link: Which is down.
        message_class: Which class.
        now_ms: The present time.
        start: Where the last call ended; first :data:`BEGINNING`, or :func:`after` a time.
        limit: The most rows of the queue to look at.
    """
    node, until = ids_of(connection).node, now_ms + AHEAD_MS
    page = _rows(connection, _PAGE, node, link, message_class, *start, until, limit)
    done = Waiting(set(), [], None, until)
    batch = Batch(connection)
    batch.load({one.message_id for one in page})
    for message_id, due_at in {one.message_id: one.due_at for one in page}.items():
        message = batch.messages.get(message_id)
        if message is None or not _all_waits(batch, message):
            continue
        if message.status == "scheduled" and due_at > now_ms:
            done.next_at = min(done.next_at, due_at)
            continue
        row = _row(batch, message_id)
        parts = _parts_queued(batch, row)
        to = _find(connection, row, Why.DOWN, now_ms) if len(parts) == row.parts else None
        if to is not None:
            data = _data(row, to, Why.DOWN, {})
            done.moved += _replace(batch, row, to, parts, now_ms, data)
            done.left.add(message_id)
    batch.save()
    if len(page) == limit:
        last = page[-1]
        done.last = (last.due_at, last.message_id, last.part)
    return done


def _untouched(part: SegmentNow) -> bool:
    """Tell whether nothing of a part can be on its way."""
    return part.state == "queued" and not part.possible_duplicate


def _all_waits(batch: Batch, message: MessageNow) -> bool:
    return message.final_at is None and all(_untouched(part) for part in batch.parts(message))


def _row(batch: Batch, message_id: int) -> MessageRow:
    row = messages.get(batch.connection, message_id)
    if row is None:
        raise AssertionError(f"message {message_id} is loaded and not recorded")
    return row


def _rows(connection: Connection, query: str, *parameters: Any) -> list[QueueRow]:
    return [QueueRow(*one) for one in fetch_json(connection, _rows_decoder, query, *parameters)]


def _parts_queued(batch: Batch, row: MessageRow) -> list[QueueRow]:
    """What the queue has of a message."""
    connection = batch.connection
    lane = (ids_of(connection).node, row.link, row.message_class)
    found: list[QueueRow] = []
    for query in _PARTS_OF:
        if len(found) < row.parts:
            found += _rows(connection, query, *lane, row.id)
    return found


def _find(connection: Connection, row: MessageRow, why: Why, at: int) -> Elsewhere | None:
    find: FindLink | None = connection.info.get(_FINDER)
    if find is None or row.valid_until <= at:
        return None
    return find(row, {row.link, *(one[0] for one in run(connection, _TRIED, row.id))}, why)


def _note_tried(connection: Connection, row: MessageRow) -> None:
    insert_rows(connection, rerouted, [(row.id, row.link)])


def _data(row: MessageRow, to: Elsewhere, why: Why, told: dict[str, Any]) -> dict[str, Any]:
    return {"from": row.link, "link": to.link, "why": str(why), **told}


def _replace(
    batch: Batch,
    row: MessageRow,
    to: Elsewhere,
    parts: Iterable[QueueRow],
    at: int,
    data: dict[str, Any],
    *,
    doubt: bool = False,
) -> list[QueuedSegment]:
    """Write a message's rows anew, and forget what the batch knew of them."""
    connection = batch.connection
    due_at = max(at, row.send_at or 0)
    for part in parts:
        key = (part.message_class, part.due_at, part.message_id, part.part)
        run(connection, _LEAVE, part.node, part.link, *key)
    run(connection, "DELETE FROM segment WHERE message_id = ?", row.id)
    waits = row.status in ("queued", "scheduled")
    status = row.status if waits else "unknown" if doubt else "queued"
    total = len(to.contents)
    changed = (status, to.link, to.access_number, to.coding, total, encode_contents(to.contents))
    run(connection, _CHANGE, *changed, row.id)
    items = [
        QueuedSegment(
            row.id,
            part,
            total,
            row.account,
            to.link,
            row.recipient,
            to.access_number + row.extension,
            to.coding,
            content,
            MessageClass(row.message_class),
            row.valid_until,
            due_at,
            row.want_report,
            possible_duplicate=doubt,
            recorded=doubt,
        )
        for part, content in enumerate(to.contents, start=1)
    ]
    node = ids_of(connection).node
    queued = [msgspec.structs.astuple(item.queue_row(node, due_at)) for item in items]
    insert_rows(connection, queue, queued)
    if doubt:
        insert_rows(connection, segment, [_doubtful(item) for item in items])
    batch.reload(row.id)
    batch.tell("message.rerouted", batch.messages[row.id], at, data)
    return items


def _doubtful(item: QueuedSegment) -> tuple[Any, ...]:
    row = SegmentRow(item.message_id, item.part, item.link, "queued", possible_duplicate=1)
    return msgspec.structs.astuple(row)
