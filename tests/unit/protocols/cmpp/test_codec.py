"""CMPP vectors, both ways, and what malformed ones get."""

from __future__ import annotations

import contextlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import FrameError, PduError, SmsgwError
from smsgw.protocols import cmpp
from smsgw.protocols.cmpp.pdus import ActiveTestRespBare
from tests.support.feeding import feed_three_ways
from tests.support.random_pdus import random_pdu
from tests.support.vectors import Vector, vector, vectors

GOOD = vectors("cmpp", malformed=False)
BAD = vectors("cmpp", malformed=True)

MALFORMED = {
    "bad_dest_count_exceeds_body": ("CMPP_SUBMIT", "reserve", 172),
    "bad_dest_count_zero": ("CMPP_SUBMIT", "msg_content", 129),
    "bad_msg_length_exceeds_body": ("CMPP_SUBMIT", "msg_content", 150),
    "bad_trailing_octets": ("CMPP_SUBMIT", "", 176),
    "bad_unknown_command": ("0x00000077", "command_id", 4),
    "bad_connect_truncated": ("CMPP_CONNECT", "authenticator_source", 18),
}


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_a_vector_decodes_to_its_fields_and_encodes_back(case: Vector) -> None:
    pdu = cmpp.decode(case.octets, case.version)
    fields = cmpp.CODEC.to_fields(pdu, len(case.octets))
    assert fields == case.fields
    assert json.loads(json.dumps(fields)) == case.fields
    assert cmpp.encode(pdu) == case.octets
    assert cmpp.CODEC.from_fields(case.fields or {}, case.version).encode() == case.octets


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_a_vector_reads_the_same_through_the_reference(case: Vector) -> None:
    pdu = cmpp.decode(case.octets, case.version)
    assert pdu.layout.reference_decode(case.octets) == pdu
    assert pdu.layout.reference_encode(pdu) == case.octets


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_every_proper_prefix_of_a_vector_is_refused(case: Vector) -> None:
    for end in range(len(case.octets)):
        with pytest.raises(PduError):
            cmpp.decode(case.octets[:end], case.version)


@pytest.mark.parametrize("case", BAD, ids=str)
def test_a_malformed_vector_is_refused_where_it_is_wrong(case: Vector) -> None:
    if case.name.startswith("bad_total_length"):
        with pytest.raises(FrameError):
            cmpp.Framer().split(case.octets)
        with pytest.raises(PduError, match=r"header\.total_length at offset 0"):
            cmpp.decode(case.octets, case.version)
        return
    assert cmpp.Framer().split(case.octets) == [case.octets]
    with pytest.raises(PduError) as caught:
        cmpp.decode(case.octets, case.version)
    error = caught.value
    assert (error.command, error.field, error.offset) == MALFORMED[case.name]


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_all_vectors_of_a_version_come_out_of_one_stream(version: str) -> None:
    cases = [case for case in GOOD if case.version == version]
    stream = b"".join(case.octets for case in cases)
    frames = feed_three_ways(lambda: cmpp.Framer().split, stream, b"\0\0\0\x0c\0")
    assert frames == [case.octets for case in cases]


@pytest.mark.parametrize(
    ("octets", "version", "expected"),
    [
        (cmpp.SubmitResp20(2, 5, 8), "3.0", cmpp.SubmitResp20),
        (cmpp.SubmitResp30(2, 5, 8), "2.0", cmpp.SubmitResp30),
        (cmpp.ConnectResp20(2, 3), "3.0", cmpp.ConnectResp20),
        (cmpp.ConnectResp30(2, 3), "2.0", cmpp.ConnectResp30),
        (cmpp.DeliverResp20(2, 5, 8), "3.0", cmpp.DeliverResp20),
        (cmpp.DeliverResp30(2, 5, 8), "2.0", cmpp.DeliverResp30),
        (cmpp.CancelResp20(2, 1), "3.0", cmpp.CancelResp20),
        (cmpp.CancelResp30(2, 1), "2.0", cmpp.CancelResp30),
        (ActiveTestRespBare(300), "3.0", ActiveTestRespBare),
        (ActiveTestRespBare(300), "2.0", ActiveTestRespBare),
    ],
)
def test_an_answer_of_the_other_versions_length_is_read(
    octets: cmpp.ActiveTest, version: str, expected: type
) -> None:
    assert cmpp.decode(octets.encode(), version) == octets
    assert type(cmpp.decode(octets.encode(), version)) is expected


def test_a_report_is_nested_only_in_a_deliver_that_says_it_is_one() -> None:
    case = vector("cmpp", "deliver_report_30")
    report = cmpp.decode(case.octets)
    assert isinstance(report, cmpp.Deliver30)
    assert "report" in cmpp.CODEC.to_fields(report)
    report.registered_delivery = 0
    assert "report" not in cmpp.CODEC.to_fields(report)


@pytest.mark.parametrize(("cls", "offset"), [(cmpp.Deliver20, 77), (cmpp.Deliver30, 89)])
def test_a_report_too_short_to_read_is_an_error_where_its_content_starts(
    cls: type[cmpp.Deliver20] | type[cmpp.Deliver30], offset: int
) -> None:
    pdu = cls(registered_delivery=1, msg_content=bytes(59))
    with pytest.raises(PduError) as caught:
        cmpp.CODEC.to_fields(pdu)
    assert str(caught.value) == (
        f"CMPP_DELIVER.msg_content at offset {offset}: report of 59 octets, at least 60"
    )


@given(st.binary(max_size=80), st.sampled_from(["2.0", "3.0"]), st.booleans())
def test_arbitrary_bytes_raise_nothing_but_our_own_errors(
    octets: bytes, version: str, framed: bool
) -> None:
    if framed:
        octets = (len(octets) + 4).to_bytes(4, "big") + octets
    with contextlib.suppress(SmsgwError):
        cmpp.CODEC.to_fields(cmpp.decode(octets, version))


@given(st.integers(0, 2**32 - 1))
def test_a_random_pdu_survives_its_object(seed: int) -> None:
    rng = random.Random(seed)
    version = rng.choice(["2.0", "3.0"])
    cls = rng.choice(list(cmpp.CODEC.tables[version].values()))
    pdu = random_pdu(cls, rng)
    if isinstance(pdu, cmpp.Deliver20 | cmpp.Deliver30) and pdu.registered_delivery == 1:
        pdu.registered_delivery = 0
    fields = json.loads(json.dumps(cmpp.CODEC.to_fields(pdu)))
    assert cmpp.CODEC.from_fields(fields, version) == pdu
