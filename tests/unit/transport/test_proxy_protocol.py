"""PROXY headers: both versions, in any pieces, and what is no header."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from smsgw.errors import RemoteProtocolError
from smsgw.transport.proxy_protocol import (
    SIGNATURE,
    WAITING_MAX,
    HeaderFirst,
    HeaderReader,
    Named,
)
from tests.support.connections import Wire

FOUR = IPv4Address("TCP", "192.0.2.7", 5000)
SIX = IPv6Address("TCP", "2001:db8::7", 5000)


def binary(version_command: int, family: int, extent: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", version_command, family, len(extent)) + extent


V4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack("!HH", 5000, 7890)
V6 = (
    bytes.fromhex("20010db8000000000000000000000007")
    + bytes.fromhex("20010db8000000000000000000000001")
    + struct.pack("!HH", 5000, 7890)
)

HEADERS = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 7890\r\n", FOUR),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 5000 7890\r\n", SIX),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n", None),
    (binary(0x21, 0x11, V4), FOUR),
    (binary(0x21, 0x11, V4 + b"\x04\x00\x02ab"), FOUR),
    (binary(0x21, 0x21, V6), SIX),
    (binary(0x20, 0x11, V4), None),
    (binary(0x20, 0x00, b""), None),
    (binary(0x21, 0x00, b""), None),
    (binary(0x21, 0x10, V4), None),
]


@pytest.mark.parametrize(("header", "source"), HEADERS)
@pytest.mark.parametrize("rest", [b"", b"\x00\x00\x00\x0c", b"\r\nmore\r\n"])
def test_a_header_names_the_source_and_leaves_the_rest(header, source, rest):
    assert HeaderReader().feed(header + rest) == Named(source, rest)


@pytest.mark.parametrize(("header", "source"), HEADERS)
def test_a_header_may_come_octet_by_octet(header, source):
    reader = HeaderReader()
    for place in range(len(header) - 1):
        assert reader.feed(header[place : place + 1]) is None
    assert reader.feed(header[-1:]) == Named(source, b"")


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"G", "the connection does not start with a PROXY header"),
        (b"PROXYTCP4", "the connection does not start with a PROXY header"),
        (SIGNATURE[:5] + b"x", "the connection does not start with a PROXY header"),
        (b"PROXY " + b"x" * 101, "no end within 107 octets"),
        (b"PROXY UNKNOWN " + b"x" * 93 + b"\r\n", "no end within 107 octets"),
        (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "no end within 107 octets"),
        (b"PROXY \r\n", "write PROXY, TCP4 or TCP6"),
        (b"PROXY TCP4\r\n", "write PROXY, TCP4 or TCP6"),
        (b"PROXY UDP4 192.0.2.7 10.0.0.1 5000 7890\r\n", "write PROXY, TCP4 or TCP6"),
        (b"PROXY TCP4  192.0.2.7 10.0.0.1 5000 7890\r\n", "write PROXY, TCP4 or TCP6"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 7890 \r\n", "write PROXY, TCP4 or TCP6"),
        (b"PROXY TCP4 192.0.2.07 10.0.0.1 5000 7890\r\n", "should be an address"),
        (b"PROXY TCP4 192.0.2.7 nowhere 5000 7890\r\n", "should be an address"),
        (b"PROXY TCP4 2001:db8::7 2001:db8::1 5000 7890\r\n", "an address that is not TCP4"),
        (b"PROXY TCP6 192.0.2.7 10.0.0.1 5000 7890\r\n", "an address that is not TCP6"),
        (b"PROXY TCP6 fe80::1%eth0 fe80::2 5000 7890\r\n", "an address that is not TCP6"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 x 7890\r\n", "a port that is no number"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 65536\r\n", "a port that is no number"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 05000 7890\r\n", "a port that is no number"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 " + b"9" * 60 + b" 1\r\n", "a port that is no number"),
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 -1 7890\r\n", "a port that is no number"),
        (b"PROXY TCP4 \xff 10.0.0.1 1 7890\r\n", "octets that are not ASCII"),
        (SIGNATURE + b"\x21\x11\x10\x01", "length 4097 octets, limit 4096"),
        (binary(0x31, 0x11, V4), "version and command 0x31"),
        (binary(0x22, 0x11, V4), "version and command 0x22"),
        (binary(0x21, 0x41, V4), "family and protocol 0x41 are not defined"),
        (binary(0x21, 0x13, V4), "family and protocol 0x13 are not defined"),
        (binary(0x21, 0x12, V4), "family and protocol 0x12 are not TCP"),
        (binary(0x21, 0x31, bytes(216)), "family and protocol 0x31 are not TCP"),
        (binary(0x21, 0x11, V4[:-1]), "11 octets of addresses, 12 are needed"),
        (binary(0x21, 0x21, V6[:-1]), "35 octets of addresses, 36 are needed"),
    ],
)
def test_what_is_no_header_is_refused(octets, problem):
    with pytest.raises(RemoteProtocolError, match=problem):
        HeaderReader().feed(octets)


def test_a_line_of_107_octets_is_the_longest():
    line = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
    assert len(line) == 107
    assert HeaderReader().feed(line) == Named(None, b"")


@given(
    st.lists(st.binary(max_size=40), max_size=8),
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]),
)
def test_no_octets_raise_anything_else(pieces, start):
    reader = HeaderReader()
    try:
        for piece in [start, *pieces]:
            if reader.feed(piece) is not None:
                break
    except RemoteProtocolError:
        pass


# ---- the factory -------------------------------------------------------------------------


class Seen(Factory):
    """Builds protocols that keep what they are given."""

    noisy = False

    def __init__(self) -> None:
        self.peers: list[object] = []
        self.running = False
        self.refuses = False
        self.data = b""

    def startFactory(self) -> None:
        self.running = True

    def stopFactory(self) -> None:
        self.running = False

    def buildProtocol(self, addr):
        self.peers.append(addr)
        if self.refuses:
            return None
        protocol = Protocol()
        protocol.dataReceived = self._keep
        return protocol

    def _keep(self, data: bytes) -> None:
        self.data += data


class Door:
    """A port that wants headers, without sockets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.seen = Seen()
        self.factory = HeaderFirst(self.seen, self.clock, lambda host: host != "203.0.113.9")

    def connect(self, host: str = "10.0.0.5") -> Wire | None:
        protocol = self.factory.buildProtocol(IPv4Address("TCP", host, 4000))
        if protocol is None:
            return None
        wire = Wire()
        wire.attach(protocol)
        return wire


