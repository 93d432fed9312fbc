"""Reads one reply that answers several items of a list: ``1 3 5 同意``, ``1同意 2不同意``. Pure.

Rules: each item is read by its own question and must be clear by itself. A number that does not
certainly belong to an item makes the whole text unclear: nothing of a doubtful text is applied.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from smsgw.services.folding import Said, fold, fold_word, is_too_long
from smsgw.services.options import number_in
from smsgw.services.questions import Question, Style
from smsgw.services.readings import Kind, Reading, unclear
from smsgw.services.remarks import SEPARATORS, TRAILING, patterns
from smsgw.services.replies import read, read_item
from smsgw.services.vocabulary import DEFAULT

_ITEM = (
    r"(?<![0-9])(?:第(?:[0-9]{1,2}|[一二三四五六七八九十]{1,3})[项条个件]|[0-9]{1,2}号?)"
    r"(?![0-9分星项条个])"
)
_JOINT = r"(?: *[,、;和与及&+] *| +| *[到至] *)"
_LIST = re.compile(f"{_ITEM}(?:{_JOINT}{_ITEM})*")
_PART = re.compile(
    "([到至]?)[^0-9到至一二三四五六七八九十]*([0-9]{1,2}|[一二三四五六七八九十]{1,3})"
)
_AFTER_LIST = re.compile(r"[ .:、,)]*(?:(?:全部|全都|都|均|全|皆|一律|一并)[ ,:]*)?")
_ALL = re.compile(
    r"(?:以上|上述|所有|这些|这几项|各项)?(?:项目|事项|申请|工单)?"
    r"(?:全部都|全部|全都|统统都|统统|一律|一并|所有|都|均|全|all)[ ,:]*(?:都|均)?[ ,:]*"
)
_WORD = re.compile(r"[^0-9第?]+(?=[0-9第])")
_COUNTED = "".join(mark for mark in DEFAULT.measures if mark not in "号条项个")
_FREE_NUMBER = re.compile(f"(?:^|[{re.escape(SEPARATORS)}，；：])([0-9]{{1,2}})(?![0-9{_COUNTED}])")
_SCORE = re.compile(r"[0-9一二三四五六七八九十]{1,2}(?:分|颗星|星|号)")


@dataclass(frozen=True)
class _Group:
    """Items, and what was said of all of them."""

    items: tuple[int, ...]
    answer: Said


def read_batch(text: str, questions: Mapping[int, Question]) -> tuple[Reading, ...]:
    """Return what ``text`` says of the items of a list.

    Args:
        text: As it was received.
        questions: The items that were shown, by their numbers.

    Returns:
        One clear reading for each item named, by its number in ``item``; or exactly one reading
        that is not clear, and then nothing is answered.
    """
    if is_too_long(text):
        return (unclear("too long"),)
    vocabulary = next((one.vocabulary for one in questions.values()), DEFAULT)
    said = fold(text, vocabulary)
    if not said.text or said.text in vocabulary.opt_outs:
        return (read(text),)
    everything = _ALL.match(said.text)
    if everything:
        answer = said.skip(everything.end()).trimmed()
        readings = _settled((_Group(tuple(questions), answer),), questions)
        if not _is_clear(readings):
            return (replace(readings[0], item=None),)
        return tuple(replace(reading, rule=f"all+{reading.rule}") for reading in readings)
    groups = _groups(said, questions) or _words_first(said, questions)
    return _settled(groups, questions) if groups else (_unnumbered(text, questions),)


def _unnumbered(text: str, questions: Mapping[int, Question]) -> Reading:
    """Why a text without a number decides nothing, in the words of the first item."""
    reading = read(text, next(iter(questions.values()), Question(())))
    return unclear("no item") if reading.kind is Kind.CLEAR else replace(reading, item=None)


def _settled(groups: Sequence[_Group], questions: Mapping[int, Question]) -> tuple[Reading, ...]:
    """Read every group; all must be clear, and no item answered in two ways."""
    by_item: dict[int, Reading] = {}
    for group in groups:
        for item in group.items:
            reading = _read(item, group.answer, questions)
            if reading.kind is not Kind.CLEAR:
                return (reading,)
            known = by_item.setdefault(item, reading)
            if (known.choice, known.code) != (reading.choice, reading.code):
                return (replace(unclear("contradictory"), item=str(item)),)
    return tuple(by_item[item] for item in sorted(by_item)) or (unclear("no item"),)


def _read(item: int, answer: Said, questions: Mapping[int, Question]) -> Reading:
    question = questions.get(item)
    if question is None:
        return replace(unclear("unknown item"), item=str(item))
    reading = read_item(answer, question)
    if reading.kind is Kind.CLEAR and _names_an_item(reading, questions):
        reading = unclear("several answers")
    return replace(reading, item=str(item))


def _names_an_item(reading: Reading, questions: Mapping[int, Question]) -> bool:
    """Whether a number in a remark, with nothing it counts, may be another item."""
    free = _FREE_NUMBER.findall(reading.reason)
    return any(int(number) in questions for number in free)


def _groups(said: Said, questions: Mapping[int, Question]) -> list[_Group]:
    """The groups of a text that begins with items: ``1、3同意；2不同意太贵``."""
    first = _LIST.match(said.text)
    if not first:
        return []
    heads = [first]
    for found in _LIST.finditer(said.text, first.end()):
        if _begins_group(found, heads[-1], said, questions):
            heads.append(found)
    ends = [head.start() for head in heads[1:]] + [len(said.text)]
    groups = []
    for head, end in zip(heads, ends, strict=True):
        answer = said.cut(_answer_at(head), end).trimmed()
        items = _items(head[0])
        if not items or _may_be_a_choice(head[0], items, answer, questions):
            return []
        groups.append(_Group(items, answer))
    return groups


def _begins_group(
    found: re.Match[str], previous: re.Match[str], said: Said, questions: Mapping[int, Question]
) -> bool:
    """Whether numbers amid a text are items with an answer of their own."""
    items, before = _items(found[0]), _items(previous[0])
    question, known = (questions.get(one[0]) if one else None for one in (items, before))
    if question is None or known is None or not _begins(said.skip(_answer_at(found)), question):
        return False
    if said.text[found.start() - 1] in SEPARATORS:
        return True
    answer = said.cut(_answer_at(previous), found.start()).trimmed()  # 1同意2不同意
    reading = read_item(answer, known)
    return reading.kind is Kind.CLEAR and not reading.reason


def _begins(said: Said, question: Question) -> bool:
    """Whether a text begins with an answer, whatever follows."""
    made = patterns(question.vocabulary)
    if any(said.text.startswith(fold_word(choice.label)) for choice in question.choices):
        return True
    if question.style is not Style.WORDS:
        return bool(made["lead"].match(said.text) or _SCORE.match(said.text))
    opening = made["opening"].match(said.text)
    bare = said.text[opening.end() :] if opening else said.text
    senses = ("negative", "positive", "transfer", "received")
    return any(made[sense].match(bare) for sense in senses)


def _answer_at(head: re.Match[str]) -> int:
    after = _AFTER_LIST.match(head.string, head.end())
    return after.end() if after else head.end()


def _items(written: str) -> tuple[int, ...]:
    """The numbers of a list, ranges filled in; empty when a range runs backwards."""
    items: list[int] = []
    for joint, number in _PART.findall(written):
        item = int(number_in(number) or 0)
        if joint in ("到", "至"):
            if not items or item <= items[-1]:
                return ()
            items.extend(range(items[-1] + 1, item + 1))
        else:
            items.append(item)
    return tuple(items)


def _may_be_a_choice(
    written: str, items: tuple[int, ...], answer: Said, questions: Mapping[int, Question]
) -> bool:
    """Whether the last number may be that of the answer: ``1 2不同意``."""
    question = questions.get(items[0])
    if len(items) != 2 or question is None or not re.fullmatch(r"[0-9]+[ 、]+[0-9]+", written):
        return False
    chosen = question.by_number(str(items[1]))
    return chosen is not None and chosen.key == read_item(answer, question).choice


def _words_first(said: Said, questions: Mapping[int, Question]) -> list[_Group]:
    """The groups of a text that ends with items: ``同意1、3，不同意2``; no reason has a place."""
    groups: list[_Group] = []
    at = 0
    while word := _WORD.match(said.text, at):
        items = _LIST.match(said.text, word.end())
        if not items or (items.end() < len(said.text) and said.text[items.end()] not in SEPARATORS):
            return []
        answer, named = said.cut(word.start(), word.end()).trimmed(), _items(items[0])
        known = [questions.get(item) for item in named]
        if not named or not all(one and _is_bare(answer, one) for one in known):
            return []
        groups.append(_Group(named, answer))
        at = items.end()
    return [] if said.text[at:].strip(TRAILING) else groups


def _is_bare(answer: Said, question: Question) -> bool:
    reading = read_item(answer, question)
    return (reading.kind, reading.reason, reading.rule) == (Kind.CLEAR, "", "word")


def _is_clear(readings: Sequence[Reading]) -> bool:
    return all(reading.kind is Kind.CLEAR for reading in readings)
