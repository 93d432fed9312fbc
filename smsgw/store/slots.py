"""The slot table: which extension of an access number stands for what to which phone.

A row is kept for ever and given out again; ``generation`` counts how often. ``expires_at`` ends its
life unless ``released_at`` did earlier; until ``cools_until`` late replies still map to it. The
policy is in :mod:`smsgw.services.ledger`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from smsgw.store.schema import assignment, conversation, request, slot
from smsgw.store.statements import fetch_json, insert_new


class SlotRow(msgspec.Struct, gc=False):
    """A row of ``slot``; the fields are its columns, in their order."""

    id: int
    phone: str
    access_number: str
    extension: str
    generation: int
    plan: str
    owner: str
    owner_id: int
    allocated_at: int
    expires_at: int
    released_at: int | None = None
    cools_until: int | None = None


def _live(now: int) -> ColumnElement[bool]:
    return and_(slot.c.released_at.is_(None), slot.c.expires_at > now)


def insert(connection: Connection, row: SlotRow) -> bool:
    """Insert the first use of an extension for a phone.

    Returns:
        False, and nothing changed, when another process was first.
    """
    return insert_new(connection, slot, [msgspec.structs.astuple(row)]) == 1


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


_USED = "SELECT ROWS(extension) FROM slot WHERE phone = ? AND access_number = ?"
_extensions = msgspec.json.Decoder(list[tuple[str]])


def used(connection: Connection, phone: str, access_number: str) -> set[str]:
    """Return every extension this phone was ever given under the access number."""
    found = fetch_json(connection, _extensions, _USED, phone, access_number)
    return {extension for (extension,) in found}


def least_recent(
    connection: Connection,
    phone: str,
    access_number: str,
    prefix: str,
    length: int,
    now: int,
    ended_before: int | None = None,
    *,
    taken: Collection[str] = (),
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
        taken: No extension that begins with one of these.
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
            *(~slot.c.extension.startswith(digits, autoescape=True) for digits in taken),
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
            plan=row.plan,
            owner=row.owner,
            owner_id=row.owner_id,
            allocated_at=row.allocated_at,
            expires_at=row.expires_at,
            released_at=None,
            cools_until=row.cools_until,
        )
    )
    return changed.rowcount == 1


def release(connection: Connection, slot_id: int, owner: str, owner_id: int, now: int) -> bool:
    """End the life of a slot, if it is still that owner's and was not released before.

    It cools for as long from now on as it would have from its expiry.
    """
    changed = connection.execute(
        update(slot)
        .where(
            slot.c.id == slot_id,
            slot.c.owner == owner,
            slot.c.owner_id == owner_id,
            slot.c.released_at.is_(None),
        )
        .values(released_at=now, cools_until=slot.c.cools_until - slot.c.expires_at + now)
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


class SlotUse(NamedTuple):
    """A slot in use, and whose it is.

    Attributes:
        slot: The row.
        account: The owner's.
        reference: The account's own word for what it stands for.
        request_id: The request asked about, or None.
    """

    slot: SlotRow
    account: str
    reference: str
    request_id: int | None


_account = func.coalesce(request.c.account, conversation.c.account, "")
_OWNED = (
    slot.outerjoin(
        assignment, and_(slot.c.owner == "assignment", assignment.c.id == slot.c.owner_id)
    )
    .outerjoin(request, request.c.id == assignment.c.request_id)
    .outerjoin(
        conversation, and_(slot.c.owner == "conversation", conversation.c.id == slot.c.owner_id)
    )
)


def in_use(
    connection: Connection,
    now: int,
    account: str,
    *,
    phone: str | None = None,
    access_number: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[SlotUse]:
    """Return an account's slots that live or cool, newest row first.

    Args:
        connection: Any connection.
        now: Milliseconds.
        account: Whose.
        phone: Only this one's, normalised.
        access_number: Only under this number.
        before: Id of the last slot of the page before.
        limit: The most to return.
    """
    reference = func.coalesce(request.c.reference, conversation.c.reference, "")
    query = (
        select(slot, _account, reference, assignment.c.request_id)
        .select_from(_OWNED)
        .where(slot.c.cools_until > now, _account == account)
    )
    if phone is not None:
        query = query.where(slot.c.phone == phone)
    if access_number is not None:
        query = query.where(slot.c.access_number == access_number)
    if before is not None:
        query = query.where(slot.c.id < before)
    rows = connection.execute(query.order_by(slot.c.id.desc()).limit(limit))
    return [SlotUse(SlotRow(*row[:-3]), *row[-3:]) for row in rows]


class Load(NamedTuple):
    """How many slots live, how many cool, and how many are in use of the phone with the most."""

    live: int
    cooling: int
    most: int


def load(connection: Connection, access_number: str, prefix: str, length: int, now: int) -> Load:
    """Return how much of a range of extensions is in use: those of one prefix and length."""
    live = func.count().filter(_live(now)).label("live")
    of_phone = (
        select(live, func.count().label("used"))
        .where(
            slot.c.cools_until > now,
            slot.c.access_number == access_number,
            func.length(slot.c.extension) == length,
            slot.c.extension.startswith(prefix, autoescape=True),
        )
        .group_by(slot.c.phone)
        .subquery()
    )
    lives, used = of_phone.c.live, of_phone.c.used
    sums = select(func.sum(lives), func.sum(used), func.max(used)).select_from(of_phone)
    total, everything, most = connection.execute(sums).one()
    return Load(int(total or 0), int(everything or 0) - int(total or 0), int(most or 0))


def busiest(
    connection: Connection, now: int, account: str, limit: int
) -> list[tuple[str, str, int, int]]:
    """Return the phones with the most of an account's slots in use.

    Returns:
        Phone, access number, how many live and how many cool, the most first.
    """
    query = (
        select(
            slot.c.phone,
            slot.c.access_number,
            func.count().filter(_live(now)),
            func.count().filter(~_live(now)),
        )
        .select_from(_OWNED)
        .where(slot.c.cools_until > now, _account == account)
        .group_by(slot.c.phone, slot.c.access_number)
        .order_by(func.count().desc(), slot.c.phone, slot.c.access_number)
        .limit(limit)
    )
    return [
        (phone, number, live, cools) for phone, number, live, cools in connection.execute(query)
    ]
