"""What a declaration becomes: reading, writing, refusing, and what ``str()`` shows."""

from __future__ import annotations

from typing import Annotated

import construct
import msgspec
import pytest

from smsgw.errors import EncodeError, PduError
from smsgw.protocols import compiler, layout
from smsgw.protocols.kinds import (
    U8,
    U16,
    U32,
    CNumber,
    CSecret,
    CText,
    Listed,
    Number,
    Octets,
    Record,
    Reserved,
    Rest,
    Secret,
    Sized,
    Text,
    Tlv,
    Tlvs,
)
from smsgw.protocols.layout import Pdu, pdu


class Stop(msgspec.Struct):
    at: Annotated[int, U16] = 0
    name: Annotated[str, Text(4)] = ""
    end: Annotated[bytes, Octets(2)] = b"\0\0"


class Pair(msgspec.Struct):
    low: Annotated[int, U8] = 0
    high: Annotated[int, U8] = 0


@pdu(0x71, "TOY_TRIP")
class Trip(Pdu):
    """Field names that are also names of local variables in the generated code."""

    at: Annotated[int, U32] = 0
    n: Annotated[str, Text(6)] = ""
    secret: Annotated[str, Secret(6)] = ""
    end: Annotated[str, Reserved(3)] = ""
    stops: Annotated[list[Stop], Listed("stop_count", U8, Record(Stop))] = msgspec.field(
        default_factory=list
    )
    pairs: Annotated[list[Pair], Listed("pair_count", U8, Record(Pair))] = msgspec.field(
        default_factory=list
    )
    items: Annotated[list[str], Listed("item_count", U8, Number(5))] = msgspec.field(
        default_factory=list
    )
    total: Annotated[bytes, Sized("total_length", U8)] = b""
    digest: Annotated[bytes, Octets(2)] = b"\0\0"


@pdu(0x72, "TOY_OPEN")
class Open(Pdu):
    number: Annotated[int, U8] = 0
    options: Annotated[list[Tlv], Tlvs()] = msgspec.field(default_factory=list)


@pdu(0x73, "TOY_TAIL")
class Tail(Pdu):
    number: Annotated[int, U8] = 0
    rest: Annotated[bytes, Rest()] = b""


@pdu(0x74, "TOY_BLANK")
class Blank(Pdu):
    rest: Annotated[bytes, Rest()] = b""


@pdu(0x75, "TOY_ENDED")
class Ended(Pdu):
    """Texts that end at their 0x00, with and without other fields between them."""

    name: Annotated[str, CText(4)] = ""
    phone: Annotated[str, CNumber(5)] = ""
    number: Annotated[int, U8] = 0
    password: Annotated[str, CSecret(3)] = ""


TRIP = Trip(
    7,
    "ab",
    "pass",
    "x\0y",
    [Stop(1, "one", b"12"), Stop(2, "four", b"\0\0")],
    [Pair(1, 2)],
    ["123", "12345"],
    b"abc",
    b"zz",
)
TRIP_OCTETS = bytes.fromhex(
    "00000040 00000071 00000007 616200000000 706173730000 780079"
    "02 0001 6f6e6500 3132 0002 666f7572 0000 01 0102"
    "02 3132330000 3132333435 03 616263 7a7a"
)


def decode(octets: bytes, cls: type[Pdu] = Trip) -> Pdu:
    return cls.layout.decode(octets, 0, len(octets))


def test_a_declaration_is_written_as_its_specification_says() -> None:
    assert TRIP.encode() == TRIP_OCTETS
    assert Trip.layout.reference_encode(TRIP) == TRIP_OCTETS


def test_what_was_written_reads_back_whatever_its_fields_are_called() -> None:
    assert decode(TRIP_OCTETS) == TRIP
    assert Trip.layout.reference_decode(TRIP_OCTETS) == TRIP


def test_a_text_ends_at_its_first_zero_and_reserved_octets_keep_theirs_inside() -> None:
    octets = TRIP_OCTETS.replace(b"ab\0\0\0\0", b"ab\0cd\0")
    read = decode(octets)
    assert isinstance(read, Trip)
    assert (read.n, read.end) == ("ab", "x\0y")


def test_a_text_that_fills_its_field_has_no_terminator() -> None:
    octets = msgspec.structs.replace(TRIP, n="abcdef", secret="ÿÿÿÿÿÿ").encode()
    read = decode(octets)
    assert isinstance(read, Trip)
    assert (read.n, read.secret) == ("abcdef", "ÿÿÿÿÿÿ")


