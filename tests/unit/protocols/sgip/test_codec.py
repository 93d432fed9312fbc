"""SGIP PDUs against octets that other implementations agreed on."""

from __future__ import annotations

import pytest

from smsgw.errors import EncodeError, FrameError, PduError
from smsgw.protocols import sgip
from smsgw.protocols.layout import Pdu
from smsgw.protocols.sgip.codec import PDUS, REQUESTS, answer_to
from smsgw.protocols.sgip.constants import RESPONSE_BIT
from tests.support.feeding import feed_three_ways
from tests.support.vectors import Vector, vector, vectors

WORDS = (3010012345, 116170000, 2)
RESPONSES = [cls for cls in PDUS if cls.command_id & RESPONSE_BIT]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("v", vectors("sgip", malformed=False), ids=str)
def test_a_vector_decodes_to_its_fields(v: Vector, version: str) -> None:
    pdu = sgip.decode(v.octets, version)
    assert sgip.CODEC.to_fields(pdu, len(v.octets)) == v.fields
    assert sgip.CODEC.to_fields(pdu) == v.fields


@pytest.mark.parametrize("v", vectors("sgip", malformed=False), ids=str)
def test_the_fields_of_a_vector_encode_back_to_its_octets(v: Vector) -> None:
    assert v.fields is not None
    pdu = sgip.CODEC.from_fields(v.fields, v.version)
    assert sgip.encode(pdu) == v.octets
    assert pdu.layout.reference_encode(pdu) == v.octets


@pytest.mark.parametrize("v", vectors("sgip", malformed=True), ids=str)
def test_a_malformed_vector_is_a_pdu_error(v: Vector) -> None:
    with pytest.raises(PduError):
        sgip.decode(v.octets, v.version)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("bad_bind_truncated", r"SGIP_BIND\.reserve at offset 53"),
        ("bad_user_count_101", r"SGIP_SUBMIT\.user_number at offset 62"),
        ("bad_message_length_huge", r"SGIP_SUBMIT\.message_content at offset 152"),
        ("bad_trailing_octets", r"SGIP_SUBMIT at offset 166: 3 octets after the last field"),
        ("bad_unknown_command", r"0x0000007f\.command_id at offset 4: unknown command"),
    ],
)
def test_a_pdu_error_names_the_field_and_the_offset(name: str, where: str) -> None:
    with pytest.raises(PduError, match=where):
        sgip.decode(vector("sgip", name).octets)


@pytest.mark.parametrize("name", ["bad_length_19", "bad_length_huge"])
def test_an_impossible_length_is_noticed_by_the_framer(name: str) -> None:
    with pytest.raises(FrameError, match="limit 20 to 4096"):
        sgip.Framer().split(vector("sgip", name).octets)


def test_a_stream_is_cut_into_the_same_pdus_however_it_arrives() -> None:
    octets = [v.octets for v in vectors("sgip", malformed=False)]
    assert feed_three_ways(lambda: sgip.Framer().split, b"".join(octets)) == octets


@pytest.mark.parametrize("cls", PDUS, ids=lambda cls: cls.command)
def test_every_truncation_of_every_pdu_is_a_pdu_error(cls: type[Pdu]) -> None:
    whole = cls().encode()
    for octets in range(20, len(whole)):
        cut = octets.to_bytes(4, "big") + whole[4:octets]
        if cls is sgip.QueryRouteResp and octets == 20:
            continue  # the end of a list
        with pytest.raises(PduError):
            sgip.decode(cut)


@pytest.mark.parametrize(
    ("cls", "octets"),
    [
        (sgip.Bind, 41),
        (sgip.BindResp, 9),
        (sgip.Unbind, 0),
        (sgip.UnbindResp, 0),
        (sgip.Submit, 123),
        (sgip.Deliver, 57),
        (sgip.Report, 44),
        (sgip.AddSp, 50),
        (sgip.ModifySp, 81),
        (sgip.DeleteSp, 45),
        (sgip.QueryRoute, 40),
        (sgip.QueryRouteResp, 5),
        (sgip.AddTeleSeg, 26),
        (sgip.ModifyTeleSeg, 33),
        (sgip.DeleteTeleSeg, 21),
        (sgip.AddSmg, 50),
        (sgip.ModifySmg, 56),
        (sgip.DeleteSmg, 14),
        (sgip.CheckUser, 61),
        (sgip.CheckUserResp, 10),
        (sgip.UserRpt, 51),
        (sgip.Trace, 41),
        (sgip.TraceResp, 1),
    ],
    ids=lambda value: getattr(value, "command", value),
)
def test_a_body_has_the_octets_of_the_command_table(cls: type[Pdu], octets: int) -> None:
    assert len(cls().encode()) == 20 + octets


