"""What a reply is read as. Pure data."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What a reply means."""

    CLEAR = "clear"
    UNCLEAR = "unclear"
    OPT_OUT = "opt_out"


@dataclass(frozen=True)
class Reading:
    """A reply as read.

    Attributes:
        kind: The meaning; everything that is not certain is UNCLEAR.
        reason: What was said besides, as it was written; "" when nothing. Of a ``transfer``, to
            whom (:func:`smsgw.services.targets.target_of`).
        rule: Which rule read it: ``word``, ``number`` (certain only where choices were offered),
            ``number+word``, ``all+word`` (one of everything that was listed), ``opt-out``, or
            why it is unclear.
        item: The short id (``#…``) or the list number that was typed, digits; None without one.
        choice: The key of what was chosen; "" unless it is clear.
        code: The digits that were typed to confirm a consent, where a code was asked for; or "".
    """

    kind: Kind
    reason: str
    rule: str
    item: str | None = None
    choice: str = ""
    code: str = ""


def unclear(rule: str) -> Reading:
    """Return a reading that decides nothing; ``rule`` says why."""
    return Reading(Kind.UNCLEAR, "", rule)


def clear(choice: str, reason: str, rule: str) -> Reading:
    """Return a reading that decides."""
    return Reading(Kind.CLEAR, reason, rule, choice=choice)
