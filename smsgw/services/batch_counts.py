"""How far batches are, counted so rarely that it costs little however often somebody looks.

Rules: what takes longer than :data:`CHEAP_SECONDS` to count, which only a large batch does that is
under way, is told again for a while that grows with that time, and says when it was counted. Who
looks after half of that while has it counted anew for the next ones; who looks later waits. Large
ones are counted one at a time and in pieces, so that other reads have their turn.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from smsgw.errors import NotFound, StoreError
from smsgw.store import batches
from smsgw.store.batches import BatchRow, Progress, Tally, Uncounted
from smsgw.store.database import Database

CHEAP_SECONDS = 0.05
"""What is counted faster is counted at every look."""

TOLD_AGAIN = 20
"""For how many times as long as it took to count something it is told."""

PIECE = 20_000
"""Messages that are counted in one read."""

KEPT_MAX = 100
"""Batches whose counts are kept."""


class Count(NamedTuple):
    """A batch, what its messages came to, and when they were counted.

    Attributes:
        row: The batch as it was then.
        tally: What its messages had come to, or more: it took a while.
        at: When it began (seconds).
        seconds: How long it took.
    """

    row: BatchRow
    tally: Tally
    at: float
    seconds: float


class BatchCounts:
    """Counts.

    Args:
        database: Open.
        clock: Its time.
    """

    def __init__(self, database: Database, clock: IReactorTime) -> None:
        self._database = database
        self._clock = clock
        self._kept: OrderedDict[int, Count] = OrderedDict()
        self._waiting: dict[int, list[Deferred[Count]]] = {}
        self._turn = DeferredLock()

    async def of(self, account: str, batch_id: int) -> Count:
        """Return how far a batch is, or was a short while ago.

        Raises:
            NotFound: No such batch, or it is another account's.
        """
        row = await self._database.read(partial(batches.find, account=account, batch_id=batch_id))
        kept = self._kept.get(batch_id)
        if kept is not None and kept.row == row:
            age = self._clock.seconds() - kept.at
            if 0 <= age < TOLD_AGAIN * kept.seconds:
                if age >= TOLD_AGAIN / 2 * kept.seconds:
                    self._counted(account, batch_id).addErrback(_nobody_waits)
                return kept
        return await self._counted(account, batch_id)

    async def now(self, account: str, batch_id: int) -> Count:
        """Return how far a batch is now, however long that takes.

        Raises:
            NotFound: No such batch, or it is another account's.
        """
        began = self._clock.seconds()
        found: Progress = await self._database.read(
            partial(batches.progress, account=account, batch_id=batch_id)
        )
        pieces = list(_pieces(found.uncounted))
        if len(pieces) <= 1:
            await self._count(found, pieces)
        else:
            await self._turn.run(lambda: Deferred.fromCoroutine(self._count(found, pieces)))
        counted = Count(found.row, found.tally, began, self._clock.seconds() - began)
        known = self._kept.get(batch_id)
        if known is not None and known.at > began:
            return counted
        self._kept.pop(batch_id, None)
        if counted.seconds > CHEAP_SECONDS:
            self._kept[batch_id] = counted
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return counted

    def _counted(self, account: str, batch_id: int) -> Deferred[Count]:
        """Have a batch counted, once for all who wait for it."""
        told: Deferred[Count] = Deferred()
        waiting = self._waiting.setdefault(batch_id, [])
        waiting.append(told)
        if len(waiting) == 1:
            Deferred.fromCoroutine(self.now(account, batch_id)).addBoth(self._tell, batch_id)
        return told

    def _tell(self, outcome: Count | Failure, batch_id: int) -> None:
        for told in self._waiting.pop(batch_id):
            told.callback(outcome)

    async def _count(self, found: Progress, pieces: Sequence[Sequence[Uncounted]]) -> None:
        """Count what was not, a piece at a time; keep what will not change any more."""
        for piece in pieces:
            counted = await self._database.read(partial(batches.count, uncounted=piece))
            found.tally.add(counted.tally)
            if counted.kept:
                keep = partial(batches.keep, batch_id=found.row.id, kept=counted.kept)
                with suppress(StoreError):  # then they are counted again
                    await self._database.writer.run(keep, len(counted.kept))


def _pieces(uncounted: Sequence[Uncounted]) -> Iterator[list[Uncounted]]:
    """Cut what is to be counted into reads."""
    piece: list[Uncounted] = []
    weight = 0
    for one in uncounted:
        if piece and weight + one.weight > PIECE:
            yield piece
            piece, weight = [], 0
        piece.append(one)
        weight += one.weight
    if piece:
        yield piece


def _nobody_waits(failure: Failure) -> None:
    """Whoever looks next meets it again."""
    failure.trap(StoreError, NotFound)
