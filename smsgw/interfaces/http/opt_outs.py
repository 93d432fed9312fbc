"""``/v1/opt-outs``: phones that want no bulk and no notices."""

from __future__ import annotations

from typing import Annotated

import msgspec

from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, page
from smsgw.routing.numbers import normalise
from smsgw.services.gateway import Gateway

PHONES_MAX = 1000


class OptOutBody(msgspec.Struct, forbid_unknown_fields=True):
    """Phones, all or none; of whose messages, without ``account`` everybody's."""

    phones: Annotated[list[str], msgspec.Meta(min_length=1, max_length=PHONES_MAX)]
    account: str = ""


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "phone", "of")
        limit, phone = limit_of(parameters), parameters.get("phone")
        found = await front.opt_outs.page(
            phone=None if phone is None else normalise(phone, "phone"),
            account=parameters.get("of"),
            before=cursor_of(parameters),
            limit=limit + 1,
        )
        return page("opt_outs", found, limit)

    async def added(call: Call) -> Reply:
        body = call.json(OptOutBody)
        about = body.phones, body.account, call.caller.name
        return _added(await front.opt_outs.add(*about, call.settling(_added)))

    async def removed(call: Call) -> Reply:
        body = call.json(OptOutBody)
        about = body.phones, body.account, call.caller.name
        return _removed(await front.opt_outs.remove(*about, call.settling(_removed)))

    return [
        Route("GET", "/v1/opt-outs", listed, "optouts:read"),
        Route("POST", "/v1/opt-outs", added, "optouts:write"),
        Route("POST", "/v1/opt-outs/remove", removed, "optouts:write"),
    ]


def _added(count: int) -> Reply:
    return Reply({"added": count})


def _removed(count: int) -> Reply:
    return Reply({"removed": count})
