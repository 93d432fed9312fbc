"""``/v1/requests`` and what belongs to them: questions to people, and their answers.

What a request may hold is checked by the engine, which names the same fields as the JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

import msgspec

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import (
    Call,
    Endpoint,
    Reply,
    Route,
    cursor_of,
    limit_of,
    number_of,
    one_of,
    page,
)
from smsgw.routing.numbers import normalise
from smsgw.services.gateway import Gateway, Json
from smsgw.services.requests.drafts import Person, RequestDraft
from smsgw.services.requests.stand_ins import StandInDraft

STATES = ("open", "closed", "withdrawn", "expired")


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """An answer given over the API instead of a phone; ``decision`` is an allowed answer's key."""

    assignment_id: str
    decision: str
    reason: str = ""
    version: int | None = None


class DelegationBody(msgspec.Struct, forbid_unknown_fields=True):
    """An assignee's place, given to somebody else."""

    assignment_id: str
    to: Person
    version: int | None = None


class WithdrawalBody(msgspec.Struct, forbid_unknown_fields=True):
    """The end of a request that need not be decided any more."""

    reason: str = ""
    version: int | None = None


class VersionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Only if the request is at this version; without one, however it is."""

    version: int | None = None


class ResendBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to ask again; everybody who has not answered unless given."""

    assignment_id: str | None = None


class DigestBody(msgspec.Struct, forbid_unknown_fields=True):
    """Who gets the list of all they have open."""

    phone: str


class TypeBody(msgspec.Struct, forbid_unknown_fields=True):
    """A flow to save; with ``version`` only over that one, 0 for a new one."""

    name: str
    flow: RequestDraft
    version: int | None = None


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""
    return [*_requests(front), *_life(front), *_types(front), *_stand_ins(front)]


