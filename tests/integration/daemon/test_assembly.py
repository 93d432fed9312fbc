"""The whole gateway as a Twisted service."""

from __future__ import annotations

import sys

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.client import HTTPConnectionPool

from smsgw.daemon import assembly as module
from smsgw.daemon.assembly import make_gateway
from smsgw.daemon.config import load
from smsgw.protocols.registry import CARRIERS
from smsgw.transport.link import Link
from tests.support.api import closed_connections
from tests.support.gateways import RawTown, one_link
from tests.support.ports import free_port
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test


@pytest.fixture(autouse=True)
def switch_interval():
    """The gateway changes it for its process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def config(tmp_path):
    """Makes a checked configuration, a few words of it replaced."""

    def make(*changes: tuple[str, str], **options):
        text = one_link("sgip", free_port(), listener=True)
        for old, new in changes:
            text = text.replace(old, new)
        path = tmp_path / "smsgw.toml"
        path.write_text(text)
        return load(path)

    return make


async def status(url: str) -> int:
    pool = HTTPConnectionPool(reactor, persistent=False)
    response = await treq.get(url, pool=pool)
    await response.content()
    return int(response.code)


@reactor_test
async def test_it_starts_and_stops_as_a_service(config):
    service = make_gateway(config(), reactor)
    assert service.url.endswith(":0")
    assert service.listener_port("one") == 0
    service.startService()
    while await service.gateway.readiness() == ["starting or stopping"]:
        await deferLater(reactor, 0.005)
    assert await status(f"{service.url}/healthz") == 200
    assert await status(f"{service.url}/readyz") == 503
    assert service.listener_port("one") > 0
    await service.stopService()
    assert await service.gateway.readiness() == ["starting or stopping"]
    await closed_connections()


@reactor_test
async def test_a_service_that_cannot_start_says_so_once_and_can_be_stopped(config, monkeypatch):
    taken = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    listen = f'[http]\nlisten = "127.0.0.1:{taken.getHost().port}'
    loaded = config(('[http]\nlisten = "127.0.0.1:0', listen))
    service = make_gateway(loaded, reactor)
    with pytest.raises(CannotListenError):
        await service.start()
    await service.stop()
    logged = []
    monkeypatch.setattr(module.Assembly, "log", Logger(observer=logged.append))
    other = make_gateway(loaded, reactor)
    other.startService()
    await until(lambda: logged)
    await other.stopService()
    (event,) = logged
    assert event["why"].startswith("Couldn't listen on 127.0.0.1:")
    assert "log_failure" not in event
    await taken.stopListening()


@reactor_test
async def test_a_taken_listener_stops_the_start(config):
    taken = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    old = '.listener]\nlisten = "127.0.0.1:0'
    loaded = config((old, f'.listener]\nlisten = "127.0.0.1:{taken.getHost().port}'))
    service = make_gateway(loaded, reactor)
    with pytest.raises(CannotListenError):
        await service.start()
    await service.stop()
    await taken.stopListening()


def test_an_ipv6_address_is_written_as_urls_want_it(config):
    loaded = config(('[http]\nlisten = "127.0.0.1:0', '[http]\nlisten = "[::1]:8080'))
    assert make_gateway(loaded, reactor).url == "http://[::1]:8080"


def test_a_link_without_a_listener_has_none(config):
    listener = '\n[links.one.listener]\nlisten = "127.0.0.1:0"\nlogin = "smg"\nsecret = "s3cret"\n'
    loaded = config((listener, ""))
    made = make_gateway(loaded, reactor)
    entry = made.entry(loaded.links["one"])
    assert isinstance(entry.link, Link)
    assert entry.link.listener_port is None
    assert entry.listens == ""


@reactor_test
async def test_metrics_and_readiness_are_open_once_a_link_is_up(tmp_path):
    async with RawTown(tmp_path, CARRIERS["cmpp"]) as town:
        assert await status(f"{town.assembly.url}/readyz") == 200
        assert town.metric("smsgw_links_up", link="one") == 1
