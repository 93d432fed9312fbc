"""What is CMPP's own in a session: versions, digests, statuses, and the answers to bad PDUs."""

from __future__ import annotations

import pytest

from smsgw.protocols import cmpp
from smsgw.protocols import events as ev
from smsgw.protocols.cmpp import auth, constants, pdus
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.layout import Pdu
from smsgw.protocols.states import Role, Side, State
from tests.support.session_pair import SECRET, WALL, SessionPair, join
from tests.support.vectors import vector


def account(version: str = "3.0", **more: object) -> cmpp.CmppAccount:
    return cmpp.CmppAccount(name="901234", secret=SECRET, version=version, **more)  # type: ignore[arg-type]


def server(version: str = "3.0") -> cmpp.CmppSession:
    made = cmpp.CmppSession(
        account(version), Role.SERVER, Side.GATEWAY, lambda: WALL, {"901234": SECRET}.get
    )
    made.connected(0.0)
    return made


def client(version: str = "3.0") -> cmpp.CmppSession:
    made = cmpp.CmppSession(account(version), Role.CLIENT, Side.SP, lambda: WALL)
    made.connected(0.0)
    return made


def binding(version: str = "3.0") -> cmpp.CmppSession:
    made = client(version)
    made.bind(0.0)
    made.data_to_send()
    return made


def pair(version: str = "3.0") -> SessionPair:
    made = join(cmpp.CARRIER, account(version), account(version))
    made.bind()
    made.client_events.clear()
    made.server_events.clear()
    return made


def connect(version: int = 0x30, secret: str = SECRET, name: str = "901234") -> pdus.Connect:
    digest = auth.login_digest(name, secret, 512093015)
    return pdus.Connect(9, name, digest, version, 512093015)


def sent(session: cmpp.CmppSession, version: str | None = None) -> list[Pdu]:
    frames = cmpp.Framer().split(session.data_to_send())
    return [cmpp.decode(frame, version or session.version) for frame in frames]


# ---- login -------------------------------------------------------------------------------------


def test_our_login_is_the_vectors_login_at_its_time() -> None:
    tested = client()
    tested.bind(0.0)
    assert tested.data_to_send() == vector("cmpp", "connect_30").octets


@pytest.mark.parametrize(("version", "name"), [("3.0", "connect_resp_30_ok")])
def test_the_gateways_proof_in_the_vector_is_right(version: str, name: str) -> None:
    tested = binding(version)
    tested.receive_data(vector("cmpp", name).octets, 0.0)
    assert tested.events() == [ev.Bound(version)]


def test_a_gateways_wrong_proof_only_warns() -> None:
    tested = binding()
    tested.receive_data(pdus.ConnectResp30(1, 0, bytes(16), 0x30).encode(), 0.0)
    (bound,) = tested.events()
    assert isinstance(bound, ev.Bound)
    assert bound.warning == "AuthenticatorISMG does not match the shared secret"
    assert tested.bound


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (1, "malformed PDU", RefusalKind.OTHER),
        (2, "unknown source address", RefusalKind.ADDRESS),
        (3, "authentication failed", RefusalKind.SECRET),
        (4, "version too high", RefusalKind.VERSION),
        (5, "other error; some gateways: too many connections", RefusalKind.BUSY),
        (99, "other error", RefusalKind.OTHER),
    ],
)
def test_a_refused_login_tells_the_status_its_meaning_and_what_it_is_about(
    status: int, text: str, kind: RefusalKind
) -> None:
    tested = binding()
    tested.receive_data(pdus.ConnectResp30(1, status).encode(), 0.0)
    assert tested.events() == [ev.BindRefused(status, text, kind)]
    assert tested.closed


def test_a_refusal_in_the_other_versions_layout_is_understood() -> None:
    tested = binding("3.0")
    tested.receive_data(pdus.ConnectResp20(1, 3).encode(), 0.0)
    assert tested.events() == [ev.BindRefused(3, "authentication failed", RefusalKind.SECRET)]


def test_a_gateway_that_speaks_only_an_older_version_is_not_spoken_to() -> None:
    tested = binding("3.0")
    tested.receive_data(pdus.ConnectResp30(1, 0, bytes(16), 0x20).encode(), 0.0)
    (refused,) = tested.events()
    assert isinstance(refused, ev.BindRefused)
    assert refused.code == constants.STATUS_VERSION_HIGH
    assert "version 2.0 at most; set version of this link to 2.0 or auto" in refused.text
    assert (refused.kind, refused.version) == (RefusalKind.VERSION, "")


