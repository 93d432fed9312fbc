"""Listener: who may connect, and that stopping closes everybody."""

from __future__ import annotations

from datetime import datetime

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.protocols import cmpp
from smsgw.protocols.states import Role, Side
from smsgw.transport.gate import BAN_SECONDS, FAILURES_MAX, Gate
from smsgw.transport.listener import Listener
from tests.support.connections import Listening

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret")


def make(
    clock: Clock, limit: int = 64, allow=lambda host: True, admits: bool = True
) -> tuple[Listener, Listening]:
    endpoint = Listening()

    def session(host: str) -> cmpp.CmppSession:
        made = cmpp.CmppSession(
            ACCOUNT,
            Role.SERVER,
            Side.GATEWAY,
            lambda: datetime(2026, 3, 1),
            {"901234": ACCOUNT.secret}.get,
        )
        made.admits = lambda session, name: admits
        return made

    gate = Gate("cmpp", clock, allow, limit)
    listener = Listener(endpoint, session, clock, lambda protocol, events: None, gate=gate)
    Deferred.fromCoroutine(listener.start())
    return listener, endpoint


def login(secret: str) -> bytes:
    account = cmpp.CmppAccount(name="901234", secret=secret)
    client = cmpp.CmppSession(account, Role.CLIENT, Side.SP, lambda: datetime(2026, 3, 1))
    client.bind(0.0)
    return client.data_to_send()


def test_a_host_that_is_not_allowed_is_turned_away():
    listener, endpoint = make(Clock(), allow=lambda host: host == "127.0.0.1")
    assert endpoint.connect("192.0.2.7") is None
    wire = endpoint.connect("127.0.0.1")
    assert len(listener.connections) == 1
    wire.drop()
    assert not listener.connections


def test_no_more_connections_than_the_limit_are_taken():
    _, endpoint = make(Clock(), limit=1)
    wire = endpoint.connect()
    wire.protocol.dataReceived(login(ACCOUNT.secret))
    assert endpoint.connect() is None
    wire.drop()
    again = endpoint.connect()
    assert again is not None
    again.drop()


def test_who_did_not_log_in_for_longest_makes_room_for_a_new_connection():
    clock = Clock()
    listener, endpoint = make(clock, limit=3)
    customer, first, second = [endpoint.connect() for _ in range(3)]
    customer.protocol.dataReceived(login(ACCOUNT.secret))
    third = endpoint.connect()
    assert third is not None
    assert [wire.aborted for wire in (customer, first, second)] == [False, True, False]
    assert len(listener.connections) == 3
    for wire in (customer, second, third):
        wire.drop()
    assert not listener.connections
    assert listener._gate._count == 0
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "first", [login("wrong"), b"GET / HTTP/1.1\r\n\r\n"], ids=["wrong secret", "no login"]
)
def test_who_does_it_wrong_too_often_is_banned_and_others_are_not(first):
    clock = Clock()
    _, endpoint = make(clock)
    for _ in range(FAILURES_MAX):
        wire = endpoint.connect("192.0.2.7")
        wire.protocol.dataReceived(first)
        assert wire.disconnecting
        wire.drop()
    assert endpoint.connect("192.0.2.7") is None
    good = endpoint.connect("192.0.2.8")
    good.protocol.dataReceived(login(ACCOUNT.secret))
    assert not good.disconnecting
    good.drop()
    clock.advance(BAN_SECONDS)
    wire = endpoint.connect("192.0.2.7")
    assert wire is not None
    wire.drop()


def test_a_right_secret_that_may_not_log_in_now_is_no_reason_for_a_ban():
    _, endpoint = make(Clock(), admits=False)
    for _ in range(FAILURES_MAX + 1):
        wire = endpoint.connect()
        wire.protocol.dataReceived(login(ACCOUNT.secret))
        assert wire.disconnecting
        wire.drop()


def test_being_late_is_no_reason_for_a_ban():
    clock = Clock()
    _, endpoint = make(clock)
    for _ in range(FAILURES_MAX + 1):
        wire = endpoint.connect()
        clock.advance(ACCOUNT.response_timeout + 1)
        assert wire.disconnecting
        wire.drop()
    assert clock.getDelayedCalls() == []


def test_stopping_closes_every_connection():
    clock = Clock()
    listener, endpoint = make(clock)
    wires = [endpoint.connect(), endpoint.connect()]
    stopped = Deferred.fromCoroutine(listener.stop())
    assert not endpoint.port.listening
    assert all(wire.disconnecting for wire in wires)
    assert not stopped.called
    for wire in wires:
        wire.drop()
    assert stopped.called
    assert clock.getDelayedCalls() == []


def test_a_peer_that_never_logs_in_is_closed():
    clock = Clock()
    _, endpoint = make(clock)
    wire = endpoint.connect()
    clock.advance(ACCOUNT.response_timeout + 1)
    assert wire.disconnecting
    wire.drop()
