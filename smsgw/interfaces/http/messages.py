"""``/v1/messages``: what customers send."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.errors import ValidationError
from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import (
    Call,
    Reply,
    Route,
    cursor_of,
    id_of,
    limit_of,
    one_of,
    page,
)
from smsgw.model import MessageClass, MessageStatus
from smsgw.routing.numbers import normalise
from smsgw.services.gateway import Gateway, NewMessage
from smsgw.services.schedule import moment
from smsgw.text.template import Template

MESSAGES_MAX = 1000
VALID_FOR_MAX = 30 * 86400


Variables = dict[str, str | int]
"""What stands for the names in a text."""


class TermsBody(
    msgspec.Struct,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    rename={"message_class": "class"},
):
    """What a message, and all messages of a batch, are sent by."""

    text: Annotated[str, msgspec.Meta(min_length=1)]
    message_class: MessageClass = MessageClass.NOTICE
    ref: Annotated[str, msgspec.Meta(max_length=128)] = ""
    send_at: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    zone: Annotated[str, msgspec.Meta(max_length=64)] = ""
    valid_for: Annotated[float, msgspec.Meta(gt=0, le=VALID_FOR_MAX)] | None = None
    expect_reply: bool = False


class MessageBody(TermsBody):
    """One message as it is written in JSON."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    variables: Variables | None = None

    def message(self) -> NewMessage:
        """Return it as the gateway takes it.

        Raises:
            ValidationError: Its time is none, or its variables are not those of its text.
        """
        return NewMessage(
            to=self.to,
            text=self.text if self.variables is None else filled(self.text, self.variables),
            message_class=self.message_class,
            reference=self.ref,
            send_at=time_of(self.send_at, self.zone),
            valid_for=self.valid_for,
            expects_reply=self.expect_reply,
        )


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Several messages, accepted all or none."""

    messages: Annotated[list[MessageBody], msgspec.Meta(min_length=1, max_length=MESSAGES_MAX)]


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        if _is_batch(call):
            batch = _batch(call.json(BatchBody))
            send = partial(front.send, call.account, batch, call.settling(_accepted))
            return _accepted(await call.caller.counted(len(batch), send))
        message = call.json(MessageBody).message()
        try:
            send = partial(front.send, call.account, [message], call.settling(_accepted_one))
            return _accepted_one(await call.caller.counted(1, send))
        except ValidationError as error:
            raise ValidationError(_alone(error.field), error.problem) from None

    async def cancel(call: Call) -> Reply:
        call.parameters()
        return Reply(await front.cancel(call.account, call.id("message"), call.settling(Reply)))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "status", "to", "batch")
        limit = limit_of(parameters)
        to, batch = parameters.get("to"), id_of(parameters, "batch")
        find = partial(
            front.records.messages,
            before=cursor_of(parameters),
            limit=limit + 1,
            status=one_of(parameters, "status", list(MessageStatus)),
            to=None if to is None else normalise(to),
            batch=batch,
        )
        if batch is None:
            found = await departments.newest(call, find, limit + 1)
        else:
            whose = await departments.one(call, partial(front.batches.find, batch_id=batch))
            found = await find(whose["account"])
        return page("messages", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        find = partial(front.records.message, message_id=call.id("message"))
        return Reply(await departments.one(call, find))

    return [
        Route("POST", "/v1/messages", post, "messages:send"),
        Route("GET", "/v1/messages", listed, "messages:read"),
        Route("GET", "/v1/messages/<id>", shown, "messages:read"),
        Route("POST", "/v1/messages/<id>/cancel", cancel, "messages:send"),
    ]


def time_of(send_at: str | None, zone: str) -> datetime | None:
    """Return when to send, as a body says it.

    Raises:
        ValidationError: It is no time, or a zone without one.
    """
    if send_at is not None:
        return moment(send_at, zone)
    if zone:
        raise ValidationError("zone", "is the zone of send_at, which is not there")
    return None


def filled(text: str, variables: Variables) -> str:
    """Return a text with its variables.

    Raises:
        ValidationError: They are not those that it names.
    """
    template = Template(text)
    template.check(variables)
    return template.fill({name: str(value) for name, value in variables.items()})


def _accepted(ids: Sequence[int]) -> Reply:
    return Reply({"ids": [str(one) for one in ids]}, HTTPStatus.ACCEPTED)


def _accepted_one(ids: Sequence[int]) -> Reply:
    headers = {"Location": f"/v1/messages/{ids[0]}"}
    return Reply({"id": str(ids[0])}, HTTPStatus.ACCEPTED, headers)


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
