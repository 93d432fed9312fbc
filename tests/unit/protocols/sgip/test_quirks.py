"""SGIP as gateways in the field speak it: a test for each way (sgip.md sections 11 and 13)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smsgw.model import Coding
from smsgw.protocols import events as ev
from smsgw.protocols import sgip
from smsgw.protocols.layout import Pdu
from smsgw.protocols.sgip.sequence import SequenceSource, sequence_text
from smsgw.protocols.states import Role, Side, State
from tests.support.session_pair import SECRET, WALL
from tests.support.vectors import vector

NODE = 0xFFFFFFFF
WORD = 512093016  # the second after WALL


def account(**settings: Any) -> sgip.SgipAccount:
    made = sgip.SgipAccount(name="901234", secret=SECRET, node=NODE, **settings)
    made.sequences = SequenceSource(0)
    return made


def client(**settings: Any) -> sgip.SgipSession:
    """Our bound connection to the SMG."""
    session = sgip.SgipSession(account(**settings), Role.CLIENT, Side.SP, lambda: WALL)
    session.connected(0.0)
    session.bind(0.0)
    session.receive_data(sgip.BindResp(NODE, WORD, 0).encode(), 0.0)
    session.events()
    session.data_to_send()
    return session


def listener(
    ours: sgip.SgipAccount | None = None, name: str = "smg", password: str = "pw"
) -> sgip.SgipSession:
    """A bound connection of the SMG to our listener."""
    secrets = {name: password}
    session = sgip.SgipSession(ours or account(), Role.SERVER, Side.SP, lambda: WALL, secrets.get)
    session.connected(0.0)
    session.receive_data(sgip.Bind(1, 2, 3, 2, name, password).encode(), 0.0)
    assert session.events() == [ev.PeerBound(name, "1.2")]
    session.data_to_send()
    return session


def gateway() -> sgip.SgipSession:
    """A bound connection of an SP to our gateway side."""
    session = sgip.SgipSession(account(), Role.SERVER, Side.GATEWAY, lambda: WALL, {"sp": "p"}.get)
    session.receive_data(sgip.Bind(1, 2, 3, 1, "sp", "p").encode(), 0.0)
    session.events()
    session.data_to_send()
    return session


def submit() -> sgip.Submit:
    return sgip.Submit(user_number=["8613000001001"], message_content=b"hi")


def sent(session: sgip.SgipSession) -> list[Pdu]:
    return [sgip.decode(frame) for frame in sgip.Framer().split(session.data_to_send())]


def longer(pdu: Pdu, tail: bytes) -> bytes:
    octets = pdu.encode() + tail
    return len(octets).to_bytes(4, "big") + octets[4:]


# ---- what a PDU holds beyond its layout --------------------------------------------------

MO = sgip.Deliver(7, 8, 9, "8613000001001", "10690001", message_content=b"hi")
REPORT = sgip.Report(7, 8, 10, 1, 2, 3, user_number="8613000001001")


@pytest.mark.parametrize(
    ("pdu", "kind"), [(MO, ev.MoReceived), (REPORT, ev.ReportReceived)], ids=["deliver", "report"]
)
def test_octets_after_reserve_are_ignored_and_told_once(pdu: Pdu, kind: type) -> None:
    session = listener()
    octets = longer(pdu, b"\0" * 13)
    session.receive_data(octets * 30, 1.0)
    told, *received = session.events()
    assert told == ev.PeerMistake(
        f"{pdu.command}: octets after Reserve are ignored, also from now on"
    )
    assert received == [kind(pdu, octets)] * 30
    assert session.bound
    session.acknowledge(received[0].pdu)
    assert [answer.result for answer in sent(session)] == [0]  # type: ignore[attr-defined]


def test_octets_after_the_reserve_of_a_submit_are_ignored_too() -> None:
    session = gateway()
    session.receive_data(vector("sgip", "bad_trailing_octets").octets, 1.0)
    told, received = session.events()
    assert isinstance(told, ev.PeerMistake)
    assert isinstance(received, ev.SubmitReceived)
    assert session.bound


def test_octets_after_the_reserve_of_a_login_are_ignored_too() -> None:
    session = sgip.SgipSession(account(), Role.SERVER, Side.SP, lambda: WALL, {"a": "b"}.get)
    session.receive_data(longer(sgip.Bind(1, 2, 3, 2, "a", "b"), b"\0\0"), 0.0)
    assert session.bound
    assert sent(session) == [sgip.BindResp(1, 2, 3, 0)]


def test_octets_too_many_do_not_open_the_door() -> None:
    session = sgip.SgipSession(account(), Role.SERVER, Side.SP, lambda: WALL, {"a": "b"}.get)
    session.receive_data(longer(MO, b"x"), 0.0)
    assert sent(session) == [sgip.DeliverResp(7, 8, 9, 1)]
    assert session.closed


def test_a_submit_whose_user_count_is_zero_is_answered_with_5_and_the_connection_stays() -> None:
    session = gateway()
    session.receive_data(vector("sgip", "bad_user_count_zero").octets, 0.0)
    (answer,) = sent(session)
    assert isinstance(answer, sgip.SubmitResp)
    assert answer.result == 5
    assert session.bound


def test_an_empty_content_is_an_empty_message() -> None:
    session = listener()
    session.receive_data(vector("sgip", "deliver_mo_empty").octets, 0.0)
    (received,) = session.events()
    assert isinstance(received, ev.MoReceived)
    assert sgip.CARRIER.from_deliver(received.pdu).content == b""


def test_a_customers_counter_may_step_and_wrap_as_it_likes() -> None:
    session = gateway()
    counters = [0, 0x1F, 0x3E, 99_999, 0, 0xFFFFFFFF, 1]
    for second, counter in enumerate(counters):
        submit = sgip.Submit(0, second, counter, user_number=["8613000001001"])
        session.receive_data(submit.encode(), 0.0)
    taken = [event.pdu for event in session.events() if isinstance(event, ev.SubmitReceived)]
    assert [one.sequence_counter for one in taken] == counters  # type: ignore[attr-defined]


@pytest.mark.parametrize("coding", [0, 15])
def test_gbk_is_read_with_15_or_without(coding: int) -> None:
    text = "同意".encode("gbk")
    plain = sgip.Deliver(message_coding=coding, message_content=text)
    assert sgip.CARRIER.from_deliver(plain).coding == Coding.GBK
    part = sgip.Deliver(message_coding=coding, tp_udhi=1, message_content=b"\5\0\3\7\2\1" + text)
    assert sgip.CARRIER.from_deliver(part).coding == Coding.GBK


def test_a_report_under_the_command_id_of_deliver_is_taken_as_a_report() -> None:
    session = listener()
    octets = REPORT.encode()
    octets = octets[:4] + sgip.Deliver.command_id.to_bytes(4, "big") + octets[8:]
    session.receive_data(octets * 2, 1.0)
    told, first, second = session.events()
    assert isinstance(told, ev.PeerMistake)
    assert isinstance(first, ev.ReportReceived)
    assert isinstance(second, ev.ReportReceived)
    assert sgip.CARRIER.is_report(first.pdu)
    assert sgip.CARRIER.from_report(first.pdu) == sgip.CARRIER.from_report(REPORT)
    session.acknowledge(first.pdu)
    assert sent(session) == [sgip.DeliverResp(7, 8, 10, 0)]


# ---- connections that the SMG opens ------------------------------------------------------


def test_an_smg_that_logs_in_with_nothing_is_let_in_where_the_listener_says_so() -> None:
    session = listener(account(), "", "")
    session.receive_data(MO.encode(), 1.0)
    assert session.events() == [ev.MoReceived(MO, MO.encode())]


@pytest.mark.parametrize(("name", "password"), [("", "x"), ("x", "")])
def test_an_smg_that_should_log_in_with_nothing_is_not_let_in_with_something(
    name: str, password: str
) -> None:
    session = sgip.SgipSession(account(), Role.SERVER, Side.SP, lambda: WALL, {"": ""}.get)
    session.receive_data(sgip.Bind(1, 2, 3, 2, name, password).encode(), 0.0)
    assert sent(session) == [sgip.BindResp(1, 2, 3, 1)]
    assert session.closed


def test_an_smg_may_hold_several_connections_at_once() -> None:
    ours = account()
    sessions = [listener(ours) for _ in range(3)]
    for number, session in enumerate(sessions):
        session.receive_data(sgip.Report(7, 8, number, NODE, WORD, number).encode(), 1.0)
    ids = []
    for session in sessions:
        (received,) = session.events()
        assert isinstance(received, ev.ReportReceived)
        ids.append(sgip.CARRIER.from_report(received.pdu).carrier_message_id)
    assert ids == [sequence_text((NODE, WORD, number)) for number in range(3)]
    sessions[1].connection_lost(2.0)
    assert [session.bound for session in sessions] == [True, False, True]


def test_a_silent_connection_of_the_smg_ends_when_the_listener_says_so() -> None:
    session = listener(account(server_idle_timeout=300.0))
    assert session.next_deadline() == 300.0
    session.tick(300.0)
    assert session.events() == [ev.Unbound(by_peer=False)]
    assert session.closed


def test_the_listener_waits_for_a_login_as_long_as_it_says() -> None:
    session = sgip.SgipSession(
        account(response_timeout=5.0), Role.SERVER, Side.SP, lambda: WALL, {}.get
    )
    session.connected(0.0)
    session.tick(4.9)
    assert not session.closed
    session.tick(5.0)
    assert session.closed


@pytest.mark.parametrize("node", [0, 3010092008, 0x80000000, 0xFFFFFFFF])
def test_a_report_finds_its_submit_by_the_submits_own_sequence_whatever_the_node(
    node: int,
) -> None:
    session = client()
    session.account.node = node
    key = session.submit(submit(), 0.0, "context")
    counter = key[2]  # type: ignore[index]
    session.data_to_send()
    session.receive_data(sgip.SubmitResp(node, WORD, counter).encode(), 1.0)
    (answer,) = session.events()
    assert isinstance(answer, ev.SubmitAnswered)
    inbound = listener()
    inbound.receive_data(sgip.Report(1, 1, 1, node, WORD, counter).encode(), 2.0)
    (received,) = inbound.events()
    assert isinstance(received, ev.ReportReceived)
    report = sgip.CARRIER.from_report(received.pdu)
    assert report.carrier_message_id == answer.carrier_message_id


def test_a_notice_about_a_users_contract_is_answered_and_kept_nowhere() -> None:
    session = listener()
    session.receive_data(sgip.UserRpt(7, 8, 9, user_condition=1).encode(), 1.0)
    assert sent(session) == [sgip.UserRptResp(7, 8, 9, 0)]
    assert session.events() == []


# ---- idle ends ---------------------------------------------------------------------------


def test_a_submit_written_when_the_gateway_closes_idle_is_unknown_and_its_id_is_known() -> None:
    session = client()
    session.submit(submit(), 60.0, "context")
    session.data_to_send()
    session.connection_lost(60.0)
    own = sequence_text((NODE, WORD, 1))
    assert session.events() == [ev.ResponseLost((NODE, WORD, 1), "context", own)]


def test_a_submit_written_when_the_gateway_unbinds_idle_is_unknown_and_its_id_is_known() -> None:
    session = client()
    session.submit(submit(), 60.0, "context")
    session.data_to_send()
    session.receive_data(sgip.Unbind(7, 8, 9).encode(), 60.0)
    assert sent(session) == [sgip.UnbindResp(7, 8, 9)]
    session.connection_lost(60.1)
    own = sequence_text((NODE, WORD, 1))
    assert session.events() == [
        ev.Unbound(by_peer=True),
        ev.ResponseLost((NODE, WORD, 1), "context", own),
    ]


def test_an_answer_that_comes_while_we_unbind_still_counts() -> None:
    session = client(idle_timeout=10.0)
    session.submit(submit(), 0.0, "context")
    session.data_to_send()
    session.tick(30.0)  # given up
    session.events()
    session.tick(40.0)
    assert session.state is State.UNBINDING
    session.receive_data(sgip.SubmitResp(NODE, WORD, 1).encode(), 40.1)
    own = sequence_text((NODE, WORD, 1))
    assert session.events() == [ev.SubmitAnswered("context", 0, own, late=True)]


# ---- sequences ---------------------------------------------------------------------------


def test_an_answer_with_the_counter_alone_finds_a_request_of_another_second() -> None:
    times = iter([WALL + timedelta(seconds=seconds) for seconds in (0, 10, 20)])
    session = sgip.SgipSession(account(), Role.CLIENT, Side.SP, lambda: next(times))
    session.bind(0.0)
    session.data_to_send()
    session.receive_data(sgip.BindResp(NODE, WORD, 0).encode(), 0.0)
    session.events()
    keys = []
    for context in ("first", "second"):
        keys.append(session.submit(submit(), 1.0, context))
        session.data_to_send()
    assert keys == [(NODE, WORD + 9, 1), (NODE, WORD + 19, 2)]
    session.receive_data(sgip.SubmitResp(0, 0, 1).encode(), 2.0)
    session.receive_data(sgip.SubmitResp(0, 0, 2).encode(), 2.0)
    assert session.events() == [
        ev.SubmitAnswered("first", 0, sequence_text(keys[0])),  # type: ignore[arg-type]
        ev.SubmitAnswered("second", 0, sequence_text(keys[1])),  # type: ignore[arg-type]
    ]


def test_a_repeated_command_is_still_found_by_its_counter_alone() -> None:
    session = client()
    again = sgip.Submit(NODE, 101000000, 77, user_number=["8613000001001"])
    assert session.submit(again, 0.0, "context") == (NODE, 101000000, 77)
    session.receive_data(sgip.SubmitResp(0, 0, 77).encode(), 1.0)
    own = sequence_text((NODE, 101000000, 77))
    assert session.events() == [ev.SubmitAnswered("context", 0, own)]


def test_an_answer_to_a_deliver_is_matched_by_its_counter_too() -> None:
    session = sgip.SgipSession(account(), Role.CLIENT, Side.GATEWAY, lambda: WALL)
    session.bind(0.0)
    session.receive_data(sgip.BindResp(NODE, WORD, 0).encode(), 0.0)
    session.events()
    session.submit(sgip.Deliver(), 0.0, "mo")
    session.receive_data(sgip.DeliverResp(0, 0, 1).encode(), 1.0)
    assert session.events() == [ev.DeliverAnswered("mo", 0)]


def test_a_batch_asks_the_clock_once_and_repeats_nothing() -> None:
    asked = []

    def wall() -> Any:
        asked.append(None)
        return WALL

    session = client(window=64)
    session.wall = wall
    keys = {session.submit(submit(), 0.0) for _ in range(30)}
    assert (len(keys), len(asked)) == (30, 1)
    session.data_to_send()
    session.submit(submit(), 0.0)
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["unbind_resp", "unbind_resp_with_body"])
def test_an_unbind_answer_of_29_octets_or_with_another_sequence_is_one(name: str) -> None:
    session = client()
    session.unbind(0.0)
    session.receive_data(vector("sgip", name).octets, 0.0)
    assert session.closed


# ---- results -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [11, 33, 77, 88])
def test_too_fast_in_any_of_its_codes_is_retried_as_a_throttle(code: int) -> None:
    result = sgip.classify(code)
    assert (result.disposition.value, result.kind.value) == ("retry", "throttle")


def test_a_daily_limit_is_retried_as_a_quota() -> None:
    result = sgip.classify(182)
    assert (result.disposition.value, result.kind.value) == ("retry", "quota")


@pytest.mark.parametrize(("code", "kind"), [(69, "bad number"), (50, "content"), (76, "content")])
def test_a_blacklisted_number_or_text_is_final(code: int, kind: str) -> None:
    result = sgip.classify(code)
    assert (result.disposition.value, result.kind.value) == ("final", kind)
