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
from smsgw.store.statements import fetch_json, ids_of, json_array, update_rows

RANK = {str(status): rank for status, rank in STATUS_RANK.items()}
_STATUS = {str(status): status for status in MessageStatus}
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

_STATE = ("state", "attempts", "next_attempt_at", "sent_at", "final_at", "stat", "error")
_STATE_AND_ID = (*_STATE, "possible_duplicate", "carrier_message_id")


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
        self._named.add(segment.id)

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
        return [StatusChange(message.id, message.account, _STATUS[status], message.reason, at)]

    def save(self) -> None:
        """Write what changed."""
        segments = self.segments
        plain = [_state(segments[key]) for key in sorted(self._moved - self._named)]
        named = [
            (*_state(s), s.possible_duplicate, s.carrier_message_id)
            for s in (segments[key] for key in sorted(self._named))
        ]
        changed = [
            (m.id, m.status, m.reason, m.final_at)
            for m in (self.messages[key] for key in sorted(self._changed))
        ]
        update_rows(self._connection, segment_table, _STATE, plain)
        update_rows(self._connection, segment_table, _STATE_AND_ID, named)
        update_rows(self._connection, message_table, ("status", "reason", "final_at"), changed)
        event_rows.append(self._connection, ids_of(self._connection), 0, self._events)


def _state(s: SegmentNow) -> tuple[Any, ...]:
    return s.id, s.state, s.attempts, s.next_attempt_at, s.sent_at, s.final_at, s.stat, s.error
