"""A lane for each webhook: who has news is woken, and none waits for another.

What is new is asked for once for all of them, as accounts and kinds; only whom it concerns then
reads events. Which webhooks there are is asked for now and then, and when one was changed here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.services.webhooks.lane import Lane, Tools
from smsgw.services.webhooks.shards import Shards, shard_of
from smsgw.store import redeliveries, wanted, webhooks
from smsgw.store.webhooks import WebhookRow

if TYPE_CHECKING:
    from smsgw.store.presence import Permit

NEWS_GAP = 0.02
"""The shortest time between two questions for news, in seconds."""

LOOK_SECONDS = 30.0
"""Between two looks at everything: which webhooks there are, who is behind, what is counted."""

SHARED_LOOK_SECONDS = 1.0
"""Between two looks for what other processes recorded."""

STOP_SECONDS = 3.0
"""How long a stop waits for answers; what is given up then is posted again after the next start."""


def _alone(pool: str, size: int) -> Permit | None:
    return None


class Subscribers:
    """Delivers events to webhooks.

    Args:
        tools: What lanes use.
        permit: As in :class:`smsgw.services.webhooks.shards.Shards`.
        cancel: Gives up the POSTs that are under way.

    Attributes:
        backlog: Events that wait, at the last count; of each webhook 5000 are counted at most.
        dead: Events that are dead letters, at the last count.
        paused: Webhooks that are paused, at the last count.
    """

    log = Logger()

    def __init__(
        self,
        tools: Tools,
        permit: Callable[[str, int], Permit | None] = _alone,
        cancel: Callable[[], None] = lambda: None,
    ) -> None:
        self.backlog = self.dead = self.paused = 0
        self._tools = tools
        self._cancel = cancel
        self._lanes: dict[int, Lane] = {}
        self._ending: dict[int, Deferred[None]] = {}
        self._shards = Shards(permit, self.reload)
        self._running = False
        self._tail = 0  # the newest event that lanes were told of
        self._asking = self._loading = False
        self._ask_again = self._load_again = False
        self._timer: IDelayedCall | None = None
        self._ask_timer: IDelayedCall | None = None
        self._counted_at = 0.0

    # ---- life ----------------------------------------------------------------------------

    async def start(self) -> None:
        """Go on where the last run ended."""
        self._running = True
        self._shards.start()
        await self._load()
        await self._count()
        self._tick()

    async def stop(self) -> None:
        """Begin nothing more, and record what is on its way."""
        self._running = False
        for timer in (self._timer, self._ask_timer):
            if timer is not None and timer.active():
                timer.cancel()
        ended = [lane.stop() for lane in self._lanes.values()]
        late = self._tools.clock.callLater(STOP_SECONDS, self._cancel)
        await DeferredList([*ended, *self._ending.values()])
        if late.active():
            late.cancel()
        await self._guarded(self._pass_over())

    def committed(self) -> None:
        """Something was recorded here: events, perhaps."""
        if self._lanes and self._running:
            self._ask_soon()

    def reload(self) -> None:
        """Webhooks were changed, or became ours."""
        if self._running:
            self._watched(self._load())

    @property
    def oldest_seconds(self) -> float:
        """How long the event waits that waits the longest for an acknowledgement."""
        waiting = [lane.oldest_at for lane in self._lanes.values() if lane.oldest_at is not None]
        return max(0.0, (self._tools.now() - min(waiting)) / 1000) if waiting else 0.0

    def _tick(self) -> None:
        self.reload()
        self._ask_soon()
        now = self._tools.clock.seconds()
        if now - self._counted_at >= LOOK_SECONDS:
            self._counted_at = now
            self._watched(self._count())
        pause = SHARED_LOOK_SECONDS if self._shards.shared else LOOK_SECONDS
        self._timer = self._tools.clock.callLater(pause, self._tick)

    def _watched(self, work: object) -> None:
        Deferred.fromCoroutine(self._guarded(work)).addErrback(self._failed)

    async def _guarded(self, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except StoreError as error:
            if self._running:
                told = "webhooks could not be looked after: {why}"
                self.log.warn(told, event="webhooks.wait", why=str(error))

    def _failed(self, failure: Failure) -> None:
        self.log.failure("looking after webhooks failed", failure, event="webhooks.failed")

    # ---- which webhooks ------------------------------------------------------------------

    async def _load(self) -> None:
        """Have a lane for each webhook that is active and ours; one look at a time."""
        self._load_again = True
        if self._loading:
            return
        self._loading = True
        try:
            while self._load_again and self._running:
                self._load_again = False
                await self._load_once()
        finally:
            self._loading = False

    async def _load_once(self) -> None:
        store = self._tools.store
        leaving = self._shards.wanted_back()
        found = await store.read(webhooks.versions)
        ours = {
            webhook_id: version
            for webhook_id, version in found.items()
            if self._shards.has(webhook_id) and shard_of(webhook_id) not in leaving
        }
        for webhook_id in self._lanes.keys() - ours.keys():
            self._end(webhook_id)
        for number in leaving - {shard_of(webhook_id) for webhook_id in self._ending}:
            self._shards.give_back(number)
        lanes = self._lanes
        changed = [
            webhook_id
            for webhook_id, version in ours.items()
            if webhook_id not in lanes or lanes[webhook_id].row.version != version
        ]
        if not changed:
            return
        if not lanes:
            self._tail = await store.read(wanted.newest)
        for row in await store.read(partial(webhooks.rows_of, ids=changed)):
            self._begin(row)

    def _begin(self, row: WebhookRow) -> None:
        if not self._running or row.id in self._ending:
            return  # looked at again when the lane before has ended
        lane = self._lanes.get(row.id)
        if lane is not None:
            lane.update(row)
        else:
            self._lanes[row.id] = lane = Lane(row, self._tools)
            lane.start()

    def _end(self, webhook_id: int) -> None:
        ended = self._lanes.pop(webhook_id).stop()
        if not ended.called:
            self._ending[webhook_id] = ended
            ended.addCallback(self._has_ended, webhook_id)

    def _has_ended(self, _: None, webhook_id: int) -> None:
        del self._ending[webhook_id]
        self.reload()

    # ---- news ----------------------------------------------------------------------------

    def _ask_soon(self) -> None:
        self._ask_again = True
        if not self._asking and self._ask_timer is None and self._lanes:
            self._ask_timer = self._tools.clock.callLater(NEWS_GAP, self._ask)

    def _ask(self) -> None:
        self._ask_timer = None
        self._asking, self._ask_again = True, False
        self._watched(self._hear())

    async def _hear(self) -> None:
        try:
            before = self._tail
            found = await self._tools.store.read(partial(wanted.news, after=before))
            if found and self._tail == before:
                self._tail = max(newest for _, _, newest in found)
                self._tell({(account, kind) for account, kind, _ in found}, before)
        finally:
            self._asking = False
            if self._ask_again and self._running:
                self._ask_soon()

    def _tell(self, found: set[tuple[str, str]], before: int) -> None:
        for lane in self._lanes.values():
            accounts, patterns = wanted.accounts_of(lane.row), lane.row.patterns
            if any(acc in accounts and wanted.wants(patterns, kind) for acc, kind in found):
                lane.wake()
            elif lane.idle and lane.position >= before:
                lane.position = max(lane.position, self._tail)

    # ---- now and then --------------------------------------------------------------------

    async def _count(self) -> None:
        """Count what waits, wake who is behind, and record how far the others are."""
        backlog = 0
        for lane in list(self._lanes.values()):
            if lane.idle and lane.position >= self._tail:
                continue
            count = partial(wanted.count_events, row=lane.row, after=lane.row.cursor, until=None)
            backlog += (await self._tools.store.read(count))[0]
            lane.wake()
        self.backlog = backlog
        dead = await self._tools.store.read(redeliveries.dead)
        self.dead = sum(events for made, events in dead.items() if self._shards.has(made))
        paused = await self._tools.store.read(webhooks.paused)
        self.paused = sum(map(self._shards.has, paused))
        await self._pass_over()

    async def _pass_over(self) -> None:
        far = [
            (lane.row, lane.position)
            for lane in self._lanes.values()
            if not lane.row.batch_id and lane.position > lane.row.cursor
        ]
        if not far:
            return

        def work(connection: Connection) -> None:
            for row, position in far:
                webhooks.pass_over(connection, row, position)

        await self._tools.store.writer.run(work)
        for row, position in far:
            row.cursor = max(row.cursor, position)
