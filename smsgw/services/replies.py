"""Reads a reply: what a person meant, or that it cannot be known. Pure.

Rules: nothing is ever guessed. Refusals are looked for first (``不同意`` contains ``同意``), at the
start only; the rest is the reason. An approval must stand alone or be followed by a remark that
is known to take nothing back (:mod:`smsgw.services.remarks`). Whatever is not certain is
``UNCLEAR``, and the caller asks back. The words are a
:class:`~smsgw.services.vocabulary.Vocabulary`; this module knows no request, person or message.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass, replace

from smsgw.services.remarks import (
    LEADING,
    SEPARATORS,
    TRAILING,
    doubt_about_no,
    doubt_about_yes,
    patterns,
)
from smsgw.services.vocabulary import DEFAULT, TO_SIMPLIFIED, Vocabulary

TEXT_MAX = 1000
"""Characters of the longest text that is read."""

_INVISIBLE = frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)]))
"""Variation selectors and skin tones; zero width characters are known by their category."""

_SIGNATURE = re.compile(r"^\s*【([^【】]*)】|【([^【】]*)】\s*$")
_SHORT_ID = re.compile(r"#\s*([0-9]+)")
_NUMBER = re.compile(r"[0-9]+")
_NUMBERED = re.compile(r"([0-9]{1,2})(?![0-9])")


class Kind(enum.StrEnum):
    """What a reply means."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"
    OPT_OUT = "opt_out"


@dataclass(frozen=True)
class Reading:
    """A reply as read.

    Attributes:
        kind: The meaning; everything that is not certain is UNCLEAR.
        reason: What was said besides, as it was written; "" when nothing.
        rule: Which rule read it: ``word``, ``number`` (certain only where choices were offered),
            ``number+word``, ``opt-out``, or why it is unclear.
        item: The short id (``#…``) or the list number that was typed, digits; None without one.
    """

    kind: Kind
    reason: str
    rule: str
    item: str | None = None


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


def read(text: str, vocabulary: Vocabulary = DEFAULT) -> Reading:
    """Return what ``text`` means as a reply to one question."""
    if _is_too_long(text):
        return _unclear("too long")
    said = _fold(text, vocabulary)
    if not said.text:
        return Reading(Kind.UNCLEAR, "", "empty")
    typed = _SHORT_ID.match(said.text)
    if typed:
        digits = typed[1]
        if not verify_short_id(digits):
            return Reading(Kind.UNCLEAR, "", "bad id", digits)
        return replace(_read_words(said.skip(typed.end()).trimmed(), vocabulary), item=digits)
    if said.text in vocabulary.opt_outs:
        return Reading(Kind.OPT_OUT, "", "opt-out")
    number = _NUMBER.match(said.text)
    if number:
        return _read_number(number[0], said.skip(number.end()), vocabulary)
    return _read_words(said, vocabulary)


def read_listed(text: str, vocabulary: Vocabulary = DEFAULT) -> Reading:
    """Return what ``text`` means as a reply to a numbered list: ``2不同意 太贵``.

    The number is the item and never the answer; a number alone is UNCLEAR.
    """
    if _is_too_long(text):
        return _unclear("too long")
    said = _fold(text, vocabulary)
    number = _NUMBERED.match(said.text)
    if not number:
        reading = read(text, vocabulary)
        return replace(reading, kind=Kind.UNCLEAR) if reading.rule == "number" else reading
    rest = said.skip(number.end()).trimmed()
    reading = _read_words(rest, vocabulary) if rest.text else _unclear("number alone")
    return replace(reading, item=str(int(number[1])))


@dataclass(frozen=True)
class _Said:
    """Folded text, and where each of its characters stands in what was written."""

    text: str
    source: str
    origin: tuple[int, ...]

    def skip(self, count: int) -> _Said:
        return _Said(self.text[count:], self.source, self.origin[count:])

    def trimmed(self) -> _Said:
        """Without separators, quotes and brackets around."""
        kept = self.text.rstrip(TRAILING)
        start = len(kept) - len(kept.lstrip(LEADING))
        return _Said(kept[start:], self.source, self.origin[start : len(kept)])

    def parted(self) -> _Said:
        """Without the separators in front."""
        return self.skip(len(self.text) - len(self.text.lstrip(SEPARATORS)))

    def as_written(self) -> str:
        rest = self.parted().trimmed()
        if not rest.text:
            return ""
        return self.source[rest.origin[0] : rest.origin[-1] + 1].strip()


