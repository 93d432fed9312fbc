"""The part of a session that every carrier shares: its table, its timers, its patience.

CMPP stands for all here; tests/contract/test_carriers.py asks the same of every carrier.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from smsgw.errors import LocalProtocolError, PduError, WindowFull
from smsgw.protocols import cmpp
from smsgw.protocols import events as ev
from smsgw.protocols.cmpp import pdus
from smsgw.protocols.session import MISTAKES_MAX, Account, Session
from smsgw.protocols.states import LOCAL_INPUTS, TRANSITIONS, Input, Role, Side, State
from tests.support.session_pair import SECRET, WALL, SessionPair, join

TEST = pdus.ActiveTest(1).encode()


def account(**more: object) -> cmpp.CmppAccount:
    return cmpp.CmppAccount(name="901234", secret=SECRET, **more)  # type: ignore[arg-type]


def session(role: Role = Role.CLIENT, **more: object) -> cmpp.CmppSession:
    side = Side.SP if role is Role.CLIENT else Side.GATEWAY
    made = cmpp.CmppSession(account(**more), role, side, lambda: WALL, {"901234": SECRET}.get)
    made.connected(0.0)
    return made


def bound_pair(**more: object) -> SessionPair:
    pair = join(cmpp.CARRIER, account(**more), account())
    pair.bind()
    pair.client_events.clear()
    pair.server_events.clear()
    return pair


CALLS: dict[Input, Callable[[Session], object]] = {
    Input.BIND: lambda s: s.bind(0.0),
    Input.BIND_ACCEPTED: lambda s: s.bind_accepted("3.0"),
    Input.BIND_REFUSED: lambda s: s.bind_refused(3, "no"),
    Input.PEER_BIND: lambda s: s.peer_bound("901234", "3.0"),
    Input.REQUEST: lambda s: s.submit(pdus.Submit30(), 0.0),
    Input.PEER_REQUEST: lambda s: s.peer_request_allowed(pdus.Submit30()),
    Input.HEARTBEAT: lambda s: s.peer_heartbeat(pdus.ActiveTestResp()),
    Input.UNBIND: lambda s: s.unbind(0.0),
    Input.UNBIND_ANSWERED: lambda s: s.unbind_answered(pdus.TerminateResp(), 0.0),
    Input.PEER_UNBIND: lambda s: s.peer_unbinds(pdus.TerminateResp()),
    Input.FAIL: lambda s: s._fail("because"),
    Input.CONNECTION_LOST: lambda s: s.connection_lost(0.0),
}


@pytest.mark.parametrize(
    ("state", "what"), list(product(State, CALLS)), ids=lambda value: value.value.replace(" ", "-")
)
def test_the_table_alone_decides_what_is_legal(state: State, what: Input) -> None:
    tested = session()
    tested.state = state
    wanted = TRANSITIONS.get((state, what))
    if wanted is None and what in LOCAL_INPUTS:
        with pytest.raises(LocalProtocolError, match=f"{what.value} while {state.value}"):
            CALLS[what](tested)
        assert tested.state is state
        assert tested.data_to_send() == b""
        return
    CALLS[what](tested)
    failures = [event for event in tested.events() if isinstance(event, ev.SessionFailed)]
    assert tested.state is (wanted or State.CLOSED)
    assert len(failures) == (wanted is None or what is Input.FAIL)


def test_the_table_knows_every_input_and_nothing_leaves_the_last_state() -> None:
    assert {what for _, what in TRANSITIONS} == set(Input)
    assert set(CALLS) == set(Input) - {Input.ANSWER}  # an answer to nothing is only a mistake
    ends = {target for (state, _), target in TRANSITIONS.items() if state is State.CLOSED}
    assert ends == {State.CLOSED}


@pytest.mark.parametrize("state", State)
def test_an_answer_to_nothing_is_a_mistake_in_any_state(state: State) -> None:
    tested = session()
    tested.state = state
    assert tested.answered(7, pdus.SubmitResp30(7)) is None
    (mistake,) = tested.events()
    assert mistake == ev.PeerMistake("CMPP_SUBMIT_RESP answers nothing we asked")
    assert tested.state is state


def test_a_session_must_be_told_its_carriers_part() -> None:
    class Bare(Session):
        codec = cmpp.CODEC
        unbind_pdu = pdus.Terminate

        def commands(self) -> dict[int, Callable[[object, float], None]]:
            return {}

    agreed = Account(name="901234", secret=SECRET, version="3.0")
    bare = Bare(agreed, Role.CLIENT, Side.SP, lambda: WALL)
    assert bare.secrets("901234") is None
    assert bare.sent_id(1) == ""
    calls: list[Callable[[], object]] = [
        lambda: Session.commands(bare),
        lambda: bare.bind_request(0.0),
        lambda: bare.next_sequence(pdus.Submit30()),
        lambda: bare.acknowledge(pdus.Deliver30()),
        lambda: bare.answer_submit(pdus.Submit30(), 0),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()
    bare.refuse(PduError("X", "", 0, "bad"), b"", 0, 0)
    assert bare.read_anyway(PduError("X", "", 0, "bad"), b"", 0, 0) is None
    bare.connected(0.0)
    bare.state = State.BOUND
    bare.tick(1e9)
    assert bare.next_deadline() is None  # no heartbeat of its own
    assert bare.bound


# ---- timers ------------------------------------------------------------------------------------


def test_the_next_deadline_is_the_nearest_of_all_that_is_due() -> None:
    pair = bound_pair(heartbeat_interval=100.0, response_timeout=30.0)
    assert pair.client.next_deadline() == 100.0
    pair.now = 10.0
    pair.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 10.0)
    assert pair.client.next_deadline() == 40.0
    pair.client.connection_lost(11.0)
    assert pair.client.next_deadline() is None


def test_a_heartbeat_can_be_sent_at_once_and_its_answer_starts_the_wait_anew() -> None:
    pair = bound_pair(heartbeat_interval=100.0, response_timeout=30.0)
    assert pair.client.heartbeat(pair.now)
    assert pair.client.next_deadline() == pair.now + 30.0
    pair.exchange()
    assert pair.client.next_deadline() == pair.now + 100.0


def test_where_nothing_is_bound_no_heartbeat_is_sent() -> None:
    client = session()
    assert not client.heartbeat(0.0)
    assert client.data_to_send() == b""


def test_a_session_without_heartbeat_interval_sends_none() -> None:
    pair = bound_pair(heartbeat_interval=0.0)
    assert pair.client.next_deadline() is None
    pair.advance(1e6)
    assert pair.client.bound


def test_nothing_is_due_before_anything_happened() -> None:
    assert session().next_deadline() is None
    never_connected = cmpp.CmppSession(account(), Role.CLIENT, Side.SP, lambda: WALL)
    never_connected.state = State.BOUND
    assert never_connected.next_deadline() is None


def test_a_tick_before_the_time_does_nothing() -> None:
    pair = bound_pair()
    pair.now = 179.0
    pair.client.tick(179.0)
    assert pair.client.data_to_send() == b""
    assert pair.client.events() == []


def test_any_octet_from_the_peer_is_a_sign_of_life() -> None:
    pair = bound_pair(heartbeat_interval=100.0, heartbeat_tries=1, response_timeout=10.0)
    pair.advance(100.0, connected=False)
    assert pair.client.next_deadline() == 110.0
    pair.client.receive_data(TEST[:5], 105.0)
    assert pair.client.next_deadline() == 115.0  # its PDU must be whole by then
    pair.client.tick(110.0)
    assert pair.client.bound
    pair.client.receive_data(TEST[5:], 112.0)
    assert pair.client.next_deadline() == 212.0


def test_a_closed_session_neither_listens_nor_ticks() -> None:
    pair = bound_pair()
    pair.cut()
    pair.client.receive_data(TEST, 1.0)
    pair.client.tick(1e6)
    assert pair.client.data_to_send() == b""
    assert pair.client.events() == []


# ---- a bad peer --------------------------------------------------------------------------------


def bad(body: bytes = b"\0", command_id: int = 0x77) -> bytes:
    return (12 + len(body)).to_bytes(4, "big") + command_id.to_bytes(4, "big") + bytes(4) + body


def test_unknown_commands_are_told_and_forgiven_until_there_are_too_many_in_a_row() -> None:
    pair = bound_pair()
    pair.client.receive_data(bad() * (MISTAKES_MAX - 1) + TEST + bad(), 1.0)
    mistakes = pair.client.events()
    assert len(mistakes) == MISTAKES_MAX
    assert all(isinstance(event, ev.PeerMistake) for event in mistakes)
    assert pair.client.bound
    pair.client.receive_data(bad() * (MISTAKES_MAX - 1), 1.0)
    assert pair.client.closed
    assert isinstance(pair.client.events()[-1], ev.SessionFailed)


def test_a_pdu_for_the_other_side_is_a_mistake() -> None:
    pair = bound_pair()
    pair.client.receive_data(pdus.Submit30(5).encode(), 1.0)
    assert pair.client.events() == [ev.PeerMistake("CMPP_SUBMIT is not for the sp side")]


def test_nothing_is_handled_after_the_session_has_failed() -> None:
    tested = session(Role.SERVER)
    tested.receive_data(TEST + pdus.Connect(1).encode(), 0.0)
    (failed,) = tested.events()
    assert isinstance(failed, ev.SessionFailed)
    assert tested.data_to_send() == b""


def test_pdus_before_a_bad_length_are_still_handled() -> None:
    pair = bound_pair()
    pair.server.receive_data(TEST + b"\0\0\0\1", 1.0)
    assert pair.server.data_to_send() == pdus.ActiveTestResp(1).encode()
    (failed,) = pair.server.events()
    assert failed == ev.SessionFailed("total length 1, limit 12 to 4096")


def test_a_carrier_may_close_on_the_first_bad_pdu() -> None:
    class Strict(cmpp.CmppSession):
        closes_on_bad_pdu = True

    strict = Strict(account(), Role.SERVER, Side.GATEWAY, lambda: WALL)
    strict.receive_data(bad(), 0.0)
    (failed,) = strict.events()
    assert isinstance(failed, ev.SessionFailed)
    assert "unknown command" in failed.reason
    assert strict.closed


def test_one_call_handles_every_whole_pdu_and_keeps_the_rest() -> None:
    pair = bound_pair()
    stream = b"".join(pdus.ActiveTest(n).encode() for n in range(5))
    pair.server.receive_data(stream[:-3], 1.0)
    assert pair.server.data_to_send() == b"".join(pdus.ActiveTestResp(n).encode() for n in range(4))
    pair.server.receive_data(stream[-3:], 1.0)
    assert pair.server.data_to_send() == pdus.ActiveTestResp(4).encode()


def test_a_window_that_is_full_refuses_and_sends_nothing() -> None:
    pair = bound_pair(window=1)
    pair.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0)
    pair.client.data_to_send()
    with pytest.raises(WindowFull, match="1 requests are unanswered, limit 1"):
        pair.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0)
    assert pair.client.data_to_send() == b""


def test_a_late_answer_finds_its_submit_even_without_a_context() -> None:
    pair = bound_pair(response_timeout=10.0)
    key = pair.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0)
    pair.client.tick(10.0)
    assert pair.client.events() == [ev.ResponseLost(key, None)]
    assert isinstance(key, int)
    pair.client.receive_data(pdus.SubmitResp30(key, 5, 8).encode(), 11.0)
    assert pair.client.events() == [ev.SubmitAnswered(None, 8, "", late=True)]


def test_a_login_that_takes_too_long_fails_and_a_tick_before_that_does_not() -> None:
    tested = session(response_timeout=10.0)
    tested.bind(0.0)
    tested.tick(9.0)
    assert tested.events() == []
    tested.tick(10.0)
    assert tested.events() == [ev.SessionFailed("no answer while binding within 10 s")]


def test_heartbeats_are_repeated_until_the_peer_is_given_up() -> None:
    pair = bound_pair(heartbeat_interval=100.0, heartbeat_tries=3, response_timeout=10.0)
    for now in (100.0, 110.0, 120.0):
        pair.client.tick(now)
        (frame,) = cmpp.Framer().split(pair.client.data_to_send())
        assert isinstance(cmpp.decode(frame), pdus.ActiveTest)
    pair.client.tick(130.0)
    assert pair.client.events() == [ev.SessionFailed("3 heartbeats unanswered")]


def test_a_lost_connection_tells_what_was_written_from_what_never_was() -> None:
    pair = bound_pair()
    written = pair.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0, "a")
    pair.client.data_to_send()
    kept = pair.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0, "b")
    pair.client.connection_lost(1.0)
    assert pair.client.events() == [
        ev.ResponseLost(written, "a"),
        ev.ResponseLost(kept, "b", written=False),
    ]
