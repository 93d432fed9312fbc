"""How long a failing webhook is left alone, and when its events are given up."""

from __future__ import annotations

from collections.abc import Callable

PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)
"""Seconds after each attempt that failed; the last for all further ones."""

JITTER = 0.3
"""Part of a pause by which chance may shorten it: what failed together does not come together."""

GIVEN_UP_AFTER = 24 * 3600.0
"""Seconds of failing after which events of that age become dead letters."""


def pause(attempts: int, retry_after: float | None, chance: Callable[[], float]) -> float:
    """Return the seconds until the next attempt.

    Args:
        attempts: That failed in a row, 1 or more.
        retry_after: What the receiver asked for, or None: it is never called sooner, but for a
            day at most.
        chance: A number from 0 up to 1.
    """
    usual = PAUSES[min(attempts, len(PAUSES)) - 1] * (1.0 - JITTER * chance())
    return min(max(usual, retry_after or 0.0), GIVEN_UP_AFTER)
