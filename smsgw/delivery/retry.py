"""When a segment is tried again: refused for now, or of unknown outcome. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient we are with a refusal that is not final.

    Attributes:
        attempts: Submits in all; the refusal of the last one is final.
        first_seconds: The wait after the first refusal; it doubles with each further one.
        cap_seconds: The longest wait.
    """

    attempts: int = 8
    first_seconds: float = 5.0
    cap_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class DoubtPolicy:
    """What follows when a submit's answer never came.

    Attributes:
        wait_seconds: How long a late report may still tell the outcome; then it is decided. Ten
            minutes: the answer itself cannot come any more (its connection is gone, or its time is
            over), a phone that is on has reported by then, and an approval is still worth sending.
        resend: Send it again, marked as a possible duplicate; or else give it up.
        attempts: Submits of one segment in all, after which it is given up: a carrier that takes
            everything and answers nothing must not make a phone ring all day.
    """

    wait_seconds: float = 600.0
    resend: bool = True
    attempts: int = 5

    def until(self, at: int) -> int:
        """Return when the wait ends that begins ``at``; both in milliseconds."""
        return at + int(self.wait_seconds * 1000)


def retry_at(policy: RetryPolicy, refusals: int, now: float, chance: float) -> float | None:
    """Return when to try again, or None when it has been tried often enough.

    Args:
        policy: How patient we are.
        refusals: Refusals so far, the present one included; from 1.
        now: The present time in seconds.
        chance: From 0 to 1, drawn anew each time: spreads the wait over its upper half, so that
            what was refused together does not come back together.
    """
    if refusals >= policy.attempts:
        return None
    doublings = min(refusals - 1, 32)
    wait = min(policy.cap_seconds, policy.first_seconds * 2.0**doublings)
    return now + wait * (0.5 + 0.5 * chance)
