from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from smsgw.daemon.config import effective, load
from smsgw.daemon.requests import read_requests, shown_requests
from smsgw.daemon.sections import Problems, Section
from smsgw.daemon.settings import Requests
from smsgw.services.replies import Kind, read
from smsgw.services.requests.presets import PRESETS

OFFICE = """
accept_lost_extension = true
[words.approval]
yes = ["准了", "Go Ahead"]
no = ["打回"]
[words.survey]
5 = ["太棒了"]
"""


def read_toml(written: str) -> tuple[Requests, list[str]]:
    problems = Problems()
    section = Section(tomllib.loads(written), "requests", problems, Path(), {})
    return read_requests(section), [str(error) for error in problems.errors]


def test_without_any_key_the_presets_are_as_built_in() -> None:
    settings, problems = read_toml("")
    assert problems == []
    assert settings.presets == PRESETS
    assert shown_requests(settings) == {"accept_lost_extension": False, "words": {}}


def test_words_mean_what_the_file_says() -> None:
    settings, problems = read_toml(OFFICE)
    assert problems == []
    approval, survey = (settings.presets[name].question for name in ("approval", "survey"))
    assert read("准了，谢谢", approval).choice == "yes"
    assert read("打回 太贵", approval).choice == "no"
    assert read("太棒了", survey).choice == "5"
    assert read("准了", settings.presets["dispatch"].question).kind is Kind.UNCLEAR


def test_the_shown_settings_read_back_as_they_are() -> None:
    settings, _ = read_toml(OFFICE)
    shown = shown_requests(settings)
    assert shown == tomllib.loads(OFFICE)
    again = read_requests(Section(shown, "requests", Problems(), Path(), {}))
    assert again == settings


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("accept_lost_extension = 1", ["requests.accept_lost_extension: 1 is not true or false"]),
        ("words.poll.yes = ['x']", ["requests.words.poll: unknown key; known here: approval, dis"]),
        (
            "words.approval.yess = []",
            ["requests.words.approval.yess: unknown key; did you mean"],
        ),
        ("words.vote.1 = ['甲']", ["requests.words.vote.1: unknown key; nothing is known here"]),
        (
            "words.approval = {yes = ['准了'], no = ['准了']}",
            ["requests.words.approval.no[0]: '准了' means another answer already"],
        ),
        (
            "words.survey = {5 = ['棒'], 4 = ['棒']}",
            ["requests.words.survey.5[0]: '棒' means 4 already"],
        ),
        (
            "words.approval.yes = ['好', '准了', '1', 'TD']",
            [
                "requests.words.approval.yes[0]: '好' never decides",
                "requests.words.approval.yes[2]: '1' is a number",
                "requests.words.approval.yes[3]: 'TD' asks to get no more",
            ],
        ),
        ("words.approval.yes = '准了'", ["requests.words.approval.yes: '准了' is not a list of"]),
        ("words.approval = 3", ["requests.words.approval: 3 is not a table"]),
        (
            "accept_lost = true",
            ["requests.accept_lost: unknown key; did you"],
        ),
    ],
)
def test_every_mistake_is_told_with_its_path(written: str, expected: list[str]) -> None:
    _, problems = read_toml(written)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)


def test_a_file_has_them_and_the_effective_values_show_them(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples" / "first.toml"
    file = tmp_path / "smsgw.toml"
    written = OFFICE.replace("[words.", "[requests.words.")
    file.write_text(f"{example.read_text('utf-8')}\n[requests]{written}", "utf-8")
    config = load(file, {"API_TOKEN": "0123456789abcdef", "CMCC_SECRET": "s3cret"})
    assert config.requests.accept_lost_extension
    assert effective(config)["requests"] == tomllib.loads(OFFICE)
