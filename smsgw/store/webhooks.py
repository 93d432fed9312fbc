"""Webhooks and their redeliveries: what was delivered, what is under way, what nobody took.

Rules: a webhook's events go out in batches, one after the other. A batch is declared, with an id of
its own, in the transaction that records the one before as delivered; so whoever goes on after a
crash sends the same events under the same id. What is recorded of a batch is recorded only while
it is still the webhook's: of two processes that believe to have it, one finds that it has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, delete, func, insert, select, update

from smsgw.model import Event
from smsgw.store import redeliveries
from smsgw.store.redeliveries import DEAD, RedeliveryRow
from smsgw.store.schema import webhook as webhook_table
from smsgw.store.wanted import read_events

ACTIVE, PAUSED = "active", "paused"

_kinds = msgspec.json.Decoder(list[str]).decode


class WebhookRow(msgspec.Struct, gc=False):
    """A row of ``webhook``; the fields are its columns, in their order."""

    id: int
    account: str
    url: str
    kinds: str
    secret: str = msgspec.field(default="")
    old_secret: str = ""
    old_secret_until: int | None = None
    state: str = ACTIVE
    reason: str = ""
    version: int = 1
    created_at: int = 0
    cursor: int = 0
    batch_id: int = 0
    batch_until: int = 0
    batch_of: int = 0
    attempts: int = 0
    failing_since: int | None = None
    next_attempt_at: int | None = None
    problem: str = ""
    delivered_at: int | None = None

    @property
    def patterns(self) -> list[str]:
        """The kinds it wants; none is all."""
        return _kinds(self.kinds)

    def __repr__(self) -> str:
        return f"WebhookRow({self.id}, {self.state})"  # a secret and a URL are nobody else's


class Batch(msgspec.Struct, frozen=True):
    """Events that go out together.

    Attributes:
        id: Its name in every attempt; 0 until it is declared.
        events: Oldest first.
        until: The last event it covers; with those passed over, later than its last one.
        of: The redelivery it belongs to; 0 for none.
    """

    id: int
    events: Sequence[Event]
    until: int
    of: int = 0


class Found(msgspec.Struct, frozen=True):
    """What a look for the next batch found.

    Attributes:
        batch: What goes out next, not declared unless it was; None when there is nothing.
        looked_to: No event up to this one is left for the cursor, but for those of ``batch``.
        more: Whether there may be more behind what was looked at.
        replays: Whether there is a redelivery to see to.
    """

    batch: Batch | None
    looked_to: int
    more: bool
    replays: bool


# ---- webhooks ------------------------------------------------------------------------------


def add(connection: Connection, row: WebhookRow) -> None:
    """Record a webhook."""
    connection.execute(insert(webhook_table).values(msgspec.structs.asdict(row)))


def get(connection: Connection, webhook_id: int, account: str | None = None) -> WebhookRow | None:
    """Return a webhook; None when there is none, or it is another account's."""
    query = select(webhook_table).where(webhook_table.c.id == webhook_id)
    if account is not None:
        query = query.where(webhook_table.c.account == account)
    row = connection.execute(query).first()
    return WebhookRow(*row) if row is not None else None


def locked(connection: Connection, webhook_id: int) -> WebhookRow | None:
    """Return a webhook that nobody else changes until this transaction ends, or None."""
    query = select(webhook_table).where(webhook_table.c.id == webhook_id).with_for_update()
    row = connection.execute(query).first()
    return WebhookRow(*row) if row is not None else None


def page(
    connection: Connection, account: str, *, before: int | None = None, limit: int = 50
) -> list[WebhookRow]:
    """Return an account's webhooks, newest first, older than the id ``before``."""
    table = webhook_table.c
    query = select(webhook_table).where(table.account == account)
    if before is not None:
        query = query.where(table.id < before)
    return [
        WebhookRow(*row) for row in connection.execute(query.order_by(table.id.desc()).limit(limit))
    ]


def count(connection: Connection, account: str) -> int:
    """Return how many webhooks an account has."""
    query = select(func.count()).where(webhook_table.c.account == account)
    return connection.execute(query.select_from(webhook_table)).scalar_one()


def versions(connection: Connection) -> dict[int, int]:
    """Return the version of every webhook that is active."""
    table = webhook_table.c
    query = select(table.id, table.version).where(table.state == ACTIVE)
    return {row.id: row.version for row in connection.execute(query)}


def rows_of(connection: Connection, ids: Iterable[int]) -> list[WebhookRow]:
    """Return webhooks by their ids, those there are."""
    query = select(webhook_table).where(webhook_table.c.id.in_(list(ids)))
    return [WebhookRow(*row) for row in connection.execute(query)]


def change(connection: Connection, row: WebhookRow, **values: Any) -> WebhookRow:
    """Set columns of a locked webhook as somebody asked; returns it as it is then."""
    return _set(connection, row, version=row.version + 1, **values)


def remove(connection: Connection, webhook_id: int) -> None:
    """Forget a webhook and its redeliveries."""
    redeliveries.remove(connection, webhook_id)
    connection.execute(delete(webhook_table).where(webhook_table.c.id == webhook_id))


def _set(connection: Connection, row: WebhookRow, **values: Any) -> WebhookRow:
    table = webhook_table.c
    connection.execute(update(webhook_table).where(table.id == row.id).values(**values))
    return msgspec.structs.replace(row, **values)


# ---- one batch after the other ---------------------------------------------------------------