@pytest.mark.parametrize("octet", [0x20, 0x21])
def test_an_account_that_negotiates_speaks_the_older_version_a_gateway_names(octet: int) -> None:
    tested = binding("auto")
    tested.receive_data(pdus.ConnectResp30(1, 0, bytes(16), octet).encode(), 0.0)
    assert (tested.bound, tested.version) == (True, "2.0")
    tested.submit(pdus.Submit20(dest_terminal_id=["13800001001"]), 0.0)
    tested.events()
    answer = pdus.SubmitResp20(2, 7, 0).encode()
    tested.receive_data(answer, 0.0)
    assert tested.events() == [ev.SubmitAnswered(None, 0, f"{7:016x}")]


@pytest.mark.parametrize(
    ("answer", "spoken"),
    [
        (pdus.ConnectResp30(1, 0, bytes(16), 0x30), "3.0"),
        (pdus.ConnectResp20(1, 0, bytes(16), 0x30), "3.0"),
        (pdus.ConnectResp20(1, 0, bytes(16), 0x00), "2.0"),
        (pdus.ConnectResp30(1, 0, bytes(16), 0x00), "3.0"),
        (pdus.ConnectResp30(1, 0, bytes(16), 0x7F), "3.0"),
    ],
)
def test_a_gateway_that_names_no_version_is_judged_by_its_layout(answer: Pdu, spoken: str) -> None:
    tested = binding("auto")
    assert tested.version == "auto"
    tested.receive_data(answer.encode(), 0.0)
    assert tested.version == spoken


def test_an_account_that_negotiates_asks_for_the_newest_version_first() -> None:
    tested = client("auto")
    tested.bind(0.0)
    (login,) = sent(tested)
    assert isinstance(login, pdus.Connect)
    assert login.version == 0x30
    tested.receive_data(pdus.ConnectResp20(1, 4, bytes(16), 0x20).encode(), 0.0)
    refused = ev.BindRefused(4, "version too high", RefusalKind.VERSION, "2.0")
    assert tested.events() == [refused]
    again = client("auto")
    again.speak("2.0")
    again.bind(0.0)
    (login,) = sent(again)
    assert isinstance(login, pdus.Connect)
    assert login.version == 0x20
    again.receive_data(pdus.ConnectResp20(1, 4, bytes(16), 0x30).encode(), 0.0)
    (refused,) = again.events()
    assert refused.version == "3.0"


def test_an_account_that_negotiates_and_its_server_meet() -> None:
    for highest in ("2.0", "3.0", "auto"):
        joined = join(cmpp.CARRIER, account("auto"), account(highest))
        joined.bind()
        if highest == "2.0":
            (refused,) = joined.take(joined.client, ev.BindRefused)
            assert refused.version == "2.0"
        else:
            assert joined.take(joined.client, ev.Bound) == [ev.Bound("3.0")]


@pytest.mark.parametrize(("version", "octet"), [("2.0", 0x21), ("3.0", 0x7F)])
def test_a_login_carries_the_version_octet_that_was_agreed(version: str, octet: int) -> None:
    agreed = account(version, version_octet=octet)
    joined = join(cmpp.CARRIER, agreed, agreed)
    joined.client.bind(0.0)
    assert joined.client._out[0][34] == octet
    joined.exchange()
    assert joined.client.bound
    assert joined.client.version == version


def test_an_agreed_octet_is_not_used_for_another_version() -> None:
    tested = cmpp.CmppSession(
        account("auto", version_octet=0x7F), Role.CLIENT, Side.SP, lambda: WALL
    )
    tested.speak("2.0")
    tested.bind(0.0)
    (login,) = sent(tested, "2.0")
    assert isinstance(login, pdus.Connect)
    assert login.version == 0x20


def test_a_strict_account_refuses_a_gateway_with_a_wrong_proof() -> None:
    strict = account(strict_authenticator=True)
    tested = cmpp.CmppSession(strict, Role.CLIENT, Side.SP, lambda: WALL)
    tested.bind(0.0)
    tested.receive_data(pdus.ConnectResp30(1, 0, bytes(16), 0x30).encode(), 0.0)
    text = "AuthenticatorISMG does not match the shared secret"
    assert tested.events() == [ev.BindRefused(3, text, RefusalKind.SECRET)]


