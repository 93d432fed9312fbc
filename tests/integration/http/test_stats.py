"""``/v1/stats`` over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.model import MessageStatus as S
from smsgw.store.ids import first_at
from tests.support.api import OTHER_TOKEN, ApiServer
from tests.support.reactor import reactor_test
from tests.support.store import NOW, StoredMessages

DAY = 86_400_000
EMPTY: dict[str, Any] = {
    "messages": 0,
    "segments": 0,
    "by_class": {},
    "by_link": {},
    "inbound": {},
    "requests": {},
    "oldest_queued_at": None,
}


def store(api: ApiServer, ago: int, *states: S, **fields: Any) -> None:
    """A message that was accepted so many milliseconds ago."""
    at = NOW - ago
    kept = api.front.kept
    with kept.transaction() as connection:
        made = {"id": first_at(at) + ago % 7, "created_at": at, "account": "oa", **fields}
        StoredMessages(connection, kept.ids).message(*states, **made)


@reactor_test
async def test_the_last_day_is_counted_unless_it_is_said() -> None:
    async with ApiServer() as api:
        store(api, 1000)
        store(api, 2000, S.SENT, S.SENT, status="sent", message_class="bulk", link="ctcc")
        store(api, DAY + 1000, S.SENT)
        found = (await api.get("/v1/stats")).json()
        assert found == {
            "since": "2027-01-14T08:00:00.001+00:00",
            "until": "2027-01-15T08:00:00.001+00:00",
            "messages": 2,
            "segments": 3,
            "by_class": {"bulk": {"sent": 1}, "interactive": {"queued": 1}},
            "by_link": {"cmcc": {"queued": 1}, "ctcc": {"sent": 1}},
            "inbound": {},
            "requests": {},
            "oldest_queued_at": "2027-01-15T07:59:59.000+00:00",
        }
        longer = (await api.get("/v1/stats?since=2027-01-10T00:00:00%2B08:00")).json()
        assert longer["messages"] == 3
        assert longer["since"] == "2027-01-09T16:00:00.000+00:00"
        unescaped = (await api.get("/v1/stats?since=2027-01-10T00:00:00+08:00")).json()
        assert unescaped == longer
        before = (await api.get("/v1/stats?until=2027-01-14T08:00:00Z")).json()
        assert before["messages"] == 1
        other = (await api.get("/v1/stats", token=OTHER_TOKEN)).json()
        assert {key: other[key] for key in EMPTY} == EMPTY


@reactor_test
async def test_departments_below_count_too() -> None:
    async with ApiServer() as api:
        await api.post(
            "/v1/tokens", json={"name": "desk", "account": "oa/news", "roles": ["viewer"]}
        )
        store(api, 1000, account="oa/news")
        store(api, 2000)
        assert (await api.get("/v1/stats")).json()["messages"] == 2
        assert (await api.get("/v1/stats?account=oa/news")).json()["messages"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=2026-12-01T00:00:00Z&until=2027-01-02T00:00:00Z", "since"),
        ("since=2027-01-02T00:00:00Z&until=2027-01-02T00:00:00Z", "since"),
        ("since=2027-01-02T00:00:00", "since"),
        ("until=tomorrow", "until"),
        ("until=0001-01-01T00:00:00%2B23:00", "until"),
        ("days=3", "days"),
    ],
)
@reactor_test
async def test_a_span_is_31_days_at_most_and_says_its_zone(query: str, field: str) -> None:
    async with ApiServer() as api:
        answer = await api.get(f"/v1/stats?{query}")
        assert (answer.status, answer.json()["errors"][0]["field"]) == (400, field)
