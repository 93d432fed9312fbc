"""Requests, flows and stand-ins over a real socket, before the real engine."""

from __future__ import annotations

from urllib.parse import quote

from tests.integration.http.test_api import fields, problem
from tests.support.api import ApiServer
from tests.support.memory import ANN, BOB, EVE
from tests.support.reactor import reactor_test


@reactor_test
async def test_a_request_is_made_shown_decided_and_then_a_conflict() -> None:
    async with ApiServer() as api:
        steps = [{"assignees": [{"phone": ANN, "name": "张"}, {"phone": BOB}]}]
        made = await api.post("/v1/requests", json={"subject": "预算", "steps": steps})
        path = made.header("Location")
        assert (made.status, path) == (201, f"/v1/requests/{made.json()['id']}")
        shown = (await api.get(str(path))).json()
        assert (shown["subject"], shown["state"], shown["version"]) == ("预算", "open", 1)
        first = shown["steps"][0]["assignees"][0]["id"]
        body = {"assignment_id": first, "decision": "no", "reason": "太贵", "version": 1}
        decided = await api.post(f"{path}/decisions", json=body)
        assert (decided.status, decided.json()["outcome"]) == (200, "rejected")
        problem(await api.post(f"{path}/decisions", json=body), 409, "conflict")
        for call in ("withdraw", "close", "resend"):
            problem(await api.post(f"{path}/{call}"), 409, "conflict")
        wrong = await api.post(f"{path}/decisions", json={**body, "assignment_id": "x"})
        problem(wrong, 422, "invalid")
        assert fields(wrong) == ["assignment_id"]
        assert len((await api.get("/v1/requests?state=closed")).json()["requests"]) == 1


@reactor_test
async def test_what_is_wrong_with_a_request_is_named_by_its_path() -> None:
    async with ApiServer() as api:
        for assignees, field in [
            ([{"phone": ANN}, {"phone": "12"}], "steps[0].assignees[1].phone"),
            ([{"phone": 12}], "steps[0].assignees[0].phone"),
            ([{"phone": ANN}, {"phone": f"+86{ANN}"}], "steps[0].assignees[1].phone"),
            ([], "steps[0].assignees"),
        ]:
            body = {"subject": "x", "steps": [{"assignees": assignees}]}
            answer = await api.post("/v1/requests", json=body)
            problem(answer, 422, "invalid")
            assert fields(answer) == [field]
        assert (await api.get("/v1/requests")).json()["requests"] == []


@reactor_test
async def test_a_flow_is_saved_and_found_by_its_chinese_name() -> None:
    async with ApiServer() as api:
        flow = {"steps": [{"assignees": [{"phone": ANN}]}]}
        saved = await api.post("/v1/request-types", json={"name": "外景车", "flow": flow})
        assert saved.json() == {"name": "外景车", "version": 1}
        path = f"/v1/request-types/{quote('外景车')}"
        assert (await api.get(path)).json()["version"] == 1
        made = await api.post("/v1/requests", json={"subject": "x", "type": "外景车"})
        assert made.status == 201
        assert (await api.post(f"{path}/remove")).status == 200
        problem(await api.get(path), 404, "not-found")


@reactor_test
async def test_a_stand_in_is_recorded_listed_and_ended() -> None:
    async with ApiServer() as api:
        made = await api.post("/v1/stand-ins", json={"phone": ANN, "other_phone": EVE})
        row_id = made.json()["id"]
        assert made.status == 201
        (shown,) = (await api.get(f"/v1/stand-ins?phone={ANN}")).json()["stand_ins"]
        assert (shown["id"], shown["until"]) == (row_id, None)
        assert (await api.post(f"/v1/stand-ins/{row_id}/end")).json() == {"id": row_id}
        problem(await api.post(f"/v1/stand-ins/{row_id}/end"), 409, "conflict")
        sent = await api.post("/v1/digests", json={"phone": ANN})
        assert sent.json() == {"sent": False}