def next_batch(
    connection: Connection, row: WebhookRow, position: int, limit: int, *, replay: bool
) -> Found:
    """Return what goes out next: the batch under way, else a new one.

    Args:
        connection: Any connection.
        row: The webhook.
        position: Up to this event nothing is left for the cursor.
        limit: Events of a batch.
        replay: Whether a redelivery's turn comes before the cursor's.
    """
    if row.batch_id:
        return _under_way(connection, row, position, limit)
    turn = redeliveries.first(connection, row.id) if replay else None
    if turn is not None:
        given, last, more = read_events(connection, row, turn.after_id, turn.until_id, limit)
        return Found(
            Batch(0, given, last if more else turn.until_id, turn.id), position, True, True
        )
    given, last, more = read_events(connection, row, position, None, limit)
    batch = Batch(0, given, given[-1].id) if given else None
    return Found(batch, last, more, redeliveries.first(connection, row.id) is not None)


def _under_way(connection: Connection, row: WebhookRow, position: int, limit: int) -> Found:
    given: list[Event] = []
    after, more = row.cursor, True
    if row.batch_of:
        turn = redeliveries.get(connection, row.batch_of)
        after = turn.after_id if turn is not None else row.batch_until
    while more and len(given) < limit:  # what it passes over may be more than a window
        some, after, more = read_events(connection, row, after, row.batch_until, limit - len(given))
        given += some
    return Found(Batch(row.batch_id, given, row.batch_until, row.batch_of), position, True, True)


def settle(
    connection: Connection,
    row: WebhookRow,
    done: Batch | None,
    following: Batch | None,
    cursor: int,
    now: int,
) -> WebhookRow | None:
    """Record what was delivered, and declare what goes out next.

    Args:
        connection: In a transaction.
        row: The webhook as it was believed to be.
        done: The batch that was delivered; None when there was none.
        following: The next one, with its id; None when there is none yet.
        cursor: Up to this event nothing is left for the cursor but for ``following``.
        now: Milliseconds since the Unix epoch.

    Returns:
        The webhook as it is then. Its ``batch_id`` says whether ``following`` was declared: not
        when somebody changed it meanwhile, or another process has it. None when it is gone.
    """
    there = locked(connection, row.id)
    if there is None or there.batch_id != (done.id if done is not None else 0):
        return there
    values: dict[str, Any] = {}
    if done is not None:
        values = {"batch_id": 0, "batch_until": 0, "batch_of": 0}
        if done.of:
            redeliveries.move(connection, done.of, done.until, len(done.events))
        else:
            values["cursor"] = max(there.cursor, done.until)
        if done.events:
            values |= {"attempts": 0, "failing_since": None, "next_attempt_at": None}
            values |= {"problem": "", "delivered_at": now}
    if there.version == row.version and there.state == ACTIVE:
        values["cursor"] = max(values.get("cursor", there.cursor), cursor)
        if following is not None:
            values |= {"batch_id": following.id, "batch_until": following.until}
            values["batch_of"] = following.of
    return _set(connection, there, **values) if values else there


def put_off(
    connection: Connection,
    row: WebhookRow,
    *,
    attempts: int,
    failing_since: int,
    next_attempt_at: int,
    problem: str,
) -> WebhookRow | None:
    """Record that an attempt failed, and when the next one is due; returns it as :func:`settle`."""
    there = locked(connection, row.id)
    if there is None or there.batch_id != row.batch_id or there.version != row.version:
        return there
    return _set(
        connection,
        there,
        attempts=attempts,
        failing_since=failing_since,
        next_attempt_at=next_attempt_at,
        problem=problem,
    )


def pause(connection: Connection, row: WebhookRow, reason: str) -> WebhookRow | None:
    """Pause a webhook whose receiver wants no more; returns it as :func:`settle`."""
    there = locked(connection, row.id)
    if there is None or there.batch_id != row.batch_id or there.version != row.version:
        return there
    values = {"failing_since": None, "next_attempt_at": None, "attempts": 0}
    return change(connection, there, state=PAUSED, reason=reason, problem=reason, **values)


def pass_over(connection: Connection, row: WebhookRow, cursor: int) -> None:
    """Note that no event up to this one is left, unless a batch is under way by now."""
    table = webhook_table.c
    same = and_(table.id == row.id, table.version == row.version)
    connection.execute(
        update(webhook_table)
        .where(same, table.batch_id == 0, table.cursor < cursor)
        .values(cursor=cursor)
    )


# ---- dead letters, and what is delivered again -------------------------------------------------


def bury(
    connection: Connection,
    row: WebhookRow,
    *,
    until: int,
    events: int,
    why: str,
    redelivery_id: int,
    now: int,
) -> WebhookRow | None:
    """Give up the events of a failing webhook up to one, and keep them as dead letters.

    Dead letters of one outage are one row. A batch of a redelivery makes that wait again.

    Args:
        connection: In a transaction.
        row: The webhook as it was believed to be.
        until: The last event given up.
        events: How many they are; 0 only moves the cursor.
        why: The last attempt's problem.
        redelivery_id: Of the new row, if there is one.
        now: Milliseconds since the Unix epoch.

    Returns:
        As :func:`settle`; it has no batch under way any more.
    """
    there = locked(connection, row.id)
    if there is None or there.batch_id != row.batch_id or there.version != row.version:
        return there
    free = {"batch_id": 0, "batch_until": 0, "batch_of": 0}
    if row.batch_of:
        values = {"events": events, "failing_since": row.failing_since, "why": why, "at": now}
        redeliveries.give_up(connection, row.batch_of, **values)
        return _set(connection, there, **free)
    if events:
        letter = RedeliveryRow(
            redelivery_id, row.id, DEAD, there.cursor, until, events, row.failing_since, why, now
        )
        redeliveries.bury(connection, letter)
    return _set(connection, there, cursor=max(there.cursor, until), **free)


def paused(connection: Connection) -> list[int]:
    """Return the webhooks that are paused."""
    table = webhook_table.c
    return [row.id for row in connection.execute(select(table.id).where(table.state == PAUSED))]
