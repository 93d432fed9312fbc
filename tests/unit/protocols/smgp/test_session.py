"""SMGP sessions: login, answers, heartbeat, end; both roles, no transport."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from smsgw.errors import WindowFull
from smsgw.protocols import events as ev
from smsgw.protocols import smgp
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smgp import auth, pdus
from smsgw.protocols.states import State
from tests.support.session_pair import SECRET
from tests.support.smgp_sessions import (
    NAME,
    account,
    answers,
    bound,
    bound_client,
    bound_server,
    client_session,
    login,
    pair,
    server_session,
    submit,
)
from tests.support.vectors import vector

MSG_ID = "01006101161700012345"

# ---- login ---------------------------------------------------------------------------------


def test_a_login_proves_itself_and_binds_both_sides() -> None:
    joined = pair()
    joined.bind()
    assert joined.take(joined.client, ev.Bound) == [ev.Bound("3.0")]
    assert joined.take(joined.server, ev.PeerBound) == [ev.PeerBound(NAME, "3.0")]


def test_the_login_is_the_specifications_example() -> None:
    case = vector("smgp", "login_30")
    session = server_session()
    session.secrets = {NAME: "aB3$k9Zq"}.get
    session.receive_data(case.octets, 0.0)
    assert session.data_to_send() == vector("smgp", "login_resp_30_ok").octets


@pytest.mark.parametrize(
    ("secrets", "fields"),
    [
        ({NAME: "other"}, {}),
        ({}, {}),
        ({NAME: SECRET}, {"authenticator_client": bytes(16)}),
    ],
    ids=["wrong secret", "no such account", "wrong digest"],
)
def test_a_login_that_proves_nothing_is_refused_and_closed(
    secrets: dict[str, str], fields: dict[str, Any]
) -> None:
    session = server_session()
    session.secrets = secrets.get
    session.receive_data(login(**fields).encode(), 0.0)
    assert answers(session) == [smgp.LoginResp(0, 21, bytes(16), 0x30)]
    assert session.events() == [ev.BindRefused(21, "authentication failed", ev.RefusalKind.SECRET)]
    assert session.closed


def test_a_refused_client_learns_why() -> None:
    joined = pair(secret="other")
    joined.bind()
    refused = joined.take(joined.client, ev.BindRefused)
    assert refused == [ev.BindRefused(21, "authentication failed", ev.RefusalKind.SECRET)]
    assert joined.client.closed


@pytest.mark.parametrize(
    ("octet", "ours", "spoken"),
    [
        (0x30, "3.0", "3.0"),
        (0x31, "3.0", "3.0"),
        (0x20, "3.0", "2.0"),
        (0x13, "3.0", "1.3"),
        (0x13, "1.3", "1.3"),
        (0x13, "2.0", "1.3"),
    ],
)
def test_the_lower_major_version_is_spoken(octet: int, ours: str, spoken: str) -> None:
    session = server_session(ours)
    session.receive_data(login(client_version=octet).encode(), 0.0)
    assert session.events() == [ev.PeerBound(NAME, spoken)]


@pytest.mark.parametrize(
    ("octet", "ours", "highest"),
    [(0x40, "3.0", 0x30), (0x30, "2.0", 0x20), (0x20, "1.3", 0x13), (0x00, "3.0", 0x30)],
)
def test_a_version_we_do_not_speak_is_answered_with_our_highest(
    octet: int, ours: str, highest: int
) -> None:
    session = server_session(ours)
    session.receive_data(login(client_version=octet).encode(), 0.0)
    assert answers(session) == [smgp.LoginResp(0, 22, bytes(16), highest)]
    assert session.events() == [ev.BindRefused(22, "version too high", ev.RefusalKind.VERSION)]


def test_a_client_whose_version_is_too_high_learns_what_to_set() -> None:
    joined = pair(server=account(version="2.0"))
    joined.bind()
    (refused,) = joined.take(joined.client, ev.BindRefused)
    assert refused.code == 22
    assert refused.text == (
        "version too high: the gateway speaks 2.0 at most; set version of this link to it"
    )


def test_a_reserved_login_mode_is_a_structure_error() -> None:
    session = server_session()
    session.receive_data(login(login_mode=3).encode(), 0.0)
    assert answers(session) == [smgp.LoginResp(0, 10, bytes(16), 0x30)]
    assert session.closed


def test_a_gateway_that_sends_zeros_for_its_proof_is_taken_with_a_warning() -> None:
    session = client_session()
    session.receive_data(smgp.LoginResp().encode(), 0.0)
    assert session.events() == [
        ev.Bound("3.0", "AuthenticatorServer does not match the shared secret")
    ]


def test_a_strict_account_refuses_such_a_gateway() -> None:
    session = client_session(strict_authenticator=True)
    session.receive_data(smgp.LoginResp().encode(), 0.0)
    problem = "AuthenticatorServer does not match the shared secret"
    assert session.events() == [ev.BindRefused(21, problem, ev.RefusalKind.SECRET)]
    assert session.closed


@pytest.mark.parametrize("strict", [True, False])
def test_a_lower_server_version_is_spoken_with_a_warning(strict: bool) -> None:
    session = client_session(strict_authenticator=strict)
    (request,) = answers(session)
    digest = auth.server_digest(0, request.authenticator_client, SECRET)  # type: ignore[attr-defined]
    session.receive_data(smgp.LoginResp(1, 0, digest, 0x13).encode(), 0.0)
    (event,) = session.events()
    assert event == ev.Bound("1.3", "the gateway speaks 1.3 at most, so 1.3 is spoken")
    assert session.version == "1.3"


def test_both_warnings_of_a_login_are_told() -> None:
    session = client_session()
    session.receive_data(smgp.LoginResp(server_version=0x20).encode(), 0.0)
    (event,) = session.events()
    assert isinstance(event, ev.Bound)
    assert "shared secret; the gateway speaks 2.0 at most" in event.warning


@pytest.mark.parametrize("octet", [0x00, 0x31, 0x40])
def test_an_odd_server_version_changes_nothing(octet: int) -> None:
    session = client_session()
    session.receive_data(smgp.LoginResp(server_version=octet).encode(), 0.0)
    assert session.version == "3.0"
    assert session.bound


def test_a_second_login_ends_the_session() -> None:
    session = bound_server()
    session.receive_data(login(sequence_id=7).encode(), 0.0)
    assert answers(session) == [smgp.LoginResp(7, 11, bytes(16), 0x30)]
    assert session.events() == [ev.SessionFailed("peer's bind while bound")]


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        (submit(sequence_id=5), smgp.SubmitResp(5, bytes(10), 11)),
        (smgp.Deliver(sequence_id=5), smgp.DeliverResp(5, bytes(10), 11)),
    ],
    ids=["submit", "deliver"],
)
def test_a_request_before_the_login_is_a_wrong_command_and_closes(
    request_pdu: Pdu, answer: Pdu
) -> None:
    session = server_session()
    session.receive_data(request_pdu.encode(), 0.0)
    assert answers(session) == [answer]
    assert session.closed


def test_an_unknown_request_before_the_login_is_answered_and_closes() -> None:
    session = server_session()
    session.receive_data(vector("smgp", "bad_unknown_request_id").octets, 0.0)
    assert session.data_to_send() == struct.pack(">4I", 16, 0x8000007F, 1, 11)
    assert isinstance(session.events()[-1], ev.SessionFailed)
    assert session.closed


def test_a_deliver_before_the_login_answer_is_a_wrong_command_and_closes() -> None:
    session = client_session()
    session.data_to_send()
    session.receive_data(smgp.Deliver(sequence_id=5).encode(), 0.0)
    assert answers(session) == [smgp.DeliverResp(5, bytes(10), 11)]
    assert session.closed


# ---- submit, deliver, receipt --------------------------------------------------------------


def test_a_submit_is_answered_with_the_id_its_receipts_name() -> None:
    joined = bound()
    joined.client.submit(submit(), joined.now, "first")
    joined.exchange()
    (received,) = joined.take(joined.server, ev.SubmitReceived)
    joined.server.answer_submit(received.pdu, 0, MSG_ID)
    joined.exchange()
    assert joined.take(joined.client, ev.SubmitAnswered) == [ev.SubmitAnswered("first", 0, MSG_ID)]


def test_a_refused_submit_has_no_id() -> None:
    joined = bound()
    joined.client.submit(submit(), joined.now, "first")
    joined.exchange()
    (received,) = joined.take(joined.server, ev.SubmitReceived)
    joined.server.answer_submit(received.pdu, 47)
    joined.exchange()
    assert joined.take(joined.client, ev.SubmitAnswered) == [ev.SubmitAnswered("first", 47, "")]


def test_an_answer_to_nothing_is_dropped() -> None:
    session = bound_client()
    session.receive_data(smgp.SubmitResp(99, bytes(10), 0).encode(), 0.0)
    assert session.events() == [ev.PeerMistake("SMGP_SUBMIT_RESP answers nothing we asked")]
    session = bound_server()
    session.receive_data(smgp.DeliverResp(99, bytes(10), 0).encode(), 0.0)
    assert session.events() == [ev.PeerMistake("SMGP_DELIVER_RESP answers nothing we asked")]


def test_an_mo_is_answered_with_its_own_id_once_it_is_acknowledged() -> None:
    joined = bound()
    mo = smgp.Deliver(msg_id=bytes.fromhex(MSG_ID), src_term_id="13300001111")
    joined.server.submit(mo, joined.now, "mo")
    joined.exchange()
    (received,) = joined.take(joined.client, ev.MoReceived)
    assert received.octets == mo.encode()
    assert joined.server_events == []
    joined.client.acknowledge(received.pdu)
    assert smgp.decode(joined.client.data_to_send()) == smgp.DeliverResp(1, mo.msg_id, 0)


def test_the_gateway_learns_how_its_deliver_was_answered() -> None:
    joined = bound()
    joined.server.submit(smgp.Deliver(is_report=1), joined.now, "report")
    joined.exchange()
    (received,) = joined.take(joined.client, ev.ReportReceived)
    joined.client.acknowledge(received.pdu, 1)
    joined.exchange()
    assert joined.take(joined.server, ev.DeliverAnswered) == [ev.DeliverAnswered("report", 1)]


def test_a_receipt_that_cannot_be_read_is_still_handed_out() -> None:
    session = bound_client()
    session.receive_data(vector("smgp", "bad_report_content_short").octets, 0.0)
    (received,) = session.events()
    assert isinstance(received, ev.ReportReceived)
    session.acknowledge(received.pdu)
    (answer,) = answers(session)
    assert answer.status == 0  # type: ignore[attr-defined]


def test_version_1_3_submits_are_read_in_their_own_layout() -> None:
    joined = bound(client=account(version="1.3"))
    pdu = smgp.Submit13(dest_term_id=["13300001111"])
    joined.client.submit(pdu, joined.now)
    joined.exchange()
    assert joined.take(joined.server, ev.SubmitReceived) == [ev.SubmitReceived(pdu)]


# ---- login mode ----------------------------------------------------------------------------


def test_a_submit_on_a_receive_only_connection_is_a_wrong_command() -> None:
    session = bound_server(mode=1)
    session.receive_data(submit(sequence_id=3).encode(), 0.0)
    assert answers(session) == [smgp.SubmitResp(3, bytes(10), 11)]
    assert session.bound


def test_nothing_is_sent_over_a_connection_that_does_not_carry_it() -> None:
    joined = bound(client=account(login_mode=1))
    with pytest.raises(WindowFull):
        joined.client.submit(submit(), joined.now)
    joined.server.submit(smgp.Deliver(), joined.now)

    joined = bound(client=account(login_mode=0))
    with pytest.raises(WindowFull):
        joined.server.submit(smgp.Deliver(), joined.now)
    joined.client.submit(submit(), joined.now)


def test_an_account_knows_its_directions() -> None:
    ways = [(one.sends, one.receives) for one in (account(login_mode=mode) for mode in range(3))]
    assert ways == [(True, False), (False, True), (True, True)]


def test_a_deliver_on_a_send_only_connection_is_taken_all_the_same() -> None:
    session = client_session(login_mode=0)
    session.receive_data(smgp.LoginResp().encode(), 0.0)
    session.receive_data(smgp.Deliver().encode(), 0.0)
    assert isinstance(session.events()[-1], ev.MoReceived)


# ---- heartbeat and end ---------------------------------------------------------------------


def test_a_heartbeat_is_sent_after_silence_and_answered() -> None:
    joined = bound()
    joined.advance(180)
    assert joined.client_events == []
    assert joined.server_events == []
    assert joined.client.bound


@pytest.mark.parametrize("extra", [b"", b"\0", b"\0\0\0\0"])
def test_any_heartbeat_answer_is_a_sign_of_life(extra: bytes) -> None:
    session = bound_client()
    session.tick(180.0)
    assert answers(session) == [smgp.ActiveTest(2)]
    raw = struct.pack(">3I", 12 + len(extra), 0x80000004, 0) + extra
    session.receive_data(raw, 181.0)
    assert session.events() == []
    assert session.next_deadline() == 361.0


def test_a_dead_peer_is_given_up_after_three_heartbeats() -> None:
    joined = bound()
    for seconds in (180, 60, 60, 60):
        joined.advance(seconds, connected=False)
    assert joined.client.closed
    assert joined.client_events == [ev.SessionFailed("3 heartbeats unanswered")]


def test_exit_ends_the_session_in_order() -> None:
    joined = bound()
    joined.client.unbind(joined.now)
    joined.exchange()
    assert joined.take(joined.client, ev.Unbound) == [ev.Unbound(by_peer=False)]
    assert joined.take(joined.server, ev.Unbound) == [ev.Unbound(by_peer=True)]
    assert joined.client.state is State.CLOSED


def test_the_gateway_may_end_the_session_too() -> None:
    joined = bound()
    joined.server.unbind(joined.now)
    assert smgp.decode(joined.server.data_to_send()) == pdus.Exit(1)


def test_sequences_wrap_to_zero() -> None:
    session = bound_client()
    session._sequence = 0xFFFFFFFF
    assert session.submit(submit(), 0.0) == 0
