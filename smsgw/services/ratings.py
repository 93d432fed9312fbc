"""Reads a number on a scale, and the comment with it: the style of surveys. Pure.

Rules: the comment is free as long as it does not speak against the number: people who take 1 for
the best are asked back. A word of the scale alone counts where it is exactly that of one number.
"""

from __future__ import annotations

import re

from smsgw.services.choices import Choice
from smsgw.services.folding import Said, fold_word
from smsgw.services.options import number_in
from smsgw.services.questions import Question
from smsgw.services.readings import Reading, clear, unclear
from smsgw.services.remarks import SEPARATORS, TRAILING, any_of, patterns
from smsgw.services.vocabulary import Vocabulary

_NUMBER = re.compile(r"([0-9]{1,3}|[零一二三四五六七八九十]{1,3})(?:分|颗星|星级|星)?")
_DIGITS = re.compile(r"[0-9]+")
_BARE = re.compile(r"[0-9]|[零一二三四五六七八九十]+(?:分|颗星|星)?$")
_OPEN_END = re.compile(r"[-+—－＋]")
_HIGH = 0.75
"""From which part of the scale on a number is praise; below 1 - 0.75 it is a complaint."""

_DOUBTS = re.compile(
    r"[?/\\|=%<>*]|吗|么|呢|才怪|反话|玩笑|哈哈|呵呵|嘿嘿|除非|如果|假如|要是|的话|不算|取消|撤回|撤销|作废|忽略"
    r"|打错|点错|按错|写错|说错|发错|错了|手误|手滑|不对|不是|改成|改为|应该是|还是|或者|或|随便|乱|不知道|不清楚|不确定"
    r"|以下|以上|左右|以内|差点|本来|原来|才给|就给|给\d|\b(?:or|if|lol|oops|not sure|maybe)\b"
)


def read_rating(said: Said, question: Question) -> Reading:
    """Return which number of the scale was given."""
    v = question.vocabulary
    if said.text in v.acknowledgements + v.greetings + v.thanks:
        return unclear("acknowledgement")
    if _OPEN_END.search(said.source[said.origin[-1] + 1 :]):
        return unclear("number and text")  # 4+, 4-
    lead = patterns(v)["lead"].match(said.text)
    start = said.skip(lead.end()) if lead else said
    found = _NUMBER.match(start.text)
    if found and (found[1].isascii() or not _labels(start.text, question)):
        return _by_number(found, start.skip(found.end()), question)
    return _by_word(start, question)


def _by_number(found: re.Match[str], rest: Said, question: Question) -> Reading:
    choice = question.by_number(number_in(found[1]))
    if choice is None:
        return unclear("other number")
    remark = rest.parted()
    if not remark.text:
        trailing = rest.text.strip(TRAILING)
        return unclear("number and text") if trailing else clear(choice.key, "", "number")
    parted = len(remark.text) != len(rest.text)
    if _BARE.match(remark.text) or not (parted or _speaks_of_it(remark.text, question)):
        return unclear("number and text")  # 4.5, 4-5, 3分钟, 5楼
    if remark.text[0] in question.vocabulary.measures:
        return unclear("number and text")  # 2 天后
    return _commented(choice, rest, "number", question)


def _by_word(said: Said, question: Question) -> Reading:
    named = _labels(said.text, question)
    if not named:
        return unclear("no match")
    choice, end = named[0]
    v, rest = question.vocabulary, said.skip(end)
    bare = rest.skip(len(rest.text) - len(rest.text.lstrip(v.particles + v.applause)))
    if bare.text and bare.text[0] not in SEPARATORS:
        return unclear("longer word")  # 满意度
    return _commented(choice, bare, "word", question)


def _commented(choice: Choice, rest: Said, rule: str, question: Question) -> Reading:
    """What a number or word is worth with the comment behind it."""
    comment = rest.parted().text
    if _DOUBTS.search(comment):
        return unclear("remark")
    numbers = [found for found in _DIGITS.finditer(comment) if not _is_counted(found, question)]
    for number in numbers:
        first = number.start() == 0 and not comment[number.end() :].strip(TRAILING + "分星")
        if not first or question.by_number(number[0]) is not choice:
            return unclear("several answers")
    for clause in re.split(f"[{re.escape(SEPARATORS)}]+", comment):
        named = _labels(clause, question)
        if named and not _agrees(choice, named[0][0], question):
            return unclear("contradictory")
    if _tone(comment, question.vocabulary) * _side(choice, question) < 0:
        return unclear("contradictory")
    if numbers:
        return clear(choice.key, "", "number+word")
    said_both = rule == "number" and any(_labels(comment, question))
    return clear(choice.key, rest.as_written(), "number+word" if said_both else rule)


def _labels(text: str, question: Question) -> list[tuple[Choice, int]]:
    """The scale's words that ``text`` begins with, the longest first."""
    found = [
        (choice, len(word))
        for choice in question.choices
        for word in map(fold_word, (choice.label, *choice.words))
        if text.startswith(word)
    ]
    return sorted(found, key=lambda pair: -pair[1])


def _speaks_of_it(remark: str, question: Question) -> bool:
    v = question.vocabulary
    return bool(_labels(remark, question)) or remark.startswith(v.praise + v.complaints)


def _is_counted(number: re.Match[str], question: Question) -> bool:
    """Whether a number in a comment counts something: 等了3次."""
    following = number.string[number.end() : number.end() + 1]
    return bool(following) and following in question.vocabulary.measures


def _agrees(choice: Choice, named: Choice, question: Question) -> bool:
    """Whether a word of the scale may stand beside a number: 5 满意, but not 4 非常满意."""
    place, other = question.choices.index(choice), question.choices.index(named)
    side = _side(choice, question)
    return place == other or (side == _side(named, question) != 0 and (place - other) * side > 0)


def _side(choice: Choice, question: Question) -> int:
    """Whether a number stands for praise (1), complaint (-1) or neither (0)."""
    place, last = question.choices.index(choice), max(1, len(question.choices) - 1)
    return (place / last >= _HIGH) - (place / last <= 1 - _HIGH)


def _tone(comment: str, v: Vocabulary) -> int:
    complaint = re.compile(any_of(v.complaints))
    praised = re.search(any_of(v.praise), complaint.sub("", comment))
    complained = complaint.search(comment)
    return bool(praised) - bool(complained)
