"""``/v1/exports``, ``/v1/erasures``, ``/v1/holds``: what is known of a phone, everywhere."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, one_of, page
from smsgw.services.gateway import Gateway, Json


class ExportBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whose rows; ``cursor`` is the ``next`` of the answer before."""

    phone: str
    cursor: str | None = None


class ErasureBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to erase; ``dry_run`` only says what there is."""

    phone: str
    dry_run: bool = True


class HoldBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be kept, and why; without ``until`` until somebody ends it."""

    kind: str
    value: str
    reason: str
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def exported(call: Call) -> Reply:
        body = call.json(ExportBody)
        about = body.phone, call.caller.name, body.cursor
        return _exported(await front.people.export(*about, call.settling(_exported)))

    async def erased(call: Call) -> Reply:
        body = call.json(ErasureBody)
        erase = partial(front.people.erase, body.phone, call.caller.name, dry_run=body.dry_run)
        return Reply(await erase(once=call.settling(Reply)))

    async def held(call: Call) -> Reply:
        body = call.json(HoldBody)
        about = body.kind, body.value, body.reason, body.until, call.caller.name
        return _held(await front.people.hold(*about, call.settling(_held)))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "ended")
        limit = limit_of(parameters)
        ended = one_of(parameters, "ended", ("true", "false")) == "true"
        found = await front.people.holds(ended=ended, before=cursor_of(parameters), limit=limit + 1)
        return page("holds", found, limit)

    async def removed(call: Call) -> Reply:
        about = call.id("hold"), call.caller.name
        call.nothing()
        return Reply(await front.people.end_hold(*about, call.settling(Reply)))

    return [
        Route("POST", "/v1/exports", exported, "data:export"),
        Route("POST", "/v1/erasures", erased, "data:erase"),
        Route("POST", "/v1/holds", held, "holds:write"),
        Route("GET", "/v1/holds", listed, "holds:read"),
        Route("POST", "/v1/holds/<id>/remove", removed, "holds:write"),
    ]


def _exported(rows: Json) -> Reply:
    return Reply(rows, secret=True)  # no Idempotency-Key keeps a copy of it


def _held(hold: Json) -> Reply:
    return Reply(hold, HTTPStatus.CREATED)
