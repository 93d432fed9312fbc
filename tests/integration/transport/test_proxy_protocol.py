"""PROXY headers before listeners and the HTTP API, with real sockets."""

from __future__ import annotations

import ipaddress

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory

from smsgw.protocols import cmpp
from smsgw.protocols.states import Role, Side
from smsgw.transport.certificates import ClientTls, Contexts, ServerTls
from smsgw.transport.endpoints import listen_endpoint
from smsgw.transport.gate import Gate
from smsgw.transport.link import china_now
from smsgw.transport.listener import Listener
from smsgw.transport.opening import Bearing
from smsgw.transport.peers import peer_filter
from smsgw.transport.tls import ClientSide, Handshake
from tests.support.api import ApiServer, closed_connections
from tests.support.certificates import Authority
from tests.support.raw_peer import RawPeer, until
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

ALLOWED = ipaddress.ip_network("192.0.2.0/24")
LINE = b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 7890\r\n"
STRANGER = b"PROXY TCP4 198.51.100.7 10.0.0.1 5000 7890\r\n"
BINARY = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0f"
    + bytes([192, 0, 2, 7, 10, 0, 0, 1])
    + b"\x13\x88\x1e\xd2"
    + b"\x04\x00\x00"
)
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def turned_away(logged) -> list[str]:
    lines = [formatEvent(event) for event in logged]
    return [line for line in lines if "Factory" not in line]  # the test's own client


def anybody(host: str) -> bool:
    return True


class Port:
    """A CMPP listener that needs PROXY headers and lets 192.0.2.0/24 in."""

    def __init__(self, tls=None, balancers=anybody):
        self._carrier = cmpp.CARRIER
        account = make_account(self._carrier)
        sessions = self._carrier.sessions(
            china_now, Side.GATEWAY, {account.name: account.secret}.get
        )
        self.hosts: list[str] = []
        self.listener = Listener(
            listen_endpoint(reactor, "127.0.0.1", 0, tls=tls, balancers=balancers),
            lambda host: sessions(account, Role.SERVER),
            reactor,
            lambda protocol, events: None,
            gate=Gate("cmpp", reactor, self._allows, 64),
        )

    def _allows(self, host: str) -> bool:
        self.hosts.append(host)
        return peer_filter([ALLOWED])(host)

    async def __aenter__(self):
        await self.listener.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.listener.stop()

    async def connect(self) -> RawPeer:
        """A customer that will log in once it is told that it is connected."""
        peer = RawPeer(None)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.listener.port), peer)
        return peer

    def log_in(self, peer: RawPeer) -> None:
        account = make_account(self._carrier)
        peer.session = self._carrier.sessions(china_now, Side.SP)(account, Role.CLIENT)
        peer.connectionMade()


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["version 1", "version 2"])
@reactor_test
async def test_the_address_of_the_header_is_the_one_that_is_allowed(header):
    async with Port() as port:
        peer = await port.connect()
        peer.say(header)
        port.log_in(peer)
        await until(lambda: peer.bound)
        assert port.hosts == ["192.0.2.7"]
        peer.hang_up()
        await until(lambda: peer.lost)


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["version 1", "version 2"])
@reactor_test
async def test_a_header_may_come_octet_by_octet(header):
    async with Port() as port:
        peer = await port.connect()
        peer.transport.setTcpNoDelay(True)
        for place in range(len(header)):
            peer.say(header[place : place + 1])
            await deferLater(reactor, 0.001)
        port.log_in(peer)
        await until(lambda: peer.bound)
        peer.hang_up()
        await until(lambda: peer.lost)


