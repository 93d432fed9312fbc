"""The timer table: what is to happen to a request, and when.

A row is deleted in the transaction in which that happens (:func:`take`), so it happens once: on
whichever process, and over restarts. The policy is in :mod:`smsgw.services.requests.timers`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    case,
    delete,
    func,
    literal,
    select,
    update,
)

from smsgw.store.ids import NODE_MAX, SEQUENCE_BITS
from smsgw.store.schema import timer
from smsgw.store.statements import insert_rows


class TimerRow(msgspec.Struct, frozen=True, gc=False):
    """A row of ``timer``; the fields are its columns, in their order."""

    id: int
    kind: str
    request_id: int
    subject_id: int
    turn: int
    due_at: int


def set(connection: Connection, rows: Sequence[TimerRow]) -> None:
    """Set timers, beside those that are there."""
    insert_rows(connection, timer, [msgspec.structs.astuple(row) for row in rows])


def clear(
    connection: Connection,
    request_id: int,
    kind: str | None = None,
    subjects: Collection[int] | None = None,
) -> None:
    """Delete the timers of a request: all, of one kind, or of some steps and assignments."""
    statement = delete(timer).where(timer.c.request_id == request_id)
    if kind is not None:
        statement = statement.where(timer.c.kind == kind)
    if subjects is not None:
        statement = statement.where(timer.c.subject_id.in_(subjects))
    connection.execute(statement)


def take(connection: Connection, timer_id: int) -> bool:
    """Delete a timer whose time has come; do in the same transaction what it is for.

    Returns:
        False when somebody else did, or it was cleared: then nothing is to be done.
    """
    return connection.execute(delete(timer).where(timer.c.id == timer_id)).rowcount == 1


def move(connection: Connection, timer_id: int, due_at: int) -> bool:
    """Give a timer another time; False when it is not there any more."""
    statement = update(timer).where(timer.c.id == timer_id).values(due_at=due_at)
    return connection.execute(statement).rowcount == 1


def of_request(connection: Connection, request_id: int) -> list[TimerRow]:
    """Return the timers of a request, the next one first."""
    rows = connection.execute(
        select(timer).where(timer.c.request_id == request_id).order_by(timer.c.due_at, timer.c.id)
    )
    return [TimerRow(*row) for row in rows]


def due(
    connection: Connection, now: int, limit: int, *, node: int | None = None, late_ms: int = 0
) -> list[TimerRow]:
    """Return timers whose time has come, the one that was due first at the front.

    Args:
        connection: Any.
        now: Milliseconds.
        limit: The most to return.
        node: The process that asks, where several share the database; None: all are its own.
        late_ms: A timer that another process set is only returned when it is that late.
    """
    rows = connection.execute(
        select(timer)
        .where(timer.c.due_at <= now, _ready_at(node, late_ms) <= now)
        .order_by(timer.c.due_at, timer.c.id)
        .limit(limit)
    )
    return [TimerRow(*row) for row in rows]


def next_due(
    connection: Connection, before: int, *, node: int | None = None, late_ms: int = 0
) -> int | None:
    """Return when :func:`due` will return the next timer, or None.

    Args:
        connection: Any.
        before: Only timers that are due until then, in milliseconds.
        node: As in :func:`due`.
        late_ms: As in :func:`due`.
    """
    statement = select(func.min(_ready_at(node, late_ms))).where(timer.c.due_at <= before)
    found: int | None = connection.execute(statement).scalar()
    return found


def _ready_at(node: int | None, late_ms: int) -> ColumnElement[int]:
    """When a process may take a timer."""
    if node is None:
        return timer.c.due_at
    # PostgreSQL shifts by no more than an integer, which a parameter beside an id is not.
    set_by = timer.c.id.bitwise_rshift(literal(SEQUENCE_BITS, Integer)).bitwise_and(NODE_MAX)
    return timer.c.due_at + case((set_by == node, 0), else_=late_ms)
