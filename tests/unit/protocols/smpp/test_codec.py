"""SMPP octets against PDUs that smpplib and node-smpp agree on, and against smpplib itself."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
import smpplib.command_codes
import smpplib.consts
import smpplib.smpp
from hypothesis import given, settings
from hypothesis import strategies as st

from smsgw.errors import FrameError, PduError, ValidationError
from smsgw.protocols import smpp
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smpp import tlv
from smsgw.protocols.smpp.codec import LENIENT
from smsgw.protocols.smpp.pdus import Bind
from tests.support.feeding import feed_three_ways
from tests.support.random_pdus import random_pdu
from tests.support.vectors import Vector, vector, vectors

WELL_FORMED = vectors("smpp", malformed=False)
MALFORMED = vectors("smpp", malformed=True)
CLASSES = list(smpp.CODEC.tables["3.4"].values())

BODY_OCTETS = {
    smpp.BindReceiver: 7,
    smpp.BindTransmitter: 7,
    smpp.BindTransceiver: 7,
    smpp.BindReceiverResp: 1,
    smpp.BindTransmitterResp: 1,
    smpp.BindTransceiverResp: 1,
    smpp.Outbind: 2,
    smpp.SubmitSm: 17,
    smpp.SubmitSmResp: 1,
    smpp.SubmitMulti: 15,
    smpp.SubmitMultiResp: 2,
    smpp.DeliverSm: 17,
    smpp.DeliverSmResp: 1,
    smpp.DataSm: 10,
    smpp.DataSmResp: 1,
    smpp.QuerySm: 4,
    smpp.QuerySmResp: 4,
    smpp.CancelSm: 8,
    smpp.ReplaceSm: 9,
    smpp.AlertNotification: 6,
}
"""SMPP 3.4 section 4: octets of a body whose texts and options are empty; others have none."""


def test_the_whole_vector_list_is_read() -> None:
    assert (len(WELL_FORMED), len(MALFORMED)) == (52, 20)


@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_a_vector_decodes_to_its_fields_in_their_order(case: Vector) -> None:
    fields = smpp.CODEC.to_fields(smpp.decode(case.octets, case.version))
    assert case.fields is not None
    assert fields == case.fields
    assert list(fields) == list(case.fields)


@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_a_vectors_fields_encode_to_its_octets(case: Vector) -> None:
    assert case.fields is not None
    read = smpp.decode(case.octets, case.version)
    assert smpp.encode(read) == case.octets
    if type(read) not in LENIENT:
        pdu = smpp.CODEC.from_fields(case.fields, case.version)
        assert smpp.encode(pdu) == case.octets
        assert pdu == read


@pytest.mark.parametrize("case", MALFORMED, ids=str)
def test_a_malformed_vector_is_refused(case: Vector) -> None:
    with pytest.raises(PduError):
        smpp.CODEC.to_fields(smpp.decode(case.octets, case.version))


@pytest.mark.parametrize("name", ["bad_length_15", "bad_length_huge"])
def test_a_length_that_cannot_be_stops_the_framer(name: str) -> None:
    with pytest.raises(FrameError):
        smpp.Framer().split(vector("smpp", name).octets)


@pytest.mark.parametrize(
    ("name", "field", "offset"),
    [
        ("bad_unknown_command", "command_id", 4),
        ("bad_bind_truncated", "password", 23),
        ("bad_bind_no_address_range", "address_range", 35),
        ("bad_system_id_unterminated", "system_id", 16),
        ("bad_system_id_too_long", "system_id", 16),
        ("bad_source_addr_too_long", "source_addr", 19),
        ("bad_sm_length_exceeds_body", "short_message", 53),
        ("bad_submit_multi_dest_flag", "dest_address", 20),
        ("bad_submit_multi_dests_missing", "dest_address", 20),
        ("bad_submit_multi_resp_cut", "unsuccess_sme", 19),
        ("bad_tlv_header_truncated", "tlvs", 59),
        ("bad_tlv_value_truncated", "tlvs", 59),
        ("bad_enquire_link_with_body", "", 16),
        ("bad_submit_sm_bare", "service_type", 16),
    ],
)
def test_the_error_names_the_field_at_fault(name: str, field: str, offset: int) -> None:
    with pytest.raises(PduError) as caught:
        smpp.decode(vector("smpp", name).octets)
    assert (caught.value.field, caught.value.offset) == (field, offset)


def test_a_receipt_that_is_none_leaves_the_deliver_readable() -> None:
    pdu = smpp.decode(vector("smpp", "bad_receipt_without_id").octets)
    assert isinstance(pdu, smpp.DeliverSm)
    with pytest.raises(PduError, match="receipt without id") as caught:
        smpp.CODEC.to_fields(pdu)
    assert caught.value.offset == len(pdu.encode()) - len(b"hello")


@pytest.mark.parametrize("case", WELL_FORMED, ids=str)
def test_every_proper_prefix_is_refused(case: Vector) -> None:
    for end in range(len(case.octets)):
        with pytest.raises(PduError):
            smpp.decode(case.octets[:end], case.version)


def test_the_vectors_frame_alike_however_they_are_cut() -> None:
    octets = b"".join(case.octets for case in WELL_FORMED)
    frames = feed_three_ways(lambda: smpp.Framer().split, octets)
    assert frames == [case.octets for case in WELL_FORMED]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_empty_pdu_has_the_specifications_length(cls: type[Pdu]) -> None:
    assert len(cls().encode()) == 16 + BODY_OCTETS.get(cls, 0)


def test_a_text_ends_in_its_own_pdu_and_not_in_the_next_one() -> None:
    cut = vector("smpp", "bad_bind_no_address_range").octets
    whole = vector("smpp", "enquire_link").octets
    with pytest.raises(PduError, match="address_range at offset 35"):
        smpp.CODEC.decode_at(cut + whole, 0, len(cut))


@pytest.mark.parametrize("cls", LENIENT, ids=lambda cls: cls.__name__)
def test_an_answer_may_come_without_its_body(cls: type[Pdu]) -> None:
    raw = cls(0x08, 7).encode()  # type: ignore[call-arg]
    assert len(raw) == 16
    assert smpp.decode(raw) == cls(0x08, 7)  # type: ignore[call-arg]
    assert smpp.CODEC.to_fields(smpp.decode(raw))["command_status"] == 8


def test_a_tlv_may_be_given_by_name_and_value() -> None:
    pdu = smpp.CODEC.from_fields(
        {
            "command": "submit_sm",
            "tlvs": [{"name": "sar_msg_ref_num", "value": 5}, {"tag": 0x1400, "value_hex": "01"}],
        }
    )
    assert pdu == smpp.SubmitSm(tlvs=[Tlv(0x020C, b"\0\5"), Tlv(0x1400, b"\1")])


def test_tlvs_that_are_no_list_are_refused() -> None:
    with pytest.raises(ValidationError, match="tlvs: must be a list"):
        smpp.CODEC.from_fields({"command": "submit_sm", "tlvs": "none"})


def test_the_report_shown_with_a_receipt_may_stay_in_its_object() -> None:
    case = vector("smpp", "deliver_sm_receipt")
    assert case.fields is not None
    assert smpp.CODEC.from_fields({**case.fields, "report": None}).encode() == case.octets


def test_the_recipients_of_a_submit_multi_are_phones_and_lists() -> None:
    pdu = smpp.decode(vector("smpp", "submit_multi").octets)
    assert isinstance(pdu, smpp.SubmitMulti)
    assert pdu.dest_address == [
        smpp.SmeAddress(1, 1, "8613800001001"),
        smpp.DistributionList("staff"),
        smpp.SmeAddress(1, 1, "8613900001004"),
    ]
    assert "8613800001001" not in str(pdu)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"dl_name": "staff"}, r"dest_address\[0\].dest_flag: must be an integer, missing"),
        ({"dest_flag": 3}, r"dest_address\[0\].dest_flag: 3 is none of 1, 2"),
        ({"dest_flag": 2, "dest_addr_ton": 1}, r"dest_address\[0\].dest_addr_ton: no such field"),
        ("staff", r"dest_address\[0\]: must be an object, str given"),
    ],
)
def test_a_recipient_that_is_none_is_refused_by_its_place(item: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        smpp.CODEC.from_fields({"command": "submit_multi", "dest_address": [item]})


def test_a_password_longer_than_the_specification_allows_is_written_as_it_is() -> None:
    pdu = smpp.BindTransceiver(system_id="901234", password="p" * 64)
    assert smpp.decode(pdu.encode()) == pdu


def test_a_password_is_never_shown() -> None:
    shown = str(smpp.BindTransceiver(system_id="901234", password="aB3k9Zq"))
    assert "password=***" in shown
    assert "aB3k9Zq" not in shown


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_damaged_octets_raise_nothing_but_pdu_errors(seed: int) -> None:
    rng = random.Random(seed)
    octets = bytearray(random_pdu(rng.choice(CLASSES), rng).encode())
    for _ in range(rng.randint(1, 4)):
        octets[rng.randrange(8, len(octets) + 1) - 1] = rng.randrange(256)
    with contextlib.suppress(PduError):
        smpp.CODEC.to_fields(smpp.decode(bytes(octets)))


# ---- smpplib -------------------------------------------------------------------------------

SMPPLIB_KNOWS = [
    cls
    for cls in CLASSES
    if not cls.command.startswith(("cancel_sm", "replace_sm", "outbind", "submit_multi"))
]


def test_every_command_has_the_id_smpplib_knows() -> None:
    ids = {cls.command: cls.command_id for cls in CLASSES}
    assert ids == smpplib.command_codes.commands


def test_every_tag_has_the_number_smpplib_knows() -> None:
    assert {row.name: tag for tag, row in tlv.TAGS.items()} == smpplib.consts.OPTIONAL_PARAMS


class FixedSequence:
    """What smpplib asks for sequences."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence

    def next_sequence(self) -> int:
        return self.sequence


