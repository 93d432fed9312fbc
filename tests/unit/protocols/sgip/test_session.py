"""SGIP sessions: who sends what on which connection, and how one ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from smsgw.errors import LocalProtocolError, WindowFull
from smsgw.protocols import events as ev
from smsgw.protocols import sgip
from smsgw.protocols.layout import Pdu
from smsgw.protocols.sgip.codec import REQUESTS
from smsgw.protocols.sgip.sequence import SequenceSource, sequence_text
from smsgw.protocols.states import Role, Side, State
from tests.support.session_pair import SECRET, WALL, SessionPair, join
from tests.support.vectors import vector

NODE = 3010092008
WORD = 512093016  # the second after WALL

ASKS: dict[Side, Pdu] = {
    Side.SP: sgip.Submit(user_number=["8613000001001"], message_content=b"hi"),
    Side.GATEWAY: sgip.Deliver(user_number="8613000001001", sp_number="10690001"),
}


def fresh(side: Side) -> Pdu:
    """A command that was never sent: it gets its sequence when it is."""
    return msgspec.structs.replace(ASKS[side])


"""A command that each side may send on a connection it opened."""


def account(**settings: Any) -> sgip.SgipAccount:
    made = sgip.SgipAccount(name="901234", secret=SECRET, node=NODE, **settings)
    made.sequences = SequenceSource(0)
    return made


def pair(side: Side = Side.SP, *, bound: bool = True, **settings: Any) -> SessionPair:
    """A client of one side and its server; both have the same settings."""
    joined = join(sgip.CARRIER, account(**settings), account(**settings), client_side=side)
    if bound:
        joined.bind()
        joined.take(joined.client, ev.Bound)
        joined.take(joined.server, ev.PeerBound)
    return joined


def server(side: Side = Side.GATEWAY, *, bound: bool = True) -> sgip.SgipSession:
    """A server session that a peer outside the test's control logged in to."""
    session = sgip.SgipSession(account(), Role.SERVER, side, lambda: WALL, {"sp": "pw"}.get)
    session.connected(0.0)
    if bound:
        session.receive_data(login(side).encode(), 0.0)
        assert [type(event) for event in session.events()] == [ev.PeerBound]
        session.data_to_send()
    return session


def login(side: Side, name: str = "sp", password: str = "pw") -> sgip.Bind:
    login_type = 1 if side is Side.GATEWAY else 2
    return sgip.Bind(1, 2, 3, login_type, name, password)


def client(side: Side = Side.SP, **settings: Any) -> sgip.SgipSession:
    """A bound client session whose peer is outside our control."""
    session = sgip.SgipSession(account(**settings), Role.CLIENT, side, lambda: WALL)
    session.connected(0.0)
    session.bind(0.0)
    session.receive_data(sgip.BindResp(NODE, WORD, 0).encode(), 0.0)
    assert session.events() == [ev.Bound("1.2")]
    session.data_to_send()
    return session


def sent(session: sgip.SgipSession) -> list[Pdu]:
    return [sgip.decode(frame) for frame in sgip.Framer().split(session.data_to_send())]


def result_of(session: sgip.SgipSession) -> int:
    """The result of the only answer the session wrote."""
    (answer,) = sent(session)
    result: int = answer.result  # type: ignore[attr-defined]
    return result


# ---- login -------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "login_type"), [(Side.SP, 1), (Side.GATEWAY, 2)])
def test_each_side_logs_in_with_its_login_type(side: Side, login_type: int) -> None:
    joined = pair(side, bound=False)
    joined.client.bind(0.0)
    (bind,) = sent(joined.client)  # type: ignore[arg-type]
    assert bind == sgip.Bind(NODE, WORD, 0, login_type, "901234", SECRET)
    joined = pair(side, bound=False)
    joined.bind()
    assert joined.take(joined.client, ev.Bound) == [ev.Bound("1.2")]
    assert joined.take(joined.server, ev.PeerBound) == [ev.PeerBound("901234", "1.2")]
    assert joined.client.bound
    assert joined.server.bound


