"""What waits in the store for its time to pass: outcomes nobody told, reports nobody matches."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, delete, select

from smsgw.model import Event, MessageClass
from smsgw.store import events
from smsgw.store.messages import decode_contents
from smsgw.store.progress import Batch, StatusChange
from smsgw.store.queue import UNKNOWN_ERROR, QueuedSegment
from smsgw.store.reports import PARKED_SECONDS, TOLD
from smsgw.store.schema import message, parked_report, segment
from smsgw.store.statements import ids_of


class Ended(msgspec.Struct, gc=False):
    """A segment whose outcome is waited for no longer: sent again, or given up.

    Attributes:
        resend: The segment as it is queued now, when it is to be sent again; else None.
        changes: The end of its message, if it was given up and that followed.
    """

    resend: QueuedSegment | None
    changes: list[StatusChange]


def end_waits(
    connection: Connection, now_ms: int, attempts: Mapping[str, int], limit: int
) -> list[Ended]:
    """Queue segments again whose wait for their outcome is over, longest over first.

    One whose message is past ``valid_until`` or failed by another part, or that was submitted as
    often as its class may be, is not sent again: it ends ``expired``, with a reason that says that
    it may have arrived. It runs on the writer's connection. Call it again while it returns
    ``limit``.

    Args:
        connection: The writer's.
        now_ms: The present time.
        attempts: Class to the most submits of one segment that may each have reached the phone; 0
            sends none again.
        limit: The most to end now.
    """
    query = (
        select(segment.c.message_id, segment.c.part, message)
        .join_from(segment, message, segment.c.message_id == message.c.id)
        .where(segment.c.state == "unknown", segment.c.next_attempt_at <= now_ms)
        .order_by(segment.c.next_attempt_at, segment.c.message_id, segment.c.part)
        .limit(limit)
    )
    found = connection.execute(query).all()
    if not found:
        return []
    node = ids_of(connection).node
    batch = Batch(connection)
    batch.load({row.message_id for row in found})
    ended: list[Ended] = []
    for row in found:
        now = batch.find(row.message_id, row.part)
        if now is None or now.state != "unknown" or (now.next_attempt_at or 0) > now_ms:
            continue  # another process was faster; it may even be in doubt again by now
        often = now.possible_duplicate + 1 >= attempts[row.message_class]
        if often or row.valid_until <= now_ms or now.message.final_at is not None:
            ended.append(Ended(None, batch.move(now, "expired", now_ms, "", UNKNOWN_ERROR)))
            continue
        batch.move(now, "queued", now_ms)
        now.possible_duplicate += 1
        now.next_attempt_at = now_ms
        again = QueuedSegment(
            row.message_id,
            row.part,
            row.parts,
            row.account,
            row.link,
            row.recipient,
            row.access_number + row.extension,
            row.coding,
            decode_contents(row.contents)[row.part - 1],
            MessageClass(row.message_class),
            row.valid_until,
            now_ms,
            row.want_report,
            now.attempts,
            True,
            True,
        )
        batch.queue(again.queue_row(node, now_ms))
        data = {
            "part": row.part,
            "attempts": now.attempts,
            "carrier_message_id": now.carrier_message_id or "",
        }
        batch.tell("message.resent", now.message, now_ms, data)
        ended.append(Ended(again, []))
    batch.save()
    return ended


def purge_parked(connection: Connection, older_than: int) -> int:
    """Delete parked reports received before ``older_than`` (ms), tell of each; return how many."""
    table = parked_report.c
    dropped = connection.execute(
        delete(parked_report)
        .where(table.received_at < older_than)
        .returning(table.id, table.link, table.carrier_message_id, table.status, table.stat)
    )
    told = [
        Event("report.dropped", row[0], "", dict(zip(TOLD, row[1:], strict=True)))
        for row in dropped
    ]
    events.append(connection, older_than + PARKED_SECONDS * 1000, told)
    return len(told)
