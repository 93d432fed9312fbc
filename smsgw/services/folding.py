"""Folds a text into the form words are compared in, and keeps where each character stood. Pure.

Folded is NFKC, lower case, simplified, without invisible characters; signatures (``【…】``) and
quoted prompts are left out where it is certain that they are not the answer.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from smsgw.services.remarks import LEADING, SEPARATORS, TRAILING, patterns
from smsgw.services.vocabulary import TO_SIMPLIFIED, Vocabulary

TEXT_MAX = 1000
"""Characters of the longest text that is read."""

_INVISIBLE = frozenset(map(chr, [*range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)]))
"""Variation selectors and skin tones; zero width characters are known by their category."""

_SIGNATURE = re.compile(r"^\s*【([^【】]*)】|【([^【】]*)】\s*$")
_QUOTE_MARKS = ("“”", "「」", "『』", '""')
_QUOTED = re.compile('[>＞“「『"]')
_BEFORE_QUOTE = ("", "回复", "回覆", "答复", "答覆", "Re", "RE", "re")
_PROMPT = r"(?:\s*【[^【】]*】)?\s*(?:提醒 ?)?(?:(?:{})[:：]|关于《)"


@dataclass(frozen=True)
class Said:
    """Folded text, and where each of its characters stands in what was written."""

    text: str
    source: str
    origin: tuple[int, ...]

    def skip(self, count: int) -> Said:
        """Without the first ``count`` characters."""
        return Said(self.text[count:], self.source, self.origin[count:])

    def cut(self, start: int, end: int) -> Said:
        """Only the characters from ``start`` to before ``end``."""
        return Said(self.text[start:end], self.source, self.origin[start:end])

    def blanked(self, start: int, end: int) -> Said:
        """With one space for the characters from ``start`` to before ``end``."""
        text = f"{self.text[:start]} {self.text[end:]}"
        return Said(text, self.source, self.origin[: start + 1] + self.origin[end:])

    def trimmed(self) -> Said:
        """Without separators, quotes and brackets around."""
        kept = self.text.rstrip(TRAILING)
        start = len(kept) - len(kept.lstrip(LEADING))
        return self.cut(start, len(kept))

    def parted(self) -> Said:
        """Without the separators in front."""
        return self.skip(len(self.text) - len(self.text.lstrip(SEPARATORS)))

    def as_written(self) -> str:
        """What was written, without separators around; "" when nothing was."""
        rest = self.parted().trimmed()
        if not rest.text:
            return ""
        return self.source[rest.origin[0] : rest.origin[-1] + 1].strip()


def is_too_long(text: str) -> bool:
    """Whether a text is longer than what is read, as written or folded."""
    return len(text) > TEXT_MAX or len(unicodedata.normalize("NFKC", text)) > TEXT_MAX


def fold(text: str, v: Vocabulary) -> Said:
    """Return what was said, without signature and quoted prompt."""
    source = _without_quotes(text, v)
    for _ in range(2):  # one signature at the head, one at the tail
        signature = _SIGNATURE.search(source)
        if not signature or not _is_signature(signature[1] or signature[2] or "", v):
            break
        shorter = source[: signature.start()] + source[signature.end() :]
        if shorter.strip():
            source = shorter
    return _letters(source).trimmed()


def fold_word(word: str) -> str:
    """Return one word or label in the form it is compared in; "" when nothing of it is left."""
    return " ".join(_letters(word).trimmed().text.split())


def _letters(source: str) -> Said:
    letters: list[str] = []
    origin: list[int] = []
    for index, char in enumerate(source):
        for letter in _compared(char):
            letters.append(letter)
            origin.append(index)
    return Said("".join(letters), source, tuple(origin))


@lru_cache(maxsize=4096)
def _compared(char: str) -> str:
    """Return the letters that one character is compared as; "" when it is not to be seen."""
    letters = ""
    for letter in _folded(char):
        category = unicodedata.category(letter)
        if category == "Cf" or letter in _INVISIBLE:
            continue
        blank = category[0] == "Z" or category == "Cc"
        letters += " " if blank else "'" if letter == "’" else letter
    return letters


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


def _without_quotes(text: str, v: Vocabulary) -> str:
    """Leave out our own question where a reply carries it: lines with ``>``, or one “…”.

    What an applicant wrote may stand in it, marks of quotation too: with more than one pair of
    marks nobody knows where the quoted text ends, and nothing is left out.
    """
    if not _QUOTED.search(text):
        return text
    asked = re.compile(_PROMPT.format("|".join(map(re.escape, v.prompts))))
    lines = text.strip().splitlines()
    quoted = [line.lstrip().startswith((">", "＞")) for line in lines]
    if True in quoted and quoted in (sorted(quoted), sorted(quoted, reverse=True)):
        first = lines[quoted.index(True)].lstrip(" >＞")
        rest = [line for line, is_quoted in zip(lines, quoted, strict=True) if not is_quoted]
        if rest and asked.match(first):
            return "\n".join(rest)
    for marks in _QUOTE_MARKS:
        count = text.count(marks[0]) if marks[0] == marks[1] else sum(map(text.count, marks))
        opened, closed = text.find(marks[0]), text.rfind(marks[1])
        if count != 2 or opened >= closed or not asked.match(text[opened + 1 :]):
            continue
        before, after = text[:opened].strip(), text[closed + 1 :].strip()
        if not after or before.rstrip(":：") in _BEFORE_QUOTE:
            return f"{before} {after}".strip() or text
    return text
