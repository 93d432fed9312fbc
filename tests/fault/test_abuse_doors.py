"""Strangers at the doors for customers: what they do costs nobody who is inside."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.logger import capturedLogs

from smsgw.interfaces.northbound.server import STRANGERS_MAX, STRANGERS_OF_ONE_MAX
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.states import Role, Side
from smsgw.transport.gate import FAILURES_MAX
from smsgw.transport.link import china_now
from tests.support.customers import LOGINS, Client, CustomerTown, customer_toml
from tests.support.raw_http import RawHttp, connect
from tests.support.raw_peer import RawPeer, dial
from tests.support.reactor import reactor_test, until
from tests.support.rigs import NUMBERS, make_account

PHONE = NUMBERS["cmpp"]
STRANGER = "127.0.0.2"
"""Of this machine too, so that it may connect, and another address than the customers'."""

one = pytest.mark.parametrize("protocol", ["smpp", pytest.param("cmpp", marks=pytest.mark.long)])


async def stranger(
    town: CustomerTown, protocol: str, host: str = STRANGER, **login: Any
) -> RawPeer:
    """Somebody who logs in, from an address that a customer does not have."""
    carrier = CARRIERS[protocol]
    account = make_account(carrier, login.pop("name", LOGINS[protocol]), **login)
    peer = RawPeer(carrier.sessions(china_now, Side.SP)(account, Role.CLIENT))
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", town.port(protocol), bindAddress=(host, 0))
    await connectProtocol(endpoint, peer)
    return peer


def turned_away(town: CustomerTown, protocol: str, reason: str) -> float:
    return town.metric("smsgw_turned_away_total", door=f"northbound.{protocol}", reason=reason)


async def took(customer: Client) -> float:
    """Have a submit of a customer taken; returns how many seconds that took."""
    began = reactor.seconds()  # type: ignore[attr-defined]
    (result,) = await customer.submit(PHONE, "hi", coding=0)
    assert result.code == 0
    return reactor.seconds() - began  # type: ignore[attr-defined, no-any-return]


@one
@reactor_test
async def test_a_login_storm_is_a_ban_and_a_few_lines(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        with capturedLogs() as logged:
            for n in range(FAILURES_MAX):
                peer = await stranger(town, protocol, secret=f"guess{n}"[:8])
                await until(lambda peer=peer: peer.lost)
                assert peer.received != b""
            storm = [await stranger(town, protocol, secret="guess") for _ in range(100)]
            await until(lambda: all(peer.lost for peer in storm))
        assert {peer.received for peer in storm} == {b""}
        assert turned_away(town, protocol, "banned") == 100
        lines = [event for event in logged if event.get("event")]
        assert len(lines) == FAILURES_MAX + 2  # each refusal, the ban, one that was turned away
        await took(await town.customer(protocol))


@one
@reactor_test
async def test_connections_that_say_nothing_leave_room_for_customers(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        port, hosts = town.port(protocol), [f"127.0.0.{n}" for n in range(2, 10)]
        held: list[RawHttp] = []
        for host in hosts:
            held += [await connect(port, host) for _ in range(20)]
        of_one = 1 + STRANGERS_OF_ONE_MAX
        kept = min(len(hosts) * of_one, 1 + STRANGERS_MAX)
        await until(lambda: sum(not peer.lost for peer in held) == kept)
        away = [turned_away(town, protocol, one) for one in ("full", "full_for_address")]
        assert sum(away) == len(held) - kept
        held[0].drop()
        await until(lambda: held[0].lost)
        await took(await town.customer(protocol))
        for peer in held:
            peer.drop()


@one
@reactor_test
async def test_a_length_that_cannot_be_closes_the_connection_and_is_not_waited_for(
    tmp_path, protocol
):
    async with CustomerTown(tmp_path) as town:
        for length in (0xFFFFFFFF, 0x80000000, 0, 11):
            begins = length.to_bytes(4, "big") + bytes(60_000)
            peer = await connect(town.port(protocol), STRANGER)
            peer.say(begins)
            await until(lambda peer=peer: peer.lost)
            inside = await dial(CARRIERS[protocol], town.port(protocol), name=LOGINS[protocol])
            inside.say(begins)
            await until(lambda inside=inside: inside.lost)
        assert turned_away(town, protocol, "no_login") == 4
        await took(await town.customer(protocol))


@one
@reactor_test
async def test_a_flood_of_tiny_pdus_delays_nobody_for_long(tmp_path, protocol):
    """Answers that nobody reads stop the reading; those that are read are given."""
    tables = customer_toml(protocol, binds=3)
    async with CustomerTown(tmp_path, tables) as town:
        customer = await town.customer(protocol)
        quiet = max([await took(customer) for _ in range(10)])
        reads, ignores = [
            await dial(CARRIERS[protocol], town.port(protocol), name=LOGINS[protocol])
            for _ in range(2)
        ]
        assert ignores.transport is not None
        ignores.transport.pauseProducing()
        session = reads.session
        assert session is not None
        assert session.heartbeat_pdu is not None
        heartbeat = session.heartbeat_pdu()
        session.next_sequence(heartbeat)
        octets, count = heartbeat.encode(), 5000
        reads.session = None  # it only counts
        before = len(reads.received)
        for peer in (reads, ignores):
            peer.say(octets * count)
        slow = max([await took(customer) for _ in range(10)])
        answers = len(octets) * count  # an answer is as long; CMPP's has one octet more
        await until(lambda: len(reads.received) - before >= answers)
        print(f"{protocol}: a submit took {quiet * 1000:.0f} ms, in a flood {slow * 1000:.0f} ms")
        for peer in (reads, ignores):
            assert peer.transport is not None
            peer.transport.abortConnection()
            await until(lambda peer=peer: peer.lost)
