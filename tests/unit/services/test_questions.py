from __future__ import annotations

import pytest

from smsgw.errors import ConfigError, ValidationError
from smsgw.services.choices import DONE, NO, RATINGS, RECEIVED, YES, Choice, Effect
from smsgw.services.questions import APPROVAL, DISPATCH, SURVEY, Question, Style, ask, with_words
from smsgw.services.replies import Kind, read
from smsgw.services.targets import Target, target_of

ABSTAIN = Choice("abstain", "弃权", Effect.NEUTRAL)
RETURN = Choice("return", "退回修改", Effect.AGAINST, ("退回",))


def test_choices_are_numbered_in_their_order_or_by_their_own_digits() -> None:
    assert [number for number, _ in APPROVAL.numbered()] == ["1", "2"]
    assert [number for number, _ in SURVEY.numbered()] == ["1", "2", "3", "4", "5"]
    assert [number for number, _ in ask(RATINGS[::-1], SURVEY).numbered()] == list("54321")
    assert read("1", Question((NO, YES))).choice == "no"


def test_a_choice_is_found_by_its_key() -> None:
    assert APPROVAL.choice("no") is NO
    with pytest.raises(KeyError):
        APPROVAL.choice("done")


@pytest.mark.parametrize(
    ("text", "choice", "reason"),
    [
        ("同意", "yes", ""),
        ("不同意 太贵", "no", "太贵"),
        ("弃权", "abstain", ""),
        ("3", "abstain", ""),
        ("3弃权", "abstain", ""),
        ("4", "return", ""),
        ("退回修改，材料不全", "return", "材料不全"),
        ("退回，材料不全", "return", "材料不全"),
        ("不弃权", "", ""),
        ("弃权吗", "", ""),
        ("不退回", "", ""),
        ("退回，还是同意吧", "", ""),
    ],
)
def test_a_step_may_allow_more_than_its_preset(text: str, choice: str, reason: str) -> None:
    reading = read(text, ask([YES, NO, ABSTAIN, RETURN], APPROVAL))
    assert (reading.choice, reading.reason) == (choice, reason)


def test_a_step_may_allow_less_than_its_preset() -> None:
    question = ask([RECEIVED, DONE], DISPATCH)
    assert read("完成", question).choice == "done"
    assert read("无法处理", question).rule == "not allowed"
    assert read("转派 13800001234", question).rule == "not allowed"
    assert read("3", question).rule == "other number"


def test_a_label_of_its_own_is_a_word_of_the_preset() -> None:
    question = ask([Choice("yes", "放行"), Choice("no", "不放行", Effect.AGAINST)], APPROVAL)
    assert read("放行", question).choice == "yes"
    assert read("不放行，未登记", question).choice == "no"
    assert read("放行？", question).kind is Kind.UNCLEAR
    assert read("放行，但是", question).kind is Kind.UNCLEAR