@pytest.mark.parametrize("octet", [0x00, 0x01, 0x20, 0x30, 0x7F])
def test_a_gateway_of_the_same_newer_or_odd_version_is_spoken_to(octet: int) -> None:
    tested = binding("2.0")
    tested.receive_data(pdus.ConnectResp20(1, 0, bytes(16), octet).encode(), 0.0)
    assert tested.bound
    assert tested.version == "2.0"


@pytest.mark.parametrize(
    ("octet", "highest", "spoken"),
    [
        (0x30, "3.0", "3.0"),
        (0x20, "3.0", "2.0"),
        (0x21, "3.0", "2.0"),
        (0x00, "3.0", "2.0"),
        (0x01, "2.0", "2.0"),
    ],
)
def test_a_server_speaks_the_version_the_client_asks_for(
    octet: int, highest: str, spoken: str
) -> None:
    tested = server(highest)
    tested.receive_data(connect(octet).encode(), 0.0)
    assert tested.events() == [ev.PeerBound("901234", spoken)]
    (answer,) = sent(tested)
    assert isinstance(answer, pdus.ConnectResp20 | pdus.ConnectResp30)
    assert answer.status == 0
    assert answer.version == constants.VERSION_OCTETS[highest]
    login = connect(octet).authenticator_source
    octets = 1 if spoken == "2.0" else 4
    assert answer.authenticator_ismg == auth.server_digest(0, octets, login, SECRET)


@pytest.mark.parametrize(
    ("login", "highest", "status"),
    [
        (connect(secret="4321"), "3.0", constants.STATUS_AUTHENTICATION),
        (connect(name="900000"), "3.0", constants.STATUS_UNKNOWN_SOURCE),
        (connect(0x30), "2.0", constants.STATUS_VERSION_HIGH),
        (connect(0x7F), "3.0", constants.STATUS_VERSION_HIGH),
        (connect(0x31), "3.0", constants.STATUS_VERSION_HIGH),
        (connect(0x20, secret="4321"), "3.0", constants.STATUS_AUTHENTICATION),
    ],
)
def test_a_server_refuses_with_the_status_of_the_sheet_and_no_proof(
    login: pdus.Connect, highest: str, status: int
) -> None:
    tested = server(highest)
    tested.receive_data(login.encode(), 0.0)
    (answer,) = sent(tested)
    assert isinstance(answer, pdus.ConnectResp20 | pdus.ConnectResp30)
    assert (answer.status, answer.authenticator_ismg) == (status, bytes(16))
    kind = constants.STATUS_KINDS[status]
    assert tested.events() == [ev.BindRefused(status, constants.STATUS_TEXTS[status], kind)]
    assert tested.closed


def test_a_malformed_login_is_answered_with_status_1_and_ends() -> None:
    tested = server()
    tested.receive_data(vector("cmpp", "bad_connect_truncated").octets, 0.0)
    (answer,) = sent(tested)
    assert isinstance(answer, pdus.ConnectResp30)
    assert (answer.sequence_id, answer.status) == (1, constants.STATUS_MALFORMED)
    kinds = [type(event) for event in tested.events()]
    assert kinds == [ev.PeerMistake, ev.BindRefused]
    assert tested.closed


def test_a_second_login_on_a_live_session_ends_it() -> None:
    joined = pair()
    joined.server.receive_data(connect().encode(), 0.0)
    (failed,) = joined.server.events()
    assert failed == ev.SessionFailed("peer's bind while bound")


@pytest.mark.parametrize("pdu", [pdus.Terminate(3), pdus.ActiveTest(3)], ids=["unbind", "test"])
def test_what_comes_before_a_login(pdu: Pdu) -> None:
    tested = server()
    tested.receive_data(pdu.encode(), 0.0)
    assert tested.closed


# ---- sequences ---------------------------------------------------------------------------------


def test_the_sequence_wraps_around_after_the_largest() -> None:
    joined = pair()
    assert isinstance(joined.client, cmpp.CmppSession)
    joined.client._sequence = 0xFFFFFFFE
    first = joined.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0)
    second = joined.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0)
    assert (first, second) == (0xFFFFFFFF, 0)


