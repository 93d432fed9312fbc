from __future__ import annotations

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.support.api import Answer, ApiServer
from tests.support.reactor import reactor_test, until


async def waiting(api: ApiServer, query: str) -> Deferred[Answer]:
    """Ask, and return when the API waits."""
    asked = Deferred.fromCoroutine(api.get(f"/v1/events?{query}"))
    await until(lambda: api.front.news._watches)
    return asked


@reactor_test
async def test_who_waits_gets_what_happens_then() -> None:
    async with ApiServer() as api:
        asked = await waiting(api, "after=3&wait=30")
        api.front.happen("message.queued")
        answer = (await asked).json()
        assert [event["kind"] for event in answer["events"]] == ["message.queued"]
        assert answer["next"] == answer["events"][0]["id"]
        assert not api.front.news._watches


@reactor_test
async def test_what_is_there_already_is_not_waited_for() -> None:
    async with ApiServer() as api:
        answer = (await api.get("/v1/events?wait=30&limit=2")).json()
        assert ([event["id"] for event in answer["events"]], answer["next"]) == (["1", "2"], "2")


@reactor_test
async def test_nothing_comes_in_time_and_the_place_to_go_on_from_has_moved() -> None:
    async with ApiServer() as api:
        api.front.happen("message.queued", "crm")
        answer = (await api.get("/v1/events?after=3&wait=1")).json()
        assert answer["events"] == []
        assert int(answer["next"]) > 3


@reactor_test
async def test_kinds_are_named_or_begin_so() -> None:
    async with ApiServer() as api:
        for kind in ("message.sent", "request.created", "request.closed", "inbound.received"):
            api.front.happen(kind)

        async def kinds(written: str) -> list[str]:
            answer = await api.get(f"/v1/events?after=3&kind={written}")
            return [event["kind"] for event in answer.json()["events"]]

        assert await kinds("request.*") == ["request.created", "request.closed"]
        assert await kinds("message.sent,inbound.*") == ["message.sent", "inbound.received"]
        assert await kinds("request.expired") == []
        asked = await waiting(api, "after=3&wait=30&kind=request.expired")
        api.front.happen("request.created")
        api.front.happen("request.expired")
        answer = (await asked).json()
        assert [event["kind"] for event in answer["events"]] == ["request.expired"]


@reactor_test
async def test_who_hangs_up_waits_no_more() -> None:
    async with ApiServer() as api:
        asked = await waiting(api, "after=3&wait=30")
        asked.addErrback(lambda _: None)
        asked.cancel()
        await until(lambda: not api.front.news._watches)
        await deferLater(reactor, 0)


@pytest.mark.parametrize("query", ["wait=61", "wait=-1", "wait=x", "kind=x", "kind=", "kind=a.%25"])
@reactor_test
async def test_what_makes_no_sense_is_refused(query: str) -> None:
    async with ApiServer() as api:
        answer = await api.get(f"/v1/events?{query}")
        assert answer.status == 400
        assert answer.json()["errors"][0]["field"] == query.partition("=")[0]
