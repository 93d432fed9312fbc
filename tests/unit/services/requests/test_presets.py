from __future__ import annotations

from smsgw.services.replies import Kind, read
from smsgw.services.requests.model import Decision, Outcome
from smsgw.services.requests.presets import APPROVAL, PRESETS


def test_the_prompt_names_the_subject_the_body_and_how_to_answer() -> None:
    assert APPROVAL.prompt("采购申请", "摄像机两台") == (
        "待审批：采购申请\n摄像机两台\n回复 同意 或 不同意+原因"
    )


def test_a_prompt_without_an_extension_asks_for_the_typed_id() -> None:
    assert APPROVAL.prompt("采购申请", "", "40711").endswith(
        "回复 #40711 同意 或 #40711 不同意+原因"
    )


def test_asking_back_names_the_item_and_the_choices() -> None:
    assert APPROVAL.ask_back("采购申请") == (
        "关于《采购申请》，未能确定您的意思。请回复：1 同意 2 不同意"
    )
    assert "#40711 同意" in APPROVAL.ask_back("采购申请", "40711")


def test_a_long_subject_is_shortened_with_a_mark() -> None:
    assert "《" + "长" * 29 + "…》" in APPROVAL.ask_back("长" * 40)


def test_a_list_numbers_the_items_and_shows_an_example() -> None:
    text = APPROVAL.listing([(2, "采购"), (3, "请假")])
    assert text == "您有2项待审批，请回复“序号+意见”，如“2同意”：\n2 《采购》\n3 《请假》"


def test_a_long_list_says_how_many_it_leaves_out() -> None:
    assert APPROVAL.listing([(n, f"第{n}项") for n in range(1, 12)]).endswith("\n另有2项")


def test_the_other_texts_say_what_is_recorded() -> None:
    assert APPROVAL.confirmation("采购", Decision.YES, "") == "已记录您对《采购》的意见：同意"
    assert APPROVAL.confirmation("采购", Decision.NO, "太贵").endswith("不同意，原因：太贵")
    assert APPROVAL.confirmation("采购", Decision.NO, "长" * 41).endswith("长" * 41)
    assert APPROVAL.confirmation("采购", Decision.NO, "长" * 42).endswith("：" + "长" * 40 + "…")
    assert APPROVAL.already_answered("采购", Decision.NO, None).endswith("不能更改")
    late = APPROVAL.already_answered("采购", Decision.NO, Outcome.REJECTED)
    assert late.endswith("结果：未批准")
    assert APPROVAL.already_closed("采购", None) == "《采购》本环节已处理，无需再回复"
    assert APPROVAL.already_closed("采购", Outcome.APPROVED).startswith("《采购》已批准")
    assert APPROVAL.result("采购", Outcome.REJECTED, [("甲", "太贵"), ("乙", "")]) == (
        "《采购》未批准（甲：太贵）"
    )
    assert APPROVAL.result("采购", Outcome.APPROVED, []) == "《采购》已批准"


def test_no_text_of_ours_sent_back_to_us_decides_anything() -> None:
    texts = [
        APPROVAL.prompt("同意", "同意"),
        APPROVAL.ask_back("同意"),
        APPROVAL.listing([(1, "同意"), (2, "不同意")]),
        APPROVAL.confirmation("同意", Decision.YES, "同意"),
        "回复 同意 或 不同意+原因",
        "1 同意 2 不同意",
    ]
    assert [read(text).kind for text in texts] == [Kind.UNCLEAR] * len(texts)


def test_presets_are_found_by_their_names() -> None:
    assert PRESETS == {"approval": APPROVAL}
