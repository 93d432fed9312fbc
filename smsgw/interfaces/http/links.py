"""``/v1/links``: the carriers and whether they can be reached."""

from __future__ import annotations

from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.interfaces.http.front import Front


def routes(front: Front) -> list[Route]:
    """Return the endpoint."""

    async def listed(call: Call) -> Reply:
        call.parameters()
        return Reply({"links": front.links()})

    return [Route("GET", "/v1/links", listed, "links:read")]
