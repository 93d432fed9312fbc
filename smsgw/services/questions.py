"""What a reply is read against: the allowed answers and how people say them. Pure.

Rules: a question never allows an answer that could be read as another one. What an application
gives (:func:`ask`) and what a configuration gives (:func:`with_words`) is refused with the field
where it would.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from smsgw.errors import ConfigError, ValidationError
from smsgw.services.choices import (
    DECLINE,
    DONE,
    NO,
    RATINGS,
    RECEIVED,
    TRANSFER,
    YES,
    Choice,
)
from smsgw.services.folding import fold_word
from smsgw.services.remarks import SEPARATORS
from smsgw.services.vocabulary import DEFAULT, RATED, TASKS, Vocabulary

LABEL_MAX = 40
"""Characters of the longest label or word of an answer."""
CHOICES_MAX = 99
"""Answers one question may allow: a number of more digits is no list number."""


class Style(enum.StrEnum):
    """How replies are read.

    ``words``: decisions in people's own words, with all care (approval, dispatch). ``options``: a
    number, key or label (votes, own answers). ``ratings``: a number on a scale, with a comment.
    """

    WORDS = "words"
    OPTIONS = "options"
    RATINGS = "ratings"


@dataclass(frozen=True)
class Question:
    """Allowed answers, and how they are said.

    Attributes:
        choices: In the order they are offered.
        vocabulary: The words, and what leaves doubt.
        style: How replies are read.
        with_code: Whether a choice that counts for must carry a code, 4 to 8 digits.
    """

    choices: tuple[Choice, ...]
    vocabulary: Vocabulary = DEFAULT
    style: Style = Style.WORDS
    with_code: bool = False

    def numbered(self) -> tuple[tuple[str, Choice], ...]:
        """Return the choices, each with the number it is chosen by."""
        return _numbered(self.choices)

    def choice(self, key: str) -> Choice:
        """Return the choice of that key; KeyError when it is not allowed."""
        found = self.find(key)
        if found is None:
            raise KeyError(key)
        return found

    def find(self, *keys: str) -> Choice | None:
        """Return the first choice that has one of the keys."""
        return next((choice for choice in self.choices if choice.key in keys), None)

    def by_number(self, digits: str) -> Choice | None:
        """Return the choice that a number names."""
        return next((choice for shown, choice in self.numbered() if shown == digits), None)


@lru_cache(maxsize=256)
def _numbered(choices: tuple[Choice, ...]) -> tuple[tuple[str, Choice], ...]:
    own = bool(choices) and all(one.key.isascii() and one.key.isdigit() for one in choices)
    return tuple(
        (choice.key if own else str(place), choice) for place, choice in enumerate(choices, 1)
    )


APPROVAL = Question((YES, NO))
DISPATCH = Question((RECEIVED, DONE, TRANSFER, DECLINE), TASKS)
SURVEY = Question(RATINGS, RATED, Style.RATINGS)

FOR_KEYS = (YES.key, DONE.key)
"""The choices that the vocabulary's ``positives`` mean, in the style of words."""
AGAINST_KEYS = (NO.key, DECLINE.key)
"""The choices that its ``negatives`` and ``weak_negatives`` mean."""
MAIN_KEYS = (*FOR_KEYS, *AGAINST_KEYS, RECEIVED.key, TRANSFER.key)
"""All choices that a vocabulary has words for; any other is meant by its label and words only."""


def ask(choices: Sequence[Choice], like: Question | None = None, path: str = "choices") -> Question:
    """Return the question that allows ``choices``.

    Args:
        choices: In the order they are offered.
        like: The preset whose step it is: answers of its keys keep its words. None, or no key
            in common: they are options, each meant by its number, key, label or words.
        path: Where they stand in what was asked for.

    Raises:
        ValidationError: None or too many, one without key or label, too long, one that means
            what another one means, or asks to get no more messages.
    """
    return _asked(tuple(choices), like, path)


@lru_cache(maxsize=256)
def _asked(choices: tuple[Choice, ...], like: Question | None, path: str) -> Question:
    if not 0 < len(choices) <= CHOICES_MAX:
        raise ValidationError(path, f"{len(choices)} answers, give 1 to {CHOICES_MAX}")
    known = {one.key: one for one in like.choices} if like else {}
    kept = [one.key for one in choices if one.key in known]
    shared = like if like and kept else None
    vocabulary = like.vocabulary if like else DEFAULT
    taken: dict[str, int] = {}
    for index, choice in enumerate(choices):
        where = f"{path}[{index}]"
        if choice.key in known and choice.effect is not known[choice.key].effect:
            effect = known[choice.key].effect
            raise ValidationError(f"{where}.effect", f"{choice.key} is {effect} here")
        for name, word in _said_for(choice):
            problem = _unusable(word, vocabulary) or _taken(word, index, taken)
            if problem:
                raise ValidationError(f"{where}.{name}", problem)
            taken[fold_word(word)] = index
        _check_sense(choice, shared, where)
    if shared is None:
        return Question(choices, vocabulary, Style.OPTIONS)
    return _with_labels(replace(shared, choices=choices))


def _with_labels(question: Question) -> Question:
    """Return it with what its own labels say among its words."""
    if question.style is not Style.WORDS:
        return question
    known = {word for words in _by_rank(question.vocabulary) for word in words}
    known |= {*question.vocabulary.acknowledgements, *question.vocabulary.greetings}
    own = {
        one.key: [word for word in map(fold_word, (one.label, *one.words)) if word not in known]
        for one in question.choices
        if one.key in MAIN_KEYS
    }
    return _extended(question, own)


