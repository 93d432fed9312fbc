"""GSM 7-bit: the alphabet, its escapes, and packing to the air interface."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import EncodeError, ValidationError
from smsgw.text import gsm7

DEFAULT = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
SEPTETS = st.binary(max_size=200).map(lambda octets: bytes(o & 0x7F for o in octets))


@pytest.mark.parametrize(
    ("char", "septets"),
    [
        ("@", "00"),
        ("$", "02"),
        ("_", "11"),
        ("Ç", "09"),
        ("¿", "60"),
        ("à", "7f"),
        ("É", "1f"),
        ("\f", "1b0a"),
        ("^", "1b14"),
        ("{", "1b28"),
        ("}", "1b29"),
        ("\\", "1b2f"),
        ("[", "1b3c"),
        ("~", "1b3d"),
        ("]", "1b3e"),
        ("|", "1b40"),
        ("€", "1b65"),
    ],
)
def test_the_tables_hold_the_codes_of_the_sheet(char: str, septets: str) -> None:
    assert gsm7.encode(char).hex() == septets
    assert gsm7.decode(bytes.fromhex(septets)) == char


def test_the_alphabet_has_127_characters_and_ten_more_behind_the_escape() -> None:
    assert len(DEFAULT) == 127
    assert len(gsm7.encode(DEFAULT)) == 127
    assert len(gsm7.encode(EXTENSION)) == 20


def test_greek_capitals_that_look_latin_go_out_as_latin_letters() -> None:
    assert gsm7.decode(gsm7.encode("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧΔ")) == "ABEZHIKMNOPTYXΔ"


@pytest.mark.parametrize("char", ["ç", "`", "你", "\t", "😀", "\x1b"])
def test_a_foreign_character_is_refused_by_name_and_place(char: str) -> None:
    assert not gsm7.encodable("ab" + char)
    with pytest.raises(ValidationError, match=rf"U\+{ord(char):04X}\) at character 3") as caught:
        gsm7.encode("ab" + char + "c")
    assert caught.value.field == "text"


def test_the_first_foreign_character_is_found_or_none() -> None:
    assert gsm7.first_foreign("ab中c文") == 2
    assert gsm7.first_foreign("abc") == -1
    assert gsm7.encodable("")


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        (b"a\x1b", "a "),
        (b"\x1b\x1bA", " A"),
        (b"\x1bA", "A"),
        (b"a\x80\xff", "a\ufffd\ufffd"),
        (b"\x1b\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_what_the_alphabet_does_not_know_still_shows(septets: bytes, text: str) -> None:
    assert gsm7.decode(septets) == text


@given(st.text(alphabet=DEFAULT + EXTENSION))
def test_text_of_the_alphabet_survives_the_round_trip(text: str) -> None:
    assert gsm7.encodable(text)
    assert gsm7.decode(gsm7.encode(text)) == text


@given(st.binary())
def test_any_octets_decode(octets: bytes) -> None:
    assert isinstance(gsm7.decode(octets), str)


def test_packing_gives_the_octets_of_the_well_known_example() -> None:
    assert gsm7.pack(b"hellohello").hex() == "e8329bfd4697d9ec37"
    assert gsm7.unpack(bytes.fromhex("e8329bfd4697d9ec37"), 10) == b"hellohello"


def test_160_septets_fit_140_octets_and_153_fit_behind_a_header_of_six() -> None:
    assert len(gsm7.pack(b"a" * 160)) == 140
    assert len(gsm7.pack(b"a" * 153, fill_bits=1)) == 134


@given(SEPTETS, st.integers(0, 6))
def test_packed_septets_come_back(septets: bytes, fill_bits: int) -> None:
    packed = gsm7.pack(septets, fill_bits)
    assert gsm7.unpack(packed, len(septets), fill_bits) == septets


@given(st.binary(max_size=20), st.integers(0, 40), st.integers(0, 6))
def test_unpacking_gives_at_most_what_the_octets_hold(
    packed: bytes, count: int, fill_bits: int
) -> None:
    assert len(gsm7.unpack(packed, count, fill_bits)) <= min(count, len(packed) * 8 // 7)


def test_an_octet_that_is_no_septet_is_not_packed() -> None:
    with pytest.raises(EncodeError, match="0x80, limit 0x7f"):
        gsm7.pack(b"a\x80")
