"""``/v1/conversations``: an extension whose replies carry the caller's own reference."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, page
from smsgw.interfaces.http.problems import Problem
from smsgw.model import MessageClass
from smsgw.routing.numbers import normalise
from smsgw.services.gateway import Gateway, Json
from smsgw.services.ledger import ConversationsExhausted

_CLASS = {"message_class": "class"}

Text = Annotated[str, msgspec.Meta(min_length=1)]


class ConversationBody(msgspec.Struct, forbid_unknown_fields=True, rename=_CLASS):
    """A conversation as it is written in JSON; what its fields may hold the service says."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    reference: str
    valid_for: float | None = None
    text: Text | None = None
    message_class: MessageClass = MessageClass.INTERACTIVE


class TextBody(msgspec.Struct, forbid_unknown_fields=True, rename=_CLASS):
    """Another text of a conversation."""

    text: Text
    message_class: MessageClass = MessageClass.INTERACTIVE


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        body = call.json(ConversationBody)
        try:
            opened = await call.caller.counted(
                int(body.text is not None),
                lambda: front.conversations.open(
                    call.account,
                    body.to,
                    body.reference,
                    valid_for=body.valid_for,
                    text=body.text,
                    message_class=body.message_class,
                    actor=call.caller.name,
                    once=call.settling(_opened),
                ),
            )
        except ConversationsExhausted as error:
            raise Problem(HTTPStatus.CONFLICT, "exhausted", str(error)) from None
        return _opened(opened)

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "reference", "to")
        limit = limit_of(parameters)
        to = parameters.get("to")
        find = partial(
            front.conversations.list,
            before=cursor_of(parameters),
            reference=parameters.get("reference"),
            to=None if to is None else normalise(to),
            limit=limit + 1,
        )
        found = await departments.newest(call, find, limit + 1)
        return page("conversations", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        find = partial(front.conversations.show, conversation_id=call.id("conversation"))
        return Reply(await departments.one(call, find))

    async def send(call: Call) -> Reply:
        body = call.json(TextBody)
        conversation_id = call.id("conversation")
        sent = await call.caller.counted(
            1,
            lambda: front.conversations.send(
                call.account,
                conversation_id,
                body.text,
                body.message_class,
                call.caller.name,
                call.settling(_sent),
            ),
        )
        return _sent(sent)

    async def end(call: Call) -> Reply:
        call.parameters()
        about = call.account, call.id("conversation"), call.caller.name
        return Reply(await front.conversations.end(*about, call.settling(Reply)))

    return [
        Route("POST", "/v1/conversations", post, "conversations:write"),
        Route("GET", "/v1/conversations", listed, "conversations:read"),
        Route("GET", "/v1/conversations/<id>", shown, "conversations:read"),
        Route("POST", "/v1/conversations/<id>/messages", send, "conversations:write"),
        Route("POST", "/v1/conversations/<id>/end", end, "conversations:write"),
    ]


def _opened(shown: Json) -> Reply:
    headers = {"Location": f"/v1/conversations/{shown['id']}"}
    return Reply(shown, HTTPStatus.CREATED, headers)


def _sent(shown: Json) -> Reply:
    headers = {"Location": f"/v1/messages/{shown['message_id']}"}
    return Reply(shown, HTTPStatus.ACCEPTED, headers)
