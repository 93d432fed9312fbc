"""SMGP as gateways in the field speak it: a test for each way (smgp.md sections 12 and 13)."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.model import Coding, Segment
from smsgw.protocols import events as ev
from smsgw.protocols import smgp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smgp import auth, mapping, tlv
from smsgw.protocols.smgp.report import Report, build_report
from smsgw.text.udh import Concatenation, split_header
from tests.support.session_pair import SECRET, WALL
from tests.support.smgp_sessions import (
    NAME,
    account,
    answers,
    bound_client,
    bound_server,
    client_session,
    login,
    server_session,
    submit,
)

MSG_ID = "01006101161700012345"
UCS2 = "你好".encode("utf-16-be")
HEADER = bytes.fromhex("050003c70201")


def frame(pdu: smgp.Deliver, msg_length: int, tail: bytes = b"") -> bytes:
    """A Deliver that claims another MsgLength and goes on behind its end."""
    octets = pdu.encode() + tail
    octets = len(octets).to_bytes(4, "big") + octets[4:]
    return octets[:80] + bytes((msg_length,)) + octets[81:]


def mo(session: smgp.SmgpSession) -> smgp.Deliver:
    """The only MO or receipt among what the session told."""
    (received,) = (e for e in session.events() if isinstance(e, ev.MoReceived | ev.ReportReceived))
    assert isinstance(received.pdu, smgp.Deliver)
    return received.pdu


# ---- MsgLength that disagrees with the body ----------------------------------------------


@pytest.mark.parametrize("said", [3, 10, 11, 200, 255])
def test_a_msg_length_that_says_too_much_is_mended(said: int) -> None:
    session = bound_client()
    octets = frame(smgp.Deliver(sequence_id=9, msg_content=b"hi"), said)
    session.receive_data(octets, 0.0)
    assert mo(session).msg_content == b"hi"
    session.acknowledge(smgp.Deliver(sequence_id=9))
    assert answers(session) == [smgp.DeliverResp(9)]
    assert session.bound


def test_a_msg_length_that_says_too_much_is_mended_before_tlvs_too() -> None:
    session = bound_client()
    good = smgp.Deliver(msg_content=b"hello", tlvs=[Tlv(3, b"1234567890")])
    session.receive_data(frame(good, 120), 0.0)
    assert mo(session) == good


def test_a_deliver_without_reserve_is_its_content_to_the_end() -> None:
    session = bound_client()
    octets = smgp.Deliver(msg_content=b"hello").encode()[:-8]
    session.receive_data(len(octets).to_bytes(4, "big") + octets[4:], 0.0)
    assert mo(session).msg_content == b"hello"


@pytest.mark.parametrize("said", [0, 1, 2, 3])
def test_a_msg_length_that_says_too_little_is_mended(said: int) -> None:
    session = bound_client()
    session.receive_data(frame(smgp.Deliver(msg_format=8, msg_content=UCS2), said), 0.0)
    assert mo(session).msg_content == UCS2


def test_a_receipt_of_122_octets_that_says_115_is_read() -> None:
    session = bound_client()
    content = build_report(Report(bytes.fromhex(MSG_ID), "DELIVRD", "000"))
    assert len(content) == 122
    session.receive_data(frame(smgp.Deliver(is_report=1, msg_content=content), 115), 0.0)
    report = smgp.CARRIER.from_report(mo(session))
    assert (report.carrier_message_id, report.stat) == (MSG_ID, "DELIVRD")


def test_a_wrong_msg_length_is_told_once_a_connection() -> None:
    session = bound_client()
    session.receive_data(frame(smgp.Deliver(msg_content=b"hi"), 99) * 40, 0.0)
    told = session.events()
    assert sum(isinstance(event, ev.PeerMistake) for event in told) == 1
    assert sum(isinstance(event, ev.MoReceived) for event in told) == 40
    assert session.bound


def test_a_reserve_that_is_used_is_not_taken_for_content() -> None:
    session = bound_client()
    plain = smgp.Deliver(msg_content=b"hi", reserve="abc")
    marked = smgp.Deliver(msg_content=b"hi", reserve="abc", tlvs=[Tlv(3, b"x".ljust(20, b"\0"))])
    session.receive_data(plain.encode() + marked.encode(), 0.0)
    assert [event.pdu for event in session.events()] == [plain, marked]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "octets",
    [
        frame(smgp.Deliver(msg_content=b"hi", reserve="abcdefgh"), 0),
        frame(smgp.Deliver(msg_content=bytes(200)), 255, b"x" * 200),
    ],
    ids=["no zeros to see", "too long for any length"],
)
def test_a_msg_length_that_cannot_be_mended_is_believed(octets: bytes) -> None:
    session = bound_client()
    session.receive_data(octets, 0.0)
    assert mo(session).msg_content == octets[81 : 81 + octets[80]]


def test_a_content_that_is_longer_than_msg_length_can_say_is_a_structure_error() -> None:
    session = bound_client()
    octets = frame(smgp.Deliver(sequence_id=4, msg_content=b"x" * 255), 255)
    octets = octets[:-8] + b"y" * 4
    session.receive_data(len(octets).to_bytes(4, "big") + octets[4:], 0.0)
    assert answers(session) == [smgp.DeliverResp(4, bytes(10), 10)]


def test_a_mended_deliver_whose_tail_is_no_tlv_is_taken_without_it() -> None:
    session = bound_client()
    session.receive_data(frame(smgp.Deliver(msg_content=b"hi"), 99, b"\1\2\3"), 0.0)
    pdu = mo(session)
    assert (pdu.msg_content, pdu.tlvs) == (b"hi", [])


def test_a_submits_msg_length_is_believed_by_the_gateway_side() -> None:
    session = bound_server()
    octets = bytearray(submit(sequence_id=3, msg_content=b"hi").encode())
    octets[12 + 126] = 200
    session.receive_data(bytes(octets), 0.0)
    assert answers(session) == [smgp.SubmitResp(3, bytes(10), 10)]


# ---- alphabets ---------------------------------------------------------------------------


def test_gbk_without_15_is_known_where_it_can_be_nothing_else() -> None:
    pdu = smgp.Deliver(msg_format=0, msg_content="中国移动".encode("gbk"))
    assert mapping.from_deliver(pdu).coding == Coding.GBK


def test_gbk_without_15_is_known_behind_a_header() -> None:
    content = HEADER + "中国".encode("gbk")
    marked = smgp.Deliver(msg_content=content, tlvs=[Tlv(2, b"\1")])
    assert mapping.from_deliver(marked).coding == Coding.GBK
    assert mapping.from_deliver(smgp.Deliver(msg_content=content)).coding == Coding.ASCII


@pytest.mark.parametrize("tlvs", [[], [Tlv(2, b"")], [Tlv(2, b"\0")]], ids=repr)
def test_a_part_whose_tp_udhi_is_absent_short_or_zero_is_known_by_pk_total(
    tlvs: list[Tlv],
) -> None:
    content = HEADER + UCS2
    parts = [*tlvs, Tlv(9, b"\2"), Tlv(10, b"\1")]
    assert mapping.from_deliver(smgp.Deliver(msg_content=content, tlvs=parts)).udhi
    assert not mapping.from_deliver(smgp.Deliver(msg_content=content, tlvs=tlvs)).udhi


def test_a_long_mo_told_by_pk_total_and_pk_number_alone_is_joined() -> None:
    parts = [
        mapping.from_deliver(smgp.Deliver(msg_format=8, msg_content=text, tlvs=tlvs))
        for text, tlvs in (
            (UCS2[:2], [Tlv(9, b"\2"), Tlv(10, b"\1")]),
            (UCS2[2:], [Tlv(2, b"\0"), Tlv(9, b"\2"), Tlv(10, b"\2")]),
        )
    ]
    assert all(part.udhi for part in parts)
    split = [split_header(part.content) for part in parts]
    assert [header.concatenation for header, _, _ in split if header] == [
        Concatenation(0, 8, 2, 1),
        Concatenation(0, 8, 2, 2),
    ]
    assert b"".join(body for _, body, _ in split) == UCS2


@pytest.mark.parametrize("numbers", [(1, 1), (0, 0), (2, 0), (2, 3), (0, 1)])
def test_pk_total_and_pk_number_that_name_no_part_leave_a_message_alone(
    numbers: tuple[int, int],
) -> None:
    tlvs = [Tlv(9, bytes(numbers[:1])), Tlv(10, bytes(numbers[1:]))]
    message = mapping.from_deliver(smgp.Deliver(msg_content=b"hello", tlvs=tlvs))
    assert (message.udhi, message.content) == (False, b"hello")


@pytest.mark.parametrize("header", ["050003c70201", "06080401c70201"], ids=["8 bit", "16 bit"])
def test_a_reference_of_either_width_makes_a_part(header: str) -> None:
    content = bytes.fromhex(header) + UCS2
    message = mapping.from_deliver(smgp.Deliver(msg_content=content, tlvs=[Tlv(2, b"\1")]))
    assert (message.udhi, message.content) == (True, content)


def test_every_part_of_a_long_message_names_the_service_and_its_product() -> None:
    ours = account(service_id="NEWS", mservice_id="P1")
    for part in (1, 2):
        segment = Segment("13300001111", "10690001", 8, HEADER + UCS2, True, part, 2)
        sent = mapping.to_submit(ours, "3.0", segment)
        assert sent.service_id == "NEWS"
        assert tlv.text(sent.tlvs, tlv.M_SERVICE_ID) == "P1"


def test_an_empty_content_is_an_empty_message() -> None:
    session = bound_client()
    session.receive_data(smgp.Deliver(src_term_id="13300001111").encode(), 0.0)
    assert mapping.from_deliver(mo(session)).content == b""


def test_texts_in_tlvs_may_be_short_empty_or_absent() -> None:
    link_ids = [
        mapping.from_deliver(smgp.Deliver(tlvs=tlvs)).link_id
        for tlvs in ([Tlv(3, b"0123456789\0")], [Tlv(3, b"")], [])
    ]
    assert link_ids == ["0123456789", "", ""]


# ---- login -------------------------------------------------------------------------------


def test_our_login_digest_has_no_zero_octet_that_a_gateway_could_cut_it_at() -> None:
    stamps = []
    for number in range(200):
        stamp, digest = auth.login_proof(NAME, f"secret{number}", WALL)
        assert digest == auth.login_digest(NAME, f"secret{number}", stamp)
        assert 0 not in digest
        stamps.append(stamp)
    newest = auth.login_timestamp(WALL)
    assert newest in stamps
    assert newest - 4 <= min(stamps) < newest


@pytest.mark.parametrize("form", ["cut", "hexadecimal", "HEXADECIMAL"])
def test_a_client_digest_that_is_cut_or_in_hexadecimal_is_taken(form: str) -> None:
    stamp = next(s for s in range(10000) if auth.login_digest(NAME, SECRET, s).find(0) == 11)
    digest = auth.login_digest(NAME, SECRET, stamp)
    written = {
        "cut": digest[:11].ljust(16, b"\0"),
        "hexadecimal": digest.hex()[:16].encode(),
        "HEXADECIMAL": digest.hex()[:16].upper().encode(),
    }[form]
    session = server_session()
    session.receive_data(login(authenticator_client=written, timestamp=stamp).encode(), 0.0)
    assert session.bound


def test_a_client_digest_that_is_cut_to_almost_nothing_proves_nothing() -> None:
    stamp = next(s for s in range(10000) if auth.login_digest(NAME, SECRET, s)[0] == 0)
    session = server_session()
    session.receive_data(login(authenticator_client=bytes(16), timestamp=stamp).encode(), 0.0)
    assert session.closed


def test_status_3_is_one_stacks_word_for_any_refused_login() -> None:
    session = client_session()
    session.receive_data(smgp.LoginResp(status=3).encode(), 0.0)
    (refused,) = session.events()
    assert isinstance(refused, ev.BindRefused)
    assert refused.kind is ev.RefusalKind.SECRET


@pytest.mark.parametrize(
    ("version", "octet", "again"),
    [("auto", 0x20, "2.0"), ("auto", 0x13, "1.3"), ("auto", 0x30, ""), ("3.0", 0x20, "")],
)
def test_a_gateway_that_refuses_the_version_is_asked_again_for_its_own_with_auto(
    version: str, octet: int, again: str
) -> None:
    session = client_session(version=version)
    (asked,) = answers(session)
    assert isinstance(asked, smgp.Login)
    assert asked.client_version == 0x30
    session.receive_data(smgp.LoginResp(status=22, server_version=octet).encode(), 0.0)
    (refused,) = session.events()
    assert isinstance(refused, ev.BindRefused)
    assert (refused.kind, refused.version) == (ev.RefusalKind.VERSION, again)


def test_the_version_a_gateway_named_is_asked_for() -> None:
    session = client_session(version="auto")
    session = smgp.SmgpSession(session.account, session.role, session.side, lambda: WALL)
    session.speak("1.3")
    session.bind(0.0)
    (asked,) = answers(session)
    assert isinstance(asked, smgp.Login)
    assert asked.client_version == 0x13
    session.receive_data(smgp.LoginResp(server_version=0x13).encode(), 0.0)
    (told,) = session.events()
    assert isinstance(told, ev.Bound)
    assert told.version == "1.3"


# ---- heartbeats --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    ["0000000d80000004000000010a", "0000000c8000000400000000", "0000000c80000004deadbeef"],
    ids=["13 octets", "sequence 0", "the responder's own sequence"],
)
def test_every_form_of_an_active_test_answer_is_a_sign_of_life(octets: str) -> None:
    session = bound_client()
    session.tick(180.0)
    assert isinstance(answers(session)[0], smgp.ActiveTest)
    session.receive_data(bytes.fromhex(octets), 181.0)
    assert session.events() == []
    assert session.next_deadline() == 361.0


# ---- requests ----------------------------------------------------------------------------


def test_a_notice_about_a_user_is_answered_and_told_of() -> None:
    session = bound_client()
    session.receive_data(smgp.Deliver(sequence_id=5, is_report=9).encode(), 0.0)
    assert answers(session) == [smgp.DeliverResp(5)]
    (told,) = session.events()
    assert isinstance(told, ev.PeerMistake)
    assert "IsReport 9" in told.problem


def test_a_submit_repeated_while_it_is_open_is_answered_once() -> None:
    session = bound_server()
    session.receive_data(submit(sequence_id=7).encode() * 3, 0.0)
    (received,) = session.events()
    assert isinstance(received, ev.SubmitReceived)
    session.answer_submit(received.pdu, 0, MSG_ID)
    assert answers(session) == [smgp.SubmitResp(7, bytes.fromhex(MSG_ID), 0)]


def test_another_submit_with_an_open_sequence_is_answered_with_12() -> None:
    session = bound_server()
    session.receive_data(submit(sequence_id=7).encode(), 0.0)
    session.receive_data(submit(sequence_id=7, msg_content=b"other").encode(), 1.0)
    assert answers(session) == [smgp.SubmitResp(7, bytes(10), 12)]
    assert len(session.events()) == 1
    session.answer_submit(submit(sequence_id=7), 0, MSG_ID)
    session.receive_data(submit(sequence_id=7, msg_content=b"other").encode(), 2.0)
    assert len(session.events()) == 1


@pytest.mark.parametrize("msg_id", ["0000ff06121423277475", "6495c36ac4ea6b00000b"])
def test_a_msg_id_that_is_not_bcd_is_ten_octets_all_the_way(msg_id: str) -> None:
    session = bound_client()
    session.submit(submit(), 0.0, "context")
    session.receive_data(smgp.SubmitResp(2, bytes.fromhex(msg_id)).encode(), 1.0)
    (answer,) = session.events()
    content = build_report(Report(bytes.fromhex(msg_id), "DELIVRD", "000"))
    session.receive_data(smgp.Deliver(is_report=1, msg_content=content).encode(), 2.0)
    assert isinstance(answer, ev.SubmitAnswered)
    assert smgp.CARRIER.from_report(mo(session)).carrier_message_id == answer.carrier_message_id
    assert answer.carrier_message_id == msg_id


# ---- results -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "disposition", "kind"),
    [
        (101, "final", "auth"),
        (103, "retry", "throttle"),
        (105, "final", "bad source"),
        (106, "final", "content"),
        (109, "final", "bad number"),
        (115, "retry", "quota"),
        (116, "final", "bad number"),
        (119, "retry", "quota"),
        (8200, "final", "bad source"),
    ],
)
def test_an_aggregators_own_statuses_are_known(code: int, disposition: str, kind: str) -> None:
    result = smgp.classify(code)
    assert (result.disposition.value, result.kind.value) == (disposition, kind)


@pytest.mark.parametrize("stat", ["DTBLACK", "VMFLUCTL"])
def test_a_platforms_own_stat_of_any_length_is_a_failure_and_shown_whole(stat: str) -> None:
    content = b"id:" + bytes.fromhex(MSG_ID) + b" stat:" + stat.encode() + b" err:116"
    report = smgp.CARRIER.from_report(smgp.Deliver(is_report=1, msg_content=content))
    assert (report.stat, report.status.value) == (stat, "undelivered")


@pytest.mark.parametrize("fields", [{"number_prefix": "86"}, {"number_prefix": "+86"}, {}])
def test_numbers_with_and_without_86_are_one_number(fields: dict[str, Any]) -> None:
    prefix = account(**fields).number_prefix
    pdu = smgp.Deliver(src_term_id=f"{prefix}13300001001 ", dest_term_id="10690001 ")
    message = mapping.from_deliver(pdu)
    assert (message.sender, message.destination) == ("13300001001", "10690001")
