from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsgw.services.replies import (
    Kind,
    Reading,
    make_short_id,
    read,
    read_listed,
    verify_short_id,
)
from smsgw.services.vocabulary import DEFAULT, Vocabulary
from tests.unit.services.replies_corpus import CORPUS


def test_every_text_of_the_corpus_is_read_as_its_row_says() -> None:
    read_so = [(row[0], *read_row(row[0])) for row in CORPUS]
    assert [pair for pair in zip(read_so, CORPUS, strict=True) if pair[0] != pair[1]] == []


def read_row(text: str) -> tuple[str, str, str]:
    reading = read(text)
    return reading.kind.value, reading.reason, reading.rule


def test_the_corpus_is_large_and_names_no_text_twice() -> None:
    assert len(CORPUS) >= 250
    assert len({row[0] for row in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize(
    ("text", "kind", "reason", "rule", "item"),
    [
        ("1同意", Kind.YES, "", "word", "1"),
        ("2同意", Kind.YES, "", "word", "2"),
        ("02 不同意 太贵", Kind.NO, "太贵", "word", "2"),
        ("3、不同意，太贵", Kind.NO, "太贵", "word", "3"),
        ("12同意", Kind.YES, "", "word", "12"),
        ("2", Kind.UNCLEAR, "", "number alone", "2"),
        ("2 太贵", Kind.UNCLEAR, "", "no match", "2"),
        ("1同意 2同意", Kind.UNCLEAR, "", "several answers", "1"),
        ("1同意2不同意", Kind.UNCLEAR, "", "longer word", "1"),
        ("1不同意，2同意", Kind.UNCLEAR, "", "several answers", "1"),
        ("1和2同意", Kind.UNCLEAR, "", "no match", "1"),
        ("同意", Kind.YES, "", "word", None),
        ("100同意", Kind.UNCLEAR, "", "other number", None),
        ("全部同意", Kind.UNCLEAR, "", "no match", None),
    ],
)
def test_a_number_before_the_word_is_the_item_of_a_list(
    text: str, kind: Kind, reason: str, rule: str, item: str | None
) -> None:
    assert read_listed(text) == Reading(kind, reason, rule, item)


def test_a_typed_id_with_its_check_digit_names_the_item() -> None:
    digits = make_short_id(407)
    assert digits.startswith("0407")
    assert read(f"#{digits} 同意") == Reading(Kind.YES, "", "word", digits)
    assert read(f"＃{digits}不同意，太贵") == Reading(Kind.NO, "太贵", "word", digits)
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
    if reading.kind is Kind.YES:
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
    assert read("完成", words).kind is Kind.YES
    assert read("做不了，缺人", words) == Reading(Kind.NO, "缺人", "word")
    assert read("同意", words).kind is Kind.UNCLEAR
