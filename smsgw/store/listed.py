"""Which numbers stand for which items in the lists that a phone was shown.

A number stays with its item as long as lists are remembered, so that an answer to an older list
never means another item.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, or_, select

from smsgw.store.schema import listed
from smsgw.store.statements import insert_new


def numbers(connection: Connection, phone: str, access_number: str, since: int) -> dict[int, int]:
    """Return the numbers a phone was shown since then, each with its assignment's id."""
    rows = connection.execute(
        select(listed.c.number, listed.c.assignment_id).where(
            listed.c.phone == phone, listed.c.access_number == access_number, listed.c.at > since
        )
    )
    return {row[0]: row[1] for row in rows}


def show(
    connection: Connection,
    phone: str,
    access_number: str,
    items: Mapping[int, int],
    now: int,
    since: int,
) -> bool:
    """Remember a list, by number the assignment's id; what was shown until ``since`` is forgotten.

    Returns:
        False when one of the numbers was shown after ``since`` for something else: undo the
        transaction.
    """
    connection.execute(
        delete(listed).where(
            listed.c.phone == phone,
            listed.c.access_number == access_number,
            listed.c.number.in_(list(items)),
            or_(listed.c.at <= since, listed.c.assignment_id.in_(list(items.values()))),
        )
    )
    rows = [(phone, access_number, number, item, now) for number, item in items.items()]
    return insert_new(connection, listed, rows) == len(rows)
