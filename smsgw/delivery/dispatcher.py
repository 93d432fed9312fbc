"""All links' ways out: takes committed segments from memory, and from the store to recover.

What does not fit in memory stays in the store, is remembered per link and class, and is read again
when there is room. Segments of a link that is not configured stay in the store.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.delivery.commits import log_failure
from smsgw.delivery.failover import Failover
from smsgw.delivery.lanes import Lane
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.delivery.sender import OnChanges, Sender
from smsgw.delivery.sending_link import SendingLink
from smsgw.delivery.throttle import Limits
from smsgw.errors import StoreError
from smsgw.model import MessageClass
from smsgw.store import backlog, queue, reports, unsent
from smsgw.store.database import Database
from smsgw.store.nodes import NOBODY
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.store.reports import PARKED_SECONDS, REMATCH_SECONDS
from smsgw.store.reroute import FindLink, give_finder

LANE_LIMIT = 20_000
"""Segments of one class and link in memory."""

SWEEP_SECONDS = 30.0
"""How often the store is searched for what is past its time: queued messages past ``valid_until``,
waits for an unknown outcome, parked reports."""

SWEEP_ROWS = 1000

OVERDUE_ROWS = 20_000
"""How many overdue segments one look at the store finds."""

AHEAD_SECONDS = 2.0
"""What is due later than that waits in the store, not in memory: there it would fill its lane, and
what may go at once would wait behind it."""

DUE_PAUSE_SECONDS = 1.0
"""At least so long between two looks for what is due; less than :data:`AHEAD_SECONDS`, so that all
of it leaves on time."""

BACKLOG_MAX = 1_000_000
"""Segments of one link and class that may wait; above, no more are accepted."""

RELOAD_PAUSE_SECONDS = 1.0

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
        self._doubt = doubt or DoubtPolicy()
        self._lane_limit = lane_limit
        self._chance = chance
        self._stopping = False
        self._backlog_max = backlog_max
        self._sweep_timer: IDelayedCall | None = None
        self._due_timer: IDelayedCall | None = None
        self._due_at = 0.0  # when it was last looked for
        agreed = limits or {}
        self._senders = {
            link.name: self._sender(link, agreed.get(link.name, Limits())) for link in links
        }
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
            doubt=self._doubt,
            lane_limit=self._lane_limit,
            on_changes=self._on_changes,
            on_queued=self.offer,
            on_hungry=self._reload,
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
        self._policy, self._doubt, self._failover.after = policy, doubt, failover_after
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
        ahead = self._now_ms() + int(AHEAD_SECONDS * 1000)
        for item in segments:
            sender = self._senders.get(item.link)
            if sender is None:
                self._unknown(item.link)
            elif item.link in self.elsewhere:
                called.add(item.link)
            elif item.due_at > ahead:
                self._look_for_due(item.due_at)
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
        until = self.doubt_until(now)
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
                await self._load(sender, lane)
        await self._sweep()
        for sender in self._senders.values():
            sender.pump()
        if self._elsewhere is not None:
            self._failover.start()

    def doubt_until(self, now_ms: int) -> dict[str, int]:
        """Return when waiting for an outcome ends that is unknown since now, by class."""
        return {str(kind): self._doubt.of(kind).until(now_ms) for kind in MessageClass}

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
                await self._load(sender, lane)
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
        _cancel(self._sweep_timer)
        _cancel(self._due_timer)
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
            "link {link}: waiting messages could not be read: {why}",
            event="queue.not_read",
            link=sender.link.name,
            why=failure.getErrorMessage(),
        )

    # ---- expiry --------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Settle what is past its time in the store, and come back later."""
        try:
            await self._expire()
            await self._end_waits()
            await self._load_due()
            await self.rematch(REMATCH_SECONDS)
            older = self._now_ms() - PARKED_SECONDS * 1000
            await self._database.writer.run(partial(backlog.purge_parked, older_than=older))
        except StoreError as error:
            told = "what is past its time could not be settled: {why}"
            self.log.error(told, event="segments.not_settled", why=str(error))
        finally:
            if not self._stopping:
                _cancel(self._sweep_timer)
                self._sweep_timer = self._reactor.callLater(SWEEP_SECONDS, self._sweep_again)

    async def _expire(self) -> None:
        """Count what waits, and give up what is past its time."""
        now, node = self._now_ms(), self._database.ids.node
        count = partial(unsent.census, node=node, now_ms=now)
        found = {(c.link, c.message_class): c for c in await self._database.read(count)}
        for sender in self._senders.values():
            for lane in sender.lanes:
                waits = found.get((sender.link.name, lane.message_class))
                lane.backlog = waits.due if waits is not None else 0
        for waits in found.values():
            if waits.earliest <= now:
                await self._expire_lane(node, waits.link, waits.message_class, now)
        if self._database.presence is not None:
            count = partial(unsent.census, node=NOBODY, now_ms=now)
            for waits in await self._database.read(count):
                if waits.link in self.elsewhere and waits.link in self._senders:
                    lanes = self._senders[waits.link].lanes
                    lanes.of(waits.message_class).backlog = waits.due
                if waits.earliest <= now:
                    await self._expire_lane(NOBODY, waits.link, waits.message_class, now)

    async def _expire_lane(self, node: int, link: str, message_class: str, now: int) -> None:
        find = partial(
            unsent.overdue,
            node=node,
            link=link,
            message_class=message_class,
            now_ms=now,
            limit=OVERDUE_ROWS,
        )
        full = True
        while full:
            found = await self._database.read(find)
            full = len(found) == OVERDUE_ROWS
            while found and not self._stopping:
                some, found = found[:SWEEP_ROWS], found[SWEEP_ROWS:]
                expire = partial(unsent.expire, places=some, now_ms=now)
                self._tell(await self._database.writer.run(expire))
            full = full and not self._stopping

    def _look_for_due(self, at_ms: int) -> None:
        """Look for what is due, in time for what is due then."""
        now = self._reactor.seconds()
        wait = max(at_ms / 1000 - now - DUE_PAUSE_SECONDS, self._due_at + DUE_PAUSE_SECONDS - now)
        timer = self._due_timer
        armed = timer is not None and timer.active() and timer.getTime() <= now + wait
        if wait < SWEEP_SECONDS and not self._stopping and not armed:
            _cancel(timer)
            self._due_timer = self._reactor.callLater(max(wait, 0.0), self._due_again)

    def _due_again(self) -> None:
        loaded = Deferred.fromCoroutine(self._load_due_or_try_again())
        loaded.addErrback(partial(log_failure, self.log))

    async def _load_due_or_try_again(self) -> None:
        try:
            await self._load_due()
        except StoreError as error:
            told = "what is due could not be read: {why}"
            self.log.error(told, event="queue.not_read", why=str(error))
            self._look_for_due(self._now_ms())

    async def _load_due(self) -> None:
        """Take into memory what has a time of its own, and is due soon."""
        self._due_at = self._reactor.seconds()
        lanes = [
            (name, str(lane.message_class))
            for name, sender in self._senders.items()
            for lane in sender.lanes
        ]
        find = partial(
            queue.due_lanes,
            node=self._database.ids.node,
            lanes=lanes,
            horizon_ms=self._now_ms() + int(AHEAD_SECONDS * 1000),
        )
        due = await self._database.read(find)
        if due.next_at:
            self._look_for_due(due.next_at)
        for link, message_class in due.lanes:
            if (sender := self._senders.get(link)) is None:
                continue  # it is no more
            lane = sender.lanes.of(message_class)
            if not (lane.more or lane.loading):
                await self._load(sender, lane)
                sender.pump()

    async def _end_waits(self) -> None:
        """Send again, or give up, what nobody told the outcome of in time."""
        policies = {str(kind): self._doubt.of(kind) for kind in MessageClass}
        attempts = {kind: one.attempts if one.resend else 0 for kind, one in policies.items()}
        end = partial(backlog.end_waits, now_ms=self._now_ms(), attempts=attempts, limit=SWEEP_ROWS)
        full = True
        while full and not self._stopping:
            ended = await self._database.writer.run(end)
            again = [one.resend for one in ended if one.resend is not None]
            if ended:
                self.log.warn(
                    "no outcome in time: {again} segments are sent again, {given_up} given up",
                    event="segments.unanswered",
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

    async def rematch(self, seconds: float) -> None:
        """Apply reports parked so short a while ago whose segment is known by now."""
        rematch = partial(
            reports.rematch_parked, now_ms=self._now_ms(), limit=SWEEP_ROWS, seconds=seconds
        )
        for one in await self._database.writer.run(rematch):
            self._tell(one.changes)
            self.offer(one.moved or [])

    def _sweep_again(self) -> None:
        swept = Deferred.fromCoroutine(self._sweep())
        swept.addCallback(lambda _: self._pump_all())
        swept.addErrback(partial(log_failure, self.log))

    def _pump_all(self) -> None:
        """Let each link give up what it took in time and could not send."""
        for sender in self._senders.values():
            sender.pump()

    def _tell(self, changes: list[StatusChange]) -> None:
        if changes:
            self.follow(changes)
            self._on_changes(changes)

    def _now_ms(self) -> int:
        return int(self._reactor.seconds() * 1000)

    def _unknown(self, link: str) -> None:
        told = "link {link} is not configured: its messages wait in the store"
        self.log.warn(told, event="link.not_configured", link=link)


def _cancel(timer: IDelayedCall | None) -> None:
    if timer is not None and timer.active():
        timer.cancel()
