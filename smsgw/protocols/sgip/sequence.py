"""SGIP sequence numbers: node, time word, counter; the only message id this protocol has.

A Report names a submit by the submit's own sequence, maybe days later and on another connection, so
no sequence may ever be used twice (sgip.md section 7). Rules that follow from it:

- The counter steps by 1 and is never set back, so one source repeats nothing for 2**32 requests,
  whatever the clock does.
- All sessions of one account object count on the same source: SgipAccount holds it.
- A source starts at a random counter, so two of them for one node (two processes, two account
  objects) do not meet but by chance: about one in four thousand million for each pair of requests
  in the same second. Give each process its own node number where the carrier allows it.
- A session never writes the second in which it began, but the next one, so a process that restarts
  within a second does not write the second in which the process before it stopped. Left to chance
  as above are two starts within one second, and a clock that was set back over a restart.
"""

from __future__ import annotations

import itertools
import secrets
import struct
from datetime import datetime, timedelta

from smsgw.errors import EncodeError

Sequence = tuple[int, int, int]
"""Node, time word, counter: each an unsigned 32-bit integer."""

WORDS = struct.Struct(">III")
SEQUENCE_OCTETS = WORDS.size
COUNTER_MASK = 0xFFFFFFFF
ONE_SECOND = timedelta(seconds=1)


class SequenceSource:
    """Counts the requests of one account.

    Args:
        start: The first counter; None = random. Only tests have a reason to set it.

    Attributes:
        count: Return the next counter, which must still be cut to 32 bits; asked once a request.
    """

    __slots__ = ("count",)

    def __init__(self, start: int | None = None) -> None:
        self.count = itertools.count(secrets.randbits(32) if start is None else start).__next__

    def next(self, node: int, when: datetime) -> Sequence:
        """Return a sequence that was never returned before.

        Args:
            node: Our node number.
            when: China Standard Time.
        """
        return node, time_word(when), self.count() & COUNTER_MASK


def next_second(when: datetime) -> datetime:
    """Return the start of the second after ``when``."""
    return when.replace(microsecond=0) + ONE_SECOND


def time_word(when: datetime) -> int:
    """Return mmddhhmmss as a decimal number (section 3)."""
    return (
        when.month * 100_000_000
        + when.day * 1_000_000
        + when.hour * 10_000
        + when.minute * 100
        + when.second
    )


def sequence_text(sequence: Sequence) -> str:
    """Return the 24 hexadecimal digits that a sequence has as a carrier_message_id."""
    return WORDS.pack(*sequence).hex()


def parse_sequence(text: str) -> Sequence:
    """Return the sequence behind a carrier_message_id.

    Raises:
        EncodeError: It is not 24 hexadecimal digits.
    """
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != SEQUENCE_OCTETS:
        raise EncodeError("carrier_message_id", "exactly 24 hexadecimal digits", repr(text))
    node, time, counter = WORDS.unpack(raw)
    return node, time, counter
