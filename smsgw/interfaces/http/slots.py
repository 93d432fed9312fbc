"""``/v1/slots``: which extension stands for what now, and what is left of them."""

from __future__ import annotations

from functools import partial

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, page
from smsgw.routing.numbers import normalise
from smsgw.services.gateway import Gateway


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "phone", "access_number")
        limit = limit_of(parameters)
        phone = parameters.get("phone")
        find = partial(
            front.slots.page,
            phone=None if phone is None else normalise(phone, "phone"),
            access_number=parameters.get("access_number"),
            before=cursor_of(parameters),
            limit=limit + 1,
        )
        found = await departments.newest(call, find, limit + 1)
        return page("slots", found, limit)

    async def capacity(call: Call) -> Reply:
        call.parameters()
        return Reply(await front.slots.capacity(call.account))

    return [
        Route("GET", "/v1/slots", listed, "slots:read"),
        Route("GET", "/v1/slots/capacity", capacity, "slots:read"),
    ]
