"""How long things are kept, and the work of purging them when they are old.

Rules: a batch is so small that the writer's other work waits for it no longer than
:data:`BATCH_SECONDS`, and between two there is a pause three times as long as the batch took. Of
processes that share a database one does it at a time. How far it came is in the store; every
:data:`AGAIN_SECONDS` all is looked at anew, for what could not be purged before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.model import MessageClass
from smsgw.store import deletions, purge
from smsgw.store.database import Database
from smsgw.store.ids import first_at
from smsgw.store.purge import Kind, Progress, Purged, Window
from smsgw.transport.permits import Permit

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY_SECONDS = 86_400.0
DAY_MS = 86_400_000

FIRST_SECONDS = 60.0
"""After a start there is other work."""
EVERY_SECONDS = 3600.0
AGAIN_SECONDS = 7 * DAY_SECONDS
AFTERWARDS_MS = 3 * DAY_MS
"""So long after it was made nearly everything has come to an end: what is younger than the time it
is kept and this is looked at each time."""
BATCH_SECONDS = 0.02
BATCH_ROWS = 50
"""Rows of the first batch; the next ones are as large as :data:`BATCH_SECONDS` allows."""
BATCH_ROWS_MAX = 1000
PAUSE_SECONDS = 0.02

PLACE = "purge"
"""Of processes that share a database one has this place."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept, in seconds; 0 is for ever.

    Attributes:
        messages: Texts and phones of messages, by class, from their end on.
        inbound: Texts, phones and PDUs of what phones sent, from when it was read.
        requests: What was asked and answered in requests that are closed; conversations.
        events: What subscribers have had.
        deliveries: What customers who bind to us did not take.
        records: The rows that are left of messages, without text and phone.
    """

    messages: dict[MessageClass, float]
    inbound: float = 180 * DAY_SECONDS
    requests: float = 180 * DAY_SECONDS
    events: float = 90 * DAY_SECONDS
    deliveries: float = 30 * DAY_SECONDS
    records: float = 730 * DAY_SECONDS

    def kinds(self) -> Iterator[tuple[Kind, float]]:
        """Return what is purged, and how long after its end."""
        for message_class, seconds in self.messages.items():
            yield purge.Messages(str(message_class)), seconds
            yield purge.BatchTexts(str(message_class)), seconds
        yield purge.InboundTexts(), self.inbound
        yield purge.Ballots(), self.requests
        yield purge.Requests(), self.requests
        for kind in (
            deletions.CONVERSATIONS,
            deletions.SLOTS,
            deletions.STAND_INS,
            deletions.LISTED,
        ):
            yield kind, self.requests
        yield deletions.Events(), self.events
        yield deletions.DEAD_LETTERS, self.events
        yield deletions.DELIVERIES, self.deliveries
        yield deletions.AwaitedReports(), self.deliveries
        yield deletions.MESSAGE_ROWS, self.records
        yield deletions.INBOUND_ROWS, self.records
        yield deletions.BATCHES, self.records


def for_all(seconds: float) -> dict[MessageClass, float]:
    """Return the same time for every class of messages."""
    return dict.fromkeys(MessageClass, seconds)


DEFAULT = Retention(messages=for_all(180 * DAY_SECONDS))


class Purging:
    """Purges what is old, from time to time.

    Args:
        store: The open database.
        retention: How long things are kept.
        clock: Its time and timers.
        purged: Told how many rows of a kind were purged.

    Attributes:
        retention: From the next look on it may be another.
    """

    log = Logger()

    def __init__(
        self,
        store: Database,
        retention: Retention,
        clock: IReactorTime,
        purged: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self.retention = retention
        self._clock = clock
        self._purged = purged
        self._permit: Permit | None = None
        self._timer: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None
        self._resting: Deferred[None] | None = None
        self._running = False
        self._pass: Deferred[None] | None = None
        self._rows = BATCH_ROWS

    def start(self) -> None:
        """Purge soon, and again from time to time until :meth:`stop`."""
        self._running = True
        self._permit = self._store.permit(PLACE, 1)
        if self._permit is not None:
            self._permit.ask(lambda: None)
        self._timer = self._clock.callLater(FIRST_SECONDS, self._due)

    async def stop(self) -> None:
        """Stop after the batch that is under way."""
        self._running = False
        for timer in (self._timer, self._rest):
            if timer is not None and timer.active():
                timer.cancel()
        if self._resting is not None:
            self._resting.callback(None)
        if self._pass is not None:
            await self._pass
        if self._permit is not None:
            self._permit.drop()

    async def once(self) -> dict[str, int]:
        """Purge everything that is old enough now; returns how many rows of each kind were."""
        done: dict[str, int] = {}
        for kind, seconds in self.retention.kinds():
            if seconds and (count := await self._walk(kind, seconds)):
                done[kind.name] = count
        return done

    def _due(self) -> None:
        self._timer = self._clock.callLater(EVERY_SECONDS, self._due)
        if self._pass is not None or (self._permit is not None and not self._permit.held):
            return
        self._pass = ended = Deferred[None]()

        def over(result: dict[str, int] | Failure) -> None:
            self._pass = None
            if isinstance(result, Failure):
                self._failed(result)
            elif result:
                rows = sum(result.values())
                self.log.info("purged {rows} rows", event="store.purged", rows=rows, kinds=result)
            ended.callback(None)

        Deferred.fromCoroutine(self.once()).addBoth(over)

    def _failed(self, failure: Failure) -> None:
        if failure.check(StoreError) is None:
            self.log.failure("purging failed", failure, event="store.not_purged")
        elif self._running:
            why = failure.getErrorMessage()
            self.log.warn("what is old stays for now: {why}", event="store.not_purged", why=why)

    async def _walk(self, kind: Kind, seconds: float) -> int:
        """Purge what is old of one kind; returns how many rows were."""
        now = int(self._clock.seconds() * 1000)
        at = now - int(seconds * 1000)
        until = first_at(at // DAY_MS * DAY_MS if isinstance(kind, deletions.Records) else at) - 1
        reached = await self._store.read(partial(purge.progress, kind=kind.name))
        if reached is None or not 0 <= now - reached.began_at < AGAIN_SECONDS * 1000:
            reached = Progress(-1, now)
        count = 0
        while self._running:
            look = partial(kind.window, after=reached.until_id, until=until, at=at)
            window: Window = await self._store.read(look)
            if window.last is None:
                break
            count += await self._window(kind, window, at, until)
            if not self._running:
                break
            reached = Progress(window.last, reached.began_at)
            sure = reached._replace(until_id=min(window.last, first_at(at - AFTERWARDS_MS)))
            remember = partial(purge.remember, kind=kind.name, reached=sure)
            await self._store.writer.run(remember)
        return count

    async def _window(self, kind: Kind, window: Window, at: int, until: int) -> int:
        """Purge the rows of a window, batch by batch."""
        count = 0
        ids = window.ids
        while ids and self._running:
            batch = ids[: self._rows]
            result, seconds = await self._store.writer.run(self._work(kind, batch, at, until))
            if result.rows:
                self._purged(kind.name, result.rows)
                count += result.rows
            if not result.more:
                ids = ids[len(batch) :]
            allowed = int(len(batch) * BATCH_SECONDS / max(seconds, 0.0001))
            self._rows = max(1, min(allowed, 2 * self._rows, BATCH_ROWS_MAX))
            await self._pause(max(PAUSE_SECONDS, 3 * seconds))
        return count

    def _work(
        self, kind: Kind, batch: Sequence[int], at: int, until: int
    ) -> Callable[[Connection], tuple[Purged, float]]:
        now = int(self._clock.seconds() * 1000)

        def work(connection: Connection) -> tuple[Purged, float]:
            began = time.perf_counter()
            result = kind.purge(connection, batch, at, now, until)
            return result, time.perf_counter() - began

        return work

    async def _pause(self, seconds: float) -> None:
        if self._running:
            self._resting = Deferred()
            self._rest = self._clock.callLater(seconds, self._resting.callback, None)
            await self._resting
            self._resting = self._rest = None
