"""``/v1/events``: everything that happened, oldest first, from where the caller left off."""

from __future__ import annotations

from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of
from smsgw.interfaces.http.front import Front


def routes(front: Front) -> list[Route]:
    """Return the endpoint."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("after", "limit")
        after = cursor_of(parameters, "after") or 0
        found = await front.events(call.account, after=after, limit=limit_of(parameters))
        # `next` is always there: what to give as `after` when more may have happened.
        return Reply({"events": found, "next": found[-1]["id"] if found else str(after)})

    return [Route("GET", "/v1/events", listed)]
