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
KILLS = 3
CUSTOMERS = 4
SIZES = (1, 20)
PHONE = "13800001001"


def wanted(customer: int, key: str) -> tuple[str, dict[str, Any]]:
    """What a customer asks for: a message, several, a batch, or a request."""
    one = {"to": PHONE, "text": "您好", "ref": key}
    size = random.choice(SIZES)
    steps = [{"assignees": [{"phone": PHONE}]}]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/v1/messages", one),
        ("/v1/messages", {"messages": [one] * size}),
        ("/v1/batches", {"text": "您好", "ref": key, "recipients": [{"to": PHONE}] * size}),
        ("/v1/requests", {"subject": "采购", "reference": key, "steps": steps}),
    ]
    return asked[customer % len(asked)]


class Customers:
    """Each asks for one thing after the other, and for each until it has an answer."""

    def __init__(self, nursery: Nursery) -> None:
        self.answers: dict[tuple[str, str], dict[str, Any]] = {}
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
            path, body = wanted(customer, key)
            await self._until_answered(key, path, json.dumps(body).encode())

    async def _until_answered(self, key: str, path: str, body: bytes) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": key}
        while True:
            url = self._nursery.run.url + path
            try:
                answer = await treq.post(url, body, headers=headers, pool=self._pool, timeout=5)
                content = await answer.json()
            except Exception:
                await deferLater(reactor, 0.005)
                continue
            if answer.code in (201, 202):
                self.answers[path, key] = content
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
        rows = {
            table: connection.execute(text(f"SELECT reference, id FROM {table}")).all()
            for table in ("message", "batch", "request")
        }
    engine.dispose()
    check(customers.answers, rows)


def check(answers: dict[tuple[str, str], dict[str, Any]], rows: dict[str, Any]) -> None:
    """Compare what was answered with what there is: each thing once, under the id that was told."""
    assert {path for path, _ in answers} == {"/v1/messages", "/v1/batches", "/v1/requests"}
    told: dict[str, dict[str, Any]] = {"messages": {}, "batches": {}, "requests": {}}
    for (path, key), answer in answers.items():
        told[path.removeprefix("/v1/")][key] = answer
    for table, kind in (("batch", "batches"), ("request", "requests")):
        assert {key: str(one) for key, one in rows[table]} == {
            key: answer["id"] for key, answer in told[kind].items()
        }
        assert len(rows[table]) == len(told[kind])
    ids = {key: answer.get("ids") or [answer["id"]] for key, answer in told["messages"].items()}
    sizes = {key: answer["accepted"] for key, answer in told["batches"].items()}
    found = Counter(key for key, _ in rows["message"] if key and key not in told["requests"])
    assert found == {**{key: len(some) for key, some in ids.items()}, **sizes}
    assert {str(one) for key, one in rows["message"] if key in ids} == {
        one for some in ids.values() for one in some
    }
    assert len(answers) > KILLS
