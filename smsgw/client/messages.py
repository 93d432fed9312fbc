"""Messages, what phones sent, events, links: calls that stand by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from smsgw.client.answers import Event, Inbound, LinkState, Message, Route
from smsgw.client.core import Core, Found, Pause, Stream, Work, segment
from smsgw.client.drafts import MessageClass, NewMessage
from smsgw.client.errors import TimedOut

EVENT_ROWS = 500
WAIT_SECONDS = 30
"""How long one call for events waits at the gateway for the next."""

FIRST_LOOK = 0.05
LAST_LOOK = 1.0
"""Seconds between looks at what is waited for: first so, then longer and longer up to this."""


class Id(msgspec.Struct):
    """The answer to something new."""

    id: str


class _Ids(msgspec.Struct):
    ids: list[str]


class _Events(msgspec.Struct):
    events: list[Event]
    next: str


class _Read(msgspec.Struct):
    read: int


class _Links(msgspec.Struct):
    links: list[LinkState]


def send(
    core: Core,
    to: str,
    text: str,
    *,
    message_class: MessageClass | None = None,
    reference: str = "",
    send_at: datetime | None = None,
    zone: str = "",
    valid_for: float | None = None,
    expect_reply: bool = False,
    idempotency_key: str | None = None,
) -> Work[str]:
    """Send one message; return its id, once it is recorded and will be sent whatever happens.

    Args:
        to: A mainland mobile number, in any usual spelling.
        text: All of it, however long.
        message_class: How urgent it is; ``notice`` unless given.
        reference: Your own, at most 128 characters.
        send_at: When to send it: with an offset, or without one and with ``zone``; None at once.
        zone: Whose clocks ``send_at`` is about, such as ``Asia/Shanghai``.
        valid_for: Seconds after which it is not sent any more; None for a day.
        expect_reply: Whether it must go through the subscriber's own operator.
        idempotency_key: Of your own: the same again is the same message. One is made unless given.

    Raises:
        ApiError: The gateway refuses it, and sends nothing.
        Unreachable: No gateway answers.
    """
    message = NewMessage(
        to=to,
        text=text,
        message_class=message_class,
        reference=reference,
        send_at=send_at,
        zone=zone,
        valid_for=valid_for,
        expect_reply=expect_reply,
    )
    made = yield from core.post("/v1/messages", Id, message, idempotency_key)
    return made.id


def send_many(
    core: Core, messages: Sequence[NewMessage], *, idempotency_key: str | None = None
) -> Work[list[str]]:
    """Send up to 1000 messages, all or none; return their ids in order. As :func:`send`."""
    body = {"messages": list(messages)}
    made = yield from core.post("/v1/messages", _Ids, body, idempotency_key)
    return made.ids


def message(core: Core, message_id: str) -> Work[Message]:
    """Return a message with its segments."""
    return (yield from core.get(f"/v1/messages/{segment(message_id)}", Message))


def messages(
    core: Core, *, status: str | None = None, to: str | None = None, batch: str | None = None
) -> Stream[Message]:
    """Iterate over messages, newest first, without their segments."""
    asked = {"status": status, "to": to, "batch": batch}
    yield from core.pages("/v1/messages", "messages", Message, asked)


def trace(core: Core, message_id: str) -> Work[dict[str, Any]]:
    """Return everything known of a message, as docs/http.md has it under Tracing."""
    return (yield from core.get(f"/v1/messages/{segment(message_id)}/trace", dict[str, Any]))


def cancel(core: Core, message_id: str) -> Work[Message]:
    """End a message before anything of it is sent; return it as it is then.

    Raises:
        ApiError: 409 when it is too late.
    """
    return (yield from core.post(f"/v1/messages/{segment(message_id)}/cancel", Message))


def wait(core: Core, message_id: str, timeout: float = 60.0) -> Work[Message]:
    """Wait until a message has come to its end, delivered or not; return it as it is then.

    Raises:
        TimedOut: It has not within ``timeout`` seconds.
    """
    looks = Looks(core, timeout)
    while True:
        shown = yield from message(core, message_id)
        if shown.final_at is not None:
            return shown
        yield looks.next(f"message {message_id} is {shown.status}")


def inbound(core: Core, *, unread: bool = False) -> Stream[Inbound]:
    """Iterate over what phones sent, newest first; with ``unread`` only what was not read yet."""
    asked = {"unread": "true" if unread else None}
    yield from core.pages("/v1/inbound", "inbound", Inbound, asked)


def mark_read(
    core: Core, ids: Sequence[str] | None = None, *, up_to: str | None = None
) -> Work[int]:
    """Note that some of what phones sent was read, or all up to one; return how many were not.

    Args:
        ids: Of which, at most 1000.
        up_to: Or the id of the newest one.
    """
    body = {"ids": ids, "up_to": up_to}
    return (yield from core.post("/v1/inbound/read", _Read, body)).read


def stats(
    core: Core, *, since: datetime | None = None, until: datetime | None = None
) -> Work[dict[str, Any]]:
    """Return how many messages, replies and requests there were; docs/http.md has the members.

    Args:
        since: From when on, with its zone; at most 31 days before ``until``.
        until: Until when; now unless given.
    """
    asked = {
        "since": None if since is None else since.isoformat(),
        "until": None if until is None else until.isoformat(),
    }
    return (yield from core.get("/v1/stats", dict[str, Any], asked))


def events(
    core: Core, after: str = "0", *, kinds: Sequence[str] = (), follow: bool = False
) -> Stream[Event]:
    """Iterate over everything that happened, oldest first.

    Keep the ``id`` of each event with what you did about it, and give the last one as ``after``
    the next time: then none is lost and none seen twice.

    Args:
        after: The id of the last event you know; from the beginning unless given.
        kinds: Only these, such as ``message.delivered`` or ``request.*``; all unless given.
        follow: Whether to wait for more; without, the iterator ends where there are none.
    """
    wait = WAIT_SECONDS if follow else 0
    while True:
        asked = {
            "after": after,
            "kind": ",".join(kinds) or None,
            "wait": str(wait) if wait else None,
            "limit": str(EVENT_ROWS),
        }
        page = yield from core.get("/v1/events", _Events, asked, wait=wait)
        for event in page.events:
            yield Found(event)
        after = page.next
        if not follow and len(page.events) < EVENT_ROWS:
            return


def links(core: Core) -> Work[list[LinkState]]:
    """Return the carriers, whether they are up, and what waits for them."""
    return (yield from core.get("/v1/links", _Links)).links


def explain(
    core: Core, to: str, *, message_class: MessageClass | None = None, expect_reply: bool = False
) -> Work[Route]:
    """Return which links a message would take now, and why."""
    asked = {"to": to, "class": message_class, "expect_reply": "true" if expect_reply else None}
    return (yield from core.get("/v1/routes/explain", Route, asked))


class Looks:
    """When to look again for something, until it is time to give up.

    Args:
        core: Its clock.
        timeout: Seconds in all.
    """

    def __init__(self, core: Core, timeout: float) -> None:
        self._clock = core.clock
        self._timeout = timeout
        self._until = core.clock() + timeout
        self._seconds = FIRST_LOOK

    def next(self, state: str) -> Pause:
        """Return the pause before the next look.

        Raises:
            TimedOut: There is none; it says ``state``.
        """
        left = self._until - self._clock()
        if left <= 0:
            raise TimedOut(f"{state} after {self._timeout:g} s")
        seconds, self._seconds = self._seconds, min(self._seconds * 1.5, LAST_LOOK)
        return Pause(min(seconds, left))
