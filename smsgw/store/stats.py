"""Counts of what was accepted in a span of time, for people: never of all there is."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, Integer, case, cast, func, select

from smsgw.store.ids import first_at
from smsgw.store.messages import STATUS
from smsgw.store.schema import inbound, message, request


class Sent(NamedTuple):
    """Messages of one class, link and status.

    Attributes:
        message_class: How urgent they are.
        link: Where they go out.
        status: What became of them.
        messages: How many.
        parts: Their segments.
        oldest_at: When the first of them was accepted (ms).
    """

    message_class: str
    link: str
    status: str
    messages: int
    parts: int
    oldest_at: int


class Counted(NamedTuple):
    """What there was in a span.

    Attributes:
        sent: Messages, by class, link and status.
        received: What phones sent: outcome ("" while nobody has read it) to how many.
        requests: State and outcome to how many.
    """

    sent: list[Sent]
    received: dict[str, int]
    requests: dict[str, int]


def count(
    connection: Connection, accounts: Collection[str], since_ms: int, until_ms: int
) -> Counted:
    """Count what was accepted from one time until before another.

    Args:
        connection: Any connection.
        accounts: Whose; of what phones sent, what is nobody's counts as well.
        since_ms: The first millisecond.
        until_ms: The first one after it.
    """
    span = first_at(since_ms), first_at(until_ms) - 1
    now = (
        select(
            message.c.message_class,
            message.c.link,
            STATUS.element.label("now"),
            message.c.parts,
            message.c.created_at,
        )
        .where(message.c.account.in_(accounts), message.c.id.between(*span))
        .subquery()
    )
    key = (now.c.message_class, now.c.link, now.c.now)
    parts = cast(func.sum(now.c.parts), Integer)
    sent = select(*key, func.count(), parts, func.min(now.c.created_at)).group_by(*key)
    received = (
        select(inbound.c.outcome, func.count())
        .where(inbound.c.account.in_([*accounts, ""]), inbound.c.id.between(*span))
        .group_by(inbound.c.outcome)
    )
    ended = case((request.c.outcome == "", request.c.state), else_=request.c.outcome).label("end")
    asked = (
        select(ended).where(request.c.account.in_(accounts), request.c.id.between(*span)).subquery()
    )
    requests = select(asked.c.end, func.count()).group_by(asked.c.end)
    return Counted(
        [Sent(*row) for row in connection.execute(sent)],
        {row[0]: row[1] for row in connection.execute(received)},
        {row[0]: row[1] for row in connection.execute(requests)},
    )
