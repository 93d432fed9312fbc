"""What waits in the store: read a page at a time to go on with, and settled when its time is over.

Segments wait ``queued`` for their turn and ``unknown`` for their outcome; reports wait parked for
their segment. Nothing here reads more rows than it was asked for.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, delete, select, text
from sqlalchemy.sql.expression import TextualSelect

from smsgw.store.messages import SegmentRow
from smsgw.store.progress import Batch, StatusChange
from smsgw.store.schema import message, parked_report, segment
from smsgw.store.statements import json_array

EXPIRED_ERROR = "valid_until passed before it was sent"
UNKNOWN_ERROR = "outcome unknown: no answer came, it may have reached the phone"
"""Why a message is given up that was submitted, and nobody can say what became of it."""

_INDEXED = "segment s INDEXED BY ix_segment_state_next_attempt_at"
_COLUMNS = ", ".join(f"s.{column.name}" for column in segment.columns)
_WAITING = f"""SELECT {_COLUMNS}, m.message_class, m.valid_until
 FROM {_INDEXED} CROSS JOIN message m ON m.id = s.message_id
 WHERE s.state = 'queued' AND s.link = :link AND m.message_class = :class
 AND m.valid_until > :now AND m.final_at IS NULL
 AND s.id NOT IN (SELECT value FROM json_each(:held)) AND s.next_attempt_at """
WAITING_QUERIES = (
    _WAITING + "IS NOT NULL ORDER BY s.next_attempt_at, s.id LIMIT :limit",
    _WAITING + "IS NULL ORDER BY s.id LIMIT :limit",
)
"""First what was tried before, then what was not; each in the order of the index."""


def _typed(query: str, *more: str) -> TextualSelect:
    return text(query).columns(*segment.columns, *(message.columns[name] for name in more))


_QUERIES = [_typed(query, "message_class", "valid_until") for query in WAITING_QUERIES]
_INTERRUPTED = _typed(
    f"SELECT {_COLUMNS} FROM {_INDEXED} WHERE s.state = 'sending' AND s.id > :after"
    " ORDER BY s.id LIMIT :limit"
)


class WaitingSegment(msgspec.Struct, gc=False):
    """A queued segment, with what its message says about sending it."""

    segment: SegmentRow
    message_class: str
    valid_until: int


def waiting(
    connection: Connection,
    link: str,
    message_class: str,
    now_ms: int,
    limit: int,
    held: Collection[int],
) -> list[WaitingSegment]:
    """Return up to ``limit`` queued segments of one link and class, in the order to send them.

    Not among them: those past ``valid_until`` (see :func:`expire`), parts of a message another part
    of which failed, and those whose ids are ``held``.
    """
    found: list[WaitingSegment] = []
    values = {
        "link": link,
        "class": str(message_class),
        "now": now_ms,
        "held": json_array(list(held)),
    }
    for query in _QUERIES:
        if len(found) < limit:
            rows = connection.execute(query, {**values, "limit": limit - len(found)})
            found += [WaitingSegment(SegmentRow(*row[:-2]), row[-2], row[-1]) for row in rows]
    return found


def queued_by_link(connection: Connection) -> dict[str, int]:
    """Return how many segments are queued for each link that has any."""
    query = f"SELECT s.link, count(*) FROM {_INDEXED} WHERE s.state = 'queued' GROUP BY s.link"
    return {row[0]: row[1] for row in connection.exec_driver_sql(query)}


def interrupted(connection: Connection, after: int, limit: int) -> list[SegmentRow]:
    """Return up to ``limit`` segments ``sending`` with ids above ``after``, by id.

    After a start they were handed to a link that is no more: the caller settles them as unknown.
    """
    rows = connection.execute(_INTERRUPTED, {"after": after, "limit": limit})
    return [SegmentRow(*row) for row in rows]


def begin_waits(connection: Connection, until: int) -> int:
    """Give segments of unknown outcome that have none an end of their wait; return how many."""
    query = (
        "UPDATE segment SET next_attempt_at = ? WHERE state = 'unknown' AND next_attempt_at IS NULL"
    )
    return connection.exec_driver_sql(query, (until,)).rowcount


class Ended(msgspec.Struct, gc=False):
    """A segment whose outcome is waited for no longer: sent again, or given up.

    Attributes:
        resend: The segment as it is now, when it is to be sent again; else None.
        changes: The new status of its message, if it was given up and that followed.
    """

    resend: WaitingSegment | None
    changes: list[StatusChange]


def end_waits(connection: Connection, now_ms: int, attempts: int, limit: int) -> list[Ended]:
    """Queue segments again whose wait for their outcome is over, longest over first.

    One whose message is past ``valid_until`` or failed by another part, or that was submitted
    ``attempts`` times, is not sent again: it ends ``expired``, with a reason that says that it may
    have arrived. It runs on the writer's connection. Call it again while it returns ``limit``.

    Args:
        connection: The writer's.
        now_ms: The present time.
        attempts: The most submits of one segment; 0 sends none again.
        limit: The most to end now.
    """
    query = (
        select(segment, message.c.message_class, message.c.valid_until, message.c.final_at)
        .join_from(segment, message)
        .where(segment.c.state == "unknown", segment.c.next_attempt_at <= now_ms)
        .order_by(segment.c.next_attempt_at, segment.c.id)
        .limit(limit)
    )
    found = [(SegmentRow(*row[:-3]), *row[-3:]) for row in connection.execute(query)]
    if not found:
        return []
    batch = Batch(connection)
    batch.load({row.message_id for row, *_ in found})
    ended: list[Ended] = []
    for row, message_class, valid_until, final_at in found:
        now = batch.segments[row.id]
        if row.attempts >= attempts or valid_until <= now_ms or final_at is not None:
            ended.append(Ended(None, batch.move(now, "expired", now_ms, "", UNKNOWN_ERROR)))
            continue
        batch.move(now, "queued", now_ms)
        batch.mark(now)
        row.state, row.possible_duplicate = "queued", True
        row.next_attempt_at = now.next_attempt_at = now_ms
        data = {
            "to": row.recipient,
            "reference": now.reference,
            "segment": str(row.id),
            "attempts": row.attempts,
            "carrier_message_id": row.carrier_message_id or "",
        }
        batch.tell("message.resent", now, now_ms, data)
        ended.append(Ended(WaitingSegment(row, message_class, valid_until), []))
    batch.save()
    return ended


class Expired(msgspec.Struct, gc=False):
    """A segment that was given up, and the new status of its message, if that followed."""

    segment_id: int
    message_id: int
    changes: list[StatusChange]


def expire(connection: Connection, now_ms: int, limit: int = 1000) -> list[Expired]:
    """Give up queued segments whose message is past ``valid_until``, oldest first.

    It runs on the writer's connection. Call it again while it returns ``limit`` segments.
    """
    query = (
        select(segment.c.id, segment.c.message_id)
        .join_from(segment, message)
        .where(segment.c.state == "queued", message.c.valid_until <= now_ms)
        .order_by(segment.c.id)
        .limit(limit)
    )
    found = connection.execute(query).all()
    if not found:
        return []
    batch = Batch(connection)
    batch.load({row.message_id for row in found})
    expired: list[Expired] = []
    for row in found:
        now = batch.segments[row.id]
        error = UNKNOWN_ERROR if now.possible_duplicate else EXPIRED_ERROR
        changes = batch.move(now, "expired", now_ms, "", error)
        expired.append(Expired(row.id, row.message_id, changes))
    batch.save()
    return expired


def purge_parked(connection: Connection, older_than: int) -> int:
    """Delete parked reports received before ``older_than`` (ms); return how many."""
    result = connection.execute(
        delete(parked_report).where(parked_report.c.received_at < older_than)
    )
    return result.rowcount
