"""``/v1/inbound``: what phones sent."""

from __future__ import annotations

from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, page
from smsgw.interfaces.http.front import Front


def routes(front: Front) -> list[Route]:
    """Return the endpoint."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit = limit_of(parameters)
        found = await front.inbound(call.account, before=cursor_of(parameters), limit=limit + 1)
        return page("inbound", found, limit)

    return [Route("GET", "/v1/inbound", listed)]
