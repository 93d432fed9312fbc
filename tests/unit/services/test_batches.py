from __future__ import annotations

import pytest

from smsgw.services.batches import read_batch
from smsgw.services.choices import Choice
from smsgw.services.questions import ask
from smsgw.services.replies import APPROVAL, DISPATCH, SURVEY, Kind
from tests.unit.services.replies_numbers import ALL, LISTED, UNLISTED

FOUR = dict.fromkeys((1, 2, 3, 5), APPROVAL)
MIXED = {1: APPROVAL, 2: DISPATCH, 3: SURVEY, 4: ask([Choice("a", "张三"), Choice("b", "李四")])}


def test_every_item_of_a_list_gets_its_own_answer() -> None:
    for text, row in LISTED:
        said = {one.item: (one.choice, one.reason) for one in read_batch(text, FOUR)}
        assert said == ({str(item): row[ALL] for item in FOUR} if ALL in row else row), text


def test_what_is_not_certain_of_every_item_answers_none() -> None:
    readings = [(text, read_batch(text, FOUR)) for text in UNLISTED]
    assert [one for one in readings if [each.kind for each in one[1]] != [Kind.UNCLEAR]] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1同意 2完成", {"1": "yes", "2": "done"}),
        ("2收到 1同意", {"2": "received", "1": "yes"}),
        ("3 5分 1同意", {"3": "5", "1": "yes"}),
        ("3：4分", {"3": "4"}),
        ("4 张三", {"4": "a"}),
        ("4选2", {"4": "b"}),
        ("2转派 13800001234 1同意", {"2": "transfer", "1": "yes"}),
        ("3非常满意 1不同意 没钱", {"3": "5", "1": "no"}),
        ("2去不了 没车 1同意", {"2": "decline", "1": "yes"}),
    ],
)
def test_items_of_several_presets_are_read_each_by_its_own(
    text: str, expected: dict[str, str]
) -> None:
    assert {one.item: one.choice for one in read_batch(text, MIXED)} == expected


@pytest.mark.parametrize(
    "text", ["全部同意", "全部收到", "4 2", "3 5", "1 2 完成", "2 2完成", "2同意", "1完成"]
)
def test_an_answer_that_does_not_fit_every_item_named_answers_none(text: str) -> None:
    assert [one.kind for one in read_batch(text, MIXED)] == [Kind.UNCLEAR]


def test_the_rule_says_that_all_were_meant_and_why_nothing_was() -> None:
    assert {one.rule for one in read_batch("全部同意", FOUR)} == {"all+word"}
    assert read_batch("9同意", FOUR)[0].rule == "unknown item"
    assert read_batch("同意", FOUR)[0].rule == "no item"
    assert read_batch("好的", FOUR)[0].rule == "acknowledgement"
    assert read_batch("1 3", FOUR)[0].rule == "number alone"
    assert read_batch("同意" * 600, FOUR)[0].rule == "too long"
    assert read_batch("TD", FOUR)[0].kind is Kind.OPT_OUT
    assert read_batch("1同意", {})[0].kind is Kind.UNCLEAR
    assert read_batch("全部同意", {})[0].kind is Kind.UNCLEAR
