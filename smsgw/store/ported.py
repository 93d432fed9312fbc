"""Numbers whose operator is known better than by their prefix (携号转网), one row a phone.

A row's id is that of its last change, so what changed since can be read in order of id. A row is
never taken away while another node may still believe it: forgetting ends its time, and what has
been over for a day is swept. Other nodes are told of the first id of a change with its commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Connection, Insert, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from smsgw.model import Event, Operator, PortedNumber
from smsgw.store import events
from smsgw.store.ids import NODE_BITS, SEQUENCE_BITS
from smsgw.store.schema import ported_number
from smsgw.store.statements import ids_of, run, shared
from smsgw.store.writer import Operation

CHANNEL = "smsgw_ported"
"""Notifications name the id of the first change of a commit."""

OVERLAP_MS = 60_000
"""How far back changes are read again: other nodes' clocks differ, and their commits take time."""

SWEPT_AFTER_MS = 86_400_000

CHUNK = 500
"""Rows of one statement."""

_table = ported_number.c
_fields = (
    _table.phone,
    _table.operator,
    _table.source,
    _table.learned_at,
    _table.expires_at,
)


def put(connection: Connection, numbers: Sequence[PortedNumber]) -> int:
    """Record numbers; what was learned later than what is recorded already wins.

    Returns:
        How many were recorded.
    """
    newest: dict[str, PortedNumber] = {}
    for number in numbers:
        known = newest.get(number.phone)
        if known is None or number.learned_at >= known.learned_at:
            newest[number.phone] = number
    entries = list(newest.values())
    recorded = 0
    for start in range(0, len(entries), CHUNK):
        chunk = entries[start : start + CHUNK]
        ids = ids_of(connection).take(len(chunk))
        statement = upsert(chunk, ids, connection.dialect.name)
        rows = connection.execute(statement.returning(_table.id, *_fields)).all()
        told = [_event("number.ported", row[0], _number(row[1:])) for row in rows]
        events.append(connection, 0, told)
        recorded += len(rows)
        if rows:
            _announce(connection, ids[0])
    return recorded


class Learn(Operation[PortedNumber, None]):
    """Record what messages prove, before the messages themselves."""

    name: ClassVar[str] = "learn ported numbers"
    rank: ClassVar[int] = 2

    def execute(self, connection: Connection, rows: Sequence[PortedNumber]) -> list[None]:
        """Record them all."""
        put(connection, rows)
        return [None] * len(rows)


LEARN = Learn()


def forget(connection: Connection, phones: Sequence[str], now: int) -> int:
    """End what is recorded of these numbers at ``now`` (ms); return how many were believed."""
    forgotten = 0
    for phone in phones:
        row = connection.execute(
            update(ported_number)
            .where(_table.phone == phone, _table.expires_at > now)
            .values(id=ids_of(connection).next(), expires_at=now)
            .returning(_table.id, *_fields)
        ).first()
        if row is not None:
            told = _event("number.forgotten", row[0], _number(row[1:]))
            told.at = now
            events.append(connection, now, [told])
            forgotten += 1
            _announce(connection, row[0])
    return forgotten


def _announce(connection: Connection, first: int) -> None:
    """Tell the other nodes, with the commit, from which id on to read."""
    if shared(connection):
        run(connection, "SELECT pg_notify(?, ?)", CHANNEL, str(first))


def _event(kind: str, row_id: int, number: PortedNumber) -> Event:
    data = {"phone": number.phone, "operator": number.operator, "source": number.source}
    return Event(kind, row_id, "", data, at=number.learned_at)


def sweep(connection: Connection, now: int) -> int:
    """Delete what has been over for a day at ``now`` (ms); return how many."""
    over = delete(ported_number).where(_table.expires_at <= now - SWEPT_AFTER_MS)
    return connection.execute(over).rowcount


def changed(
    connection: Connection, after: int = 0, limit: int = 5000
) -> list[tuple[int, PortedNumber]]:
    """Return what changed after an id, oldest change first, each with the id of its change.

    What is over already is among it, since somebody may believe it still.
    """
    query = select(_table.id, *_fields).where(_table.id > after).order_by(_table.id).limit(limit)
    return [(row[0], _number(row[1:])) for row in connection.execute(query)]


def before(last: int) -> int:
    """Return the id after which to read when ``last`` was the newest change seen."""
    return max(0, last - (OVERLAP_MS << (NODE_BITS + SEQUENCE_BITS)))


def page(connection: Connection, now: int, after: str = "", limit: int = 50) -> list[PortedNumber]:
    """Return what is believed at ``now`` (ms), in the order of the phones, after one of them."""
    believed: ColumnElement[bool] = _table.expires_at > now
    query = select(*_fields).where(believed, _table.phone > after)
    return [_number(row) for row in connection.execute(query.order_by(_table.phone).limit(limit))]


def get(connection: Connection, phone: str) -> PortedNumber | None:
    """Return what is recorded of a number, believed or over, or None."""
    row = connection.execute(select(*_fields).where(_table.phone == phone)).first()
    return None if row is None else _number(row)


def _number(row: Sequence[Any]) -> PortedNumber:
    phone, operator, source, learned_at, expires_at = row
    return PortedNumber(phone, Operator(operator), source, learned_at, expires_at)


def upsert(numbers: Sequence[PortedNumber], ids: Sequence[int], database: str) -> Insert:
    """Return the statement that records numbers, for ``sqlite`` or ``postgresql``."""
    rows = [
        {
            "id": number_id,
            "phone": number.phone,
            "operator": str(number.operator),
            "source": number.source,
            "learned_at": number.learned_at,
            "expires_at": number.expires_at,
        }
        for number_id, number in zip(ids, numbers, strict=True)
    ]
    # The two databases say it in the same words, SQLAlchemy in two places.
    dialect = postgresql if database == "postgresql" else sqlite
    insert = dialect.insert(ported_number).values(rows)
    new = insert.excluded
    statement: Insert = insert.on_conflict_do_update(
        index_elements=["phone"],
        set_={name: new[name] for name in rows[0] if name != "phone"},
        where=new.learned_at >= _table.learned_at,
    )
    return statement
