"""How many messages, replies and requests there were in a span of time, and what became of them.

A span has a limit, and is counted a day at a time, so that no look at the database is long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from smsgw.errors import ValidationError
from smsgw.model import MessageStatus
from smsgw.services.queries import iso
from smsgw.store import stats
from smsgw.store.database import Database
from smsgw.store.ids import EPOCH_MS
from smsgw.store.stats import Counted

SPAN_MAX = timedelta(days=31)
SPAN_DEFAULT = timedelta(days=1)
DAY_MS = 86_400_000

Json = dict[str, Any]


class Stats:
    """Counts.

    Args:
        store: The open database.
        clock: Seconds since the Unix epoch.
    """

    def __init__(self, store: Database, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def of(
        self, accounts: Sequence[str], since: datetime | None = None, until: datetime | None = None
    ) -> Json:
        """Return what there was, by when it was accepted.

        Args:
            accounts: Whose.
            since: From when on; None for a day before ``until``.
            until: Until before when; None, and what is to come, for now.

        Raises:
            ValidationError: The span is empty, or longer than :data:`SPAN_MAX`.
        """
        now_ms = int(self._clock() * 1000) + 1
        until_ms = now_ms if until is None else min(_ms(until), now_ms)
        if until_ms <= EPOCH_MS:
            raise ValidationError("until", "is before there was anything; write a later time")
        since_ms = until_ms - _length(SPAN_DEFAULT) if since is None else _ms(since)
        if since_ms >= until_ms:
            raise ValidationError("since", "is not before until; write an earlier time")
        if until_ms - since_ms > _length(SPAN_MAX):
            days = (until_ms - since_ms) / DAY_MS
            problem = (
                f"is {days:.1f} days before until, limit {SPAN_MAX.days}; ask for less at a time"
            )
            raise ValidationError("since", problem)
        total = _Total()
        for start in range(since_ms, until_ms, DAY_MS):
            end = min(start + DAY_MS, until_ms)
            look = partial(stats.count, accounts=accounts, since_ms=start, until_ms=end)
            total.add(await self._store.read(look))
        return {"since": iso(since_ms), "until": iso(until_ms)} | total.json()


class _Total:
    """What several spans had together."""

    def __init__(self) -> None:
        self._classes: dict[str, Counter[str]] = defaultdict(Counter)
        self._links: dict[str, Counter[str]] = defaultdict(Counter)
        self._received: Counter[str] = Counter()
        self._requests: Counter[str] = Counter()
        self._segments = 0
        self._oldest: int | None = None

    def add(self, counted: Counted) -> None:
        for one in counted.sent:
            self._classes[one.message_class][one.status] += one.messages
            self._links[one.link][one.status] += one.messages
            self._segments += one.parts
            if one.status == MessageStatus.QUEUED and (
                self._oldest is None or one.oldest_at < self._oldest
            ):
                self._oldest = one.oldest_at
        for outcome, number in counted.received.items():
            self._received[outcome or "unhandled"] += number
        self._requests.update(counted.requests)

    def json(self) -> Json:
        return {
            "messages": sum(found.total() for found in self._classes.values()),
            "segments": self._segments,
            "by_class": _sorted(self._classes),
            "by_link": _sorted(self._links),
            "inbound": dict(sorted(self._received.items())),
            "requests": dict(sorted(self._requests.items())),
            "oldest_queued_at": iso(self._oldest),
        }


def _sorted(counts: dict[str, Counter[str]]) -> Json:
    return {name: dict(sorted(found.items())) for name, found in sorted(counts.items())}


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _length(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
