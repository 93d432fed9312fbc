"""SessionProtocol with a Clock and a StringTransport."""

from __future__ import annotations

from datetime import datetime

import pytest
from twisted.internet.task import Clock

from smsgw.protocols import cmpp, sgip
from smsgw.protocols import events as ev
from smsgw.protocols.states import Role, Side
from smsgw.transport.adapter import CLOSE_WITHIN, UNACKNOWLEDGED_MAX, SessionProtocol
from tests.support.connections import Wire, shuttle

ACCOUNT = cmpp.CmppAccount(name="901234", secret="s3cret", heartbeat_interval=30.0)


def wall() -> datetime:
    return datetime(2026, 3, 1, 9, 30, 15)


class End:
    """One end of a connection and what it was told."""

    def __init__(self, clock: Clock, role: Role) -> None:
        side = Side.SP if role is Role.CLIENT else Side.GATEWAY
        secrets = {ACCOUNT.name: ACCOUNT.secret}.get
        self.session = cmpp.CmppSession(ACCOUNT, role, side, wall, secrets)
        self.events: list[ev.Event] = []
        self.closed: list[str] = []
        self.protocol = SessionProtocol(
            self.session,
            clock,
            lambda protocol, events: self.events.extend(events),
            lambda protocol, why: self.closed.append(why),
        )
        self.wire = Wire()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ends(clock):
    client, server = End(clock, Role.CLIENT), End(clock, Role.SERVER)
    server.wire.attach(server.protocol)
    client.wire.attach(client.protocol)
    shuttle(client.wire, server.wire)
    yield client, server
    for end in (client, server):
        end.wire.drop()
    assert clock.getDelayedCalls() == []


def test_a_connection_binds_as_soon_as_it_is_made(ends):
    client, server = ends
    assert [type(event) for event in client.events] == [ev.Bound]
    assert [type(event) for event in server.events] == [ev.PeerBound]


def test_an_idle_connection_is_tested_when_the_timer_says_so(ends, clock):
    client, server = ends
    clock.advance(29.9)
    assert client.wire.value() == b""
    clock.advance(0.2)
    assert cmpp.decode(client.wire.value()).command == "CMPP_ACTIVE_TEST"
    shuttle(client.wire, server.wire)
    clock.advance(29.0)
    assert client.wire.value() == b""


def test_a_peer_that_answers_nothing_is_given_up_and_cut_off(ends, clock):
    client, _ = ends
    clock.advance(31)
    for _ in range(4):
        clock.advance(60)
    assert isinstance(client.events[-1], ev.SessionFailed)
    assert client.wire.disconnecting
    clock.advance(CLOSE_WITHIN)
    assert client.wire.aborted
    assert len(client.closed) == 1


def test_unbinding_ends_both_sides(ends):
    client, server = ends
    client.protocol.unbind()
    shuttle(client.wire, server.wire)
    assert client.events[-1] == ev.Unbound(by_peer=False)
    assert server.events[-1] == ev.Unbound(by_peer=True)
    assert client.wire.disconnecting
    assert server.wire.disconnecting


def test_a_server_that_is_told_to_unbind_just_closes(ends):
    _, server = ends
    server.protocol.unbind()
    assert server.wire.disconnecting
    server.protocol.close()


def test_several_answers_in_one_turn_are_one_write(ends, clock):
    client, _ = ends
    for _ in range(3):
        client.session.submit(cmpp.Submit30(dest_terminal_id=["13800001001"]), clock.seconds(), "c")
        client.protocol.flush_soon()
    assert client.wire.value() == b""
    clock.advance(0)
    assert len(cmpp.Framer().split(client.wire.value())) == 3


def test_a_lost_connection_resolves_what_was_unanswered(ends, clock):
    client, _ = ends
    client.session.submit(cmpp.Submit30(dest_terminal_id=["13800001001"]), clock.seconds(), "c")
    client.protocol.flush_soon()
    client.wire.drop()
    assert isinstance(client.events[-1], ev.ResponseLost)
    assert client.closed == ["Connection was closed cleanly: gone."]
    client.protocol.flush_soon()
    client.protocol.unbind()


