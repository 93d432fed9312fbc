"""How fast a token may be used. ``now`` is passed in."""

from __future__ import annotations

import math

from smsgw.errors import RateLimited


class Bucket:
    """A token bucket: ``rate`` requests a second, up to a second's worth at once.

    Args:
        rate: Requests a second, 1 or more.
        now: The present time in seconds.
    """

    __slots__ = ("_at", "_left", "rate")

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._left = float(rate)
        self._at = now

    def take(self, now: float) -> None:
        """Count a request.

        Raises:
            RateLimited: There were too many; this one is not counted.
        """
        passed, self._at = max(0.0, now - self._at), now
        self._left = min(float(self.rate), self._left + passed * self.rate)
        if self._left < 1.0:
            wait = math.ceil((1.0 - self._left) / self.rate)
            raise RateLimited(f"this token may make {self.rate} requests a second", wait)
        self._left -= 1.0
