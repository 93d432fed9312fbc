"""All links' ways out: takes committed segments from memory, and from the store to recover.

What does not fit in memory stays in the store, is remembered per link and class, and is read again
when there is room. Segments of a link that is not configured stay in the store.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.delivery.commits import log_failure
from smsgw.delivery.lanes import Lane
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.delivery.sender import OnChanges, Sender, SendingLink
from smsgw.delivery.throttle import Limits
from smsgw.errors import StoreError
from smsgw.store import backlog, queue
from smsgw.store.database import Database
from smsgw.store.outbox import PARKED_SECONDS
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment

LANE_LIMIT = 20_000
"""Segments of one class and link in memory."""

SWEEP_SECONDS = 30.0
"""How often the store is searched for what is past its time: queued messages past ``valid_until``,
waits for an unknown outcome, parked reports."""

SWEEP_ROWS = 1000

AHEAD_SECONDS = 2 * SWEEP_SECONDS
"""What is due later than that waits in the store, not in memory."""

RELOAD_PAUSE_SECONDS = 1.0


class Dispatcher:
    """Sends committed segments through the links.

    Args:
        links: All of them; each one's ``on_results`` and ``on_free`` are set here.
        database: Open.
        reactor: Its clock and timers.
        limits: Link name to what was agreed about its speed.
        policy: When a refused segment is tried again.
        doubt: What follows when an answer never came.
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
        doubt: DoubtPolicy | None = None,
        lane_limit: int = LANE_LIMIT,
        on_changes: OnChanges = lambda changes: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._on_changes = on_changes
        self._doubt = doubt or DoubtPolicy()
        self._stopping = False
        self._sweep_timer: IDelayedCall | None = None
        agreed = limits or {}
        self._senders = {
            link.name: Sender(
                link,
                database.writer,
                reactor,
                node=database.ids.node,
                limits=agreed.get(link.name, Limits()),
                policy=policy or RetryPolicy(),
                doubt=self._doubt,
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
        ahead = self._now_ms() + int(AHEAD_SECONDS * 1000)
        for item in segments:
            sender = self._senders.get(item.link)
            if sender is None:
                self._unknown(item.link)
            elif item.due_at <= ahead and not self._stopping and sender.lanes.put(item):
                touched[item.link] = sender
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
        node, now = self._database.ids.node, self._now_ms()
        settle = partial(
            queue.settle_interrupted, node=node, now_ms=now, until=self._doubt.until(now)
        )
        interrupted = await self._database.writer.run(settle)
        self._tell(interrupted.changes)
        if interrupted.count:
            self.log.warn("{count} segments are of unknown outcome", count=interrupted.count)
        for link in await self._database.read(partial(queue.queued_by_link, node=node)):
            if link not in self._senders:
                self._unknown(link)
        for sender in self._senders.values():
            for lane in sender.lanes:
                await self._load(sender, lane)
        await self._sweep()
        for sender in self._senders.values():
            sender.pump()

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what waits where and why, by link, JSON-ready."""
        return {name: sender.state() for name, sender in self._senders.items()}

    def limited_seconds(self, link: str) -> Mapping[str, float]:
        """Return how long a link was held up so far, in seconds by cause."""
        return self._senders[link].limited_seconds()

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
        loaded = Deferred.fromCoroutine(self._load(sender, lane))
        loaded.addCallbacks(lambda _: sender.pump(), self._not_loaded, (), {}, (sender,), {})

    async def _load(self, sender: Sender, lane: Lane) -> None:
        """Read as much of a lane as there is room for."""
        lane.more, lane.loading = False, True
        room = sender.lanes.limit - len(lane)
        find = partial(
            queue.waiting,
            node=self._database.ids.node,
            link=sender.link.name,
            message_class=lane.message_class,
            now_ms=self._now_ms(),
            horizon_ms=self._now_ms() + int(AHEAD_SECONDS * 1000),
            limit=room,
            held=sender.lanes.held,
        )
        try:
            found = await self._database.read(find)
        except Exception:
            lane.more = True
            sender.wake_in(RELOAD_PAUSE_SECONDS)
            raise
        finally:
            lane.loading = False
        for one in found:
            sender.lanes.load(one)
        lane.more = lane.more or len(found) >= room

    def _not_loaded(self, failure: Failure, sender: Sender) -> None:
        self.log.error(
            "link {link}: waiting messages could not be read: {error}",
            link=sender.link.name,
            error=failure.getErrorMessage(),
        )

    # ---- expiry --------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Settle what is past its time in the store, and come back later."""
        try:
            await self._expire()
            await self._end_waits()
            await self._load_due()
            older = self._now_ms() - PARKED_SECONDS * 1000
            await self._database.writer.run(partial(backlog.purge_parked, older_than=older))
        except StoreError as error:
            self.log.error("what is past its time could not be settled: {error}", error=str(error))
        finally:
            if not self._stopping:
                self._cancel_sweep()
                self._sweep_timer = self._reactor.callLater(SWEEP_SECONDS, self._sweep_again)

    async def _expire(self) -> None:
        expire = partial(queue.expire, now_ms=self._now_ms(), limit=SWEEP_ROWS)
        full = True
        while full and not self._stopping:
            expired = await self._database.writer.run(expire)
            self._tell([change for one in expired for change in one.changes])
            full = len(expired) == SWEEP_ROWS

    async def _load_due(self) -> None:
        """Take into memory what has a time of its own, and is due before the next sweep."""
        find = partial(
            queue.due_lanes,
            node=self._database.ids.node,
            horizon_ms=self._now_ms() + int(AHEAD_SECONDS * 1000),
        )
        for link, message_class in await self._database.read(find):
            sender = self._senders.get(link)
            lane = None if sender is None else sender.lanes.of(message_class)
            if sender is not None and lane is not None and not (lane.more or lane.loading):
                await self._load(sender, lane)
                sender.pump()

    async def _end_waits(self) -> None:
        """Send again, or give up, what nobody told the outcome of in time."""
        attempts = self._doubt.attempts if self._doubt.resend else 0
        end = partial(backlog.end_waits, now_ms=self._now_ms(), attempts=attempts, limit=SWEEP_ROWS)
        full = True
        while full and not self._stopping:
            ended = await self._database.writer.run(end)
            again = [one.resend for one in ended if one.resend is not None]
            if ended:
                self.log.warn(
                    "no outcome in time: {again} segments are sent again, {given_up} given up",
                    again=len(again),
                    given_up=len(ended) - len(again),
                )
            self._tell([change for one in ended for change in one.changes])
            touched: dict[str, Sender] = {}
            for one in again:
                sender = self._senders.get(one.link)
                if sender is not None and not self._stopping:
                    sender.lanes.load(one)
                    touched[one.link] = sender
            for sender in touched.values():
                sender.pump()
            full = len(ended) == SWEEP_ROWS

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
