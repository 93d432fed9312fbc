"""Connector: dial, bind, lose, back off, stop; time is a Clock."""

from __future__ import annotations

from datetime import datetime

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.protocols import cmpp
from smsgw.protocols.states import Role, Side
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.connector import Backoff, Connector, Phase
from tests.support.connections import Dialled, Wire, shuttle

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret")


def wall() -> datetime:
    return datetime(2026, 3, 1, 9, 30, 15)


class Rig:
    """A connector, what it dials, and the gateway's sessions at the other end."""

    def __init__(self, secret: str = "s3cret", rests: bool = False) -> None:
        self.clock = Clock()
        self.endpoint = Dialled()
        self.secret = secret
        self.events: list[object] = []
        self.phases: list[Phase] = []
        self.connector = Connector(
            self.endpoint,
            lambda: cmpp.CmppSession(ACCOUNT, Role.CLIENT, Side.SP, wall),
            self.clock,
            lambda connector, events: self.events.extend(events),
            lambda connector: self.phases.append(connector.phase),
            rests=rests,
            backoff=Backoff(jitter=lambda: 0.5),
        )

    @property
    def wire(self) -> Wire:
        return self.endpoint.wires[-1]

    def answer(self) -> cmpp.CmppSession:
        """The gateway answers the login on the newest connection."""
        session = cmpp.CmppSession(
            ACCOUNT, Role.SERVER, Side.GATEWAY, wall, {ACCOUNT.name: self.secret}.get
        )
        far = Wire()
        far.attach(SessionProtocol(session, Clock(), lambda p, e: None, lambda p, w: None))
        shuttle(self.wire, far)
        self.far = far
        return session


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    stopped = rig.connector.stop()
    for wire in rig.endpoint.wires:
        wire.drop()
    assert stopped.called
    assert rig.clock.getDelayedCalls() == []


def test_it_binds(rig):
    rig.connector.start()
    rig.answer()
    assert rig.phases == [Phase.DIALLING, Phase.BINDING, Phase.BOUND]


def test_a_lost_connection_is_dialled_again_after_a_growing_pause(rig):
    rig.connector.start()
    rig.answer()
    rig.wire.drop()
    assert rig.connector.phase is Phase.DOWN
    rig.clock.advance(0.5)
    assert len(rig.endpoint.wires) == 2
    rig.wire.drop()
    rig.clock.advance(0.9)
    assert len(rig.endpoint.wires) == 2
    rig.clock.advance(0.1)
    assert len(rig.endpoint.wires) == 3


def test_a_host_that_refuses_connections_is_tried_again(rig):
    rig.endpoint.refuse = True
    rig.connector.start()
    assert rig.connector.phase is Phase.DOWN
    assert "cannot connect" in rig.connector.reason
    rig.endpoint.refuse = False
    rig.clock.advance(1)
    rig.answer()
    assert rig.connector.phase is Phase.BOUND


def test_a_refused_login_closes_its_connection_and_waits_long():
    rig = Rig(secret="another")
    rig.connector.start()
    rig.answer()
    assert rig.wire.disconnecting
    rig.wire.drop()
    assert rig.connector.reason == "login refused: authentication failed (status 3)"
    rig.clock.advance(14.9)
    assert len(rig.endpoint.wires) == 1
    rig.clock.advance(0.2)
    assert len(rig.endpoint.wires) == 2
    rig.wire.drop()
    assert rig.connector.stop().called
    assert rig.clock.getDelayedCalls() == []


def test_stopping_unbinds_first(rig):
    rig.connector.start()
    session = rig.answer()
    stopped = rig.connector.stop()
    assert not stopped.called
    shuttle(rig.wire, rig.far)
    assert session.closed
    rig.wire.drop()
    assert stopped.called
    assert rig.connector.phase is Phase.STOPPED


def test_stopping_while_it_waits_to_dial_again_leaves_no_timer(rig):
    rig.endpoint.refuse = True
    rig.connector.start()
    assert rig.connector.stop().called


def test_a_connection_that_comes_up_after_stop_is_closed():
    rig = Rig()
    waiting: Deferred[object] = Deferred()
    rig.endpoint.connect = lambda factory: waiting
    rig.connector.start()
    assert rig.connector.stop().called
    assert rig.connector.phase is Phase.STOPPED


def test_an_orderly_unbind_of_a_resting_link_waits_for_work():
    rig = Rig(rests=True)
    rig.connector.start()
    rig.answer()
    rig.connector.protocol.unbind()
    shuttle(rig.wire, rig.far)
    rig.wire.drop()
    assert rig.connector.phase is Phase.IDLE
    rig.clock.advance(1000)
    assert len(rig.endpoint.wires) == 1
    rig.connector.wake()
    rig.answer()
    assert rig.connector.phase is Phase.BOUND
    rig.connector.wake()
    rig.connector.stop()
    rig.wire.drop()


def test_a_login_that_works_resets_the_pauses():
    backoff = Backoff(jitter=lambda: 0.5)
    assert [backoff.pause(False) for _ in range(3)] == [0.5, 1.0, 2.0]
    assert [backoff.pause(True) for _ in range(2)] == [15.0, 30.0]
    backoff.reset()
    assert backoff.pause(False) == 0.5
    assert max(backoff.pause(False) for _ in range(40)) == 60.0
    assert 0.75 * 0.5 <= Backoff().pause(False) <= 1.25 * 0.5


def test_what_was_odd_about_a_login_is_not_why_its_connection_was_lost(rig):
    rig.connector.start()
    rig.wire.protocol.dataReceived(cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode())
    assert rig.connector.state() == {
        "phase": "bound",
        "reason": "",
        "note": "AuthenticatorISMG does not match the shared secret",
    }
    rig.wire.drop()
    assert rig.connector.reason == "Connection was closed cleanly: gone."
    assert rig.connector.note.startswith("AuthenticatorISMG")


def test_a_connection_attempt_is_no_news_of_its_own(rig):
    quiet = []
    connect = rig.endpoint.connect
    rig.endpoint.connect = lambda factory: (quiet.append(factory.noisy), connect(factory))[1]
    rig.connector.start()
    assert quiet == [False]
