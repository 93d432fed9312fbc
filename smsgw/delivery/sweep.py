"""What is past its time in the store is settled: queued messages past ``valid_until``, waits for an
unknown outcome, parked reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.delivery.loading import DUE_SOON_SECONDS, Loading
from smsgw.delivery.retry import DoubtPolicy
from smsgw.delivery.sender import Sender
from smsgw.errors import StoreError
from smsgw.model import MessageClass
from smsgw.store import backlog, reports, unsent
from smsgw.store.database import Database
from smsgw.store.nodes import NOBODY
from smsgw.store.progress import StatusChange
from smsgw.store.queue import QueuedSegment
from smsgw.store.reports import PARKED_SECONDS, REMATCH_SECONDS

SWEEP_SECONDS = DUE_SOON_SECONDS
"""How often the store is searched."""

SWEEP_ROWS = 1000

OVERDUE_ROWS = 20_000
"""How many overdue segments one look at the store finds."""


class Sweep:
    """Searches the store every now and then.

    Args:
        senders: What sends over each link; they may become more or fewer.
        database: Open.
        reactor: Its clock and timers.
        loading: Reads what is due.
        tell: Told which messages got a new status, after the commit.
        offer: Takes segments that wait again.

    Attributes:
        doubt: What follows when an answer never came.
        elsewhere: Links that only other processes have connections of.
    """

    log = Logger()

    def __init__(
        self,
        senders: Mapping[str, Sender],
        database: Database,
        reactor: IReactorTime,
        loading: Loading,
        tell: Callable[[list[StatusChange]], None],
        offer: Callable[[Sequence[QueuedSegment]], None],
    ) -> None:
        self.doubt = DoubtPolicy()
        self.elsewhere: AbstractSet[str] = frozenset()
        self._senders = senders
        self._database = database
        self._reactor = reactor
        self._loading = loading
        self._tell = tell
        self._offer = offer
        self._timer: IDelayedCall | None = None
        self._stopping = False

    def stop(self) -> None:
        """Search no more."""
        self._stopping = True
        self._cancel()

    async def run(self) -> None:
        """Settle what is past its time, and come back later."""
        try:
            await self._expire()
            await self._end_waits()
            await self._loading.load_due()
            await self.rematch(REMATCH_SECONDS)
            older = self._now_ms() - PARKED_SECONDS * 1000
            await self._database.writer.run(partial(backlog.purge_parked, older_than=older))
        except StoreError as error:
            told = "what is past its time could not be settled: {why}"
            self.log.error(told, event="segments.not_settled", why=str(error))
        finally:
            if not self._stopping:
                self._cancel()
                self._timer = self._reactor.callLater(SWEEP_SECONDS, self._again)

    def doubt_until(self, now_ms: int) -> dict[str, int]:
        """Return when waiting for an outcome ends that is unknown since now, by class."""
        return {str(kind): self.doubt.of(kind).until(now_ms) for kind in MessageClass}

    async def rematch(self, seconds: float) -> None:
        """Apply reports parked so short a while ago whose segment is known by now."""
        rematch = partial(
            reports.rematch_parked, now_ms=self._now_ms(), limit=SWEEP_ROWS, seconds=seconds
        )
        for one in await self._database.writer.run(rematch):
            self._tell(one.changes)
            self._offer(one.moved or [])

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

    async def _end_waits(self) -> None:
        """Send again, or give up, what nobody told the outcome of in time."""
        policies = {str(kind): self.doubt.of(kind) for kind in MessageClass}
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

    def _again(self) -> None:
        swept = Deferred.fromCoroutine(self.run())
        swept.addCallback(lambda _: self._pump_all())
        swept.addErrback(partial(log_failure, self.log))

    def _pump_all(self) -> None:
        """Let each link give up what it took in time and could not send."""
        for sender in self._senders.values():
            sender.pump()

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _now_ms(self) -> int:
        return int(self._reactor.seconds() * 1000)
