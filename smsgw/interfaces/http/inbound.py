"""``/v1/inbound``: what phones sent."""

from __future__ import annotations

from functools import partial

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, page
from smsgw.interfaces.http.front import Front


def routes(front: Front) -> list[Route]:
    """Return the endpoint."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit = limit_of(parameters)
        find = partial(front.inbound, before=cursor_of(parameters), limit=limit + 1)
        found = await departments.newest(call, find, limit + 1)
        return page("inbound", found, limit)

    return [Route("GET", "/v1/inbound", listed, "inbound:read")]
