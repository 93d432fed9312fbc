"""Reads a reply: what a person meant, or that it cannot be known. Pure.

Rules: nothing is ever guessed. Whatever is not certain is ``UNCLEAR``, and the caller asks back. A
:class:`~smsgw.services.questions.Question` says what may be answered and by which words; this
module knows no request, person or message.
"""

from __future__ import annotations

import re
from dataclasses import replace

from smsgw.services.choices import Effect
from smsgw.services.decisions import read_number, read_words
from smsgw.services.folding import TEXT_MAX, Said, fold, is_too_long
from smsgw.services.options import read_option
from smsgw.services.questions import APPROVAL, DISPATCH, SURVEY, Question, Style
from smsgw.services.ratings import read_rating
from smsgw.services.readings import Kind, Reading, unclear

__all__ = [
    "APPROVAL",
    "DISPATCH",
    "SURVEY",
    "TEXT_MAX",
    "Kind",
    "Question",
    "Reading",
    "make_short_id",
    "read",
    "read_item",
    "read_listed",
    "verify_short_id",
]

_SHORT_ID = re.compile(r"#\s*([0-9]+)")
_NUMBER = re.compile(r"[0-9]+")
_NUMBERED = re.compile(r"([0-9]{1,2})(?![0-9])")
_CODE = re.compile(
    r"(?:(?:验证码|确认码|校验码|动态码|代码|code)(?:是|为)?[ :]*)?(?<![0-9])([0-9]{4,8})(?![0-9])"
)

# The Damm quasigroup of order 10 (H. M. Damm, 2004): finds every single wrong digit and every
# swap of neighbours.
_DAMM = (
    (0, 3, 1, 7, 5, 9, 8, 6, 4, 2),
    (7, 0, 9, 2, 1, 5, 4, 8, 6, 3),
    (4, 2, 0, 6, 8, 7, 1, 3, 5, 9),
    (1, 7, 5, 0, 9, 8, 3, 4, 2, 6),
    (6, 1, 2, 3, 0, 4, 5, 9, 7, 8),
    (3, 6, 7, 4, 2, 0, 9, 5, 8, 1),
    (5, 8, 6, 9, 7, 2, 0, 1, 3, 4),
    (8, 9, 4, 5, 3, 6, 2, 0, 1, 7),
    (9, 4, 3, 8, 6, 1, 7, 2, 0, 5),
    (2, 5, 8, 1, 4, 3, 6, 7, 9, 0),
)
_SHORT_ID_RANGE = 9973  # the greatest prime below 10,000: neighbouring ids spread over all digits


def _damm(digits: str) -> int:
    interim = 0
    for digit in digits:
        interim = _DAMM[interim][int(digit)]
    return interim


def make_short_id(assignment_id: int) -> str:
    """Return the id a person types after ``#``: four digits and a check digit.

    It names one of the few items a phone has open, not one among all: the caller looks it up
    among that phone's items and asks back when two share it.
    """
    digits = f"{assignment_id % _SHORT_ID_RANGE:04d}"
    return f"{digits}{_damm(digits)}"


def verify_short_id(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it."""
    return len(digits) == 5 and digits.isascii() and digits.isdigit() and _damm(digits) == 0


def read(text: str, question: Question = APPROVAL) -> Reading:
    """Return what ``text`` means as a reply to one question."""
    if is_too_long(text):
        return unclear("too long")
    said = fold(text, question.vocabulary)
    if not said.text:
        return unclear("empty")
    typed = _SHORT_ID.match(said.text)
    if typed:
        digits = typed[1]
        if not verify_short_id(digits):
            return replace(unclear("bad id"), item=digits)
        rest = said.skip(typed.end()).trimmed()
        reading = _answer(rest, question, numbered=False) if rest.text else unclear("no match")
        return replace(reading, item=digits)
    if said.text in question.vocabulary.opt_outs:
        return Reading(Kind.OPT_OUT, "", "opt-out")
    return _answer(said, question, numbered=True)


def read_listed(text: str, question: Question = APPROVAL) -> Reading:
    """Return what ``text`` means as a reply to a numbered list: ``2不同意 太贵``.

    The number is the item and never the answer; a number alone is UNCLEAR.
    """
    if is_too_long(text):
        return unclear("too long")
    said = fold(text, question.vocabulary)
    number = _NUMBERED.match(said.text)
    if not number:
        reading = read(text, question)
        return unclear("number") if reading.rule == "number" else reading
    rest = said.skip(number.end()).trimmed()
    return replace(read_item(rest, question), item=str(int(number[1])))


def read_item(rest: Said, question: Question) -> Reading:
    """Return what stands behind the number of an item; another number is no answer."""
    if not rest.text or rest.text.isdigit():
        return unclear("number alone")
    return _answer(rest, question, numbered=False)


def _answer(said: Said, question: Question, *, numbered: bool) -> Reading:
    """Read what was said; ``numbered`` is whether a number in front is an answer."""
    if not question.with_code:
        return _plain(said, question, numbered)
    plain = _plain(said, question, numbered)
    if plain.kind is Kind.CLEAR and not _consents(plain, question):
        return plain
    codes = list(_CODE.finditer(said.text))
    if len(codes) != 1:
        return unclear("code missing") if plain.kind is Kind.CLEAR else plain
    code = codes[0]
    rest = said.blanked(code.start(), code.end()).trimmed()
    if not rest.text:
        return unclear("code alone")
    reading = _plain(rest, question, numbered)
    if reading.kind is not Kind.CLEAR or not _consents(reading, question):
        return reading
    if code[1] in reading.reason:  # amid a remark it may be an amount
        return unclear("remark")
    return replace(reading, code=code[1])


def _consents(reading: Reading, question: Question) -> bool:
    return question.choice(reading.choice).effect is Effect.FOR


def _plain(said: Said, question: Question, numbered: bool) -> Reading:
    if question.style is Style.RATINGS:
        return read_rating(said, question)
    if question.style is Style.OPTIONS:
        return read_option(said, question.choices, question.vocabulary, question.numbered())
    number = _NUMBER.match(said.text) if numbered else None
    if number:
        return read_number(number[0], said.skip(number.end()), question)
    return read_words(said, question)
