"""Splitting and joining: the sheet's vectors, and what holds for any text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import EncodeError, ValidationError
from smsgw.text import gsm7
from smsgw.text.charset import Alphabet, Family, decode
from smsgw.text.segmentation import SplitPlan, join, plan, plan_as_dict, segments
from smsgw.text.udh import ReferenceWidth, split_header

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "text-splitting.json").read_text(encoding="utf-8")
)

CODINGS: dict[str, tuple[int, Family]] = {
    "ucs2": (8, "chinese"),
    "gsm7": (0, "smpp"),
    "ascii": (0, "chinese"),
    "8bit": (4, "chinese"),
    "gbk": (15, "chinese"),
}

INPUTS: dict[str, str | bytes] = {
    "70 Chinese characters": "审" * 70,
    "71 Chinese characters": "审" * 71,
    "134 Chinese characters": "审" * 134,
    "135 Chinese characters": "审" * 135,
    "71 Chinese characters, 16-bit reference": "审" * 71,
    "132 Chinese characters, 16-bit reference": "审" * 132,
    "133 Chinese characters, 16-bit reference": "审" * 133,
    "66 Chinese + 1 emoji + 10 Chinese (emoji would straddle units 67/68)": "审" * 66
    + "😀"
    + "批" * 10,
    "35 emoji (70 UTF-16 units)": "😀" * 35,
    "36 emoji (72 UTF-16 units)": "😀" * 36,
    "signature 【测试公司】 (6 units) + 64 Chinese characters": "【测试公司】" + "审" * 64,
    "signature 【测试公司】 (6 units) + 65 Chinese characters": "【测试公司】" + "审" * 65,
    "160 GSM 7-bit characters (unpacked, SMPP style)": "a" * 160,
    "161 GSM 7-bit characters": "a" * 161,
    "159 letters + 1 euro sign (161 septets)": "a" * 159 + "€",
    "152 letters + 1 euro sign + 20 letters (escape would straddle septets 153/154)": "a" * 152
    + "€"
    + "b" * 20,
    "306 GSM 7-bit characters": "a" * 306,
    "307 GSM 7-bit characters": "a" * 307,
    "305 GSM 7-bit characters, 16-bit reference": "a" * 305,
    "159 ASCII characters in CMPP Msg_Fmt 0": "a" * 159,
    "160 ASCII characters in CMPP Msg_Fmt 0 (limit is below 160)": "a" * 160,
    "140 binary octets": bytes(140),
    "141 binary octets": bytes(141),
    "268 binary octets": bytes(268),
    "266 binary octets, 16-bit reference": bytes(266),
    "267 binary octets, 16-bit reference": bytes(267),
    "70 GBK double-byte characters": "审" * 70,
    "71 GBK double-byte characters": "审" * 71,
    "1 ASCII + 70 GBK double-byte characters (pair would straddle octets 134/135)": "a" + "审" * 70,
    "empty text": "",
    "255 parts: 17085 Chinese characters": "审" * 17085,
}

WIDTHS = st.sampled_from([8, 16])


def long_text(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts that often need several parts: short ones, repeated and joined."""
    run = st.builds(str.__mul__, st.text(characters, min_size=1, max_size=12), st.integers(1, 60))
    return st.lists(run, max_size=5).map("".join)


TROUBLE = long_text(
    st.sampled_from("a中😀👩\u200d\ufe0f\U0001f3fd\u0301€[@\n")
    | st.characters(exclude_categories=["Cs"])
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['encoding']}-{v['description']}")
def test_every_worked_example_of_the_sheet_is_met(vector: dict[str, Any]) -> None:
    coding, family = CODINGS[vector["encoding"]]
    width: ReferenceWidth = 16 if vector["reference"] == "16-bit" else 8
    content = INPUTS[vector["description"]]
    made = plan(content, coding, reference_width=width, family=family)
    shown = plan_as_dict(made)
    assert json.loads(json.dumps(shown)) == shown
    assert shown["coding"] == vector["encoding"]
    assert shown["coding_code"] == coding
    assert shown["characters"] == len(content)
    assert shown["units_octets"] == vector["encoded_units_octets"]
    assert shown["parts"] == vector["parts"]
    assert shown["reference"] == vector["reference"]
    octets = vector["part_octets_including_udh"] or [140] * 255
    assert shown["part_octets_including_udh"] == octets
    assert [len(content) for content in segments(made, 7)] == octets
    whole = content.hex() if isinstance(content, bytes) else content
    assert "".join(shown["part_texts"]) == whole


