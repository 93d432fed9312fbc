from __future__ import annotations

import pytest
from sqlalchemy import select

from smsgw.services.requests.opting import IN_TEXT, OUT_TEXT
from smsgw.store import opt_outs
from smsgw.store.schema import event
from tests.support.requests import ANN, Office, result_of


@pytest.fixture
def office() -> Office:
    return Office()


def listed(office: Office) -> list[tuple[str, str]]:
    rows = result_of(office.store.read(opt_outs.page))
    return [(row.phone, row.account) for row in rows]


def kinds(office: Office) -> list[str]:
    query = select(event.c.kind).order_by(event.c.id)
    found = result_of(office.store.read(lambda c: list(c.execute(query).scalars())))
    return [kind for kind in found if kind.startswith("number.")]


@pytest.mark.parametrize("word", ["T", "td", "Ｒ", "退订", "拒收", "退訂。", "STOP"])
def test_a_word_to_the_plain_number_opts_out_of_everything_and_is_confirmed(
    office: Office, word: str
) -> None:
    assert office.reply(ANN, word, "") == "opted_out"
    assert listed(office) == [(ANN, "")]
    assert office.texts_to(ANN) == [OUT_TEXT]
    assert kinds(office) == ["number.opted_out"]


@pytest.mark.parametrize("text", ["不退订", "T恤", "退订了吗", "TT", "恢复", "恢复订阅"])
def test_other_words_do_not_and_nothing_is_taken_back_that_was_not_given(
    office: Office, text: str
) -> None:
    assert office.reply(ANN, text, "") == "inbox"
    assert listed(office) == []
    assert office.composer.sent == []


def test_the_same_word_again_is_no_news_and_gets_no_answer(office: Office) -> None:
    office.reply(ANN, "T", "")
    assert office.reply(ANN, "TD", "") == "opted_out"
    assert office.texts_to(ANN) == [OUT_TEXT]
    assert kinds(office) == ["number.opted_out"]


def test_another_word_takes_it_back(office: Office) -> None:
    office.reply(ANN, "T", "")
    assert office.reply(ANN, "恢复", "") == "opted_in"
    assert listed(office) == []
    assert office.texts_to(ANN) == [OUT_TEXT, IN_TEXT]
    assert kinds(office) == ["number.opted_out", "number.opted_in"]
    assert office.reply(ANN, "T", "") == "opted_out"
    assert listed(office) == [(ANN, "")]


def test_to_a_question_it_is_asked_back_first_and_counts_when_it_comes_again(
    office: Office,
) -> None:
    request = office.create((ANN,))
    assert office.reply(ANN, "T") == "asked_back"
    assert listed(office) == []
    assert office.reply(ANN, "T") == "opted_out"
    assert listed(office) == [(ANN, "office")]
    assert office.texts_to(ANN)[-1] == OUT_TEXT
    assert office.reply(ANN, "同意") == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_an_echo_or_another_text_between_is_no_repetition(office: Office) -> None:
    office.create((ANN,))
    office.reply(ANN, "T")
    assert office.reply(ANN, "T", wait=5) in ("repeated", "unclear")
    assert office.reply(ANN, "什么") == "unclear"
    assert office.reply(ANN, "T") == "unclear"
    assert listed(office) == []
    office.time.advance(2 * 86_400)
    assert office.reply(ANN, "T") != "opted_out"


def test_to_a_departments_extension_it_is_of_that_department_only() -> None:
    office = Office(is_service=lambda number, text: number.endswith("801"))
    assert office.reply(ANN, "T", "801", account="tv") == "opted_out"
    assert listed(office) == [(ANN, "tv")]
    assert office.reply(ANN, "恢复", "801", account="tv") == "opted_in"
    assert listed(office) == []


def test_the_word_of_a_keyword_service_is_left_to_it() -> None:
    office = Office(is_service=lambda number, text: text == "TD")
    assert office.reply(ANN, "TD", "", account="weather") == "inbox"
    assert listed(office) == []


def test_opting_in_at_a_department_ends_what_would_stop_its_messages(office: Office) -> None:
    office.tools.is_service = lambda number, text: number.endswith("801")
    office.reply(ANN, "T", "")
    office.reply(ANN, "T", "801", account="tv")
    office.reply(ANN, "T", "801", account="radio")
    assert sorted(listed(office)) == [(ANN, ""), (ANN, "radio"), (ANN, "tv")]
    assert office.reply(ANN, "恢复", "801", account="tv") == "opted_in"
    assert listed(office) == [(ANN, "radio")]
    assert office.reply(ANN, "恢复", "") == "opted_in"
    assert listed(office) == []
