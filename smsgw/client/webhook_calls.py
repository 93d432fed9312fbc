"""Webhooks: where events are posted to, what could not be, and having it again.

What a receiver of posts needs is :mod:`smsgw.client.webhooks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from smsgw.client.core import Core, Stream, Work, segment


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that events are posted to.

    Attributes:
        kinds: Of events, such as ``request.*``; none is all.
        state: ``active`` or ``paused``; ``reason`` says why.
        cursor: The last event that was acknowledged, or passed over.
        failing_since: The first of the failures in a row, or None.
        dead_events: How many events were given up.
        replays: How many replays are under way.
        secret: What posts are signed with; only where it is new, else "".
    """

    id: str
    url: str
    kinds: list[str]
    state: str
    reason: str
    created_at: datetime
    cursor: str
    delivered_at: datetime | None
    failing_since: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    problem: str
    old_secret_until: datetime | None
    dead_events: int
    replays: int
    secret: str = ""


class WebhookTest(msgspec.Struct, frozen=True):
    """What became of a test post; ``status`` is the receiver's, None without an answer."""

    delivered: bool
    result: str
    status: int | None
    problem: str
    seconds: float


class DeadLetter(msgspec.Struct, frozen=True):
    """Events that were given up: those after ``after``, up to ``until``."""

    id: str
    after: str
    until: str
    events: int
    failing_since: datetime | None
    why: str
    at: datetime | None


class _Removed(msgspec.Struct):
    id: str


def create(
    core: Core, url: str, kinds: Sequence[str] = (), *, idempotency_key: str | None = None
) -> Work[Webhook]:
    """Have events posted to a URL; the answer has the ``secret`` they are signed with.

    Args:
        url: Where; https, and a public address unless the configuration allows others.
        kinds: Only these, such as ``message.delivered`` or ``request.*``; all unless given.
        idempotency_key: Of your own: the same again is the same webhook.
    """
    body = {"url": url, "kinds": kinds}
    return (yield from core.post("/v1/webhooks", Webhook, body, idempotency_key))


def show(core: Core, webhook_id: str) -> Work[Webhook]:
    """Return a webhook."""
    return (yield from core.get(_path(webhook_id), Webhook))


def list_(core: Core) -> Stream[Webhook]:
    """Iterate over webhooks, newest first."""
    yield from core.pages("/v1/webhooks", "webhooks", Webhook)


def change(
    core: Core, webhook_id: str, *, url: str | None = None, kinds: Sequence[str] | None = None
) -> Work[Webhook]:
    """Post elsewhere, or other kinds; what is None stays."""
    body = {"url": url, "kinds": kinds}
    return (yield from core.post(_path(webhook_id, "change"), Webhook, body))


def remove(core: Core, webhook_id: str) -> Work[None]:
    """Forget a webhook and its dead letters."""
    yield from core.post(_path(webhook_id, "remove"), _Removed)


def pause(core: Core, webhook_id: str) -> Work[Webhook]:
    """Post nothing until it is resumed; what happens meanwhile waits."""
    return (yield from core.post(_path(webhook_id, "pause"), Webhook))


def resume(core: Core, webhook_id: str) -> Work[Webhook]:
    """Go on, at once."""
    return (yield from core.post(_path(webhook_id, "resume"), Webhook))


def rotate(core: Core, webhook_id: str, *, overlap: float | None = None) -> Work[Webhook]:
    """Sign with a new secret, which the answer has.

    Args:
        webhook_id: Of which.
        overlap: Seconds in which the old one signs as well; a day unless given, at most 30 days.
    """
    return (yield from core.post(_path(webhook_id, "rotate"), Webhook, {"overlap": overlap}))


def test(core: Core, webhook_id: str) -> Work[WebhookTest]:
    """Post an event ``webhook.test`` now, and say what became of it."""
    return (yield from core.post(_path(webhook_id, "test"), WebhookTest))


def dead_letters(core: Core, webhook_id: str) -> Stream[DeadLetter]:
    """Iterate over what could not be delivered, newest first."""
    yield from core.pages(_path(webhook_id, "dead-letters"), "dead_letters", DeadLetter)


def replay(
    core: Core,
    webhook_id: str,
    *,
    after: str | None = None,
    since: datetime | None = None,
    until: str | None = None,
    dead_letter: str | None = None,
) -> Work[Webhook]:
    """Have events posted again; give one of ``after``, ``since`` and ``dead_letter``.

    Args:
        webhook_id: To which.
        after: From the event after this one on.
        since: From this time on, with its zone.
        until: Up to this event; all there are now unless given.
        dead_letter: The id of one, or ``all``.
    """
    body = {"after": after, "since": since, "until": until, "dead_letter": dead_letter}
    return (yield from core.post(_path(webhook_id, "replay"), Webhook, body))


def _path(webhook_id: str, action: str = "") -> str:
    path = f"/v1/webhooks/{segment(webhook_id)}"
    return f"{path}/{action}" if action else path
