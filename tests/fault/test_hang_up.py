"""A client that hangs up in the middle of its request leaves everything or nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.web.client import HTTPConnectionPool

from tests.support.daemon import TOKEN
from tests.support.gateways import Inside, one_link
from tests.support.reactor import reactor_test

PHONE = "13800001001"
SIZE = 1500  # a batch that is planned in several slices
THINGS: dict[str, tuple[str, dict[str, Any], int]] = {
    "batch": ("/v1/batches", {"text": "您好", "recipients": [{"to": PHONE}] * SIZE}, SIZE),
    "request": (
        "/v1/requests",
        {"subject": "采购", "steps": [{"assignees": [{"phone": PHONE}]}]},
        1,
    ),
}


class Client(Protocol):
    """Knows when its connection is over."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def connectionLost(self, reason: Any = None) -> None:
        self.ended.callback(None)


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Inside]:
    (folder / "smsgw.toml").write_text(one_link("cmpp", 9))
    inside = Inside()
    await inside.open(folder / "smsgw.toml")
    try:
        yield inside
    finally:
        await inside.close()


async def hang_up(inside: Inside, path: str, body: bytes, octets: int, turns: int) -> None:
    """Send a request's head and so much of its body; close after so many turns of the reactor."""
    port = urlsplit(inside.assembly.url).port
    client = await connectProtocol(HostnameEndpoint(reactor, "127.0.0.1", port), Client())
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Idempotency-Key: k-1\r\nContent-Length: {len(body)}\r\n\r\n"
    client.transport.write(head.encode() + body[:octets])
    for _ in range(turns):
        await deferLater(reactor, 0)
    client.transport.abortConnection()
    await client.ended


async def asked_again(inside: Inside, path: str, body: bytes) -> tuple[Any, bool]:
    """Ask until there is an answer; returns it, and whether it was an earlier one's."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": "k-1"}
    pool = HTTPConnectionPool(reactor, persistent=False)
    while True:
        answer = await treq.post(inside.assembly.url + path, body, headers=headers, pool=pool)
        content = await answer.json()
        if answer.code in (201, 202):
            return content, answer.headers.hasHeader("Idempotency-Replayed")
        assert content["type"] == "urn:smsgw:problem:in-progress", content
        await deferLater(reactor, 0.005)


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("turns", [0, 1, 3, 10])
@reactor_test
async def test_who_hangs_up_while_it_is_done_finds_it_done_once(
    tmp_path: Path, thing: str, turns: int
) -> None:
    path, wanted, messages = THINGS[thing]
    body = json.dumps(wanted).encode()
    async with gateway(tmp_path) as inside:
        await hang_up(inside, path, body, len(body), turns)
        assert await inside.count("message") in (0, messages)
        answer, _ = await asked_again(inside, path, body)
        assert await inside.count("message") == messages
        assert await inside.count(thing, f"id = {answer['id']}") == await inside.count(thing) == 1


@pytest.mark.parametrize("thing", THINGS)
@reactor_test
async def test_who_hangs_up_before_all_was_said_has_said_nothing(
    tmp_path: Path, thing: str
) -> None:
    path, wanted, messages = THINGS[thing]
    body = json.dumps(wanted).encode()
    async with gateway(tmp_path) as inside:
        await hang_up(inside, path, body, len(body) - 1, 10)
        _, replayed = await asked_again(inside, path, body)
        assert not replayed
        assert await inside.count("message") == messages
