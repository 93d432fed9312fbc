"""SMPP sessions and peers that break the rules."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.protocols import events as ev
from smsgw.protocols import smpp
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import MISTAKES_MAX
from smsgw.protocols.smpp import pdus
from tests.support.smpp_sessions import (
    answers,
    bound_client,
    bound_server,
    client_session,
    server_session,
    submit,
)
from tests.support.vectors import vector


@pytest.mark.parametrize(
    ("name", "status", "sequence"),
    [
        ("bad_unknown_command", 3, 1),
        ("bad_sm_length_exceeds_body", 2, 8),
        ("bad_enquire_link_with_body", 2, 1),
    ],
)
def test_what_cannot_be_read_is_nacked_and_the_session_goes_on(
    name: str, status: int, sequence: int
) -> None:
    session = bound_server()
    session.receive_data(vector("smpp", name).octets, 0.0)
    assert answers(session) == [smpp.GenericNack(status, sequence)]
    (mistake,) = session.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert session.bound


def test_an_answer_that_cannot_be_read_is_only_told() -> None:
    session = bound_client()
    session.submit(submit(), 0.0, "ctx")
    session.data_to_send()
    raw = smpp.SubmitSmResp(0, 2, "x" * 30).encode()
    session.receive_data((18).to_bytes(4, "big") + raw[4:18], 0.0)
    (mistake,) = session.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert session.data_to_send() == b""
    assert len(session.window) == 1


def test_a_login_that_cannot_be_read_is_nacked_and_closed() -> None:
    session = server_session()
    session.receive_data(vector("smpp", "bad_bind_truncated").octets, 0.0)
    assert answers(session) == [smpp.GenericNack(2, 3)]
    mistake, refused = session.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert refused == ev.BindRefused(2, "invalid command length", ev.RefusalKind.VERSION)
    assert session.closed


def test_a_login_that_cannot_be_read_means_nothing_to_a_client() -> None:
    session = bound_client()
    session.receive_data(vector("smpp", "bad_bind_truncated").octets, 0.0)
    assert answers(session) == [smpp.GenericNack(2, 3)]
    assert session.bound


def test_anything_unreadable_before_a_login_ends_the_session() -> None:
    session = server_session()
    session.receive_data(vector("smpp", "bad_unknown_command").octets, 0.0)
    assert answers(session) == [smpp.GenericNack(3, 1)]
    assert session.events()[-1] == ev.SessionFailed("0x00000077 while open")


@pytest.mark.parametrize(
    ("pdu", "answer"),
    [
        (smpp.SubmitSm(0, 9), pdus.SubmitSmRespBare(4, 9)),
        (smpp.QuerySm(0, 9), pdus.QuerySmRespBare(4, 9)),
        (smpp.DeliverSm(0, 9), pdus.DeliverSmRespBare(4, 9)),
    ],
    ids=lambda pdu: pdu.command,
)
def test_a_request_before_the_login_is_answered_and_ends_the_session(pdu: Pdu, answer: Pdu) -> None:
    session = server_session()
    session.receive_data(pdu.encode(), 0.0)
    assert answers(session) == [answer]
    assert session.events() == [ev.SessionFailed(f"{pdu.command} while open")]


def test_a_delivery_before_the_login_is_answered_ends_the_session() -> None:
    session = client_session()
    session.data_to_send()
    session.receive_data(smpp.DeliverSm(0, 9).encode(), 0.0)
    assert answers(session) == [pdus.DeliverSmRespBare(4, 9)]
    assert session.events() == [ev.SessionFailed("deliver_sm while binding")]


@pytest.mark.parametrize("cls", [smpp.SubmitSm, smpp.BindTransceiver, smpp.CancelSm])
def test_what_only_the_other_side_may_send_is_refused(cls: type[Any]) -> None:
    session = bound_client()
    session.receive_data(cls(0, 9).encode(), 0.0)
    (answer,) = answers(session)
    assert answer.command == f"{cls.command}_resp"
    assert answer.command_status == 4  # type: ignore[attr-defined]
    assert session.events() == [ev.PeerMistake(f"{cls.command} is not for the sp side")]
    assert session.bound


@pytest.mark.parametrize("tail", [b"\2\x0c\0", b"\2\x0c\0\2\1"])
def test_a_tail_that_is_no_parameter_is_told_once_and_ignored(tail: bytes) -> None:
    session = bound_client()
    for sequence in (5, 6):
        raw = smpp.DeliverSm(0, sequence, short_message=b"YES").encode() + tail
        raw = len(raw).to_bytes(4, "big") + raw[4:]
        session.receive_data(raw, 0.0)
        *told, received = session.events()
        assert len(told) == (sequence == 5)
        assert isinstance(received, ev.MoReceived)
        assert received.pdu == smpp.DeliverSm(0, sequence, short_message=b"YES")
        assert received.octets == raw


def test_a_tail_behind_an_answer_hides_no_id() -> None:
    session = bound_client()
    session.submit(submit(), 0.0, "ctx")
    raw = smpp.SubmitSmResp(0, 2, "42").encode() + b"\0"
    session.receive_data(len(raw).to_bytes(4, "big") + raw[4:], 0.0)
    assert session.events()[-1] == ev.SubmitAnswered("ctx", 0, "42")


def test_a_tail_behind_what_is_not_for_us_is_still_a_mistake() -> None:
    session = bound_client()
    session._mistakes = MISTAKES_MAX - 3
    raw = smpp.DeliverSmResp(0, 2, "42").encode() + b"\0"
    raw = len(raw).to_bytes(4, "big") + raw[4:]
    session.receive_data(raw, 0.0)
    assert session.events()[-1] == ev.PeerMistake("deliver_sm_resp is not for the sp side")
    raw = submit(sequence_number=7).encode() + b"\0"
    session.receive_data(len(raw).to_bytes(4, "big") + raw[4:], 0.0)
    assert session.events() == [ev.PeerMistake("submit_sm is not for the sp side")]
    assert session._mistakes == MISTAKES_MAX - 1


def test_a_bound_peer_whose_length_cannot_be_is_told_and_a_stranger_is_not() -> None:
    session = bound_server()
    session.receive_data(vector("smpp", "bad_length_huge").octets, 0.0)
    assert answers(session) == [smpp.GenericNack(2, 0)]
    (failed,) = session.events()
    assert failed == ev.SessionFailed("total length 2147483647, limit 16 to 69632")
    stranger = server_session()
    stranger.receive_data(b"GET / HTTP/1.1\r\n\r\n", 0.0)
    assert stranger.data_to_send() == b""
    assert stranger.closed
