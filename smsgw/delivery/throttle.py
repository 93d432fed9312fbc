"""How fast one link may send: a token bucket over all its binds, one token per PDU.

A carrier's "too fast" pauses the link briefly and halves the rate; the rate then grows back to the
agreed one (additive increase, multiplicative decrease). Plain arithmetic: ``now`` is passed in.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

UNLIMITED = sys.maxsize

BURST_SECONDS = 0.1
"""How much unused rate is saved up: little, since carriers count by the second."""

PAUSE_SECONDS = 1.0
"""How long nothing is sent after a "too fast"."""

RECOVERY_SECONDS = 60.0
"""How long a rate takes to grow from nothing to the agreed one."""

RATE_MIN = 0.5
"""PDUs a second below which a rate is not lowered."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What was agreed about a link's speed.

    Attributes:
        rate: PDUs a second over all binds; None or 0 when nothing was agreed.
    """

    rate: float | None = None


class TokenBucket:
    """Counts PDUs against a rate.

    Args:
        rate: PDUs a second; None or 0 for no limit until the carrier complains.
        now: The present time.

    Attributes:
        rate: The rate in force; None for no limit.
        paused_until: When sending may go on after a "too fast".
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self.rate = rate or None
        self.paused_until = now
        self._agreed = self.rate
        self._step = (self.rate or 0.0) / RECOVERY_SECONDS
        self._tokens = self._capacity()
        self._at = now
        self._second = now  # start of the second in which ``_recent`` are counted
        self._recent = self._before = 0

    def available(self, now: float) -> int:
        """Return how many PDUs may be sent now."""
        self._refill(now)
        if now < self.paused_until:
            return 0
        return UNLIMITED if self.rate is None else int(self._tokens + 1e-6)

    def take(self, count: int, now: float) -> None:
        """Count PDUs that are being sent."""
        self._refill(now)
        if now - self._second >= 1.0:
            fresh = now - self._second < 2.0
            self._before, self._recent, self._second = self._recent if fresh else 0, 0, now
        self._recent += count
        if self.rate is not None:  # without a limit nothing is owed later
            self._tokens -= count

    def wait(self, now: float) -> float:
        """Return the seconds until one PDU may be sent; 0 when that is now."""
        self._refill(now)
        pause = max(0.0, self.paused_until - now)
        if self.rate is None or self._tokens + pause * self.rate >= 1.0:
            return pause
        return (1.0 - self._tokens) / self.rate

    def throttled(self, now: float) -> None:
        """Take a carrier's "too fast": pause, and halve the rate once per pause."""
        self._refill(now)
        if now < self.paused_until:
            return
        seen = float(max(self._recent, self._before, 1))
        present = seen if self.rate is None else self.rate
        self.rate = max(min(RATE_MIN, present), present / 2)
        if self._agreed is None:
            self._step = present / RECOVERY_SECONDS
        self._tokens = min(self._tokens, 0.0)
        self.paused_until = now + PAUSE_SECONDS

    def _capacity(self) -> float:
        return 0.0 if self.rate is None else max(1.0, self.rate * BURST_SECONDS)

    def _refill(self, now: float) -> None:
        passed, self._at = now - self._at, now
        if passed < 0.0:  # the clock was set back: a pause must not grow by that
            self.paused_until += passed
            passed = 0.0
        if self.rate is None:
            return
        self._tokens = min(self._capacity(), self._tokens + passed * self.rate)
        self.rate += passed * self._step
        if self._agreed is not None:
            self.rate = min(self.rate, self._agreed)