@pytest.mark.parametrize("side", [Side.SP, Side.GATEWAY])
def test_a_wrong_login_type_is_answered_with_4_and_closed(side: Side) -> None:
    session = server(side, bound=False)
    wrong = login(side)
    wrong.login_type = 3 - wrong.login_type
    session.receive_data(wrong.encode(), 0.0)
    assert result_of(session) == 4
    assert session.events() == [ev.BindRefused(4, "wrong LoginType")]
    assert session.closed


@pytest.mark.parametrize(("name", "password"), [("sp", "PW"), ("other", "pw"), ("", "")])
def test_a_wrong_name_or_password_is_answered_with_1_and_closed(name: str, password: str) -> None:
    session = server(bound=False)
    session.receive_data(login(Side.GATEWAY, name, password).encode(), 0.0)
    assert result_of(session) == 1
    assert session.events() == [
        ev.BindRefused(1, "illegal login: name or password", ev.RefusalKind.SECRET)
    ]
    assert session.closed


def test_a_gateway_without_name_and_password_is_let_in_where_that_was_agreed() -> None:
    session = sgip.SgipSession(account(), Role.SERVER, Side.SP, lambda: WALL, {"": ""}.get)
    session.receive_data(vector("sgip", "bind_empty_password").octets, 0.0)
    assert result_of(session) == 0
    assert session.events() == [ev.PeerBound("", "1.2")]


def test_a_name_padded_with_spaces_is_the_name() -> None:
    session = server(bound=False)
    session.receive_data(login(Side.GATEWAY, "sp   ", "pw ").encode(), 0.0)
    assert session.events() == [ev.PeerBound("sp", "1.2")]


def test_a_second_bind_is_answered_with_2_and_the_session_stays() -> None:
    session = server()
    session.receive_data(login(Side.GATEWAY).encode(), 1.0)
    assert result_of(session) == 2
    assert session.events() == [ev.PeerMistake("SGIP_BIND while bound")]
    assert session.bound


def test_a_refused_login_says_why() -> None:
    joined = pair(bound=False)
    joined.client.account.secret = "wrong"
    joined.bind()
    refused = [ev.BindRefused(1, "illegal login: name or password", ev.RefusalKind.SECRET)]
    assert joined.take(joined.client, ev.BindRefused) == refused
    assert joined.client.closed
    assert joined.server.closed


def test_a_second_bind_answer_is_dropped() -> None:
    session = client()
    session.receive_data(sgip.BindResp(NODE, WORD, 0, 1).encode(), 0.0)
    (told,) = session.events()
    assert isinstance(told, ev.PeerMistake)
    assert "SGIP_BIND_RESP answers no login of ours" in told.problem
    assert session.bound


@pytest.mark.parametrize("side", [Side.SP, Side.GATEWAY])
@pytest.mark.parametrize(
    "cls", [c for c in REQUESTS if c not in (sgip.Bind, sgip.Unbind)], ids=lambda c: c.command
)
def test_a_command_before_bind_is_answered_with_1_and_closed(cls: type[Pdu], side: Side) -> None:
    session = server(side, bound=False)
    session.receive_data(cls(7, 8, 9).encode(), 0.0)  # type: ignore[call-arg]
    (answer,) = sent(session)
    fields = sgip.CODEC.to_fields(answer)
    assert fields["sequence_counter"] == 9
    assert (fields["nodes"][0] if "nodes" in fields else fields)["result"] == 1
    assert session.events() == [ev.SessionFailed(f"{cls.command} while open")]
    assert session.closed


def test_a_command_to_a_client_that_waits_for_its_login_is_answered_with_1() -> None:
    session = sgip.SgipSession(account(), Role.CLIENT, Side.SP, lambda: WALL)
    session.bind(0.0)
    session.data_to_send()
    session.receive_data(ASKS[Side.GATEWAY].encode(), 0.0)
    assert result_of(session) == 1
    assert session.closed


def test_a_peer_that_never_logs_in_is_closed() -> None:
    session = server(bound=False)
    assert session.next_deadline() == 30.0
    session.tick(30.0)
    assert session.closed


# ---- submit ------------------------------------------------------------------------------


