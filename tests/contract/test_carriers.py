"""One contract for every carrier: what the layers above may expect of any session."""

from __future__ import annotations

import gc
import random
import weakref
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.errors import Disposition, EncodeError, LocalProtocolError, WindowFull
from smsgw.model import MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier, ResultKind
from smsgw.protocols.layout import Pdu
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side, State
from tests.support.random_pdus import hostile_octets
from tests.support.session_pair import SECRET, WALL, SessionPair, join

OPTIONS: dict[str, dict[str, Any]] = {
    "smgp": {"login_mode": 2},  # send and receive on one connection
    "sgip": {"node": 3010012345, "idle_timeout": 0.0, "server_idle_timeout": 0.0},
}
DELIVERED = {"sgip": "0"}
"""The carrier's own word for success, where it is not DELIVRD."""
REPEATED = {"cmpp": 3, "smgp": 12, "sgip": 9}
"""The result of a sequence that is in use; SMPP knows no resending."""
NAMELESS = {"smpp"}
"""Carriers whose MO has no id."""

SPOKEN = [(carrier, version) for carrier in CARRIERS.values() for version in carrier.codec.tables]

every_carrier = pytest.mark.parametrize(
    ("carrier", "version"), SPOKEN, ids=[f"{carrier.name}-{version}" for carrier, version in SPOKEN]
)
with_resends = pytest.mark.parametrize(
    ("carrier", "version"),
    [pair for pair in SPOKEN if pair[0].name in REPEATED],
    ids=lambda value: getattr(value, "name", value),
)
with_heartbeat = pytest.mark.parametrize(
    ("carrier", "version"),
    [pair for pair in SPOKEN if pair[0].session.heartbeat_pdu is not None],  # type: ignore[attr-defined]
    ids=lambda value: getattr(value, "name", value),
)

SEGMENT = Segment(
    to="13800001001", source="1069000188", coding=8, content="请回复".encode("utf-16-be")
)


def account(carrier: Carrier, version: str, **more: Any) -> Account:
    options: dict[str, Any] = {
        "name": "901234",
        "secret": SECRET,
        "version": version,
        **OPTIONS.get(carrier.name, {}),
        **more,
    }
    return carrier.account(**options)


def submit_pair(carrier: Carrier, version: str, **more: Any) -> SessionPair:
    """Logged in, over the connection that carries submits."""
    pair = join(carrier, account(carrier, version, **more), account(carrier, version))
    pair.bind()
    pair.take(pair.client, ev.Bound)
    pair.take(pair.server, ev.PeerBound)
    return pair


def deliver_pair(
    carrier: Carrier, version: str, **more: Any
) -> tuple[SessionPair, Session, Session]:
    """Logged in, over the connection that carries delivers; also the gateway's and our end."""
    side = Side.GATEWAY if carrier.peer_dials else Side.SP
    pair = join(
        carrier, account(carrier, version, **more), account(carrier, version), client_side=side
    )
    pair.bind()
    pair.client_events.clear()
    pair.server_events.clear()
    if carrier.peer_dials:
        return pair, pair.client, pair.server
    return pair, pair.server, pair.client


def submit(carrier: Carrier, pair: SessionPair, context: object = "ctx") -> None:
    pdu = carrier.to_submit(pair.client.account, pair.client.version, SEGMENT)
    pair.client.submit(pdu, pair.now, context)
    pair.exchange()


def new_id(carrier: Carrier, count: int = 42) -> str:
    return carrier.message_id(1001, WALL, count) if carrier.message_id else ""


def mo(carrier: Carrier) -> MoMessage:
    return MoMessage(
        sender="13800001001",
        destination="1069000188",
        coding=8,
        content="同意".encode("utf-16-be"),
        carrier_message_id=new_id(carrier),
    )


# ---- login -------------------------------------------------------------------------------------


@every_carrier
def test_the_right_secret_binds_both_sides_in_the_version_asked_for(
    carrier: Carrier, version: str
) -> None:
    pair = join(carrier, account(carrier, version), account(carrier, version))
    assert not pair.client.bound
    pair.bind()
    assert pair.client.bound
    assert pair.server.bound
    assert pair.take(pair.client, ev.Bound) == [ev.Bound(version)]
    assert pair.take(pair.server, ev.PeerBound) == [ev.PeerBound("901234", version)]
    assert pair.server.peer_name == "901234"