@reactor_test
async def test_an_address_that_is_not_allowed_is_closed_with_one_line():
    async with Port() as port:
        with capturedLogs() as logged:
            peer = await port.connect()
            peer.say(STRANGER)
            await until(lambda: peer.lost)
        assert port.listener.connections == set()
    (line,) = turned_away(logged)
    assert line == "cmpp: 198.51.100.7 was turned away: it is in no network of allow"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\x00\x00\x00\x27\x00\x00\x00\x01", "the connection does not start with a PROXY header"),
        (b"PROXY TCP4 " + b"1" * 200, "PROXY line: no end within 107 octets, which is the limit"),
        (
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff",
            "PROXY header: length 65535 octets, limit 4096",
        ),
        (b"PROXY TCP4 127.0.0.1 10.0.0.1 1 2 3\r\n", "PROXY line: write PROXY, TCP4 or TCP6, two "),
    ],
    ids=["missing", "long line", "long header", "seven words"],
)
@reactor_test
async def test_a_connection_without_a_good_header_is_closed_with_one_line(said, why):
    async with Port() as port:
        with capturedLogs() as logged:
            peer = await port.connect()
            peer.say(said)
            await until(lambda: peer.lost)
        assert (port.hosts, peer.received) == ([], b"")
    (line,) = turned_away(logged)
    assert line.startswith(f"127.0.0.1 was turned away: {why}")


@reactor_test
async def test_a_balancer_that_is_not_ours_is_closed_with_one_line():
    async with Port(balancers=lambda host: False) as port:
        with capturedLogs() as logged:
            peer = await port.connect()
            peer.say(LINE)
            await until(lambda: peer.lost)
    (line,) = turned_away(logged)
    assert line == "127.0.0.1 was turned away: it is in no network of proxy_protocol"


@reactor_test
async def test_stopping_closes_what_waits_for_its_header():
    async with Port() as port:
        peer = await port.connect()
        peer.say(b"PROXY TCP4 ")
        await deferLater(reactor, 0.01)
    await until(lambda: peer.lost)


@reactor_test
async def test_a_header_comes_before_tls(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("gateway", "127.0.0.1")
    tls = ServerTls(certificate=certificate, key=key)
    async with Port(tls=tls) as port:
        customer = RawPeer(
            cmpp.CARRIER.sessions(china_now, Side.SP)(make_account(cmpp.CARRIER), Role.CLIENT)
        )
        factory = _Always(customer)
        opening = Handshake(factory, reactor, 5.0, "127.0.0.1")
        context = Contexts(ClientTls(ca=authority.pem)).current()
        creator = ClientSide(context, "127.0.0.1", True, opening.certificate_problems)
        secured = TLSMemoryBIOFactory(creator, True, Bearing(opening, factory), reactor)
        first = _SaysFirst(LINE, secured)
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.listener.port), first)
        await until(lambda: customer.bound)
        assert port.hosts == ["192.0.2.7"]
        customer.hang_up()
        await until(lambda: customer.lost)


class _Always:
    """A factory of one protocol."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def doStart(self) -> None: ...

    def doStop(self) -> None: ...

    def buildProtocol(self, addr: object) -> Protocol:
        return self._protocol


class _SaysFirst(Protocol):
    """Writes a header, then lets TLS have the connection."""

    def __init__(self, header: bytes, factory: TLSMemoryBIOFactory) -> None:
        self._header = header
        self._factory = factory

    def connectionMade(self) -> None:
        self.transport.write(self._header)
        self._secured = self._factory.buildProtocol(None)
        self._secured.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._secured.dataReceived(data)

    def connectionLost(self, reason: object = None) -> None:
        self._secured.connectionLost(reason)


@pytest.mark.parametrize(("header", "answered"), [(LINE, True), (STRANGER, False), (b"", False)])
@reactor_test
async def test_the_http_api_wants_a_header_too(header, answered):
    api = ApiServer([ALLOWED])
    endpoint = listen_endpoint(reactor, "127.0.0.1", 0, balancers=anybody)
    port = await endpoint.listen(api.site)
    peer = RawPeer(None)
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), peer)
    peer.say(header + GET)
    await until(lambda: peer.lost)
    assert peer.received.startswith(b"HTTP/1.1 200 OK") is answered
    assert bool(peer.received) is answered
    await port.stopListening()
    await closed_connections()
