"""What the two processes of a simulation say to each other: one JSON object a line."""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct, omit_defaults=True):
    """What the simulation is to do.

    Attributes:
        number: The answer has the same.
        do: ``start`` a gateway, ``stop`` it, or ``write``: let a phone send a text.
        carrier: Whose phone.
        phone: Which phone.
        to: The number it writes to.
        text: What it writes.
    """

    number: int
    do: str
    carrier: str = ""
    phone: str = ""
    to: str = ""
    text: str = ""


class Told(msgspec.Struct, omit_defaults=True):
    """An answer, or with number 0 what a phone shows.

    Attributes:
        number: The order's.
        problem: Why it could not be done; "" when it was.
        url: Where a gateway that was started listens.
        token: Its bearer token.
        phone: Which phone shows something.
        sender: From which number.
        text: All of it.
        parts: In how many parts it came.
    """

    number: int = 0
    problem: str = ""
    url: str = ""
    token: str = ""
    phone: str = ""
    sender: str = ""
    text: str = ""
    parts: int = 1
