"""Committed inbound messages, handed to whoever reads them: one at a time for each phone, in order.

A message counts as handled when the reader has marked its row (``handled_at``); until then a start
hands it over again, so reading may be repeated and its effects must not add up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.errors import StoreError
from smsgw.store import inbox
from smsgw.store.database import Database
from smsgw.store.inbox import InboundRow

LIMIT = 10_000
"""Messages in memory; what is above it stays in the store and is read when these are done."""

PAGE = 1000
"""Messages read from the store at a time."""

PAUSES = (1.0, 5.0, 30.0, 120.0)
"""Seconds between tries when reading a message fails; after the last it waits for a start."""

STORE_PAUSE_SECONDS = 10.0
"""Between tries while the database is in trouble, however long that lasts."""

OnInbound = Callable[[InboundRow], "Deferred[Any]"]


class Handover:
    """Calls ``on_inbound`` for every inbound message.

    Args:
        database: Open.
        reactor: Its timers.
        on_inbound: Reads a message and marks it handled; fires when both are committed.
        limit: The most messages in memory.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        reactor: IReactorTime,
        on_inbound: OnInbound,
        *,
        limit: int = LIMIT,
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._on_inbound = on_inbound
        self._limit = limit
        self._waiting: dict[str, deque[InboundRow]] = {}  # by sender, the present one in front
        self._held: set[int] = set()
        self._more = False
        self._running: set[Deferred[None]] = set()
        self._stopping = False
        self._idle: Deferred[None] | None = None

    @property
    def waiting(self) -> int:
        """Messages in memory that are not handled yet."""
        return len(self._held)

    def add(self, row: InboundRow) -> None:
        """Take a committed message."""
        if self._stopping or row.id in self._held:
            return
        if len(self._held) >= self._limit:
            self._more = True
            return
        self._held.add(row.id)
        queue = self._waiting.get(row.sender)
        if queue is not None:
            queue.append(row)
            return
        self._waiting[row.sender] = deque((row,))
        self._run(self._work(row.sender))

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        running = Deferred.fromCoroutine(work)
        self._running.add(running)
        running.addBoth(self._ended, running)

    def recover(self) -> Deferred[None]:
        """Hand over what is not handled yet; after the parts are joined, once at a start."""
        return Deferred.fromCoroutine(self._recover())

    def stop(self, timeout: float = 10.0) -> Deferred[None]:
        """Hand over nothing more; fire when the present ones are read, or after ``timeout``."""
        self._stopping = True
        return Deferred.fromCoroutine(self._stop(timeout))

    async def _stop(self, timeout: float) -> None:
        if self._running:
            self._idle = Deferred()
            give_up = self._reactor.callLater(timeout, self._fire_idle)
            await self._idle
            if give_up.active():
                give_up.cancel()
        for running in list(self._running):
            running.cancel()

    async def _recover(self) -> None:
        self._more = False
        after = 0
        while not self._stopping:
            if len(self._held) >= self._limit:
                self._more = True
                return
            page = partial(inbox.unhandled, after=after, limit=PAGE)
            rows = await self._database.read(page)
            for row in rows:
                self.add(row)
            if len(rows) < PAGE:
                return
            after = rows[-1].id

    async def _read_more(self) -> None:
        """Go on with what did not fit into memory, as soon as it can be read."""
        while not self._stopping:
            try:
                await self._recover()
            except StoreError as error:
                told = "inbound messages wait: {why}"
                self.log.warn(told, event="inbound.waits", why=str(error))
                await deferLater(self._reactor, STORE_PAUSE_SECONDS, lambda: None)
            else:
                return

    async def _work(self, sender: str) -> None:
        queue = self._waiting[sender]
        try:
            while queue and not self._stopping:
                await self._hand_over(queue[0])
                self._held.discard(queue.popleft().id)
        finally:
            del self._waiting[sender]
            self._held.difference_update(row.id for row in queue)

    async def _hand_over(self, row: InboundRow) -> None:
        pauses = iter(PAUSES)
        while True:
            pause: float | None = STORE_PAUSE_SECONDS
            try:
                await self._on_inbound(row)
            except CancelledError:
                raise
            except StoreError as error:
                self.log.warn(
                    "inbound {inbound_id}: waits: {why}",
                    event="inbound.waits",
                    inbound_id=row.id,
                    why=str(error),
                )
            except Exception:
                told = "inbound {inbound_id}: could not be read"
                self.log.failure(told, event="inbound.not_read", inbound_id=row.id)
                pause = next(pauses, None)
            else:
                return
            if self._stopping:
                return
            if pause is None:
                break
            await deferLater(self._reactor, pause, lambda: None)
        told = "inbound {inbound_id}: waits for the next start"
        self.log.critical(told, event="inbound.given_up", inbound_id=row.id)

    def _ended(self, outcome: object, running: Deferred[None]) -> None:
        self._running.discard(running)
        log_failure(self.log, outcome)
        if self._running:
            return
        self._fire_idle()
        if self._more and not self._stopping:
            self._run(self._read_more())

    def _fire_idle(self) -> None:
        if self._idle is not None:
            idle, self._idle = self._idle, None
            idle.callback(None)
