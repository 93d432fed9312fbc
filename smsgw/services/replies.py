"""Reads a reply: what a person meant, or that it cannot be known. Pure.

Rules: nothing is ever guessed. Refusals are looked for first (``不同意`` contains ``同意``), at the
start only; the rest is the reason. An approval must stand alone or be followed by a remark that
takes nothing back. Whatever is not certain is ``UNCLEAR``, and the caller asks back. The words are
a :class:`~smsgw.services.vocabulary.Vocabulary`; this module knows no request, person or message.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

from smsgw.services.vocabulary import DEFAULT, TO_SIMPLIFIED, Vocabulary

SEPARATORS = " ,.:;、。!~-—+()（）[]"
"""What may stand between a decision and its reason, after folding."""

_LEADING = " ,.:;、。!~()\"'“”‘’「」『』《》〈〉<>[]【】·"
_TRAILING = _LEADING + "-—+…"
_INVISIBLE = frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)]))
"""Variation selectors and skin tones; zero width characters are known by their category."""

_CLAUSES = re.compile(r"[,.:;、。!~()\[\]]+")
_SIGNATURE = re.compile(r"^\s*【[^【】]*】|【[^【】]*】\s*$")
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
    said = _fold(text)
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
    said = _fold(text)
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
        kept = self.text.rstrip(_TRAILING)
        start = len(kept) - len(kept.lstrip(_LEADING))
        return _Said(kept[start:], self.source, self.origin[start : len(kept)])

    def parted(self) -> _Said:
        """Without the separators in front."""
        return self.skip(len(self.text) - len(self.text.lstrip(SEPARATORS)))

    def as_written(self) -> str:
        rest = self.parted().trimmed()
        if not rest.text:
            return ""
        return self.source[rest.origin[0] : rest.origin[-1] + 1].strip()


def _fold(text: str) -> _Said:
    source = text
    for _ in range(2):  # one signature at the head, one at the tail
        shorter = _SIGNATURE.sub("", source, count=1)
        if shorter.strip():
            source = shorter
    letters: list[str] = []
    origin: list[int] = []
    for index, char in enumerate(source):
        for letter in unicodedata.normalize("NFKC", char).translate(TO_SIMPLIFIED).casefold():
            category = unicodedata.category(letter)
            if category == "Cf" or letter in _INVISIBLE:
                continue
            blank = category[0] == "Z" or category == "Cc"
            letters.append(" " if blank else "'" if letter == "’" else letter)
            origin.append(index)
    return _Said("".join(letters), source, tuple(origin)).trimmed()


@lru_cache(maxsize=16)
def _patterns(v: Vocabulary) -> dict[str, re.Pattern[str]]:
    parted = f"[{re.escape(SEPARATORS)}]"
    words = {
        "negative": v.negatives + v.weak_negatives,
        "positive": v.positives,
        "object": v.objects,
        "question": v.questions,
        "decision": v.negatives + v.weak_negatives + v.positives,
        "refusal": v.negatives,
    }
    patterns = {name: re.compile(_any(choice)) for name, choice in words.items()}
    patterns["opening"] = re.compile(
        f"(?:{_any(v.acknowledgements)}{parted}*|{_any(v.greetings)}{parted}+"
        f"|{_any(v.intensifiers)}{parted}*){{1,4}}(?={_any(v.negatives + v.weak_negatives)}"
        f"|{_any(v.positives)})"
    )
    patterns["negated"] = re.compile(f"(?:{_any(v.negations)})(?:{_any(v.strong_positives)})")
    patterns["doubt"] = re.compile(
        f"{_any(v.doubts)}|(?<![a-z'])(?:{_any(v.english_doubts)})(?![a-z'])"
    )
    patterns["another"] = re.compile(
        rf"[0-9]\s*[{re.escape(SEPARATORS)}]*(?:{_any(words['decision'])})"
    )
    return patterns


def _any(words: tuple[str, ...]) -> str:
    """An alternation that prefers the longest word."""
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True)) + ")"


def _unclear(rule: str) -> Reading:
    return Reading(Kind.UNCLEAR, "", rule)


def _read_words(said: _Said, v: Vocabulary) -> Reading:
    patterns = _patterns(v)
    opening = patterns["opening"].match(said.text)
    if opening:
        said = said.skip(opening.end())
    for kind, name in ((Kind.NO, "negative"), (Kind.YES, "positive")):
        found = patterns[name].match(said.text)
        if not found:
            continue
        word, rest = found[0], said.skip(found.end())
        while rest.parted().text.startswith(word):  # 同意同意, 同意,同意
            rest = rest.parted().skip(len(word))
        problem = _broken_word(word, rest.text)
        if not problem:
            weak = word in v.weak_negatives
            judge = _doubt_about_no if kind is Kind.NO else _doubt_about_yes
            problem = judge(rest.text, weak, v)
        if problem:
            return _unclear(problem)
        return Reading(kind, _reason(rest, kind, v), "word")
    if said.text.rstrip(_TRAILING) in v.acknowledgements + v.greetings:
        return _unclear("acknowledgement")
    return _unclear("no match")


def _read_number(digits: str, rest: _Said, v: Vocabulary) -> Reading:
    if digits not in (v.yes_number, v.no_number):
        return _unclear("other number")
    kind = Kind.YES if digits == v.yes_number else Kind.NO
    remark = rest.parted()
    if not remark.text:
        return _unclear("number and text") if rest.text.strip(_TRAILING) else _number(kind, "")
    words = _read_words(remark, v)
    if words.rule not in ("no match", "acknowledgement"):
        if words.kind is not kind:
            return _unclear("contradictory")
        return replace(words, rule="number+word")
    first = remark.text[0]
    if len(remark.text) == len(rest.text) or first.isdigit() or first in v.measures:
        return _unclear("number and text")  # 2楼, 1.5, 2 天后
    judge = _doubt_about_no if kind is Kind.NO else _doubt_about_yes
    problem = judge(rest.text, False, v)
    return _unclear(problem) if problem else _number(kind, rest.as_written())


def _number(kind: Kind, reason: str) -> Reading:
    return Reading(kind, reason, "number")


def _reason(rest: _Said, kind: Kind, v: Vocabulary) -> str:
    """What follows the decision, without the particles that only colour it."""
    colour = v.particles + v.applause
    bare = rest.skip(len(rest.text) - len(rest.text.lstrip(colour)))
    if kind is Kind.YES:
        thing = _patterns(v)["object"].match(bare.text)
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


def _doubt_about_no(rest: str, weak: bool, v: Vocabulary) -> str:
    """Why a refusal followed by ``rest`` is not certain; "" when it is."""
    patterns = _patterns(v)
    bare = rest.lstrip(v.particles)
    parted = not bare or bare[0] in SEPARATORS
    if _asks(rest, v):
        return "question"
    if parted:
        rest = bare
    elif weak or (rest.startswith(v.longer_words) and not rest.startswith(v.exceptions)):
        return "longer word"
    reason = rest.lstrip(SEPARATORS)
    only_spaces = parted and not rest[: len(rest) - len(reason)].strip()
    if weak and only_spaces and reason[:1].isascii() and reason[:1].isalpha():
        return "longer word"  # no problem
    first_clause = _CLAUSES.split(reason, maxsplit=1)[0]
    if not parted and patterns["question"].search(first_clause):
        return "question"
    if (not parted and patterns["refusal"].search(first_clause)) or (
        only_spaces and patterns["negative"].match(reason)
    ):
        return "contradictory"  # 不同意驳回
    if patterns["another"].search(rest):
        return "several answers"
    if any(p in patterns["negated"].sub("", rest) for p in v.strong_positives):
        return "contradictory"
    if _another_number(rest, v.no_number):
        return "contradictory"
    if any(word in rest for word in v.reversals) or _takes_back(rest, v):
        return "taken back"
    if re.search(r"(?:但|不过|可是|but)(?:是?\W*$|.*(?:可以|行|好|准|ok|fine))", rest):
        return "conditional"
    return ""


def _doubt_about_yes(rest: str, _weak: bool, v: Vocabulary) -> str:
    """Why an approval followed by ``rest`` is not certain; "" when it is."""
    patterns = _patterns(v)
    if _asks(rest, v) or patterns["question"].search(rest):
        return "question"
    bare = rest.lstrip(v.particles + v.applause)
    thing = patterns["object"].match(bare)
    if thing and bare == rest:
        bare = bare[thing.end() :].lstrip(v.particles + v.applause)
    if not bare:
        return ""
    if bare[0] not in SEPARATORS:
        return "longer word"  # 同意书, 同意不了, 同意王总的意见
    remark = bare.lstrip(SEPARATORS)
    between = bare[: len(bare) - len(remark)]
    if not between.strip() and remark[:1].isascii() and remark[:1].isalpha():
        return "longer word"  # agree with him
    if patterns["another"].search(rest):
        return "several answers"
    if _another_number(remark, v.yes_number):
        return "contradictory"
    for phrase in v.harmless:
        remark = remark.replace(phrase, "")
    return "conditional" if patterns["doubt"].search(remark) else ""


def _asks(rest: str, v: Vocabulary) -> bool:
    """Whether the text ends as a question does, or carries a question mark."""
    return "?" in rest or rest.rstrip(_TRAILING).endswith(v.question_endings)


def _takes_back(rest: str, v: Vocabulary) -> bool:
    clauses = (clause for clause in _CLAUSES.split(rest.replace(" ", ",")))
    return any(clause.strip(SEPARATORS).lstrip("我刚才") in v.slips for clause in clauses)


def _another_number(rest: str, own: str) -> bool:
    """Whether all that follows is a number, and not the choice that says the same."""
    number = rest.strip(_TRAILING)
    return number.isdigit() and number != own
