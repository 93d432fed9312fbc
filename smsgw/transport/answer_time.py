"""How long a peer takes to answer, without a clock reading or a record per message.

The sum of all waiting times is the number of unanswered requests summed over time (Little's law),
so it is enough to be told both counts once per batch.
"""

from __future__ import annotations

LOOK_SECONDS = 0.25
"""How long answers are counted before their mean time is taken over."""

SMOOTHING = 0.3
"""Weight of the newest mean."""

STALE_SECONDS = 2.0
"""A mean that took longer than this to gather replaces the old figure: that one is history."""

EQUAL_SECONDS = 0.001
"""Answer times below this count as equal when work is shared out."""


class AnswerTime:
    """How long a peer takes to answer, smoothed over about a second of traffic.

    Args:
        now: The present time.

    Attributes:
        rate: Answers a second when it was last measured.
    """

    __slots__ = ("_answers", "_area", "_at", "_since", "_smoothed", "rate", "unanswered")

    def __init__(self, now: float) -> None:
        self.unanswered = 0
        self.rate = 0.0
        self._smoothed = -1.0  # not known yet
        self._area = 0.0  # seconds waited by all requests since _since
        self._answers = 0
        self._at = self._since = now

    def note(self, unanswered: int, answers: int, now: float) -> None:
        """Take the present counts, once per batch.

        Args:
            unanswered: Requests in flight from now on.
            answers: How many came since the last call.
            now: The present time.
        """
        passed = now - self._at
        if passed > 0.0:
            self._area += self.unanswered * passed
        else:
            self._since += passed  # the clock was set back
        self._at = now
        self.unanswered = unanswered
        if answers:
            self._answers += answers
            if now - self._since >= LOOK_SECONDS:
                self._take_over(now)

    def seconds(self, now: float) -> float:
        """Return the time an answer takes; 0 while none was seen and nothing waits.

        A peer that stops answering shows at once: it is never less than what is in flight has
        waited so far.
        """
        quiet = max(0.0, now - self._at)
        waited = self._area + self.unanswered * quiet
        known = self._smoothed
        if known < 0.0:
            known = waited / self._answers if self._answers else 0.0
        if self.unanswered:
            known = max(known, quiet, waited / max(self.unanswered, self._answers))
        return known

    def expected(self, now: float) -> float:
        """Return what to count on: a bind at rest is forgiven by and by, and so tried again."""
        known = self.seconds(now)
        if not self.unanswered:
            rest = max(0.0, now - self._at)
            known /= 1.0 + rest * rest
        return max(known, EQUAL_SECONDS)

    def _take_over(self, now: float) -> None:
        span = now - self._since
        mean = self._area / self._answers
        if self._smoothed < 0.0 or span > STALE_SECONDS:
            self._smoothed = mean
        else:
            self._smoothed += SMOOTHING * (mean - self._smoothed)
        self.rate = self._answers / span
        self._area, self._answers, self._since = 0.0, 0, now
