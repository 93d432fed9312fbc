"""Listener: who may connect, and that stopping closes everybody."""

from __future__ import annotations

from datetime import datetime

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from smsgw.protocols import cmpp
from smsgw.protocols.states import Role, Side
from smsgw.transport.listener import Listener
from tests.support.connections import Listening

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret")


def make(clock: Clock, **kwargs: object) -> tuple[Listener, Listening]:
    endpoint = Listening()
    listener = Listener(
        endpoint,
        lambda: cmpp.CmppSession(
            ACCOUNT, Role.SERVER, Side.GATEWAY, lambda: datetime(2026, 3, 1), lambda name: None
        ),
        clock,
        lambda protocol, events: None,
        **kwargs,
    )
    Deferred.fromCoroutine(listener.start())
    return listener, endpoint


def test_a_host_that_is_not_allowed_is_turned_away():
    listener, endpoint = make(Clock(), allow=lambda host: host == "127.0.0.1")
    with capturedLogs() as logged:
        assert endpoint.connect("192.0.2.7") is None
    (line,) = [formatEvent(event) for event in logged]
    assert line == "192.0.2.7 was turned away: it is in no network of allow"
    wire = endpoint.connect("127.0.0.1")
    assert len(listener.connections) == 1
    wire.drop()
    assert not listener.connections


def test_no_more_connections_than_the_limit_are_taken():
    _, endpoint = make(Clock(), limit=1)
    wire = endpoint.connect()
    with capturedLogs() as logged:
        assert endpoint.connect() is None
    (line,) = [formatEvent(event) for event in logged]
    assert line == "127.0.0.1 was turned away: 1 connections are open"
    wire.drop()


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