def test_a_submit_is_answered_with_its_own_sequence_as_id() -> None:
    joined = pair()
    key = joined.client.submit(fresh(Side.SP), 0.0, "context")
    assert key == (NODE, WORD, 1)
    joined.exchange()
    (received,) = joined.take(joined.server, ev.SubmitReceived)
    carrier_id = sgip.CARRIER.submit_id(received.pdu)
    joined.server.answer_submit(received.pdu, 0, carrier_id)
    joined.exchange()
    expected = f"{NODE:08x}{WORD:08x}00000001"
    assert carrier_id == expected
    assert joined.take(joined.client, ev.SubmitAnswered) == [
        ev.SubmitAnswered("context", 0, expected)
    ]
    assert len(joined.client.window) == 0


def test_a_refused_submit_has_no_id() -> None:
    session = client()
    session.submit(fresh(Side.SP), 0.0, "context")
    session.receive_data(sgip.SubmitResp(NODE, WORD, 1, 33).encode(), 0.0)
    assert session.events() == [ev.SubmitAnswered("context", 33, "")]


@pytest.mark.parametrize("count", [0, 101])
def test_a_submit_for_nobody_or_too_many_is_answered_with_5(count: int) -> None:
    session = server()
    submit = sgip.Submit(7, 8, 9, user_number=["8613000001001"] * count)
    session.receive_data(submit.encode(), 0.0)
    assert sent(session) == [sgip.SubmitResp(7, 8, 9, 5)]
    assert session.events() == []
    assert session.bound


@pytest.mark.parametrize("count", [1, 100])
def test_a_submit_for_up_to_100_is_handed_out(count: int) -> None:
    session = server()
    submit = sgip.Submit(7, 8, 9, user_number=["8613000001001"] * count)
    session.receive_data(submit.encode(), 0.0)
    assert session.events() == [ev.SubmitReceived(submit)]


@pytest.mark.parametrize("words", [(NODE, 0, 1), (1, 7, 1), (0, 0, 1)])
def test_an_answer_is_matched_by_its_counter_when_the_other_words_differ(
    words: tuple[int, int, int],
) -> None:
    session = client()
    session.submit(fresh(Side.SP), 0.0, "context")
    session.receive_data(sgip.SubmitResp(*words, 0).encode(), 0.0)
    own = sequence_text((NODE, WORD, 1))
    assert session.events() == [ev.SubmitAnswered("context", 0, own)]


@pytest.mark.parametrize("counter", [0, 1, 77])
def test_an_answer_to_nothing_open_is_dropped(counter: int) -> None:
    session = client()
    session.submit(fresh(Side.SP), 0.0, "context")
    session.receive_data(sgip.SubmitResp(NODE, WORD, 1).encode(), 0.0)
    session.events()
    session.receive_data(sgip.SubmitResp(NODE, 0, counter).encode(), 0.0)
    assert session.events() == [ev.PeerMistake("SGIP_SUBMIT_RESP answers nothing we asked")]
    assert session.bound


def test_open_requests_stay_findable_by_counter_however_many_were_sent() -> None:
    session = client(window=3)
    session.submit(fresh(Side.SP), 0.0, "oldest")
    for counter in range(2, 40):
        session.submit(fresh(Side.SP), 0.0, counter)
        session.receive_data(sgip.SubmitResp(NODE, WORD, counter).encode(), 0.0)
    session.events()
    session.receive_data(sgip.SubmitResp(0, 0, 1).encode(), 0.0)
    own = sequence_text((NODE, WORD, 1))
    assert session.events() == [ev.SubmitAnswered("oldest", 0, own)]


def test_a_lost_answer_still_tells_the_id_and_may_come_late() -> None:
    session = client()
    session.submit(fresh(Side.SP), 0.0, "context")
    assert session.next_deadline() == 30.0
    session.tick(30.0)
    own = sequence_text((NODE, WORD, 1))
    assert session.events() == [ev.ResponseLost((NODE, WORD, 1), "context", own)]
    session.receive_data(sgip.SubmitResp(NODE, WORD, 1).encode(), 31.0)
    assert session.events() == [ev.SubmitAnswered("context", 0, own, late=True)]


def test_a_submit_that_never_left_has_no_id() -> None:
    session = client()
    session.submit(fresh(Side.SP), 0.0, "context")
    session.connection_lost(1.0)
    assert session.events() == [
        ev.ResponseLost((NODE, WORD, 1), "context", written=False),
    ]


