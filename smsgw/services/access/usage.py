"""When tokens were used, and how many messages each has sent today: counted in batches.

Both are counted in memory and written about once a second, together. Of processes that share a
database each knows what the others have counted whenever it writes itself, so a daily limit may be
passed by what they take within that second; a crash forgets as much.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import QuotaExceeded, StoreError
from smsgw.store import tokens
from smsgw.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

WRITE_SECONDS = 1.0
DAY_SECONDS = 86400
ZONE_SECONDS = 8 * 3600
"""A day ends at midnight in China, which has one time all year."""


@dataclass(slots=True)
class _Count:
    """A token's messages of a day: those the store had last, and those it has not."""

    day: int
    stored: int
    waiting: int = 0
    writing: int = 0


class Usage:
    """Counts for all tokens.

    Args:
        store: The open database.
        clock: Its time, and timers.
    """

    log = Logger()

    def __init__(self, store: Database, clock: IReactorTime) -> None:
        self._store = store
        self._clock = clock
        self._used: dict[int, int] = {}
        self._counts: dict[int, _Count] = {}
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def note(self, token_id: int) -> None:
        """Note that a token is used now."""
        self._used[token_id] = int(self._clock.seconds() * 1000)
        self._soon()

    async def counted(
        self, token_id: int, daily: int, messages: int, send: Callable[[], Awaitable[T]]
    ) -> T:
        """Count messages, and send them; those that are not sent do not count.

        Args:
            token_id: Whose they are.
            daily: How many it may send in a day.
            messages: How many these are.
            send: Sends them; called only when they are within the limit.

        Raises:
            QuotaExceeded: They are too many; nothing was sent.
        """
        count = await self._count(token_id)
        if count.stored + count.writing + count.waiting + messages > daily:
            left = max(0, daily - count.stored - count.writing - count.waiting)
            problem = f"this token may send {daily} messages a day, {left} are left"
            raise QuotaExceeded(problem, self._until_midnight())
        count.waiting += messages
        self._soon()
        try:
            return await send()
        except BaseException:
            count.waiting -= messages
            raise

    async def stop(self) -> None:
        """Write what was counted, and count no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._write()

    async def _count(self, token_id: int) -> _Count:
        day = self._day()
        count = self._counts.get(token_id)
        if count is None or count.day != day:
            find = partial(tokens.spent, token_id=token_id, day=day)
            stored = await self._store.read(find)
            count = self._counts.get(token_id)  # another request may have been here meanwhile
            if count is None or count.day != day:
                count = self._counts[token_id] = _Count(day, stored)
        return count

    def _soon(self) -> None:
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(WRITE_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        work = Deferred.fromCoroutine(self._write())
        work.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        told = "counting for tokens failed"
        self.log.failure(told, failure, event="token.uses_not_counted")

    async def _write(self) -> None:
        used, self._used = self._used, {}
        counts = [(key, one) for key, one in self._counts.items() if one.waiting]
        if not used and not counts:
            return
        for _, one in counts:
            one.writing, one.waiting = one.writing + one.waiting, 0
        rows = [(token_id, one.day, one.writing) for token_id, one in counts]

        def work(connection: Connection) -> list[int]:
            tokens.used(connection, used)
            return tokens.spend(connection, rows)

        try:
            stored = await self._store.writer.run(work)
        except StoreError:  # it says so itself; the next write has these too
            self._used = used | self._used
            for _, one in counts:
                one.writing, one.waiting = 0, one.waiting + one.writing
            self._soon()
            return
        for (_, one), total in zip(counts, stored, strict=True):
            one.stored, one.writing = total, 0

    def _day(self) -> int:
        return int(self._clock.seconds() + ZONE_SECONDS) // DAY_SECONDS

    def _until_midnight(self) -> int:
        midnight = (self._day() + 1) * DAY_SECONDS - ZONE_SECONDS
        return max(1, math.ceil(midnight - self._clock.seconds()))
