"""Who was wrong too often, and for how long they are not looked at. ``now`` is passed in."""

from __future__ import annotations

from dataclasses import dataclass

KEYS_MAX = 10_000
"""Addresses or names that are remembered: when there are more, the oldest are forgotten."""

FORGOTTEN_SECONDS = 3600.0
"""How long after a ban the next one of the same is still a longer one."""


@dataclass(slots=True)
class _Record:
    since: float
    count: int = 0
    bans: int = 0
    until: float = 0.0


class Bans:
    """Counts failures by a key (an address, a login name) and bans for a growing time.

    Args:
        failures: How many within ``window`` seconds lead to a ban.
        window: Seconds in which they count together.
        first: Seconds of the first ban; doubled each time.
        longest: Seconds a ban lasts at most.
    """

    def __init__(self, failures: int, window: float, first: float, longest: float) -> None:
        self._limit = failures
        self._window = window
        self._first = first
        self._longest = longest
        self._records: dict[str, _Record] = {}  # the latest last

    def left(self, key: str, now: float) -> float:
        """Return the seconds that a ban still lasts; 0 when there is none."""
        record = self._records.get(key)
        if record is None or not now < record.until <= now + self._longest:  # the clock may jump
            return 0.0
        return record.until - now

    def failed(self, key: str, now: float) -> float:
        """Count a failure; return the seconds of the ban that begins with it, 0 for none."""
        record = self._records.pop(key, None) or _Record(now)
        if not record.since <= now < record.since + self._window:
            record.since, record.count = now, 0
        if not now < record.until + FORGOTTEN_SECONDS:
            record.bans = 0
        while len(self._records) >= KEYS_MAX:
            del self._records[next(iter(self._records))]
        self._records[key] = record
        record.count += 1
        if record.count < self._limit:
            return 0.0
        seconds = min(self._first * 2.0**record.bans, self._longest)
        record.bans, record.count, record.until = record.bans + 1, 0, now + seconds
        return seconds

    def succeeded(self, key: str) -> None:
        """Forget what a key did wrong."""
        self._records.pop(key, None)

    def __len__(self) -> int:
        return len(self._records)