def test_a_peer_that_does_not_answer_the_unbind_is_cut_off(ends, clock):
    client, _ = ends
    client.protocol.unbind()
    assert not client.wire.disconnecting
    clock.advance(CLOSE_WITHIN - 0.1)
    assert not client.wire.aborted
    clock.advance(0.1)
    assert client.wire.aborted
    assert len(client.closed) == 1


# ---- reading no faster than we can take in -----------------------------------------------------


def delivers(count: int) -> bytes:
    return cmpp.Deliver30(sequence_id=7, msg_id=9, src_terminal_id="13800001001").encode() * count


def test_a_peer_that_does_not_read_is_not_read_either(ends, clock):
    client, _ = ends
    client.wire.producer.pauseProducing()  # as a transport does when its write buffer is full
    assert client.wire.producerState == "paused"
    clock.advance(31)
    assert cmpp.decode(client.wire.value()).command == "CMPP_ACTIVE_TEST"  # timers go on
    client.wire.producer.resumeProducing()
    assert client.wire.producerState == "producing"


def test_reading_stops_at_so_many_unacknowledged_and_goes_on_at_half(ends):
    client, _ = ends
    client.wire.protocol.dataReceived(delivers(UNACKNOWLEDGED_MAX))
    assert client.wire.producerState == "producing"
    client.wire.protocol.dataReceived(delivers(1))
    assert client.wire.producerState == "paused"
    tokens = [event.pdu for event in client.events if isinstance(event, ev.MoReceived)]
    for token in tokens[: UNACKNOWLEDGED_MAX // 2]:
        client.protocol.acknowledge(token, 0)
    assert client.wire.producerState == "paused"
    client.protocol.acknowledge(tokens[-1], 0)
    assert client.wire.producerState == "producing"


def test_both_reasons_not_to_read_must_be_gone(ends):
    client, _ = ends
    client.wire.protocol.dataReceived(delivers(UNACKNOWLEDGED_MAX + 1))
    client.wire.producer.pauseProducing()
    for event in client.events:
        if isinstance(event, ev.MoReceived):
            client.protocol.acknowledge(event.pdu, 0)
    assert client.wire.producerState == "paused"
    client.wire.producer.resumeProducing()
    assert client.wire.producerState == "producing"


def test_what_is_never_acknowledged_stops_reading_for_no_longer_than_t(ends, clock):
    client, _ = ends
    client.wire.protocol.dataReceived(delivers(UNACKNOWLEDGED_MAX + 1))
    clock.advance(ACCOUNT.response_timeout - 0.1)
    assert client.wire.producerState == "paused"
    clock.advance(0.2)
    assert client.wire.producerState == "producing"


def test_a_connection_that_is_being_closed_is_left_alone(ends):
    client, _ = ends
    client.wire.protocol.dataReceived(delivers(UNACKNOWLEDGED_MAX + 1))
    client.protocol.close()
    assert client.wire.producer is None
    client.protocol.resumeProducing()
    client.wire.drop()
    client.protocol.acknowledge(client.events[-1].pdu, 0)
    client.protocol.stopProducing()


def test_a_session_that_ends_itself_when_idle_waits_no_longer_for_its_peer_than_we_do(clock):
    told: list[ev.Event] = []
    closed: list[str] = []
    account = sgip.SgipAccount(name="901234", secret="s3cret", node=1, idle_timeout=20.0)
    session = sgip.SgipSession(account, Role.CLIENT, Side.SP, wall)
    wire = Wire()
    protocol = SessionProtocol(
        session, clock, lambda p, events: told.extend(events), lambda p, why: closed.append(why)
    )
    wire.attach(protocol)
    protocol.dataReceived(sgip.BindResp(1, 0, 1, 0).encode())
    clock.pump([20.0, CLOSE_WITHIN])
    assert wire.aborted
    assert len(closed) == 1
    assert [type(event) for event in told] == [ev.Bound]
    assert clock.getDelayedCalls() == []