def without_tlvs(cls: type[Pdu], seed: int) -> Any:
    """A random PDU that smpplib can carry: no options, and nothing its own checks refuse."""
    pdu: Any = random_pdu(cls, random.Random(seed))
    if hasattr(pdu, "tlvs"):
        pdu.tlvs = []
    for name in ("source_addr", "destination_addr", "esme_addr"):
        if hasattr(pdu, name):
            setattr(pdu, name, getattr(pdu, name)[:20])  # it gives data_sm 21 octets, not 65
    if isinstance(pdu, Bind):
        pdu.password = pdu.password[:8]  # it cuts longer ones
    if cls is smpp.QuerySm:
        pdu.message_id = "42"
    return pdu


@pytest.mark.parametrize("cls", SMPPLIB_KNOWS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("seed", range(20))
def test_smpplib_writes_the_same_octets(cls: type[Pdu], seed: int) -> None:
    pdu = without_tlvs(cls, seed)
    names = [name for name, _ in cls.layout.fields if name != "tlvs"][2:]
    values = {name: getattr(pdu, name) for name in names}
    sequence = FixedSequence(pdu.sequence_number)
    theirs = smpplib.smpp.make_pdu(cls.command, client=sequence, **values)
    theirs.sequence, theirs.status = pdu.sequence_number, pdu.command_status
    for name, value in values.items():
        setattr(theirs, name, value)
    assert theirs.generate() == pdu.encode()
    assert smpp.decode(theirs.generate()) == pdu


@pytest.mark.parametrize("cls", SMPPLIB_KNOWS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("seed", range(20))
def test_smpplib_reads_the_same_values(cls: type[Pdu], seed: int) -> None:
    pdu = without_tlvs(cls, seed)
    theirs = smpplib.smpp.parse_pdu(pdu.encode(), client=FixedSequence(1))
    assert theirs.command == cls.command
    assert (theirs.sequence, theirs.status) == (pdu.sequence_number, pdu.command_status)
    for name, _ in cls.layout.fields[2:]:
        if name != "tlvs":
            ours, read = getattr(pdu, name), getattr(theirs, name)
            wanted = ours.encode("latin-1") if isinstance(ours, str) else ours
            assert (read or type(wanted)()) == wanted, name
