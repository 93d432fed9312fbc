"""What a webhook gets apart from its cursor: dead letters, and what was asked for again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, func, insert, select, update

from smsgw.store.schema import redelivery as redelivery_table
from smsgw.store.statements import run

DEAD, REPLAYING = "dead", "replaying"


class RedeliveryRow(msgspec.Struct, gc=False):
    """A row of ``redelivery``; the fields are its columns, in their order."""

    id: int
    webhook_id: int
    state: str
    after_id: int
    until_id: int
    events: int
    failing_since: int | None
    why: str
    at: int


def add(connection: Connection, row: RedeliveryRow) -> None:
    """Record events to deliver apart from the cursor."""
    connection.execute(insert(redelivery_table).values(msgspec.structs.asdict(row)))


def remove(connection: Connection, webhook_id: int) -> None:
    """Forget all of a webhook."""
    table = redelivery_table.c
    connection.execute(delete(redelivery_table).where(table.webhook_id == webhook_id))


def bury(connection: Connection, row: RedeliveryRow) -> None:
    """Record dead letters; those of one outage are one row."""
    table = redelivery_table.c
    same = and_(
        table.webhook_id == row.webhook_id,
        table.state == DEAD,
        table.until_id <= row.after_id,
        table.failing_since == row.failing_since,
    )
    grown = {"until_id": row.until_id, "events": table.events + row.events}
    change = update(redelivery_table).where(same).values(why=row.why, at=row.at, **grown)
    if not connection.execute(change).rowcount:
        add(connection, row)


def give_up(connection: Connection, redelivery_id: int, **values: Any) -> None:
    """Make dead letters of what is left of one, with these columns."""
    table = redelivery_table.c
    change = update(redelivery_table).where(table.id == redelivery_id)
    connection.execute(change.values(state=DEAD, **values))


def get(connection: Connection, redelivery_id: int) -> RedeliveryRow | None:
    """Return a redelivery, or None."""
    query = select(redelivery_table).where(redelivery_table.c.id == redelivery_id)
    row = connection.execute(query).first()
    return RedeliveryRow(*row) if row is not None else None


def page(
    connection: Connection,
    webhook_id: int,
    *,
    state: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[RedeliveryRow]:
    """Return a webhook's redeliveries, newest first, older than the id ``before``."""
    table = redelivery_table.c
    query = select(redelivery_table).where(table.webhook_id == webhook_id)
    if state is not None:
        query = query.where(table.state == state)
    if before is not None:
        query = query.where(table.id < before)
    found = connection.execute(query.order_by(table.id.desc()).limit(limit))
    return [RedeliveryRow(*row) for row in found]


def replay(connection: Connection, webhook_id: int, redelivery_id: int | None = None) -> int:
    """Have one dead letter of a webhook delivered, or all; returns how many."""
    table = redelivery_table.c
    query = update(redelivery_table).where(table.webhook_id == webhook_id, table.state == DEAD)
    if redelivery_id is not None:
        query = query.where(table.id == redelivery_id)
    return connection.execute(query.values(state=REPLAYING)).rowcount


def tally(connection: Connection, ids: Iterable[int]) -> dict[int, dict[str, tuple[int, int]]]:
    """Return by webhook and state how many redeliveries there are, and their dead events."""
    table = redelivery_table.c
    query = (
        select(table.webhook_id, table.state, func.count(), func.sum(table.events))
        .where(table.webhook_id.in_(list(ids)))
        .group_by(table.webhook_id, table.state)
    )
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for webhook_id, state, rows, dead in connection.execute(query):
        found.setdefault(webhook_id, {})[state] = rows, int(dead)
    return found


def dead(connection: Connection) -> dict[int, int]:
    """Return by webhook how many events are dead letters."""
    table = redelivery_table.c
    query = (
        select(table.webhook_id, func.sum(table.events))
        .where(table.state == DEAD)
        .group_by(table.webhook_id)
    )
    return {webhook_id: int(events) for webhook_id, events in connection.execute(query)}


_NEXT_REPLAY = """SELECT id, webhook_id, state, after_id, until_id, events, failing_since, why, at
 FROM redelivery WHERE webhook_id = ? AND state = ? ORDER BY id LIMIT 1"""


def first(connection: Connection, webhook_id: int) -> RedeliveryRow | None:
    """Return the one of a webhook whose turn is next, or None."""
    row = run(connection, _NEXT_REPLAY, webhook_id, REPLAYING).first()
    return RedeliveryRow(*row) if row is not None else None


def move(connection: Connection, redelivery_id: int, until: int, events: int) -> None:
    """Note that so many events were delivered, up to one; forget it with its last."""
    row = get(connection, redelivery_id)
    if row is None:
        return
    table = redelivery_table.c
    if until >= row.until_id:
        connection.execute(delete(redelivery_table).where(table.id == row.id))
        return
    left = max(0, row.events - events)
    moved = update(redelivery_table).where(table.id == row.id)
    connection.execute(moved.values(after_id=until, events=left))
