"""``/v1/batches``: one text to many, each with variables of their own; how far it is; canceling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated

import msgspec

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, page
from smsgw.interfaces.http.messages import TermsBody, Variables, time_of
from smsgw.services.gateway import Gateway
from smsgw.services.group_sending import RECIPIENTS_MAX, NewBatch, Recipient, Taken


class RecipientBody(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One recipient as it is written in JSON."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    ref: Annotated[str, msgspec.Meta(max_length=128)] = ""
    variables: Variables = {}


Recipients = Annotated[list[RecipientBody], msgspec.Meta(min_length=1, max_length=RECIPIENTS_MAX)]


class NewBatchBody(TermsBody, kw_only=True):
    """One text to many; ``{name}`` in it is a recipient's variable, ``{{`` a brace."""

    recipients: Recipients

    def batch(self) -> NewBatch:
        """Return what all its messages have in common.

        Raises:
            ValidationError: Its time is none.
        """
        return NewBatch(
            text=self.text,
            message_class=self.message_class,
            reference=self.ref,
            send_at=time_of(self.send_at, self.zone),
            valid_for=self.valid_for,
            expects_reply=self.expect_reply,
        )


class MoreBody(msgspec.Struct, forbid_unknown_fields=True):
    """More recipients of a batch."""

    recipients: Recipients


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        body = call.json(NewBatchBody)
        new, recipients = body.batch(), _recipients(body.recipients)
        once = call.settling(_accepted)
        create = partial(front.batches.create, call.account, new, recipients, once)
        return _accepted(await call.caller.counted(len(recipients), create))

    async def extend(call: Call) -> Reply:
        batch_id, recipients = call.id("batch"), _recipients(call.json(MoreBody).recipients)
        once = call.settling(_accepted)
        extend = partial(front.batches.extend, call.account, batch_id, recipients, once)
        return _accepted(await call.caller.counted(len(recipients), extend))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit = limit_of(parameters)
        find = partial(front.batches.list, before=cursor_of(parameters), limit=limit + 1)
        found = await departments.newest(call, find, limit + 1)
        return page("batches", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        find = partial(front.batches.show, batch_id=call.id("batch"))
        return Reply(await departments.one(call, find))

    async def cancel(call: Call) -> Reply:
        call.parameters()
        about = call.account, call.id("batch"), call.settling(Reply)
        return Reply(await front.batches.cancel(*about))

    return [
        Route("POST", "/v1/batches", post, "messages:send"),
        Route("GET", "/v1/batches", listed, "messages:read"),
        Route("GET", "/v1/batches/<id>", shown, "messages:read"),
        Route("POST", "/v1/batches/<id>/messages", extend, "messages:send"),
        Route("POST", "/v1/batches/<id>/cancel", cancel, "messages:send"),
    ]


def _accepted(taken: Taken) -> Reply:
    headers = {"Location": f"/v1/batches/{taken.id}"}
    body = {"id": str(taken.id), "accepted": taken.accepted, "opted_out": taken.opted_out}
    return Reply(body, HTTPStatus.ACCEPTED, headers)


def _recipients(bodies: Sequence[RecipientBody]) -> list[Recipient]:
    return [Recipient(one.to, one.ref, one.variables) for one in bodies]
