"""Customers that break the rules, or their connections: nobody else is hurt, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.model import Segment
from smsgw.protocols.registry import CARRIERS
from smsgw.transport.gate import FAILURES_MAX
from tests.support.customers import CustomerTown, customer_toml, until
from tests.support.raw_peer import RawPeer, dial
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE = NUMBERS["cmpp"]
LOGIN = {"smpp": "acme", "cmpp": "900081"}
NUMBER = {"smpp": "1069000180", "cmpp": "1069000181"}
THROTTLED = {"smpp": 0x58, "cmpp": 8}

both = pytest.mark.parametrize("protocol", ["smpp", "cmpp"])


async def raw(town: CustomerTown, protocol: str, **login: Any) -> RawPeer:
    """A customer that says what it is told."""
    name = login.pop("name", LOGIN[protocol])
    return await dial(CARRIERS[protocol], town.port(protocol), name=name, **login)


def submit(peer: RawPeer, protocol: str, text: str = "hi") -> bytes:
    carrier = CARRIERS[protocol]
    segment = Segment(PHONE, NUMBER[protocol], 0, text.encode())
    assert peer.session is not None
    return peer.octets(carrier.to_submit(peer.session.account, peer.session.version, segment))


@both
@reactor_test
async def test_who_says_nothing_is_closed(tmp_path, protocol, monkeypatch):
    monkeypatch.setattr("smsgw.interfaces.northbound.server.LOGIN_SECONDS", 0.1)
    async with CustomerTown(tmp_path) as town:
        peer = await raw(town, protocol, speaks=False)
        await until(lambda: peer.lost)
        assert peer.received == b""


@both
@reactor_test
async def test_garbage_costs_only_its_own_connection(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        customer = await town.customer(protocol)
        stranger = await raw(town, protocol, speaks=False)
        stranger.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 9)
        await until(lambda: stranger.lost)
        (result,) = await customer.submit(PHONE, "hi", coding=0)
        assert result.code == 0


@both
@reactor_test
async def test_a_wrong_secret_is_refused_and_many_are_a_ban(tmp_path, protocol, monkeypatch):
    monkeypatch.setattr("smsgw.transport.gate.BAN_SECONDS", 1.5)
    async with CustomerTown(tmp_path) as town:
        wrong = await town.customer(protocol, bound=False, secret="wrong")
        await until(lambda: wrong.link.state()["binds"][0]["refused"])
        assert wrong.link.state()["binds"][0]["refused"] == "bad secret"
        await wrong.stop()
        nobody = await raw(town, protocol, name="nobody")
        await until(lambda: nobody.lost)
        for n in range(FAILURES_MAX - 2):
            guess = await raw(town, protocol, secret=f"guess{n}")
            await until(lambda guess=guess: guess.lost)
        banned = await raw(town, protocol)
        await until(lambda: banned.lost)
        assert banned.received == b""
        await town.customer(protocol)


@both
@reactor_test
async def test_what_is_beyond_the_window_is_told_to_slow_down(tmp_path, protocol):
    tables = customer_toml(protocol, window=4)
    async with CustomerTown(tmp_path, tables) as town:
        peer = await raw(town, protocol)
        sent = [submit(peer, protocol, f"n{n}") for n in range(10)]
        peer.say(b"".join(sent))
        carrier = CARRIERS[protocol]
        await until(lambda: all(peer.answers_to(one, carrier) for one in sent))
        codes = [peer.answers_to(one, carrier) for one in sent]
        assert codes == [[0]] * 4 + [[THROTTLED[protocol]]] * 6
        assert await town.count("message") == 4
        peer.hang_up()
        await until(lambda: peer.lost)


@both
@reactor_test
async def test_a_customer_that_does_not_read_holds_up_nobody_else(tmp_path, protocol):
    async with CustomerTown(tmp_path, customer_toml(protocol, binds=2)) as town:
        peer = await raw(town, protocol)
        assert peer.transport is not None
        peer.transport.pauseProducing()
        for n in range(20_000):
            peer.say(submit(peer, protocol, f"n{n}"))
        customer = await town.customer(protocol)
        (result,) = await customer.submit(PHONE, "hi", coding=0)
        assert result.code == 0
        peer.transport.abortConnection()
        await until(lambda: peer.lost)


@both
@reactor_test
async def test_a_hundred_connections_of_a_customer_share_its_work(tmp_path, protocol):
    async with CustomerTown(tmp_path, customer_toml(protocol, binds=100)) as town:
        customer = await town.customer(protocol, binds=100)
        await until(lambda: len(customer.link._bound) == 100)
        sent = [
            customer.link.submit(customer.segments(PHONE, f"n{n}", coding=0)[0]) for n in range(400)
        ]
        assert {(await one).code for one in sent} == {0}
        await until(lambda: len(customer.reports) == 400)
        assert len({one.carrier_message_id for one in customer.reports}) == 400


@both
@reactor_test
async def test_a_submit_cut_off_is_there_or_not_and_its_repeat_at_most_one_more(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        for cut in (None, -1):
            peer = await raw(town, protocol)
            before = await town.count("message")
            peer.say(submit(peer, protocol)[:cut])
            await deferLater(reactor, 0.01)
            assert peer.transport is not None
            peer.transport.abortConnection()
            await until(lambda peer=peer: peer.lost)
            customer = await town.customer(protocol)
            (result,) = await customer.submit(PHONE, "hi", coding=0)
            assert result.code == 0
            await customer.stop()
            assert 1 <= await town.count("message") - before <= (2 if cut is None else 1)


@both
@reactor_test
async def test_a_customer_at_its_limit_of_connections_may_not_have_another(tmp_path, protocol):
    async with CustomerTown(tmp_path) as town:
        first = await town.customer(protocol)
        other = await town.customer(protocol, bound=False)
        await until(lambda: other.link.state()["binds"][0]["refused"])
        assert other.link.state()["binds"][0]["refused"] == "busy"
        (result,) = await first.submit(PHONE, "hi", coding=0)
        assert result.code == 0


@both
@reactor_test
async def test_a_connection_lost_with_reports_under_way_loses_none(tmp_path, protocol):
    tables = customer_toml(protocol, window=4, binds=2)
    async with CustomerTown(tmp_path, tables) as town:
        customer = await town.customer(protocol)
        customer.answers = [0, 0, 0]
        results = [(await customer.submit(PHONE, f"n{n}", coding=0))[0] for n in range(20)]
        await until(lambda: len(customer.reports) == 7)
        for bind in list(customer.link._bound):
            bind.abort()
        customer.answers = None
        wanted = {one.carrier_message_id for one in results}
        got = lambda: {one.carrier_message_id for one in customer.reports}  # noqa: E731
        await until(lambda: got() == wanted)
        fresh = [one.carrier_message_id for one in customer.reports[7:]]
        assert fresh == sorted(fresh)
        assert len(customer.reports) <= 20 + 4
