"""``/v1/messages``: what customers send."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.errors import ValidationError
from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, one_of, page
from smsgw.interfaces.http.front import Front, NewMessage
from smsgw.model import MessageClass, MessageStatus
from smsgw.routing.numbers import normalise

MESSAGES_MAX = 1000
VALID_FOR_MAX = 30 * 86400


class MessageBody(msgspec.Struct, forbid_unknown_fields=True, rename={"message_class": "class"}):
    """One message as it is written in JSON."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    text: Annotated[str, msgspec.Meta(min_length=1)]
    message_class: MessageClass = MessageClass.NOTICE
    ref: Annotated[str, msgspec.Meta(max_length=128)] = ""
    valid_for: Annotated[float, msgspec.Meta(gt=0, le=VALID_FOR_MAX)] | None = None
    expect_reply: bool = False

    def message(self) -> NewMessage:
        """Return it as the gateway takes it."""
        return NewMessage(
            to=self.to,
            text=self.text,
            message_class=self.message_class,
            reference=self.ref,
            valid_for=self.valid_for,
            expects_reply=self.expect_reply,
        )


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Several messages, accepted all or none."""

    messages: Annotated[list[MessageBody], msgspec.Meta(min_length=1, max_length=MESSAGES_MAX)]


def routes(front: Front) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        if _is_batch(call):
            batch = [one.message() for one in call.json(BatchBody).messages]
            ids = await front.send(call.account, batch)
            return Reply({"ids": [str(one) for one in ids]}, HTTPStatus.ACCEPTED)
        message = call.json(MessageBody).message()
        try:
            (message_id,) = await front.send(call.account, [message])
        except ValidationError as error:
            raise ValidationError(_alone(error.field), error.problem) from None
        headers = {"Location": f"/v1/messages/{message_id}"}
        return Reply({"id": str(message_id)}, HTTPStatus.ACCEPTED, headers)

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "status", "to")
        limit = limit_of(parameters)
        to = parameters.get("to")
        found = await front.messages(
            call.account,
            before=cursor_of(parameters),
            limit=limit + 1,
            status=one_of(parameters, "status", list(MessageStatus)),
            to=None if to is None else normalise(to),
        )
        return page("messages", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        return Reply(await front.message(call.account, call.id("message")))

    return [
        Route("POST", "/v1/messages", post),
        Route("GET", "/v1/messages", listed),
        Route("GET", "/v1/messages/<id>", shown),
    ]


def _is_batch(call: Call) -> bool:
    """Whether the body has ``messages``; a text that only says so costs one more look."""
    if b'"messages"' not in call.body:
        return False
    return "messages" in call.json(dict[str, msgspec.Raw])


def _alone(name: str) -> str:
    """The field of the only message; the gateway counts messages."""
    return name.removeprefix("messages[0].")
