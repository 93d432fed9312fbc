"""``/v1/tokens``: who may use this API, and for what."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from smsgw.interfaces.http import departments
from smsgw.interfaces.http.calls import Call, Reply, Route, cursor_of, limit_of, one_of, page
from smsgw.services.access.book import TokenChange, TokenDraft, Tokens
from smsgw.services.queries import Json

READ, WRITE = "tokens:read", "tokens:write"


def routes(tokens: Tokens) -> list[Route]:
    """Return the endpoints."""

    async def post(call: Call) -> Reply:
        draft = call.json(TokenDraft)
        if not draft.account:
            draft = msgspec.structs.replace(draft, account=call.account)
        return _made(await tokens.create(call.caller, draft, call.settling(_made)))

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit", "revoked")
        limit, before = limit_of(parameters), cursor_of(parameters)
        revoked = one_of(parameters, "revoked", ("true", "false")) == "true"
        found = await departments.newest(
            call,
            lambda account: tokens.list(account, revoked=revoked, before=before, limit=limit + 1),
            limit + 1,
        )
        return page("tokens", found, limit)

    async def shown(call: Call) -> Reply:
        call.parameters()
        token_id = call.id("token")
        found = await departments.one(call, lambda account: tokens.show(account, token_id))
        return _versioned(found)

    async def change(call: Call) -> Reply:
        token_id, body = call.id("token"), call.json(TokenChange)
        body = msgspec.structs.replace(body, version=call.version(body.version))
        once = call.settling(_versioned)
        return _versioned(await tokens.change(call.caller, token_id, body, once))

    async def revoke(call: Call) -> Reply:
        token_id = call.id("token")
        call.nothing()
        once = call.settling(_versioned)
        return _versioned(await tokens.revoke(call.caller, token_id, call.version(), once))

    return [
        Route("POST", "/v1/tokens", post, WRITE),
        Route("GET", "/v1/tokens", listed, READ),
        Route("GET", "/v1/tokens/<id>", shown, READ, versioned=True),
        Route("POST", "/v1/tokens/<id>/change", change, WRITE, versioned=True),
        Route("POST", "/v1/tokens/<id>/revoke", revoke, WRITE, versioned=True),
    ]


def _made(token: Json) -> Reply:
    place = {"Location": f"/v1/tokens/{token['id']}"}
    return Reply(token, HTTPStatus.CREATED, place, secret=True)


def _versioned(token: Json) -> Reply:
    return Reply(token, version=token["version"])