def test_a_list_may_be_empty() -> None:
    empty = Trip()
    assert decode(empty.encode()) == empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": 1 << 32}, "at: 4294967296, limit 0 to 4294967295"),
        ({"at": "1"}, "at: str, limit int"),
        ({"n": "1234567"}, "n: 7 octets, limit 6 octets"),
        ({"n": "中"}, "n: character '中', limit one octet a character"),
        ({"n": b"a"}, "n: bytes, limit str"),
        ({"end": "1234"}, "end: 4 octets, limit 3 octets"),
        ({"items": ["1", "123456"]}, "items[1]: 6 octets, limit 5 octets"),
        ({"items": [5]}, "items[0]: int, limit text"),
        ({"items": ["中"]}, "items[0]: character '中', limit one octet a character"),
        ({"items": ["1"] * 256}, "items: 256 items, limit 255 items"),
        ({"items": None}, "items: NoneType, limit list"),
        ({"total": b"x" * 256}, "total: 256 octets, limit 255 octets"),
        ({"total": 5}, "total: int, limit bytes"),
        ({"digest": b"x"}, "digest: 1 octets, limit exactly 2 octets"),
        ({"digest": memoryview(b"xx")}, "digest: memoryview, limit bytes"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_limit(
    change: dict[str, object], message: str
) -> None:
    values = {**msgspec.structs.asdict(TRIP), **change}
    with pytest.raises(EncodeError) as caught:
        Trip(**values).encode()
    assert str(caught.value) == message


@pytest.mark.parametrize("stops", [[Stop(name="fives")], [Stop(at=-1)], [Stop(end=b"1")], ["x"]])
def test_an_item_that_does_not_fit_is_named_by_its_place(stops: list[object]) -> None:
    with pytest.raises(EncodeError, match=r"stops\[0\][:.]"):
        msgspec.structs.replace(TRIP, stops=stops).encode()


@pytest.mark.parametrize("tlv", [Tlv(0x10000, b""), Tlv(-1, b""), Tlv(1, bytes(0x10000)), None])
def test_a_tlv_that_does_not_fit_names_its_field(tlv: Tlv) -> None:
    with pytest.raises(EncodeError, match="options: "):
        Open(1, [tlv]).encode()


def test_a_misfit_that_no_field_explains_names_the_pdu() -> None:
    error = Trip.layout._explain_encode(TRIP)
    assert str(error).startswith("TOY_TRIP: ")


@pytest.mark.parametrize(
    ("cut", "field", "offset"),
    [(10, "at", 8), (17, "n", 12), (30, "stops", 27), (61, "total", 58), (63, "digest", 62)],
)
def test_a_short_body_names_the_field_and_where_it_starts(
    cut: int, field: str, offset: int
) -> None:
    with pytest.raises(PduError) as caught:
        decode(TRIP_OCTETS[:cut])
    error = caught.value
    assert (error.command, error.field, error.offset) == ("TOY_TRIP", field, offset)
    assert error.command_id == 0x71


def test_octets_after_the_last_field_are_counted() -> None:
    with pytest.raises(PduError, match="TOY_TRIP at offset 64: 3 octets after the last field"):
        decode(TRIP_OCTETS + b"abc")


def test_optional_parameters_keep_order_repeats_and_unknown_tags() -> None:
    sent = Open(9, [Tlv(5, b"x"), Tlv(0xFFFF, b""), Tlv(5, b"yy")])
    octets = bytes.fromhex("0000001b 00000072 09 0005 0001 78 ffff 0000 0005 0002 7979")
    octets = len(octets).to_bytes(4, "big") + octets[4:]
    assert sent.encode() == octets
    assert decode(octets, Open) == sent
    assert decode(Open(9).encode(), Open) == Open(9)


@pytest.mark.parametrize("tail", ["00", "0005000578", "0005000178ff"])
def test_a_parameter_cut_short_is_an_error_where_it_starts(tail: str) -> None:
    with pytest.raises(PduError, match=r"TOY_OPEN\.options at offset .* octets no whole TLV"):
        decode(Open(9).encode() + bytes.fromhex(tail), Open)


def test_a_tolerated_tail_is_kept() -> None:
    assert decode(Tail(1).encode() + b"xyz", Tail) == Tail(1, b"xyz")
    assert Tail(1, b"xyz").encode()[8:] == b"\1xyz"
    with pytest.raises(PduError, match="number"):
        decode(Tail(1).encode()[:8], Tail)


def test_a_pdu_may_have_no_fixed_field_at_all() -> None:
    assert decode(Blank(b"xyz").encode(), Blank) == Blank(b"xyz")
    assert Blank().encode() == bytes.fromhex("0000000800000074")


def test_a_class_that_is_no_pdu_yet_has_no_octets() -> None:
    with pytest.raises(NotImplementedError):
        Pdu().encode()


def test_an_end_behind_the_buffer_is_an_error_and_never_a_crash() -> None:
    octets = Open(1, [Tlv(1, b"x")]).encode()
    with pytest.raises(PduError):
        Open.layout.decode(octets, 0, len(octets) + 2)
    with pytest.raises(PduError):
        Open.layout.decode(octets, 0, len(octets) + 5)


def test_a_field_without_a_construct_object_fails_at_import() -> None:
    with pytest.raises(TypeError, match=r"Bare\.number has no construct object"):

        @pdu(1, "BARE")
        class Bare(Pdu):
            number: int = 0


def test_a_construct_object_that_no_run_knows_fails_at_import() -> None:
    with pytest.raises(TypeError, match=r"Odd\.number: layout does not know"):

        @pdu(1, "ODD")
        class Odd(Pdu):
            number: Annotated[int, construct.VarInt] = 0


def test_secrets_octets_and_phone_numbers_are_hidden_when_shown() -> None:
    shown = str(
        Trip(at=5, n="short", secret="hush", end="", stops=[Stop()], items=["138"], total=b"xyz")
    )
    assert shown == (
        "TOY_TRIP(at=5, n='short', secret=***, end='', stops=<1 items>, pairs=[], items=[138],"
        " total=<3 octets>, digest=<2 octets>)"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("13800001001", "138****1001"),
        ("8613800001001", "86138****1001"),
        ("+8613800001001", "+86138****1001"),
        ("10690001", "10690001"),
        ("000000000000000000000", "000000000000000000000"),
        ("2505120930150000000", "25051209301****0000"),
        ("hello", "hello"),
    ],
)
def test_long_digits_lose_their_middle(text: str, shown: str) -> None:
    assert layout._mask(text) == shown


