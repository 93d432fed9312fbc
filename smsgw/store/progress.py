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

from smsgw.model import FINAL_RANK, STATUS_RANK, Event, MessageStatus
from smsgw.store import events as event_rows
from smsgw.store.schema import message as message_table
from smsgw.store.schema import segment as segment_table
from smsgw.store.statements import fetch_json, ids_of, json_array, set_same, update_rows

RANK = {str(status): rank for status, rank in STATUS_RANK.items()}
_STATUS_OF = {str(status): status for status in MessageStatus}
FAILED = frozenset(("undelivered", "expired", "rejected", "canceled"))

_COLUMNS = """s.id, s.message_id, s.link, s.recipient, s.state, s.carrier_message_id,
 s.attempts, s.next_attempt_at, s.sent_at, s.final_at, s.stat, s.error, s.possible_duplicate,
 m.status, m.account, m.reference"""
_LOAD = f"""SELECT json_group_array(json_array({_COLUMNS}))
 FROM message m JOIN segment s ON s.message_id = m.id WHERE m.id IN """
_BY_MESSAGE = _LOAD + "(SELECT value FROM json_each(?))"
_BY_CARRIER_ID = (
    _LOAD
    + """(SELECT message_id FROM segment
 WHERE link = ? AND carrier_message_id IN (SELECT value FROM json_each(?)))"""
)

_STATE = (
    "state",
    "attempts",
    "next_attempt_at",
    "final_at",
    "stat",
    "error",
    "possible_duplicate",
)
_STATE_AND_TIME = (*_STATE, "sent_at")
_ALL = (*_STATE_AND_TIME, "carrier_message_id")
_STATUS = ("status", "reason", "final_at")

SHARED_MIN = 4
"""Rows that get the same values are written by one statement of their own from this many on."""


_Change = tuple[bool, tuple[str, ...], tuple[Any, ...]]
"""Whether a segment has a new carrier's id, which of its columns changed, and their values."""


class StatusChange(msgspec.Struct, gc=False):
    """A message got a new status.

    Attributes:
        message_id: Whose.
        account: The account that sent it.
        status: The new status.
        reason: Why it failed: the carrier's state and error, or ours; "" when it did not.
        at: When, in milliseconds.
    """

    message_id: int
    account: str
    status: MessageStatus
    reason: str
    at: int


class SegmentNow(msgspec.Struct, array_like=True, gc=False):
    """What a batch knows of one segment, with its message's columns as they were loaded."""

    id: int
    message_id: int
    link: str
    recipient: str
    state: str
    carrier_message_id: str | None
    attempts: int
    next_attempt_at: int | None
    sent_at: int | None
    final_at: int | None
    stat: str
    error: str
    possible_duplicate: int
    status: str
    account: str
    reference: str


class MessageNow:
    """What a batch knows of one message."""

    __slots__ = ("account", "final_at", "id", "reason", "reference", "segments", "status")

    def __init__(self, first: SegmentNow) -> None:
        self.id = first.message_id
        self.status = first.status
        self.account = first.account
        self.reference = first.reference
        self.reason = ""
        self.final_at: int | None = None
        self.segments: list[SegmentNow] = []


_decoder = msgspec.json.Decoder(list[SegmentNow])


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