def _requests(front: Gateway) -> list[Route]:
    async def post(call: Call) -> Reply:
        draft = call.json(RequestDraft)
        once = call.settling(_created)
        return _created(await front.requests.create(call.account, draft, call.caller.name, once))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "state", "reference")
        limit = limit_of(parameters)
        before, state = cursor_of(parameters), one_of(parameters, "state", STATES)
        found = await departments.newest(
            call,
            lambda account: front.requests.list(
                account=account,
                before=before,
                limit=limit + 1,
                state=state,
                reference=parameters.get("reference"),
            ),
            limit + 1,
        )
        return page("requests", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        request_id = call.id("request")
        found = await departments.one(
            call, lambda account: front.requests.show(request_id, account)
        )
        return _versioned(found)

    async def decide(call: Call) -> Reply:
        body = call.json(DecisionBody)
        assignment_id = number_of("assignment_id", body.assignment_id)
        change = partial(
            front.requests.decide, call.id("request"), assignment_id, body.decision, body.reason,
            call.version(body.version), call.account, call.caller.name,
        )  # fmt: skip
        return await _changed(front, call, change)

    return [
        Route("POST", "/v1/requests", post, "requests:create"),
        Route("GET", "/v1/requests", listed, "requests:read"),
        Route("GET", "/v1/requests/<id>", shown, "requests:read", versioned=True),
        _change("decisions", decide, "requests:decide"),
    ]


def _life(front: Gateway) -> list[Route]:
    async def delegate(call: Call) -> Reply:
        body = call.json(DelegationBody)
        assignment_id = number_of("assignment_id", body.assignment_id)
        change = partial(
            front.requests.delegate, call.id("request"), assignment_id, body.to,
            call.version(body.version), call.account, call.caller.name,
        )  # fmt: skip
        return await _changed(front, call, change)

    async def withdraw(call: Call) -> Reply:
        body = call.json(WithdrawalBody) if call.body else WithdrawalBody()
        version = call.version(body.version)
        about = call.id("request"), body.reason, version, call.account, call.caller.name
        return await _changed(front, call, partial(front.requests.withdraw, *about))

    async def close(call: Call) -> Reply:
        body = call.json(VersionBody) if call.body else VersionBody()
        about = call.id("request"), call.version(body.version), call.account, call.caller.name
        return await _changed(front, call, partial(front.requests.close, *about))

    async def resend(call: Call) -> Reply:
        body = call.json(ResendBody) if call.body else ResendBody()
        written = body.assignment_id
        assignment_id = None if written is None else number_of("assignment_id", written)
        about = call.id("request"), assignment_id, call.account, call.version()
        return await _changed(front, call, partial(front.requests.resend, *about))

    async def digest(call: Call) -> Reply:
        phone = normalise(call.json(DigestBody).phone, "phone")
        return _sent(await front.requests.digest(phone, call.account, call.settling(_sent)))

    return [
        _change("delegations", delegate, "requests:decide"),
        _change("withdraw", withdraw, "requests:create"),
        _change("close", close, "requests:create"),
        _change("resend", resend, "requests:create"),
        Route("POST", "/v1/digests", digest, "requests:create"),
    ]


def _types(front: Gateway) -> list[Route]:
    async def put(call: Call) -> Reply:
        body = call.json(TypeBody)
        about = call.account, body.name, body.flow, call.version(body.version), call.caller.name

        def saved(version: int) -> Reply:
            return Reply({"name": body.name, "version": version}, version=version)

        return saved(await front.types.put(*about, call.settling(saved)))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit = limit_of(parameters)
        after = parameters.get("cursor", "")
        found = await front.types.list(call.account, after=after, limit=limit + 1)
        last = found[limit - 1]["name"] if len(found) > limit else None
        return Reply({"types": found[:limit], "next": last})

    async def shown(call: Call) -> Reply:
        call.parameters()
        found = await front.types.show(call.account, call.path["id"])
        return Reply(found, version=found["version"])

    async def remove(call: Call) -> Reply:
        about = call.account, call.path["id"], call.caller.name, call.version()
        return _removed(await front.types.remove(*about, call.settling(_removed)))

    return [
        Route("POST", "/v1/request-types", put, "requests:manage", versioned=True),
        Route("GET", "/v1/request-types", listed, "requests:read"),
        Route("GET", "/v1/request-types/<id>", shown, "requests:read", versioned=True),
        Route("POST", "/v1/request-types/<id>/remove", remove, "requests:manage", versioned=True),
    ]


def _stand_ins(front: Gateway) -> list[Route]:
    async def post(call: Call) -> Reply:
        draft = call.json(StandInDraft)
        once = call.settling(_recorded)
        return _recorded(await front.stand_ins.create(call.account, draft, call.caller.name, once))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "phone", "ended")
        limit = limit_of(parameters)
        written = parameters.get("phone")
        phone = None if written is None else normalise(written, "phone")
        find = partial(
            front.stand_ins.list,
            phone=phone,
            ended=one_of(parameters, "ended", ("true", "false")) == "true",
            before=cursor_of(parameters),
            limit=limit + 1,
        )
        found = await departments.newest(call, find, limit + 1)
        return page("stand_ins", found, limit)

    async def end(call: Call) -> Reply:
        about = call.account, call.id("stand-in"), call.caller.name
        return _ended(await front.stand_ins.end(*about, call.settling(_ended)))

    return [
        Route("POST", "/v1/stand-ins", post, "requests:manage"),
        Route("GET", "/v1/stand-ins", listed, "requests:read"),
        Route("POST", "/v1/stand-ins/<id>/end", end, "requests:manage"),
    ]


def _created(request_id: int) -> Reply:
    headers = {"Location": f"/v1/requests/{request_id}"}
    return Reply({"id": str(request_id)}, HTTPStatus.CREATED, headers)


def _sent(anything: bool) -> Reply:
    return Reply({"sent": anything})


def _removed(name: str) -> Reply:
    return Reply({"name": name})


def _recorded(row_id: int) -> Reply:
    return Reply({"id": str(row_id)}, HTTPStatus.CREATED)


def _ended(row_id: int) -> Reply:
    return Reply({"id": str(row_id)})


def _change(name: str, endpoint: Endpoint, scope: str) -> Route:
    return Route("POST", f"/v1/requests/<id>/{name}", endpoint, scope, versioned=True)


async def _changed(front: Gateway, call: Call, change: Callable[..., Awaitable[int]]) -> Reply:
    """Change a request; with an Idempotency-Key the answer is the one recorded with the change."""
    recorded: list[Reply] = []

    def answer(shown: Json) -> Reply:
        recorded.append(_versioned(shown))
        return recorded[-1]

    await change(once=call.settling(answer))
    if recorded:
        return recorded[-1]
    return _versioned(await front.requests.show(call.id("request"), call.account))


def _versioned(shown: Json) -> Reply:
    return Reply(shown, version=shown["version"])