def test_answers_that_share_nothing_with_a_preset_are_options() -> None:
    question = ask([Choice("pass", "合格"), Choice("fail", "不合格", Effect.AGAINST)], APPROVAL)
    assert question.style is Style.OPTIONS
    assert read("合格", question).choice == "pass"
    assert read("不合格，划伤", question).choice == "fail"
    assert read("不合格，重检后合格", question).kind is Kind.UNCLEAR
    assert read("不 合格", question).kind is Kind.UNCLEAR
    hand_on = ask([Choice("ok", "可以"), Choice("pass", "转交", Effect.TRANSFER)])
    assert read("转交 13800001234", hand_on).choice == "pass"
    assert read("转交", hand_on).rule == "no target"


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ([], "answers"),
        ([Choice("a", "")], "answers[0].label"),
        ([Choice("", "甲")], "answers[0].key"),
        ([Choice("a", "甲"), Choice("b", "甲")], "answers[1].label"),
        ([Choice("a", "甲"), Choice("A", "乙")], "answers[1].key"),
        ([Choice("a", "甲"), Choice("b", "乙", words=("甲！",))], "answers[1].words[0]"),
        ([Choice("a", "T")], "answers[0].label"),
        ([Choice("r", "红")], "answers[0].key"),
        ([Choice("a", "长" * 41)], "answers[0].label"),
        ([Choice("a", "。")], "answers[0].label"),
        ([Choice("yes", "同意", Effect.AGAINST)], "answers[0].effect"),
        ([Choice("yes", "不同意")], "answers[0].label"),
        ([YES, Choice("later", "同意")], "answers[1].label"),
        ([Choice(f"k{n}", f"第{n}") for n in range(100)], "answers"),
    ],
)
def test_answers_that_cannot_be_told_apart_are_refused(choices: list[Choice], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ask(choices, APPROVAL, "answers")
    assert caught.value.field == field


def test_a_configuration_adds_words_to_a_preset() -> None:
    question = with_words(APPROVAL, {"yes": ["准了", "Go Ahead"], "no": ["打回"]}, "words")
    assert read("准了", question).choice == "yes"
    assert read("准了，谢谢", question).reason == "谢谢"
    assert read("go ahead", question).choice == "yes"
    assert read("打回，太贵", question).reason == "太贵"
    assert read("1准了", question).choice == "yes"
    for text in ("准了？", "准了吗", "不准了", "准了，但是", "打回，准了", "还没准了", "准了个屁"):
        assert read(text, question).choice != "yes", text
    assert read("准了").kind is Kind.UNCLEAR


def test_every_choice_of_every_preset_may_get_words() -> None:
    more = {"received": ["妥"], "done": ["交活"], "transfer": ["甩给"], "decline": ["干不动"]}
    question = with_words(DISPATCH, more, "words")
    texts = ("妥", "交活", "甩给张工", "干不动")
    assert [read(text, question).choice for text in texts] == list(more)
    assert read("太棒了", with_words(SURVEY, {"5": ["太棒了"]}, "words")).choice == "5"


@pytest.mark.parametrize(
    ("question", "words", "path"),
    [
        (APPROVAL, {"maybe": ["也许"]}, "words.maybe"),
        (APPROVAL, {"yes": [""]}, "words.yes[0]"),
        (APPROVAL, {"yes": ["准了", "。"]}, "words.yes[1]"),
        (APPROVAL, {"yes": ["长" * 41]}, "words.yes[0]"),
        (APPROVAL, {"yes": ["1"]}, "words.yes[0]"),
        (APPROVAL, {"yes": ["T"]}, "words.yes[0]"),
        (APPROVAL, {"yes": ["好"]}, "words.yes[0]"),
        (APPROVAL, {"yes": ["准,了"]}, "words.yes[0]"),
        (APPROVAL, {"yes": ["不同意"]}, "words.yes[0]"),
        (APPROVAL, {"yes": ["不行也行"]}, "words.yes[0]"),
        (APPROVAL, {"no": ["同"]}, "words.no[0]"),
        (APPROVAL, {"yes": ["准了"], "no": ["准了"]}, "words.no[0]"),
        (DISPATCH, {"received": ["完成中"]}, "words.received[0]"),
        (DISPATCH, {"done": ["收到"]}, "words.done[0]"),
        (SURVEY, {"5": ["满意"]}, "words.5[0]"),
    ],
)
def test_a_word_that_would_be_misread_is_refused_with_its_path(
    question: Question, words: dict[str, list[str]], path: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        with_words(question, words, "words")
    assert caught.value.path == path


def test_a_refusal_may_contain_the_consent() -> None:
    question = with_words(APPROVAL, {"yes": ["放行"], "no": ["不放行", "放行不了"]}, "words")
    assert read("放行不了", question).choice == "no"
    assert read("不放行", question).choice == "no"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("13800001234 张工", Target("13800001234", "张工")),
        ("张工13800001234", Target("13800001234", "张工")),
        ("给张工", Target("", "张工")),
        ("+86 138-0000-1234", Target("13800001234", "")),
        ("Bob", Target("", "bob")),
        ("13800001234，我去不了", Target("13800001234", "")),
        ("张工或李工", None),
        ("13800001234 18900001234", None),
        ("", None),
    ],
)
def test_whom_a_task_goes_to_is_read(text: str, target: Target | None) -> None:
    assert target_of(text) == target
