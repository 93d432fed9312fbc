"""``/v1/links``: the carriers, whether they can be reached, and a message over one to try it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.errors import NotFound
from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.model import MessageClass
from smsgw.services.gateway import Gateway
from smsgw.services.selftest import LONG_TEXT, TEXT
from smsgw.services.submission import Outgoing


class LinkTestBody(msgspec.Struct, forbid_unknown_fields=True):
    """Where a link's test message goes; what it says is fixed, as no text is an operator's to send.

    Attributes:
        to: The test phone.
        long: Send one of several parts.
    """

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    long: bool = False


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def listed(call: Call) -> Reply:
        call.parameters()
        return Reply({"links": front.links()})

    async def tested(call: Call) -> Reply:
        call.parameters()
        body, name = call.json(LinkTestBody), call.path["id"]
        if all(one["name"] != name for one in front.links()):
            raise NotFound(f"no link {name[:64]!r}")
        outgoing = Outgoing(
            account=call.account,
            to=body.to,
            text=LONG_TEXT if body.long else TEXT,
            message_class=MessageClass.REALTIME,
            link=name,
        )
        send = partial(front.submission.send, outgoing, call.settling(_accepted))
        return _accepted([await call.caller.counted(1, send)])

    return [
        Route("GET", "/v1/links", listed, "links:read"),
        Route("POST", "/v1/links/<id>/test", tested, "links:control"),
    ]


def _accepted(ids: Sequence[int]) -> Reply:
    return Reply({"id": str(ids[0])}, HTTPStatus.ACCEPTED)
