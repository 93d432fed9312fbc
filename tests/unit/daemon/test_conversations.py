"""``[conversations]`` and ``[extensions]``: plans by purpose, and static extensions beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.daemon.config import effective
from smsgw.daemon.conversations import inbound_table, slot_plans
from smsgw.daemon.settings import Config
from smsgw.services.ledger import SlotPlans
from tests.unit.daemon.test_config import LINK, SMGP, TOKEN, Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def plans_of(config: Config) -> SlotPlans:
    return slot_plans(config.links, config.conversations, config.extensions)


def conversations(text: str) -> str:
    return LINK + "[conversations]\n" + text


def extension(name: str, text: str) -> str:
    return f"[extensions.{name}]\n{text}\n"


def test_a_purpose_has_what_is_written_for_it_and_the_rest_of_the_default(files: Files) -> None:
    config = files.load(
        conversations(
            "prefix = '1'\nlive_for = '48h'\n"
            "[conversations.vote]\nprefix = '9'\ndigits = 4\nlive_for = '2h'\ncool_down = '1h'\n"
            "[conversations.'外景车']\nlive_for = '7d'\n"
        )
    )
    plans = plans_of(config)
    vote, van, other = (plans.plan("10690001", name) for name in ("vote", "外景车", "survey"))
    assert (vote.prefix, vote.digits, vote.life_seconds, vote.cool_down_seconds) == (
        "9",
        4,
        7200,
        3600,
    )
    assert (van.name, van.prefix, van.life_seconds) == ("外景车", "1", 7 * 86_400)
    assert (other.name, other.prefix, other.digits) == ("conversations", "1", 3)
    assert (other.life_seconds, other.cool_down_seconds) == (48 * 3600, 24 * 3600)
    shown = effective(config)["conversations"]
    assert (shown["prefix"], shown["vote"]["digits"], shown["外景车"]["digits"]) == ("1", 4, 3)


def test_each_access_number_has_its_links_digit_budget(files: Files) -> None:
    config = files.load(
        LINK + "number_digits_max = 18\n" + SMGP + LINK.replace("links.cmcc", "links.cmcc-b")
    )
    plans = plans_of(config)
    assert plans.plan("10690001").number_digits_max == 18
    assert plans.plan("10690002").number_digits_max == 20


def test_a_plan_must_fit_every_link(files: Files) -> None:
    vote = "[conversations.vote]\nprefix = '9'\ndigits = 6\n"
    problems = files.problems(LINK + SMGP + "number_digits_max = 14\n" + vote)
    assert problems == [
        "links.ctcc.number_digits_max: access number 10690002 (8 digits) with an extension of 7 "
        "has 15 digits, limit 14; shorten the prefix or the slot digits (conversations.vote)"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[conversations.vote]\nprefix = '9'\ndigits = 2\n",
            "conversations.vote.prefix: extensions 9·· could be those of conversations, ···;",
        ),
        (
            "prefix = '1'\n[conversations.vote]\nprefix = '9'\n[conversations.survey]\n"
            "prefix = '97'\ndigits = 2",
            "conversations.survey.prefix: extensions 97·· could be those of conversations.vote, 9·",
        ),
        (
            "prefix = '1'\n[conversations.vote]\nprefix = '9'\n[conversations.survey]\nprefix='9'",
            "conversations.survey.prefix: extensions 9··· could be those of conversations.vote",
        ),
        ("[conversations.vote]\nprefx = '9'", "conversations.vote.prefx: unknown key"),
        ("[conversations.vote]\ndigits = 9", "conversations.vote.digits: 9 is impossible"),
        (f"[conversations.{'x' * 33}]\nlive_for = 1", "a purpose has 1 to 32 characters"),
        ("lasts = 3", "conversations.lasts: unknown key"),
        (
            "prefix = '8'\n" + extension("desk", "account = 'desk'\nextension = '8'"),
            "conversations.prefix: every extension 8··· under 10690001 begins with a static one",
        ),
    ],
)
def test_plans_that_cannot_be_are_said(files: Files, text: str, problem: str) -> None:
    (found,) = files.problems(conversations(text))
    assert problem in found


def test_a_purpose_that_is_nearly_a_preset_s_name_warns(files: Files) -> None:
    text = "[conversations.aproval]\nlive_for = 1\n[conversations.'van-2']\nlive_for = 1\n"
    (warning,) = files.load(TOKEN + conversations(text)).warnings
    assert warning.startswith("conversations.aproval: used only by a request type of that name;")
    assert warning.endswith("did you mean approval?")


def test_plans_of_other_lengths_or_prefixes_stand_beside_each_other(files: Files) -> None:
    text = "prefix = '1'\n[conversations.vote]\ndigits = 4\n[conversations.survey]\nprefix = '2'\n"
    assert len(plans_of(files.load(conversations(text))).all("10690001")) == 3


def test_static_extensions_are_left_out_of_the_plans_and_own_what_arrives(files: Files) -> None:
    config = files.load(
        LINK
        + SMGP
        + extension("desk", "account = 'desk'\nextension = '80'")
        + extension("weather", "account = 'news'\nextension = '80'\nkeywords = ['天气']")
        + extension("van", "account = 'van'\nextension = '7'\naccess_number = '10690002'")
        + extension("front", "account = 'oa'\naccess_number = '10690001'")
    )
    plans, table = plans_of(config), inbound_table(config.links, config.extensions)
    assert plans.plan("10690001").taken == {"80"}
    assert plans.plan("10690002").taken == {"80", "7"}
    assert plans.plan("10690002").capacity == 1000 - 10 - 100
    assert table.owner("1069000180", "天气 北京") == "news"
    assert table.owner("10690002801", "你好") == "desk"
    assert table.owner("106900027", "") == "van"
    assert table.owner("10690001", "") == "oa"
    assert table.owner("10690002", "") is None
    shown = effective(config)["extensions"]
    assert shown["weather"] == {
        "account": "news",
        "extension": "80",
        "access_number": "",
        "keywords": ["天气"],
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (extension("a", "extension = '80'"), "extensions.a.account: is missing"),
        (extension("a", "account = ''\nextension = '80'"), "extensions.a.account: is empty"),
        (extension("a", "account = 'x'\nextension = '8a'"), "other characters than digits"),
        (extension("a", "account = 'x'"), "extensions.a.extension: is missing; or write keywords"),
        (
            extension("a", "account = 'x'\nextension = '8'\naccess_number = '106'"),
            "extensions.a.access_number: 106 is none of ours; write 10690001",
        ),
        (
            extension("a", "account = 'x'\nextension = '8123456789012'"),
            "extensions.a.extension: 8123456789012 after 10690001 gives 21 digits, limit 20",
        ),
        (
            extension("a", "account = 'x'\nkeywords = ['天气', ' ']"),
            "extensions.a.keywords: ' ': a keyword has 1 to 32 characters",
        ),
        (
            extension("a", "account = 'x'\nextension = '8'\nkeywords = ['ＴＱ']")
            + extension("b", "account = 'y'\nextension = '8'\nkeywords = ['x', 'tq']"),
            "extensions.b: keyword 'tq' to 106900018 is extensions.a's; one of them must go",
        ),
        (
            extension("a", "account = 'x'\nextension = '8'\naccess_number = '10690001'")
            + extension("b", "account = 'y'\nextension = '8'"),
            "extensions.b: what has no keyword to 106900018 is extensions.a's",
        ),
        (
            extension("a", "account = 'x'\nextension = '8'\nkeyword = ['x']"),
            "did you mean keywords",
        ),
    ],
)
def test_extensions_that_cannot_be_are_said(files: Files, text: str, problem: str) -> None:
    (found,) = files.problems(LINK + text)
    assert problem in found
