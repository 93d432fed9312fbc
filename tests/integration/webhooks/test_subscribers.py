"""Webhooks on a real database and real sockets, beside receivers of every bad kind."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor

from smsgw.model import Event
from smsgw.services.webhooks import patience
from smsgw.services.webhooks.addresses import Rules
from smsgw.services.webhooks.book import Webhooks
from smsgw.services.webhooks.lane import Tools
from smsgw.services.webhooks.posting import Poster
from smsgw.services.webhooks.subscribers import Subscribers
from smsgw.store import events
from smsgw.store.address import Server
from smsgw.store.database import Database
from tests.support.api import closed_connections
from tests.support.reactor import reactor_test, until
from tests.support.receivers import (
    Receiver,
    answer,
    close,
    drip_body,
    drip_head,
    endless_body,
    endless_head,
    hang,
    junk,
    trailing_junk,
    verified,
)
from tests.support.stores import Place

ACCOUNT = "newsroom"
WEBHOOKS = 20
"""So many that each of two processes delivers to some: they are dealt out by their ids."""

BAD = [hang, drip_head, drip_body, endless_head, endless_body, close, junk, trailing_junk]


class Site:
    """One process's webhooks."""

    def __init__(self, place: Place, lease: float = 0.0) -> None:
        rules = Rules(allow=(ipaddress.ip_network("127.0.0.0/8"),))
        self.database = Database(place, reactor, lease=lease)
        self.poster = Poster(reactor, rules, seconds=5.0)
        self.counts: list[str] = []
        self.tools = Tools(
            self.database, self.poster, reactor, lambda result, events: self.counts.append(result)
        )
        self.subscribers = Subscribers(self.tools, self.database.permit, self.poster.cancel)
        self.database.writer.watchers.append(self.subscribers.committed)
        self.webhooks = Webhooks(self.tools, rules, self.poster.resolve, self.subscribers.reload)

    async def happen(self, *subjects: int) -> None:
        def work(connection: Connection) -> None:
            told = [Event("message.sent", one, ACCOUNT, {"n": one}) for one in subjects]
            events.append(connection, self.tools.now(), told)

        await self.database.writer.run(work)

    async def make(self, receiver: Receiver) -> dict[str, Any]:
        return await self.webhooks.create(ACCOUNT, receiver.url)

    async def stop(self) -> None:
        await self.subscribers.stop()
        await self.poster.close()
        await self.database.close()
        await closed_connections()


@asynccontextmanager
async def running(place: Place, lease: float = 0.0) -> AsyncIterator[Site]:
    site = Site(place, lease)
    site.database.open()
    await site.subscribers.start()
    try:
        yield site
    finally:
        await site.stop()


@pytest.fixture(autouse=True)
def tries_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES", (0.05,))


@reactor_test
async def test_receivers_of_every_bad_kind_delay_a_good_one_by_nothing(place: Place) -> None:
    async with AsyncExitStack() as stack:
        good = await stack.enter_async_context(Receiver())
        bad = [await stack.enter_async_context(Receiver(one)) for one in BAD]
        async with running(place) as site:
            for receiver in [*bad, good]:
                await site.make(receiver)
            for subject in range(50):
                await site.happen(subject)
            await until(lambda: len(good.subjects) == 50)
            assert good.subjects == list(range(50))
            await until(lambda: all(receiver.posts for receiver in bad))


@reactor_test
async def test_500_then_200_is_one_batch_under_one_id(place: Place) -> None:
    async with Receiver(answer(500), answer(500), answer()) as receiver, running(place) as site:
        made = await site.make(receiver)
        await site.happen(1, 2, 3)
        await until(lambda: len(receiver.posts) == 3)
        first, second, third = receiver.posts
        assert first.id == second.id == third.id
        assert first.body == second.body == third.body
        assert third.subjects == [1, 2, 3]
        assert all(verified(made["secret"], one.headers, one.body) for one in receiver.posts)
        await until(lambda: site.counts == ["refused", "refused", "delivered"])


@reactor_test
async def test_the_next_run_goes_on_in_the_middle(place: Place) -> None:
    async with Receiver(answer(), hang) as receiver:
        async with running(place) as site:
            await site.make(receiver)
            await site.happen(*range(250))
            await until(lambda: len(receiver.posts) >= 2)
        receiver.behaviours = [answer()]
        async with running(place):
            await until(lambda: len(set(receiver.subjects)) == 250)
        ids = dict.fromkeys(receiver.ids)
        assert len(ids) == 3
        firsts = [next(post for post in receiver.posts if post.id == one) for one in ids]
        assert [s for post in firsts for s in post.subjects] == list(range(250))


@reactor_test
async def test_two_processes_share_the_webhooks_and_one_takes_over(server: Server) -> None:
    async with AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(Receiver()) for _ in range(WEBHOOKS)]
        async with running(server, 2.0) as first:
            async with running(server, 2.0) as second:
                for receiver in receivers:
                    await first.make(receiver)
                await first.happen(1)
                await until(lambda: all(one.subjects == [1] for one in receivers))
                await until(lambda: first.subscribers._lanes and second.subscribers._lanes)
                await until(
                    lambda: (
                        len(first.subscribers._lanes) + len(second.subscribers._lanes) == WEBHOOKS
                    )
                )
                await second.happen(2)
                await until(lambda: all(one.subjects == [1, 2] for one in receivers))
            await first.happen(3)
            await until(lambda: all(one.subjects == [1, 2, 3] for one in receivers))
        assert all(len(set(one.ids)) == len(one.ids) for one in receivers)