class Batch:
    """The messages and segments one operation touches."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.segments: dict[int, SegmentNow] = {}
        self.messages: dict[int, MessageNow] = {}
        self._moved: set[int] = set()
        self._named: set[int] = set()
        self._sent: set[int] = set()
        self._changed: set[int] = set()
        self._events: list[Event] = []

    def load(self, message_ids: Iterable[int]) -> None:
        """Load these messages with all their segments."""
        ids = json_array(list(message_ids))
        self._take(fetch_json(self._connection, _decoder, _BY_MESSAGE, ids))

    def load_matching(self, link: str, carrier_message_ids: Collection[str]) -> None:
        """Load the messages that have a segment a link's carrier knows by one of these ids."""
        ids = json_array(list(carrier_message_ids))
        self._take(fetch_json(self._connection, _decoder, _BY_CARRIER_ID, link, ids))

    def _take(self, segments: list[SegmentNow]) -> None:
        for segment in segments:
            if segment.id in self.segments:
                continue
            self.segments[segment.id] = segment
            message = self.messages.get(segment.message_id)
            if message is None:
                message = self.messages[segment.message_id] = MessageNow(segment)
            message.segments.append(segment)

    def move(
        self, segment: SegmentNow, state: str, at: int, stat: str = "", error: str = ""
    ) -> list[StatusChange]:
        """Give a segment a state, whatever it was, and its message the status that follows."""
        segment.state = state
        segment.next_attempt_at = None
        if stat or error:
            segment.stat, segment.error = stat, error
        if state == "sent":
            segment.sent_at = at
            self._sent.add(segment.id)
        elif RANK[state] == FINAL_RANK:
            segment.final_at = at
        self._moved.add(segment.id)
        return self._follow(segment, at)

    def name(self, segment: SegmentNow, carrier_message_id: str) -> bool:
        """Record the id the carrier gave a segment; tell whether it is news."""
        if carrier_message_id == segment.carrier_message_id:
            return False
        segment.carrier_message_id = carrier_message_id
        self._named.add(segment.id)
        return True

    def mark(self, segment: SegmentNow) -> None:
        """Record that the phone may get this segment twice."""
        segment.possible_duplicate = 1
        self._moved.add(segment.id)

    def tell(self, kind: str, segment: SegmentNow, at: int, data: dict[str, Any]) -> None:
        """Append an event about a segment's message."""
        self._events.append(Event(kind, segment.message_id, segment.account, data, at=at))

    def _follow(self, segment: SegmentNow, at: int) -> list[StatusChange]:
        message = self.messages[segment.message_id]
        parts = message.segments
        status = segment.state if len(parts) == 1 else message_status([p.state for p in parts])
        if RANK[status] <= RANK[message.status]:
            return []
        message.status = status
        if RANK[status] == FINAL_RANK:
            message.final_at = at
        if status in FAILED:
            message.reason = " ".join(filter(None, (segment.stat, segment.error))) or status
        self._changed.add(message.id)
        data = {"to": segment.recipient, "reference": message.reference}
        if message.reason:
            data["reason"] = message.reason
        self.tell("message." + status, segment, at, data)
        return [StatusChange(message.id, message.account, _STATUS_OF[status], message.reason, at)]

    def save(self) -> None:
        """Write what changed; rows that got the same values share a statement."""
        connection = self._connection
        few: list[tuple[Any, ...]] = []
        for (named, columns, values), segments in self._shared().items():
            if len(segments) < SHARED_MIN:
                few += [(s.id, *_state(s), s.sent_at, s.carrier_message_id) for s in segments]
            elif named:
                ids = {s.id: s.carrier_message_id for s in segments}
                set_same(connection, segment_table, columns, values, ids, "carrier_message_id")
            else:
                set_same(connection, segment_table, columns, values, [s.id for s in segments])
        update_rows(connection, segment_table, _ALL, few)
        self._save_messages()
        event_rows.append(connection, ids_of(connection), 0, self._events)

    def _shared(self) -> dict[_Change, list[SegmentNow]]:
        groups: dict[_Change, list[SegmentNow]] = {}
        for key in sorted(self._moved | self._named):
            segment = self.segments[key]
            columns: tuple[str, ...] = _STATE
            values: tuple[Any, ...] = _state(segment)
            if key in self._sent:
                columns, values = _STATE_AND_TIME, (*values, segment.sent_at)
            groups.setdefault((key in self._named, columns, values), []).append(segment)
        return groups

    def _save_messages(self) -> None:
        groups: dict[tuple[Any, ...], list[int]] = {}
        for key in sorted(self._changed):
            message = self.messages[key]
            values = (message.status, message.reason, message.final_at)
            groups.setdefault(values, []).append(key)
        few: list[tuple[Any, ...]] = []
        for values, ids in groups.items():
            if len(ids) < SHARED_MIN:
                few += [(key, *values) for key in ids]
            else:
                set_same(self._connection, message_table, _STATUS, values, ids)
        update_rows(self._connection, message_table, _STATUS, few)


def _state(s: SegmentNow) -> tuple[Any, ...]:
    """Return the values of :data:`_STATE`."""
    return s.state, s.attempts, s.next_attempt_at, s.final_at, s.stat, s.error, s.possible_duplicate
