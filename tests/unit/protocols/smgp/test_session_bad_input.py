"""What an SMGP session does with octets that should not be (smgp.md section 12, bad input)."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from smsgw.protocols import events as ev
from smsgw.protocols import smgp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import MISTAKES_MAX
from tests.support.smgp_sessions import (
    account,
    answers,
    bound,
    bound_client,
    bound_server,
    login,
    server_session,
    submit,
)
from tests.support.vectors import vector


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"dest_term_id": []}, 47),
        ({"dest_term_id": ["13300001111"] * 101}, 47),
        ({"msg_type": 5}, 30),
        ({"priority": 4}, 31),
        ({"fee_type": "04"}, 32),
        ({"msg_format": 1}, 34),
        ({"msg_content": bytes(141)}, 36),
    ],
)
def test_an_illegal_value_is_answered_with_the_code_of_its_field(
    fields: dict[str, Any], status: int
) -> None:
    session = bound_server()
    session.receive_data(submit(sequence_id=3, **fields).encode(), 0.0)
    assert answers(session) == [smgp.SubmitResp(3, bytes(10), status)]
    assert session.events() == []
    assert session.bound


@pytest.mark.parametrize(
    "fields",
    [
        {"dest_term_id": ["13300001111"] * 100},
        {"msg_content": bytes(140)},
        {"msg_content": bytes(255), "msg_type": 7},
        {"msg_format": 246},
    ],
)
def test_legal_extremes_are_taken(fields: dict[str, Any]) -> None:
    session = bound_server()
    session.receive_data(submit(**fields).encode(), 0.0)
    assert isinstance(session.events()[0], ev.SubmitReceived)


def test_the_longest_content_is_a_setting() -> None:
    joined = bound(server=account(content_octets_max=200))
    joined.client.submit(submit(msg_content=bytes(200)), joined.now)
    joined.exchange()
    assert len(joined.take(joined.server, ev.SubmitReceived)) == 1


@pytest.mark.parametrize("name", ["bad_dest_count_exceeds_body", "bad_msg_length_exceeds_body"])
@pytest.mark.parametrize("version", ["1.3", "3.0"])
def test_a_submit_whose_fields_run_past_its_end_is_a_structure_error(
    name: str, version: str
) -> None:
    session = bound_server(version="3.0")
    session.version = version
    raw = vector("smgp", name).octets
    if version == "1.3":
        raw = b"\0\0\0\x8f" + raw[4:33] + raw[39:]  # without FixedFee
    session.receive_data(raw, 0.0)
    assert answers(session) == [smgp.SubmitResp(0x700, bytes(10), 10)]
    assert session.bound


def test_a_deliver_that_ends_before_its_content_is_a_structure_error() -> None:
    raw = smgp.Deliver(sequence_id=9).encode()[:80]
    session = bound_client()
    session.receive_data(len(raw).to_bytes(4, "big") + raw[4:], 0.0)
    assert answers(session) == [smgp.DeliverResp(9, bytes(10), 10)]
    assert session.bound


def test_a_malformed_login_is_a_structure_error_and_closes() -> None:
    session = server_session()
    session.receive_data(vector("smgp", "bad_login_truncated").octets, 0.0)
    assert answers(session) == [smgp.LoginResp(1, 10, bytes(16), 0x30)]
    assert session.events()[-1] == ev.BindRefused(10, "structure error")
    assert session.closed


@pytest.mark.parametrize(
    ("raw", "answer_id", "sequence"),
    [
        (vector("smgp", "bad_unknown_request_id").octets, 0x8000007F, 1),
        (vector("smgp", "query_te_route").octets, 0x80000008, 1280),
        (smgp.Query(sequence_id=6).encode(), 0x80000007, 6),
    ],
    ids=["unknown", "for name servers only", "query"],
)
@pytest.mark.parametrize("make", [bound_client, bound_server])
def test_a_request_that_is_not_ours_to_answer_is_a_wrong_command(
    make: Any, raw: bytes, answer_id: int, sequence: int
) -> None:
    session = make()
    session.receive_data(raw, 0.0)
    assert session.data_to_send() == struct.pack(">4I", 16, answer_id, sequence, 11)
    (mistake,) = session.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert session.bound


@pytest.mark.parametrize(
    ("make", "request_pdu", "answer"),
    [
        (bound_client, submit(sequence_id=4), smgp.SubmitResp(4, bytes(10), 11)),
        (bound_client, login(sequence_id=4), smgp.LoginResp(4, 11, bytes(16), 0x30)),
        (bound_server, smgp.Deliver(sequence_id=4), smgp.DeliverResp(4, bytes(10), 11)),
    ],
)
def test_the_other_sides_request_is_a_wrong_command(
    make: Any, request_pdu: Pdu, answer: Pdu
) -> None:
    session = make()
    session.receive_data(request_pdu.encode(), 0.0)
    assert answers(session) == [answer]
    (mistake,) = session.events()
    assert "is not for the" in mistake.problem
    assert session.bound


def test_an_unknown_answer_is_dropped() -> None:
    session = bound_client()
    session.receive_data(struct.pack(">4I", 16, 0x8000007F, 1, 0), 0.0)
    assert session.data_to_send() == b""
    assert len(session.events()) == 1
    assert session.bound


def test_a_malformed_heartbeat_is_not_answered() -> None:
    session = bound_client()
    session.receive_data(struct.pack(">3IB", 13, 4, 1, 0), 0.0)
    assert session.data_to_send() == b""
    assert session.bound


def test_an_impossible_length_ends_the_session() -> None:
    session = bound_server()
    session.receive_data(vector("smgp", "bad_packet_length_huge").octets, 0.0)
    (failed,) = session.events()
    assert isinstance(failed, ev.SessionFailed)
    assert session.closed


# ---- octets after Reserve that are no TLVs -------------------------------------------------


@pytest.mark.parametrize("name", ["bad_tlv_header_truncated", "bad_tlv_value_truncated"])
def test_a_submit_with_a_strange_tail_is_taken_without_it(name: str) -> None:
    session = bound_server()
    session.receive_data(vector("smgp", name).octets, 0.0)
    mistake, received = session.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert isinstance(received, ev.SubmitReceived)
    assert isinstance(received.pdu, smgp.Submit30)
    assert received.pdu.tlvs == []
    assert received.pdu.msg_content == b"hi"
    assert session.data_to_send() == b""


def with_tail(pdu: Pdu, tail: bytes) -> bytes:
    raw = pdu.encode() + tail
    return len(raw).to_bytes(4, "big") + raw[4:]


def test_the_whole_tlvs_before_a_cut_one_are_kept() -> None:
    good = smgp.Deliver(sequence_id=8, msg_content=b"hi", tlvs=[Tlv(2, b"\1")])
    raw = with_tail(good, b"\0\3\0\x14abc")
    session = bound_client()
    session.receive_data(raw + raw, 0.0)
    mistake, first, second = session.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert first == second == ev.MoReceived(good, raw)


def test_a_peer_that_always_sends_a_strange_tail_is_told_of_once_and_kept() -> None:
    session = bound_client()
    raw = with_tail(smgp.Deliver(), b"\0\1\2\1")
    for _ in range(50):
        session.receive_data(raw, 0.0)
    events = session.events()
    assert sum(isinstance(event, ev.MoReceived) for event in events) == 50
    assert sum(isinstance(event, ev.PeerMistake) for event in events) == 1
    assert session.bound


def test_a_strange_tail_before_the_login_does_not_open_the_door() -> None:
    session = server_session()
    session.receive_data(with_tail(submit(sequence_id=2), b"\0"), 0.0)
    assert answers(session) == [smgp.SubmitResp(2, bytes(10), 11)]
    assert session.closed


def test_a_peer_that_only_asks_what_is_not_its_to_ask_is_given_up() -> None:
    session = bound_client()
    session.events()
    session.receive_data(submit(sequence_id=3).encode() * (MISTAKES_MAX + 5), 1.0)
    assert session.closed
    told = session.events()
    assert len(told) == MISTAKES_MAX + 1
    assert told[-1] == ev.SessionFailed(f"{MISTAKES_MAX} PDUs in a row that cannot be used")
