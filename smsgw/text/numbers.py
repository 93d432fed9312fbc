"""How a carrier writes a mainland phone number, and how we do: without the country code.

Spec: text-and-long-messages.md section 6.
"""

from __future__ import annotations

import re

NATIONAL = r"(1[0-9]{10}|1[04][0-9]{11})"
"""11 digits starting with 1, or the 13 of an IoT number (140-144, 1064)."""

_WITH_COUNTRY = re.compile(rf"(?:\+|00)?86{NATIONAL}")


def national_number(number: str) -> str:
    """Return a number from a carrier without padding and without 86, +86 or 0086; never raises.

    Short codes, landlines, access numbers and pseudo-codes keep every digit.
    """
    written = number.strip()
    match = _WITH_COUNTRY.fullmatch(written)
    return match[1] if match else written