def test_a_lost_connection_resolves_what_is_open() -> None:
    session = client()
    session.submit(fresh(Side.SP), 0.0, "context")
    session.data_to_send()
    session.connection_lost(1.0)
    own = sequence_text((NODE, WORD, 1))
    assert session.events() == [ev.ResponseLost((NODE, WORD, 1), "context", own)]
    assert session.next_deadline() is None


def test_a_full_window_refuses_the_next_submit() -> None:
    session = client()
    for _ in range(32):
        session.submit(fresh(Side.SP), 0.0)
    with pytest.raises(WindowFull, match="limit 32"):
        session.submit(fresh(Side.SP), 0.0)


# ---- deliver, report, user report --------------------------------------------------------


def test_a_deliver_and_a_report_are_acknowledged_with_all_three_words() -> None:
    joined = pair(Side.GATEWAY)
    joined.client.submit(fresh(Side.GATEWAY), 0.0, "mo")
    joined.client.submit(sgip.Report(submit_sequence_counter=2), 0.0, "report")
    joined.exchange()
    mo, report = joined.server_events
    joined.server_events = []
    assert isinstance(mo, ev.MoReceived)
    assert isinstance(report, ev.ReportReceived)
    assert mo.octets == mo.pdu.encode()
    assert report.octets == report.pdu.encode()
    joined.server.acknowledge(mo.pdu)
    joined.server.acknowledge(report.pdu, 5)
    written = joined.server.data_to_send()
    assert [sgip.decode(frame) for frame in sgip.Framer().split(written)] == [
        sgip.DeliverResp(NODE, WORD, 1, 0),
        sgip.ReportResp(NODE, WORD, 2, 5),
    ]
    joined.client.receive_data(written, 0.0)
    joined.collect()
    assert joined.take(joined.client, ev.DeliverAnswered) == [
        ev.DeliverAnswered("mo", 0),
        ev.DeliverAnswered("report", 5),
    ]


def test_a_user_report_is_answered_at_once_and_needs_nobody() -> None:
    joined = pair(Side.GATEWAY)
    joined.client.submit(sgip.UserRpt(user_condition=1), 0.0, "user report")
    joined.exchange()
    assert joined.server_events == []
    assert joined.take(joined.client, ev.DeliverAnswered) == [ev.DeliverAnswered("user report", 0)]


def test_an_answer_to_no_deliver_is_dropped() -> None:
    session = client(Side.GATEWAY)
    session.receive_data(sgip.DeliverResp(1, 2, 3).encode(), 0.0)
    assert session.events() == [ev.PeerMistake("SGIP_DELIVER_RESP answers nothing we asked")]


# ---- what is not for us ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "side", "cls"),
    [
        (server, Side.GATEWAY, sgip.Deliver),
        (server, Side.GATEWAY, sgip.Report),
        (server, Side.GATEWAY, sgip.AddSp),
        (server, Side.SP, sgip.Submit),
        (server, Side.SP, sgip.QueryRoute),
        (server, Side.SP, sgip.CheckUser),
        (client, Side.SP, sgip.Bind),
        (client, Side.SP, sgip.Deliver),
        (client, Side.GATEWAY, sgip.Submit),
    ],
    ids=lambda value: getattr(value, "command", None),
)
def test_a_command_that_is_not_served_is_answered_with_7(
    make: Callable[[Side], sgip.SgipSession], side: Side, cls: type[Pdu]
) -> None:
    session = make(side)
    session.receive_data(cls(7, 8, 9).encode(), 0.0)  # type: ignore[call-arg]
    assert result_of(session) == 7
    (mistake,) = session.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert f"{cls.command} is not for the" in mistake.problem
    assert session.bound


def test_a_response_nobody_asked_for_is_dropped() -> None:
    session = server()
    session.receive_data(sgip.SubmitResp(7, 8, 9).encode(), 0.0)
    assert sent(session) == []
    assert session.bound


