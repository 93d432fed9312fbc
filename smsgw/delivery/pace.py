"""How fast one link's segments may leave now, and what holds them up. No I/O.

A carrier counts PDUs times destinations over all connections of an account. Each of our submits
names one destination (a segment is one person's), so the unit of the rate is the segment.
"""

from __future__ import annotations

from collections.abc import Mapping

from smsgw.delivery.lanes import Lanes
from smsgw.delivery.throttle import Limits, TokenBucket
from smsgw.transport.causes import Cause, Limit, LimitedTime, full_window

DESTINATIONS = 1
"""Recipients that a submit of ours names, and so tokens that it takes."""

STORE_PAUSE_SECONDS = 1.0
"""How long nothing is sent after the store refused to mark segments; one alone waits so long, and
each time twice as long."""


class Pace:
    """One link's rate, its pauses, and the reason why it sends no faster.

    Args:
        limits: What was agreed about speed.
        now: The present time.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._bucket = TokenBucket(limits.rate, now)
        self._agreed = limits.rate or None
        self._store_pause = now
        self._limited = LimitedTime(now)
        self._limit = Limit(Cause.NOTHING)

    def agree(self, limits: Limits, now: float) -> None:
        """Go by another agreement from now on; a pause after a "too fast" lasts as long."""
        paused_until = self._bucket.paused_until
        self._bucket = TokenBucket(limits.rate, now)
        self._bucket.paused_until = paused_until
        self._agreed = limits.rate or None

    @property
    def rate(self) -> float | None:
        """Segments a second in force now; None without a limit."""
        return self._bucket.rate

    def available(self, now: float) -> int:
        """Return how many segments may be taken up now."""
        if now < self._store_pause:
            return 0
        return self._bucket.available(now) // DESTINATIONS

    def take(self, segments: int, now: float) -> None:
        """Count segments that are taken up."""
        self._bucket.take(segments * DESTINATIONS, now)

    def wait(self, now: float) -> float:
        """Return the seconds until one may be taken up; 0 when that is now."""
        return max(self._bucket.wait(now), self._store_pause - now, 0.0)

    def throttled(self, now: float) -> float:
        """Take a carrier's "too fast"; return when sending goes on."""
        self._bucket.throttled(now)
        return self.resumes(now)

    def resumes(self, now: float) -> float:
        """Return when the pause after a "too fast" ends; now when there is none."""
        self._bucket.available(now)  # a clock that was set back moves the pause with it
        return max(now, self._bucket.paused_until)

    def paused(self, now: float) -> bool:
        """Tell whether the pause after a "too fast" lasts."""
        return self.resumes(now) > now

    def store_failed(self, now: float) -> None:
        """The store refused to mark anything: wait a little."""
        self._store_pause = now + STORE_PAUSE_SECONDS

    # ---- why no faster -------------------------------------------------------------------

    def note(self, limit: Limit, now: float) -> None:
        """Take what holds the link up from now on."""
        self._limit = limit
        self._limited.become(limit.cause, now)

    def state(self) -> dict[str, str]:
        """What holds the link up, JSON-ready."""
        return self._limit.state()

    def limited_seconds(self, now: float) -> Mapping[str, float]:
        """Return the seconds spent held up so far, by cause."""
        return self._limited.seconds(now)

    def why(
        self,
        lanes: Lanes,
        *,
        ready: int,
        in_store: bool,
        free: bool,
        answer_seconds: float,
        now: float,
    ) -> Limit:
        """Return the one thing that keeps a bound link from sending more.

        Args:
            lanes: What waits.
            ready: Segments that wait for nothing but the link.
            in_store: Whether the store is marking segments, taking them back, or being read.
            free: Whether there are free window slots.
            answer_seconds: How long the carrier takes to answer.
            now: The present time.
        """
        if self.paused(now) and (ready or len(lanes) or in_store):
            return Limit(Cause.THROTTLED, self._rate_detail())
        if not ready and not lanes.any_ready():
            return Limit(Cause.STORE if in_store else Cause.NOTHING)
        if now < self._store_pause:
            return Limit(Cause.STORE, "it could not record what is about to be sent")
        if not free:
            return full_window(answer_seconds)
        if not self.available(now):
            slowed = self._agreed is None or (self.rate or 0.0) < self._agreed
            return Limit(Cause.THROTTLED if slowed else Cause.RATE, self._rate_detail())
        return Limit(Cause.STORE)

    def _rate_detail(self) -> str:
        agreed = "" if self._agreed is None else f" of {self._agreed:g}"
        return f"{self.rate or 0.0:.3g}{agreed} a second"
