"""Reads which of several options was chosen: by number, key, label or word. Pure.

Rules: a number and a label must agree, and what follows must be known to change nothing. A text
that could name two options names none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from smsgw.services.choices import Choice, Effect
from smsgw.services.folding import Said, fold_word
from smsgw.services.readings import Kind, Reading, clear, unclear
from smsgw.services.remarks import (
    SEPARATORS,
    TRAILING,
    doubt_about_no,
    doubt_about_received,
    doubt_about_yes,
    patterns,
)
from smsgw.services.targets import target_of
from smsgw.services.vocabulary import Vocabulary

_ORDINAL = re.compile(
    r"(?:第([0-9]{1,2}|[一二三四五六七八九十]{1,3})(?:号选手|号|项|组|队|个|位)"
    r"|([0-9]{1,2}|[一二三四五六七八九十]{1,3})(?:号选手|号)?)(?![0-9])"
)
_DIGITS = "零一二三四五六七八九"

Numbers = tuple[tuple[str, Choice], ...]


def number_in(written: str) -> str:
    """Return a number of one or two digits, Chinese or not, in digits; "" when it is none."""
    if written.isascii():
        return written.lstrip("0")
    tens, ten, ones = written.rpartition("十")
    if len(tens) > 1 or len(ones) > 1 or "十" in tens + ones:
        return ""
    number = (_DIGITS.index(tens) if tens else 1) * 10 if ten else 0
    return str(number + (_DIGITS.index(ones) if ones else 0))


def read_option(
    said: Said, choices: tuple[Choice, ...], v: Vocabulary, numbers: Numbers = ()
) -> Reading:
    """Return which of ``choices`` is named; ``numbers`` are those that name one, if any do."""
    found: dict[str, Reading] = {}
    problem = "no match"
    for start in _starts(said.text, choices, v):
        for choice, rest, rule in _heads(said.skip(start), choices, numbers):
            if choice is None:
                return unclear("contradictory")
            reading = _judged(choice, rest, rule, choices, v)
            if reading.kind is Kind.CLEAR:
                found.setdefault(choice.key, reading)
            else:
                problem = reading.rule
    if len(found) > 1:
        return unclear("contradictory")
    if found:
        return next(iter(found.values()))
    if said.text in v.acknowledgements + v.greetings + v.thanks:
        return unclear("acknowledgement")
    return unclear("other number" if said.text.isdigit() else problem)


def _starts(text: str, choices: tuple[Choice, ...], v: Vocabulary) -> list[int]:
    """Where an option may be named: at the start, and after 我选, 投 and the like."""
    known = _names(choices)
    starts = [0]
    for at in starts:
        for lead in v.leads:
            if text.startswith(lead, at) and lead not in known and len(starts) < 9:
                rest = text[at + len(lead) :]
                end = len(text) - len(rest.lstrip(SEPARATORS))
                if end not in starts and end < len(text):
                    starts.append(end)
    return starts


def _heads(
    said: Said, choices: tuple[Choice, ...], numbers: Numbers
) -> Iterator[tuple[Choice | None, Said, str]]:
    """What the text may begin with, and what follows it; None when number and label disagree."""
    ordinal = _ORDINAL.match(said.text)
    named = _by_number(ordinal[1] or ordinal[2], numbers) if ordinal else None
    if ordinal and named:
        rest = said.skip(ordinal.end())
        yield named, rest, "number"
        for choice, end in _labels(rest.parted().text, choices):
            yield choice if choice is named else None, rest.parted().skip(end), "number+word"
    for choice, end in _labels(said.text, choices):
        rest = said.skip(end)
        yield choice, rest, "word"
        ordinal = _ORDINAL.fullmatch(rest.parted().text.strip(TRAILING))
        if ordinal and numbers:
            same = _by_number(ordinal[1] or ordinal[2], numbers) is choice
            yield choice if same else None, said.skip(len(said.text)), "number+word"


def _judged(
    choice: Choice, rest: Said, rule: str, choices: tuple[Choice, ...], v: Vocabulary
) -> Reading:
    if choice.effect is Effect.TRANSFER:
        if target_of(rest.text) is None:
            return unclear("no target")
        return clear(choice.key, rest.as_written(), rule)
    if patterns(v)["laughter"].search(rest.text):
        return unclear("remark")
    if patterns(v)["cheer"].fullmatch(rest.text):
        return clear(choice.key, "", rule)
    if choice.effect is Effect.AGAINST:
        problem = doubt_about_no(rest.text, "", True, v)
        if not problem and any(
            name in rest.text
            for name, other in _names(choices).items()
            if other is not choice and len(name) > 1
        ):
            problem = "contradictory"
    elif choice.effect is Effect.PROGRESS:
        problem = doubt_about_received(rest.text, v)
    else:
        problem = doubt_about_yes(rest.text, "", v)
    return unclear(problem) if problem else clear(choice.key, rest.as_written(), rule)


def _by_number(written: str, numbers: Numbers) -> Choice | None:
    digits = number_in(written)
    return next((choice for shown, choice in numbers if shown == digits), None)


def _labels(text: str, choices: tuple[Choice, ...]) -> Iterator[tuple[Choice, int]]:
    for name, choice in _names(choices).items():
        if text.startswith(name) and not _goes_on(name, text[len(name) :]):
            yield choice, len(name)


def _goes_on(name: str, rest: str) -> bool:
    """Whether an English name or a number is only the beginning of a longer one."""
    ends = name[-1].isascii() and name[-1].isalnum()
    return ends and rest[:1].isascii() and rest[:1].isalnum()


@lru_cache(maxsize=256)
def _names(choices: tuple[Choice, ...]) -> dict[str, Choice]:
    """Every name of every choice, folded, the longest first; none that two of them share."""
    named: dict[str, Choice | None] = {}
    for choice in choices:
        for word in {choice.label, choice.key, *choice.words}:
            name = fold_word(word)
            for one in {name, name.replace(" ", "")} - {""}:
                named[one] = choice if named.get(one, choice) is choice else None
    known = sorted(named.items(), key=lambda pair: -len(pair[0]))
    return {name: choice for name, choice in known if choice is not None}
