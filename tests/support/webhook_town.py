"""Daemons on one database, a carrier, customers, and receivers of their webhooks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.transport.endpoints import listen_endpoint
from tests.support.daemon import TOKEN
from tests.support.nursery import Nursery, Run
from tests.support.receivers import Receiver
from tests.support.rigs import make_account

CONFIG = f"""\
[gateway]
database = "{{database}}"

[http]
listen = "127.0.0.1:0"

[webhooks]
allow = ["127.0.0.0/8"]

[tokens.test]
token = "{TOKEN}"
account = "newsroom"

[links.mobile]
protocol = "cmpp"
host = "127.0.0.1"
port = {{port}}
login = "901234"
secret = "s3cret"
access_number = "10690001"
"""


class WebhookTown:
    """Use it with ``async with``.

    Args:
        folder: For the configuration.
        database: As the configuration names it.
        daemons: How many; several only on PostgreSQL.
    """

    def __init__(self, folder: Path, database: str, daemons: int = 1) -> None:
        self.urls = [""] * daemons
        self.nurseries: list[Nursery] = []
        self._folder = folder
        self._database = database
        self._numbers = itertools.count()
        self._pool = HTTPConnectionPool(reactor)
        account = make_account(CARRIERS["cmpp"], "901234")
        endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
        behaviour = Behaviour(report_after=0.01)
        self._carrier = Ismg(CARRIERS["cmpp"], account, endpoint, reactor, behaviour=behaviour)

    async def __aenter__(self) -> WebhookTown:
        port = await self._carrier.start()
        config = self._folder / "smsgw.toml"
        text = CONFIG.format(database=self._database, port=port)
        lease = "" if len(self.urls) == 1 else "lease = 3.0\n"
        config.write_text(text.replace("\n[http]", lease + "\n[http]", 1), encoding="utf-8")
        self.nurseries = [Nursery(config) for _ in self.urls]
        for place in range(len(self.urls)):
            await self.start(place)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for nursery in self.nurseries:
            await nursery.end()
        await self._pool.closeCachedConnections()
        await self._carrier.stop()

    async def start(self, place: int = 0) -> None:
        """Start a daemon, and wait until customers can reach it."""
        run = self.nurseries[place].start()
        run.ended.addCallback(self._ended, run)
        self.urls[place] = await run.listening

    def _ended(self, code: int, run: Run) -> int:
        if not run.listening.called:
            said = [nursery.log[-3:] for nursery in self.nurseries]
            run.listening.errback(AssertionError(f"ended with {code}: {said}"))
        return code

    async def kill(self, place: int = 0) -> None:
        """kill -9."""
        self.urls[place] = ""
        self.nurseries[place].run.kill()
        assert await self.nurseries[place].run.ended == -9

    async def call(self, method: str, path: str, body: Any = None, place: int = 0) -> Any:
        """Call a daemon's API."""
        response = await treq.request(
            method,
            self.urls[place] + path,
            headers={"Authorization": f"Bearer {TOKEN}"},
            pool=self._pool,
            **({} if body is None else {"json": body}),
        )
        answer = await response.json()
        assert response.code < 300, answer
        return answer

    async def metrics(self, place: int = 0) -> str:
        """What a daemon shows to Prometheus."""
        response = await treq.get(self.urls[place] + "/metrics", pool=self._pool)
        shown: str = await response.text()
        assert 'smsgw_webhook_deliveries_total{result="delivered"}' in shown
        return shown

    async def send(self, count: int, place: int = 0) -> None:
        """Have messages sent; when the daemon dies meanwhile, whether it took them is open."""
        messages = [
            {"to": f"1380000{next(self._numbers) % 10000:04}", "text": "您好"} for _ in range(count)
        ]
        try:
            await self.call("POST", "/v1/messages", {"messages": messages}, place)
        except AssertionError:
            raise
        except Exception:
            return

    async def events(self, after: str, place: int = 0) -> list[str]:
        """The ids of all events that the pull side shows after one."""
        found: list[str] = []
        while True:
            page = await self.call("GET", f"/v1/events?after={after}&limit=500", place=place)
            found += [event["id"] for event in page["events"]]
            if not page["events"]:
                return found
            after = page["next"]

    async def arrived(self, receiver: Receiver, after: str, place: int = 0) -> list[str]:
        """Wait until everything the pull side shows has come to a receiver; return its ids."""
        while True:
            told = await self.events(after, place)
            if told and set(told) <= set(ids_of(receiver)):
                return told
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]


def ids_of(receiver: Receiver) -> list[str]:
    """Of every event that came, as often as it came."""
    return [event["id"] for post in receiver.posts for event in post.events]


def problems(receiver: Receiver, told: list[str]) -> list[str]:
    """What is wrong with what came, measured by what the pull side shows."""
    wrong = []
    names: dict[str, str] = {}
    bodies: dict[str, bytes] = {}
    first: dict[str, None] = {}
    for post in receiver.posts:
        ids = [event["id"] for event in post.events]
        known = bodies.setdefault(post.id, post.body)
        if known != post.body:
            wrong.append(f"{post.id} came with two bodies")
        for made in ids:
            if names.setdefault(made, post.id) != post.id:
                wrong.append(f"{made} came as {names[made]} and as {post.id}")
            first.setdefault(made)
    if list(first) != told:
        wrong.append(f"{len(told)} events happened, {len(first)} came, or in another order")
    return wrong