def test_the_list_of_inputs_is_the_list_of_vectors() -> None:
    assert sorted(INPUTS) == sorted(vector["description"] for vector in VECTORS)


def rejoined(made: SplitPlan, reference: int = 5) -> str:
    """Read the plan's submits as a phone does."""
    bodies = []
    contents = segments(made, reference)
    for sequence, content in enumerate(contents, 1):
        body = content
        if len(contents) > 1:
            udh, body, problem = split_header(content)
            assert problem == ""
            assert udh is not None
            assert udh.concatenation is not None
            assert udh.concatenation.sequence == sequence
            assert udh.concatenation.total == len(contents)
            assert udh.concatenation.reference == reference
        bodies.append((made.coding, body))
    return join(bodies, made.family)


@given(TROUBLE, WIDTHS, st.sampled_from([None, 70, 140]))
def test_any_text_in_ucs2_comes_back_whole(
    text: str, width: ReferenceWidth, octets_max: int | None
) -> None:
    made = plan(text, 8, reference_width=width, octets_max=octets_max)
    assert rejoined(made) == text
    assert max(made.part_octets) <= (octets_max or 140)
    assert "".join(decode(part, 8) for part in made.parts) == text  # no pair is split


@given(TROUBLE, WIDTHS)
def test_any_gbk_text_comes_back_whole(text: str, width: ReferenceWidth) -> None:
    text = text.encode("gbk", "ignore").decode("gbk")
    made = plan(text, 15, reference_width=width)
    assert rejoined(made) == text
    assert max(made.part_octets) <= 140
    assert "".join(decode(part, 15) for part in made.parts) == text


@given(long_text(st.sampled_from("abc@[]€{}\n")), WIDTHS)
def test_any_gsm_7_bit_text_comes_back_whole(text: str, width: ReferenceWidth) -> None:
    made = plan(text, 0, reference_width=width, family="smpp")
    assert rejoined(made) == text
    assert max(made.part_octets) <= (160 if len(made.parts) == 1 else 159)
    assert "".join(gsm7.decode(part) for part in made.parts) == text


@given(long_text(st.characters(max_codepoint=127)), WIDTHS)
def test_any_ascii_text_comes_back_whole_and_below_160(text: str, width: ReferenceWidth) -> None:
    made = plan(text, 0, reference_width=width)
    assert rejoined(made) == text
    assert max(made.part_octets) <= 159


@given(st.binary(max_size=600), WIDTHS)
def test_any_octets_come_back_whole(content: bytes, width: ReferenceWidth) -> None:
    made = plan(content, 4, reference_width=width)
    assert rejoined(made) == content.hex()
    assert max(made.part_octets) <= 140


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=140)), max_size=6))
def test_no_parts_make_joining_raise(parts: list[tuple[int, bytes]]) -> None:
    for family in ("chinese", "smpp"):
        join(parts, family).encode("utf-8")


def cuts(text: str, **options: Any) -> list[str]:
    """Return the part texts of a text in UCS-2."""
    texts: list[str] = plan_as_dict(plan(text, 8, **options))["part_texts"]
    return texts


@pytest.mark.parametrize(
    ("cluster", "kept"),
    [
        ("👩\u200d👧", True),
        ("❤\ufe0f", True),
        ("👍\U0001f3fd", True),
        ("e\u0301", True),
        ("1\ufe0f\u20e3", True),
        ("ab", False),
    ],
)
def test_what_shows_as_one_character_stays_together(cluster: str, kept: bool) -> None:
    for before in range(60, 70):
        parts = cuts("中" * before + cluster + "文" * 20)
        assert any(cluster in part for part in parts) or not kept
    # Plain letters are cut where the part is full.
    assert kept or len(cuts("中" * 66 + cluster + "文" * 20)[0]) == 67


