"""Connector: dial, bind, lose, back off, stop; time is a Clock."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.protocols import cmpp, sgip
from smsgw.protocols.states import Role, Side
from smsgw.transport.adapter import SessionProtocol
from smsgw.transport.connector import LASTED_SECONDS, Backoff, Connector, Phase, Refusals
from tests.support.connections import Dialled, Wire, shuttle

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret")


def wall() -> datetime:
    return datetime(2026, 3, 1, 9, 30, 15)


class Rig:
    """A connector, what it dials, and the gateway's sessions at the other end."""

    def __init__(self, secret: str = "s3cret", rests: bool = False, version: str = "3.0") -> None:
        ours = dataclasses.replace(ACCOUNT, version=version)
        self.clock = Clock()
        self.endpoint = Dialled()
        self.secret = secret
        self.events: list[object] = []
        self.phases: list[Phase] = []
        self.connector = Connector(
            self.endpoint,
            lambda: cmpp.CmppSession(ours, Role.CLIENT, Side.SP, wall),
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


def test_a_gateway_that_ends_each_session_at_once_is_not_hammered_though_work_waits():
    rig = Rig(rests=True)
    rig.connector.start()
    pauses = []
    for _ in range(4):
        end = cmpp.Terminate(9).encode()
        rig.wire.protocol.dataReceived(cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode() + end)
        rig.wire.drop()
        assert rig.connector.phase is Phase.IDLE
        rig.connector.wake()
        assert rig.connector.phase is Phase.DOWN
        assert rig.connector.reason == "the gateway ended the last session as soon as it began"
        pauses.append(rig.connector.state()["retry_in"])
        rig.connector.wake()
        rig.clock.advance(pauses[-1])
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    rig.answer()
    rig.clock.advance(LASTED_SECONDS)
    rig.wire.protocol.dataReceived(cmpp.Terminate(9).encode())
    rig.wire.drop()
    rig.connector.wake()
    assert rig.connector.phase is Phase.BINDING
    rig.wire.drop()
    assert rig.connector.state()["retry_in"] == 0.5
    rig.connector.stop()


def test_a_gateway_that_unbinds_is_the_reason(rig):
    rig.connector.start()
    rig.answer()
    rig.wire.protocol.dataReceived(cmpp.Terminate(9).encode())
    rig.wire.drop()
    assert rig.connector.reason == "the gateway ended the session"


def test_pauses_double_up_to_a_ceiling_and_begin_anew_after_success():
    backoff = Backoff(jitter=lambda: 0.5)
    assert [backoff.lost() for _ in range(3)] == [0.5, 1.0, 2.0]
    assert [backoff.refused() for _ in range(3)] == [15.0, 30.0, 60.0]
    assert max(backoff.refused() for _ in range(40)) == 900.0
    backoff.accepted()
    assert backoff.refused() == 15.0
    assert backoff.lost() == 4.0
    backoff.lasted()
    assert backoff.lost() == 0.5
    assert max(backoff.lost() for _ in range(40)) == 60.0


def test_pauses_are_spread():
    assert 0.75 * 0.5 <= Backoff().lost() <= 1.25 * 0.5
    assert Backoff(jitter=lambda: 0.0).refused() == 0.75 * 15.0
    assert Backoff(jitter=lambda: 1.0).refused() == 1.25 * 15.0


def test_a_busy_gateway_is_given_its_time_to_notice_dead_connections_and_no_less():
    backoff = Backoff(jitter=lambda: 0.0)
    assert [backoff.busy(seconds) for seconds in (0.0, 100.0, 100.0, 5000.0)] == [
        15.0,
        100.0,
        100.0,
        900.0,
    ]
    assert Backoff(jitter=lambda: 1.0).busy(100.0) == 125.0


def test_the_binds_of_one_account_are_refused_together():
    refusals = Refusals()
    binds = [Backoff(lambda: 0.5, refusals) for _ in range(4)]
    assert [bind.refused() for bind in binds] == [15.0, 30.0, 60.0, 120.0]
    binds[0].accepted()
    assert binds[3].refused() == 15.0


# ---- refused logins ----------------------------------------------------------------------------


def refuse(rig, status, version=0x30):
    """The gateway refuses the newest connection's login and hangs up."""
    wire = rig.wire
    wire.protocol.dataReceived(cmpp.ConnectResp30(1, status, bytes(16), version).encode())
    wire.drop()


def asked(wire):
    """The version octet of a connection's login."""
    return wire.value()[34]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(2, "address not allowed"), (3, "bad secret"), (4, "version"), (99, "other")],
)
def test_what_people_must_mend_is_tried_ever_more_slowly(rig, status, kind):
    rig.connector.start()
    refuse(rig, status)
    for pause in (15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0):
        state = rig.connector.state()
        assert (state["phase"], state["refused"], state["retry_in"]) == ("down", kind, pause)
        dialled = len(rig.endpoint.wires)
        rig.clock.advance(pause - 0.1)
        assert len(rig.endpoint.wires) == dialled
        rig.clock.advance(0.2)
        assert len(rig.endpoint.wires) == dialled + 1
        assert rig.connector.state()["refused"] == ""
        refuse(rig, status)