@every_carrier
def test_a_wrong_secret_is_refused_and_ends_both_sides(carrier: Carrier, version: str) -> None:
    pair = join(carrier, account(carrier, version), account(carrier, version), secret="other")
    pair.bind()
    (ours,) = pair.take(pair.client, ev.BindRefused)
    (theirs,) = pair.take(pair.server, ev.BindRefused)
    assert ours.code == theirs.code != 0
    assert ours.text
    assert pair.client.closed
    assert pair.server.closed


@every_carrier
def test_an_unknown_login_name_is_refused(carrier: Carrier, version: str) -> None:
    client = carrier.session(account(carrier, version), Role.CLIENT, Side.SP, lambda: WALL)
    server = carrier.session(account(carrier, version), Role.SERVER, Side.GATEWAY, lambda: WALL)
    pair = SessionPair(client, server)
    pair.bind()
    pair.take(pair.client, ev.BindRefused)
    pair.take(pair.server, ev.BindRefused)


@every_carrier
def test_a_login_that_is_not_answered_fails_after_its_time(carrier: Carrier, version: str) -> None:
    pair = join(carrier, account(carrier, version), account(carrier, version))
    pair.client.bind(pair.now)
    pair.lose_bytes()
    timeout = pair.client.account.response_timeout
    assert pair.client.next_deadline() == timeout
    pair.advance(timeout)
    pair.take(pair.client, ev.SessionFailed)
    assert pair.client.closed


@every_carrier
def test_a_peer_that_never_logs_in_is_given_up(carrier: Carrier, version: str) -> None:
    pair = join(carrier, account(carrier, version), account(carrier, version))
    assert pair.server.next_deadline() == pair.server.account.response_timeout
    pair.advance(pair.server.account.response_timeout)
    pair.take(pair.server, ev.SessionFailed)
    assert pair.server.closed


@every_carrier
def test_our_own_misuse_raises_and_changes_nothing(carrier: Carrier, version: str) -> None:
    pair = join(carrier, account(carrier, version), account(carrier, version))
    pdu = carrier.to_submit(pair.client.account, version, SEGMENT)
    with pytest.raises(LocalProtocolError):
        pair.client.submit(pdu, 0.0)
    with pytest.raises(LocalProtocolError):
        pair.client.unbind(0.0)
    pair.bind()
    with pytest.raises(LocalProtocolError):
        pair.client.bind(0.0)
    assert pair.client.bound


@every_carrier
@pytest.mark.parametrize("code", [0, 1])
def test_a_login_that_is_answered_again_costs_nothing_and_is_told_once(
    carrier: Carrier, version: str, code: int
) -> None:
    pair = join(carrier, account(carrier, version), account(carrier, version))
    pair.client.bind(pair.now)
    pair.server.receive_data(pair.client.data_to_send(), pair.now)
    answer = pair.server.data_to_send()
    pair.client.receive_data(answer, pair.now)
    pair.take(pair.server, ev.PeerBound)
    pair.client.events()
    again = carrier.codec.decode(answer, version)
    for name in ("status", "result", "command_status"):
        if hasattr(again, name):
            setattr(again, name, code)
    pair.client.receive_data(again.encode() * 30, pair.now)
    (told,) = pair.client.events()
    assert isinstance(told, ev.PeerMistake)
    assert "answers no login of ours" in told.problem
    assert pair.client.bound
    pair.client.unbind(pair.now)
    pair.client.receive_data(again.encode(), pair.now)
    assert pair.client.state is State.UNBINDING


# ---- submits -----------------------------------------------------------------------------------


