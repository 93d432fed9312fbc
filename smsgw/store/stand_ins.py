"""Who may answer for a phone: second numbers of the same person, and substitutes for a time.

Rows are never removed: those that ended are the history.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from smsgw.store.schema import stand_in
from smsgw.store.statements import insert_rows

SECOND, SUBSTITUTE = "second", "substitute"


class StandInRow(msgspec.Struct, gc=False):
    """A row of ``stand_in``; the fields are its columns, in their order."""

    id: int
    account: str
    kind: str
    phone: str
    other_phone: str
    name: str
    from_at: int
    until_at: int | None
    created_at: int
    ended_at: int | None = None


def _active(now: int) -> ColumnElement[bool]:
    columns = stand_in.c
    return and_(
        columns.ended_at.is_(None),
        columns.from_at <= now,
        or_(columns.until_at.is_(None), columns.until_at > now),
    )


def insert(connection: Connection, row: StandInRow) -> None:
    """Insert one."""
    insert_rows(connection, stand_in, [msgspec.structs.astuple(row)])


def get(connection: Connection, row_id: int) -> StandInRow | None:
    """Return one, or None."""
    row = connection.execute(select(stand_in).where(stand_in.c.id == row_id)).first()
    return StandInRow(*row) if row is not None else None


def end(connection: Connection, row_id: int, now: int) -> bool:
    """End one that has not been ended; tell whether it was."""
    changed = connection.execute(
        update(stand_in)
        .where(stand_in.c.id == row_id, stand_in.c.ended_at.is_(None))
        .values(ended_at=now)
    )
    return changed.rowcount == 1


def substitute_of(connection: Connection, account: str, phone: str, now: int) -> StandInRow | None:
    """Return who is asked instead of a phone now, or None; of several the newest."""
    row = connection.execute(
        select(stand_in)
        .where(
            stand_in.c.phone == phone,
            stand_in.c.account == account,
            stand_in.c.kind == SUBSTITUTE,
            _active(now),
        )
        .order_by(stand_in.c.id.desc())
        .limit(1)
    ).first()
    return StandInRow(*row) if row is not None else None


def represented(connection: Connection, other_phone: str, now: int) -> list[StandInRow]:
    """Return whose questions a phone may answer now, and of which accounts."""
    rows = connection.execute(
        select(stand_in)
        .where(stand_in.c.other_phone == other_phone, _active(now))
        .order_by(stand_in.c.id)
    )
    return [StandInRow(*row) for row in rows]


def page(
    connection: Connection,
    *,
    account: str,
    phone: str | None = None,
    ended: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[StandInRow]:
    """Return an account's, newest first; ``before`` is the id of the last one of the page before.

    Args:
        connection: Any connection.
        account: Whose.
        phone: Only those for this phone.
        ended: Those that were ended too.
        before: Continue a page.
        limit: The most to return.
    """
    query = select(stand_in).where(stand_in.c.account == account)
    if phone is not None:
        query = query.where(stand_in.c.phone == phone)
    if not ended:
        query = query.where(stand_in.c.ended_at.is_(None))
    if before is not None:
        query = query.where(stand_in.c.id < before)
    rows = connection.execute(query.order_by(stand_in.c.id.desc()).limit(limit))
    return [StandInRow(*row) for row in rows]
