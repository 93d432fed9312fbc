"""Which numbers stand for which items in the lists that a phone was shown.

A number stays with its item as long as lists are remembered, so that an answer to an older list
never means another item.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from smsgw.store.schema import listed
from smsgw.store.statements import insert_rows


def numbers(connection: Connection, phone: str, access_number: str, since: int) -> dict[int, int]:
    """Return the numbers a phone was shown since then, each with its assignment's id."""
    rows = connection.execute(
        select(listed.c.number, listed.c.assignment_id).where(
            listed.c.phone == phone, listed.c.access_number == access_number, listed.c.at > since
        )
    )
    return {row[0]: row[1] for row in rows}


def show(
    connection: Connection, phone: str, access_number: str, items: Mapping[int, int], now: int
) -> None:
    """Remember a list, by number the assignment's id; a number's item of before is forgotten."""
    connection.execute(
        delete(listed).where(
            listed.c.phone == phone,
            listed.c.access_number == access_number,
            listed.c.number.in_(list(items)),
        )
    )
    rows = [(phone, access_number, number, item, now) for number, item in items.items()]
    insert_rows(connection, listed, rows)
