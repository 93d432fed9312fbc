"""SMPP sessions: login, answers, heartbeat, end; both roles, no transport."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.protocols import events as ev
from smsgw.protocols import smpp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smpp import pdus
from tests.support.session_pair import SECRET
from tests.support.smpp_sessions import (
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

V34 = [Tlv(0x0210, b"\x34")]

BINDS = [
    ("transceiver", smpp.BindTransceiver, smpp.BindTransceiverResp),
    ("transmitter", smpp.BindTransmitter, smpp.BindTransmitterResp),
    ("receiver", smpp.BindReceiver, smpp.BindReceiverResp),
]
every_bind = pytest.mark.parametrize(("kind", "request_cls", "answer_cls"), BINDS)

# ---- login ---------------------------------------------------------------------------------


@every_bind
def test_a_login_binds_both_sides_the_way_the_account_says(
    kind: str, request_cls: type[Pdu], answer_cls: type[Any]
) -> None:
    joined = pair(client=account(bind_type=kind))
    joined.client.bind(0.0)
    octets = joined.client.data_to_send()
    assert isinstance(smpp.decode(octets), request_cls)
    joined.server.receive_data(octets, 0.0)
    octets = joined.server.data_to_send()
    assert smpp.decode(octets) == answer_cls(0, 1, NAME, V34)
    joined.client.receive_data(octets, 0.0)
    joined.collect()
    assert joined.take(joined.client, ev.Bound) == [ev.Bound("3.4")]
    assert joined.take(joined.server, ev.PeerBound) == [ev.PeerBound(NAME, "3.4")]


def test_the_login_says_what_the_contract_says() -> None:
    session = client_session(
        version="3.3", system_type="VMA", addr_ton=1, addr_npi=2, address_range="^1069"
    )
    (request,) = answers(session)
    assert request == smpp.BindTransceiver(0, 1, NAME, SECRET, "VMA", 0x33, 1, 2, "^1069")


@pytest.mark.parametrize(
    ("secrets", "fields", "status", "text"),
    [
        ({}, {}, 0x0F, "invalid system_id"),
        ({NAME: "other"}, {}, 0x0E, "invalid password"),
        ({NAME: SECRET}, {"password": ""}, 0x0E, "invalid password"),
    ],
)
def test_a_login_that_proves_nothing_is_refused_without_a_body_and_closed(
    secrets: dict[str, str], fields: dict[str, Any], status: int, text: str
) -> None:
    session = server_session()
    session.secrets = secrets.get
    session.receive_data(login(**fields).encode(), 0.0)
    assert answers(session) == [pdus.BindTransceiverRespBare(status, 1)]
    assert session.events() == [ev.BindRefused(status, text, ev.RefusalKind.SECRET)]
    assert session.closed


@every_bind
def test_a_refused_client_learns_why(
    kind: str, request_cls: type[Pdu], answer_cls: type[Any]
) -> None:
    joined = pair(client=account(bind_type=kind), secret="other")
    joined.bind()
    refused = ev.BindRefused(0x0E, "invalid password", ev.RefusalKind.SECRET)
    assert joined.take(joined.client, ev.BindRefused) == [refused]
    assert joined.client.closed


@pytest.mark.parametrize(
    ("octet", "ours", "spoken", "tlvs"),
    [
        (0x34, "3.4", "3.4", V34),
        (0x50, "3.4", "3.4", V34),
        (0x33, "3.4", "3.3", []),
        (0x00, "3.4", "3.3", []),
        (0x34, "3.3", "3.3", [Tlv(0x0210, b"\x33")]),
    ],
)
def test_the_lower_version_is_spoken_and_old_peers_get_no_parameters(
    octet: int, ours: str, spoken: str, tlvs: list[Tlv]
) -> None:
    session = server_session(version=ours)
    session.receive_data(login(interface_version=octet).encode(), 0.0)
    assert session.events() == [ev.PeerBound(NAME, spoken)]
    assert answers(session) == [smpp.BindTransceiverResp(0, 1, NAME, tlvs)]


@pytest.mark.parametrize(
    ("tlvs", "ours", "event"),
    [
        ([], "3.4", ev.Bound("3.4")),
        ([], "3.3", ev.Bound("3.3")),
        ([Tlv(0x0210, b"\x50")], "3.4", ev.Bound("3.4")),
        (
            [Tlv(0x0210, b"\x33")],
            "3.4",
            ev.Bound("3.3", "the SMSC speaks 3.3 at most, so 3.3 is spoken"),
        ),
        ([Tlv(0x0210, b"\x33")], "3.3", ev.Bound("3.3")),
    ],
)
def test_a_client_speaks_what_the_smsc_can(tlvs: list[Tlv], ours: str, event: ev.Bound) -> None:
    session = client_session(version=ours)
    session.receive_data(smpp.BindTransceiverResp(0, 1, "SMSC", tlvs).encode(), 0.0)
    assert session.events() == [event]
    assert session.version == event.version


def test_a_login_answered_without_a_body_is_good() -> None:
    session = client_session()
    session.receive_data(pdus.BindTransceiverRespBare(0, 1).encode(), 0.0)
    assert session.events() == [ev.Bound("3.4")]


def test_a_second_login_is_answered_and_ends_the_session() -> None:
    session = bound_server()
    session.receive_data(login(sequence_number=2).encode(), 0.0)
    assert answers(session) == [pdus.BindTransceiverRespBare(0x05, 2)]
    assert session.events() == [ev.SessionFailed("peer's bind while bound")]


def test_an_smsc_that_knows_no_transceiver_says_what_to_set() -> None:
    session = client_session()
    session.receive_data(smpp.GenericNack(3, 1).encode(), 0.0)
    assert session.events() == [
        ev.BindRefused(
            3,
            "invalid command id; the SMSC knows no bind_transceiver: "
            'set bind_type = "transmitter+receiver"',
            ev.RefusalKind.VERSION,
        )
    ]
    session = client_session(bind_type="receiver")
    session.receive_data(smpp.GenericNack(3, 1).encode(), 0.0)
    assert session.events() == [ev.BindRefused(3, "invalid command id", ev.RefusalKind.VERSION)]


# ---- submits -------------------------------------------------------------------------------


def test_sequences_begin_at_one_and_wrap_before_the_top_bit() -> None:
    session = bound_client()
    session._sequence = 0x7FFFFFFE
    assert [session.next_sequence(submit()) for _ in range(3)] == [0x7FFFFFFF, 1, 2]


def test_an_accepted_submit_brings_the_smscs_own_text_as_its_id() -> None:
    joined = bound()
    joined.client.submit(submit(), 0.0, "ctx")
    joined.exchange()
    (received,) = joined.take(joined.server, ev.SubmitReceived)
    joined.server.answer_submit(received.pdu, 0, "7220BB6B-x")
    joined.exchange()
    assert joined.take(joined.client, ev.SubmitAnswered) == [
        ev.SubmitAnswered("ctx", 0, "7220BB6B-x")
    ]


@pytest.mark.parametrize(
    "answer",
    [
        smpp.SubmitSmResp(0x58, 2),
        pdus.SubmitSmRespBare(0x58, 2),
        smpp.SubmitSmResp(0x58, 2, "ignored"),
        smpp.GenericNack(0x58, 2),
        smpp.DataSmResp(0x58, 2),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_a_refusal_brings_its_status_whatever_form_it_has(answer: Pdu) -> None:
    session = bound_client()
    session.submit(submit(), 0.0, "ctx")
    session.receive_data(answer.encode(), 0.0)
    assert session.events() == [ev.SubmitAnswered("ctx", 0x58, "")]


def test_a_nack_that_gives_no_reason_is_no_acceptance() -> None:
    session = bound_client()
    session.submit(submit(), 0.0, "ctx")
    session.receive_data(smpp.GenericNack(0, 2).encode(), 0.0)
    assert session.events() == [ev.SubmitAnswered("ctx", 3, "")]


def test_a_good_answer_without_a_body_is_an_acceptance_without_an_id() -> None:
    session = bound_client()
    session.submit(submit(), 0.0, "ctx")
    session.receive_data(pdus.SubmitSmRespBare(0, 2).encode(), 0.0)
    assert session.events() == [ev.SubmitAnswered("ctx", 0, "")]


def test_an_answer_to_nothing_is_a_mistake() -> None:
    session = bound_client()
    for answer in (smpp.SubmitSmResp(0, 9, "x"), smpp.GenericNack(2, 9), smpp.GenericNack(2, 0)):
        session.receive_data(answer.encode(), 0.0)
        assert session.events() == [ev.PeerMistake(f"{answer.command} answers nothing we asked")]
    server = bound_server()
    server.receive_data(smpp.DeliverSmResp(0, 9).encode(), 0.0)
    assert server.events() == [ev.PeerMistake("deliver_sm_resp answers nothing we asked")]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"destination_addr": ""}, 0x0B),
        ({"short_message": bytes(255)}, 0x01),
        ({"short_message": bytes(254)}, None),
    ],
)
def test_a_submit_that_cannot_be_is_refused_by_the_gateway(
    fields: dict[str, Any], status: int | None
) -> None:
    session = bound_server()
    session.receive_data(submit(sequence_number=2, **fields).encode(), 0.0)
    if status is None:
        assert [type(event) for event in session.events()] == [ev.SubmitReceived]
    else:
        assert answers(session) == [pdus.SubmitSmRespBare(status, 2)]
        assert session.events() == []


def test_data_sm_is_a_submit_and_answered_as_itself() -> None:
    session = bound_server()
    pdu = smpp.DataSm(0, 2, destination_addr="8613800001001", tlvs=[Tlv(0x0424, b"hello")])
    session.receive_data(pdu.encode(), 0.0)
    (received,) = session.events()
    assert received == ev.SubmitReceived(pdu)
    session.answer_submit(pdu, 0, "42")
    session.answer_submit(pdu, 0x14)
    assert answers(session) == [smpp.DataSmResp(0, 2, "42"), pdus.DataSmRespBare(0x14, 2)]


# ---- inbound -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [("deliver_sm_mo_gsm7", ev.MoReceived), ("deliver_sm_receipt", ev.ReportReceived)],
)
def test_a_delivery_is_answered_when_we_say_so(name: str, kind: type[Any]) -> None:
    session = bound_client()
    octets = vector("smpp", name).octets
    session.receive_data(octets, 0.0)
    (received,) = session.events()
    assert isinstance(received, kind)
    assert received.octets == octets
    assert answers(session) == []
    session.acknowledge(received.pdu)
    session.acknowledge(received.pdu, 0x64)
    sequence = octets[15]
    assert answers(session) == [
        smpp.DeliverSmResp(0, sequence),
        pdus.DeliverSmRespBare(0x64, sequence),
    ]


def test_data_sm_may_bring_a_receipt() -> None:
    session = bound_client()
    content = Tlv(0x0424, b"id:42 stat:DELIVRD")
    pdu = smpp.DataSm(0, 5, esm_class=4, tlvs=[content])
    session.receive_data(pdu.encode(), 0.0)
    assert session.events() == [ev.ReportReceived(pdu, pdu.encode())]
    session.acknowledge(pdu)
    assert answers(session) == [smpp.DataSmResp(0, 5)]


@pytest.mark.parametrize(
    "answer", [pdus.DeliverSmRespBare(0, 1), smpp.DeliverSmResp(0, 1, "whatever")]
)
def test_an_esme_may_answer_with_or_without_a_body(answer: Pdu) -> None:
    session = bound_server()
    session.submit(smpp.DeliverSm(), 0.0, "mo")
    session.receive_data(answer.encode(), 0.0)
    assert session.events() == [ev.DeliverAnswered("mo", 0)]


def test_a_nack_answers_a_delivery_too() -> None:
    session = bound_server()
    session.submit(smpp.DeliverSm(), 0.0, "mo")
    session.receive_data(smpp.GenericNack(2, 1).encode(), 0.0)
    assert session.events() == [ev.DeliverAnswered("mo", 2)]


@pytest.mark.parametrize(("alphabet", "coding"), [("gsm7", 0), ("ascii", 1), ("latin1", 3)])
def test_coding_0_is_named_by_what_it_means_to_this_smsc(alphabet: str, coding: int) -> None:
    client = bound_client(default_alphabet=alphabet)
    server = bound_server(default_alphabet=alphabet)
    client.receive_data(smpp.DeliverSm(short_message=b"@").encode(), 0.0)
    server.receive_data(submit(short_message=b"@").encode(), 0.0)
    for session in (client, server):
        (received,) = session.events()
        assert received.pdu.data_coding == coding  # type: ignore[union-attr]


def test_other_codings_keep_their_number() -> None:
    client = bound_client(default_alphabet="ascii")
    client.receive_data(smpp.DeliverSm(data_coding=8).encode(), 0.0)
    (received,) = client.events()
    assert received.pdu.data_coding == 8  # type: ignore[union-attr]


def test_an_alert_is_taken_without_an_answer() -> None:
    session = bound_client()
    session.receive_data(vector("smpp", "alert_notification").octets, 0.0)
    assert (session.events(), session.data_to_send()) == ([], b"")


# ---- keeping alive and ending --------------------------------------------------------------


def test_a_heartbeat_that_is_nacked_is_a_sign_of_life() -> None:
    session = bound_client(heartbeat_interval=30.0)
    for now in (30.0, 60.0, 90.0):
        session.tick(now)
        (request,) = answers(session)
        assert isinstance(request, smpp.EnquireLink)
        nack = smpp.GenericNack(3, request.sequence_number)
        session.receive_data(nack.encode(), now)
    assert session.events() == []
    assert session.bound


def test_a_heartbeat_is_answered_under_its_sequence() -> None:
    session = bound_server()
    session.receive_data(smpp.EnquireLink(0, 77).encode(), 0.0)
    assert answers(session) == [smpp.EnquireLinkResp(0, 77)]


def test_an_unbind_is_answered_and_ends_both() -> None:
    joined = bound()
    joined.client.unbind(0.0)
    joined.exchange()
    assert joined.take(joined.client, ev.Unbound) == [ev.Unbound(by_peer=False)]
    assert joined.take(joined.server, ev.Unbound) == [ev.Unbound(by_peer=True)]


def test_an_unbind_that_is_nacked_ends_the_session_too() -> None:
    session = bound_client()
    session.submit(submit(), 0.0, "ctx")
    session.unbind(0.0)
    session.receive_data(smpp.GenericNack(3, 2).encode(), 0.0)
    assert session.events() == [ev.SubmitAnswered("ctx", 3, "")]
    session.receive_data(smpp.GenericNack(3, 3).encode(), 0.0)
    assert session.events() == [ev.Unbound(by_peer=False)]
