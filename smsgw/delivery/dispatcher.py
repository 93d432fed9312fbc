"""All links' ways out: takes committed segments from memory, and from the store to recover.

What does not fit in memory stays in the store, is remembered per link and class, and is read again
when there is room. Segments of a link that is not configured stay in the store.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.delivery.commits import commit_rows, log_failure
from smsgw.delivery.lanes import Lane, QueuedSegment
from smsgw.delivery.retry import RetryPolicy
from smsgw.delivery.sender import TRIES, OnChanges, Sender, SendingLink
from smsgw.delivery.throttle import Limits
from smsgw.errors import StoreError
from smsgw.model import MessageClass, MessageStatus
from smsgw.store import outbox
from smsgw.store.database import Database
from smsgw.store.outbox import SETTLE, RecoveredSegment, Settlement
from smsgw.store.progress import StatusChange

if TYPE_CHECKING:
    from sqlalchemy import Connection

LANE_LIMIT = 10_000
"""Segments of one class and link in memory."""

SWEEP_SECONDS = 30.0
"""How often queued messages past ``valid_until`` are looked for."""

SWEEP_ROWS = 1000
RELOAD_PAUSE_SECONDS = 1.0

INTERRUPTED_ERROR = "stopped between submit and answer"


class Dispatcher:
    """Sends committed segments through the links.

    Args:
        links: All of them; each one's ``on_results`` and ``on_free`` are set here.
        database: Open.
        reactor: Its clock and timers.
        limits: Link name to what was agreed about its speed.
        policy: When a refused segment is tried again.
        lane_limit: The most segments of one class and link in memory.
        on_changes: Told which messages got a new status, after the commit.
        chance: Random numbers from 0 to 1.
    """

    log = Logger()

    def __init__(
        self,
        links: Iterable[SendingLink],
        database: Database,
        reactor: IReactorTime,
        *,
        limits: Mapping[str, Limits] | None = None,
        policy: RetryPolicy | None = None,
        lane_limit: int = LANE_LIMIT,
        on_changes: OnChanges = lambda changes: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._on_changes = on_changes
        self._stopping = False
        self._sweep_timer: IDelayedCall | None = None
        agreed = limits or {}
        self._senders = {
            link.name: Sender(
                link,
                database.writer,
                reactor,
                limits=agreed.get(link.name, Limits()),
                policy=policy or RetryPolicy(),
                lane_limit=lane_limit,
                on_changes=on_changes,
                on_hungry=self._reload,
                chance=chance,
            )
            for link in links
        }

    def offer(self, segments: Sequence[QueuedSegment]) -> None:
        """Take segments whose rows are committed as ``queued``; parts of a message in order."""
        touched: dict[str, Sender] = {}
        for item in segments:
            sender = self._senders.get(item.row.link)
            if sender is None:
                self._unknown(item.row.link)
            elif not self._stopping and sender.lanes.put(item):
                touched[item.row.link] = sender
        for sender in touched.values():
            sender.pump()

    def follow(self, changes: Iterable[StatusChange]) -> None:
        """Stop sending parts of messages that came to an end elsewhere: by report, or canceled."""
        told = list(changes)
        for sender in self._senders.values():
            sender.follow(told)

    def recover(self) -> Deferred[None]:
        """Take up what the last run left, once, before anything is offered.

        Segments it was sending become ``unknown``: nobody can tell any more whether they went out.
        """
        return Deferred.fromCoroutine(self._recover())

    async def _recover(self) -> None:
        now = self._now_ms()
        found = await self._database.read(partial(outbox.recover, now_ms=now))
        doubtful: list[Settlement] = []
        for one in found:
            row = one.segment
            sender = self._senders.get(row.link)
            if row.state == MessageStatus.QUEUED:
                if sender is None:
                    self._unknown(row.link)
                else:
                    sender.lanes.load(_queued(one))
            elif sender is None or not sender.lanes.holds(row.id):
                doubtful.append(
                    Settlement(
                        row.id,
                        row.message_id,
                        MessageStatus.UNKNOWN,
                        now,
                        error=INTERRUPTED_ERROR,
                        attempts=row.attempts,
                    )
                )
        if doubtful:
            self.log.warn("{count} segments are of unknown outcome", count=len(doubtful))
            settled = await commit_rows(
                self._database.writer, SETTLE, doubtful, self._reactor, TRIES
            )
            self._tell([change for result in settled if result for change in result.changes])
        await self._sweep()
        for sender in self._senders.values():
            sender.pump()

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what waits where, by link, JSON-ready."""
        return {name: sender.state() for name, sender in self._senders.items()}

    def stop(self, timeout: float = 30.0) -> Deferred[None]:
        """Stop sending; fire when all answers are settled. Call it before the links are stopped.

        Args:
            timeout: Seconds to wait for answers; what has none then is settled as unknown.
        """
        self._stopping = True
        self._cancel_sweep()
        return Deferred.fromCoroutine(self._stop(timeout))

    async def _stop(self, timeout: float) -> None:
        await DeferredList([sender.stop(timeout) for sender in self._senders.values()])

    # ---- more from the store -------------------------------------------------------------

    def _reload(self, sender: Sender, lane: Lane) -> None:
        """Read more of a lane; what is offered meanwhile stays in the store behind it."""
        lane.more, lane.loading = False, True
        room = sender.lanes.limit - len(lane)
        read = self._database.read(
            partial(
                _load,
                now=self._now_ms(),
                link=sender.link.name,
                message_class=lane.message_class,
                room=room,
                held=sender.lanes.held,
            )
        )
        read.addCallbacks(self._loaded, self._not_loaded, (sender, lane), {}, (sender, lane), {})

    def _loaded(
        self, found: tuple[list[RecoveredSegment], bool], sender: Sender, lane: Lane
    ) -> None:
        lane.loading = False
        segments, truncated = found
        for one in segments:
            sender.lanes.load(_queued(one))
        lane.more = lane.more or truncated
        sender.pump()

    def _not_loaded(self, failure: Failure, sender: Sender, lane: Lane) -> None:
        self.log.error(
            "link {link}: waiting messages could not be read: {error}",
            link=sender.link.name,
            error=failure.getErrorMessage(),
        )
        lane.loading, lane.more = False, True
        sender.wake_in(RELOAD_PAUSE_SECONDS)

    # ---- expiry --------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Expire what waits in the store, and come back later."""
        expire = partial(outbox.expire, now_ms=self._now_ms(), limit=SWEEP_ROWS)
        try:
            full = True
            while full and not self._stopping:
                expired = await self._database.writer.run(expire)
                self._tell([change for one in expired for change in one.changes])
                full = len(expired) == SWEEP_ROWS
        except StoreError as error:
            self.log.error("expired messages could not be settled: {error}", error=str(error))
        if not self._stopping:
            self._cancel_sweep()
            self._sweep_timer = self._reactor.callLater(SWEEP_SECONDS, self._sweep_again)

    def _cancel_sweep(self) -> None:
        if self._sweep_timer is not None and self._sweep_timer.active():
            self._sweep_timer.cancel()

    def _sweep_again(self) -> None:
        swept = Deferred.fromCoroutine(self._sweep())
        swept.addErrback(partial(log_failure, self.log))

    def _tell(self, changes: list[StatusChange]) -> None:
        if changes:
            self.follow(changes)
            self._on_changes(changes)

    def _now_ms(self) -> int:
        return int(self._reactor.seconds() * 1000)

    def _unknown(self, link: str) -> None:
        self.log.warn("link {link} is not configured: its messages wait in the store", link=link)


def _queued(one: RecoveredSegment) -> QueuedSegment:
    return QueuedSegment(one.segment, MessageClass(one.message_class), one.valid_until)


def _load(
    connection: Connection,
    *,
    now: int,
    link: str,
    message_class: MessageClass,
    room: int,
    held: frozenset[int],
) -> tuple[list[RecoveredSegment], bool]:
    """Return up to ``room`` queued segments of a lane not in memory, and whether there are more."""
    found: list[RecoveredSegment] = []
    for one in outbox.recover(connection, now):
        row = one.segment
        if (
            row.state != MessageStatus.QUEUED
            or row.link != link
            or one.message_class != message_class
            or row.id in held
        ):
            continue
        if len(found) == room:
            return found, True
        found.append(one)
    return found, False
