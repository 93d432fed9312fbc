"""What phones sent over HTTP, and what of it was read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from smsgw.services.access.roles import SCOPES
from smsgw.store.schema import inbound
from smsgw.store.statements import insert_rows
from tests.support.api import OTHER_TOKEN, ApiServer
from tests.support.reactor import reactor_test
from tests.support.store import inbound_row


async def received(api: ApiServer, *accounts: str) -> list[str]:
    """A message of a phone to each of these, "" to nobody; their ids."""
    rows = [inbound_row(api.front.kept.ids, account=account) for account in accounts]
    tuples = [msgspec.structs.astuple(row) for row in rows]
    await api.front.kept.run(lambda connection: insert_rows(connection, inbound, tuples))
    return [str(row.id) for row in rows]


async def shown(api: ApiServer, query: str = "", **options: Any) -> list[tuple[str, bool]]:
    answer = await api.get("/v1/inbound" + query, **options)
    return [(one["id"], one["unread"]) for one in answer.json()["inbound"]]


@reactor_test
async def test_what_was_read_is_noted_for_the_account_alone() -> None:
    async with ApiServer() as api:
        mine, nobodys = await received(api, "oa", "")
        assert await shown(api) == [(nobodys, True), (mine, True)]
        answer = await api.post("/v1/inbound/read", json={"ids": [nobodys]})
        assert (answer.status, answer.json()) == (200, {"read": 1})
        assert await shown(api) == [(nobodys, False), (mine, True)]
        assert await shown(api, "?unread=true") == [(mine, True)]
        assert await shown(api, "?unread=false") == [(nobodys, False), (mine, True)]
        assert await shown(api, token=OTHER_TOKEN) == [(nobodys, True)]
        answer = await api.post("/v1/inbound/read", json={"up_to": nobodys})
        assert answer.json() == {"read": 1}
        assert await shown(api, "?unread=true") == []


@reactor_test
async def test_of_several_departments_each_message_is_read_by_its_own() -> None:
    async with ApiServer() as api:
        made = await api.post(
            "/v1/tokens", json={"name": "desk", "account": "oa/news", "roles": ["sender"]}
        )
        below = made.json()["token"]
        mine, theirs, nobodys = await received(api, "oa", "oa/news", "")
        await api.post("/v1/inbound/read", json={"ids": [nobodys, mine]})
        assert await shown(api) == [(nobodys, False), (theirs, True), (mine, False)]
        assert await shown(api, token=below) == [(nobodys, True), (theirs, True)]
        await api.post("/v1/inbound/read", json={"up_to": nobodys}, token=below)
        assert await shown(api, "?unread=true") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"ids": ["1"], "up_to": "1"}, ""),
        ({"ids": []}, "ids"),
        ({"ids": ["x"]}, "ids[0]"),
        ({"ids": ["1"]}, "ids[0]"),
        ({"up_to": "x"}, "up_to"),
        ({"up_to": 5}, "up_to"),
    ],
)
@reactor_test
async def test_what_cannot_be_noted_is_refused(body: dict[str, Any], field: str) -> None:
    async with ApiServer() as api:
        await received(api, "oa")
        answer = await api.post("/v1/inbound/read", json=body)
        assert (answer.status, answer.json()["errors"][0]["field"]) == (422, field)
        assert len(await shown(api, "?unread=true")) == 1


@reactor_test
async def test_who_only_looks_notes_nothing() -> None:
    async with ApiServer() as api:
        made = await api.post("/v1/tokens", json={"name": "eye", "roles": ["viewer"]})
        body = {"up_to": "1"}
        answer = await api.post("/v1/inbound/read", json=body, token=made.json()["token"])
        assert answer.status == 403
        assert "inbound:write" in SCOPES
