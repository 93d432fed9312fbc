"""What waits to be sent, and what is being handed to a link.

A segment stands in exactly one of three places: in ``queue`` while it waits, in ``sending`` from
just before it is submitted, and in ``segment`` when something came of that. So a start knows which
it may send, and which may have left already: what ``sending`` names and nothing came of.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import ClassVar

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.sql.expression import TextualSelect

from smsgw.model import MessageClass, Segment
from smsgw.store.ids import made_at
from smsgw.store.messages import QueueRow, decode_contents
from smsgw.store.progress import Batch, SegmentNow, StatusChange
from smsgw.store.schema import message, queue, segment
from smsgw.store.schema import sending as sending_table
from smsgw.store.statements import (
    fetch_json,
    ids_of,
    insert_new,
    insert_rows,
    json_array,
    run,
    shared,
    spelled,
)
from smsgw.store.writer import Operation

EXPIRED_ERROR = "valid_until passed before it was sent"
UNKNOWN_ERROR = "outcome unknown: no answer came, it may have reached the phone"
"""Why a message is given up that was submitted, and nobody can say what became of it."""

INTERRUPTED_ERROR = "stopped between submit and answer"
SIBLING_ERROR = "another part of the message failed"


class QueuedSegment(msgspec.Struct, eq=False, gc=False):
    """A committed segment that is to be sent.

    Attributes:
        message_id: Its message.
        part: From 1.
        total: How many parts the message has.
        account: Whose message it is.
        link: Where it goes out.
        recipient: The phone.
        source: The sender number.
        coding: The data coding octet.
        content: User data, its header first when there are several parts.
        message_class: Which lane.
        valid_until: Milliseconds; it is not sent at or after that.
        due_at: Milliseconds; 0 when it may go as soon as it can. Part of its key in the queue.
        want_report: Ask the carrier for a status report.
        attempts: Submits so far, kept up to date.
        possible_duplicate: It is sent again after an unknown outcome.
        recorded: It has a row in ``segment``: something came of it before.
        refusals: How often a carrier refused it for now, "too fast" not counted.
        handful: With which others it was taken out of the queue; 0 while it waits.
        ended: Its message came to an end by another part before this one was read from the store.
        waiting_since: As :attr:`waits_since` when it was first taken out of the queue; 0 before.
    """

    message_id: int
    part: int
    total: int
    account: str
    link: str
    recipient: str
    source: str
    coding: int
    content: bytes
    message_class: MessageClass
    valid_until: int
    due_at: int = 0
    want_report: bool = True
    attempts: int = 0
    possible_duplicate: bool = False
    recorded: bool = False
    refusals: int = 0
    handful: int = 0
    ended: bool = False
    waiting_since: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """What tells it from all others."""
        return self.message_id, self.part

    @property
    def waits_since(self) -> int:
        """When it was accepted, or was to be sent if that was later, in milliseconds."""
        if self.waiting_since:
            return self.waiting_since
        return self.due_at if self.due_at and not self.attempts else made_at(self.message_id)

    def segment(self) -> Segment:
        """Return what a link is asked to send."""
        return Segment(
            self.recipient,
            self.source,
            self.coding,
            self.content,
            self.total > 1,
            self.part,
            self.total,
            self.want_report,
        )

    def queue_row(self, node: int, due_at: int) -> QueueRow:
        """Return it as it waits in the queue."""
        return QueueRow(
            node,
            self.link,
            str(self.message_class),
            due_at,
            self.message_id,
            self.part,
            self.valid_until,
        )


class Handful(msgspec.Struct, gc=False):
    """Segments of one link to take out of the queue together, and handfuls that are done with.

    Attributes:
        link: Which link.
        segments: ``(class, due_at, message_id, part, attempts)`` of each; attempts counts the
            submit to come, and is 0 for one that is taken only to be given up.
        done: Ids of earlier handfuls all of whose segments came to something.
    """

    link: str
    segments: list[tuple[str, int, int, int, int]]
    done: list[int]


class Taken(msgspec.Struct, gc=False):
    """A handful that is out of the queue.

    Attributes:
        id: Its row in ``sending``; 0 when nothing was left to take.
        missing: Keys of segments that were not in the queue any more, or that a report ended there.
    """

    id: int
    missing: Collection[tuple[int, int]]


_LANE = """ FROM queue WHERE node = ? AND link = ? AND message_class = ? AND due_at = ?
 AND message_id IN IDS(?) AND part = ?"""
_FOUND = "SELECT ROWS(message_id, part)" + _LANE
_TAKE = "DELETE" + _LANE
_FOUND_AGAIN = (
    _FOUND
    + """ AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.message_id = queue.message_id
 AND s.part = queue.part AND s.state <> 'queued')"""
)
"""Of what was tried before, a report may have told the outcome while it waited to be sent again."""

# PostgreSQL may take the lane for so short that it reads all of it; here each key is looked up.
_TAKE_SHARED = """DELETE FROM queue WHERE ctid = ANY(ARRAY(SELECT found.place
 FROM (SELECT jsonb_array_elements_text(CAST(? AS jsonb))::bigint AS id) wanted,
 LATERAL (SELECT ctid AS place FROM queue WHERE node = ? AND link = ? AND message_class = ?
 AND due_at = ? AND message_id = wanted.id AND part = ? OFFSET 0) found))
 RETURNING ROWS(message_id, part)"""
_TOLD = """SELECT ROWS(message_id, part) FROM segment WHERE message_id IN IDS(?) AND part = ?
 AND state <> 'queued'"""

_keys_decoder = msgspec.json.Decoder(list[tuple[int, int]])


def take_out(
    connection: Connection, lane: tuple[int, str, str, int], ids: Sequence[int], part: int
) -> list[tuple[int, int]]:
    """Take segments out of the queue; return those that were there and may be sent."""
    wanted, due_at = json_array(ids), lane[3]
    if not shared(connection):
        query = _FOUND_AGAIN if due_at else _FOUND
        found = fetch_json(connection, _keys_decoder, query, *lane, wanted, part)
        run(connection, _TAKE, *lane, wanted, part)
        return found
    found = fetch_json(connection, _keys_decoder, _TAKE_SHARED, wanted, *lane, part)
    if due_at:
        told = set(fetch_json(connection, _keys_decoder, _TOLD, wanted, part))
        found = [key for key in found if key not in told]
    return found


class Take(Operation[Handful, Taken]):
    """Take segments out of the queue and name them in ``sending``, before they are submitted."""

    name: ClassVar[str] = "take"
    rank: ClassVar[int] = 1

    def execute(self, connection: Connection, rows: Sequence[Handful]) -> list[Taken]:
        """Take every handful."""
        node = ids_of(connection).node
        done = [key for row in rows for key in row.done]
        if done:
            run(connection, "DELETE FROM sending WHERE id IN IDS(?)", json_array(done))
        return [self._take(connection, node, row) for row in rows]

    def _take(self, connection: Connection, node: int, row: Handful) -> Taken:
        groups: dict[tuple[str, int, int], list[int]] = {}
        for message_class, due_at, message_id, part, _ in row.segments:
            groups.setdefault((message_class, due_at, part), []).append(message_id)
        missing: set[tuple[int, int]] = set()
        for (message_class, due_at, part), ids in groups.items():
            lane = (node, row.link, message_class, due_at)
            found = take_out(connection, lane, ids, part)
            if len(found) < len(ids):
                missing |= {(key, part) for key in ids} - set(found)
        names = [one[2:] for one in row.segments if one[2:4] not in missing]
        if not names:
            return Taken(0, missing)
        key = ids_of(connection).next()
        named = msgspec.json.encode(names).decode()
        insert_rows(connection, sending_table, [(key, node, row.link, named)])
        return Taken(key, missing)


class PutBack(Operation[QueueRow, bool]):
    """Put segments back into the queue that were taken and then not submitted."""

    name: ClassVar[str] = "put back"
    rank: ClassVar[int] = 2

    def execute(self, connection: Connection, rows: Sequence[QueueRow]) -> list[bool]:
        """Insert them; one that is there was put back by a commit that got no answer."""
        insert_new(connection, queue, [msgspec.structs.astuple(row) for row in rows])
        return [True] * len(rows)


TAKE = Take()
PUT_BACK = PutBack()

_WAITING = """SELECT m.id, q.part, m.parts, m.account, q.link, m.recipient,
 m.access_number || m.extension AS source, m.coding, m.contents, m.message_class, m.valid_until,
 q.due_at, m.want_report, s.attempts, s.possible_duplicate, m.final_at
 FROM queue q JOIN message m ON m.id = q.message_id
 LEFT JOIN segment s ON s.message_id = q.message_id AND s.part = q.part
 WHERE q.node = :node AND q.link = :link AND q.message_class = :class
 AND q.valid_until > :now AND q.message_id || '.' || q.part NOT IN TEXTS(:held)"""
_ORDER = " AND q.due_at {due} ORDER BY q.due_at, q.message_id, q.part LIMIT :limit"


@functools.cache
def _typed(query: str) -> TextualSelect:
    return text(query).columns(
        message.c.id,
        queue.c.part,
        message.c.parts,
        message.c.account,
        queue.c.link,
        message.c.recipient,
        message.c.access_number,
        message.c.coding,
        message.c.contents,
        message.c.message_class,
        message.c.valid_until,
        queue.c.due_at,
        message.c.want_report,
        segment.c.attempts,
        segment.c.possible_duplicate,
        message.c.final_at,
    )


WAITING_QUERIES = tuple(
    _WAITING + _ORDER.format(due=due) for due in ("BETWEEN 1 AND :horizon", "= 0")
)
"""First what was tried before, or has a time of its own; then what was not."""


def waiting(
    connection: Connection,
    node: int,
    link: str,
    message_class: str,
    now_ms: int,
    horizon_ms: int,
    limit: int,
    held: Collection[tuple[int, int]],
) -> list[QueuedSegment]:
    """Return up to ``limit`` queued segments of one link and class, in the order to send them.

    Not among them: those past ``valid_until`` (see :mod:`smsgw.store.unsent`), those whose keys are
    ``held``, and those due after ``horizon_ms``. Parts of a message that came to an end by another
    part are, marked ``ended``, so that they leave the queue.
    """
    found: list[QueuedSegment] = []
    values = {
        "node": node,
        "link": link,
        "class": str(message_class),
        "now": now_ms,
        "horizon": horizon_ms,
        "held": json_array([f"{message_id}.{part}" for message_id, part in held]),
    }
    for query in WAITING_QUERIES:
        if len(found) < limit:
            typed = _typed(spelled(connection, query))
            rows = connection.execute(typed, {**values, "limit": limit - len(found)})
            found += [_queued(*row) for row in rows]
    return found


def _queued(
    message_id: int,
    part: int,
    total: int,
    account: str,
    link: str,
    recipient: str,
    source: str,
    coding: int,
    contents: bytes,
    message_class: str,
    valid_until: int,
    due_at: int,
    want_report: bool,
    attempts: int | None,
    possible_duplicate: int | None,
    final_at: int | None,
) -> QueuedSegment:
    return QueuedSegment(
        message_id,
        part,
        total,
        account,
        link,
        recipient,
        source,
        coding,
        decode_contents(contents)[part - 1],
        MessageClass(message_class),
        valid_until,
        due_at,
        want_report,
        attempts or 0,
        bool(possible_duplicate),
        attempts is not None,
        ended=final_at is not None,
    )


def queued_by_link(connection: Connection, node: int) -> dict[str, int]:
    """Return how many segments are queued for each link that has any."""
    query = "SELECT link, count(*) FROM queue WHERE node = ? GROUP BY link"
    return {row[0]: row[1] for row in run(connection, query, node)}


_FIRST_DUE = """SELECT min(due_at) FROM queue
 WHERE node = ? AND link = ? AND message_class = ? AND due_at >= ?"""


class Due(msgspec.Struct, gc=False):
    """What has a time of its own: lanes with something due, and when something else will be."""

    lanes: list[tuple[str, str]]
    next_at: int


def due_lanes(
    connection: Connection, node: int, lanes: Iterable[tuple[str, str]], horizon_ms: int
) -> Due:
    """Return which of the lanes have something due until ``horizon_ms``, and the first time after.

    A lane is a link and a class. ``next_at`` is 0 when nothing is due later.
    """
    found = Due([], 0)
    for lane in lanes:
        due = run(connection, _FIRST_DUE, node, *lane, 1).scalar() or 0
        if 0 < due <= horizon_ms:
            found.lanes.append(lane)
            due = run(connection, _FIRST_DUE, node, *lane, horizon_ms + 1).scalar() or 0
        if due and (not found.next_at or due < found.next_at):
            found.next_at = due
    return found


# ---- after a start -----------------------------------------------------------------------


def give_up(batch: Batch, now: SegmentNow, at: int) -> list[StatusChange]:
    """End a segment that is not sent: a sibling failed, or its time is over."""
    if now.message.final_at is not None:
        return batch.move(now, "canceled", at, "", SIBLING_ERROR)
    error = UNKNOWN_ERROR if now.possible_duplicate else EXPIRED_ERROR
    return batch.move(now, "expired", at, "", error)


class Interrupted(msgspec.Struct, gc=False):
    """What a start found: how many segments nobody knows the outcome of, and ends that followed."""

    count: int
    changes: list[StatusChange]


_classes_decoder = msgspec.json.Decoder(list[tuple[int, str]])
_names_decoder = msgspec.json.Decoder(list[tuple[int, int, int]])


def settle_interrupted(
    connection: Connection, node: int, now_ms: int, until: Mapping[str, int]
) -> Interrupted:
    """Make ``unknown`` what a run of ``node`` was sending when it ended, and forget its handfuls.

    It runs on the writer's connection, before anything is taken out of the queue.

    Args:
        connection: The writer's.
        node: Whose.
        now_ms: The present time.
        until: Class to when waiting for the outcome ends.
    """
    query = "SELECT link, segments FROM sending WHERE node = ? ORDER BY id DESC"
    named = [
        (link, *name)
        for link, segments in run(connection, query, node)
        for name in _names_decoder.decode(segments)
    ]
    ids = {name[1] for name in named}
    batch = Batch(connection)
    batch.load(ids)
    query = "SELECT ROWS(message_id, part) FROM queue WHERE node = ? AND message_id IN IDS(?)"
    queued = set(fetch_json(connection, _keys_decoder, query, node, json_array(list(ids))))
    query = "SELECT ROWS(id, message_class) FROM message WHERE id IN IDS(?)"
    classes = dict(fetch_json(connection, _classes_decoder, query, json_array(list(ids))))
    found = Interrupted(0, [])
    for link, message_id, part, attempts in named:  # the last handful that names one tells
        now = batch.find(message_id, part)
        if now is None or now.state != "queued" or (message_id, part) in queued:
            continue
        if not attempts:
            found.changes += give_up(batch, now, now_ms)
            continue
        now.attempts, now.link = attempts, link
        found.changes += batch.move(now, "unknown", now_ms, "", INTERRUPTED_ERROR)
        now.next_attempt_at = until[classes[message_id]]
        found.count += 1
    batch.save()
    run(connection, "DELETE FROM sending WHERE node = ?", node)
    return found
