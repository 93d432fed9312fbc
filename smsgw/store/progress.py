"""How segments and their messages move forward, for a whole batch in memory.

A batch loads every message it touches with all its segments in one query, applies its changes one
after the other, and writes what changed in a few statements. The rule itself is pure:
:func:`message_status` and :data:`smsgw.model.STATUS_RANK`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from smsgw.model import FINAL_RANK, STATUS_RANK, MessageStatus
from smsgw.store import events
from smsgw.store.messages import QueueRow
from smsgw.store.schema import queue as queue_table
from smsgw.store.schema import segment as segment_table
from smsgw.store.statements import (
    fetch_json,
    insert_rows,
    json_array,
    run,
    shared,
    update_rows,
)

RANK = {str(status): rank for status, rank in STATUS_RANK.items()}
_STATUS_OF = {str(status): status for status in MessageStatus}
FAILED = frozenset(("undelivered", "expired", "rejected", "canceled"))

_LOAD = """SELECT ROWS(m.id, m.status, m.account, m.recipient, m.parts, m.link,
 m.final_at, m.message_class, m.created_at, m.send_at,
 s.part, s.link, s.state, s.carrier_message_id, s.attempts,
 s.next_attempt_at, s.sent_at, s.final_at, s.stat, s.error, s.possible_duplicate)
 FROM message m LEFT JOIN segment s ON s.message_id = m.id WHERE m.id IN """
_BY_MESSAGE = _LOAD + "IDS(?)"
_BY_CARRIER_ID = (
    _LOAD + "(SELECT message_id FROM segment WHERE link = ? AND carrier_message_id IN TEXTS(?))"
)

# Only where several processes write; one that waited for a lock has to look again.
_LOCKED = "SELECT ROWS(id) FROM message WHERE id = ANY(ARRAY("
_LOCK_MATCHING = (
    _LOCKED
    + """SELECT message_id FROM segment WHERE link = ? AND carrier_message_id IN TEXTS(?)))
 ORDER BY id FOR NO KEY UPDATE"""
)
_LOCK = """SELECT count(*) FROM
 (SELECT id FROM message WHERE id IN IDS(?) ORDER BY id FOR NO KEY UPDATE) locked"""

_KEYS = ("message_id", "part")
_ALL = (
    "link",
    "state",
    "carrier_message_id",
    "attempts",
    "next_attempt_at",
    "sent_at",
    "final_at",
    "stat",
    "error",
    "possible_duplicate",
)
_ENDED = """UPDATE segment SET state = ?, stat = ?, error = ?, final_at = ?, next_attempt_at = NULL
 WHERE part = ? AND message_id IN IDS(?)"""
_MESSAGES = "UPDATE message SET status = ?, reason = ?, final_at = ? WHERE id IN IDS(?)"


class StatusChange(msgspec.Struct, gc=False):
    """A message came to an end.

    Attributes:
        message_id: Whose.
        account: The account that sent it.
        status: The final status.
        reason: Why it failed: the carrier's state and error, or ours; "" when it did not.
        at: When, in milliseconds.
        message_class: How urgent it was.
        wanted_at: When it was accepted, or was to be sent if that was later, in milliseconds.
    """

    message_id: int
    account: str
    status: MessageStatus
    reason: str
    at: int
    message_class: str = ""
    wanted_at: int = 0


class _Loaded(msgspec.Struct, array_like=True, gc=False):
    """A message beside one of its segments, or beside nothing when it has none."""

    message_id: int
    status: str
    account: str
    recipient: str
    parts: int
    message_link: str
    message_final_at: int | None
    message_class: str
    created_at: int
    send_at: int | None
    part: int | None
    link: str | None
    state: str | None
    carrier_message_id: str | None
    attempts: int | None
    next_attempt_at: int | None
    sent_at: int | None
    final_at: int | None
    stat: str | None
    error: str | None
    possible_duplicate: int | None


_decoder = msgspec.json.Decoder(list[_Loaded])
_ids_decoder = msgspec.json.Decoder(list[tuple[int]])


class SegmentNow:
    """What a batch knows of one segment."""

    __slots__ = (
        "attempts",
        "carrier_message_id",
        "changed",
        "error",
        "final_at",
        "link",
        "message",
        "new",
        "next_attempt_at",
        "part",
        "possible_duplicate",
        "sent_at",
        "stat",
        "state",
    )

    def __init__(self, message: MessageNow, part: int) -> None:
        self.message = message
        self.part = part
        self.link = message.link
        self.state = "queued"
        self.carrier_message_id: str | None = None
        self.attempts = 0
        self.next_attempt_at: int | None = None
        self.sent_at: int | None = None
        self.final_at: int | None = None
        self.stat = self.error = ""
        self.possible_duplicate = 0
        self.new = True
        self.changed = ""  # "ended": state, stat, error and time of an end; "all": anything

    def take(self, row: _Loaded) -> None:
        """Take what is stored."""
        self.link = row.link or ""
        self.state = row.state or ""
        self.carrier_message_id = row.carrier_message_id
        self.attempts = row.attempts or 0
        self.next_attempt_at = row.next_attempt_at
        self.sent_at = row.sent_at
        self.final_at = row.final_at
        self.stat, self.error = row.stat or "", row.error or ""
        self.possible_duplicate = row.possible_duplicate or 0
        self.new = False

    def row(self) -> tuple[Any, ...]:
        """Return it as a row of ``segment``."""
        return (
            self.message.id,
            self.part,
            self.link,
            self.state,
            self.carrier_message_id,
            self.attempts,
            self.next_attempt_at,
            self.sent_at,
            self.final_at,
            self.stat,
            self.error,
            self.possible_duplicate,
        )


class MessageNow:
    """What a batch knows of one message."""

    __slots__ = (
        "account",
        "changed",
        "final_at",
        "id",
        "link",
        "message_class",
        "parts",
        "reason",
        "recipient",
        "status",
        "wanted_at",
    )

    def __init__(self, row: _Loaded) -> None:
        self.id = row.message_id
        self.status = row.status
        self.account = row.account
        self.recipient = row.recipient
        self.parts = row.parts
        self.link = row.message_link
        self.final_at = row.message_final_at
        self.message_class = row.message_class
        self.wanted_at = max(row.created_at, row.send_at or 0)
        self.reason = ""
        self.changed = False


def message_status(states: Collection[str]) -> str:
    """Fold the states of a message's segments into its status.

    One failed part fails the message: the phone will never show it whole.
    """
    for state in states:
        if state in FAILED:
            return state
    kinds = set(states)
    if len(kinds) == 1:
        return kinds.pop()
    if "unknown" in kinds:
        return "unknown"
    if kinds <= {"sent", "delivered"}:
        return "sent"
    return "sending"


def lock_matching(connection: Connection, link: str, carrier_message_ids: str) -> list[int]:
    """Keep other processes from the messages a link's carrier knows by these ids; return theirs.

    ``carrier_message_ids`` is a JSON array.
    """
    locked = fetch_json(connection, _ids_decoder, _LOCK_MATCHING, link, carrier_message_ids)
    return [row[0] for row in locked]


class Batch:
    """The messages and segments one operation touches.

    Where other processes write too, its messages are locked before they are read, so that what is
    folded from their segments stays true until the commit.

    A segment knows its message, and only the batch knows a message's segments: so all of them are
    gone when the batch is, without a cycle that has to be searched for.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.messages: dict[int, MessageNow] = {}
        self._parts: dict[int, list[SegmentNow]] = {}
        self._moved: list[SegmentNow] = []
        self._changed: list[MessageNow] = []
        self._queued: list[QueueRow] = []
        self._events: list[events.Noted] = []

    def load(self, message_ids: Iterable[int]) -> None:
        """Load these messages with all their segments."""
        ids = [key for key in message_ids if key not in self.messages]
        if ids:
            wanted = json_array(ids)
            if shared(self.connection):
                run(self.connection, _LOCK, wanted)
            self._take(fetch_json(self.connection, _decoder, _BY_MESSAGE, wanted))

    def load_matching(self, link: str, carrier_message_ids: Collection[str]) -> None:
        """Load the messages that have a segment a link's carrier knows by one of these ids."""
        ids = json_array(list(carrier_message_ids))
        if shared(self.connection):
            named = json_array(lock_matching(self.connection, link, ids))
            found = fetch_json(self.connection, _decoder, _BY_MESSAGE, named)
        else:
            found = fetch_json(self.connection, _decoder, _BY_CARRIER_ID, link, ids)
        self._take([row for row in found if row.message_id not in self.messages])

    def find(self, message_id: int, part: int) -> SegmentNow | None:
        """Return a loaded segment, or None when there is no such message or part."""
        parts = self._parts.get(message_id)
        return None if parts is None or not 0 < part <= len(parts) else parts[part - 1]

    def parts(self, message: MessageNow) -> list[SegmentNow]:
        """Return the segments of a loaded message."""
        return self._parts[message.id]

    def _take(self, rows: list[_Loaded]) -> None:
        for row in rows:
            message = self.messages.get(row.message_id)
            if message is None:
                message = self.messages[row.message_id] = MessageNow(row)
                parts = [SegmentNow(message, part) for part in range(1, row.parts + 1)]
                self._parts[row.message_id] = parts
            if row.part is not None:
                self._parts[row.message_id][row.part - 1].take(row)
                if message.parts == 1 and message.final_at is None:
                    doubtful = row.state == "queued" and row.possible_duplicate
                    message.status = "unknown" if doubtful else row.state or ""

    def move(
        self, segment: SegmentNow, state: str, at: int, stat: str = "", error: str = ""
    ) -> list[StatusChange]:
        """Give a segment a state, whatever it was, and its message the status that follows.

        Returns:
            The end of its message, when that followed.
        """
        ends = RANK[state] == FINAL_RANK
        segment.state = state
        segment.next_attempt_at = None
        if stat or error:
            segment.stat, segment.error = stat, error
        if state == "sent":
            segment.sent_at = at
        elif ends:
            segment.final_at = at
        self.touch(segment, "ended" if ends else "all")
        return self._follow(segment, at)

    def touch(self, segment: SegmentNow, changed: str = "all") -> None:
        """Note that a segment is to be written."""
        if not segment.changed:
            self._moved.append(segment)
            segment.changed = changed
        elif changed == "all":
            segment.changed = changed

    def name(self, segment: SegmentNow, carrier_message_id: str) -> bool:
        """Record the id the carrier gave a segment; tell whether it is news."""
        if carrier_message_id == segment.carrier_message_id:
            return False
        segment.carrier_message_id = carrier_message_id
        self.touch(segment)
        return True

    def queue(self, row: QueueRow) -> None:
        """Put a segment back into the queue."""
        self._queued.append(row)

    def queued_of(self, message_id: int) -> list[QueueRow]:
        """Return what :meth:`queue` took of a message."""
        return [row for row in self._queued if row.message_id == message_id]

    def reload(self, message_id: int) -> None:
        """Take a message as it is stored now; its changes that were not saved are dropped."""
        self.messages.pop(message_id, None)
        self._moved = [one for one in self._moved if one.message.id != message_id]
        self._changed = [one for one in self._changed if one.id != message_id]
        self._queued = [row for row in self._queued if row.message_id != message_id]
        self.load([message_id])

    def tell(self, kind: str, message: MessageNow, at: int, data: dict[str, Any]) -> None:
        """Append an event about a message."""
        text = msgspec.json.encode(data).decode() if data else ""
        self._events.append((at, kind, message.id, message.account, text))

    def _follow(self, segment: SegmentNow, at: int) -> list[StatusChange]:
        message = segment.message
        if message.parts == 1:
            status = segment.state
        else:
            status = message_status([part.state for part in self.parts(message)])
        rank = RANK[status]
        if rank <= RANK[message.status]:
            return []
        message.status = status
        if (rank == FINAL_RANK or message.parts > 1) and not message.changed:
            message.changed = True
            self._changed.append(message)
        if rank < FINAL_RANK:
            self.tell("message." + status, message, at, {})
            return []
        message.final_at = at
        if status in FAILED:
            message.reason = " ".join(filter(None, (segment.stat, segment.error))) or status
        data = {"reason": message.reason} if message.reason else {}
        self.tell("message." + status, message, at, data)
        return [
            StatusChange(
                message.id,
                message.account,
                _STATUS_OF[status],
                message.reason,
                at,
                message.message_class,
                message.wanted_at,
            )
        ]

    def save(self) -> None:
        """Write what changed; rows that came to the same end share a statement."""
        connection = self.connection
        ended: dict[tuple[Any, ...], list[int]] = {}
        changed: list[tuple[Any, ...]] = []
        new: list[tuple[Any, ...]] = []
        for segment in self._moved:
            if segment.new:
                new.append(segment.row())
            elif segment.changed == "ended":
                key = (segment.state, segment.stat, segment.error, segment.final_at, segment.part)
                ended.setdefault(key, []).append(segment.message.id)
            else:
                changed.append(segment.row())
        for values, ids in ended.items():
            run(connection, _ENDED, *values, json_array(ids))
        update_rows(connection, segment_table, _KEYS, _ALL, changed)
        insert_rows(connection, segment_table, new)
        insert_rows(connection, queue_table, [msgspec.structs.astuple(r) for r in self._queued])
        self._save_messages()
        events.note(connection, self._events)

    def _save_messages(self) -> None:
        groups: dict[tuple[Any, ...], list[int]] = {}
        for message in self._changed:
            values = (message.status, message.reason, message.final_at)
            groups.setdefault(values, []).append(message.id)
        for values, ids in groups.items():
            run(self.connection, _MESSAGES, *values, json_array(ids))
