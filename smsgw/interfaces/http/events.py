"""``/v1/events``: everything that happened, oldest first, from where the caller left off."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route, bad_parameter, cursor_of, limit_of
from smsgw.services.gateway import Gateway, Json

WAIT_MAX = 60
KINDS_MAX = 50

NOW = "now"
"""In place of an event's id: after all there is."""

_KIND = re.compile(r"[a-z_]{1,32}\.(\*|[a-z_]{1,32})", re.ASCII)


def routes(front: Gateway) -> list[Route]:
    """Return the endpoint."""

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("after", "limit", "kind", "wait")
        if parameters.get("after") == NOW:
            parameters["after"] = str(await front.news.newest())
        after = cursor_of(parameters, "after") or 0
        limit, kinds, wait = limit_of(parameters), _kinds(parameters), wait_of(parameters)
        find = partial(front.records.events, after=after, limit=limit, kinds=kinds)
        look = partial(departments.oldest, call, find, limit)
        if wait:
            found, tail = await _await(front, call, kinds, wait, look)
        else:
            found, tail = await look(), after
        # `next` is always there: what to give as `after` when more may have happened.
        return Reply({"events": found, "next": found[-1]["id"] if found else str(max(after, tail))})

    return [Route("GET", "/v1/events", listed, "events:read")]


async def _await(
    front: Gateway,
    call: Call,
    kinds: Sequence[str],
    seconds: int,
    look: Callable[[], Awaitable[Sequence[Json]]],
) -> tuple[Sequence[Json], int]:
    """Return what there is or what comes, and the newest event that was looked at."""
    watch = await front.news.watch(call.account, call.below, kinds)
    try:
        if call.finished is not None:  # who hangs up waits no more
            call.finished().addErrback(lambda _: watch.end())
        found = await look()
        if not found and await watch.heard(seconds):
            found = await look()
        return found, watch.tail
    finally:
        watch.end()


def _kinds(parameters: Mapping[str, str]) -> list[str]:
    """Return the kinds that are asked for; none is all."""
    written = parameters.get("kind")
    if written is None:
        return []
    kinds = written.split(",")
    if len(kinds) > KINDS_MAX:
        raise bad_parameter("kind", f"has {len(kinds)} kinds, limit {KINDS_MAX}")
    for one in kinds:
        if not _KIND.fullmatch(one):
            problem = f"{one[:40]!r} is no kind; write such as message.delivered or request.*"
            raise bad_parameter("kind", problem)
    return kinds


def wait_of(parameters: Mapping[str, str]) -> int:
    """Return how many seconds the parameter ``wait`` asks to wait."""
    written = parameters.get("wait", "0")
    if not re.fullmatch("[0-9]{1,2}", written, re.ASCII) or int(written) > WAIT_MAX:
        raise bad_parameter(
            "wait", f"{written[:20]!r} is no number of seconds from 0 to {WAIT_MAX}"
        )
    return int(written)
