"""The submits a gateway took lately, so that one that comes again is answered and not taken twice.

A customer that misses an answer sends the same PDU again under the same sequence, N times in all,
T apart. Only what was accepted, or is still open, is remembered: what was refused cannot be
delivered twice, and a customer that was too fast may ask again under the same sequence.

Memory is bounded in time and number: two generations, of which the older is forgotten whole.

Spec: cmpp.md section 12 (N sends; answer a repeat with the first answer), smgp.md section 12, bad
input (same SequenceID), sgip.md section 11 (sequence number used before).
"""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from smsgw.protocols.layout import Pdu

SENDS = 3
"""N: how often a customer sends an unanswered request in all."""

KEPT = 8192
"""Most submits in one generation, a few megabytes; above 130 a second they are forgotten sooner."""

PERIOD_MIN = 0.001


class Taken(msgspec.Struct, gc=False):
    """One submit that was taken.

    Attributes:
        octets: The whole PDU.
        answer: What it was answered with; b"" while it is open.
    """

    octets: bytes
    answer: bytes = b""

    def reply(self, octets: bytes, refusal: Pdu) -> bytes:
        """What to send when its sequence comes again: its answer, b"" while that is to come.

        Args:
            octets: The PDU that came.
            refusal: What another PDU under this sequence is told.
        """
        return self.answer if octets == self.octets else refusal.encode()


class Repeats:
    """What one connection remembers of its submits.

    Args:
        timeout: T, the seconds after which the customer sends a submit again.
        reusable: Whether a sequence whose submit was answered may carry another one.
    """

    __slots__ = ("_before", "_period", "_recent", "_reusable", "_until")

    def __init__(self, timeout: float, reusable: bool = True) -> None:
        self._reusable = reusable
        self._period = max(timeout * (SENDS - 1), PERIOD_MIN)
        self._recent: dict[Hashable, Taken] = {}
        self._before: dict[Hashable, Taken] = {}
        self._until = 0.0

    def __len__(self) -> int:
        return len(self._recent) + len(self._before)

    def take(self, key: Hashable, octets: bytes, now: float) -> Taken | None:
        """Remember a submit, or return what is known under its sequence.

        Args:
            key: Its sequence.
            octets: The whole PDU.
            now: It came at.
        """
        if now >= self._until or len(self._recent) >= KEPT:
            self._forget_old(now)
        known = self._before.get(key)
        if known is None:
            taken = Taken(octets)
            known = self._recent.setdefault(key, taken)
            if known is taken:
                return None
        if self._reusable and known.answer and known.octets != octets:
            self._forget(key)
            self._recent[key] = Taken(octets)
            return None
        return known

    def answered(self, key: Hashable, accepted: bytes) -> None:
        """Keep the answer of an accepted submit for its repeats; b"" = forget a refused one."""
        taken = self._recent.get(key) or self._before.get(key)
        if taken is not None and accepted:
            taken.answer = accepted
        elif taken is not None:
            self._forget(key)

    def _forget(self, key: Hashable) -> None:
        if self._recent.pop(key, None) is None:
            self._before.pop(key, None)

    def _forget_old(self, now: float) -> None:
        late = max(now - self._until, 0.0)
        self._before = self._recent if late < self._period else {}
        self._recent = {}
        self._until = now - late % self._period + self._period
