"""What can be decided or changed twice: ETag, If-Match and If-None-Match."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import Answer, ApiServer
from tests.support.reactor import reactor_test

PHONES = ["13300001001", "13300001002"]
DRAFT = {
    "subject": "采购",
    "steps": [{"rule": "all", "assignees": [{"phone": one} for one in PHONES]}],
}
FLOW = {"preset": "approval", "steps": [{"assignees": [{"phone": PHONES[0]}]}]}


def outdated(answer: Answer) -> str:
    assert (answer.status, answer.json()["type"]) == (412, "urn:smsgw:problem:outdated")
    detail: str = answer.json()["detail"]
    return detail


async def asked(api: ApiServer) -> tuple[str, dict[str, Any], str]:
    """A request that is open: its path, what it shows, and its ETag."""
    made = await api.post("/v1/requests", json=DRAFT)
    path = f"/v1/requests/{made.json()['id']}"
    shown = await api.get(path)
    return path, shown.json(), shown.header("ETag") or ""


def decision(shown: dict[str, Any], place: int = 0) -> dict[str, str]:
    who = shown["steps"][0]["assignees"][place]
    return {"assignment_id": who["id"], "decision": "yes"}


@reactor_test
async def test_of_two_who_decide_by_what_they_saw_the_second_is_told() -> None:
    async with ApiServer() as api:
        path, shown, tag = await asked(api)
        assert tag.startswith(f'"{shown["version"]}-')
        if_match = {"If-Match": tag}
        first = await api.post(f"{path}/decisions", json=decision(shown), headers=if_match)
        assert first.status == 200
        assert first.header("ETag") == (await api.get(path)).header("ETag") != tag
        again = await api.post(f"{path}/decisions", json=decision(shown), headers=if_match)
        assert "has answered already: yes" in outdated(again)
        second = await api.post(f"{path}/decisions", json=decision(shown, 1), headers=if_match)
        assert outdated(second).endswith("read it again")
        for action in ("withdraw", "resend"):
            assert outdated(await api.post(f"{path}/{action}", json={}, headers=if_match))
        new = {"If-Match": first.header("ETag") or ""}
        assert (await api.post(f"{path}/withdraw", json={}, headers=new)).status == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('"1"', 200),
        ("*", 200),
        (' "1-0000000000000000" ', 200),
        ('W/"1"', 412),
        ('"another"', 412),
        ('"2"', 412),
        ("1", 400),
        ('"1", "2"', 400),
    ],
)
@reactor_test
async def test_a_tag_holds_for_its_version(header: str, status: int) -> None:
    async with ApiServer() as api:
        path, shown, _ = await asked(api)
        assert shown["version"] == 1
        headers = {"If-Match": header}
        answer = await api.post(f"{path}/decisions", json=decision(shown), headers=headers)
        assert answer.status == status, answer.content
        assert (await api.get(path)).json()["version"] == (2 if status == 200 else 1)


@reactor_test
async def test_a_version_in_the_body_is_a_conflict_as_before() -> None:
    async with ApiServer() as api:
        path, shown, tag = await asked(api)
        old = await api.post(f"{path}/decisions", json={**decision(shown), "version": 7})
        assert (old.status, old.json()["type"]) == (409, "urn:smsgw:problem:conflict")
        both = {**decision(shown), "version": 7}
        answer = await api.post(f"{path}/decisions", json=both, headers={"If-Match": tag})
        assert (answer.status, answer.json()["errors"][0]["field"]) == (422, "version")


@reactor_test
async def test_what_is_still_the_same_is_not_sent_again() -> None:
    async with ApiServer() as api:
        path, shown, tag = await asked(api)
        for header in (tag, f'"x", W/{tag}', "*"):
            same = await api.get(path, headers={"If-None-Match": header})
            assert (same.status, same.content, same.header("ETag")) == (304, b"", tag)
        other = await api.get(path, headers={"If-None-Match": '"1"'})
        assert (other.status, other.json()) == (200, shown)
        await api.post(f"{path}/decisions", json=decision(shown))
        assert (await api.get(path, headers={"If-None-Match": tag})).status == 200


@reactor_test
async def test_saved_flows_webhooks_and_tokens_have_versions_too() -> None:
    async with ApiServer() as api:
        saved = await api.post("/v1/request-types", json={"name": "car", "flow": FLOW})
        assert saved.json()["version"] == 1
        flow = {"name": "car", "flow": FLOW}
        changed = await api.post("/v1/request-types", json=flow, headers={"If-Match": '"1"'})
        assert changed.json()["version"] == 2
        late = {"If-Match": '"1"'}
        assert outdated(await api.post("/v1/request-types", json=flow, headers=late))
        assert outdated(await api.post("/v1/request-types/car/remove", headers=late))
        assert (await api.get("/v1/request-types/car")).header("ETag") is not None

        token = await api.post("/v1/tokens", json={"name": "erp", "roles": ["sender"]})
        path = f"/v1/tokens/{token.json()['id']}"
        tag = {"If-Match": (await api.get(path)).header("ETag") or ""}
        assert (await api.post(f"{path}/change", json={"rate": 5}, headers=tag)).status == 200
        assert outdated(await api.post(f"{path}/change", json={"rate": 6}, headers=tag))
        assert outdated(await api.post(f"{path}/revoke", headers=tag))
        assert (await api.get(path)).json()["rate"] == 5

        hook = await api.post("/v1/webhooks", json={"url": "https://receiver.example/hook"})
        assert hook.status == 201, hook.content
        path = f"/v1/webhooks/{hook.json()['id']}"
        tag = {"If-Match": (await api.get(path)).header("ETag") or ""}
        assert (await api.post(f"{path}/pause", headers=tag)).status == 200
        for action in ("pause", "resume", "rotate", "change", "remove"):
            body = {"json": {"kinds": []}} if action == "change" else {}
            assert outdated(await api.post(f"{path}/{action}", headers=tag, **body))
        assert (await api.get(path)).json()["state"] == "paused"


@reactor_test
async def test_where_nothing_has_versions_the_header_is_refused() -> None:
    async with ApiServer() as api:
        message = {"to": "13800001001", "text": "x"}
        answer = await api.post("/v1/messages", json=message, headers={"If-Match": '"1"'})
        assert (answer.status, answer.json()["errors"][0]["field"]) == (400, "If-Match")
        assert api.front.sent == {}


@reactor_test
async def test_a_change_with_a_key_is_compared_once() -> None:
    async with ApiServer() as api:
        path, shown, tag = await asked(api)
        headers = {"If-Match": tag, "Idempotency-Key": "d-1"}
        first = await api.post(f"{path}/decisions", json=decision(shown), headers=headers)
        again = await api.post(f"{path}/decisions", json=decision(shown), headers=headers)
        assert (first.status, again.status) == (200, 200)
        assert again.header("Idempotency-Replayed") == "true"
        assert again.header("ETag") == first.header("ETag") is not None
        headers["Idempotency-Key"] = "d-2"
        late = await api.post(f"{path}/decisions", json=decision(shown, 1), headers=headers)
        assert outdated(late)


@pytest.mark.parametrize(
    "name",
    ["If-Match", "If-None-Match", "Idempotency-Key", "Authorization", "Accept-Encoding", "Accept"],
)
@reactor_test
async def test_a_header_that_is_no_text_breaks_nothing(name: str) -> None:
    async with ApiServer() as api:
        for method in ("GET", "POST"):
            answer = await api.call(method, "/v1/requests", headers={name: b"\xfc\xd7"})
            assert answer.status in (200, 400, 401), answer.content
        assert api.logged == []
