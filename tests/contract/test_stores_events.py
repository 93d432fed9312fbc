"""Events by kind on both databases."""

from __future__ import annotations

from functools import partial

from twisted.internet import reactor

from smsgw.model import Event
from smsgw.services.news import News
from smsgw.store import events
from tests.support.reactor import reactor_test
from tests.support.store import NOW
from tests.support.stores import Place, opened

KINDS = ["message.sent", "message.delivered", "request.closed", "requests_odd.closed"]


@reactor_test
async def test_events_are_found_by_kind_and_by_how_a_kind_begins(place: Place) -> None:
    async with opened(place) as database:
        told = [Event(kind, 7, "oa") for kind in KINDS]
        await database.writer.run(partial(events.append, now_ms=NOW, events=told))

        async def found(*kinds: str) -> list[str]:
            read = partial(events.list_after, accounts=("oa",), kinds=kinds)
            return [event.kind for event in await database.read(read)]

        assert await found() == KINDS
        assert await found("message.sent") == KINDS[:1]
        assert await found("request.*", "message.delivered") == KINDS[1:3]
        assert await found("requests_.*") == []
        assert await found("inbound.*") == []


@reactor_test
async def test_who_waits_hears_of_a_commit(place: Place) -> None:
    async with opened(place) as database:
        news = News(database, reactor)  # type: ignore[arg-type]
        database.writer.watchers.append(news.committed)
        for kind in ("message.sent", "request.closed"):
            watch = await news.watch("oa", (), ["request.*"])
            heard = watch.heard(0.2 if kind == "message.sent" else 4)
            told = [Event(kind, 7, "oa")]
            await database.writer.run(partial(events.append, now_ms=NOW, events=told))
            assert await heard == (kind == "request.closed")
            watch.end()
        news.stop()
