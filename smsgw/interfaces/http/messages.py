"""``/v1/messages``: what customers send."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.errors import ValidationError
from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, one_of, page
from smsgw.interfaces.http.front import Front, NewMessage
from smsgw.model import MessageClass, MessageStatus
from smsgw.routing.numbers import normalise
from smsgw.services.schedule import moment

MESSAGES_MAX = 1000
VALID_FOR_MAX = 30 * 86400


class MessageBody(
    msgspec.Struct, gc=False, forbid_unknown_fields=True, rename={"message_class": "class"}
):
    """One message as it is written in JSON."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    text: Annotated[str, msgspec.Meta(min_length=1)]
    message_class: MessageClass = MessageClass.NOTICE
    ref: Annotated[str, msgspec.Meta(max_length=128)] = ""
    send_at: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    zone: Annotated[str, msgspec.Meta(max_length=64)] = ""
    valid_for: Annotated[float, msgspec.Meta(gt=0, le=VALID_FOR_MAX)] | None = None
    expect_reply: bool = False

    def message(self) -> NewMessage:
        """Return it as the gateway takes it.

        Raises:
            ValidationError: Its time is none.
        """
        return NewMessage(
            to=self.to,
            text=self.text,
            message_class=self.message_class,
            reference=self.ref,
            send_at=self._send_at(),
            valid_for=self.valid_for,
            expects_reply=self.expect_reply,
        )

    def _send_at(self) -> datetime | None:
        if self.send_at is not None:
            return moment(self.send_at, self.zone)
        if self.zone:
            raise ValidationError("zone", "is the zone of send_at, which is not there")
        return None


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Several messages, accepted all or none."""

    messages: Annotated[list[MessageBody], msgspec.Meta(min_length=1, max_length=MESSAGES_MAX)]


def routes(front: Front) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        if _is_batch(call):
            ids = await front.send(call.account, _batch(call.json(BatchBody)))
            return Reply({"ids": [str(one) for one in ids]}, HTTPStatus.ACCEPTED)
        message = call.json(MessageBody).message()
        try:
            (message_id,) = await front.send(call.account, [message])
        except ValidationError as error:
            raise ValidationError(_alone(error.field), error.problem) from None
        headers = {"Location": f"/v1/messages/{message_id}"}
        return Reply({"id": str(message_id)}, HTTPStatus.ACCEPTED, headers)

    async def cancel(call: Call) -> Reply:
        call.parameters()
        return Reply(await front.cancel(call.account, call.id("message")))

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
        Route("POST", "/v1/messages/<id>/cancel", cancel),
    ]


def _batch(body: BatchBody) -> list[NewMessage]:
    batch: list[NewMessage] = []
    try:
        for one in body.messages:
            batch.append(one.message())
    except ValidationError as error:
        raise ValidationError(f"messages[{len(batch)}].{error.field}", error.problem) from None
    return batch


def _is_batch(call: Call) -> bool:
    """Whether the body has ``messages``; a text that only says so costs one more look."""
    if b'"messages"' not in call.body:
        return False
    return "messages" in call.json(dict[str, msgspec.Raw])


def _alone(name: str) -> str:
    """The field of the only message; the gateway counts messages."""
    return name.removeprefix("messages[0].")