@pytest.mark.parametrize("make", [server, client])
def test_an_unknown_command_breaks_the_connection(make: Callable[[], sgip.SgipSession]) -> None:
    session = make()
    session.receive_data(vector("sgip", "bad_unknown_command").octets, 0.0)
    assert sent(session) == []
    (failed,) = session.events()
    assert isinstance(failed, ev.SessionFailed)
    assert "unknown command" in failed.reason
    assert session.closed


def test_an_unreadable_command_is_answered_with_8_and_breaks_the_connection() -> None:
    session = server()
    octets = vector("sgip", "bad_message_length_huge").octets
    session.receive_data(octets, 0.0)
    (answer,) = sent(session)
    assert isinstance(answer, sgip.SubmitResp)
    assert answer.result == 8
    assert answer.encode()[8:20] == octets[8:20]
    assert session.closed


def test_an_unreadable_login_breaks_the_connection_unanswered() -> None:
    session = server(bound=False)
    session.receive_data(vector("sgip", "bad_bind_truncated").octets, 0.0)
    assert sent(session) == []
    assert session.closed


def test_an_unreadable_response_breaks_the_connection() -> None:
    session = client()
    octets = sgip.SubmitResp(NODE, WORD, 1).encode()[:-1]
    session.receive_data(len(octets).to_bytes(4, "big") + octets[4:], 0.0)
    assert sent(session) == []
    assert session.closed


def test_an_http_request_breaks_the_connection() -> None:
    session = server(bound=False)
    session.receive_data(vector("sgip", "bad_length_huge").octets, 0.0)
    (failed,) = session.events()
    assert isinstance(failed, ev.SessionFailed)
    assert "'GET '" in failed.reason


# ---- the end -----------------------------------------------------------------------------


@pytest.mark.parametrize("side", [Side.SP, Side.GATEWAY])
def test_an_unbind_is_answered_and_ends_both(side: Side) -> None:
    joined = pair(side)
    joined.client.unbind(0.0)
    joined.exchange()
    assert joined.take(joined.client, ev.Unbound) == [ev.Unbound(by_peer=False)]
    assert joined.take(joined.server, ev.Unbound) == [ev.Unbound(by_peer=True)]
    assert joined.client.closed
    assert joined.server.closed


@pytest.mark.parametrize("name", ["unbind_resp", "unbind_resp_with_body"])
def test_an_unbind_answer_may_have_any_sequence_and_a_body(name: str) -> None:
    session = client()
    session.unbind(0.0)
    session.receive_data(vector("sgip", name).octets, 0.0)
    assert session.events() == [ev.Unbound(by_peer=False)]
    assert session.closed


def test_an_unbind_answer_out_of_the_blue_is_dropped() -> None:
    session = client()
    session.receive_data(vector("sgip", "unbind_resp").octets, 0.0)
    assert session.events() == [ev.PeerMistake("SGIP_UNBIND_RESP answers nothing we asked")]
    assert session.bound


def test_a_server_may_unbind_its_client() -> None:
    session = client()
    session.receive_data(sgip.Unbind(7, 8, 9).encode(), 0.0)
    assert sent(session) == [sgip.UnbindResp(7, 8, 9)]
    assert session.events() == [ev.Unbound(by_peer=True)]


def test_a_server_ends_without_sending_a_command() -> None:
    session = server()
    session.unbind(0.0)
    assert session.data_to_send() == b""
    assert session.events() == [ev.Unbound(by_peer=False)]
    with pytest.raises(LocalProtocolError):
        session.unbind(0.0)


def test_an_idle_client_unbinds() -> None:
    joined = pair()
    assert joined.client.next_deadline() == 30.0
    joined.advance(29.9)
    assert joined.client.bound
    joined.advance(0.1)
    assert joined.take(joined.client, ev.Unbound) == [ev.Unbound(by_peer=False)]
    assert joined.take(joined.server, ev.Unbound) == [ev.Unbound(by_peer=True)]


def test_a_client_with_an_open_request_is_not_idle() -> None:
    session = client(idle_timeout=10.0)
    session.submit(fresh(Side.SP), 9.0)
    session.tick(10.0)
    assert session.bound
    assert session.next_deadline() == 39.0
    session.receive_data(sgip.SubmitResp(NODE, WORD, 1).encode(), 12.0)
    assert session.next_deadline() == 22.0
    session.tick(21.9)
    assert session.bound
    session.tick(22.0)
    assert session.state is State.UNBINDING


