from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsgw.services.batches import read_batch
from smsgw.services.choices import NO, RATINGS, YES, Choice
from smsgw.services.questions import ask
from smsgw.services.replies import (
    APPROVAL,
    DISPATCH,
    SURVEY,
    Kind,
    Question,
    Reading,
    make_short_id,
    read,
    read_listed,
    verify_short_id,
)
from smsgw.services.vocabulary import DEFAULT, TASKS, Vocabulary
from tests.unit.services.replies_corpus import CORPUS
from tests.unit.services.replies_numbers import (
    CODED,
    LISTED,
    RATED,
    UNCODED,
    UNLISTED,
    UNRATED,
    UNVOTED,
    VOTES,
)
from tests.unit.services.replies_tasks import SAID, UNDECIDED

VOTE = ask(
    [Choice("zhang", "张三"), Choice("li", "李四"), Choice("wang", "王五"), Choice("zhao", "赵六")]
)
WITH_CODE = replace(APPROVAL, with_code=True)


def test_every_text_of_the_corpus_is_read_as_its_row_says() -> None:
    read_so = [(row[0], *read_row(row[0])) for row in CORPUS]
    assert [pair for pair in zip(read_so, CORPUS, strict=True) if pair[0] != pair[1]] == []


def read_row(text: str) -> tuple[str, str, str]:
    reading = read(text)
    return reading.choice or reading.kind.value, reading.reason, reading.rule


