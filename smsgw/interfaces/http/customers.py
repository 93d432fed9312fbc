"""``/v1/customers``: who binds to us, and what waits for them."""

from __future__ import annotations

from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.interfaces.northbound.server import Northbound


def routes(northbound: Northbound | None) -> list[Route]:
    """Return the endpoint; without a door there are no customers."""

    async def listed(call: Call) -> Reply:
        call.parameters()
        found = [] if northbound is None else await northbound.customers()
        return Reply({"customers": found})

    return [Route("GET", "/v1/customers", listed, "links:read")]
