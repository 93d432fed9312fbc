"""What became of certain events at each webhook of an account, read from what its rows say now.

A webhook keeps no list of what it delivered: everything up to its cursor was acknowledged, but for
what lies in a redelivery. So this says what holds, and not when each event was taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from smsgw.model import Event
from smsgw.store import redeliveries, webhooks
from smsgw.store.redeliveries import DEAD, RedeliveryRow
from smsgw.store.wanted import wants
from smsgw.store.webhooks import ACTIVE, WebhookRow

WEBHOOKS_MAX = 100
REDELIVERIES_MAX = 500
"""The most that are looked at: as many webhooks as an account may have."""


class Delivery(NamedTuple):
    """One event at one webhook.

    Attributes:
        webhook: Which.
        event: Which.
        state: ``delivered``, ``waiting`` (its turn has not come), ``sending`` (it is being posted,
            or posted again after failures), ``paused``, ``given_up`` or ``replaying``.
        attempts: How often the batch that it is in was posted in vain.
        next_attempt_at: When it is posted again; None where that is not known.
        problem: Why it was not taken, or "".
        at: When it was given up; None otherwise.
    """

    webhook: WebhookRow
    event: Event
    state: str
    attempts: int = 0
    next_attempt_at: int | None = None
    problem: str = ""
    at: int | None = None


def of_events(connection: Connection, account: str, events: Sequence[Event]) -> list[Delivery]:
    """Return what became of events of an account, at each webhook that wants them by now."""
    found = []
    for row in reversed(webhooks.page(connection, account, limit=WEBHOOKS_MAX)):
        apart = redeliveries.page(connection, row.id, limit=REDELIVERIES_MAX)
        for event in events:
            if wants(row.patterns, event.kind):
                delivery = _of(row, apart, event)
                found += [delivery] if delivery is not None else []
    return found


def _of(row: WebhookRow, apart: Sequence[RedeliveryRow], event: Event) -> Delivery | None:
    for one in apart:
        if one.after_id < event.id <= one.until_id:
            dead = one.state == DEAD
            state = "given_up" if dead else "replaying"
            return Delivery(row, event, state, problem=one.why, at=one.at if dead else None)
    if event.at < row.created_at:
        return None  # it was there before the webhook, and never its
    if event.id <= row.cursor:
        return Delivery(row, event, "delivered")
    if row.state != ACTIVE:
        return Delivery(row, event, "paused", row.attempts, problem=row.reason or row.problem)
    if row.batch_id and not row.batch_of and event.id <= row.batch_until:
        return Delivery(row, event, "sending", row.attempts, row.next_attempt_at, row.problem)
    return Delivery(row, event, "waiting", problem=row.problem)
