"""The event table: the append-only outbox of everything a subscriber may want to know.

An event is written in the transaction of the change it tells of, with all others of its group at
the end of it. Its id is drawn there, on the one writer thread; where several processes write, each
waits there for its turn, and goes on after the newest event there is. So ids grow in commit order
and a reader that remembers the last id it saw never misses one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, func, or_, select

from smsgw.model import Event
from smsgw.store.schema import event as event_table
from smsgw.store.schema import message as message_table
from smsgw.store.statements import ids_of, insert_rows, run, shared

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Noted = tuple[int, str, int, str, str]
"""An event not written yet: when (ms), kind, subject's id, account, and its data as JSON."""

TURN_LOCK = 0x736D7302
"""An advisory lock: who holds it writes events, until its commit. (``sms``, and a number.)"""

_NOTED = "smsgw.events"


def append(connection: Connection, now_ms: int, events: Iterable[Event]) -> None:
    """Write events in the given order; one whose ``at`` is 0 gets ``now_ms``."""
    note(
        connection,
        [
            (
                event.at or now_ms,
                event.kind,
                event.subject_id,
                event.account,
                _encode(event.data).decode() if event.data else "",
            )
            for event in events
        ],
    )


def note(connection: Connection, events: list[Noted]) -> None:
    """Write events that are spelled out already."""
    noted(connection).extend(events)


def noted(connection: Connection) -> list[Noted]:
    """Return what the present transaction has to write, in order; the writer alone clears it."""
    events: list[Noted] = connection.info.setdefault(_NOTED, [])
    return events


def write_noted(connection: Connection) -> None:
    """Write what was noted: the last thing of a transaction."""
    events = noted(connection)
    if events:
        if shared(connection):
            _take_turn(connection)
        ids = ids_of(connection).take(len(events))
        rows = [(i, *event) for i, event in zip(ids, events, strict=True)]
        insert_rows(connection, event_table, rows)
        events.clear()


def _take_turn(connection: Connection) -> None:
    """Wait until nobody else is about to commit events, and draw ids after theirs."""
    run(connection, "SELECT pg_advisory_xact_lock(?)", TURN_LOCK)
    newest = connection.execute(select(func.max(event_table.c.id))).scalar()
    ids_of(connection).continue_after(newest or 0)


def list_after(
    connection: Connection,
    cursor: int = 0,
    limit: int = 100,
    accounts: Collection[str] | None = None,
    kinds: Collection[str] = (),
) -> list[Event]:
    """Return events newer than the one whose id is ``cursor``, oldest first.

    An event of a message says ``to`` and ``reference`` as well, from the message itself.

    Args:
        connection: Any connection.
        cursor: Id of the last event seen; 0 starts at the beginning.
        limit: The most to return.
        accounts: Only theirs; None is everyone's.
        kinds: Only these kinds, or such as ``request.*``; none is all.
    """
    table, message = event_table.c, message_table.c
    query = (
        select(event_table, message.recipient, message.reference)
        .join_from(event_table, message_table, table.subject_id == message.id, isouter=True)
        .where(table.id > cursor)
    )
    if accounts is not None:
        query = query.where(table.account.in_(accounts))
    if kinds:
        named = [one for one in kinds if one[-1] != "*"]
        starts = [one[:-1] for one in kinds if one[-1] == "*"]
        begin = [table.kind.startswith(start, autoescape=True) for start in starts]
        query = query.where(or_(table.kind.in_(named), *begin))
    return [event_of(*row) for row in connection.execute(query.order_by(table.id).limit(limit))]


def event_of(
    made: int,
    at: int,
    kind: str,
    subject_id: int,
    account: str,
    data: str,
    recipient: str | None,
    reference: str | None,
) -> Event:
    """Return the event that a row of ``event`` is, with two columns of the message it is about."""
    shown = _decode(data) if data else {}
    if recipient is not None:
        shown = {"to": recipient, "reference": reference, **shown}
    return Event(kind, subject_id, account, shown, made, at)
