"""Data codings: which alphabet, decoding without raising, choosing for sending."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import ValidationError
from smsgw.model import Coding
from smsgw.text.charset import (
    COMMON,
    Alphabet,
    Family,
    alphabet_of,
    choose,
    decode,
    decode_alphabet,
    encode,
    meant_coding,
)


@pytest.mark.parametrize(
    ("coding", "alphabet"),
    [
        (0, Alphabet.ASCII),
        (3, Alphabet.BINARY),
        (4, Alphabet.BINARY),
        (8, Alphabet.UCS2),
        (15, Alphabet.GBK),
        (0x10, Alphabet.ASCII),
        (0x13, Alphabet.ASCII),
        (0x14, Alphabet.BINARY),
        (0x18, Alphabet.UCS2),
        (0x1B, Alphabet.UCS2),
        (0x1C, Alphabet.BINARY),
        (0x20, Alphabet.BINARY),
        (0x28, Alphabet.BINARY),
        (0x40, Alphabet.BINARY),
        (0x88, Alphabet.BINARY),
        (0xC0, Alphabet.ASCII),
        (0xD8, Alphabet.ASCII),
        (0xE0, Alphabet.UCS2),
        (0xF0, Alphabet.ASCII),
        (0xF4, Alphabet.BINARY),
        (0xF7, Alphabet.BINARY),
        (256, Alphabet.BINARY),
        (-1, Alphabet.BINARY),
    ],
)
def test_the_alphabet_follows_the_class_bits(coding: int, alphabet: Alphabet) -> None:
    assert alphabet_of(coding) is alphabet


@pytest.mark.parametrize(
    ("coding", "alphabet"),
    [
        (0, Alphabet.GSM7),
        (1, Alphabet.ASCII),
        (2, Alphabet.BINARY),
        (3, Alphabet.LATIN1),
        (4, Alphabet.BINARY),
        (8, Alphabet.UCS2),
        (15, Alphabet.GBK),
        (0x11, Alphabet.GSM7),
        (0xF1, Alphabet.GSM7),
        (0x19, Alphabet.UCS2),
    ],
)
def test_smpp_means_gsm_7_bit_by_the_default_alphabet(coding: int, alphabet: Alphabet) -> None:
    assert alphabet_of(coding, "smpp") is alphabet


@pytest.mark.parametrize(
    ("content", "coding", "text"),
    [
        (b"Hi @$_[]", 0, "Hi @$_[]"),
        (b"a\xe9", 0, "a\ufffd"),
        ("你好".encode("utf-16-be"), 8, "你好"),
        ("你好😀".encode("utf-16-be"), 0x18, "你好😀"),
        (b"\x4f\x60\x59", 8, "你"),
        (b"\xd8\x3d\x00A", 8, "\ufffdA"),
        (b"\x00A\xde\x00", 8, "A\ufffd"),
        (b"\x00A\xd8\x3d", 8, "A\ufffd"),
        ("同意".encode("gbk"), 15, "同意"),
        (b"\x80100", 15, "€100"),
        (b"\xa2\xe3", 15, "€"),
        (b"\x81\x80", 15, b"\x81\x80".decode("gb18030")),
        (b"\x94\x39\xfc\x36", 15, "😀"),
        (b"A\xff\xb0", 15, "A\ufffd\ufffd"),
        (b"\x81\x30A", 15, "\ufffd0A"),
        (b"\x00\xff", 4, "00ff"),
        (b"\x00\xff", 0xF5, "00ff"),
        (b"\x01\x02", 99, "0102"),
    ],
)
def test_octets_decode_by_the_rules_of_the_sheet(content: bytes, coding: int, text: str) -> None:
    assert decode(content, coding) == text
    assert decode_alphabet(content, alphabet_of(coding)) == text


@pytest.mark.parametrize(
    ("content", "coding", "text"),
    [(b"\x00\x1be", 0, "@€"), (b"@", 1, "@"), (b"\xe9", 3, "é")],
)
def test_smpp_octets_decode_by_its_own_table(content: bytes, coding: int, text: str) -> None:
    assert decode(content, coding, "smpp") == text
    assert encode(text, coding, "smpp") == content


@given(st.binary(), st.integers(-1, 300), st.sampled_from(["chinese", "smpp"]))
def test_no_octets_and_no_coding_make_decoding_raise(
    content: bytes, coding: int, family: Family
) -> None:
    decode(content, coding, family).encode("utf-8")


@given(st.text())
def test_any_text_survives_ucs2(text: str) -> None:
    assert decode(encode(text, 8), 8) == text


def test_whatever_gbk_can_encode_is_read_back() -> None:
    for code in (*range(0xD800), *range(0xE000, 0x10000)):
        char = chr(code)
        try:
            octets = char.encode("gbk")
        except UnicodeEncodeError:
            continue
        assert encode(char, 15) == octets
        assert decode(octets, 15) == char


@pytest.mark.parametrize(
    ("text", "coding", "problem"),
    [
        ("abc中", 0, r"'中' \(U\+4E2D\) at character 4 cannot be sent as ascii; .*ucs2"),
        ("总价€5", 15, r"'€' \(U\+20AC\) at character 3 cannot be sent as gbk"),
        ("a\ud83d", 8, r"'\\ud83d' \(U\+D83D\) at character 2 cannot be sent as ucs2; remove it$"),
    ],
)
def test_a_character_outside_the_alphabet_is_refused_by_name(
    text: str, coding: int, problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem) as caught:
        encode(text, coding)
    assert caught.value.field == "text"
    str(caught.value).encode("utf-8")


def test_a_coding_of_octets_carries_no_text() -> None:
    with pytest.raises(ValidationError, match="coding: 4 carries octets"):
        encode("abc", 4)


@pytest.mark.parametrize(
    ("text", "allowed", "coding"),
    [
        ("Code 1234: yes?", [Coding.ASCII, Coding.UCS2], Coding.ASCII),
        ("Code 1234: yes?", [Coding.UCS2, Coding.ASCII], Coding.ASCII),
        ("Code 1234: yes?", [Coding.UCS2], Coding.UCS2),
        ("", [Coding.ASCII, Coding.UCS2], Coding.ASCII),
        ("a@b", [Coding.ASCII, Coding.UCS2], Coding.UCS2),
        ("a_b", [Coding.ASCII, Coding.GBK, Coding.UCS2], Coding.GBK),
        ("审批", [Coding.ASCII, Coding.UCS2, Coding.GBK], Coding.UCS2),
        ("审批", [Coding.GBK, Coding.UCS2], Coding.GBK),
        ("审批€", [Coding.GBK, Coding.UCS2], Coding.UCS2),
        ("审批😀", [Coding.BINARY, Coding.GBK, Coding.UCS2], Coding.UCS2),
        ("审批", [Coding.ASCII, Coding.GBK], Coding.GBK),
    ],
)
def test_the_coding_is_chosen_as_the_sheet_advises(
    text: str, allowed: list[Coding], coding: Coding
) -> None:
    assert choose(text, allowed) is coding


@pytest.mark.parametrize(
    ("text", "allowed", "problem"),
    [
        ("ab中", [Coding.ASCII], r"'中' .* character 3 cannot be sent as ascii; .* ucs2"),
        ("a@b", [Coding.ASCII], r"'@' .* character 2 cannot be sent as ascii"),
        ("中文😀", [Coding.ASCII, Coding.GBK], r"'😀' .* character 3 .* as ascii or gbk"),
        ("中文\ud83d", [Coding.UCS2], r"U\+D83D\) at character 3 cannot be sent as ucs2"),
        ("中", [Coding.BINARY], "no coding that carries text is allowed"),
        ("中", [], "no coding that carries text is allowed"),
    ],
)
def test_text_that_no_allowed_coding_carries_is_refused(
    text: str, allowed: list[Coding], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        choose(text, allowed)


def test_without_a_list_everything_but_common_characters_goes_out_as_ucs2() -> None:
    assert choose("hello") is Coding.ASCII
    assert choose("同意") is Coding.UCS2


def test_the_common_characters_have_one_code_in_both_alphabets() -> None:
    for char in COMMON:
        assert encode(char, 0) == encode(char, 0, "smpp")


@pytest.mark.parametrize(
    ("coding", "content", "meant"),
    [
        (0, "中国移动\r\n".encode("gbk"), Coding.GBK),
        (0, b"hello", Coding.ASCII),
        (0, b"half a character \xd6", Coding.ASCII),
        (0, "中".encode("gbk") + b"\0", Coding.ASCII),
        (8, "中国1".encode("gb2312"), Coding.GBK),
        (8, "中国".encode("gb2312"), Coding.UCS2),
        (8, "中国".encode("utf-16-be"), Coding.UCS2),
        (8, "你好试".encode("utf-16-be") + b"1", Coding.UCS2),
        (15, "中国".encode("gbk"), Coding.GBK),
        (4, b"\xd6\xd0", Coding.BINARY),
    ],
)
def test_gbk_under_another_coding_is_known_where_it_can_be_nothing_else(
    coding: int, content: bytes, meant: Coding
) -> None:
    assert meant_coding(coding, content, False) == meant
    assert meant_coding(coding, b"\5\0\3\xc7\2\1" + content, True) == meant
