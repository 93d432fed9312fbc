"""Mainland phone numbers: one spelling for storage and matching, and the operator behind one.

A prefix says who issued a number, not who serves it today (携号转网): it is a hint for routing and
never a reason to refuse a message. What a customer writes is checked; what a carrier sends is only
stripped of its country code and never refused.

Spec: text-and-long-messages.md section 6.
"""

from __future__ import annotations

import csv
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Generic, TypeVar

from smsgw.errors import ValidationError
from smsgw.model import Operator
from smsgw.text.numbers import NATIONAL, national_number

T = TypeVar("T")

_WRITTEN = re.compile(rf"(?:(?:\+|00)?86)?{NATIONAL}")

_SEPARATORS = re.compile("[\\s\\-\u2010-\u2015\u2212\u200b-\u200f\u202a-\u202e\u2060\ufeff]+")
"""Spaces, the hyphens of every keyboard, and the invisible marks that phone books paste along."""

_SHOWN_CHARACTERS = 24

_OPERATORS = {
    "china_mobile": Operator.MOBILE,
    "china_unicom": Operator.UNICOM,
    "china_telecom": Operator.TELECOM,
    "china_broadnet": Operator.BROADNET,
}
"""The carrier column; the satellite and emergency services share OTHER."""

REMEMBERED_MAX = 50_000
"""Beginnings of numbers whose longest prefix is remembered."""

_PREFIX_FILE = "china-mobile-prefixes.csv"


class PrefixMap(Generic[T]):
    """A mapping from prefixes to values that finds the longest prefix of a number.

    Args:
        entries: Digits to value; the empty prefix fits every number.
    """

    def __init__(self, entries: Mapping[str, T]) -> None:
        self._entries = dict(entries)
        self._lengths = sorted({len(prefix) for prefix in entries}, reverse=True)
        self._decides = max(self._lengths, default=0)
        self._found: dict[str, tuple[str, T] | None] = {}  # by as many digits as decide

    def __len__(self) -> int:
        return len(self._entries)

    def longest(self, number: str) -> tuple[str, T] | None:
        """Return the longest prefix of ``number`` and its value, or None when none fits."""
        digits = number[: self._decides]
        if digits not in self._found:
            if len(self._found) >= REMEMBERED_MAX:
                self._found.clear()
            self._found[digits] = self._find(digits)
        return self._found[digits]

    def _find(self, digits: str) -> tuple[str, T] | None:
        for length in self._lengths:
            prefix = digits[:length]
            if len(prefix) == length and prefix in self._entries:
                return prefix, self._entries[prefix]
        return None


class OperatorTable:
    """Which operator was assigned which number ranges.

    Args:
        lines: The shipped CSV: ``#`` notes, a header line, then prefix, carrier, kind, note.

    Attributes:
        source: The comment lines: where the data come from and what is doubtful.
        version: Date of the main source, ISO.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        notes: list[str] = []
        rows: list[str] = []
        for line in lines:
            (notes if line.startswith("#") else rows).append(line)
        self.source = "\n".join(note.lstrip("# ").rstrip() for note in notes)
        dated = re.search(r"\d{4}-\d{2}-\d{2}", self.source)
        self.version = dated.group() if dated else ""
        ordinary: dict[str, Operator] = {}
        iot: dict[str, Operator] = {}
        for row in csv.DictReader(rows):
            # A note "13 digits" reserves the range for 13-digit numbers: 1064 is no 11-digit one.
            ranges = iot if row["note"].startswith("13 digits") else ordinary
            ranges[row["prefix"]] = _OPERATORS.get(row["carrier"], Operator.OTHER)
        self._ordinary = PrefixMap(ordinary)
        self._iot = PrefixMap(ordinary | iot)

    def __len__(self) -> int:
        return len(self._iot)

    def find(self, number: str) -> tuple[str, Operator] | None:
        """Return the longest assigned prefix of a normalised number and its operator, or None."""
        return (self._iot if len(number) == 13 else self._ordinary).longest(number)


@functools.cache
def operator_table() -> OperatorTable:
    """Return the shipped table, read once."""
    file = resources.files("smsgw.routing").joinpath("data", _PREFIX_FILE)
    return OperatorTable(file.read_text(encoding="utf-8").splitlines())


def normalise(number: str, field: str = "to") -> str:
    """Return a recipient's number as 11 digits, or 13 for IoT, without country code.

    Full-width digits, spaces and hyphens are accepted, and ``86``, ``+86`` or ``0086`` in front.

    Args:
        number: What the customer wrote.
        field: The path of the field in the request, for the error.

    Raises:
        ValidationError: It is not the number of a mainland phone.
    """
    match = _WRITTEN.fullmatch(number)  # most are written plainly
    if match is None:
        digits = _SEPARATORS.sub("", unicodedata.normalize("NFKC", number))
        match = _WRITTEN.fullmatch(digits)
    if match is None:
        shown = number if len(number) <= _SHOWN_CHARACTERS else number[:_SHOWN_CHARACTERS] + "…"
        raise ValidationError(
            field,
            f"{shown!r} is not a mainland mobile number; write 11 digits starting with 1 "
            "(13800001001), or 13 starting with 10 or 14 (IoT), with or without 86, +86 or 0086",
        )
    return match.group(1)


def strip_country(number: str) -> str:
    """Return a number from a carrier without 86, +86 or 0086; never raises.

    Short codes, landlines, access numbers and pseudo-codes pass through unchanged.
    """
    return national_number(number)


def operator_of(number: str) -> Operator:
    """Return the operator a normalised number was issued by; OTHER when no range is known."""
    found = operator_table().find(number)
    return found[1] if found else Operator.OTHER


def mask(number: str) -> str:
    """Return a number as logs and explanations show it: ``138****5678``."""
    if len(number) >= 11:
        return f"{number[:3]}****{number[-4:]}"
    if len(number) >= 8:
        return f"{number[:2]}****{number[-2:]}"
    return f"{number[:1]}****"
