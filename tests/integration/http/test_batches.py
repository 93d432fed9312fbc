"""One text to many over HTTP: variables, progress, more recipients, canceling."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import OTHER_TOKEN, Answer, ApiServer
from tests.support.reactor import reactor_test

PHONES = [f"138000010{number:02}" for number in range(1, 6)]
BATCH: dict[str, Any] = {
    "text": "您好 {name}，验证码 {code} {{勿回复}}",
    "class": "bulk",
    "ref": "spring",
    "recipients": [
        {"to": PHONES[0], "variables": {"name": "张三", "code": 4071}},
        {"to": PHONES[1], "ref": "mine", "variables": {"name": "李四", "code": "0042"}},
    ],
}


def wrong(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["errors"][0]["field"]


def plain(*phones: str, **fields: Any) -> dict[str, Any]:
    return {"text": "早新闻", "recipients": [{"to": one} for one in phones], **fields}


@reactor_test
async def test_each_recipient_gets_the_text_with_variables_of_their_own() -> None:
    async with ApiServer() as api:
        made = await api.post("/v1/batches", json=BATCH)
        assert made.status == 202
        batch_id = made.json()["id"]
        assert made.json() == {"id": batch_id, "accepted": 2, "opted_out": []}
        assert made.header("Location") == f"/v1/batches/{batch_id}"
        listed = (await api.get(f"/v1/messages?batch={batch_id}")).json()["messages"]
        assert [(one["to"], one["text"], one["ref"]) for one in reversed(listed)] == [
            (PHONES[0], "您好 张三，验证码 4071 {勿回复}", "spring"),
            (PHONES[1], "您好 李四，验证码 0042 {勿回复}", "mine"),
        ]
        assert [one.recipient for one in api.front.batch_desk.sent] == PHONES[:2]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (
            {"recipients": [BATCH["recipients"][0], {"to": PHONES[1]}]},
            "recipients[1].variables.name",
        ),
        (
            {"recipients": [{"to": PHONES[0], "variables": {"name": "a", "code": 1, "town": "b"}}]},
            "recipients[0].variables.town",
        ),
        ({"recipients": [{"to": "1", "variables": {"name": "a", "code": 1}}]}, "recipients[0].to"),
        ({"recipients": []}, "recipients"),
        (
            {"recipients": [{"to": PHONES[0], "variables": {"name": 1.5}}]},
            "recipients[0].variables",
        ),
        ({"text": "您好 {name"}, "text"),
        ({"text": " "}, "text"),
        ({"send_at": "2020-01-01T00:00:00Z"}, "send_at"),
        ({"zone": "Asia/Shanghai"}, "zone"),
        ({"valid_for": -1}, "valid_for"),
        ({"class": "urgent"}, "class"),
    ],
)
@reactor_test
async def test_what_is_wrong_is_named_and_nothing_is_accepted(
    changed: dict[str, Any], field: str
) -> None:
    async with ApiServer() as api:
        answer = await api.post("/v1/batches", json={**BATCH, **changed})
        status, path = wrong(answer)
        assert (status, path) == (422, field), answer.content
        assert (await api.get("/v1/batches")).json() == {"batches": [], "next": None}
        assert api.front.batch_desk.sent == []


@reactor_test
async def test_a_text_that_is_too_long_for_one_names_who() -> None:
    async with ApiServer() as api:
        long = {"to": PHONES[1], "variables": {"name": "长" * 20_000, "code": 1}}
        answer = await api.post(
            "/v1/batches", json={**BATCH, "recipients": [BATCH["recipients"][0], long]}
        )
        assert wrong(answer) == (422, "recipients[1].text")
        answer = await api.post("/v1/batches", json=plain(*PHONES, text="长" * 20_000))
        assert wrong(answer) == (422, "text")


@reactor_test
async def test_the_answer_says_who_opted_out_and_was_left_out() -> None:
    async with ApiServer() as api:
        api.front.batch_desk.opted_out.add(PHONES[1])
        key = {"Idempotency-Key": "b-1"}
        for _ in range(2):
            made = await api.post("/v1/batches", json=plain(*PHONES[:2]), headers=key)
            assert made.status == 202
            assert (made.json()["accepted"], made.json()["opted_out"]) == (1, [1])
        batch_id = made.json()["id"]
        assert (await api.get(f"/v1/batches/{batch_id}")).json()["messages"] == 1
        assert [one.recipient for one in api.front.batch_desk.sent] == PHONES[:1]
        nobody = {"recipients": [{"to": PHONES[1]}]}
        more = await api.post(f"/v1/batches/{batch_id}/messages", json=nobody)
        assert wrong(more) == (422, "recipients")


@reactor_test
async def test_a_batch_asked_for_twice_with_a_key_is_sent_once() -> None:
    async with ApiServer() as api:
        key = {"Idempotency-Key": "b-1"}
        first = await api.post("/v1/batches", json=BATCH, headers=key)
        again = await api.post("/v1/batches", json=BATCH, headers=key)
        assert first.json() == again.json()
        assert again.header("Idempotency-Replayed") == "true"
        assert first.header("Location") == again.header("Location")
        more = {"recipients": BATCH["recipients"]}
        path = f"/v1/batches/{first.json()['id']}/messages"
        for _ in range(2):
            made = await api.post(path, json=more, headers={"Idempotency-Key": "b-2"})
            assert made.json() == {"id": first.json()["id"], "accepted": 2, "opted_out": []}
        assert len(api.front.batch_desk.sent) == 4
        other = await api.post("/v1/batches", json=plain(PHONES[0]), headers=key)
        assert other.status == 409


@reactor_test
async def test_a_batch_is_only_its_own_accounts() -> None:
    async with ApiServer() as api:
        batch_id = (await api.post("/v1/batches", json=BATCH)).json()["id"]
        for method, path in (
            ("GET", ""),
            ("POST", "/cancel"),
        ):
            answer = await api.call(method, f"/v1/batches/{batch_id}{path}", token=OTHER_TOKEN)
            assert answer.status == 404
        more = {"recipients": BATCH["recipients"]}
        path = f"/v1/batches/{batch_id}/messages"
        assert (await api.post(path, json=more, token=OTHER_TOKEN)).status == 404
        listed = await api.get(f"/v1/messages?batch={batch_id}", token=OTHER_TOKEN)
        assert listed.status == 404
        assert (await api.get("/v1/batches", token=OTHER_TOKEN)).json()["batches"] == []
        assert (await api.get("/v1/messages?batch=x")).status == 400
        assert len(api.front.batch_desk.sent) == 2


@reactor_test
async def test_batches_are_listed_newest_first_and_shown_with_their_progress() -> None:
    async with ApiServer() as api:
        ids = [(await api.post("/v1/batches", json=plain(one))).json()["id"] for one in PHONES[:3]]
        first = (await api.get("/v1/batches?limit=2")).json()
        assert [one["id"] for one in first["batches"]] == [ids[2], ids[1]]
        rest = (await api.get(f"/v1/batches?limit=2&cursor={first['next']}")).json()
        assert [one["id"] for one in rest["batches"]] == [ids[0]]
        assert rest["next"] is None
        shown = (await api.get(f"/v1/batches/{ids[0]}")).json()
        assert (shown["messages"], shown["finished"], shown["finished_at"]) == (1, 0, None)
        assert {status: count for status, count in shown["counts"].items() if count} == {
            "queued": 1
        }


@reactor_test
async def test_what_is_not_sent_is_canceled_and_nobody_is_added_any_more() -> None:
    async with ApiServer() as api:
        batch_id = (await api.post("/v1/batches", json=plain(*PHONES))).json()["id"]
        answer = (await api.post(f"/v1/batches/{batch_id}/cancel")).json()
        assert (answer["canceled"], answer["more"], answer["finished"]) == (5, False, 5)
        assert answer["counts"]["canceled"] == 5
        assert answer["canceled_at"] is not None
        assert answer["finished_at"] == answer["last_final_at"] is not None
        again = (await api.post(f"/v1/batches/{batch_id}/cancel")).json()
        assert (again["canceled"], again["canceled_at"]) == (0, answer["canceled_at"])
        more = await api.post(
            f"/v1/batches/{batch_id}/messages", json={"recipients": [{"to": PHONES[0]}]}
        )
        assert (more.status, more.json()["detail"]) == (
            409,
            f"batch {batch_id} was canceled; make another one",
        )
        assert api.front.batch_desk.sent == []


@reactor_test
async def test_one_message_and_several_take_variables_too() -> None:
    async with ApiServer() as api:
        one = {"to": PHONES[0], "text": "您好 {name}", "variables": {"name": "张三"}}
        assert (await api.post("/v1/messages", json=one)).status == 202
        brace = {"to": PHONES[0], "text": "{name}"}
        assert (await api.post("/v1/messages", json={"messages": [one, brace]})).status == 202
        texts = [one["text"] for one in api.front.sent.values()]
        assert texts == ["您好 张三", "您好 张三", "{name}"]
        missing = {**one, "variables": {}}
        assert wrong(await api.post("/v1/messages", json=missing)) == (422, "variables.name")
        answer = await api.post("/v1/messages", json={"messages": [one, missing]})
        assert wrong(answer) == (422, "messages[1].variables.name")
