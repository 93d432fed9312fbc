"""``smsgw text plan`` shows how a text would go out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smsgw.interfaces.cli.main import main


def plan(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(
        main, ["text", "plan", *arguments], input=stdin, catch_exceptions=False
    )


def planned(*arguments: str) -> dict[str, Any]:
    result = plan(*arguments, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_plan_of_a_short_chinese_text() -> None:
    assert planned("同意") == {
        "coding": "ucs2",
        "coding_code": 8,
        "characters": 2,
        "units_octets": 4,
        "parts": 1,
        "reference": "-",
        "part_octets_including_udh": [4],
        "part_texts": ["同意"],
    }


def test_a_long_text_is_cut_and_each_part_shown() -> None:
    found = planned("字" * 71)
    assert found["part_octets_including_udh"] == [140, 14]
    assert found["reference"] == "8-bit"
    assert planned("字" * 71, "--reference", "16")["reference"] == "16-bit"


@pytest.mark.parametrize(
    ("arguments", "coding", "octets"),
    [
        (("hello",), "ascii", 5),
        (("hello", "--coding", "ucs2"), "ucs2", 10),
        (("同意", "--coding", "gbk"), "gbk", 4),
        (("hello", "--coding", "ascii"), "ascii", 5),
    ],
)
def test_the_coding_is_chosen_or_given(
    arguments: tuple[str, ...], coding: str, octets: int
) -> None:
    found = planned(*arguments)
    assert (found["coding"], found["units_octets"]) == (coding, octets)


def test_people_get_a_sentence_and_a_line_for_each_part() -> None:
    result = plan("字" * 71)
    assert result.stdout.splitlines() == [
        "ucs2 (coding 8), 71 characters, 142 octets, parts: 2, reference: 8-bit",
        "part\toctets with header\ttext",
        f"1\t140\t{'字' * 67}",
        f"2\t14\t{'字' * 4}",
    ]


@pytest.mark.parametrize("stdin", ["同意\n", "同意\r\n", "同意"])
def test_a_text_may_come_from_standard_input(stdin: str) -> None:
    result = plan("-", "--json", stdin=stdin)
    assert json.loads(result.stdout)["part_texts"] == ["同意"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "line"),
    [
        (("同意", "--coding", "ascii"), "", "text: '同' (U+540C) at character 1 cannot be sent"),
        (("-",), b"ab\xff", "TEXT: no UTF-8 at octet 2"),
    ],
)
def test_a_text_that_cannot_go_out_is_refused_in_one_line(
    arguments: tuple[str, ...], stdin: bytes, line: str
) -> None:
    result = plan(*arguments, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"smsgw: {line}")
    assert result.stderr.count("\n") == 1


def test_a_coding_that_is_none_is_wrong_usage() -> None:
    assert plan("x", "--coding", "morse").exit_code == 2
