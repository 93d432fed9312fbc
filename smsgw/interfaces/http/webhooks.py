"""``/v1/webhooks``: where events are posted to, what could not be, and having it again."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

import msgspec

from smsgw.errors import ValidationError
from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import (
    Call,
    Reply,
    Route,
    cursor_of,
    limit_of,
    number_of,
    page,
)
from smsgw.services.gateway import Gateway, Json

KINDS_MAX = 50

Kinds = Annotated[list[str], msgspec.Meta(max_length=KINDS_MAX)]


class WebhookBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new webhook."""

    url: str
    kinds: Kinds = []


class ChangeBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    url: str | None = None
    kinds: Kinds | None = None


class RotateBody(msgspec.Struct, forbid_unknown_fields=True):
    """How long the old secret signs as well."""

    overlap: float = 24 * 3600.0


class ReplayBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which events to deliver again."""

    after: str | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: str | None = None
    dead_letter: str | None = None


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""
    return [*_keeping(front), *_living(front), *_replaying(front)]


def _keeping(front: Gateway) -> list[Route]:
    async def post(call: Call) -> Reply:
        body, once = call.json(WebhookBody), call.settling(_made)
        return _made(await front.webhooks.create(call.account, body.url, body.kinds, once))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit, before = limit_of(parameters), cursor_of(parameters)
        find = partial(front.webhooks.list, before=before, limit=limit + 1)
        found = await departments.newest(call, find, limit + 1)
        return page("webhooks", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        find = partial(front.webhooks.show, webhook_id=call.id("webhook"))
        return _versioned(await departments.one(call, find))

    async def change(call: Call) -> Reply:
        webhook_id, body = call.id("webhook"), call.json(ChangeBody)
        changed = await front.webhooks.change(
            call.account,
            webhook_id,
            url=body.url,
            kinds=body.kinds,
            version=call.version(),
            once=call.settling(_versioned),
        )
        return _versioned(changed)

    async def remove(call: Call) -> Reply:
        about = call.account, call.id("webhook"), call.version()
        call.nothing()
        return _removed(await front.webhooks.remove(*about, call.settling(_removed)))

    return [
        Route("POST", "/v1/webhooks", post, "webhooks:write"),
        Route("GET", "/v1/webhooks", listed, "webhooks:read"),
        Route("GET", "/v1/webhooks/<id>", shown, "webhooks:read", versioned=True),
        Route("POST", "/v1/webhooks/<id>/change", change, "webhooks:write", versioned=True),
        Route("POST", "/v1/webhooks/<id>/remove", remove, "webhooks:write", versioned=True),
    ]


def _living(front: Gateway) -> list[Route]:
    async def pause(call: Call) -> Reply:
        about = call.account, call.id("webhook"), call.version()
        call.nothing()
        return _versioned(await front.webhooks.pause(*about, call.settling(_versioned)))

    async def resume(call: Call) -> Reply:
        about = call.account, call.id("webhook"), call.version()
        call.nothing()
        return _versioned(await front.webhooks.resume(*about, call.settling(_versioned)))

    async def rotate(call: Call) -> Reply:
        webhook_id = call.id("webhook")
        body = call.json(RotateBody) if call.body else RotateBody()
        about = call.account, webhook_id, body.overlap, call.version()
        return _versioned(await front.webhooks.rotate(*about, call.settling(_versioned)))

    async def test(call: Call) -> Reply:
        webhook_id = call.id("webhook")
        call.nothing()
        return Reply(await front.webhooks.test(call.account, webhook_id))

    return [
        Route("POST", "/v1/webhooks/<id>/pause", pause, "webhooks:write", versioned=True),
        Route("POST", "/v1/webhooks/<id>/resume", resume, "webhooks:write", versioned=True),
        Route("POST", "/v1/webhooks/<id>/rotate", rotate, "webhooks:write", versioned=True),
        Route("POST", "/v1/webhooks/<id>/test", test, "webhooks:write"),
    ]


def _replaying(front: Gateway) -> list[Route]:
    async def dead_letters(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit, before = limit_of(parameters), cursor_of(parameters)
        found = await front.webhooks.dead_letters(
            call.account, call.id("webhook"), before=before, limit=limit + 1
        )
        return page("dead_letters", found, limit)

    async def replay(call: Call) -> Reply:
        webhook_id, body = call.id("webhook"), call.json(ReplayBody)
        given = [one for one in (body.after, body.since, body.dead_letter) if one is not None]
        if len(given) != 1:
            problem = 'write one of after (an event\'s id), since (a time), dead_letter (or "all")'
            raise ValidationError("", problem)
        until = None if body.until is None else number_of("until", body.until)
        if body.dead_letter is not None:
            if until is not None:
                raise ValidationError("until", "a dead letter is delivered whole; leave it out")
            every = body.dead_letter == "all"
            letter = None if every else number_of("dead_letter", body.dead_letter)
            about = call.account, webhook_id, letter
            return _again(await front.webhooks.replay_dead(*about, call.settling(_again)))
        after = None if body.after is None else number_of("after", body.after)
        shown = await front.webhooks.replay(
            call.account,
            webhook_id,
            after=after,
            since=body.since,
            until=until,
            once=call.settling(_again),
        )
        return _again(shown)

    return [
        Route("GET", "/v1/webhooks/<id>/dead-letters", dead_letters, "webhooks:read"),
        Route("POST", "/v1/webhooks/<id>/replay", replay, "webhooks:write"),
    ]


def _made(shown: Json) -> Reply:
    return Reply(shown, 201, {"Location": f"/v1/webhooks/{shown['id']}"})


def _removed(webhook_id: int) -> Reply:
    return Reply({"id": str(webhook_id), "removed": True})


def _again(shown: Json) -> Reply:
    return Reply(shown, 202)


def _versioned(shown: Json) -> Reply:
    return Reply(shown, version=shown["version"])