def test_a_part_full_of_marks_is_cut_where_it_is_full() -> None:
    parts = cuts("中" + "\u0301" * 200)
    assert [len(part) for part in parts] == [67, 67, 67]


def test_a_cut_moves_back_only_a_little() -> None:
    parts = cuts("中" * 40 + "\u0301" * 100)
    assert len(parts[0]) == 67


def test_flash_text_is_split_by_the_alphabet_of_its_class_bits() -> None:
    made = plan("审" * 71, 0x18)
    assert made.alphabet is Alphabet.UCS2
    assert made.coding == 0x18
    assert made.part_octets == (140, 14)


def test_a_carriers_own_ceiling_lowers_the_limit() -> None:
    assert plan("a" * 141, 0).part_octets == (141,)
    assert plan("a" * 140, 0, octets_max=140).part_octets == (140,)
    assert plan("a" * 141, 0, octets_max=140).part_octets == (140, 13)
    assert plan("审" * 71, 8, octets_max=159).part_octets == (140, 14)


@pytest.mark.parametrize(
    ("content", "coding", "width"),
    [
        ("审" * 17086, 8, 8),
        ("审" * 16831, 8, 16),
        # Fits by octets, yet each part ends early to keep an emoji whole.
        ("😀" * 8500, 8, 8),
        (bytes(255 * 134 + 1), 4, 8),
    ],
)
def test_more_than_255_parts_are_refused(
    content: str | bytes, coding: int, width: ReferenceWidth
) -> None:
    with pytest.raises(ValidationError, match="need more than 255 parts, the limit") as caught:
        plan(content, coding, reference_width=width)
    assert caught.value.field == "text"


def test_the_refusal_says_how_much_would_fit() -> None:
    with pytest.raises(
        ValidationError, match=r"33660 octets with every part full.*; shorten the text"
    ):
        plan("审" * 16831, 8, reference_width=16)


def test_octets_need_a_coding_for_octets_and_text_one_for_text() -> None:
    with pytest.raises(ValidationError, match="coding: 8 carries text"):
        plan(b"\x00A", 8)
    with pytest.raises(ValidationError, match="coding: 4 carries octets"):
        plan("A", 4)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValidationError, match="reference_width: 12 bits; write 8 or 16"):
        plan("A", 8, reference_width=12)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="octets_max: 10; write 32 or more"):
        plan("A", 8, octets_max=10)


def test_a_reference_beyond_its_width_is_refused() -> None:
    with pytest.raises(EncodeError, match=r"udh.reference: 256, limit 255"):
        segments(plan("审" * 71, 8), 256)


def test_a_single_part_carries_no_header() -> None:
    assert segments(plan("同意", 8), 9) == ["同意".encode("utf-16-be")]


def test_joining_octets_heals_a_pair_the_sender_split() -> None:
    octets = ("审" * 66 + "😀").encode("utf-16-be")
    parts = [(8, octets[:134]), (8, octets[134:])]
    assert join(parts) == "审" * 66 + "😀"


def test_parts_of_one_alphabet_are_joined_whatever_their_class() -> None:
    assert join([(8, b"\xd8\x3d"), (0x18, b"\xde\x00")]) == "😀"


def test_parts_of_two_alphabets_are_read_each_by_its_own() -> None:
    assert join([(8, "不同意".encode("utf-16-be")), (0, b" ok")]) == "不同意 ok"
    assert join([(0, b"\x00")], "smpp") == "@"
    assert join([]) == ""


def calls_to_split(text: str) -> int:
    """Count the function calls that splitting a text makes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        plan(text, 8)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("piece", ["中a😀", "中", "a\u0301\u0301\u0301"])
def test_splitting_takes_work_in_proportion_to_the_text(piece: str) -> None:
    assert calls_to_split(piece * 3000) <= 11 * calls_to_split(piece * 300)


@given(TROUBLE)
def test_each_part_but_the_last_is_as_long_as_whole_characters_allow(text: str) -> None:
    made = plan(text, 8)
    for part in made.parts[:-1]:
        assert len(part) >= 134 - 2 - 4 * 16
