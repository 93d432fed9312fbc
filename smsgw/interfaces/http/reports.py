"""``/v1/reports/unmatched``: status reports that name no message of ours, or none yet."""

from __future__ import annotations

from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, page
from smsgw.services.gateway import Gateway


def routes(front: Gateway) -> list[Route]:
    """Return the endpoint."""

    async def unmatched(call: Call) -> Reply:
        parameters = call.parameters("link", "cursor", "limit")
        limit = limit_of(parameters)
        found = await front.records.unmatched_reports(
            link=parameters.get("link"), before=cursor_of(parameters), limit=limit + 1
        )
        return page("reports", found, limit)

    return [Route("GET", "/v1/reports/unmatched", unmatched, "reports:read")]