def test_too_many_connections_waits_for_the_gateway_to_notice_the_dead_ones(rig):
    rig.connector.start()
    refuse(rig, 5)
    expected = ACCOUNT.dead_after * 1.125
    assert ACCOUNT.dead_after == 180.0 * 3 + 60.0
    for _ in range(3):
        state = rig.connector.state()
        assert (state["refused"], state["retry_in"]) == ("busy", expected)
        rig.clock.advance(expected + 0.1)
        refuse(rig, 5)


def test_a_login_that_is_not_answered_in_time_is_closed_and_tried_again(rig):
    rig.connector.start()
    rig.clock.advance(ACCOUNT.response_timeout - 0.1)
    assert not rig.wire.disconnecting
    rig.clock.advance(0.2)
    assert rig.wire.disconnecting
    rig.wire.drop()
    assert rig.connector.reason == "no answer while binding within 60 s"
    assert rig.connector.state()["retry_in"] == 0.5
    rig.clock.advance(0.5)
    rig.answer()
    assert rig.connector.phase is Phase.BOUND


def test_a_gateway_that_names_an_older_version_is_asked_for_it_at_once():
    rig = Rig(version="auto")
    rig.connector.start()
    assert asked(rig.wire) == 0x30
    refuse(rig, 4, 0x20)
    assert rig.connector.state()["retry_in"] == 0.5
    rig.clock.advance(0.5)
    assert asked(rig.wire) == 0x20
    rig.wire.protocol.dataReceived(cmpp.ConnectResp20(1, 0, bytes(16), 0x20).encode())
    assert rig.connector.state()["version"] == "2.0"
    rig.wire.drop()
    rig.clock.advance(1.0)
    assert asked(rig.wire) == 0x20  # remembered
    rig.connector.stop()
    rig.wire.drop()


def test_a_gateway_that_refuses_every_version_is_not_hammered():
    rig = Rig(version="auto")
    rig.connector.start()
    pauses = []
    for _ in range(6):
        refuse(rig, 4, 0x20)
        pauses.append(rig.connector.state()["retry_in"])
        rig.clock.advance(pauses[-1] + 0.1)
    assert pauses == [0.5, 15.0, 1.0, 30.0, 2.0, 60.0]
    rig.connector.stop()
    rig.wire.drop()


# ---- one attempt at a time ---------------------------------------------------------------------


def test_starting_twice_dials_once(rig):
    rig.connector.start()
    rig.connector.start()
    rig.answer()
    rig.connector.start()
    assert len(rig.endpoint.wires) == 1
    rig.wire.drop()
    rig.connector.start()
    rig.clock.advance(10.0)
    assert len(rig.endpoint.wires) == 2


