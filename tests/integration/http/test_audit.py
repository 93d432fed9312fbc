"""The audit chain and the evidence over HTTP."""

from __future__ import annotations

from tests.support.api import ApiServer
from tests.support.reactor import reactor_test


@reactor_test
async def test_entries_are_listed_a_page_at_a_time() -> None:
    async with ApiServer() as api:
        page = (await api.get("/v1/audit?limit=2")).json()
        entries = [{"id": "0-1", "account": "oa"}, {"id": "0-2", "account": "oa"}]
        assert page == {"entries": entries, "next": "0-2"}
        page = (await api.get("/v1/audit?cursor=0-2&limit=2")).json()
        assert page == {"entries": [{"id": "0-3", "account": "oa"}], "next": None}


@reactor_test
async def test_a_cursor_that_is_none_is_refused() -> None:
    async with ApiServer() as api:
        for cursor in ("7", "0-", "a-b", "0-1-2", "-1-1", "0-" + "9" * 19):
            answer = await api.get(f"/v1/audit?cursor={cursor}")
            assert answer.status == 400
            problem = {"field": "cursor", "problem": "use the value of `next` from the page before"}
            assert answer.json()["errors"] == [problem]
        assert (await api.get("/v1/audit?chain=0")).status == 400


@reactor_test
async def test_the_evidence_of_a_request_is_one_document() -> None:
    async with ApiServer() as api:
        answer = await api.get("/v1/requests/9000/evidence")
        assert answer.status == 200
        assert answer.json()["format"] == "smsgw-evidence-1"
        for request_id in ("9001", "x"):
            assert (await api.get(f"/v1/requests/{request_id}/evidence")).status == 404
        assert (await api.get("/v1/requests/9000/evidence?x=1")).status == 400
