"""Numbers that another operator serves than their prefix says (携号转网): what routing asks first.

What is known is kept by the store; here is what of it is in memory, and the rules: what proves an
operator, how long it is believed, and how an entry is written in files and over the API.

Spec: text-and-long-messages.md section 6 (a prefix says who issued a number, not who serves it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from smsgw.errors import ValidationError
from smsgw.model import Operator, PortedNumber
from smsgw.routing.numbers import normalise, operator_of

DAY_MS = 86_400_000

KEPT_MS = 180 * DAY_MS
"""How long a proof is believed; its owner may have changed operator again after that."""

RENEWED_AFTER_MS = DAY_MS
"""A proof that repeats one this fresh is not recorded again."""

AHEAD_MS = 300_000
"""How far another machine's clock may be ahead of ours."""

NUMBERS_MAX = 500_000
"""Numbers in memory (about 150 MB); above it the ones recorded longest ago go by their prefix."""

SOURCE_CHARACTERS = 80

COLUMNS = ("phone", "operator", "source", "learned_at", "expires_at")
"""An entry as text: of these, ``phone`` and ``operator`` must be there."""

OPERATORS = tuple(operator for operator in Operator if operator is not Operator.OTHER)

_PHONE = re.compile(r"1[3-9][0-9]{9}|1[04][0-9]{11}")
"""What can be ported: a phone. Service numbers of 11 digits start with 10 to 12."""


class PortedNumbers:
    """What is known, in memory. Changed on one thread; asked on any.

    Args:
        clock: Seconds since the Unix epoch.
        limit: The most numbers to hold.

    Attributes:
        dropped: How many numbers were left out to stay below the limit.
    """

    def __init__(self, clock: Callable[[], float], limit: int = NUMBERS_MAX) -> None:
        self.dropped = 0
        self._clock = clock
        self._limit = limit
        self._known: dict[str, PortedNumber] = {}  # in the order in which they were recorded

    def __len__(self) -> int:
        return len(self._known)

    def find(self, phone: str) -> PortedNumber | None:
        """Return what is known of a normalised number, or None when nothing is, or not any more."""
        known = self._known.get(phone)
        if known is None or known.expires_at <= self._clock() * 1000:
            return None
        return known

    def add(self, number: PortedNumber) -> None:
        """Take what the store has recorded; what was learned later than it stays."""
        known = self._known.get(number.phone)
        if known is not None:
            if known.learned_at > number.learned_at:
                return
            del self._known[number.phone]
        if number.expires_at <= self._clock() * 1000:
            return
        self._known[number.phone] = number
        if len(self._known) > self._limit:
            del self._known[next(iter(self._known))]
            self.dropped += 1

    def sweep(self) -> None:
        """Let go of what is not believed any more."""
        now = self._clock() * 1000
        for number in [one for one in self._known.values() if one.expires_at <= now]:
            del self._known[number.phone]

    def proof(self, phone: str, operator: Operator, source: str) -> PortedNumber | None:
        """Return what a message from a phone on an operator's link proves that is not known yet.

        A number that is back with the operator of its prefix is an entry as well, so that whoever
        believes otherwise hears of it.

        Args:
            phone: The sender, normalised.
            operator: Whose link it came on; other than the four networks it proves nothing.
            source: The link, for people.
        """
        if operator is Operator.OTHER or not _PHONE.fullmatch(phone):
            return None
        now = int(self._clock() * 1000)
        until = now + KEPT_MS
        by_prefix = operator is operator_of(phone)
        known = self.find(phone)
        if known is None:
            if by_prefix:
                return None
        elif known.operator is operator:
            if by_prefix or now - known.learned_at < RENEWED_AFTER_MS:
                return None
            until = max(until, known.expires_at)
        return PortedNumber(phone, operator, source, now, until)


def entry_of(fields: Mapping[str, str], now: int) -> PortedNumber:
    """Return an entry written as text; what is left out or empty has its default.

    Args:
        fields: By :data:`COLUMNS`.
        now: Milliseconds since the Unix epoch.

    Raises:
        ValidationError: A field is wrong; names it.
    """
    phone = normalise(fields.get("phone", ""), "phone")
    operator = fields.get("operator", "").strip()
    if operator not in OPERATORS:
        raise ValidationError("operator", f"{operator[:20]!r} is none of {', '.join(OPERATORS)}")
    source = fields.get("source", "").strip() or "import"
    if len(source) > SOURCE_CHARACTERS or not source.isprintable():
        problem = f"{len(source)} characters; write one line of at most {SOURCE_CHARACTERS}"
        raise ValidationError("source", problem)
    learned_at = _milliseconds("learned_at", fields.get("learned_at", ""), now)
    if learned_at > now + AHEAD_MS:
        raise ValidationError("learned_at", "lies in the future; write when it was learned")
    expires_at = _milliseconds("expires_at", fields.get("expires_at", ""), learned_at + KEPT_MS)
    if expires_at <= learned_at:
        raise ValidationError("expires_at", "is not later than learned_at")
    return PortedNumber(phone, Operator(operator), source, learned_at, expires_at)


def fields_of(number: PortedNumber) -> dict[str, str]:
    """Return an entry as text, by :data:`COLUMNS`."""
    return {
        "phone": number.phone,
        "operator": str(number.operator),
        "source": number.source,
        "learned_at": _moment(number.learned_at).isoformat(timespec="milliseconds"),
        "expires_at": _moment(number.expires_at).isoformat(timespec="milliseconds"),
    }


def told(number: PortedNumber) -> str:
    """Return why an entry is believed, for people."""
    learned, until = _moment(number.learned_at), _moment(number.expires_at)
    return f"ported ({number.source}, {learned:%Y-%m-%d}, believed until {until:%Y-%m-%d})"


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _milliseconds(field: str, written: str, default: int) -> int:
    written = written.strip()
    if not written:
        return default
    try:
        moment = datetime.fromisoformat(written)
        if moment.tzinfo is None:
            if len(written) > len("2026-11-22"):
                raise ValueError
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        problem = f"{written[:40]!r} is no date and no time with its zone"
        example = "write 2026-11-22 or 2026-11-22T09:52:18+08:00"
        raise ValidationError(field, f"{problem}; {example}") from None