# ---- submits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_submit_of_a_length_that_lies_gets_result_4_and_the_link_lives(version: str) -> None:
    joined = pair(version)
    cls = pdus.Submit20 if version == "2.0" else pdus.Submit30
    octets = bytearray(cls(77, dest_terminal_id=["13800001001"], msg_content=b"\0a\0b").encode())
    octets[-13 if version == "2.0" else -25] = 2  # half of the content comes behind its end
    joined.server.receive_data(bytes(octets), 0.0)
    (answer,) = sent(joined.server, version)  # type: ignore[arg-type]
    assert isinstance(answer, pdus.SubmitResp20 | pdus.SubmitResp30)
    assert (answer.sequence_id, answer.msg_id, answer.result) == (77, 0, constants.RESULT_LENGTH)
    (mistake,) = joined.server.events()
    assert isinstance(mistake, ev.PeerMistake)
    assert "2 octets after the last field" in mistake.problem
    assert joined.server.bound


@pytest.mark.parametrize(
    ("version", "destinations", "content", "coding", "result"),
    [
        ("3.0", 0, b"", 0, constants.RESULT_DESTINATION_30),
        ("3.0", 100, b"", 0, constants.RESULT_DESTINATION_30),
        ("2.0", 0, b"", 0, constants.RESULT_MALFORMED),
        ("3.0", 1, bytes(141), 8, constants.RESULT_TOO_LONG),
        ("3.0", 1, bytes(160), 0, constants.RESULT_TOO_LONG),
    ],
)
def test_a_submit_beyond_a_limit_is_refused_with_the_result_of_the_sheet(
    version: str, destinations: int, content: bytes, coding: int, result: int
) -> None:
    joined = pair(version)
    cls = pdus.Submit20 if version == "2.0" else pdus.Submit30
    submit = cls(msg_fmt=coding, msg_content=content, dest_terminal_id=["1"] * destinations)
    joined.client.submit(submit, 0.0, "ctx")
    joined.exchange()
    assert joined.server_events == []
    assert joined.take(joined.client, ev.SubmitAnswered) == [ev.SubmitAnswered("ctx", result, "")]


@pytest.mark.parametrize(
    ("destinations", "content", "coding"), [(99, bytes(140), 8), (1, bytes(159), 0), (1, b"", 0)]
)
def test_a_submit_at_a_limit_is_taken(destinations: int, content: bytes, coding: int) -> None:
    joined = pair()
    submit = pdus.Submit30(
        msg_fmt=coding, msg_content=content, dest_terminal_id=["1"] * destinations
    )
    joined.client.submit(submit, 0.0)
    joined.exchange()
    assert len(joined.take(joined.server, ev.SubmitReceived)) == 1


def test_an_answer_in_the_other_versions_layout_still_finds_its_submit() -> None:
    joined = pair()
    key = joined.client.submit(pdus.Submit30(dest_terminal_id=["1"]), 0.0, "ctx")
    assert isinstance(key, int)
    joined.client.receive_data(pdus.SubmitResp20(key, 0x5625E3C003E9002A, 0).encode(), 0.0)
    assert joined.client.events() == [ev.SubmitAnswered("ctx", 0, "5625e3c003e9002a")]


def test_an_answer_with_an_unknown_sequence_is_only_a_mistake() -> None:
    joined = pair()
    joined.client.receive_data(pdus.SubmitResp30(12345).encode(), 0.0)
    joined.server.receive_data(pdus.DeliverResp30(12345).encode(), 0.0)
    assert isinstance(joined.client.events()[0], ev.PeerMistake)
    assert isinstance(joined.server.events()[0], ev.PeerMistake)
    assert joined.client.bound


# ---- delivers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_deliver_is_answered_with_its_own_id_and_never_the_reports(version: str) -> None:
    joined = pair(version)
    name = "deliver_report_20" if version == "2.0" else "deliver_report_30"
    joined.client.receive_data(vector("cmpp", name).octets, 0.0)
    (report,) = joined.client.events()
    assert isinstance(report, ev.ReportReceived)
    assert report.octets == vector("cmpp", name).octets
    joined.client.acknowledge(report.pdu)
    (answer,) = sent(joined.client, version)  # type: ignore[arg-type]
    assert isinstance(answer, pdus.DeliverResp20 | pdus.DeliverResp30)
    assert answer.msg_id == 0x5625F78003E90009
    assert answer.sequence_id in (0x67, 0x68)


