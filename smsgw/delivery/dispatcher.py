"""All links' ways out: takes committed segments from memory, and from the store to recover.

What does not fit in memory stays in the store, is remembered per link and class, and is read again
when there is room (:mod:`smsgw.delivery.loading`). Segments of a link that is not configured stay
there, too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.delivery.failover import Failover
from smsgw.delivery.loading import Loading
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.delivery.sender import OnChanges, Sender
from smsgw.delivery.sending_link import SendingLink
from smsgw.delivery.sweep import Sweep
from smsgw.delivery.throttle import Limits
from smsgw.model import MessageClass
from smsgw.store import queue
from smsgw.store.database import Database
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.store.reroute import FindLink, give_finder

LANE_LIMIT = 20_000
"""Segments of one class and link in memory."""

BACKLOG_MAX = 1_000_000
"""Segments of one link and class that may wait; above, no more are accepted."""

FAILOVER_AFTER = 60.0
"""Seconds: longer than a connection that is lost and made again, shorter than people wait."""


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
        backlog_max: The most of them in memory and store that :meth:`full` allows.
        on_changes: Told which messages got a new status, after the commit.
        chance: Random numbers from 0 to 1.
        failover_after: Seconds a link is down before what waits for it takes another one.
        elsewhere: Plans a message for another link of its route; None: no message changes its link.

    Attributes:
        sweep: Settles what is past its time in the store.
        elsewhere: Links that only other processes have connections of: nothing of them is taken.
        call: Told which of these links has something for whoever can send it.
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
        backlog_max: int = BACKLOG_MAX,
        on_changes: OnChanges = lambda changes: None,
        chance: Callable[[], float] = random.random,
        failover_after: float = FAILOVER_AFTER,
        elsewhere: FindLink | None = None,
    ) -> None:
        self._database = database
        self._reactor = reactor
        self._on_changes = on_changes
        self._policy = policy or RetryPolicy()
        self._lane_limit = lane_limit
        self._chance = chance
        self._stopping = False
        self._backlog_max = backlog_max
        self._senders: dict[str, Sender] = {}
        self._loading = Loading(self._senders, database, reactor)
        self.sweep = Sweep(self._senders, database, reactor, self._loading, self._tell, self.offer)
        self.sweep.doubt = doubt or DoubtPolicy()
        agreed = limits or {}
        for link in links:
            self._senders[link.name] = self._sender(link, agreed.get(link.name, Limits()))
        self.elsewhere: AbstractSet[str] = frozenset()
        self.call: Callable[[str], None] = lambda link: None
        self._elsewhere = elsewhere
        self._failover = Failover(self._senders, database, reactor, failover_after, self.offer)

    def _sender(self, link: SendingLink, limits: Limits) -> Sender:
        return Sender(
            link,
            self._database.writer,
            self._reactor,
            node=self._database.ids.node,
            limits=limits,
            policy=self._policy,
            doubt=self.sweep.doubt,
            lane_limit=self._lane_limit,
            on_changes=self._on_changes,
            on_queued=self.offer,
            on_hungry=self._loading.more,
            chance=self._chance,
        )

    # ---- what may change -----------------------------------------------------------------

    async def add(self, link: SendingLink, limits: Limits) -> None:
        """Send over one more link; what the store has for it is read."""
        self._senders[link.name] = self._sender(link, limits)
        await self.look_again(link.name)

    def carry_on(self, link: SendingLink) -> None:
        """Send over this link what the one of its name before it sent: that one is stopped."""
        self._senders[link.name].carry_on(link)

    def agree(self, link: str, limits: Limits) -> None:
        """Go by another agreed speed of a link from now on."""
        self._senders[link].agree(limits)

    def adopt(self, policy: RetryPolicy, doubt: DoubtPolicy, failover_after: float) -> None:
        """Go by other policies from now on."""
        self._policy, self.sweep.doubt, self._failover.after = policy, doubt, failover_after
        for sender in self._senders.values():
            sender.adopt(policy, doubt)

    async def vacate(self, link: str, timeout: float = 0.0) -> None:
        """Have what waits for a link that is down take others at once, as far as they may.

        Args:
            link: Which.
            timeout: Seconds to wait until what was handed to it is settled.
        """
        await self._senders[link].settle(timeout)
        await self._failover.leave(link)

    async def remove(self, link: str) -> None:
        """Send over a link no more; it is stopped, and what waits for it stays in the store."""
        await self._senders[link].stop(0.0)
        del self._senders[link]

    def offer(self, segments: Sequence[QueuedSegment]) -> None:
        """Take segments whose rows are committed as ``queued``; parts of a message in order."""
        touched: dict[str, Sender] = {}
        called: set[str] = set()
        horizon = self._loading.horizon_ms()
        for item in segments:
            sender = self._senders.get(item.link)
            if sender is None:
                self._unknown(item.link)
            elif item.link in self.elsewhere:
                called.add(item.link)
            elif item.due_at > horizon:
                self._loading.look_for_due(item.due_at)
            elif not self._stopping and sender.lanes.put(item):
                touched[item.link] = sender
        for sender in touched.values():
            sender.pump()
        for link in called:
            self.call(link)

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
        for sender in self._senders.values():
            sender.become(node)
        if self._elsewhere is not None:
            await self._database.equip(partial(give_finder, find=self._elsewhere))
        until = self.sweep.doubt_until(now)
        settle = partial(queue.settle_interrupted, node=node, now_ms=now, until=until)
        interrupted = await self._database.writer.run(settle)
        self._tell(interrupted.changes)
        if interrupted.count:
            self.log.warn(
                "{count} segments are of unknown outcome",
                event="segments.interrupted",
                count=interrupted.count,
            )
        for link in await self._database.read(partial(queue.queued_by_link, node=node)):
            if link not in self._senders:
                self._unknown(link)
        for sender in list(self._senders.values()):
            for lane in sender.lanes:
                await self._loading.load(sender, lane)
        await self.sweep.run()
        for sender in self._senders.values():
            sender.pump()
        if self._elsewhere is not None:
            self._failover.start()

    def has_room(self, link: str) -> list[MessageClass]:
        """Return the classes of which all that is ours is in memory, and more could be."""
        sender = self._senders.get(link)
        if sender is None:  # it is no more
            return []
        return [
            lane.message_class
            for lane in sender.lanes
            if not (lane.more or lane.loading or len(lane) > sender.lanes.limit // 2)
        ]

    async def look_again(self, link: str) -> None:
        """Read what became ours in the store."""
        sender = self._senders.get(link)
        if sender is None:
            return
        for lane in sender.lanes:
            lane.more = True  # until it is read, also when reading the one before it fails
        for lane in sender.lanes:
            if not lane.loading:
                await self._loading.load(sender, lane)
        sender.pump()

    def leave(self, link: str) -> None:
        """Forget what waits of a link, now that others send it."""
        sender = self._senders[link]
        sender.return_ready()
        sender.lanes.clear()

    def full(self, link: str, message_class: MessageClass) -> bool:
        """Tell whether as many of a link and class wait as may."""
        sender = self._senders.get(link)
        return sender is not None and sender.lanes.of(message_class).backlog >= self._backlog_max

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what waits where and why, by link, JSON-ready."""
        return {name: sender.state() for name, sender in self._senders.items()}

    @property
    def senders(self) -> Mapping[str, Sender]:
        """What sends over each link."""
        return self._senders

    def hurry(self) -> None:
        """Have a stop that is under way not wait for answers any longer."""
        for sender in self._senders.values():
            sender.hurry()

    def stop(self, timeout: float = 30.0) -> Deferred[None]:
        """Stop sending; fire when all answers are settled. Call it before the links are stopped.

        Args:
            timeout: Seconds to wait for answers; what has none then is settled as unknown.
        """
        self._stopping = True
        self._failover.stop()
        self.sweep.stop()
        self._loading.stop()
        return Deferred.fromCoroutine(self._stop(timeout))

    async def _stop(self, timeout: float) -> None:
        await DeferredList([sender.stop(timeout) for sender in self._senders.values()])

    def _tell(self, changes: list[StatusChange]) -> None:
        if changes:
            self.follow(changes)
            self._on_changes(changes)

    def _now_ms(self) -> int:
        return int(self._reactor.seconds() * 1000)

    def _unknown(self, link: str) -> None:
        told = "link {link} is not configured: its messages wait in the store"
        self.log.warn(told, event="link.not_configured", link=link)