def _said_for(choice: Choice) -> Iterator[tuple[str, str]]:
    yield "key", choice.key
    yield "label", choice.label
    for index, word in enumerate(choice.words):
        yield f"words[{index}]", word


def _unusable(word: str, v: Vocabulary) -> str:
    folded = fold_word(word)
    if not folded:
        return "has no letter or digit"
    if len(word) > LABEL_MAX:
        return f"{len(word)} characters, limit {LABEL_MAX}"
    if folded in v.opt_outs:
        return "asks to get no more messages, choose another word"
    return ""


def _taken(word: str, index: int, taken: Mapping[str, int]) -> str:
    other = taken.get(fold_word(word), index)
    return "" if other == index else f"means the answer {other + 1} already"


def _check_sense(choice: Choice, shared: Question | None, where: str) -> None:
    """Refuse an answer that the preset's words say to be another one."""
    if shared is None or shared.style is not Style.WORDS:
        return
    for name, text in _said_for(choice):
        if name != "key":
            problem = _misread_among_words(fold_word(text), choice.key, shared.vocabulary, {})
            if problem:
                raise ValidationError(f"{where}.{name}", problem)


def with_words(question: Question, words: Mapping[str, Sequence[str]], path: str) -> Question:
    """Return ``question`` with more words for its choices, as a configuration gives them.

    A word is read as those of the preset are: it must stand alone or before a separator, and what
    leaves doubt about them leaves doubt about it.

    Args:
        question: The preset's.
        words: By the key of the choice: ``{"yes": ["准了"], "no": ["打回"]}``.
        path: Where they stand in the file: ``requests.words.approval``.

    Raises:
        ConfigError: No such choice, an empty word or a too long one, one that means another
            choice already, never decides, is a number, or begins the other way.
    """
    said: dict[str, str] = {}
    added: dict[str, list[str]] = {}
    for key, texts in words.items():
        if question.find(key) is None:
            known = ", ".join(choice.key for choice in question.choices)
            raise ConfigError(f"{path}.{key}", f"no such answer, one of {known}")
        for index, text in enumerate(texts):
            where, word = f"{path}.{key}[{index}]", fold_word(text)
            problem = _unusable(text, question.vocabulary) or _misread(word, key, question, said)
            if problem:
                raise ConfigError(where, problem)
            said[word] = key
            added.setdefault(key, []).append(word)
    return _extended(question, added)


def _misread(word: str, key: str, question: Question, said: Mapping[str, str]) -> str:
    if word.isdigit():
        return "is a number, numbers are the places of the answers"
    if any(mark in word for mark in SEPARATORS if mark != " "):
        return "has a mark that separates words"
    if said.get(word, key) != key:
        return f"means {said[word]} too"
    if question.style is not Style.WORDS:
        others = (one for one in question.choices if one.key != key)
        same = (one.key for one in others if word in map(fold_word, (one.label, *one.words)))
        other = next(same, None)
        return f"means {other} already" if other else ""
    return _misread_among_words(word, key, question.vocabulary, said)


def _misread_among_words(word: str, key: str, v: Vocabulary, said: Mapping[str, str]) -> str:
    if key in FOR_KEYS + AGAINST_KEYS and word in v.acknowledgements + v.greetings + v.thanks:
        return "never decides, choose a word that says more"
    rank = _rank(key)
    known = [(one, place) for place, words in enumerate(_by_rank(v)) for one in words]
    known += [(one, _rank(other)) for one, other in said.items()]
    for other, place in known:
        if place != rank and other == word:
            return "means another answer already"
        if place < rank and word.startswith(other):
            return f"begins with {other}, which says another answer"
        if place > rank and other.startswith(word):
            return f"begins {other}, which says another answer"
    return ""


def _by_rank(v: Vocabulary) -> tuple[tuple[str, ...], ...]:
    """The words in the order they are looked for."""
    return (v.negatives + v.weak_negatives, v.positives, v.transfers, v.received)


def _rank(key: str) -> int:
    ranked = (AGAINST_KEYS, FOR_KEYS, (TRANSFER.key,), (RECEIVED.key,))
    return next((place for place, keys in enumerate(ranked) if key in keys), len(ranked))


def _extended(question: Question, added: Mapping[str, Sequence[str]]) -> Question:
    v, choices = question.vocabulary, []
    for choice in question.choices:
        words = tuple(added.get(choice.key, ()))
        if question.style is Style.WORDS and choice.key in MAIN_KEYS:
            v = _with_sense(v, choice.key, words)
        elif words:
            choice = Choice(choice.key, choice.label, choice.effect, (*choice.words, *words))
        choices.append(choice)
    return replace(question, choices=tuple(choices), vocabulary=v)


def _with_sense(v: Vocabulary, key: str, words: tuple[str, ...]) -> Vocabulary:
    if key in FOR_KEYS:
        strong = tuple(word for word in words if len(word) > 1)
        return replace(
            v, positives=v.positives + words, strong_positives=v.strong_positives + strong
        )
    if key in AGAINST_KEYS:
        return replace(v, weak_negatives=v.weak_negatives + words)
    if key == TRANSFER.key:
        return replace(v, transfers=v.transfers + words)
    return replace(v, received=v.received + words)
