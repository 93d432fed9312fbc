"""When a segment that a carrier refused for now is tried again. Pure."""

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