def _is_too_long(text: str) -> bool:
    return len(text) > TEXT_MAX or len(unicodedata.normalize("NFKC", text)) > TEXT_MAX


def _fold(text: str, v: Vocabulary) -> _Said:
    source = text
    for _ in range(2):  # one signature at the head, one at the tail
        signature = _SIGNATURE.search(source)
        if not signature or not _is_signature(signature[1] or signature[2] or "", v):
            break
        shorter = source[: signature.start()] + source[signature.end() :]
        if shorter.strip():
            source = shorter
    letters: list[str] = []
    origin: list[int] = []
    for index, char in enumerate(source):
        for letter in _folded(char):
            category = unicodedata.category(letter)
            if category == "Cf" or letter in _INVISIBLE:
                continue
            blank = category[0] == "Z" or category == "Cc"
            letters.append(" " if blank else "'" if letter == "’" else letter)
            origin.append(index)
    return _Said("".join(letters), source, tuple(origin)).trimmed()


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(TO_SIMPLIFIED).casefold()


def _is_signature(bracketed: str, v: Vocabulary) -> bool:
    """Whether 【…】 is a name and changes nothing of what was said: not 【暂不】 or 【限本周】."""
    folded, made = _folded(bracketed.strip()), patterns(v)
    return (
        len(folded) > 1
        and not any(map(str.isdigit, folded))
        and not made["unsigned"].search(folded)
        and not made["english"].search(folded)
    )


def _unclear(rule: str) -> Reading:
    return Reading(Kind.UNCLEAR, "", rule)


def _read_words(said: _Said, v: Vocabulary) -> Reading:
    made = patterns(v)
    opening = made["opening"].match(said.text)
    if opening:
        said = said.skip(opening.end())
    for kind, name in ((Kind.NO, "negative"), (Kind.YES, "positive")):
        found = made[name].match(said.text)
        if not found:
            continue
        word, rest = found[0], said.skip(found.end())
        while rest.parted().text.startswith(word):  # 同意同意, 同意,同意
            rest = rest.parted().skip(len(word))
        problem = _broken_word(word, rest.text)
        if not problem:
            weak = word in v.weak_negatives
            problem = _doubt(kind, rest.text, weak, v)
        if problem:
            return _unclear(problem)
        return Reading(kind, _reason(rest, kind, v), "word")
    if said.text.rstrip(TRAILING) in v.acknowledgements + v.greetings + v.thanks:
        return _unclear("acknowledgement")
    return _unclear("no match")


def _read_number(digits: str, rest: _Said, v: Vocabulary) -> Reading:
    if digits not in (v.yes_number, v.no_number):
        return _unclear("other number")
    kind = Kind.YES if digits == v.yes_number else Kind.NO
    remark = rest.parted()
    if not remark.text:
        return _unclear("number and text") if rest.text.strip(TRAILING) else _number(kind, "")
    words = _read_words(remark, v)
    if words.rule not in ("no match", "acknowledgement"):
        if words.kind is not kind:
            return _unclear("contradictory")
        return replace(words, rule="number+word")
    first = remark.text[0]
    if len(remark.text) == len(rest.text) or first.isdigit() or first in v.measures:
        return _unclear("number and text")  # 2楼, 1.5, 2 天后
    problem = _doubt(kind, rest.text, False, v)
    return _unclear(problem) if problem else _number(kind, rest.as_written())


def _doubt(kind: Kind, rest: str, weak: bool, v: Vocabulary) -> str:
    return doubt_about_no(rest, weak, v) if kind is Kind.NO else doubt_about_yes(rest, v)


def _number(kind: Kind, reason: str) -> Reading:
    return Reading(kind, reason, "number")


def _reason(rest: _Said, kind: Kind, v: Vocabulary) -> str:
    """What follows the decision, without the particles that only colour it."""
    colour = v.particles + v.applause
    bare = rest.skip(len(rest.text) - len(rest.text.lstrip(colour)))
    if kind is Kind.YES:
        thing = patterns(v)["object"].match(bare.text)
        bare = bare.skip(thing.end()) if thing else bare
        return bare.skip(len(bare.text) - len(bare.text.lstrip(colour))).as_written()
    coloured = not bare.text or bare.text[0] in SEPARATORS
    return bare.as_written() if coloured else rest.as_written()


def _broken_word(word: str, rest: str) -> str:
    """Why what looked like an English word is none, or begins a phrase; else ""."""
    if not word.isascii() or not rest:
        return ""
    if rest[0].isascii() and (rest[0].isalnum() or rest[0] in "'_"):
        return "longer word"
    return ""
