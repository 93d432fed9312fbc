"""Which events a webhook gets, found a window at a time.

A query looks at so many events in a row, whether they are wanted or not: few of many are found by
asking again from where it ended, and no query takes long.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, func, select

from smsgw.model import Event
from smsgw.store import events
from smsgw.store.ids import first_at
from smsgw.store.schema import event as event_table
from smsgw.store.statements import fetch_json, json_array, run

if TYPE_CHECKING:
    from smsgw.store.webhooks import WebhookRow

WINDOW = 5000
"""Events that one query looks at."""


def wants(patterns: Sequence[str], kind: str) -> bool:
    """Whether a kind is among those that are wanted: named, or ``request.*``, or all by none."""
    if not patterns:
        return True
    return any(kind == one or (one[-1] == "*" and kind.startswith(one[:-1])) for one in patterns)


def accounts_of(row: WebhookRow) -> tuple[str, str]:
    """Whose events a webhook gets: its account's and nobody's, as ``GET /v1/events`` has them."""
    return row.account, ""


def newest(connection: Connection) -> int:
    """Return the id of the newest event; 0 when there is none."""
    found: int | None = connection.execute(select(func.max(event_table.c.id))).scalar()
    return found or 0


def news(connection: Connection, after: int) -> list[tuple[str, str, int]]:
    """Return account and kind of the events after one, each once, with the newest such event."""
    table = event_table.c
    query = (
        select(table.account, table.kind, func.max(table.id))
        .where(table.id > after)
        .group_by(table.account, table.kind)
    )
    return [(account, kind, newest) for account, kind, newest in connection.execute(query)]


def read_events(
    connection: Connection, row: WebhookRow, after: int, until: int | None, limit: int
) -> tuple[list[Event], int, bool]:
    """Return events that a webhook wants, oldest first.

    Args:
        connection: Any connection.
        row: The webhook.
        after: Only events newer than this one.
        until: Up to this one; None for all there are.
        limit: The most to return.

    Returns:
        Them; the event up to which there are no others; whether there may be more after that.
    """
    for window in (min(WINDOW, NEAR * limit), WINDOW):
        given = (after, FOR_EVER if until is None else until, window)
        text, words = _chosen(row)
        rows = fetch_json(connection, _EVENTS, _READ.format(text), *given, *words, limit)
        if len(rows) == limit:
            break
        count, last = run(connection, _LOOK, *given).one()
        if count < window:
            break
    found = [events.event_of(*one) for one in sorted(rows, key=itemgetter(0))]
    if len(found) == limit:
        return found, found[-1].id, True
    return found, last or after, count == window


def count_events(
    connection: Connection, row: WebhookRow, after: int, until: int | None
) -> tuple[int, int, bool]:
    """Count what :func:`read_events` would return of one window.

    Returns:
        How many; up to which event; whether there may be more after that.
    """
    given = (after, FOR_EVER if until is None else until, WINDOW)
    text, words = _chosen(row)
    wanted = run(connection, _COUNT.format(text), *given, *words).scalar_one()
    looked, last = run(connection, _LOOK, *given).one()
    return wanted, last or after, looked == WINDOW


FOR_EVER = 2**63 - 1
NEAR = 4
"""A first look goes over so many times the events it is for: most webhooks want most events."""

_WINDOW = "SELECT * FROM event WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
_LOOK = f"SELECT count(*), max(id) FROM ({_WINDOW}) e"
_COUNT = f"SELECT count(*) FROM ({_WINDOW}) e WHERE {{}}"
_READ = f"""SELECT ROWS(id, at, kind, subject_id, account, data, recipient, reference) FROM
 (SELECT e.id, e.at, e.kind, e.subject_id, e.account, e.data, m.recipient, m.reference
 FROM ({_WINDOW}) e LEFT JOIN message m ON m.id = e.subject_id
 WHERE {{}} ORDER BY e.id LIMIT ?) f"""
_EVENTS = msgspec.json.Decoder(list[tuple[int, int, str, int, str, str, str | None, str | None]])


def _chosen(row: WebhookRow) -> tuple[str, tuple[str, ...]]:
    """Return the condition for the events that a webhook wants, and its parameters."""
    text, words = "e.account IN TEXTS(?)", [json_array(accounts_of(row))]
    patterns = row.patterns
    if not patterns:
        return text, tuple(words)
    starts = [one[:-1] for one in patterns if one[-1] == "*"]
    kinds = ["e.kind IN TEXTS(?)", *(f"substr(e.kind, 1, {len(one)}) = ?" for one in starts)]
    words.append(json_array([one for one in patterns if one[-1] != "*"]))
    return f"{text} AND ({' OR '.join(kinds)})", (*words, *starts)


def before_time(ms: int) -> int:
    """Return the id after which events were recorded at a time or later."""
    return max(0, first_at(ms) - 1)
