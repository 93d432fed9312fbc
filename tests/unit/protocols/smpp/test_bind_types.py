"""What each kind of SMPP bind carries, and what a gateway made of this session does not serve."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.errors import LocalProtocolError, WindowFull
from smsgw.protocols import events as ev
from smsgw.protocols import smpp
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smpp import pdus
from smsgw.protocols.states import Role, Side
from tests.support.session_pair import WALL
from tests.support.smpp_sessions import (
    account,
    answers,
    bound,
    bound_client,
    bound_server,
    submit,
)
from tests.support.vectors import vector

# ---- which way a login goes ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sends", "receives"),
    [
        ("transceiver", True, True),
        ("transmitter", True, False),
        ("receiver", False, True),
        ("transmitter+receiver", True, True),
    ],
)
def test_an_account_says_which_way_its_login_goes(kind: str, sends: bool, receives: bool) -> None:
    login_ = account(bind_type=kind)
    assert (login_.sends, login_.receives) == (sends, receives)
    assert hasattr(login_, login_.direction_key)


def test_a_pair_is_a_login_that_sends_and_one_that_receives() -> None:
    pair = account(bind_type="transmitter+receiver", window=7)
    assert pair.logins == (
        account(bind_type="transmitter", window=7),
        account(bind_type="receiver", window=7),
    )
    session = smpp.SmppSession(pair, Role.CLIENT, Side.SP, lambda: WALL)
    with pytest.raises(LocalProtocolError, match=r"account\.logins"):
        session.bind(0.0)


@pytest.mark.parametrize("kind", ["transceiver", "transmitter", "receiver"])
def test_any_other_account_is_its_own_login(kind: str) -> None:
    alone = account(bind_type=kind)
    assert alone.logins == (alone,)


def test_a_receiver_sends_nothing() -> None:
    joined = bound(client=account(bind_type="receiver"))
    assert joined.client.window.free == 0
    with pytest.raises(WindowFull):
        joined.client.submit(submit(), 0.0)
    joined.server.submit(smpp.DeliverSm(), 0.0, "mo")
    joined.exchange()
    assert len(joined.take(joined.client, ev.MoReceived)) == 1


def test_a_transmitter_gets_nothing_brought() -> None:
    joined = bound(client=account(bind_type="transmitter"))
    assert joined.server.window.free == 0
    assert joined.client.window.free > 0


def test_a_submit_over_a_receivers_bind_is_refused_and_the_session_goes_on() -> None:
    session = bound_server(smpp.BindReceiver)
    session.receive_data(submit(sequence_number=2).encode(), 0.0)
    assert answers(session) == [pdus.SubmitSmRespBare(0x04, 2)]
    assert session.events() == []
    assert session.bound


def test_a_delivery_over_a_transmitters_bind_is_taken_all_the_same() -> None:
    session = bound_client(bind_type="transmitter")
    session.receive_data(smpp.DeliverSm(0, 5, short_message=b"YES").encode(), 0.0)
    (received,) = session.events()
    assert isinstance(received, ev.MoReceived)
    session.acknowledge(received.pdu)
    assert answers(session) == [smpp.DeliverSmResp(0, 5)]


# ---- what is not served --------------------------------------------------------------------

NOT_SERVED = pytest.mark.parametrize(
    ("request_", "answer", "status"),
    [
        (smpp.SubmitMulti(0, 2), pdus.SubmitMultiRespBare, 0x45),
        (smpp.QuerySm(0, 2, "42"), pdus.QuerySmRespBare, 0x67),
        (smpp.CancelSm(0, 2, "", "42"), smpp.CancelSmResp, 0x11),
        (smpp.ReplaceSm(0, 2, "42"), smpp.ReplaceSmResp, 0x13),
    ],
    ids=lambda value: getattr(value, "command", ""),
)


@NOT_SERVED
def test_what_this_gateway_does_not_serve_is_answered_as_failed(
    request_: Pdu, answer: type[Any], status: int
) -> None:
    for cls, code in ((smpp.BindTransceiver, status), (smpp.BindReceiver, 0x04)):
        session = bound_server(cls)
        session.receive_data(request_.encode(), 0.0)
        assert answers(session) == [answer(code, 2)]
        assert session.events() == []
        assert session.bound


@NOT_SERVED
def test_an_esme_refuses_what_only_an_smsc_serves(
    request_: Pdu, answer: type[Any], status: int
) -> None:
    session = bound_client()
    session.receive_data(request_.encode(), 0.0)
    assert answers(session) == [answer(0x04, 2)]
    assert session.events() == [ev.PeerMistake(f"{request_.command} is not for the sp side")]
    assert session.bound


@pytest.mark.parametrize("name", ["outbind", "query_sm_resp", "submit_multi_resp"])
def test_what_has_no_answer_and_no_use_here_is_told_and_the_session_goes_on(name: str) -> None:
    session = bound_client()
    session.receive_data(vector("smpp", name).octets, 0.0)
    assert session.events() == [ev.PeerMistake(f"{name} is not for the sp side")]
    assert session.data_to_send() == b""
    assert session.bound