def test_starting_again_waits_for_the_old_connection_to_close(rig):
    rig.connector.start()
    rig.answer()
    stopped = rig.connector.stop()
    rig.connector.start()
    assert len(rig.endpoint.wires) == 1
    rig.wire.drop()
    assert stopped.called
    assert len(rig.endpoint.wires) == 2
    rig.answer()
    assert rig.connector.phase is Phase.BOUND


def test_stopping_again_takes_the_start_back(rig):
    rig.connector.start()
    rig.answer()
    rig.connector.stop()
    rig.connector.start()
    rig.connector.stop()
    rig.wire.drop()
    assert rig.connector.phase is Phase.STOPPED
    assert len(rig.endpoint.wires) == 1


# ---- binds that do not last --------------------------------------------------------------------


def test_a_gateway_that_takes_a_login_and_hangs_up_is_not_hammered(rig):
    rig.connector.start()
    pauses = []
    for _ in range(4):
        rig.answer()
        rig.wire.drop()
        pauses.append(rig.connector.state()["retry_in"])
        rig.clock.advance(pauses[-1])
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    rig.answer()
    rig.clock.advance(LASTED_SECONDS)
    rig.wire.drop()
    assert rig.connector.state()["retry_in"] == 0.5


def test_a_bind_that_answered_a_submit_was_a_good_one(rig):
    rig.connector.start()
    for _ in range(3):
        rig.answer()
        session = rig.connector.protocol.session
        session.submit(cmpp.Submit30(dest_terminal_id=["13800001001"]), rig.clock.seconds())
        rig.wire.protocol.dataReceived(cmpp.SubmitResp30(2, 7, 0).encode())
        rig.wire.drop()
        assert rig.connector.state()["retry_in"] == 0.5
        rig.clock.advance(0.5)


@pytest.mark.parametrize("kind", [0, 1], ids=["an MO", "a report"])
def test_a_bind_that_only_received_was_a_good_one(rig, kind):
    rig.connector.start()
    brought = cmpp.Deliver30(
        5, src_terminal_id="13800001001", registered_delivery=kind, msg_content=bytes(71)
    )
    for _ in range(3):
        rig.answer()
        rig.wire.protocol.dataReceived(brought.encode())
        rig.wire.drop()
        assert rig.connector.state()["retry_in"] == 0.5
        rig.clock.advance(0.5)


def test_a_gateways_bind_whose_delivery_was_acknowledged_was_a_good_one():
    account = sgip.SgipAccount(name="smg", secret="s3cret")
    clock, endpoint = Clock(), Dialled()
    connector = Connector(
        endpoint,
        lambda: sgip.SgipSession(account, Role.CLIENT, Side.GATEWAY, wall),
        clock,
        lambda connector, events: None,
        lambda connector: None,
        backoff=Backoff(jitter=lambda: 0.5),
    )
    connector.start()
    for _ in range(3):
        session = connector.protocol.session
        endpoint.wires[-1].protocol.dataReceived(sgip.BindResp(0, 0, 0).encode())
        key = session.submit(sgip.Report(user_number="8613000001001"), clock.seconds())
        endpoint.wires[-1].protocol.dataReceived(sgip.ReportResp(*key).encode())
        endpoint.wires[-1].drop()
        assert connector.state()["retry_in"] == 0.5
        clock.advance(0.5)
    connector.stop()
    endpoint.wires[-1].drop()
    assert clock.getDelayedCalls() == []


def test_what_was_odd_about_a_login_is_not_why_its_connection_was_lost(rig):
    rig.connector.start()
    rig.wire.protocol.dataReceived(cmpp.ConnectResp30(1, 0, bytes(16), 0x30).encode())
    assert rig.connector.state() == {
        "phase": "bound",
        "reason": "",
        "note": "AuthenticatorISMG does not match the shared secret",
        "version": "3.0",
        "refused": "",
        "retry_in": None,
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
