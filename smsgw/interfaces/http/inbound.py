"""``/v1/inbound``: what phones sent, and what of it was read."""

from __future__ import annotations

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
    one_of,
    page,
)
from smsgw.services.gateway import Gateway, Json

IDS_MAX = 1000


class ReadBody(msgspec.Struct, forbid_unknown_fields=True):
    """What was read: some messages, or all up to one."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=IDS_MAX)] | None = None
    up_to: str | None = None


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "unread")
        limit, before = limit_of(parameters), cursor_of(parameters)
        unread = one_of(parameters, "unread", ("true", "false")) == "true"

        async def find(account: str) -> list[Json]:  # what is nobody's, as who asks has read it
            general = account == call.account
            look = partial(front.records.inbound, account, before=before, limit=limit + 1)
            return list(await look(general=general, unread=unread))

        found = await departments.newest(call, find, limit + 1)
        return page("inbound", found, limit)

    async def read(call: Call) -> Reply:
        call.parameters()
        body = call.json(ReadBody)
        if (body.ids is None) == (body.up_to is None):
            raise ValidationError("", "write one of ids (a list) and up_to (the id of the newest)")
        ids = [number_of(f"ids[{place}]", one) for place, one in enumerate(body.ids or ())]
        up_to = None if body.up_to is None else number_of("up_to", body.up_to)
        return _read(await front.read_inbound(call.account, ids, up_to, call.settling(_read)))

    return [
        Route("GET", "/v1/inbound", listed, "inbound:read"),
        Route("POST", "/v1/inbound/read", read, "inbound:write"),
    ]


def _read(count: int) -> Reply:
    return Reply({"read": count})
