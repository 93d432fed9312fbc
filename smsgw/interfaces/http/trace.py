"""``/v1/messages/ID/trace``: everything known of one message, in one answer."""

from __future__ import annotations

from functools import partial

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.model import MessageClass
from smsgw.services.gateway import Gateway


def routes(front: Gateway) -> list[Route]:
    """Return the endpoint."""

    async def shown(call: Call) -> Reply:
        call.parameters()
        find = partial(front.records.trace, message_id=call.id("message"))
        trace = await departments.one(call, find)
        message = trace["message"]
        trace["route_now"] = front.explain(
            trace["account"],
            message["to"],
            message_class=MessageClass(message["class"]),
            expects_reply=message["expect_reply"],
        )
        return Reply(trace)

    return [Route("GET", "/v1/messages/<id>/trace", shown, "messages:read")]
