"""From the store into memory: what there is room for, and what is due.

What is due much later than now stays in the store: in memory it would fill its lane, and what may
go at once would wait behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.delivery.commits import log_failure
from smsgw.delivery.lanes import Lane
from smsgw.delivery.sender import Sender
from smsgw.errors import StoreError
from smsgw.store import queue
from smsgw.store.database import Database

AHEAD_SECONDS = 2.0
"""What is due later than that waits in the store."""

DUE_PAUSE_SECONDS = 1.0
"""At least so long between two looks for what is due; less than :data:`AHEAD_SECONDS`, so that all
of it leaves on time."""

DUE_SOON_SECONDS = 30.0
"""What is due later than that is found by the next sweep."""

RELOAD_PAUSE_SECONDS = 1.0


class Loading:
    """Reads the lanes of the links from the store.

    Args:
        senders: What sends over each link; they may become more or fewer.
        database: Open.
        reactor: Its clock and timers.
    """

    log = Logger()

    def __init__(
        self, senders: Mapping[str, Sender], database: Database, reactor: IReactorTime
    ) -> None:
        self._senders = senders
        self._database = database
        self._reactor = reactor
        self._timer: IDelayedCall | None = None
        self._looked_at = 0.0
        self._stopping = False

    def stop(self) -> None:
        """Look for what is due no more."""
        self._stopping = True
        self._cancel()

    def horizon_ms(self) -> int:
        """Return until when what is due belongs into memory."""
        return int((self._reactor.seconds() + AHEAD_SECONDS) * 1000)

    def more(self, sender: Sender, lane: Lane) -> None:
        """Read more of a lane; what is offered meanwhile stays in the store behind it."""
        loaded = Deferred.fromCoroutine(self.load(sender, lane))
        loaded.addCallbacks(lambda _: sender.pump(), self._not_loaded, (), {}, (sender,), {})

    async def load(self, sender: Sender, lane: Lane) -> None:
        """Read as much of a lane as there is room for."""
        lane.more, lane.loading = False, True
        room = sender.lanes.limit - len(lane)
        find = partial(
            queue.waiting,
            node=self._database.ids.node,
            link=sender.link.name,
            message_class=lane.message_class,
            now_ms=int(self._reactor.seconds() * 1000),
            horizon_ms=self.horizon_ms(),
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

    def look_for_due(self, at_ms: int) -> None:
        """Look for what is due, in time for what is due then."""
        now = self._reactor.seconds()
        soonest = self._looked_at + DUE_PAUSE_SECONDS
        wait = max(at_ms / 1000 - DUE_PAUSE_SECONDS, soonest) - now
        timer = self._timer
        armed = timer is not None and timer.active() and timer.getTime() <= now + wait
        if wait < DUE_SOON_SECONDS and not self._stopping and not armed:
            self._cancel()
            self._timer = self._reactor.callLater(max(wait, 0.0), self._due_again)

    async def load_due(self) -> None:
        """Take into memory what has a time of its own, and is due soon."""
        self._looked_at = self._reactor.seconds()
        lanes = [
            (name, str(lane.message_class))
            for name, sender in self._senders.items()
            for lane in sender.lanes
        ]
        find = partial(
            queue.due_lanes,
            node=self._database.ids.node,
            lanes=lanes,
            horizon_ms=self.horizon_ms(),
        )
        due = await self._database.read(find)
        if due.next_at:
            self.look_for_due(due.next_at)
        for link, message_class in due.lanes:
            if (sender := self._senders.get(link)) is None:
                continue  # it is no more
            lane = sender.lanes.of(message_class)
            if not (lane.more or lane.loading):
                await self.load(sender, lane)
                sender.pump()

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _due_again(self) -> None:
        loaded = Deferred.fromCoroutine(self._load_due_or_try_again())
        loaded.addErrback(partial(log_failure, self.log))

    async def _load_due_or_try_again(self) -> None:
        try:
            await self.load_due()
        except StoreError as error:
            told = "what is due could not be read: {why}"
            self.log.error(told, event="queue.not_read", why=str(error))
            self.look_for_due(int(self._reactor.seconds() * 1000))

    def _not_loaded(self, failure: Failure, sender: Sender) -> None:
        self.log.error(
            "link {link}: waiting messages could not be read: {why}",
            event="queue.not_read",
            link=sender.link.name,
            why=failure.getErrorMessage(),
        )
