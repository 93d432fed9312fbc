"""Counts of what is open in the database: looked up now and then, never for one message."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from smsgw.store.schema import request, segment


def requests_open(connection: Connection) -> int:
    """Return how many requests wait for answers."""
    counted = select(func.count()).select_from(request).where(request.c.state == "open")
    return int(connection.execute(counted).scalar_one())


def unknown_segments(connection: Connection) -> dict[str, int]:
    """Return by link how many segments are of unknown outcome; links that have some."""
    counted = (
        select(segment.c.link, func.count())
        .where(segment.c.state == "unknown", segment.c.next_attempt_at.is_not(None))
        .group_by(segment.c.link)
    )
    return {link: int(count) for link, count in connection.execute(counted)}