@every_carrier
def test_a_submit_reaches_the_gateway_as_the_segment_it_was(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    submit(carrier, pair)
    (received,) = pair.take(pair.server, ev.SubmitReceived)
    (segment,) = carrier.from_submit(received.pdu)
    assert segment == SEGMENT


@every_carrier
def test_an_answer_finds_its_submit_and_brings_an_id(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    submit(carrier, pair, "first")
    submit(carrier, pair, "second")
    first, second = pair.take(pair.server, ev.SubmitReceived)
    pair.server.answer_submit(second.pdu, 0, new_id(carrier, 2))
    pair.server.answer_submit(first.pdu, 0, new_id(carrier, 1))
    pair.exchange()
    answers = pair.take(pair.client, ev.SubmitAnswered)
    assert [(a.context, a.code, a.late) for a in answers] == [
        ("second", 0, False),
        ("first", 0, False),
    ]
    ids = [answer.carrier_message_id for answer in answers]
    assert len(set(ids)) == 2
    assert all(ids)
    if carrier.message_id:
        assert ids == [new_id(carrier, 2), new_id(carrier, 1)]
    else:
        assert ids == [carrier.submit_id(second.pdu), carrier.submit_id(first.pdu)]
    assert pair.client.window.free == pair.client.window.limit


@every_carrier
def test_a_refusal_brings_its_code_and_no_id(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    submit(carrier, pair)
    (received,) = pair.take(pair.server, ev.SubmitReceived)
    pair.server.answer_submit(received.pdu, 8)
    pair.exchange()
    assert pair.take(pair.client, ev.SubmitAnswered) == [ev.SubmitAnswered("ctx", 8, "")]
    assert carrier.classify(8).disposition is not Disposition.ACCEPTED


@every_carrier
def test_no_more_than_the_window_is_in_flight(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version, window=2)
    submit(carrier, pair)
    submit(carrier, pair)
    with pytest.raises(WindowFull):
        submit(carrier, pair)
    received = pair.take(pair.server, ev.SubmitReceived)
    assert len(received) == 2
    pair.server.answer_submit(received[0].pdu, 0, new_id(carrier))
    pair.exchange()
    submit(carrier, pair)
    assert pair.client.window.free == 0


@every_carrier
def test_a_segment_that_does_not_fit_takes_no_slot(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    long_number = Segment(to="1" * 40, source="1069", coding=0, content=b"x")
    with pytest.raises(EncodeError):
        pair.client.submit(carrier.to_submit(pair.client.account, version, long_number), pair.now)
    assert pair.client.window.free == pair.client.window.limit
    assert pair.client.data_to_send() == b""


@every_carrier
@pytest.mark.parametrize("context", ["ctx", None])
def test_an_answer_that_does_not_come_is_lost_and_may_still_come_late(
    carrier: Carrier, version: str, context: str | None
) -> None:
    pair = submit_pair(carrier, version)
    submit(carrier, pair, context)
    (received,) = pair.take(pair.server, ev.SubmitReceived)
    pair.advance(pair.client.account.response_timeout)
    (lost,) = pair.take(pair.client, ev.ResponseLost)
    assert lost.context is context
    assert pair.client.window.free == pair.client.window.limit
    pair.server.answer_submit(received.pdu, 0, new_id(carrier))
    pair.exchange()
    (answer,) = pair.take(pair.client, ev.SubmitAnswered)
    assert (answer.context, answer.code, answer.late) == (context, 0, True)
    assert answer.carrier_message_id in (lost.carrier_message_id, new_id(carrier))
    assert pair.client.bound


@every_carrier
def test_an_unanswered_submit_is_sent_again_only_where_the_account_says_so(
    carrier: Carrier, version: str
) -> None:
    pair = submit_pair(carrier, version, submit_sends=2)
    pair.client.submit(carrier.to_submit(pair.client.account, version, SEGMENT), pair.now)
    sent = pair.client.data_to_send()
    timeout = pair.client.account.response_timeout
    pair.client.tick(timeout)
    assert pair.client.data_to_send().startswith(sent)
    assert pair.client.events() == []
    pair.client.tick(2 * timeout)
    assert len([one for one in pair.client.events() if isinstance(one, ev.ResponseLost)]) == 1
    assert sent not in pair.client.data_to_send()


@with_resends
def test_a_sequence_called_repeated_is_told_as_an_answer_to_a_submit_sent_again(
    carrier: Carrier, version: str
) -> None:
    pair = submit_pair(carrier, version, submit_sends=2)
    submit(carrier, pair)
    (asked,) = pair.take(pair.server, ev.SubmitReceived)
    pair.client.tick(pair.client.window.timeout)
    assert pair.client.data_to_send()
    pair.server.answer_submit(asked.pdu, REPEATED[carrier.name])
    pair.exchange()
    (answer,) = pair.take(pair.client, ev.SubmitAnswered)
    assert (answer.code, answer.again) == (REPEATED[carrier.name], True)
    assert carrier.classify(answer.code).kind is ResultKind.REPEATED


@every_carrier
def test_a_lost_connection_resolves_every_submit_once(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    for context in ("a", "b", "c"):
        submit(carrier, pair, context)
    pair.cut()
    lost = pair.take(pair.client, ev.ResponseLost)
    assert [one.context for one in lost] == ["a", "b", "c"]
    assert len({one.sequence for one in lost}) == 3
    assert pair.client.closed
    assert pair.client.next_deadline() is None
    pair.advance(1000.0)
    pair.cut()
    assert pair.client_events == []


@every_carrier
def test_a_session_is_freed_as_soon_as_nobody_needs_it(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    submit(carrier, pair)
    for session in (pair.client, pair.server):
        session.connection_lost(pair.now)
        session.receive_data(b"\x00" * 40, pair.now)
        session.data_to_send()
    ends = [weakref.ref(pair.client), weakref.ref(pair.server)]
    gc.disable()  # what a gateway remembers of its submits may be megabytes
    try:
        del pair, session
        assert [end() for end in ends] == [None, None]
    finally:
        gc.enable()


@every_carrier
def test_the_first_recipient_of_a_submit_has_the_id_of_its_answer(
    carrier: Carrier, version: str
) -> None:
    first = new_id(carrier) or "b36924b906ec9d1000000002"
    ids = [carrier.receiver_id(first, place) for place in range(3)]
    assert ids[0] == first
    assert len(set(ids)) == (3 if carrier.name in ("cmpp", "smgp") else 1)


@with_resends
def test_a_submit_sent_again_is_answered_from_memory_and_taken_once(
    carrier: Carrier, version: str
) -> None:
    pair = submit_pair(carrier, version, submit_sends=3)
    submit(carrier, pair)
    (asked,) = pair.take(pair.server, ev.SubmitReceived)
    pair.advance(pair.client.window.timeout)  # the answer is still to come
    pair.server.answer_submit(asked.pdu, 0, new_id(carrier))
    first = pair.server.data_to_send()  # and then it is lost
    assert first
    pair.client.tick(2 * pair.client.window.timeout)
    pair.server.receive_data(pair.client.data_to_send(), 2 * pair.client.window.timeout)
    assert pair.server.events() == []
    again = pair.server.data_to_send()
    assert again.startswith(first)
    pair.client.receive_data(again, 2 * pair.client.window.timeout)
    (answer,) = pair.client.events()
    assert isinstance(answer, ev.SubmitAnswered)
    assert (answer.code, answer.context) == (0, "ctx")


@with_resends
def test_a_refused_submit_may_be_asked_again_under_its_sequence(
    carrier: Carrier, version: str
) -> None:
    pair = submit_pair(carrier, version)
    pdu = carrier.to_submit(pair.client.account, version, SEGMENT)
    pair.client.next_sequence(pdu)
    for result in (8, 0):
        pair.server.receive_data(pdu.encode(), pair.now)
        (asked,) = pair.server.events()
        assert isinstance(asked, ev.SubmitReceived)
        pair.server.answer_submit(asked.pdu, result, "" if result else new_id(carrier))
    pair.server.data_to_send()
    pair.server.receive_data(pdu.encode(), pair.now)
    assert pair.server.events() == []
    assert pair.server.data_to_send()


@with_resends
def test_another_submit_under_the_sequence_of_an_open_one_is_refused(
    carrier: Carrier, version: str
) -> None:
    pair = submit_pair(carrier, version)
    pdu = carrier.to_submit(pair.client.account, version, SEGMENT)
    other = carrier.to_submit(
        pair.client.account, version, msgspec.structs.replace(SEGMENT, to="13800001002")
    )
    key = pair.client.submit(pdu, pair.now)
    for name in ("sequence_id", "sequence_node", "sequence_time", "sequence_counter"):
        if hasattr(pdu, name):
            setattr(other, name, getattr(pdu, name))
    pair.exchange()
    pair.server.receive_data(other.encode(), pair.now)
    pair.exchange()
    assert len(pair.take(pair.server, ev.SubmitReceived)) == 1
    (answer,) = pair.take(pair.client, ev.SubmitAnswered)
    assert answer.code == REPEATED[carrier.name]
    assert key not in pair.client.window


# ---- inbound -----------------------------------------------------------------------------------


@every_carrier
def test_an_mo_is_answered_only_when_we_say_so(carrier: Carrier, version: str) -> None:
    pair, gateway, sp = deliver_pair(carrier, version)
    gateway.submit(carrier.to_deliver(gateway.account, version, mo(carrier)), pair.now, "mo")
    sent = gateway.data_to_send()
    sp.receive_data(sent, pair.now)
    pair.exchange()
    (received,) = pair.take(sp, ev.MoReceived)
    assert received.octets == sent
    assert pair.take(gateway, ev.DeliverAnswered) == []
    assert not carrier.is_report(received.pdu)
    message = carrier.from_deliver(received.pdu)
    assert (message.sender, message.destination, message.content) == (
        "13800001001",
        "1069000188",
        mo(carrier).content,
    )
    assert bool(message.carrier_message_id) is (carrier.name not in NAMELESS)
    sp.acknowledge(received.pdu)
    pair.exchange()
    assert pair.take(gateway, ev.DeliverAnswered) == [ev.DeliverAnswered("mo", 0)]


@every_carrier
def test_a_report_names_the_submit_it_is_about(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    submit(carrier, pair)
    (asked,) = pair.take(pair.server, ev.SubmitReceived)
    pair.server.answer_submit(asked.pdu, 0, new_id(carrier))
    pair.exchange()
    (answer,) = pair.take(pair.client, ev.SubmitAnswered)

    pair, gateway, sp = deliver_pair(carrier, version)
    report = StatusReport(
        carrier_message_id=answer.carrier_message_id,
        status=MessageStatus.DELIVERED,
        stat=DELIVERED.get(carrier.name, "DELIVRD"),
        to="13800001001",
        source="1069000188",
    )
    gateway.submit(carrier.to_report(gateway.account, version, report), pair.now, "report")
    pair.exchange()
    (received,) = pair.take(sp, ev.ReportReceived)
    assert carrier.is_report(received.pdu)
    read = carrier.from_report(received.pdu)
    assert read.carrier_message_id == answer.carrier_message_id
    assert (read.status, read.to) == (MessageStatus.DELIVERED, "13800001001")
    sp.acknowledge(received.pdu, 0)
    pair.exchange()
    assert pair.take(gateway, ev.DeliverAnswered) == [ev.DeliverAnswered("report", 0)]


@every_carrier
def test_an_mo_that_we_refuse_tells_the_gateway_our_result(carrier: Carrier, version: str) -> None:
    pair, gateway, sp = deliver_pair(carrier, version)
    gateway.submit(carrier.to_deliver(gateway.account, version, mo(carrier)), pair.now, "mo")
    pair.exchange()
    (received,) = pair.take(sp, ev.MoReceived)
    sp.acknowledge(received.pdu, 9)
    pair.exchange()
    assert pair.take(gateway, ev.DeliverAnswered) == [ev.DeliverAnswered("mo", 9)]


@every_carrier
def test_an_mo_whose_answer_is_lost_is_resolved_on_the_gateway_side(
    carrier: Carrier, version: str
) -> None:
    pair, gateway, _ = deliver_pair(carrier, version)
    gateway.submit(carrier.to_deliver(gateway.account, version, mo(carrier)), pair.now, "mo")
    pair.exchange()
    pair.client_events.clear()
    pair.server_events.clear()
    pair.cut()
    (lost,) = pair.take(gateway, ev.ResponseLost)
    assert lost.context == "mo"


# ---- keeping alive and ending ------------------------------------------------------------------


@with_heartbeat
def test_silence_is_broken_by_a_heartbeat_that_the_peer_answers(
    carrier: Carrier, version: str
) -> None:
    pair = submit_pair(carrier, version)
    interval = pair.client.account.heartbeat_interval
    for _ in range(5):
        assert pair.client.next_deadline() == pair.now + interval
        pair.advance(interval)
    assert pair.client.bound
    assert pair.server.bound
    assert (pair.client_events, pair.server_events) == ([], [])


@with_heartbeat
def test_a_peer_that_answers_no_heartbeat_is_dead_after_so_many(
    carrier: Carrier, version: str
) -> None:
    pair = submit_pair(carrier, version, heartbeat_tries=2)
    agreed = pair.client.account
    pair.advance(agreed.heartbeat_interval, connected=False)
    pair.advance(agreed.response_timeout, connected=False)
    assert pair.client.bound
    pair.advance(agreed.response_timeout, connected=False)
    (failed,) = pair.take(pair.client, ev.SessionFailed)
    assert "2 heartbeats unanswered" in failed.reason
    assert pair.client.closed


@every_carrier
def test_an_unbind_is_answered_and_ends_both_sides_in_order(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    pair.client.unbind(pair.now)
    with pytest.raises(LocalProtocolError):
        submit(carrier, pair)
    pair.exchange()
    assert pair.take(pair.client, ev.Unbound) == [ev.Unbound(by_peer=False)]
    assert pair.take(pair.server, ev.Unbound) == [ev.Unbound(by_peer=True)]
    assert pair.client.closed
    assert pair.server.closed


@every_carrier
def test_answers_are_still_taken_while_unbinding(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    submit(carrier, pair)
    (received,) = pair.take(pair.server, ev.SubmitReceived)
    pair.client.unbind(pair.now)
    pair.server.answer_submit(received.pdu, 0, new_id(carrier))
    pair.exchange()
    kinds = [type(event) for event in pair.client_events]
    assert kinds == [ev.SubmitAnswered, ev.Unbound]


@every_carrier
def test_an_unbind_that_is_not_answered_ends_after_its_time(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    pair.client.unbind(pair.now)
    pair.lose_bytes()
    pair.advance(pair.client.account.response_timeout, connected=False)
    pair.take(pair.client, ev.SessionFailed)
    assert pair.client.closed


@every_carrier
def test_a_server_can_end_the_session_too(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    pair.server.unbind(pair.now)
    pair.exchange()
    assert pair.take(pair.server, ev.Unbound) == [ev.Unbound(by_peer=False)]
    assert pair.server.closed


# ---- a bad peer --------------------------------------------------------------------------------


@every_carrier
def test_a_length_that_cannot_be_ends_the_session(carrier: Carrier, version: str) -> None:
    pair = submit_pair(carrier, version)
    pair.server.receive_data(b"GET / HTTP/1.1\r\n\r\n", pair.now)
    pair.collect()
    (failed,) = pair.take(pair.server, ev.SessionFailed)
    assert "total length" in failed.reason
    pair.server.receive_data(b"more", pair.now)
    pair.collect()
    assert pair.server_events == []


@every_carrier
def test_a_request_before_the_login_ends_the_session(carrier: Carrier, version: str) -> None:
    pair = join(carrier, account(carrier, version), account(carrier, version))
    pdu = carrier.to_submit(pair.client.account, version, SEGMENT)
    pair.server.receive_data(pdu.encode(), pair.now)
    pair.collect()
    pair.take(pair.server, ev.SessionFailed)
    assert pair.server.closed


@every_carrier
def test_whatever_a_peer_sends_a_session_never_raises(carrier: Carrier, version: str) -> None:
    @settings(max_examples=60, deadline=None, database=None)
    @given(seed=st.integers(0, 2**64 - 1))
    def survives(seed: int) -> None:
        rng = random.Random(seed)
        role, side = rng.choice(list(Role)), rng.choice(list(Side))
        session = carrier.session(
            account(carrier, version), role, side, lambda: WALL, {"901234": SECRET}.get
        )
        play(carrier, version, session, rng)

    survives()


def play(carrier: Carrier, version: str, session: Session, rng: random.Random) -> None:
    """Anything a peer and a transport can do, in any order."""
    now = 0.0
    session.connected(now)
    for _ in range(rng.randint(1, 12)):
        now += rng.choice((0.0, 1.0, 61.0, 200.0))
        match rng.randrange(7):
            case 0 if session.role is Role.CLIENT and session.state is State.OPEN:
                session.bind(now)
            case 1:
                session.tick(now)
            case 2 if session.bound and session.window.free:
                session.submit(carrier.to_submit(session.account, version, SEGMENT), now)
            case 3 if rng.random() < 0.2:
                session.connection_lost(now)
            case 4 if session.role is Role.SERVER:
                log_in(carrier, version, session, now)
            case _:
                octets = b"".join(hostile_octets(carrier, version, rng) for _ in range(3))
                cut = rng.randint(0, len(octets))
                session.receive_data(octets[:cut], now)
                session.receive_data(octets[cut:], now)
        for event in session.events():
            answer(session, event)
        for frame in carrier.codec.framer().split(session.data_to_send()):
            assert int.from_bytes(frame[:4], "big") == len(frame)
        deadline = session.next_deadline()
        assert deadline is None or not session.closed


def log_in(carrier: Carrier, version: str, session: Session, now: float) -> None:
    side = Side.SP if session.side is Side.GATEWAY else Side.GATEWAY
    client = carrier.session(account(carrier, version), Role.CLIENT, side, lambda: WALL)
    client.connected(now)
    client.bind(now)
    session.receive_data(client.data_to_send(), now)


def answer(session: Session, event: ev.Event) -> None:
    if isinstance(event, ev.SubmitReceived):
        session.answer_submit(event.pdu, 8)
    elif isinstance(event, ev.MoReceived | ev.ReportReceived):
        token: Pdu = event.pdu
        session.acknowledge(token, 0)
