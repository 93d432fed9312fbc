"""Messages with a time of their own, canceled, or more of them than can be taken."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.errors import Overloaded
from tests.support.api import OTHER_TOKEN, ApiServer
from tests.support.reactor import reactor_test

MESSAGE = {"to": "13800001001", "text": "x"}


@pytest.mark.parametrize(
    "when",
    [
        {"send_at": "2026-11-22T09:00:00+08:00"},
        {"send_at": "2026-11-22T09:00", "zone": "Asia/Shanghai"},
        {"send_at": "2026-11-22T01:00:00Z"},
    ],
)
@reactor_test
async def test_a_time_is_taken_with_its_offset_or_a_zone(when: dict[str, str]) -> None:
    async with ApiServer() as api:
        assert (await api.post("/v1/messages", json={**MESSAGE, **when})).status == 202
        assert (await api.post("/v1/messages", json={"messages": [{**MESSAGE, **when}]})).status
        sent = [one["send_at"] for one in api.front.sent.values()]
        assert sent == ["2026-11-22T01:00:00+00:00"] * 2


@pytest.mark.parametrize(
    ("when", "field"),
    [
        ({"send_at": "tomorrow"}, "send_at"),
        ({"send_at": "2026-11-22T09:00"}, "send_at"),
        ({"send_at": "2026-11-22T09:00", "zone": "Asia/Nowhere"}, "zone"),
        ({"send_at": 1795309200}, "send_at"),
        ({"zone": "Asia/Shanghai"}, "zone"),
    ],
)
@reactor_test
async def test_a_time_that_is_none_names_its_field_and_refuses_all(
    when: dict[str, Any], field: str
) -> None:
    async with ApiServer() as api:
        alone = await api.post("/v1/messages", json={**MESSAGE, **when})
        batch = await api.post("/v1/messages", json={"messages": [MESSAGE, {**MESSAGE, **when}]})
        assert (alone.status, batch.status) == (422, 422)
        assert alone.json()["errors"][0]["field"] == field
        assert batch.json()["errors"][0]["field"] == f"messages[1].{field}"
        assert api.front.sent == {}


@reactor_test
async def test_a_message_is_canceled_once_and_only_by_its_own_account() -> None:
    async with ApiServer() as api:
        await api.post("/v1/messages", json=MESSAGE)
        other = await api.post("/v1/messages/1000/cancel", token=OTHER_TOKEN)
        assert other.status == 404
        answer = await api.post("/v1/messages/1000/cancel")
        assert (answer.status, answer.json()["status"]) == (200, "canceled")
        again = await api.post("/v1/messages/1000/cancel", json={})
        assert again.status == 409
        assert again.json()["detail"] == "message 1000 is canceled"
        assert (await api.get("/v1/messages/1000/cancel")).status == 405
        assert (await api.post("/v1/messages/x/cancel")).status == 404


@reactor_test
async def test_when_too_much_waits_the_answer_says_when_to_come_back() -> None:
    async with ApiServer() as api:
        api.front.trouble = Overloaded("123456 rows wait for the database, limit 100000", 7)
        answer = await api.post("/v1/messages", json=MESSAGE)
        assert (answer.status, answer.header("Retry-After")) == (503, "7")
        assert answer.json()["type"] == "urn:smsgw:problem:busy"
        assert answer.json()["detail"].endswith("limit 100000; try again in 7 s")
        assert api.logged == []


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/batches", "/v1/requests"])
@reactor_test
async def test_a_parameter_that_nothing_takes_is_refused_and_nothing_is_done(path: str) -> None:
    async with ApiServer() as api:
        body = {"to": "13800001001", "text": "您好"}
        answer = await api.post(f"{path}?acount=oa/sports", json=body)
        assert answer.status == 400
        assert answer.json()["errors"][0]["field"] == "acount"
        assert api.front.sent == {}
