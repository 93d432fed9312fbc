"""SMGP octets against PDUs that implementations other than ours agreed on."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.errors import FrameError, PduError, ValidationError
from smsgw.protocols import smgp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smgp.codec import SESSION_CODEC
from tests.support.feeding import feed_three_ways
from tests.support.random_pdus import random_pdu
from tests.support.vectors import Vector, vector, vectors

WELL_FORMED = vectors("smgp", malformed=False)
MALFORMED = vectors("smgp", malformed=True)

BODY_OCTETS = {
    smgp.Login: 30,
    smgp.LoginResp: 21,
    smgp.Submit30: 114,
    smgp.Submit13: 108,
    smgp.SubmitResp: 14,
    smgp.Deliver: 77,
    smgp.DeliverResp: 14,
    smgp.ActiveTest: 0,
    smgp.ActiveTestResp: 0,
    smgp.Forward: 162,
    smgp.ForwardResp: 14,
    smgp.Exit: 0,
    smgp.ExitResp: 0,
    smgp.Query: 19,
    smgp.QueryResp: 59,
    smgp.QueryTeRoute: 27,
    smgp.QueryTeRouteResp: 60,
    smgp.QuerySpRoute: 27,
    smgp.QuerySpRouteResp: 76,
    smgp.GetAllTeRoute: 14,
    smgp.GetAllTeRouteResp: 68,
    smgp.GetAllSpRoute: 14,
    smgp.GetAllSpRouteResp: 84,
    smgp.UpdateTeRoute: 43,
    smgp.UpdateTeRouteResp: 22,
    smgp.UpdateSpRoute: 59,
    smgp.UpdateSpRouteResp: 22,
    smgp.PushUpdateTeRoute: 57,
    smgp.PushUpdateTeRouteResp: 4,
    smgp.PushUpdateSpRoute: 73,
    smgp.PushUpdateSpRouteResp: 4,
}
"""smgp.md section 3, the table of requests."""


def test_the_whole_vector_list_is_read() -> None:
    assert len(WELL_FORMED) + len(MALFORMED) == 45


@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_a_vector_decodes_to_its_fields_in_their_order(case: Vector) -> None:
    fields = smgp.CODEC.to_fields(smgp.decode(case.octets, case.version))
    assert case.fields is not None
    assert fields == case.fields
    assert list(fields) == list(case.fields)


@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_a_vectors_fields_encode_to_its_octets(case: Vector) -> None:
    assert case.fields is not None
    pdu = smgp.CODEC.from_fields(case.fields, case.version)
    assert smgp.encode(pdu) == case.octets
    assert pdu == smgp.decode(case.octets, case.version)


@pytest.mark.parametrize("case", MALFORMED, ids=str)
def test_a_malformed_vector_is_refused(case: Vector) -> None:
    with pytest.raises(PduError):
        smgp.CODEC.to_fields(smgp.decode(case.octets, case.version))


@pytest.mark.parametrize("name", ["bad_packet_length_11", "bad_packet_length_huge"])
def test_a_length_that_cannot_be_stops_the_framer(name: str) -> None:
    with pytest.raises(FrameError):
        smgp.Framer().split(vector("smgp", name).octets)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("bad_login_truncated", "client_version"),
        ("bad_dest_count_exceeds_body", "dest_term_id"),
        ("bad_msg_length_exceeds_body", "msg_content"),
        ("bad_tlv_header_truncated", "tlvs"),
        ("bad_tlv_value_truncated", "tlvs"),
        ("bad_unknown_request_id", "command_id"),
    ],
)
def test_the_error_names_the_field_at_fault(name: str, field: str) -> None:
    with pytest.raises(PduError) as caught:
        smgp.decode(vector("smgp", name).octets)
    assert caught.value.field == field


def test_a_receipt_that_is_none_leaves_the_deliver_readable() -> None:
    pdu = smgp.decode(vector("smgp", "bad_report_content_short").octets)
    assert isinstance(pdu, smgp.Deliver)
    with pytest.raises(PduError, match="msg_content"):
        smgp.CODEC.to_fields(pdu)


@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_every_proper_prefix_is_refused(case: Vector) -> None:
    for end in range(len(case.octets)):
        with pytest.raises(PduError):
            smgp.decode(case.octets[:end], case.version)


def test_the_vectors_frame_alike_however_they_are_cut() -> None:
    octets = b"".join(case.octets for case in WELL_FORMED)
    frames = feed_three_ways(lambda: smgp.Framer().split, octets)
    assert frames == [case.octets for case in WELL_FORMED]


@pytest.mark.parametrize("cls", BODY_OCTETS, ids=lambda cls: cls.__name__)
def test_an_empty_pdu_has_the_specifications_length(cls: type[Pdu]) -> None:
    assert len(cls().encode()) == 12 + BODY_OCTETS[cls]


def test_every_request_id_has_its_answer_with_the_top_bit_set() -> None:
    for table in smgp.CODEC.tables.values():
        requests = {command_id for command_id in table if command_id < 0x80000000}
        assert {command_id | 0x80000000 for command_id in requests} == set(table) - requests
        assert len(requests) == 15


def test_version_decides_whether_submit_has_a_fixed_fee() -> None:
    raw = smgp.Submit13(dest_term_id=["13300001111"]).encode()
    assert isinstance(smgp.decode(raw, "1.3"), smgp.Submit13)
    with pytest.raises(PduError):
        smgp.decode(raw, "3.0")
    raw = smgp.Submit30(dest_term_id=["13300001111"]).encode()
    assert isinstance(smgp.decode(raw, "2.0"), smgp.Submit30)


@pytest.mark.parametrize("extra", [b"\0", b"\0\0\0\0"])
def test_a_heartbeat_answer_may_be_longer(extra: bytes) -> None:
    raw = (12 + len(extra)).to_bytes(4, "big") + bytes.fromhex("800000040000000a") + extra
    pdu = smgp.decode(raw)
    assert pdu.sequence_id == 10  # type: ignore[attr-defined]
    assert smgp.CODEC.from_fields(smgp.CODEC.to_fields(pdu)).encode() == raw


def test_message_ids_keep_their_zero_octets() -> None:
    msg_id = bytes.fromhex("0000ff06121423277400")
    pdu = smgp.decode(smgp.SubmitResp(1, msg_id).encode())
    assert pdu == smgp.SubmitResp(1, msg_id)


def test_a_tlv_may_be_given_by_name_and_value() -> None:
    pdu = smgp.CODEC.from_fields(
        {
            "command": "SMGP_DELIVER",
            "tlvs": [{"name": "TP_udhi", "value": 1}, {"tag": 20, "value_hex": "01"}],
        }
    )
    assert pdu == smgp.Deliver(tlvs=[Tlv(2, b"\1"), Tlv(20, b"\1")])


def test_tlvs_that_are_no_list_are_refused() -> None:
    with pytest.raises(ValidationError, match="tlvs: must be a list"):
        smgp.CODEC.from_fields({"command": "SMGP_DELIVER", "tlvs": "none"})


def test_a_session_knows_only_what_passes_between_an_sp_and_its_gateway() -> None:
    for table in SESSION_CODEC.tables.values():
        assert len(table) == 10
        assert smgp.Query.command_id not in table


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_damaged_octets_raise_nothing_but_pdu_errors(seed: int) -> None:
    rng = random.Random(seed)
    octets = bytearray(random_pdu(rng.choice(list(BODY_OCTETS)), rng).encode())
    for _ in range(rng.randint(1, 4)):
        octets[rng.randrange(8, len(octets) + 1) - 1] = rng.randrange(256)
    with contextlib.suppress(PduError):
        smgp.CODEC.to_fields(smgp.decode(bytes(octets), rng.choice(["1.3", "3.0"])))
