"""Tokens, roles and departments over the real HTTP API on a socket."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import capturedLogs

from smsgw.services.access.callers import FAILURES_MAX
from tests.integration.http.test_api import fields, problem
from tests.support.api import TOKEN, Answer, ApiServer
from tests.support.reactor import reactor_test

PHONE = "13800001001"
MESSAGE = {"to": PHONE, "text": "您好"}


async def make(api: ApiServer, **given: Any) -> dict[str, Any]:
    """Make a token: a sender of "oa" called "n" unless told otherwise."""
    answer = await api.post("/v1/tokens", json={"name": "n", "roles": ["sender"], **given})
    assert answer.status == 201, answer.content
    made: dict[str, Any] = answer.json()
    assert answer.header("Location") == f"/v1/tokens/{made['id']}"
    return made


async def send(api: ApiServer, made: dict[str, Any], path: str = "/v1/messages") -> Answer:
    return await api.post(path, token=made["token"], json=MESSAGE)


@reactor_test
async def test_a_token_is_made_used_shown_changed_and_revoked() -> None:
    async with ApiServer() as api:
        made = await make(api)
        assert made["created_by"] == "oa"
        assert (await send(api, made)).status == 202
        path = f"/v1/tokens/{made['id']}"
        shown = (await api.get(path)).json()
        assert {**shown, "token": made["token"]} == made
        changed = await api.post(f"{path}/change", json={"roles": ["viewer"], "version": 1})
        assert (changed.json()["roles"], changed.json()["version"]) == (["viewer"], 2)
        problem(await send(api, made), 403, "forbidden")
        problem(await api.post(f"{path}/change", json={"rate": 1, "version": 1}), 409, "conflict")
        assert (await api.post(f"{path}/revoke", json={})).json()["state"] == "revoked"
        body = problem(await send(api, made), 401, "unauthorized")
        assert body["detail"] == "the token was revoked"
        assert (await api.get("/v1/tokens")).json()["tokens"] == []
        listed = (await api.get("/v1/tokens?revoked=true")).json()["tokens"]
        assert [one["id"] for one in listed] == [made["id"]]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "name"),
        ({"name": "n", "role": "admin"}, 422, "role"),
        ({"name": "n", "roles": ["boss"]}, 422, "roles[0]"),
        ({"name": "n", "roles": ["viewer"], "networks": ["10.0.0.0/99"]}, 422, "networks[0]"),
        ({"name": "n", "roles": ["viewer"], "rate": -1}, 422, "rate"),
        (
            {"name": "n", "roles": ["viewer"], "expires_at": "2027-01-01T00:00:00"},
            422,
            "expires_at",
        ),
        ({"name": "n" * 65, "roles": ["viewer"]}, 422, "name"),
        ({"name": "", "roles": ["viewer"]}, 422, "name"),
    ],
)
@reactor_test
async def test_what_is_wrong_with_a_token_is_named(
    body: dict[str, Any], status: int, field: str
) -> None:
    async with ApiServer() as api:
        answer = await api.post("/v1/tokens", json=body)
        assert (answer.status, fields(answer)) == (status, [field])


@reactor_test
async def test_each_endpoint_is_for_those_with_its_scope() -> None:
    async with ApiServer() as api:
        for role in ("viewer", "approver", "operator"):
            made = await make(api, name=role, roles=[role])
            body = problem(await send(api, made), 403, "forbidden")
            assert body["detail"] == "this token has not the scope messages:send"
        made = await make(api)
        for path in ("/v1/messages", "/v1/requests", "/v1/inbound", "/v1/events"):
            assert (await api.get(path, token=made["token"])).status == 200
        for path in ("/v1/links", "/v1/audit", "/v1/tokens", "/v1/ported"):
            problem(await api.get(path, token=made["token"]), 403, "forbidden")
        problem(await api.post("/v1/tokens", token=made["token"], json={}), 403, "forbidden")


@reactor_test
async def test_departments_see_what_is_below_and_act_where_they_say() -> None:
    async with ApiServer() as api:
        news = await make(api, name="news", account="oa/news")
        await make(api, name="sports", account="oa/sports")
        ids = [(await send(api, news)).json()["id"]]
        ids.append((await api.post("/v1/messages", json=MESSAGE)).json()["id"])
        ids.append((await api.post("/v1/messages?account=oa/sports", json=MESSAGE)).json()["id"])

        async def listed(query: str = "", token: str = TOKEN) -> list[str]:
            answer = await api.get(f"/v1/messages{query}", token=token)
            return [one["id"] for one in answer.json()["messages"]]

        assert await listed() == ids[::-1]
        assert await listed("?account=oa") == ids[::-1]
        assert await listed("?account=oa/news") == ids[:1]
        assert await listed("", news["token"]) == ids[:1]
        page = (await api.get("/v1/messages?limit=2")).json()
        assert ([one["id"] for one in page["messages"]], page["next"]) == (ids[:0:-1], ids[1])
        assert await listed(f"?limit=2&cursor={page['next']}") == ids[:1]
        assert (await api.get(f"/v1/messages/{ids[0]}")).status == 200
        problem(await api.get(f"/v1/messages/{ids[1]}", token=news["token"]), 404, "not-found")
        problem(await api.post(f"/v1/messages/{ids[0]}/cancel"), 404, "not-found")
        for account in ("crm", "oa/nobody", ""):
            problem(await api.get(f"/v1/messages?account={account}"), 403, "forbidden")
        problem(await api.get("/v1/messages?account=oa", token=news["token"]), 403, "forbidden")
        twice = await api.get("/v1/messages?account=oa&account=oa")
        problem(twice, 400, "malformed")
        assert fields(twice) == ["account"]
        events = (await api.get("/v1/events?limit=2")).json()
        assert ([one["id"] for one in events["events"]], events["next"]) == (["1", "2"], "2")
        entries = (await api.get("/v1/audit?limit=2")).json()
        assert [one["id"] for one in entries["entries"]] == ["0-1", "0-2"]


@reactor_test
async def test_nobody_makes_a_token_for_another_department() -> None:
    async with ApiServer() as api:
        boss = await make(api, name="boss", account="oa/news", roles=["department-admin"])
        for body, words in (
            ({"account": "oa"}, "not a department"),
            ({"account": "crm"}, "not a department"),
            ({"roles": ["admin"]}, "has not itself"),
        ):
            given = {"name": "x", "roles": ["viewer"], **body}
            answer = await api.post("/v1/tokens", token=boss["token"], json=given)
            assert words in problem(answer, 403, "forbidden")["detail"]
        given = {"name": "x", "roles": ["viewer"]}
        answer = await api.post("/v1/tokens", token=boss["token"], json=given)
        assert (answer.status, answer.json()["account"]) == (201, "oa/news")


@reactor_test
async def test_limits_say_when_to_try_again() -> None:
    async with ApiServer() as api:
        slow = await make(api, name="slow", rate=1)
        assert (await send(api, slow)).status == 202
        answer = await send(api, slow)
        problem(answer, 429, "rate")
        assert answer.header("Retry-After") == "1"
        few = await make(api, name="few", daily=3)
        batch = {"messages": [MESSAGE] * 2}
        token = few["token"]
        assert (await api.post("/v1/messages", token=token, json=batch)).status == 202
        wrong = await api.post("/v1/messages", token=token, json={"to": "1", "text": "x"})
        problem(wrong, 422, "invalid")
        answer = await api.post("/v1/messages", token=token, json=batch)
        assert "1 are left" in problem(answer, 429, "quota")["detail"]
        assert int(answer.header("Retry-After") or 0) > 0
        assert (await send(api, few)).status == 202
        opened = {"to": PHONE, "reference": "r", "text": "x"}
        answer = await api.post("/v1/conversations", token=token, json=opened)
        problem(answer, 429, "quota")
        assert len(api.front.sent) == 4


@reactor_test
async def test_a_token_of_another_network_is_refused() -> None:
    async with ApiServer() as api:
        made = await make(api, networks=["192.0.2.0/24"])
        body = problem(await send(api, made), 403, "forbidden")
        assert body["detail"] == "this token may not be used from 127.0.0.1"
        made = await make(api, name="m", networks=["127.0.0.0/8"])
        assert (await send(api, made)).status == 202


@reactor_test
async def test_many_wrong_tokens_are_refused_unread_and_those_in_use_go_on() -> None:
    async with ApiServer() as api:
        made = await make(api)
        with capturedLogs() as logs:
            for _ in range(FAILURES_MAX):
                problem(await api.get("/v1/messages", token="sgw_wrong"), 401, "unauthorized")
            answer = await api.get("/v1/messages", token=made["token"])
            problem(answer, 429, "rate")
            assert answer.header("Retry-After") == "60"
        ours = [one for one in logs if one["log_namespace"].startswith("smsgw")]
        assert [(one["event"], one["seconds"]) for one in ours] == [("token.guessed", 60.0)]
        assert (await api.get("/v1/messages")).status == 200
        assert made["token"] not in repr(logs) + repr(api.logged)