def test_a_client_is_idle_once_its_last_request_was_given_up() -> None:
    session = client(idle_timeout=10.0)
    session.submit(fresh(Side.SP), 0.0)
    session.tick(30.0)
    assert session.bound
    assert session.next_deadline() == 40.0
    session.tick(40.0)
    assert session.state is State.UNBINDING
    assert session.next_deadline() == 70.0
    session.tick(70.0)
    assert session.closed


def test_a_client_may_hold_its_connection() -> None:
    session = client(idle_timeout=0.0)
    assert session.next_deadline() is None
    session.tick(1e6)
    assert session.bound


@pytest.mark.parametrize("side", [Side.GATEWAY, Side.SP])
def test_a_silent_client_is_closed_by_the_server(side: Side) -> None:
    session = server(side)
    assert session.next_deadline() == 60.0
    session.receive_data(ASKS[Side.SP if side is Side.GATEWAY else Side.GATEWAY].encode(), 5.0)
    session.events()
    session.tick(60.0)
    assert session.bound
    session.tick(65.0)
    assert session.data_to_send() == b""
    assert session.events() == [ev.Unbound(by_peer=False)]
    assert session.closed


def test_a_server_may_wait_for_ever() -> None:
    session = server()
    session.account.server_idle_timeout = 0.0
    assert session.next_deadline() is None


# ---- sequences ---------------------------------------------------------------------------


def test_all_binds_of_an_account_count_together() -> None:
    shared = account()
    binds = [sgip.SgipSession(shared, Role.CLIENT, Side.SP, lambda: WALL) for _ in range(3)]
    taken = [bind.next_sequence(sgip.Unbind()) for _ in range(10) for bind in binds]
    assert len(set(taken)) == 30
    assert sorted(counter for _, _, counter in taken) == list(range(30))


def test_a_session_never_writes_the_second_it_began_in() -> None:
    times = [WALL + timedelta(milliseconds=ms) for ms in (0, 400, 999, 1000, 2000, 1500)]
    clock = iter(times)
    session = sgip.SgipSession(account(), Role.CLIENT, Side.SP, lambda: next(clock))
    words = [session.next_sequence(sgip.Unbind())[1] for _ in times]
    assert words == [WORD, WORD, WORD, WORD, WORD + 1, WORD]


def test_a_restart_within_a_second_repeats_nothing_even_with_the_same_counter() -> None:
    def process(begin: datetime, octets: int) -> set[tuple[int, int, int]]:
        times = iter(begin + timedelta(milliseconds=ms) for ms in range(octets))
        session = sgip.SgipSession(account(), Role.CLIENT, Side.SP, lambda: next(times))
        return {session.next_sequence(sgip.Unbind()) for _ in range(octets)}

    before = process(WALL, 1300)
    after = process(WALL + timedelta(milliseconds=1300), 1300)
    assert not before & after


def test_accounts_made_without_a_source_start_apart() -> None:
    accounts = [sgip.SgipAccount(name="901234", secret=SECRET) for _ in range(8)]
    starts = {each.sequences.next(0, WALL) for each in accounts}
    assert len(starts) == 8
    assert accounts[0] == accounts[1]  # the source is no setting


@pytest.mark.parametrize("node", [0, 3010092008, 0xFFFFFFFF])
def test_any_node_number_is_written(node: int) -> None:
    session = sgip.SgipSession(
        sgip.SgipAccount(name="901234", secret=SECRET, node=node),
        Role.CLIENT,
        Side.SP,
        lambda: WALL,
    )
    session.bind(0.0)
    (bind,) = sent(session)
    assert isinstance(bind, sgip.Bind)
    assert bind.sequence_node == node


def test_a_command_that_is_repeated_keeps_its_sequence() -> None:
    session = client()
    again = fresh(Side.SP)
    first = session.submit(again, 0.0)
    session.window.close(first)
    assert session.submit(again, 1.0) == first


def test_a_gateway_gives_up_a_silent_connection_after_its_idle_time():
    assert account().dead_after == 60.0
    assert account(server_idle_timeout=0.0).dead_after == 30.0