def line_of(logged) -> str:
    (line,) = [formatEvent(event) for event in logged]
    return line


def test_the_real_protocol_sees_the_named_address_and_what_follows_the_header():
    door = Door()
    wire = door.connect()
    wire.protocol.dataReceived(HEADERS[0][0] + b"ab")
    wire.protocol.dataReceived(b"c")
    assert (door.seen.peers, door.seen.data) == ([FOUR], b"abc")
    wire.drop()
    assert door.clock.getDelayedCalls() == []


def test_a_balancers_own_connection_has_its_own_address():
    door = Door()
    wire = door.connect()
    wire.protocol.dataReceived(b"PROXY UNKNOWN\r\n")
    assert door.seen.peers == [wire.getPeer()]
    wire.drop()


def test_a_header_that_does_not_come_in_time_closes():
    door = Door()
    wire = door.connect()
    with capturedLogs() as logged:
        door.clock.advance(10)
    assert wire.aborted
    assert line_of(logged) == "10.0.0.5 was turned away: PROXY header: not done within 10 s"


def test_a_peer_that_leaves_before_its_header_is_a_line():
    door = Door()
    wire = door.connect()
    with capturedLogs() as logged:
        wire.drop()
    assert (
        line_of(logged) == "10.0.0.5 was turned away: PROXY header: the peer closed the connection"
    )
    assert door.clock.getDelayedCalls() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_another_machine_must_not_say_that_it_is_this_one(host):
    door = Door()
    wire = door.connect()
    kind = b"TCP6" if ":" in host else b"TCP4"
    ours = b"::2" if ":" in host else b"10.0.0.1"
    with capturedLogs() as logged:
        wire.protocol.dataReceived(b"PROXY %b %b %b 1 2\r\n" % (kind, host.encode(), ours))
    assert wire.aborted
    assert door.seen.peers == []
    assert "turned away: PROXY header: it names " in line_of(logged)


def test_a_balancer_on_this_machine_may_name_this_machine():
    door = Door()
    wire = door.connect("127.0.0.1")
    wire.protocol.dataReceived(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n")
    assert [peer.host for peer in door.seen.peers] == ["127.0.0.1"]
    wire.drop()


def test_a_stranger_is_turned_away_before_its_header():
    door = Door()
    with capturedLogs() as logged:
        assert door.connect("203.0.113.9") is None
    assert line_of(logged).endswith("it is in no network of proxy_protocol")


def test_only_so_many_connections_wait_for_their_header():
    door = Door()
    wires = [door.connect() for _ in range(WAITING_MAX)]
    with capturedLogs() as logged:
        assert door.connect() is None
    assert line_of(logged).endswith("256 connections wait for their PROXY header")
    wires[0].protocol.dataReceived(HEADERS[0][0])
    assert door.connect() is not None
    door.factory.doStart()
    assert door.seen.running
    with capturedLogs():
        door.factory.doStop()
    assert not door.seen.running
    assert all(wire.aborted for wire in wires[1:])
    assert not wires[0].aborted


def test_one_that_the_real_factory_turns_away_is_closed_without_another_line():
    door = Door()
    door.seen.refuses = True
    wire = door.connect()
    with capturedLogs() as logged:
        wire.protocol.dataReceived(HEADERS[0][0] + b"ab")
    assert wire.aborted
    assert logged == []
