"""The process's time: the machine's clock, without its jumps.

Everything here is timed by the reactor's clock, timers and stored times alike. Twisted's is the
machine's own: set back by an hour, it would keep every timer waiting for that hour, and set ahead
it would end every wait at once. So ours runs on by itself and follows the machine's slowly.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FOLLOWS = 0.1
"""Seconds that we may gain or lose in one second: an hour is made up for in ten."""

LOOK_SECONDS = 1.0
"""How often the machine's clock is looked at."""

_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _since_boot() -> float:
    """Return seconds from a clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(_BOOT)


class SteadyClock:
    """Seconds since the Unix epoch that never jump and never go back; for any thread.

    Args:
        machine: The machine's clock, in the same seconds.
        monotonic: Seconds from any start, that nobody sets.
    """

    def __init__(
        self,
        machine: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = _since_boot,
    ) -> None:
        self._machine = machine
        self._monotonic = monotonic
        # Our time, the monotonic one, and how far ours was behind the machine's: as one value,
        # since several threads look.
        self._look = (machine(), monotonic(), 0.0)

    def __call__(self) -> float:
        """Return the present time."""
        ours, at, behind = self._look
        passed = self._monotonic() - at
        reach = passed * FOLLOWS
        now = ours + passed + max(-reach, min(reach, behind))
        if passed >= LOOK_SECONDS:
            self._look = (now, at + passed, self._machine() - now)
        return now