def test_every_command_has_its_response() -> None:
    assert {cls.command_id | RESPONSE_BIT for cls in REQUESTS} == {
        cls.command_id for cls in RESPONSES
    }
    assert all(
        f"{cls.command}_RESP" == CARRIER_COMMANDS[cls.command_id | RESPONSE_BIT] for cls in REQUESTS
    )


CARRIER_COMMANDS = {cls.command_id: cls.command for cls in PDUS}


@pytest.mark.parametrize("cls", RESPONSES, ids=lambda cls: cls.command)
def test_octets_after_a_response_are_accepted_and_kept(cls: type[Pdu]) -> None:
    whole = cls(*WORDS).encode()  # type: ignore[call-arg]
    octets = (len(whole) + 3).to_bytes(4, "big") + whole[4:] + b"abc"
    pdu = sgip.decode(octets)
    assert pdu.encode() == octets
    assert pdu.layout.reference_decode(octets) == pdu


def test_a_route_list_keeps_its_records() -> None:
    routes = [
        sgip.Route(2, "1300000", "HELP", "12345", "101001", 0x0A000001, "user", "secret", "r"),
        sgip.Route(),
    ]
    pdu = sgip.QueryRouteResp(*WORDS, result=0, routes=routes)
    octets = sgip.encode(pdu)
    assert len(octets) == 20 + 5 + 2 * 87
    assert octets[21:25] == b"\0\0\0\2"
    assert sgip.decode(octets) == pdu
    assert pdu.layout.reference_encode(pdu) == octets
    assert "secret" not in str(pdu)


def test_a_route_list_ends_with_an_empty_body() -> None:
    end = sgip.QueryRouteRespEnd(*WORDS)
    assert len(sgip.encode(end)) == 20
    assert sgip.decode(sgip.encode(end)) == end


def test_all_octets_of_reserve_survive() -> None:
    deliver = vector("sgip", "deliver_mo_empty").octets[:-8] + bytes([0, 1, 0, 0, 255, 0, 7, 0])
    pdu = sgip.decode(deliver)
    assert isinstance(pdu, sgip.Deliver)
    assert pdu.reserve == "\0\1\0\0\xff\0\7"
    assert sgip.encode(pdu) == deliver


def test_a_number_that_fills_its_field_has_no_terminator() -> None:
    submit = sgip.Submit(charge_number="0" * 21)
    assert sgip.decode(submit.encode()) == submit
    with pytest.raises(EncodeError, match="charge_number: 22 octets, limit 21 octets"):
        sgip.Submit(charge_number="0" * 22).encode()


def test_a_password_is_not_shown() -> None:
    shown = str(sgip.Bind(login_name="sp12345", login_password="Pa55w0rd"))
    assert "sp12345" in shown
    assert "Pa55w0rd" not in shown


@pytest.mark.parametrize("cls", REQUESTS, ids=lambda cls: cls.command)
def test_an_answer_repeats_the_three_words_and_carries_the_result(cls: type[Pdu]) -> None:
    answer = answer_to(cls.command_id, WORDS, 7)
    if cls is sgip.Unbind:
        assert answer is None  # Unbind_Resp has no place for a result
        return
    assert answer is not None
    fields = sgip.CODEC.to_fields(sgip.decode(answer.encode()))
    assert fields["command_id"] == cls.command_id | RESPONSE_BIT
    words = fields["sequence_node"], fields["sequence_time"], fields["sequence_counter"]
    assert words == WORDS
    result = fields["nodes"][0]["result"] if cls is sgip.Trace else fields["result"]
    assert result == 7


def test_an_unknown_command_has_no_answer() -> None:
    assert answer_to(0x7F, WORDS, 8) is None
    assert answer_to(sgip.SubmitResp.command_id, WORDS, 8) is None