def test_only_so_many_texts_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "TEXTS_KEPT", 3)
    compiler.TEXTS.clear()
    for number in range(10):
        octets = Trip(n=str(number)).encode()
        assert decode(octets) == Trip(n=str(number))
        assert len(compiler.TEXTS) <= 3


def test_secrets_and_phone_numbers_are_never_remembered() -> None:
    compiler.TEXTS.clear()
    decode(TRIP_OCTETS)
    assert set(compiler.TEXTS.values()) == {"ab", "one", "four"}


# ---- texts that end at their 0x00 --------------------------------------------------------------

ENDED = Ended("abc", "é", 7, "")
ENDED_OCTETS = bytes.fromhex("00000010 00000075 61626300 e900 07 00")


def test_a_text_that_ends_at_its_zero_takes_no_more_octets_than_it_needs() -> None:
    assert ENDED.encode() == ENDED_OCTETS
    assert decode(ENDED_OCTETS, Ended) == ENDED
    assert Ended.layout.reference_decode(ENDED_OCTETS) == ENDED


def test_the_zero_of_the_next_pdu_ends_nothing() -> None:
    cut = ENDED_OCTETS[:-1]
    with pytest.raises(PduError, match="password at offset 15"):
        Ended.layout.decode(cut + ENDED_OCTETS, 0, len(cut))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("6162636400 00 07 00", "TOY_ENDED.name at offset 8: no 0x00 within 4 octets"),
        ("61626300 313233343500 07 00", "TOY_ENDED.phone at offset 12: no 0x00 within 5 octets"),
        ("00 00 07 00 00", "TOY_ENDED at offset 12: 1 octets after the last field"),
    ],
)
def test_a_text_that_ends_too_late_is_refused(body: str, message: str) -> None:
    with pytest.raises(PduError) as caught:
        decode(bytes(4) + b"\0\0\0\x75" + bytes.fromhex(body), Ended)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "abcd"}, "name: 4 octets, limit 3 octets"),
        ({"name": "中"}, "name: character '中', limit one octet a character"),
        ({"name": "a\0"}, "name: 0x00 in it, limit text without 0x00"),
        ({"phone": "\0a"}, "phone: 0x00 in it, limit text without 0x00"),
        ({"name": 5}, "name: int, limit str"),
    ],
)
def test_a_text_that_cannot_end_at_its_zero_is_refused(
    fields: dict[str, str], message: str
) -> None:
    with pytest.raises(EncodeError) as caught:
        Ended(**fields).encode()
    assert str(caught.value) == message


def test_a_secret_that_ends_at_its_zero_is_not_shown() -> None:
    assert "password=***" in str(Ended(password="pw"))


def test_only_so_many_texts_to_write_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "TEXTS_KEPT", 3)
    for number in range(10):
        octets = Ended(str(number), str(number), 1, str(number)).encode()
        assert decode(octets, Ended) == Ended(str(number), str(number), 1, str(number))
    kept = Ended.layout.encode.__globals__["ENDED4"]
    assert 0 < len(kept) <= 3
