"""What gateways do beside the specification (cmpp.md section 16), quirk by quirk.

Those that live above the protocol are shown elsewhere; docs/quirks/cmpp.md names the tests.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import PduError
from smsgw.model import Coding
from smsgw.protocols import cmpp
from smsgw.protocols import events as ev
from smsgw.protocols.cmpp import auth, constants, mapping, pdus
from smsgw.protocols.cmpp.report import Report, build_report, parse_report
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.layout import Pdu
from smsgw.protocols.states import Role, Side
from tests.support.session_pair import SECRET, WALL, SessionPair, join
from tests.support.vectors import vector

Deliver = pdus.Deliver20 | pdus.Deliver30

UCS2_TEXT = "同意".encode("utf-16-be")
REPORT = Report(
    msg_id=0x5625E3C003E9002A,
    stat="DELIVRD",
    submit_time="2505120930",
    done_time="2505120931",
    dest_terminal_id="13800001001",
    smsc_sequence=7,
)


def account(version: str = "3.0", **more: object) -> cmpp.CmppAccount:
    return cmpp.CmppAccount(name="901234", secret=SECRET, version=version, **more)  # type: ignore[arg-type]


def pair(version: str = "3.0") -> SessionPair:
    made = join(cmpp.CARRIER, account(version), account(version))
    made.bind()
    made.client_events.clear()
    made.server_events.clear()
    return made


def mo(version: str = "3.0", **more: object) -> Deliver:
    cls = pdus.Deliver20 if version == "2.0" else pdus.Deliver30
    return cls(
        **{
            "sequence_id": 5,
            "msg_id": 0x77,
            "dest_id": "10690001",
            "msg_fmt": 8,
            "src_terminal_id": "13800001001",
            "msg_content": UCS2_TEXT,
            **more,
        }  # type: ignore[arg-type]
    )


def reported(version: str, body: bytes) -> Deliver:
    return mo(version, registered_delivery=1, msg_content=body)


def resized(octets: bytes) -> bytes:
    """Total_Length as it is now."""
    return len(octets).to_bytes(4, "big") + octets[4:]


def brought(tested: SessionPair, octets: bytes) -> tuple[Deliver, list[str]]:
    """The DELIVER a session handed out, and what it said about it."""
    tested.client.receive_data(octets, 0.0)
    happened = tested.client.events()
    assert tested.client.bound
    said = [event.problem for event in happened if isinstance(event, ev.PeerMistake)]
    (event,) = [one for one in happened if isinstance(one, ev.MoReceived | ev.ReportReceived)]
    assert event.octets == octets
    assert isinstance(event.pdu, Deliver)
    return event.pdu, said


def answers(tested: SessionPair, version: str) -> list[Pdu]:
    frames = cmpp.Framer().split(tested.client.data_to_send())
    return [cmpp.decode(frame, version) for frame in frames]


# ---- login -------------------------------------------------------------------------------------


def test_q02_an_answer_of_the_other_versions_length_is_understood() -> None:
    tested = pair("3.0")
    key = tested.client.submit(pdus.Submit30(dest_terminal_id=["13800001001"]), 0.0, "ours")
    assert isinstance(key, int)
    tested.client.receive_data(pdus.SubmitResp20(key, 0x2A, 0).encode(), 0.0)
    assert tested.client.events() == [ev.SubmitAnswered("ours", 0, f"{0x2A:016x}")]


@pytest.mark.parametrize("octet", [0x00, 0x01])
def test_q04_a_client_whose_version_octet_is_0_or_1_means_2_0(octet: int) -> None:
    digest = auth.login_digest("901234", SECRET, 512093015)
    server = cmpp.CmppSession(
        account(), Role.SERVER, Side.GATEWAY, lambda: WALL, {"901234": SECRET}.get
    )
    server.connected(0.0)
    login = pdus.Connect(1, "901234", digest, octet, 512093015)
    server.receive_data(login.encode(), 0.0)
    assert server.events() == [ev.PeerBound("901234", "2.0")]


def test_q04_the_private_version_octet_is_refused_unless_it_was_agreed() -> None:
    ours = account(version_octet=0x7F)
    tested = join(cmpp.CARRIER, ours, account())
    tested.bind()
    (refused,) = tested.take(tested.client, ev.BindRefused)
    assert (refused.code, refused.kind) == (4, RefusalKind.VERSION)
    tested = join(cmpp.CARRIER, ours, ours)
    tested.bind()
    assert tested.take(tested.client, ev.Bound) == [ev.Bound("3.0")]


@pytest.mark.parametrize("octets", [1, 4])
def test_q05_the_gateways_proof_may_cover_a_status_of_either_width(octets: int) -> None:
    client = cmpp.CmppSession(account(), Role.CLIENT, Side.SP, lambda: WALL)
    client.bind(0.0)
    login = cmpp.decode(client.data_to_send())
    assert isinstance(login, pdus.Connect)
    proof = auth.server_digest(0, octets, login.authenticator_source, SECRET)
    client.receive_data(pdus.ConnectResp30(1, 0, proof, 0x30).encode(), 0.0)
    assert client.events() == [ev.Bound("3.0")]


@pytest.mark.parametrize("at", [0, 7, 15])
def test_q06_a_digest_with_a_zero_octet_is_not_cut_short(at: int) -> None:
    digest = bytearray(b"\xaa" * 16)
    digest[at] = 0
    login = pdus.Connect(1, "901234", bytes(digest), 0x30, 512093015)
    read = cmpp.decode(login.encode())
    assert isinstance(read, pdus.Connect)
    assert read.authenticator_source == bytes(digest)


# ---- octets after the last field -----------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_octets_after_the_last_field_of_a_submit_are_ignored_and_told_once(version: str) -> None:
    tested = pair(version)
    cls = pdus.Submit20 if version == "2.0" else pdus.Submit30
    submits = [cls(key, dest_terminal_id=["1"], msg_content=UCS2_TEXT) for key in range(30)]
    octets = b"".join(resized(submit.encode() + b"xyz") for submit in submits)
    tested.server.receive_data(octets, 0.0)
    told, *received = tested.server.events()
    assert told == ev.PeerMistake(
        "CMPP_SUBMIT: octets after its last field are ignored, also from now on"
    )
    assert received == [ev.SubmitReceived(submit) for submit in submits]
    assert tested.server.data_to_send() == b""


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_octets_after_the_last_field_of_an_answer_are_ignored(version: str) -> None:
    tested = pair(version)
    old = version == "2.0"
    tested.client.submit((pdus.Submit20 if old else pdus.Submit30)(), 0.0, "ours")
    answer = (pdus.SubmitResp20 if old else pdus.SubmitResp30)(2, 7, 0).encode()
    tested.client.receive_data(resized(answer + b"x"), 0.0)
    tested.client.receive_data(resized(pdus.ActiveTest(9).encode() + b"x"), 0.0)
    told = [event for event in tested.client.events() if not isinstance(event, ev.PeerMistake)]
    assert told == [ev.SubmitAnswered("ours", 0, f"{7:016x}")]
    assert answers(tested, version)[1:] == [pdus.ActiveTestResp(9)]


# ---- a DELIVER that does not fit ---------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("there", [0, 1, 7, 9, 19, 21, 32, 80])
def test_q03_a_deliver_with_another_tail_is_taken_whole(version: str, there: int) -> None:
    tail = 8 if version == "2.0" else 20
    octets = mo(version).encode()[:-tail] + bytes(there)
    read, said = brought(pair(version), resized(octets))
    assert (read.msg_content, read.src_terminal_id, read.dest_id) == (
        UCS2_TEXT,
        "13800001001",
        "10690001",
    )
    assert len(said) == 1
    assert f"{there} octets after its content instead of {tail}" in said[0]


def test_q03_it_is_told_once_for_a_connection_and_counts_as_no_mistake() -> None:
    tested = pair()
    octets = resized(mo().encode()[:-20])
    assert brought(tested, octets)[1]
    for _ in range(50):
        assert brought(tested, octets)[1] == []
    assert brought(tested, mo().encode()) == (mo(), [])
    assert brought(pair(), octets)[1]


@pytest.mark.parametrize(
    ("tail", "link_id"),
    [(b"", ""), (b"123", "123"), (b"7" * 20, "7" * 20), (b"7" * 32, "7" * 20), (bytes(9), "")],
)
def test_q03_the_link_id_is_the_rest(tail: bytes, link_id: str) -> None:
    octets = resized(mo().encode()[:-20] + tail)
    tested = pair()
    tested.client.receive_data(octets, 0.0)
    (received,) = [e for e in tested.client.events() if isinstance(e, ev.MoReceived)]
    assert isinstance(received.pdu, pdus.Deliver30)
    assert received.pdu.link_id == link_id
    tested.client.acknowledge(received.pdu)
    assert answers(tested, "3.0") == [pdus.DeliverResp30(5, 0x77, 0)]


def test_q03_decode_itself_stays_strict() -> None:
    with pytest.raises(PduError):
        cmpp.decode(resized(mo().encode()[:-20]), "3.0")
    with pytest.raises(PduError):
        cmpp.decode(mo("2.0").encode(), "3.0")


def test_q03_extra_octets_are_never_refused_even_after_a_strange_number() -> None:
    tested = pair()
    odd = bytearray(mo().encode() + b"xyz")
    odd[80] = 0xAA  # behind the number's padding
    read, _ = brought(tested, resized(bytes(odd)))
    assert read.msg_content == UCS2_TEXT


@pytest.mark.parametrize(("agreed", "sent"), [("3.0", "2.0"), ("2.0", "3.0")])
def test_a_deliver_of_the_other_version_is_read_and_answered_in_its_own_layout(
    agreed: str, sent: str
) -> None:
    tested = pair(agreed)
    read, said = brought(tested, mo(sent).encode())
    assert read == mo(sent)
    assert said == [
        f"CMPP_DELIVER in the layout of version {sent} after a login with {agreed};"
        " such ones are read and answered so from now on"
    ]
    tested.client.acknowledge(read)
    cls = pdus.DeliverResp20 if sent == "2.0" else pdus.DeliverResp30
    assert answers(tested, sent) == [cls(5, 0x77, 0)]
    assert brought(tested, mo(sent).encode())[1] == []
    assert brought(tested, mo(agreed).encode()) == (mo(agreed), [])


@pytest.mark.parametrize(("agreed", "sent", "tail"), [("3.0", "2.0", 8), ("2.0", "3.0", 20)])
def test_a_deliver_of_the_other_version_without_its_tail_is_not_mistaken_for_ours(
    agreed: str, sent: str, tail: int
) -> None:
    long = mo(sent, msg_content="请批准张三的休假申请".encode("utf-16-be"))
    read, _ = brought(pair(agreed), resized(long.encode()[:-tail]))
    assert read == long


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_q03_an_empty_mo_with_another_tail_is_empty(version: str) -> None:
    empty = mo(version, msg_content=b"")
    assert brought(pair(version), resized(empty.encode() + b"x"))[0] == empty


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_report_in_the_other_versions_deliver_is_read(version: str) -> None:
    other = "2.0" if version == "3.0" else "3.0"
    deliver = vector("cmpp", f"deliver_report_{other[0]}0")
    read, _ = brought(pair(version), deliver.octets)
    assert mapping.from_report(read).carrier_message_id == "5625e3c003e9002a"


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("says", [0, 8, 100, 255])
def test_a_report_whose_msg_length_is_wrong_is_read_by_what_is_there(
    version: str, says: int
) -> None:
    octets = bytearray(reported(version, build_report(REPORT, version)).encode())
    octets[76 if version == "2.0" else 88] = says
    tested = pair(version)
    read, said = brought(tested, bytes(octets))
    assert parse_report(read.msg_content) == REPORT
    assert f"Msg_Length {says}, and" in said[0]


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_an_mo_whose_msg_length_is_too_large_is_read_when_its_tail_is_empty(version: str) -> None:
    octets = bytearray(mo(version).encode())
    octets[76 if version == "2.0" else 88] = 140
    assert brought(pair(version), bytes(octets))[0].msg_content == UCS2_TEXT


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_an_mo_whose_msg_length_counts_characters_is_read_whole(version: str) -> None:
    octets = bytearray(mo(version).encode())
    octets[76 if version == "2.0" else 88] = len(UCS2_TEXT) // 2
    read, said = brought(pair(version), bytes(octets))
    assert read.msg_content == UCS2_TEXT
    assert "4 octets of content are there" in said[0]


def test_an_mo_of_another_coding_or_too_long_is_cut_where_msg_length_says() -> None:
    octets = bytearray(mo(msg_fmt=0, msg_content=b"YES!").encode())
    octets[88] = 2
    assert brought(pair(), bytes(octets))[0].msg_content == b"YE"
    octets = bytearray(mo(msg_content=b"\0A" * 75).encode())
    octets[88] = 75
    assert brought(pair(), bytes(octets))[0].msg_content == (b"\0A" * 38)[:75]


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_deliver_that_leaves_a_doubt_gets_result_4(version: str) -> None:
    octets = bytearray(mo(version).encode())
    octets[76 if version == "2.0" else 88] = 140
    octets[-1] = 0x37  # is that text, or the tail?
    tested = pair(version)
    for _ in range(2):
        tested.client.receive_data(bytes(octets), 0.0)
        assert [type(event) for event in tested.client.events()] == [ev.PeerMistake]
    cls = pdus.DeliverResp20 if version == "2.0" else pdus.DeliverResp30
    assert answers(tested, version) == [cls(5, 0, constants.RESULT_LENGTH)] * 2
    brought(tested, resized(mo(version).encode() + b"x"))
    tested.client.receive_data(bytes(octets), 0.0)
    assert [type(event) for event in tested.client.events()] == [ev.PeerMistake]


def test_a_deliver_that_ends_before_its_content_gets_result_4() -> None:
    tested = pair()
    tested.client.receive_data(resized(mo().encode()[:60]), 0.0)
    assert answers(tested, "3.0") == [pdus.DeliverResp30(5, 0, constants.RESULT_LENGTH)]


def test_an_odd_deliver_before_the_login_is_accepted_ends_the_session() -> None:
    client = cmpp.CmppSession(account("auto"), Role.CLIENT, Side.SP, lambda: WALL)
    client.bind(0.0)
    client.receive_data(resized(mo().encode()[:-20]), 0.0)
    assert isinstance(client.events()[-1], ev.SessionFailed)
    assert client.closed


@given(st.binary(min_size=0, max_size=300), st.sampled_from(["2.0", "3.0"]))
def test_no_deliver_makes_a_session_raise(body: bytes, version: str) -> None:
    tested = pair(version)
    header = bytes.fromhex("0000000000000005000000aa")
    tested.client.receive_data(resized(header + body), 0.0)
    tested.client.receive_data(resized(header + body), 0.0)
    assert tested.client.bound


# ---- reports -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize("octets", [60, 71, 65])
def test_q01_a_reports_number_field_is_what_its_length_leaves(version: str, octets: int) -> None:
    body = build_report(REPORT, "2.0")
    number = body[35:56].ljust(octets - 39, b"\0")
    read, said = brought(pair(version), reported(version, body[:35] + number + body[56:]).encode())
    assert parse_report(read.msg_content) == REPORT
    assert said == []


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize(
    "written",
    [
        b"5625e3c003e9002a",
        b"5625E3C003E9002A",
        b"5625e3c003e9002a\0\0\0\0",
        b"6207618075238924330",
        b"6207618075238924330 ",
        b"0512093015000100100042",
    ],
)
def test_a_reports_id_may_be_hex_decimal_or_its_parts_in_text(version: str, written: bytes) -> None:
    body = build_report(REPORT, version)
    read, _ = brought(pair(version), reported(version, written + body[8:]).encode())
    assert mapping.from_report(read).carrier_message_id == "5625e3c003e9002a"
    assert parse_report(read.msg_content) == REPORT


def test_a_decimal_id_with_its_top_bit_set_may_be_negative() -> None:
    msg_id = 0xC625E3C003E9002A
    written = str(msg_id - (1 << 64)).encode()
    body = written + build_report(REPORT, "3.0")[8:]
    assert parse_report(body).msg_id == msg_id


@pytest.mark.parametrize("stat", ["DELIVRD", "EXPIRED", "ACCEPTD", "DA:0001", "MB:1"])
def test_a_hex_id_ends_where_the_stat_begins(stat: str) -> None:
    report = msgspec.structs.replace(REPORT, stat=stat)
    body = b"5625e3c003e9002a" + build_report(report, "2.0")[8:]
    assert parse_report(body) == report


@pytest.mark.parametrize(
    "written",
    [
        b"-5625e3c003e9002",  # no signed hex
        b"5625e3c003e9002abc",  # neither hex of 16 nor decimal
        b"99999999999999999999",  # over 64 bits
        b"0532093015000100100042",  # no day 32
    ],
)
def test_a_text_that_is_no_id_is_left_as_it_is(written: bytes) -> None:
    body = written + build_report(REPORT, "3.0")[8:]
    assert parse_report(body).msg_id == int.from_bytes(written[:8], "big")


def test_a_binary_id_that_looks_like_text_is_binary() -> None:
    report = msgspec.structs.replace(REPORT, msg_id=int.from_bytes(b"35625001", "big"))
    assert parse_report(build_report(report, "2.0")) == report


def test_q15_a_short_stat_and_impossible_times_are_kept_as_they_are() -> None:
    body = bytearray(build_report(REPORT, "2.0"))
    body[8:15] = b"AF:4\0\0\0"
    body[15:25] = b"0001010000"
    report = mapping.from_report(reported("2.0", bytes(body)))
    assert (report.stat, report.submitted) == ("AF:4", "0001010000")
    assert report.status.value == "undelivered"


def test_q25_a_report_that_overtakes_its_answer_is_handed_out_and_the_answer_still_counts() -> None:
    tested = pair()
    key = tested.client.submit(pdus.Submit30(dest_terminal_id=["13800001001"]), 0.0, "ours")
    assert isinstance(key, int)
    report = reported("3.0", build_report(REPORT, "3.0")).encode()
    tested.client.receive_data(report + pdus.SubmitResp30(key, REPORT.msg_id, 0).encode(), 0.0)
    first, second = tested.client.events()
    assert isinstance(first, ev.ReportReceived)
    assert second == ev.SubmitAnswered("ours", 0, "5625e3c003e9002a")


def test_q19_a_report_on_a_connection_that_sent_nothing_is_handed_out() -> None:
    tested = pair()
    read, said = brought(tested, reported("3.0", build_report(REPORT, "3.0")).encode())
    assert (parse_report(read.msg_content), said) == (REPORT, [])


# ---- text and numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("octet", [0x01, 0x40, 0x41])
def test_q07_either_form_of_the_header_indicator_counts(octet: int) -> None:
    read, _ = brought(pair(), mo(tp_udhi=octet, msg_content=b"\5\0\3\7\1\1hi").encode())
    assert mapping.from_deliver(read).udhi


@pytest.mark.parametrize(
    "written", ["8613800001001", "+8613800001001", "008613800001001", "13800001001      "]
)
def test_q14_a_number_is_known_with_or_without_86_and_padding(written: str) -> None:
    read, _ = brought(pair(), mo(src_terminal_id=written).encode())
    assert mapping.from_deliver(read).sender == "13800001001"
    report = msgspec.structs.replace(REPORT, dest_terminal_id=written)
    read, _ = brought(pair(), reported("3.0", build_report(report, "3.0")).encode())
    assert mapping.from_report(read).to == "13800001001"


def test_q16_a_clients_message_id_is_ignored_and_nothing_it_need_not_say_is_asked() -> None:
    tested = pair()
    submit = pdus.Submit30(msg_id=0x99, at_time="150731224820032+", dest_terminal_id=["1"])
    tested.client.submit(submit, 0.0, "ours")
    tested.exchange()
    (received,) = tested.take(tested.server, ev.SubmitReceived)
    tested.server.answer_submit(received.pdu, 0, "5625e3c003e9002a")
    tested.exchange()
    answered = ev.SubmitAnswered("ours", 0, "5625e3c003e9002a")
    assert tested.take(tested.client, ev.SubmitAnswered) == [answered]


def test_q21_a_report_is_asked_for_in_so_many_words() -> None:
    assert pdus.Submit30().registered_delivery == 0
    (segment,) = mapping.from_submit(pdus.Submit30(dest_terminal_id=["1"], registered_delivery=1))
    assert mapping.to_submit(account(), "3.0", segment).registered_delivery == 1


@pytest.mark.parametrize("coding", [0, 15])
def test_q29_gbk_is_read_with_15_or_without(coding: int) -> None:
    read, _ = brought(pair(), mo(msg_fmt=coding, msg_content="同意".encode("gbk")).encode())
    assert mapping.from_deliver(read).coding == Coding.GBK
    part = mo(msg_fmt=coding, tp_udhi=0x40, msg_content=b"\5\0\3\7\2\1" + "同意".encode("gbk"))
    read, _ = brought(pair(), part.encode())
    assert mapping.from_deliver(read).coding == Coding.GBK


def test_a_repeated_mo_is_handed_out_and_answered_each_time() -> None:
    tested = pair()
    for _ in range(2):
        read, said = brought(tested, mo().encode())
        tested.client.acknowledge(read)
        assert (answers(tested, "3.0"), said) == ([pdus.DeliverResp30(5, 0x77, 0)], [])
