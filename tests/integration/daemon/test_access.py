"""Tokens in a whole gateway."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol

from smsgw.daemon.assembly import make_gateway
from smsgw.daemon.config import load
from smsgw.services.access.book import CONSOLE, TokenDraft
from smsgw.services.access.console import at_console
from tests.support.api import closed_connections
from tests.support.gateways import one_link
from tests.support.raw_peer import RawPeer, until
from tests.support.reactor import reactor_test


@pytest.fixture(autouse=True)
def switch_interval():
    """The gateway changes it for its process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


async def ask(url: str, token: str, before: bytes = b"") -> tuple[int, Any]:
    """Return what ``GET /v1/messages`` is answered to over a connection that begins so."""
    peer = RawPeer(None)
    port = int(url.rpartition(":")[2])
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), peer)
    head = f"GET /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    peer.say(before + head.encode() + b"Connection: close\r\n\r\n")
    await until(lambda: peer.lost)
    top, _, body = peer.received.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), json.loads(body)


@reactor_test
async def test_behind_a_balancer_networks_are_about_the_address_it_passes_on(tmp_path):
    path = tmp_path / "smsgw.toml"
    keys = 'proxy_protocol = true\nallow = ["192.0.2.0/24", "198.51.100.0/24"]\n'
    path.write_text(one_link("cmpp", 9).replace("[http]\n", "[http]\n" + keys))
    config = load(path)
    draft = TokenDraft(name="n", account="tv", roles=["viewer"], networks=["192.0.2.0/24"])
    made = at_console(config.gateway.database, 0, lambda tokens: tokens.create(CONSOLE, draft))
    service = make_gateway(config, reactor)
    await service.start()
    answers = [
        await ask(service.url, made["token"], b"PROXY TCP4 %s 10.0.0.1 5000 80\r\n" % host)
        for host in (b"192.0.2.7", b"198.51.100.7")
    ]
    assert answers[0] == (200, {"messages": [], "next": None})
    assert (answers[1][0], answers[1][1]["detail"]) == (
        403,
        "this token may not be used from 198.51.100.7",
    )
    await service.stop()
    await closed_connections()


@reactor_test
async def test_a_role_in_the_configuration_is_what_its_token_may_do(tmp_path):
    path = tmp_path / "smsgw.toml"
    text = one_link("cmpp", 9)
    path.write_text(text.replace('account = "newsroom"', 'account = "newsroom"\nrole = "operator"'))
    config = load(path)
    service = make_gateway(config, reactor)
    await service.start()
    status, problem = await ask(service.url, config.tokens[0].token)
    assert (status, problem["type"]) == (403, "urn:smsgw:problem:forbidden")
    await service.stop()
    await closed_connections()
