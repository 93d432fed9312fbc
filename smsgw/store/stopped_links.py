"""Links that people stopped: they stay so over restarts, and in every process on the database."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, select

from smsgw.store.schema import stopped_link
from smsgw.store.statements import insert_new


class StoppedLinkRow(msgspec.Struct, frozen=True):
    """A row of ``stopped_link``; the fields are its columns, in their order.

    Attributes:
        link: Its name in the configuration.
        actor: Who stopped it.
        at: When, in milliseconds since the Unix epoch.
    """

    link: str
    actor: str
    at: int


def stopped(connection: Connection) -> dict[str, StoppedLinkRow]:
    """Return all that are stopped, by name."""
    rows = [StoppedLinkRow(*row) for row in connection.execute(select(stopped_link))]
    return {row.link: row for row in rows}


def stop(connection: Connection, row: StoppedLinkRow) -> bool:
    """Record that a link is stopped; False when it was before: that stays as it was recorded."""
    return insert_new(connection, stopped_link, [msgspec.structs.astuple(row)]) == 1


def start(connection: Connection, link: str) -> bool:
    """Record that a link is not stopped any more; tell whether it was."""
    gone = connection.execute(delete(stopped_link).where(stopped_link.c.link == link))
    return gone.rowcount == 1
