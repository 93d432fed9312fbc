"""``/v1/links/NAME/traces`` and ``/v1/traces``: what goes over a link, for a while."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of
from smsgw.interfaces.http.events import NOW, wait_of
from smsgw.services.gateway import Gateway
from smsgw.services.traces import SECONDS


class TraceOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be seen.

    Attributes:
        seconds: For how long; 86400 at most.
        phone: Only what names this phone, and the answers to that; "" for all.
    """

    seconds: int = SECONDS
    phone: str = ""


class TraceState(msgspec.Struct):
    """A trace as it is now.

    Attributes:
        id: Its id.
        link: Whose PDUs it shows.
        protocol: What they are written in.
        phone: Which phone's only, masked; "" for all.
        by: Who may see them.
        until: When it ends by itself.
        ended: Why it is over, or "".
        pdus: How many it has seen.
    """

    id: str
    link: str
    protocol: str
    phone: str
    by: str
    until: str
    ended: str
    pdus: int


class TraceSeen(TraceState):
    """A trace and what it saw after a number.

    Attributes:
        seen: PDUs, oldest first.
        missed: How many before them are no longer kept.
        next: The number to go on from.
    """

    seen: list[dict[str, Any]]
    missed: int
    next: str


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def start(call: Call) -> Reply:
        call.parameters()
        order = call.json(TraceOrder) if call.body else TraceOrder()
        link, seconds = call.path["id"], order.seconds
        state = await front.traces.start(link, order.phone, seconds, call.caller)
        return Reply(state, HTTPStatus.CREATED)

    async def listed(call: Call) -> Reply:
        call.parameters()
        return Reply({"traces": front.traces.list()})

    async def read(call: Call) -> Reply:
        parameters = call.parameters("after", "limit", "wait")
        id_, limit, wait = call.id("trace"), limit_of(parameters), wait_of(parameters)
        now = parameters.get("after") == NOW
        after = front.traces.newest(id_) if now else cursor_of(parameters, "after") or 0
        return Reply(await front.traces.read(id_, call.caller, after, limit, wait))

    async def stop(call: Call) -> Reply:
        call.parameters()
        call.nothing()
        return Reply(await front.traces.stop(call.id("trace"), call.caller))

    return [
        Route("POST", "/v1/links/<id>/traces", start, "links:trace"),
        Route("GET", "/v1/traces", listed, "links:trace"),
        Route("GET", "/v1/traces/<id>", read, "links:trace"),
        Route("POST", "/v1/traces/<id>/stop", stop, "links:trace"),
    ]