def test_the_corpus_is_large_and_names_no_text_twice() -> None:
    assert len(CORPUS) >= 250
    assert len({row[0] for row in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(
    ("text", "kind", "reason", "rule", "item", "choice"),
    [
        ("1同意", Kind.CLEAR, "", "word", "1", "yes"),
        ("2同意", Kind.CLEAR, "", "word", "2", "yes"),
        ("02 不同意 太贵", Kind.CLEAR, "太贵", "word", "2", "no"),
        ("3、不同意，太贵", Kind.CLEAR, "太贵", "word", "3", "no"),
        ("12同意", Kind.CLEAR, "", "word", "12", "yes"),
        ("2", Kind.UNCLEAR, "", "number alone", "2", ""),
        ("2 太贵", Kind.UNCLEAR, "", "no match", "2", ""),
        ("1同意 2同意", Kind.UNCLEAR, "", "several answers", "1", ""),
        ("1同意2不同意", Kind.UNCLEAR, "", "longer word", "1", ""),
        ("1不同意，2同意", Kind.UNCLEAR, "", "several answers", "1", ""),
        ("1和2同意", Kind.UNCLEAR, "", "no match", "1", ""),
        ("同意", Kind.CLEAR, "", "word", None, "yes"),
        ("100同意", Kind.UNCLEAR, "", "other number", None, ""),
        ("全部同意", Kind.UNCLEAR, "", "no match", None, ""),
    ],
)
def test_a_number_before_the_word_is_the_item_of_a_list(
    text: str, kind: Kind, reason: str, rule: str, item: str | None, choice: str
) -> None:
    assert read_listed(text) == Reading(kind, reason, rule, item, choice)


def test_a_typed_id_with_its_check_digit_names_the_item() -> None:
    digits = make_short_id(407)
    assert digits.startswith("0407")
    assert read(f"#{digits} 同意") == Reading(Kind.CLEAR, "", "word", digits, "yes")
    assert read(f"＃{digits}不同意，太贵") == Reading(Kind.CLEAR, "太贵", "word", digits, "no")
    assert read(f"# {digits}") == Reading(Kind.UNCLEAR, "", "no match", digits)


def test_a_typed_id_with_a_wrong_digit_is_unclear() -> None:
    digits = make_short_id(407)
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    assert read(f"#{wrong} 同意") == Reading(Kind.UNCLEAR, "", "bad id", wrong)
    assert read("#40 同意").rule == "bad id"


def test_the_check_digit_is_damms_known_example() -> None:
    assert not verify_short_id("5724")  # Damm's own example is too short to be one of ours
    assert verify_short_id("05724")


@given(st.integers(0, 2**63 - 1), st.integers(0, 4), st.integers(1, 9))
def test_every_single_wrong_digit_is_found(number: int, place: int, shift: int) -> None:
    digits = make_short_id(number)
    assert verify_short_id(digits)
    other = str((int(digits[place]) + shift) % 10)
    assert not verify_short_id(digits[:place] + other + digits[place + 1 :])


@given(st.integers(0, 2**63 - 1), st.integers(0, 3))
def test_every_swap_of_neighbours_is_found(number: int, place: int) -> None:
    digits = make_short_id(number)
    a, b = digits[place : place + 2]
    swapped = digits[:place] + b + a + digits[place + 2 :]
    assert verify_short_id(swapped) == (a == b)


@given(st.text())
@example("ŉ同意")
def test_no_text_makes_the_reader_raise(text: str) -> None:
    assert read(text).kind in Kind
    assert read_listed(text).kind in Kind


REMARKS_THAT_LEAVE_DOUBT = (
    "5000以下", "只批5000", "金额砍到5000", "推迟到下月", "缓办", "由李总批", "请王总定", "手滑",
    "×", "hold", "later", "费用自理", "张三除外", "待定", "转财务审", "谢谢，但是缓办",
    "请尽快取消",
)  # fmt: skip


@pytest.mark.parametrize("remark", REMARKS_THAT_LEAVE_DOUBT)
@pytest.mark.parametrize(
    "mark", ["，", " ", "。", "：", "！", "~", "\n", "（", "+", "、", "，谢谢，"]
)
def test_no_approval_stays_one_before_a_remark_that_may_change_it(mark: str, remark: str) -> None:
    texts = [f"{word}{mark}{remark}" for word in (*DEFAULT.positives, "1", "1同意")]
    assert [text for text in texts if read(text).kind is not Kind.UNCLEAR] == []


@given(st.text(min_size=1, max_size=8), st.sampled_from("，。 ：\n"))
def test_free_text_behind_an_approval_never_approves_with_it(text: str, mark: str) -> None:
    reading = read(f"同意{mark}这台{text}")
    assert reading.kind is Kind.UNCLEAR


@pytest.mark.parametrize(
    "piece",
    ["同意", "不同意", "同意 ", "但", "不过", "no ", "【", "】 ", "嗯", "尽快", "1 ", "ﷺ", "谢谢"],
)
@pytest.mark.parametrize("head", ["", "同意，", "不同意，", "1 "])
def test_the_longest_text_that_is_read_takes_no_time_and_a_longer_one_is_unclear(
    head: str, piece: str
) -> None:
    text = head + piece * 1000
    started = time.process_time()
    assert read(text[:1000]).kind in Kind
    assert read_listed(text[:1000]).kind in Kind
    assert time.process_time() - started < 1
    assert read(text[:1000] + "x") == Reading(Kind.UNCLEAR, "", "too long")
    assert read_listed("1" + text) == Reading(Kind.UNCLEAR, "", "too long")


def test_a_text_that_grows_beyond_the_limit_when_folded_is_too_long() -> None:
    assert read("ﷺ" * 100).rule == "too long"


@given(st.text(alphabet="同意不批准驳回拒绝好的，。？ 12但吗没是我书见", max_size=12))
def test_an_approval_never_contains_an_unanswered_refusal(text: str) -> None:
    reading = read(text)
    if reading.choice == "yes":
        assert "不同意" not in text
        assert "驳回" not in text
        assert "?" not in text
        assert "？" not in text
        assert "但" not in text


@given(st.sampled_from([row for row in CORPUS if "【" not in row[0]]))
def test_reading_does_not_depend_on_spaces_and_quotes_around(
    row: tuple[str, str, str, str],
) -> None:
    assert read(f"  “{row[0]}” \n").kind is read(row[0]).kind


def test_a_preset_may_bring_its_own_words() -> None:
    words = Vocabulary(positives=("完成",), negatives=("做不了",), weak_negatives=("没",))
    question = Question((YES, NO), words)
    assert read("完成", question).choice == "yes"
    assert read("做不了，缺人", question) == Reading(Kind.CLEAR, "缺人", "word", choice="no")
    assert read("同意", question).kind is Kind.UNCLEAR


def read_rows(texts: Iterable[str], question: Question) -> list[tuple[str, str, str]]:
    readings = ((text, read(text, question)) for text in texts)
    return [(text, reading.choice, reading.reason) for text, reading in readings]


def test_what_is_said_of_a_task_is_read() -> None:
    assert read_rows((row[0] for row in SAID), DISPATCH) == list(SAID)


def test_what_is_uncertain_of_a_task_decides_nothing() -> None:
    assert [text for text in UNDECIDED if read(text, DISPATCH).kind is not Kind.UNCLEAR] == []


def test_a_rating_is_read_with_its_comment() -> None:
    assert read_rows((row[0] for row in RATED), SURVEY) == list(RATED)


def test_what_is_no_certain_rating_rates_nothing() -> None:
    assert [text for text in UNRATED if read(text, SURVEY).kind is not Kind.UNCLEAR] == []


def test_a_vote_is_read_by_number_key_or_label() -> None:
    assert [(text, read(text, VOTE).choice) for text, _ in VOTES] == list(VOTES)


def test_what_names_no_option_for_certain_is_no_vote() -> None:
    assert [text for text in UNVOTED if read(text, VOTE).kind is not Kind.UNCLEAR] == []


def test_a_consent_carries_its_code() -> None:
    readings = [(row[0], read(row[0], WITH_CODE)) for row in CODED]
    assert [(text, one.choice, one.code, one.reason) for text, one in readings] == list(CODED)


def test_without_one_certain_code_nothing_is_consented() -> None:
    assert [text for text in UNCODED if read(text, WITH_CODE).kind is not Kind.UNCLEAR] == []
    assert read("同意", WITH_CODE).rule == "code missing"
    assert read("4821", WITH_CODE).rule == "code alone"


def test_the_corpora_are_large() -> None:
    rows = (SAID, UNDECIDED, RATED, UNRATED, VOTES, UNVOTED, LISTED, UNLISTED, CODED, UNCODED)
    assert sum(map(len, rows)) > 900


@pytest.mark.parametrize("question", [APPROVAL, DISPATCH, SURVEY, VOTE, WITH_CODE])
@pytest.mark.parametrize("text", ["T", "TD", "td", "Ｔ", "R", "退订", "退訂", "“T”"])
def test_whoever_wants_no_more_messages_answers_nothing(text: str, question: Question) -> None:
    assert read(text, question).kind is Kind.OPT_OUT


def test_our_own_question_is_left_out_where_it_is_certainly_quoted() -> None:
    asked = "待审批：采购申请\n摄像机两台\n回复 同意 或 不同意+原因"
    quoted = "\n".join(f"> {line}" for line in asked.splitlines())
    assert read(f"{quoted}\n同意").choice == "yes"
    assert read(f"不同意 太贵\n{quoted}") == Reading(Kind.CLEAR, "太贵", "word", choice="no")
    assert read("“待审批：采购申请”同意").choice == "yes"
    assert read("回复“待审批：采购申请”：不同意").choice == "no"
    assert read("> 【总台】待审批：采购申请\n同意").choice == "yes"


@pytest.mark.parametrize(
    "text",
    [
        "“待审批：甲”同意”",  # an applicant's subject with a mark of quotation in it
        "“待审批：甲”同意“乙”",
        "> 待审批：甲",
        "> 待审批：甲\n同意\n> 回复 同意 或 不同意+原因",
        "> 张三说\n同意",
        "> 不同意\n同意",
        "不“待审批：甲”同意",
        "”待审批：甲“同意",
        "同意？“待审批：甲”",
    ],
)
def test_what_may_be_quoted_or_not_is_unclear(text: str) -> None:
    assert read(text).kind is Kind.UNCLEAR


FOR_WORDS = [
    *((word, APPROVAL) for word in DEFAULT.positives),
    *((word, DISPATCH) for word in TASKS.positives),
    *((choice.label, SURVEY) for choice in RATINGS[3:]),
    *((choice.label, VOTE) for choice in VOTE.choices),
]
NEGATIONS = (
    "不", "没", "没有", "还没", "未", "尚未", "别", "不是", "不要", "不能", "不会", "无法",
    "并非", "not ", "don't ",
    "难以", "暂不", "暂时不", "不太", "从未", "勿", "莫", "反对", "拒绝", "怎么可能", "谁",
    "是否", "如果", "等",
)  # fmt: skip


@pytest.mark.parametrize("negation", NEGATIONS)
def test_a_negation_in_front_never_leaves_a_consent(negation: str) -> None:
    read_so = [(word, read(f"{negation}{word}", question)) for word, question in FOR_WORDS]
    agreed = ("yes", "done", "4", "5", *(choice.key for choice in VOTE.choices))
    assert [pair for pair in read_so if pair[1].choice in agreed] == []


@pytest.mark.parametrize(
    "doubt",
    [
        "？", "?", "吗", "才怪", "，打错了", "，不对", "，开玩笑的", "，哈哈", "，如果可以的话",
        "，除非下雨", "还是算了",
        "，取消", " 手误", "，还是不", "或者", "个屁", "，改成别的",
    ],
)  # fmt: skip
def test_a_doubt_behind_makes_every_consent_unclear(doubt: str) -> None:
    numbered = [("1", APPROVAL), ("2", DISPATCH), ("5", SURVEY), ("5分", SURVEY), ("2", VOTE)]
    texts = [(f"{word}{doubt}", question) for word, question in (*FOR_WORDS, *numbered)]
    assert [text for text, question in texts if read(text, question).kind is Kind.CLEAR] == []


QUESTIONS = [APPROVAL, DISPATCH, SURVEY, VOTE, WITH_CODE]
PIECES = st.sampled_from(
    (
        "同意", "不", "完成", "没", "转派", "收到", "无法处理", "满意", "非常", "5", "1", "2",
        "4821", "张三", "李四", ",", " ", "，", "。", "：", ">", "“", "”", "【", "】",
        "待审批：", "？", "吗", "全部", "都", "第", "项", "#", "13800001234", "👍", "选", "投",
        "号", "分", "但", "\n", "no", "yes", "done", "ﷺ", "١",
    )
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(QUESTIONS))
def test_no_mixture_of_words_makes_the_reader_raise_or_choose_what_is_not_allowed(
    text: str, question: Question
) -> None:
    for reading in (read(text, question), read_listed(text, question)):
        assert (reading.kind is Kind.CLEAR) == bool(reading.choice)
        assert not reading.choice or question.choice(reading.choice)
        assert reading.reason in text or reading.reason == ""
    listed = read_batch(text, {1: question, 2: APPROVAL, 3: SURVEY})
    assert len(listed) == 1 or all(one.kind is Kind.CLEAR for one in listed)
    assert len({one.item for one in listed}) == len(listed)


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "piece",
    [
        "完成", "没完成", "转派 ", "张", "张三", "选", "投给", "5", "5 ", "1、", "1同意",
        "第一项", "4821 ", "更换了", "谢谢，",
        "“", ">\n", "【】", "收到", "我我", "1 2 ", "已", "a ", "满意", "号", "!", " ",
    ],
)  # fmt: skip
def test_the_longest_text_takes_no_time_for_any_question(piece: str, question: Question) -> None:
    text = (piece * 1000)[:1000]
    started = time.process_time()
    for head in ("", "1同意 ", "转派 ", "完成，", "5，", "李四 "):
        long = f"{head}{text}"[:1000]
        assert read(long, question).kind in Kind
        assert read_batch(long, {1: question, 2: APPROVAL})
    assert time.process_time() - started < 2
