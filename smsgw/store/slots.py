"""The slot table: which extension of an access number stands for which question to which phone.

A row is kept for ever and given out again; ``generation`` counts how often. ``expires_at`` ends its
life unless ``released_at`` did earlier; until ``cools_until`` late replies still map to it. The
policy is in :mod:`smsgw.services.conversations`.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from smsgw.store.schema import slot
from smsgw.store.statements import insert_rows


class SlotRow(msgspec.Struct, gc=False):
    """A row of ``slot``; the fields are its columns, in their order."""

    id: int
    phone: str
    access_number: str
    extension: str
    generation: int
    assignment_id: int
    allocated_at: int
    expires_at: int
    released_at: int | None = None
    cools_until: int | None = None


def _live(now: int) -> ColumnElement[bool]:
    return and_(slot.c.released_at.is_(None), slot.c.expires_at > now)


def insert(connection: Connection, row: SlotRow) -> None:
    """Insert the first use of an extension for a phone."""
    insert_rows(connection, slot, [msgspec.structs.astuple(row)])


def get(connection: Connection, slot_id: int) -> SlotRow | None:
    """Return a slot, or None."""
    row = connection.execute(select(slot).where(slot.c.id == slot_id)).first()
    return SlotRow(*row) if row is not None else None


def find(connection: Connection, phone: str, access_number: str, extension: str) -> SlotRow | None:
    """Return the slot of an extension, in whatever state, or None when it was never used."""
    row = connection.execute(
        select(slot).where(
            slot.c.phone == phone,
            slot.c.access_number == access_number,
            slot.c.extension == extension,
        )
    ).first()
    return SlotRow(*row) if row is not None else None


def used(connection: Connection, phone: str, access_number: str) -> set[str]:
    """Return every extension this phone was ever given under the access number."""
    return set(
        connection.execute(
            select(slot.c.extension).where(
                slot.c.phone == phone, slot.c.access_number == access_number
            )
        ).scalars()
    )


def least_recent(
    connection: Connection,
    phone: str,
    access_number: str,
    prefix: str,
    length: int,
    now: int,
    ended_before: int | None = None,
) -> SlotRow | None:
    """Return the slot that ended longest ago among those that may be given out again, or None.

    Args:
        connection: Inside a transaction.
        phone: Whose slots.
        access_number: Under which number.
        prefix: Only extensions that start so.
        length: Only extensions of that many digits.
        now: Milliseconds; a live slot is never returned, nor one that cools, unless …
        ended_before: … it ended at or before this time: a cool-down cut short.
    """
    ended = func.coalesce(slot.c.released_at, slot.c.expires_at)
    cooled = or_(slot.c.cools_until.is_(None), slot.c.cools_until <= now)
    if ended_before is not None:
        cooled = or_(cooled, ended <= ended_before)
    row = connection.execute(
        select(slot)
        .where(
            slot.c.phone == phone,
            slot.c.access_number == access_number,
            func.length(slot.c.extension) == length,
            slot.c.extension.startswith(prefix, autoescape=True),
            ~_live(now),
            cooled,
        )
        .order_by(ended, slot.c.id)
        .limit(1)
    ).first()
    return SlotRow(*row) if row is not None else None


def reuse(connection: Connection, row: SlotRow) -> bool:
    """Write the next use of a slot; ``row.generation`` is the new one.

    Returns:
        False, and nothing changed, when somebody else took it first.
    """
    changed = connection.execute(
        update(slot)
        .where(slot.c.id == row.id, slot.c.generation == row.generation - 1)
        .values(
            generation=row.generation,
            assignment_id=row.assignment_id,
            allocated_at=row.allocated_at,
            expires_at=row.expires_at,
            released_at=None,
            cools_until=row.cools_until,
        )
    )
    return changed.rowcount == 1


def release(
    connection: Connection, slot_id: int, assignment_id: int, now: int, cools_until: int
) -> bool:
    """End the life of a slot, if it is still that assignment's and was not released before."""
    changed = connection.execute(
        update(slot)
        .where(
            slot.c.id == slot_id,
            slot.c.assignment_id == assignment_id,
            slot.c.released_at.is_(None),
        )
        .values(released_at=now, cools_until=cools_until)
    )
    return changed.rowcount == 1


def live_at(connection: Connection, access_number: str, extension: str, now: int) -> list[SlotRow]:
    """Return the live slots of all phones behind one sender number, at most two."""
    rows = connection.execute(
        select(slot)
        .where(slot.c.access_number == access_number, slot.c.extension == extension, _live(now))
        .order_by(slot.c.id)
        .limit(2)
    )
    return [SlotRow(*row) for row in rows]


def counts(connection: Connection, now: int) -> tuple[int, int]:
    """Return how many slots are live and how many cool: two gauges.

    Nothing that has cooled down is read: a live slot's cool-down always lies ahead.
    """
    row = connection.execute(
        select(
            func.count().filter(_live(now)),
            func.count().filter(~_live(now), slot.c.cools_until > now),
        )
        .select_from(slot)
        .where(or_(slot.c.cools_until > now, slot.c.cools_until.is_(None)))
    ).one()
    return row[0], row[1]
