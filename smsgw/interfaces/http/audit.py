"""``/v1/audit`` and a request's evidence: what was done, by whom, and what vouches for it."""

from __future__ import annotations

import re
from functools import partial

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route, bad_parameter, limit_of, page
from smsgw.services.gateway import Gateway

_PLACE = re.compile(r"(\d{1,5})-(\d{1,18})", re.ASCII)


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit = limit_of(parameters)
        after = _place(parameters.get("cursor", "0-0"))
        find = partial(front.audit.entries, after=after, limit=limit + 1)
        found = await departments.oldest(call, find, limit + 1)
        return page("entries", found, limit)

    async def evidence(call: Call) -> Reply:
        call.parameters()
        find = partial(front.audit.evidence, request_id=call.id("request"))
        return Reply(await departments.one(call, find))

    return [
        Route("GET", "/v1/audit", listed, "audit:read"),
        Route("GET", "/v1/requests/<id>/evidence", evidence, "audit:read"),
    ]


def _place(written: str) -> tuple[int, int]:
    """Return the chain and the sequence that an entry's id stands for."""
    found = _PLACE.fullmatch(written)
    if found is None:
        raise bad_parameter("cursor", "use the value of `next` from the page before")
    return int(found[1]), int(found[2])
