from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import Deferred, DeferredList

from smsgw.errors import Overloaded, StoreError
from smsgw.services.idempotency import KEPT_SECONDS, Asked
from smsgw.store import idempotency
from tests.support.api import OTHER_TOKEN, Answer, ApiServer
from tests.support.memory import Time
from tests.support.reactor import reactor_test

PHONE = "13800001001"
MESSAGE = {"to": PHONE, "text": "您好"}
KEY = {"Idempotency-Key": "order-77"}


def kind(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json().get("type", "").rpartition(":")[2]


def content(answer: Answer) -> tuple[int, Any, str | None, str | None]:
    replayed = answer.header("Idempotency-Replayed")
    return answer.status, answer.json(), answer.header("Location"), replayed


@reactor_test
async def test_a_message_asked_for_twice_with_a_key_is_sent_once() -> None:
    async with ApiServer() as api:
        first = await api.post("/v1/messages", json=MESSAGE, headers=KEY)
        again = await api.post("/v1/messages", json=MESSAGE, headers=KEY)
        assert content(first) == (202, {"id": "1000"}, "/v1/messages/1000", None)
        assert content(again) == (202, {"id": "1000"}, "/v1/messages/1000", "true")
        assert list(api.front.sent) == [1000]
        batch = {"messages": [MESSAGE, MESSAGE]}
        for _ in range(2):
            made = await api.post("/v1/messages", json=batch, headers={"Idempotency-Key": "b"})
            assert made.json() == {"ids": ["1001", "1002"]}
        assert len(api.front.sent) == 3


@reactor_test
async def test_a_key_belongs_to_one_request_of_one_account() -> None:
    async with ApiServer() as api:
        await api.post("/v1/messages", json=MESSAGE, headers=KEY)
        other = await api.post("/v1/messages", json={**MESSAGE, "text": "x"}, headers=KEY)
        assert kind(other) == (409, "conflict")
        elsewhere = await api.post("/v1/digests", json={"phone": PHONE}, headers=KEY)
        assert kind(elsewhere) == (409, "conflict")
        theirs = await api.post("/v1/messages", json=MESSAGE, headers=KEY, token=OTHER_TOKEN)
        assert theirs.json() == {"id": "1001"}


@pytest.mark.parametrize("path", ["/v1/requests", "/v1/messages"])
@reactor_test
async def test_what_was_refused_left_nothing_and_its_key_is_free(path: str) -> None:
    async with ApiServer() as api:
        refused = await api.post(path, json={}, headers=KEY)
        assert refused.status == 422
        assert refused.header("Idempotency-Replayed") is None
        api.front.trouble = Overloaded("too much waits", 7)
        assert (await api.post("/v1/messages", json=MESSAGE, headers=KEY)).status == 503
        api.front.trouble = None
        assert (await api.post("/v1/messages", json=MESSAGE, headers=KEY)).status == 202


@reactor_test
async def test_the_same_request_again_while_it_runs_has_to_wait() -> None:
    async with ApiServer() as api:
        api.front.held = Deferred()
        both = [
            Deferred.fromCoroutine(api.post("/v1/messages", json=MESSAGE, headers=KEY))
            for _ in range(2)
        ]
        refused, _ = await DeferredList(both, fireOnOneCallback=True)  # type: ignore[misc]
        assert kind(refused) == (409, "in-progress")
        assert refused.header("Retry-After") == "1"
        api.front.held.callback(None)
        await DeferredList(both)
        again = await api.post("/v1/messages", json=MESSAGE, headers=KEY)
        assert content(again) == (202, {"id": "1000"}, "/v1/messages/1000", "true")


@reactor_test
async def test_any_other_post_is_done_once_too() -> None:
    async with ApiServer() as api:
        draft = {"subject": "采购", "steps": [{"assignees": [{"phone": PHONE}]}]}
        made = [await api.post("/v1/requests", json=draft, headers=KEY) for _ in range(2)]
        assert [one.header("Idempotency-Replayed") for one in made] == [None, "true"]
        assert made[0].json() == made[1].json()
        assert made[0].header("Location") == made[1].header("Location")
        assert len((await api.get("/v1/requests")).json()["requests"]) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/requests", {"subject": "采购", "steps": [{"assignees": [{"phone": PHONE}]}]}),
        ("/v1/batches", {"text": "您好", "recipients": [{"to": PHONE}]}),
        ("/v1/conversations", {"to": PHONE, "reference": "job-17", "text": "几点到？"}),
    ],
)
@reactor_test
async def test_what_is_done_and_its_key_are_one_commit(path: str, body: dict[str, Any]) -> None:
    async with ApiServer() as api:

        def refuse(connection: Any, row: Any) -> None:
            raise StoreError("the disk is full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(idempotency, "add", refuse)
            assert (await api.post(path, json=body, headers=KEY)).status == 503
        name = path.removeprefix("/v1/")
        assert (await api.get(path)).json()[name] == []
        assert (await api.get("/v1/events?after=3")).json()["events"] == []
        made = await api.post(path, json=body, headers=KEY)
        again = await api.post(path, json=body, headers=KEY)
        assert made.status in (201, 202)
        assert content(again) == (*content(made)[:3], "true")
        assert len((await api.get(path)).json()[name]) == 1


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("decisions", {"assignment_id": "", "decision": "yes"}),
        ("delegations", {"assignment_id": "", "to": {"phone": "13800001002"}}),
        ("withdraw", {"reason": "不用了"}),
        ("resend", {}),
        ("close", {}),
    ],
)
@reactor_test
async def test_what_is_done_to_a_request_and_its_key_are_one_commit(
    name: str, body: dict[str, Any]
) -> None:
    async with ApiServer() as api:
        steps: list[dict[str, Any]] = [{"assignees": [{"phone": PHONE}]}]
        draft: dict[str, Any] = {"subject": "采购", "steps": steps}
        if name == "close":
            draft["preset"] = "survey"
        path = f"/v1/requests/{(await api.post('/v1/requests', json=draft)).json()['id']}"
        before = await api.get(path)
        if "assignment_id" in body:
            body = {**body, "assignment_id": before.json()["steps"][0]["assignees"][0]["id"]}

        def refuse(connection: Any, row: Any) -> None:
            raise StoreError("the disk is full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(idempotency, "add", refuse)
            assert (await api.post(f"{path}/{name}", json=body, headers=KEY)).status == 503
        assert (await api.get(path)).content == before.content
        made = await api.post(f"{path}/{name}", json=body, headers=KEY)
        again = await api.post(f"{path}/{name}", json=body, headers=KEY)
        after = await api.get(path)
        assert (made.status, after.json()["version"]) == (200, before.json()["version"] + 1)
        assert content(again) == (*content(made)[:3], "true")
        assert made.json() == after.json()
        tags = {one.header("ETag") for one in (made, again, after)}
        assert len(tags) == 1


@reactor_test
async def test_a_conversation_is_ended_once() -> None:
    async with ApiServer() as api:
        opened = await api.post("/v1/conversations", json={"to": PHONE, "reference": "job-17"})
        path = f"/v1/conversations/{opened.json()['id']}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(idempotency, "add", lambda connection, row: 1 / 0)
            assert (await api.post(f"{path}/end", headers=KEY)).status == 500
        assert (await api.get(path)).json()["state"] == "open"
        made = await api.post(f"{path}/end", headers=KEY)
        again = await api.post(f"{path}/end", headers=KEY)
        assert made.json()["state"] == "ended"
        assert content(again) == (*content(made)[:3], "true")


@reactor_test
async def test_another_text_of_a_conversation_is_sent_once() -> None:
    async with ApiServer() as api:
        opened = await api.post("/v1/conversations", json={"to": PHONE, "reference": "job-17"})
        path = f"/v1/conversations/{opened.json()['id']}/messages"
        made = await api.post(path, json={"text": "几点到？"}, headers=KEY)
        again = await api.post(path, json={"text": "几点到？"}, headers=KEY)
        assert content(again) == (*content(made)[:3], "true")
        assert len(api.front.desk.composer.sent) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/drain", {}),
        ("/v1/reload", {"dry_run": True}),
        ("/v1/erasures", {"phone": PHONE}),
        ("/v1/traces/<id>/stop", {}),
        ("/v1/webhooks/<id>/test", {}),
    ],
)
@reactor_test
async def test_what_is_harmless_to_do_again_is_done_again_until_its_answer_is_kept(
    path: str, body: dict[str, Any]
) -> None:
    async with ApiServer() as api:
        if "webhooks" in path:
            made = await api.post("/v1/webhooks", json={"url": "https://receiver.example/"})
            path = path.replace("<id>", made.json()["id"])
        if "traces" in path:
            made = await api.post("/v1/links/cmcc/traces", headers={"Idempotency-Key": "t-1"})
            again = await api.post("/v1/links/cmcc/traces", headers={"Idempotency-Key": "t-1"})
            assert content(again) == (*content(made)[:3], "true")
            path = path.replace("<id>", made.json()["id"])

        def refuse(connection: Any, row: Any) -> None:
            raise StoreError("the disk is full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(idempotency, "put", refuse)
            assert (await api.post(path, json=body, headers=KEY)).status == 503
        done = [await api.post(path, json=body, headers=KEY) for _ in range(3)]
        assert [one.status for one in done] == [200] * 3
        assert [one.header("Idempotency-Replayed") for one in done] == [None, "true", "true"]
        assert done[0].content == done[1].content == done[2].content
        other = await api.post(path, json={"dry_run": False}, headers=KEY)
        assert kind(other) == (409, "conflict")


@reactor_test
async def test_a_webhooks_secret_is_in_the_kept_answer_and_a_rotated_one_too() -> None:
    async with ApiServer() as api:
        hook = {"url": "https://receiver.example/"}
        made = [await api.post("/v1/webhooks", json=hook, headers=KEY) for _ in range(2)]
        assert made[0].json()["secret"].startswith("whsec_")
        assert content(made[1]) == (*content(made[0])[:3], "true")
        path, key = f"/v1/webhooks/{made[0].json()['id']}/rotate", {"Idempotency-Key": "r-1"}
        rotated = [await api.post(path, headers=key) for _ in range(2)]
        assert rotated[0].json()["secret"] != made[0].json()["secret"]
        assert content(rotated[1]) == (*content(rotated[0])[:3], "true")


@reactor_test
async def test_an_answer_with_a_secret_is_kept_nowhere() -> None:
    async with ApiServer() as api:
        draft = {"name": "erp", "roles": ["sender"]}
        made = await api.post("/v1/tokens", json=draft, headers=KEY)
        assert made.status == 201, made.content
        assert made.json()["token"].startswith("sgw_")
        again = await api.post("/v1/tokens", json=draft, headers=KEY)
        assert kind(again) == (409, "outcome-unknown")
        row = api.front.kept.run(partial(idempotency.get, account="oa", name="order-77")).result
        assert row.body == b""


@reactor_test
async def test_a_key_is_forgotten_after_a_day() -> None:
    async with ApiServer() as api:
        time = api.front.idempotency._clock
        assert isinstance(time, Time)
        await api.post("/v1/messages", json=MESSAGE, headers=KEY)
        time.advance(KEPT_SECONDS)
        again = await api.post("/v1/messages", json=MESSAGE, headers=KEY)
        assert again.json() == {"id": "1000"}
        time.advance(1)
        new = await api.post("/v1/messages", json=MESSAGE, headers=KEY)
        assert content(new) == (202, {"id": "1001"}, "/v1/messages/1001", None)
        time.advance(KEPT_SECONDS + 1)
        await api.front.idempotency.start()
        find = partial(idempotency.get, account="oa", name="order-77")
        assert await api.front.kept.run(find) is None
        api.front.idempotency.stop()


@pytest.mark.parametrize("key", ["", "a b", "x" * 129, "键"])
@reactor_test
async def test_a_key_is_visible_ascii_of_128_characters_at_most(key: str) -> None:
    async with ApiServer() as api:
        answer = await api.post("/v1/messages", json=MESSAGE, headers={"Idempotency-Key": key})
        assert kind(answer) == (400, "malformed")
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
        assert api.front.sent == {}


@reactor_test
async def test_a_get_takes_no_notice_of_a_key() -> None:
    async with ApiServer() as api:
        for _ in range(2):
            answer = await api.get("/v1/messages", headers=KEY)
            assert (answer.status, answer.header("Idempotency-Replayed")) == (200, None)
        asked = Asked("oa", "order-77", b"")
        assert await api.front.idempotency._find(asked) is None
