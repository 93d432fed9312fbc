"""A connector that shares an account's connections with other processes; time is a Clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from twisted.internet.task import Clock

from smsgw.model import Segment
from smsgw.protocols import cmpp
from smsgw.protocols.states import Role, Side
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.connector import Backoff, Connector, Phase
from tests.support.connections import Dialled, Wire, shuttle

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret")


def wall() -> datetime:
    return datetime(2026, 3, 1, 9, 30, 15)


class Shared:
    """A permit that the test gives and takes."""

    def __init__(self) -> None:
        self.held = self.wanted_back = False
        self.asked: Callable[[], None] | None = None

    def ask(self, changed: Callable[[], None]) -> None:
        self.asked = changed

    def drop(self) -> None:
        self.held = self.wanted_back = False
        self.asked = None

    def becomes(self, held: bool, wanted_back: bool = False) -> None:
        assert self.asked is not None
        self.held, self.wanted_back = held, wanted_back
        self.asked()


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.endpoint = Dialled()
        self.permit = Shared()
        self.phases: list[Phase] = []
        self.connector = Connector(
            self.endpoint,
            lambda: cmpp.CmppSession(ACCOUNT, Role.CLIENT, Side.SP, wall),
            self.clock,
            lambda connector, events: None,
            lambda connector: self.phases.append(connector.phase),
            backoff=Backoff(jitter=lambda: 0.5),
            permit=self.permit,
        )

    def bind(self) -> cmpp.CmppSession:
        """Start, get the permit, and have the gateway answer the login."""
        self.connector.start()
        self.permit.becomes(True)
        session = cmpp.CmppSession(
            ACCOUNT, Role.SERVER, Side.GATEWAY, wall, {ACCOUNT.name: ACCOUNT.secret}.get
        )
        self.far, self.submits = Wire(), list[object]()
        self.gateway = SessionProtocol(
            session, Clock(), lambda p, e: self.submits.extend(e), lambda p, w: None
        )
        self.far.attach(self.gateway)
        shuttle(self.endpoint.wires[-1], self.far)
        assert self.connector.bound is not None
        return session

    def submit(self) -> None:
        session = self.connector.bound.session
        segment = Segment("13800001001", "10690001", 8, "好".encode("utf-16-be"))
        pdu = cmpp.CARRIER.to_submit(ACCOUNT, session.version, segment)
        session.submit(pdu, self.clock.seconds(), object())
        self.connector.protocol.flush()


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    stopped = rig.connector.stop()
    for wire in rig.endpoint.wires:
        wire.drop()
    assert stopped.called
    assert (rig.permit.held, rig.permit.asked) == (False, None)
    assert rig.clock.getDelayedCalls() == []


def test_nothing_is_dialled_before_the_permit_is_there(rig):
    rig.connector.start()
    rig.connector.start()
    assert (rig.phases, rig.endpoint.wires) == ([Phase.WAITING], [])
    assert "other nodes" in rig.connector.reason
    rig.permit.becomes(True)
    assert rig.connector.phase in (Phase.DIALLING, Phase.BINDING)


def test_the_permit_is_kept_while_a_lost_connection_is_dialled_again(rig):
    rig.bind()
    rig.endpoint.wires[-1].drop()
    assert (rig.connector.phase, rig.permit.held) == (Phase.DOWN, True)
    rig.clock.advance(60)
    assert len(rig.endpoint.wires) == 2


def test_a_lost_permit_ends_the_connection_at_once_and_is_asked_for_again(rig):
    rig.bind()
    rig.submit()
    rig.permit.becomes(False)
    assert rig.connector.bound is None
    shuttle(rig.endpoint.wires[-1], rig.far)
    rig.clock.advance(6)
    assert rig.connector.protocol is None
    assert (rig.connector.phase, rig.permit.asked is not None) == (Phase.WAITING, True)
    rig.permit.becomes(True)
    assert len(rig.endpoint.wires) == 2


def test_a_permit_that_is_wanted_back_is_given_back_when_nothing_is_in_flight(rig):
    rig.bind()
    rig.submit()
    rig.permit.becomes(True, wanted_back=True)
    assert rig.connector.bound is None
    shuttle(rig.endpoint.wires[-1], rig.far)
    assert (rig.connector.phase, rig.permit.held) == (Phase.BOUND, True)
    rig.gateway.session.answer_submit(rig.submits[-1].pdu, 0, "0a")
    rig.gateway.flush()
    shuttle(rig.endpoint.wires[-1], rig.far)
    rig.clock.advance(6)
    assert (rig.connector.phase, rig.permit.held) == (Phase.WAITING, False)


def test_a_permit_that_is_not_wanted_back_any_more_is_used_again(rig):
    rig.bind()
    rig.submit()
    rig.permit.becomes(True, wanted_back=True)
    rig.permit.becomes(True)
    assert rig.connector.bound is not None


def test_an_idle_connection_whose_permit_is_wanted_back_is_unbound(rig):
    rig.bind()
    rig.permit.becomes(True, wanted_back=True)
    shuttle(rig.endpoint.wires[-1], rig.far)
    rig.clock.advance(6)
    assert rig.connector.protocol is None
    assert (rig.connector.phase, rig.permit.held) == (Phase.WAITING, False)


def test_a_permit_that_is_wanted_back_during_a_pause_is_given_back_at_once(rig):
    rig.bind()
    rig.endpoint.wires[-1].drop()
    rig.permit.becomes(True, wanted_back=True)
    assert (rig.connector.phase, rig.permit.held) == (Phase.WAITING, False)
    rig.clock.advance(60)
    assert len(rig.endpoint.wires) == 1
