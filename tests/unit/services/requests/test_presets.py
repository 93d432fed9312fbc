from __future__ import annotations

import dataclasses

import pytest

from smsgw.services.choices import NO, YES, Choice, Effect
from smsgw.services.questions import ask
from smsgw.services.replies import Kind, read
from smsgw.services.requests.model import Outcome
from smsgw.services.requests.presets import (
    APPROVAL,
    DISPATCH,
    PRESETS,
    SURVEY,
    VOTE,
    Asked,
    Preset,
)
from smsgw.services.requests.settings import Confirmation

PLAIN = Asked(APPROVAL.question)
TYPED = Asked(APPROVAL.question, "40711")


def test_the_prompt_names_the_subject_the_body_and_how_to_answer() -> None:
    assert APPROVAL.prompt("采购申请", "摄像机两台", PLAIN) == (
        "待审批：采购申请\n摄像机两台\n回复 同意 或 不同意+原因"
    )
    assert APPROVAL.prompt("采购申请", "", PLAIN, again=True).startswith("提醒 待审批：采购申请")


def test_a_prompt_without_an_extension_asks_for_the_typed_id() -> None:
    assert APPROVAL.prompt("采购申请", "", TYPED).endswith("回复 #40711 同意 或 #40711 不同意+原因")


def test_a_prompt_of_high_value_carries_the_code_for_consent_only() -> None:
    coded = Asked(APPROVAL.question, code="4821", confirmation=Confirmation.CODE)
    assert APPROVAL.prompt("采购", "", coded).endswith("回复 同意 4821 或 不同意+原因")


def test_a_prompt_that_needs_a_console_offers_the_refusal_only() -> None:
    asked = Asked(APPROVAL.question, confirmation=Confirmation.API)
    text = APPROVAL.prompt("采购", "", asked)
    assert text.endswith("请登录系统确认；不同意可回复 不同意+原因")


@pytest.mark.parametrize(
    ("preset", "how"),
    [
        (DISPATCH, "回复 收到、完成、转派+手机号 或 无法处理+原因"),
        (SURVEY, "回复 1 至 5（5 非常满意，1 非常不满意），可附意见"),
    ],
)
def test_each_preset_says_how_it_is_answered(preset: Preset, how: str) -> None:
    assert preset.prompt("演播室灯光", "", Asked(preset.question)).endswith(how)


def test_a_vote_offers_its_options_by_number() -> None:
    options = ask([Choice("1", "北京"), Choice("2", "上海")])
    assert VOTE.prompt("下一站", "", Asked(options)).endswith("回复 序号：1 北京 2 上海")


def test_own_answers_are_offered_by_their_labels() -> None:
    own = ask([YES, NO, Choice("abstain", "弃权", Effect.NEUTRAL)], APPROVAL.question)
    assert APPROVAL.prompt("章程", "", Asked(own)).endswith("回复 同意、不同意+原因 或 弃权")


def test_asking_back_names_the_item_and_the_choices() -> None:
    assert APPROVAL.ask_back("采购申请", PLAIN) == (
        "关于《采购申请》，未能确定您的意思。请回复：1 同意 2 不同意"
    )
    assert "#40711 同意" in APPROVAL.ask_back("采购申请", TYPED)


def test_a_long_subject_is_shortened_with_a_mark() -> None:
    assert "《" + "长" * 29 + "…》" in APPROVAL.ask_back("长" * 40, PLAIN)


def test_a_list_numbers_the_items_and_shows_an_example() -> None:
    text = APPROVAL.listing([(2, "采购"), (3, "请假")])
    assert text == "您有2项待审批，请回复“序号+意见”，如“2同意”：\n2 《采购》\n3 《请假》"
    assert APPROVAL.listing([(2, "采购")], "待处理事项").startswith("您有1项待处理事项")


def test_a_long_list_says_how_many_it_leaves_out() -> None:
    assert APPROVAL.listing([(n, f"第{n}项") for n in range(1, 12)]).endswith("\n另有2项")


def test_the_other_texts_say_what_is_recorded() -> None:
    assert APPROVAL.confirmation("采购", YES, "") == "已记录您对《采购》的意见：同意"
    assert APPROVAL.confirmation("采购", NO, "太贵").endswith("不同意，原因：太贵")
    assert APPROVAL.confirmation("采购", NO, "长" * 41).endswith("长" * 41)
    assert APPROVAL.confirmation("采购", NO, "长" * 42).endswith("：" + "长" * 40 + "…")
    assert APPROVAL.already_answered("采购", NO, None).endswith("不能更改")
    late = APPROVAL.already_answered("采购", NO, Outcome.REJECTED)
    assert late.endswith("结果：未批准")
    assert APPROVAL.already_closed("采购", None) == "《采购》本环节已处理，无需再回复"
    assert APPROVAL.already_closed("采购", Outcome.APPROVED).startswith("《采购》已批准")
    assert APPROVAL.result("采购", Outcome.REJECTED, [("甲", "太贵"), ("乙", "")]) == (
        "《采购》未批准（甲：太贵）"
    )
    assert APPROVAL.result("采购", Outcome.APPROVED, []) == "《采购》已批准"


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_no_text_of_ours_sent_back_to_us_decides_anything(preset: Preset) -> None:
    if not preset.choices:
        preset = dataclasses.replace(preset, question=ask([Choice("1", "北京"), YES]))
    choice, asked = preset.choices[0], Asked(preset.question)
    coded = Asked(preset.question, code="4821", confirmation=Confirmation.CODE)
    texts = [
        preset.prompt("同意", "同意", asked),
        preset.prompt("完成", "5", asked, again=True),
        preset.prompt("同意", "", coded),
        preset.ask_back("同意", asked),
        preset.listing([(1, "同意"), (2, "不同意")]),
        preset.confirmation("同意", choice, "同意"),
        preset.already_answered("同意", choice, Outcome.APPROVED),
        preset.already_closed("同意", Outcome.APPROVED),
        preset.needs_code("同意", coded, 2),
        preset.needs_console("同意"),
        preset.handed_on("同意", "张工"),
        preset.result("同意", Outcome.APPROVED, []),
    ]
    for question in (preset.question, dataclasses.replace(preset.question, with_code=True)):
        clear = [text for text in texts if read(text, question).kind is Kind.CLEAR]
        assert clear == []


def test_every_end_has_a_name_in_every_preset() -> None:
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert set(preset.outcomes) == set(Outcome)
