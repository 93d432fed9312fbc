"""``/v1/stats``: how many messages, replies and requests there were in a span of time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from smsgw.errors import ValidationError
from smsgw.interfaces.http.calls import Call, Reply, Route, bad_parameter
from smsgw.services.gateway import Gateway


def routes(front: Gateway) -> list[Route]:
    """Return the endpoint."""

    async def shown(call: Call) -> Reply:
        parameters = call.parameters("since", "until")
        since, until = _time(parameters, "since"), _time(parameters, "until")
        try:
            return Reply(await front.stats.of([call.account, *call.below], since, until))
        except ValidationError as error:
            raise bad_parameter(error.field, error.problem) from None

    return [Route("GET", "/v1/stats", shown, "stats:read")]


def _time(parameters: Mapping[str, str], name: str) -> datetime | None:
    """Return a time of the query; its ``+`` may have been taken for a space."""
    written = parameters.get(name)
    if written is None:
        return None
    try:
        found = datetime.fromisoformat(written[:11] + written[11:].replace(" ", "+"))
        found.timestamp()
    except (ValueError, OverflowError):
        found = None
    if found is None or found.tzinfo is None:
        problem = f"{written[:40]!r} is no time with its zone; write it like 2026-11-22T09:00+08:00"
        raise bad_parameter(name, problem)
    return found
