"""A whole gateway with TLS, a proxy before its carrier and a balancer before its ports."""

from __future__ import annotations

import sys

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.logger import capturedLogs, formatEvent

from smsgw.daemon.assembly import make_gateway
from smsgw.daemon.config import load
from smsgw.protocols.registry import CARRIERS
from smsgw.simulator.ismg import Ismg
from smsgw.transport.certificates import ServerTls
from smsgw.transport.endpoints import listen_endpoint
from tests.support.api import closed_connections
from tests.support.certificates import Authority
from tests.support.gateways import one_link
from tests.support.proxies import TinyProxy
from tests.support.raw_peer import RawPeer, until
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

LINE = b"PROXY TCP4 %s 10.0.0.1 5000 80\r\n"


@pytest.fixture(autouse=True)
def switch_interval():
    """The gateway changes it for its process."""
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def settings(protocol: str, port: int, proxy: int) -> str:
    text = one_link(protocol, port, listener=protocol == "sgip")
    link = (
        f'proxy = "http://me@127.0.0.1:{proxy}"\nproxy_password = "pw"\n'
        'tls = { ca = "ca.pem", server_name = "gateway.example" }\n'
    )
    return text.replace('access_number = "10690001"\n', 'access_number = "10690001"\n' + link)


@reactor_test
async def test_the_configuration_s_tls_and_proxy_reach_the_carrier(tmp_path):
    certificate, key = Authority(tmp_path).issue("gateway", "gateway.example")
    tls = ServerTls(certificate=certificate, key=key)
    carrier = CARRIERS["cmpp"]
    endpoint = listen_endpoint(reactor, "127.0.0.1", 0, tls=tls)
    ismg = Ismg(carrier, make_account(carrier), endpoint, reactor)
    port = await ismg.start()
    proxy = TinyProxy("http", login=("me", "pw"))
    path = tmp_path / "smsgw.toml"
    path.write_text(settings("cmpp", port, await proxy.start()))
    service = make_gateway(load(path), reactor)
    await service.start()
    await until(lambda: service.gateway.links()[0]["up"])
    assert proxy.asked == [("127.0.0.1", port)]
    await service.stop()
    await ismg.stop()
    await proxy.stop()
    await closed_connections()


@reactor_test
async def test_ports_take_headers_and_speak_tls_as_configured(tmp_path):
    Authority(tmp_path).issue("us", "127.0.0.1")
    port = 'tls = { certificate = "us.pem", key = "us.key" }\n'
    balanced = 'proxy_protocol = ["10.0.0.5"]\nallow = ["192.0.2.0/24"]\n'
    text = one_link("sgip", 9, listener=True).replace("[http]\n", "[http]\n" + port)
    path = tmp_path / "smsgw.toml"
    path.write_text(text + balanced)
    service = make_gateway(load(path), reactor)
    await service.start()
    assert service.url.startswith("https://127.0.0.1:")
    said = []
    for host in (b"192.0.2.7", b"198.51.100.7"):
        peer = RawPeer(None)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", service.listener_port("one"))
        await connectProtocol(endpoint, peer)
        with capturedLogs() as logged:
            peer.say(LINE % host + b"\xff" * 20)
            await until(lambda peer=peer: peer.lost)
        said.append([formatEvent(event) for event in logged])
    assert "links.one.listener: 192.0.2.7 was turned away: what it sent is no login" in said[0]
    told = "links.one.listener: 198.51.100.7 was turned away: it is in no network of allow"
    assert told in said[1]
    await service.stop()
    await closed_connections()


@reactor_test
async def test_true_takes_headers_from_anybody(tmp_path):
    path = tmp_path / "smsgw.toml"
    text = one_link("cmpp", 9)
    keys = 'proxy_protocol = true\nallow = ["192.0.2.0/24"]\n'
    path.write_text(text.replace("[http]\n", "[http]\n" + keys))
    service = make_gateway(load(path), reactor)
    await service.start()
    peer = RawPeer(None)
    port = int(service.url.rpartition(":")[2])
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), peer)
    peer.say(LINE % b"192.0.2.7" + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    await until(lambda: peer.lost)
    assert peer.received.startswith(b"HTTP/1.1 200 OK")
    await service.stop()
    await closed_connections()