def test_a_deliver_that_cannot_be_read_gets_result_4_and_the_link_lives() -> None:
    joined = pair()
    octets = bytearray(pdus.Deliver30(5, msg_content=b"abc", link_id="7" * 20).encode())
    octets[88] = 200
    joined.client.receive_data(bytes(octets), 0.0)
    (answer,) = sent(joined.client)  # type: ignore[arg-type]
    assert answer == pdus.DeliverResp30(5, 0, constants.RESULT_LENGTH)
    assert joined.client.bound


def test_a_request_before_our_login_is_accepted_ends_the_session() -> None:
    tested = binding()
    tested.receive_data(pdus.Deliver30(5).encode(), 0.0)
    assert tested.events() == [ev.SessionFailed("CMPP_DELIVER while binding")]
    assert tested.data_to_send() == b""


def test_a_submit_before_the_login_is_not_even_answered_when_it_cannot_be_read() -> None:
    tested = server()
    octets = bytearray(pdus.Submit30(5, dest_terminal_id=["1"], msg_content=b"abc").encode())
    octets[174] = 200
    tested.receive_data(bytes(octets), 0.0)
    assert tested.data_to_send() == b""


def test_an_unreadable_pdu_with_no_answer_of_its_own_gets_none() -> None:
    joined = pair()
    joined.server.receive_data((13).to_bytes(4, "big") + pdus.Query(5).encode()[4:13], 0.0)
    assert joined.server.data_to_send() == b""
    assert isinstance(joined.server.events()[0], ev.PeerMistake)


# ---- heartbeat and end -------------------------------------------------------------------------


def test_a_heartbeat_answer_without_its_octet_is_a_sign_of_life() -> None:
    joined = pair()
    joined.client.receive_data(pdus.ActiveTestRespBare(1).encode(), 1.0)
    assert joined.client.events() == []


def test_a_heartbeat_is_answered_while_unbinding() -> None:
    joined = pair()
    joined.client.unbind(0.0)
    joined.client.data_to_send()
    joined.client.receive_data(pdus.ActiveTest(5).encode(), 0.0)
    assert sent(joined.client) == [pdus.ActiveTestResp(5)]  # type: ignore[arg-type]
    assert joined.client.state is State.UNBINDING


def test_a_delivery_is_still_taken_and_answered_while_unbinding() -> None:
    joined = pair()
    joined.client.unbind(0.0)
    joined.client.data_to_send()
    joined.client.receive_data(pdus.Deliver30(5, msg_id=6).encode(), 0.0)
    (received,) = joined.client.events()
    assert isinstance(received, ev.MoReceived)
    joined.client.acknowledge(received.pdu, 9)
    assert sent(joined.client) == [pdus.DeliverResp30(5, 6, 9)]  # type: ignore[arg-type]


def test_both_ends_unbinding_at_once_end_in_order() -> None:
    joined = pair()
    joined.client.unbind(0.0)
    joined.server.unbind(0.0)
    joined.exchange()
    assert joined.client.closed
    assert joined.server.closed
    assert [type(event) for event in joined.client_events] == [ev.Unbound]
    assert [type(event) for event in joined.server_events] == [ev.Unbound]


def test_an_unbind_answer_nobody_asked_for_ends_the_session() -> None:
    joined = pair()
    joined.client.receive_data(pdus.TerminateResp(5).encode(), 0.0)
    assert joined.client.events() == [ev.SessionFailed("unbind answered while bound")]


def test_a_submit_before_the_login_ends_the_session_without_an_answer() -> None:
    tested = server()
    tested.receive_data(pdus.Submit30(5, dest_terminal_id=["13800001001"]).encode(), 0.0)
    assert tested.events() == [ev.SessionFailed("CMPP_SUBMIT while open")]
    assert tested.data_to_send() == b""


def test_the_sp_s_answer_to_a_deliver_reaches_the_gateway() -> None:
    joined = pair()
    joined.server.submit(pdus.Deliver30(), 0.0, "mo")
    joined.exchange()
    (received,) = joined.take(joined.client, ev.MoReceived)
    joined.client.acknowledge(received.pdu, 9)
    joined.exchange()
    assert joined.take(joined.server, ev.DeliverAnswered) == [ev.DeliverAnswered("mo", 9)]
