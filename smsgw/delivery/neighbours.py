"""Several processes on one database: each link's work goes to who can send it, a dead one's to all.

Which links have a connection here is looked at often and costs nothing. The database is asked every
few seconds, when another process calls, and when a connection came or went.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import log_failure
from smsgw.delivery.dispatcher import Dispatcher
from smsgw.errors import StoreError
from smsgw.store import unowned
from smsgw.store.database import Database
from smsgw.store.progress import StatusChange

if TYPE_CHECKING:
    from smsgw.store.presence import Presence

LOOK_SECONDS = 0.25
"""Between two looks at which links have a connection here."""

ASK_SECONDS = 2.0
"""Between two questions to the database when nobody calls."""

GRACE_SECONDS = 3.0
"""A link that lost its connections keeps its work so long: they may come back at once."""

RECENT_SECONDS = 10.0
"""A report may come to one process while another records its submit, and neither sees the other:
those that were parked so short a while ago are looked at with each question."""

PAGE_ROWS = 1000


class Neighbours:
    """What a process does because there are others.

    Args:
        database: Open before :meth:`start`.
        presence: Its own.
        reactor: Its clock and one timer.
        dispatcher: Sends what is ours.
        serves: Link name to whether one of its connections is ours.
        on_changes: Told of messages that came to an end, after the commit.
        on_taken_over: Called when the work of a dead process was taken over.

    Attributes:
        elsewhere: Links none of whose connections is ours.
    """

    log = Logger()

    def __init__(
        self,
        database: Database,
        presence: Presence,
        reactor: IReactorTime,
        dispatcher: Dispatcher,
        serves: Mapping[str, Callable[[], bool]],
        on_changes: Callable[[list[StatusChange]], None],
        on_taken_over: Callable[[], None],
    ) -> None:
        self._database = database
        self._presence = presence
        self._reactor = reactor
        self._dispatcher = dispatcher
        self._serves = serves
        self._on_changes = on_changes
        self._on_taken_over = on_taken_over
        self.elsewhere = set(serves)
        self._left_at: dict[str, float] = {}  # link -> since when it has no connection here
        self._returned: set[str] = set()  # links that do since then, and may have work in the store
        self._ask_at = 0.0
        self._asking = self._taking_over = False
        self._timer: IDelayedCall | None = None
        self._stopped = False
        dispatcher.elsewhere = dispatcher.sweep.elsewhere = self.elsewhere
        dispatcher.call = self.call
        presence.on_called = self._called
        presence.on_ended = self._ended

    def start(self) -> None:
        """Begin to look."""
        self._look()

    def stop(self) -> None:
        """Stop looking."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def forget(self, link: str) -> None:
        """Look after a link no more: it is none of ours any longer."""
        self.elsewhere.discard(link)
        self._left_at.pop(link, None)
        self._returned.discard(link)

    def call(self, link: str) -> None:
        """Tell the others that something of a link waits for whoever can send it."""
        self._presence.call(link)

    def _called(self, link: str) -> None:
        if link in self._serves and link not in self.elsewhere:
            self._ask_at = 0.0
            self._ask_soon()

    # ---- which links are ours ------------------------------------------------------------

    def _look(self) -> None:
        now = self._reactor.seconds()
        for link, serves in self._serves.items():
            if serves():
                self._left_at.pop(link, None)
                if link in self.elsewhere:
                    self.elsewhere.discard(link)
                    self._returned.add(link)
                    self._ask_at = 0.0
            elif link not in self.elsewhere:
                self.elsewhere.add(link)
                self._left_at[link] = now
        self._ask_soon()
        if not self._stopped:
            self._timer = self._reactor.callLater(LOOK_SECONDS, self._look)

    def _ask_soon(self) -> None:
        now = self._reactor.seconds()
        if self._asking or self._stopped or now < self._ask_at:
            return
        self._asking, self._ask_at = True, now + ASK_SECONDS
        asked = Deferred.fromCoroutine(self._ask(now))
        asked.addErrback(partial(log_failure, self.log))

    async def _ask(self, now: float) -> None:
        """Claim what is nobody's and can be sent here; give back what cannot."""
        served = [link for link in self._serves if link not in self.elsewhere]
        others = [
            link for link in self.elsewhere if now - self._left_at.get(link, 0) > GRACE_SECONDS
        ]
        find = partial(
            unowned.misplaced, node=self._database.ids.node, served=served, others=others
        )
        try:
            for link in self._returned.difference(self.elsewhere):
                await self._dispatcher.look_again(link)  # what could not be given back is ours
                self._returned.discard(link)
            found = await self._database.read(find)
            for link in found.unclaimed:
                await self._claim(link)
            for link in found.not_ours:
                await self._give_back(link)
            await self._dispatcher.sweep.rematch(RECENT_SECONDS)
        except StoreError as error:
            if not self._stopped:
                told = "work could not change its node: {why}"
                self.log.error(told, event="node.work_not_moved", why=str(error))
        finally:
            self._asking = False

    async def _claim(self, link: str) -> None:
        """Claim pages while there is room in memory for them."""
        classes = self._dispatcher.has_room(link)
        while classes and not self._stopped and link not in self.elsewhere:
            claim = partial(unowned.claim, link=link, classes=classes, limit=PAGE_ROWS)
            got = await self._database.writer.run(claim)
            if any(got.values()):
                await self._dispatcher.look_again(link)
            full = [kind for kind in classes if got[kind] == PAGE_ROWS]
            classes = [kind for kind in self._dispatcher.has_room(link) if kind in full]

    async def _give_back(self, link: str) -> None:
        self._dispatcher.leave(link)
        give_back = partial(unowned.give_back, link=link, limit=PAGE_ROWS)
        while not self._stopped and link in self.elsewhere:
            moved = await self._database.writer.run(give_back)
            self.call(link)
            if moved < PAGE_ROWS:
                return

    # ---- a process that died -------------------------------------------------------------

    def _ended(self, over: list[int]) -> None:
        if not self._taking_over and not self._stopped:
            self._taking_over = True
            took = Deferred.fromCoroutine(self._take_over(over))
            took.addErrback(partial(log_failure, self.log))

    async def _take_over(self, over: list[int]) -> None:
        try:
            for node in over:
                await self._take_over_one(node)
        except StoreError as error:
            told = "a node's work could not be taken over: {why}"
            self.log.error(told, event="node.work_not_moved", why=str(error))
        finally:
            self._taking_over = False

    async def _take_over_one(self, node: int) -> None:
        now = int(self._reactor.seconds() * 1000)
        begin = partial(
            unowned.begin_take_over,
            node=node,
            seconds=self._presence.lease_seconds,
            now_ms=now,
            until=self._dispatcher.sweep.doubt_until(now),
        )
        taken = await self._database.writer.run(begin)
        if taken is None:
            return
        self._on_changes(taken.interrupted.changes)
        moved, total = PAGE_ROWS, 0
        while moved == PAGE_ROWS and not self._stopped:
            pass_on = partial(unowned.pass_on, taken=taken, limit=PAGE_ROWS)
            moved = await self._database.writer.run(pass_on)
            total += moved
        self.log.warn(
            "node {node} is dead: {queued} segments it had queued go to who can send them,"
            " {unknown} it was sending are of unknown outcome",
            event="node.died",
            node=node,
            queued=total,
            unknown=taken.interrupted.count,
        )
        for link in self._serves:
            self.call(link)
        self._on_taken_over()
