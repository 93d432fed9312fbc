"""The event table: the append-only outbox of everything a subscriber may want to know.

An event is appended in the transaction of the change it tells of. Its id is drawn inside that
transaction, on the one writer thread, so ids grow in commit order and a reader that remembers the
last id it saw never misses one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from smsgw.model import Event
from smsgw.store.ids import IdSource
from smsgw.store.schema import event as event_table
from smsgw.store.statements import insert_rows

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def append(connection: Connection, ids: IdSource, now_ms: int, events: Sequence[Event]) -> None:
    """Write events in the given order, and set their ``id`` and, where it is 0, their ``at``."""
    if not events:
        return
    rows = []
    for event, event_id in zip(events, ids.take(len(events)), strict=True):
        event.id = event_id
        event.at = event.at or now_ms
        data = _encode(event.data).decode()
        rows.append((event_id, event.at, event.kind, event.subject_id, event.account, data))
    insert_rows(connection, event_table, rows)


def list_after(
    connection: Connection,
    cursor: int = 0,
    limit: int = 100,
    accounts: Collection[str] | None = None,
    kinds: Collection[str] | None = None,
) -> list[Event]:
    """Return events newer than the one whose id is ``cursor``, oldest first.

    Args:
        connection: Any connection.
        cursor: Id of the last event seen; 0 starts at the beginning.
        limit: The most to return.
        accounts: Only theirs; None is everyone's.
        kinds: Only these kinds; None is all.
    """
    table = event_table.c
    query = select(
        table.kind, table.subject_id, table.account, table.data, table.id, table.at
    ).where(table.id > cursor)
    if accounts is not None:
        query = query.where(table.account.in_(accounts))
    if kinds is not None:
        query = query.where(table.kind.in_(kinds))
    rows = connection.execute(query.order_by(table.id).limit(limit))
    return [
        Event(row.kind, row.subject_id, row.account, _decode(row.data), row.id, row.at)
        for row in rows
    ]
