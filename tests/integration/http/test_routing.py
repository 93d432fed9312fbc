"""Explanations of routes and ported numbers over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.model import Operator
from tests.support.api import Answer, ApiServer
from tests.support.reactor import reactor_test

PHONE = "13800001001"


def problem(answer: Answer) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    return answer.status, error["field"]


@reactor_test
async def test_a_route_is_explained_for_the_account_that_asks() -> None:
    async with ApiServer() as api:
        found = await api.get(f"/v1/routes/explain?to=%2B86{PHONE}&class=bulk&expect_reply=true")
        assert found.status == 200
        explained = found.json()
        assert explained["to"] == PHONE
        assert explained["why"].endswith("for oa")
        assert explained["rules"] == ["rule bulk: taken, reply True"]
        plain = (await api.get(f"/v1/routes/explain?to={PHONE}")).json()
        assert plain["rules"] == ["rule notice: taken, reply False"]


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("", 400, "to"),
        ("?to=12", 422, "to"),
        (f"?to={PHONE}&class=urgent", 400, "class"),
        (f"?to={PHONE}&expect_reply=yes", 400, "expect_reply"),
        (f"?to={PHONE}&link=cmcc", 400, "link"),
    ],
)
@reactor_test
async def test_what_cannot_be_explained_names_the_parameter(
    query: str, status: int, field: str
) -> None:
    async with ApiServer() as api:
        assert problem(await api.get(f"/v1/routes/explain{query}")) == (status, field)


@reactor_test
async def test_ported_numbers_are_imported_listed_and_forgotten() -> None:
    async with ApiServer() as api:
        numbers = [{"phone": f"+86 1380000100{last}", "operator": "unicom"} for last in (3, 1, 2)]
        numbers[0] |= {"source": "sheet", "learned_at": "2026-01-01", "expires_at": "2099-01-01"}
        answer = await api.post("/v1/ported", json={"numbers": numbers})
        assert (answer.status, answer.json()) == (200, {"imported": 3, "skipped": 0})
        again = await api.post("/v1/ported", json={"numbers": numbers})
        assert again.json() == {"imported": 0, "skipped": 3}
        assert api.front.ported.known[PHONE].operator is Operator.UNICOM
        first = (await api.get("/v1/ported?limit=2")).json()
        assert [one["phone"] for one in first["numbers"]] == [PHONE, "13800001002"]
        rest = (await api.get(f"/v1/ported?limit=2&cursor={first['next']}")).json()
        assert rest == {
            "numbers": [
                {
                    "phone": "13800001003",
                    "operator": "unicom",
                    "source": "sheet",
                    "learned_at": "2026-01-01T00:00:00.000+00:00",
                    "expires_at": "2099-01-01T00:00:00.000+00:00",
                }
            ],
            "next": None,
        }
        gone = await api.post("/v1/ported/forget", json={"phones": [PHONE, "13900001001"]})
        assert gone.json() == {"forgotten": 1}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/ported", {"numbers": []}, "numbers"),
        ("/v1/ported", {"numbers": [{"phone": PHONE}]}, "numbers[0].operator"),
        (
            "/v1/ported",
            {"numbers": [{"phone": PHONE, "operator": "unicom"}, {"phone": "1", "operator": "x"}]},
            "numbers[1].phone",
        ),
        ("/v1/ported/forget", {"phones": ["12"]}, "phones[0]"),
    ],
)
@reactor_test
async def test_a_wrong_number_refuses_all(path: str, body: Any, field: str) -> None:
    async with ApiServer() as api:
        assert problem(await api.post(path, json=body)) == (422, field)
        assert api.front.ported.known == {}
