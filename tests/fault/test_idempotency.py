"""``kill -9`` at any instant while customers ask again with their keys: each is done once."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import treq
from sqlalchemy import create_engine, text
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from tests.support.daemon import TOKEN
from tests.support.nursery import Nursery
from tests.support.reactor import reactor_test
from tests.support.stores import bare_server

__all__ = ["bare_server"]

CONFIG = f"""\
[gateway]
database = "{{database}}"

[http]
listen = "127.0.0.1:0"

[tokens.test]
token = "{TOKEN}"
account = "newsroom"

[links.mobile]
protocol = "cmpp"
host = "127.0.0.1"
port = 9
login = "901234"
secret = "s3cret"
access_number = "10690001"
"""
KILLS = 6
CUSTOMERS = 4
SIZES = (1, 20)


class Customers:
    """Each asks for one thing after the other, and for each until it has an answer."""

    def __init__(self, nursery: Nursery) -> None:
        self.answers: dict[str, Any] = {}
        self._nursery = nursery
        self._pool = HTTPConnectionPool(reactor, persistent=False)
        self._stopping = False
        self._ended = [Deferred.fromCoroutine(self._work(number)) for number in range(CUSTOMERS)]

    async def stop(self) -> None:
        self._stopping = True
        await DeferredList(self._ended, fireOnOneErrback=True)

    async def _work(self, customer: int) -> None:
        number = 0
        while not self._stopping:
            key, number = f"{customer}-{number}", number + 1
            one = {"to": "13800001001", "text": "您好", "ref": key}
            body = {"messages": [one] * random.choice(SIZES)} if customer % 2 else one
            await self._until_answered(key, json.dumps(body).encode())

    async def _until_answered(self, key: str, body: bytes) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key}
        while True:
            url = self._nursery.run.url + "/v1/messages"
            try:
                answer = await treq.post(url, body, headers=headers, pool=self._pool, timeout=5)
                content = await answer.json()
            except Exception:
                await deferLater(reactor, 0.005)
                continue
            if answer.code == 202:
                self.answers[key] = content.get("ids") or [content["id"]]
                return
            assert answer.code in (409, 503), content
            await deferLater(reactor, 0.02)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@reactor_test(seconds=60)
async def test_what_is_asked_for_again_after_a_crash_is_done_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "smsgw.db"
    server = str(request.getfixturevalue("bare_server")) if kind == "postgresql" else ""
    config = tmp_path / "smsgw.toml"
    config.write_text(CONFIG.format(database=server or file), encoding="utf-8")
    nursery = Nursery(config)
    run = nursery.start()
    await run.listening
    customers = Customers(nursery)
    try:
        for _ in range(KILLS):
            await deferLater(reactor, random.uniform(0.05, 0.2))
            run.kill()
            await run.ended
            run = nursery.start()
            await run.listening
        await customers.stop()
    finally:
        await nursery.end()
    url = server.replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{file}"
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT reference, id FROM message")).all()
    engine.dispose()
    assert Counter(reference for reference, _ in rows) == {
        key: len(ids) for key, ids in customers.answers.items()
    }
    assert {str(one) for _, one in rows} == {
        one for ids in customers.answers.values() for one in ids
    }
    assert len(customers.answers) > KILLS
