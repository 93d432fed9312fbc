"""Reads a decision in people's own words: the style of approvals and tasks. Pure.

Rules: refusals are looked for first (``不同意`` contains ``同意``), at the start only; the rest is
the reason. An approval must stand alone or be followed by a remark that is known to take nothing
back (:mod:`smsgw.services.remarks`). What only acknowledges decides nothing; where "received" is an
answer it is that, and never more.
"""

from __future__ import annotations

from smsgw.services.choices import RECEIVED, TRANSFER, Choice, Effect
from smsgw.services.folding import Said
from smsgw.services.options import read_option
from smsgw.services.questions import AGAINST_KEYS, FOR_KEYS, MAIN_KEYS, Question
from smsgw.services.readings import Kind, Reading, clear, unclear
from smsgw.services.remarks import (
    RECEIVED_COLOUR,
    SEPARATORS,
    TRAILING,
    doubt_about_no,
    doubt_about_received,
    doubt_about_yes,
    patterns,
)
from smsgw.services.targets import target_of
from smsgw.services.vocabulary import Vocabulary

_UNMATCHED = ("no match", "acknowledgement")
_WEAK_TRANSFERS = ("转", "请转")
"""Words that hand on only before a separator or a number: not 转账, 转正."""


def read_words(said: Said, question: Question) -> Reading:
    """Return what words say, without a number in front."""
    own = _own_choice(said, question)
    if own:
        return own
    made = patterns(question.vocabulary)
    whole = said
    opening = made["opening"].match(said.text)
    if opening:
        said = said.skip(opening.end())
    for keys, name in ((AGAINST_KEYS, "negative"), (FOR_KEYS, "positive")):
        found = made[name].match(said.text)
        if found:
            return _decision(found[0], said.skip(found.end()), question.find(*keys), question)
    found = made["transfer"].match(said.text)
    if found:
        return _transfer(found[0], said.skip(found.end()), question)
    return _acknowledgement(whole, question)


def read_number(digits: str, rest: Said, question: Question) -> Reading:
    """Return what a number says, and what follows it."""
    choice = question.by_number(digits)
    if choice is None:
        return unclear("other number")
    remark = rest.parted()
    if not remark.text:
        if rest.text.strip(TRAILING):
            return unclear("number and text")
        return unclear("no target") if _hands_on(choice) else clear(choice.key, "", "number")
    words = read_words(remark, question)
    if words.rule not in _UNMATCHED:
        if words.choice != choice.key:
            return unclear("contradictory")
        return clear(choice.key, words.reason, "number+word")
    parted, first = len(remark.text) != len(rest.text), remark.text[0]
    if not parted or first in question.vocabulary.measures:
        return unclear("number and text")  # 2楼, 2 天后
    if _hands_on(choice):
        return _handed_on(remark, "number")
    if first.isdigit():
        return unclear("number and text")  # 1.5
    problem = doubt(choice, rest.text, digits, False, question.vocabulary)
    return unclear(problem) if problem else clear(choice.key, rest.as_written(), "number")


def doubt(choice: Choice, rest: str, number: str, weak: bool, v: Vocabulary) -> str:
    """Return why ``choice`` followed by ``rest`` is not certain; "" when it is.

    ``number`` says the same choice; ``weak`` is whether its word begins others.
    """
    if choice.effect is Effect.AGAINST:
        return doubt_about_no(rest, number, weak, v)
    if choice.effect is Effect.PROGRESS:
        return doubt_about_received(rest, v)
    return doubt_about_yes(rest, number, v)


def _own_choice(said: Said, question: Question) -> Reading | None:
    """What a step's own further answers say; None when it is for the vocabulary to say."""
    own = tuple(choice for choice in question.choices if choice.key not in MAIN_KEYS)
    if not own:
        return None
    reading = read_option(said, own, question.vocabulary)
    return reading if reading.kind is Kind.CLEAR else None


def _decision(word: str, rest: Said, choice: Choice | None, question: Question) -> Reading:
    while rest.parted().text.startswith(word):  # 同意同意, 同意,同意
        rest = rest.parted().skip(len(word))
    if choice is None:
        return unclear("not allowed")
    v = question.vocabulary
    number = next(shown for shown, one in question.numbered() if one is choice)
    problem = _broken_word(word, rest.text)
    problem = problem or doubt(choice, rest.text, number, word in v.weak_negatives, v)
    if problem:
        return unclear(problem)
    return clear(choice.key, _reason(rest, choice, v), "word")


def _transfer(word: str, rest: Said, question: Question) -> Reading:
    if question.find(TRANSFER.key) is None:
        return unclear("not allowed")
    problem = _broken_word(word, rest.text)
    if word in _WEAK_TRANSFERS and rest.text and rest.text[0] not in SEPARATORS + "0123456789":
        problem = "longer word"
    return unclear(problem) if problem else _handed_on(rest, "word")


def _handed_on(rest: Said, rule: str) -> Reading:
    if target_of(rest.text) is None:
        return unclear("no target")
    return clear(TRANSFER.key, rest.as_written(), rule)


def _hands_on(choice: Choice) -> bool:
    return choice.effect is Effect.TRANSFER


def _acknowledgement(said: Said, question: Question) -> Reading:
    """What an acknowledgement says: nothing, or that the task was received."""
    v = question.vocabulary
    received = question.find(RECEIVED.key)
    if received is None:
        known = said.text.rstrip(TRAILING) in v.acknowledgements + v.greetings + v.thanks
        return unclear("acknowledgement" if known else "no match")
    rest = said
    while found := patterns(v)["received"].match(rest.text):
        word, rest = found[0], rest.skip(found.end())
        problem = _broken_word(word, rest.text) or doubt_about_received(rest.text, v)
        if problem != "longer word" or not rest.text:
            break
    if rest is said:
        return unclear("no match")
    if problem:
        return unclear(problem)
    bare = rest.skip(len(rest.text) - len(rest.text.lstrip(RECEIVED_COLOUR + v.applause)))
    return clear(received.key, bare.as_written(), "word")


def _reason(rest: Said, choice: Choice, v: Vocabulary) -> str:
    """What follows the decision, without the particles that only colour it."""
    colour = v.particles + v.applause
    bare = rest.skip(len(rest.text) - len(rest.text.lstrip(colour)))
    if choice.effect is not Effect.AGAINST:
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
