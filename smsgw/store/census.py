"""What is in a database, without what it says: which schema, how many rows, what happened."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from smsgw.store import revisions
from smsgw.store.ids import made_at
from smsgw.store.schema import event, message, metadata

ROWS_COUNTED_MAX = 1_000_000
"""No table is counted further: whoever looks for a fault need not know more."""


class Database(NamedTuple):
    """How a database is set.

    Attributes:
        revision: Its schema's; "" when it is empty.
        needed: The one this version needs.
        settings: What it says of durability, by the database's own names.
    """

    revision: str
    needed: str
    settings: dict[str, str]


def look(connection: Connection) -> Database:
    """Return how a database is set."""
    if connection.dialect.name == "sqlite":
        asked = {name: f"PRAGMA {name}" for name in ("journal_mode", "page_size", "page_count")}
    else:
        names = ("server_version", "fsync", "synchronous_commit", "autovacuum", "max_connections")
        asked = {name: f"SHOW {name}" for name in names}
    settings = {
        name: str(connection.exec_driver_sql(query).scalar()) for name, query in asked.items()
    }
    return Database(revisions.current(connection), revisions.head(), settings)


def skew_seconds(connection: Connection, now: float) -> float:
    """Return how far a server's clock is ahead of ours; 0 with a file.

    Args:
        connection: To the database.
        now: The present time here, in seconds since 1970.
    """
    if connection.dialect.name == "sqlite":
        return 0.0
    query = "SELECT extract(epoch FROM clock_timestamp())"
    return float(connection.exec_driver_sql(query).scalar_one()) - now


def newest_id_at(connection: Connection) -> int | None:
    """Return when the newest id was made, in milliseconds since 1970; None without any."""
    if not revisions.current(connection):
        return None
    newest = [connection.execute(select(func.max(t.c.id))).scalar() for t in (message, event)]
    made = [int(one) for one in newest if one is not None]
    return made_at(max(made)) if made else None


def rows(connection: Connection) -> dict[str, int]:
    """Return how many rows each table has, counted up to :data:`ROWS_COUNTED_MAX`."""
    counts = {}
    for table in metadata.sorted_tables:
        some = select(1).select_from(table).limit(ROWS_COUNTED_MAX).subquery()
        counts[table.name] = int(
            connection.execute(select(func.count()).select_from(some)).scalar_one()
        )
    return counts


def recent_events(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Return the newest events, newest first: what, when and of what; not what they say."""
    query = select(event.c.id, event.c.at, event.c.kind, event.c.subject_id, event.c.account)
    found = connection.execute(query.order_by(event.c.id.desc()).limit(limit))
    return [dict(row._mapping) for row in found]
