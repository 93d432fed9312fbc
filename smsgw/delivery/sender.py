"""One link's way out: pick by class, mark, submit, settle. The dispatcher has one for each link.

Segments are taken out of the queue by the handful, in a committed batch, before they are submitted:
a crash never leaves one that may have been sent looking as if it had not. No more than the window's
free slots, and a few, are taken ahead. A segment that never left, because its connection was lost,
stays taken and is offered again at once.

After a carrier's "too fast" nothing of the link leaves until the pause is over. What was taken then
goes back behind what was refused, so that the order within a lane is kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import commit_rows
from smsgw.delivery.handfuls import Handfuls
from smsgw.delivery.lanes import Lane, Lanes
from smsgw.delivery.outcomes import Outcomes
from smsgw.delivery.pace import STORE_PAUSE_SECONDS, Pace
from smsgw.delivery.ready import Ready
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.delivery.sending_link import SendingLink
from smsgw.delivery.settlements import gave_up, handful
from smsgw.delivery.throttle import Limits
from smsgw.delivery.unfinished import Unfinished
from smsgw.errors import Disposition
from smsgw.model import MessageClass, MessageStatus, SubmitResult
from smsgw.protocols.carrier import ResultKind
from smsgw.protocols.traffic import Tally
from smsgw.store.outbox import SETTLE, Settled, Settlement, not_first
from smsgw.store.progress import StatusChange
from smsgw.store.queue import PUT_BACK, TAKE, QueuedSegment, Taken
from smsgw.store.writer import Writer
from smsgw.transport.causes import Cause, Limit
from smsgw.transport.results import NOT_SENT

TRIES = 86_400
"""How often an answer's settlement is tried, a second apart, when the store refuses it: a disk may
be full for a night, and what is given up waits for the next start, and is then sent again."""

WAIT_SECONDS = (0.05, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 14400.0)
"""Bounds by which times between acceptance, submit and delivery are counted."""

AHEAD_MAX = 256
"""Segments taken out of the queue beyond the window's free slots, no more than the whole window;
urgent ones have as much room beside the others."""

FAR_SECONDS = 600.0
"""What is due later than that waits in the store, so that it takes no room in its lane. How often
it was refused is forgotten there, so no wait that is counted may be longer."""

OnChanges = Callable[[list[StatusChange]], None]


class Sender:
    """Sends one link's segments and settles what becomes of each.

    Args:
        link: Its ``on_results`` and ``on_free`` are set here.
        writer: Where settlements go.
        reactor: Its clock and one timer.
        node: Whose place in the queue a segment gets that is put back.
        limits: What was agreed about speed.
        policy: When a refused segment is tried again.
        doubt: How long an unknown outcome is waited for.
        lane_limit: The most segments of one class in memory.
        on_changes: Told which messages got a new status, after the commit.
        on_queued: Given segments that are queued for other links now, or for much later.
        on_hungry: Asked to read more of a lane from the store.
        chance: Random numbers from 0 to 1.

    Attributes:
        waits: By class, seconds from a message's acceptance to the first submit of each part.
        retries: How often segments went back to be sent again, by what the refusal was about.
    """

    log = Logger()

    def __init__(
        self,
        link: SendingLink,
        writer: Writer,
        reactor: IReactorTime,
        *,
        node: int,
        limits: Limits,
        policy: RetryPolicy,
        doubt: DoubtPolicy,
        lane_limit: int,
        on_changes: OnChanges,
        on_queued: Callable[[list[QueuedSegment]], None],
        on_hungry: Callable[[Sender, Lane], None],
        chance: Callable[[], float],
    ) -> None:
        self.link = link
        self.lanes = Lanes(lane_limit)
        self.waits = {str(kind): Tally(WAIT_SECONDS) for kind in MessageClass}
        self.retries = Counter({"throttle": 0, "not sent": 0})
        self._writer = writer
        self._node = node
        self._reactor = reactor
        self._on_changes = on_changes
        self._on_queued = on_queued
        self._on_hungry = on_hungry
        self._pace = Pace(limits, reactor.seconds())
        self._outcomes = Outcomes(node, policy, doubt, self._pace, chance)
        self._taking = 0
        self._returning = 0  # refused as too fast, or taken before that: go back to their lanes
        self._ready = Ready()  # taken, waiting for the link
        self._in_flight: dict[QueuedSegment, None] = {}
        self._handfuls = Handfuls()
        self._unfinished = Unfinished(self._in_flight, reactor, self.log)
        self._timer: IDelayedCall | None = None
        self._stopping = False
        self.carry_on(link)

    # ---- what may change -----------------------------------------------------------------

    def carry_on(self, link: SendingLink) -> None:
        """Send over this link from now on: the same account, in new terms."""
        self.link = link
        link.on_results = self._answered
        link.on_free = self.pump

    def agree(self, limits: Limits) -> None:
        """Go by another agreed speed from now on."""
        self._pace.agree(limits, self._reactor.seconds())
        self.pump()

    def adopt(self, policy: RetryPolicy, doubt: DoubtPolicy) -> None:
        """Go by other policies from now on."""
        self._outcomes.policy, self._outcomes.doubt = policy, doubt

    # ---- out -----------------------------------------------------------------------------

    def pump(self) -> None:
        """Send what may be sent now, and arm the timer for what may be sent later."""
        if self._stopping:
            return
        now = self._reactor.seconds()
        if self._returning or self._pace.paused(now):
            self.return_ready()
        else:
            self._give_up_ready(now)
            if self.link.up:
                self._submit_ready()
                self._take(now)
        self._pace.note(self._why(now), now)
        self._arm(now)
        for lane in self.lanes.hungry():
            self._on_hungry(self, lane)

    def _why(self, now: float) -> Limit:
        """What keeps the link from sending more."""
        link = self.link
        if not link.up:
            return Limit(Cause.NOT_BOUND, link.reason)
        free = link.free > 0
        return self._pace.why(
            self.lanes,
            ready=len(self._ready),
            in_store=bool(self._taking or self._returning or self.lanes.any_in_store()),
            free=free,
            answer_seconds=0.0 if free else link.answer_seconds,
            now=now,
        )

    def _take(self, now: float) -> None:
        """Take a handful out of the queue, and no other before that is done.

        It is as large as what came free meanwhile. A few more than are free keep the window full
        while the store is busy; those of urgent classes do not count against the others, and so
        never wait for the store until others have left.
        """
        if self._taking:
            return
        free, available = self.link.free, self._pace.available(now)
        ahead = free + min(free + self.link.in_flight, AHEAD_MAX)
        urgent, others = ahead - self._ready.count(True), ahead - self._ready.count(False)
        if available <= 0 or (urgent <= 0 and others <= 0):
            return
        picked, given_up = self.lanes.pick(available, int(now * 1000), urgent, others)
        if not picked and not given_up:
            return
        self._pace.take(len(picked), now)
        self._taking += len(picked)
        self._unfinished.run(self._take_and_submit(picked, given_up))

    async def _take_and_submit(
        self, picked: list[QueuedSegment], given_up: list[QueuedSegment]
    ) -> None:
        done = self._handfuls.take_done()
        row = handful(self.link.name, picked, given_up, done)
        (taken,) = await commit_rows(self._writer, TAKE, [row], self._reactor)
        self._taking -= len(picked)
        if taken is None:
            self._handfuls.not_forgotten(done)
            self._pause(picked + given_up)
            return
        lost, given_up = self._taken(taken, picked, given_up)
        for item in lost:
            self.lanes.release(item)  # canceled or expired in the store meanwhile
        if given_up:
            at = int(self._reactor.seconds() * 1000)
            self._settle([gave_up(item, at) for item in given_up], given_up)
        if self._stopping:
            self.return_ready()
        else:
            self.pump()

    def _taken(
        self, taken: Taken, picked: list[QueuedSegment], given_up: list[QueuedSegment]
    ) -> tuple[list[QueuedSegment], list[QueuedSegment]]:
        """Make ready what was taken; return what was not there, and what is to be given up."""
        missing = taken.missing
        lost = [item for item in picked + given_up if item.key in missing] if missing else []
        if lost:
            picked = [item for item in picked if item.key not in missing]
            given_up = [item for item in given_up if item.key not in missing]
        self._handfuls.opened(taken.id, picked + given_up)
        for item in picked:
            item.waiting_since = item.waits_since
            item.attempts += 1
        self._ready.add(picked)
        return lost, given_up

    def _pause(self, items: list[QueuedSegment]) -> None:
        """Keep what the store could not take, and wait before anything else is taken."""
        self.lanes.put_back(items)
        self._pace.store_failed(self._reactor.seconds())
        self.pump()

    def _give_up_ready(self, now: float) -> None:
        at = int(now * 1000)
        given_up = [i for i in self._ready if i.valid_until <= at or self.lanes.failed(i)]
        if given_up:
            self._ready.remove(given_up)
            self._settle([gave_up(item, at) for item in given_up], given_up)

    def _submit_ready(self) -> None:
        items = self._ready.take(self.link.free)
        if not items:
            return
        taken = self.link.submit_many([(item.segment(), item) for item in items])
        now = int(self._reactor.seconds() * 1000)
        for item in items[:taken]:
            self._in_flight[item] = None
            if item.attempts == 1:
                self.waits[item.message_class].add((now - item.waits_since) / 1000)
        self._ready.put_back(items[taken:])

    # ---- back ----------------------------------------------------------------------------

    def _answered(self, results: list[tuple[Any, SubmitResult]]) -> None:
        now = self._reactor.seconds()
        rows: list[Settlement] = []
        items: list[QueuedSegment] = []
        back: list[tuple[Settlement, QueuedSegment]] = []
        unsent: list[QueuedSegment] = []
        for item, result in results:
            late = item not in self._in_flight
            if not late:
                del self._in_flight[item]
                if result.code == NOT_SENT:
                    self.retries["not sent"] += 1
                    unsent.append(item)
                    continue
            elif result.disposition is Disposition.UNKNOWN or not self.lanes.hold(item):
                if result.disposition is Disposition.ACCEPTED:
                    self._unfinished.run(self._learn(self._outcomes.of(item, result, now, late)))
                continue
            row = self._outcomes.of(item, result, now, late)
            if row.state is MessageStatus.REJECTED and not row.elsewhere:
                self.lanes.fail([item.message_id])  # at once: its other parts may be ready
            if row.state is MessageStatus.QUEUED or row.elsewhere:
                self.retries[str(result.kind)] += 1
            if row.state is MessageStatus.QUEUED and result.kind == ResultKind.THROTTLE:
                back.append((row, item))
            else:
                rows.append(row)
                items.append(item)
        self._ready.put_back(unsent)
        if rows:
            self._settle(rows, items)
        if back:
            self._bring_back(back)
        if self._stopping:
            self.return_ready()
        else:
            self.pump()

    def _settle(self, rows: list[Settlement], items: list[QueuedSegment]) -> None:
        self._unfinished.run(self._settle_and_follow(rows, items))

    async def _learn(self, row: Settlement) -> None:
        """Note that the carrier took a segment that is being sent again, or settled just now."""
        settled = await commit_rows(self._writer, SETTLE, [row], self._reactor, TRIES)
        self._tell(settled)

    def _bring_back(self, pairs: list[tuple[Settlement, QueuedSegment]]) -> None:
        """Return segments to their lanes, in order; until they are there nothing is sent."""
        self._returning += len(pairs)
        rows, items = [row for row, _ in pairs], [item for _, item in pairs]
        self._unfinished.run(self._settle_and_follow(rows, items, len(pairs)))

    async def _settle_and_follow(
        self, rows: list[Settlement], items: list[QueuedSegment], returning: int = 0
    ) -> None:
        tries = 1 if self._stopping else TRIES
        settled = await commit_rows(self._writer, SETTLE, rows, self._reactor, tries, not_first)
        again, far = False, int((self._reactor.seconds() + FAR_SECONDS) * 1000)
        for item, result in zip(items, settled, strict=True):
            if result is not None:
                self._handfuls.came_to_something(item)
            if result is None or not result.again or self._stopping:
                self.lanes.release(item)
            elif item.due_at > far:
                self.lanes.release(item)
                self._on_queued([item])
            else:
                self.lanes.put_later(item, item.due_at, bounded=not returning)
                again = True
        self._returning -= returning
        self._tell(settled)
        if again or returning:
            self.pump()

    def _tell(self, settled: Sequence[Settled | None]) -> None:
        moved = [item for result in settled if result and result.moved for item in result.moved]
        if moved:
            self.lanes.drop({item.message_id for item in moved})
            self._on_queued(moved)
        changes = [change for result in settled if result for change in result.changes]
        if changes:
            self.follow(changes)
            self._on_changes(changes)

    def become(self, node: int) -> None:
        """Give segments a place in another node's queue from now on."""
        self._node = self._outcomes.node = node

    def follow(self, changes: Iterable[StatusChange]) -> None:
        """Stop sending parts of messages that have come to an end."""
        self.lanes.fail(change.message_id for change in changes)

    # ---- time and end --------------------------------------------------------------------

    def wake_in(self, seconds: float) -> None:
        """Call :meth:`pump` after so long, unless the timer is due earlier."""
        if self._stopping:
            return
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._reactor.seconds() + seconds:
                return
            self._timer.cancel()
        self._timer = self._reactor.callLater(seconds, self.pump)

    def _arm(self, now: float) -> None:
        if not self.link.up:
            return  # ``on_free`` tells
        waits: list[float] = []
        due = self.lanes.next_due()
        if due is not None:
            waits.append(due / 1000 - now)
        if self.lanes.any_ready():
            held_up = self._pace.wait(now)
            if held_up > 0:
                waits.append(held_up)
        if waits:
            self.wake_in(max(0.001, min(waits)))

    def state(self) -> dict[str, Any]:
        """Return what waits where and why, JSON-ready."""
        now = self._reactor.seconds()
        self._pace.note(self._why(now), now)
        return {
            "queued": len(self.lanes),
            "sending": self._taking + len(self._ready) + len(self._in_flight),
            "more_in_store": any(lane.more for lane in self.lanes),
            "rate": self._pace.rate,
            "limited_by": self._pace.state(),
        }

    @property
    def rate(self) -> float | None:
        """Submits a second in force now; None without a limit."""
        return self._pace.rate

    def queues(self) -> dict[str, tuple[int, float]]:
        """Return by class how many segments wait, about, and the seconds the oldest does."""
        now = self._reactor.seconds() * 1000
        found: dict[str, tuple[int, float]] = {}
        for lane in self.lanes:
            ready = [item for item in self._ready if item.message_class is lane.message_class]
            waits = [item.waits_since for item in ready]
            if lane.waits_since is not None:
                waits.append(lane.waits_since)
            oldest = max(0.0, (now - min(waits)) / 1000) if waits else 0.0
            depth = max(lane.backlog, len(lane.ready)) + len(ready)
            found[lane.message_class] = (depth, oldest)
        return found

    def limited_seconds(self) -> Mapping[str, float]:
        """Return the seconds the link was held up so far, by cause."""
        now = self._reactor.seconds()
        self._pace.note(self._why(now), now)
        return self._pace.limited_seconds(now)

    def stop(self, timeout: float) -> Deferred[None]:
        """Stop sending; fire when what is in flight is settled, as unknown after ``timeout``."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.return_ready()
        return Deferred.fromCoroutine(self._finish(timeout))

    async def settle(self, timeout: float) -> None:
        """Put back what was taken and cannot be sent now; wait so long until that is recorded."""
        self.return_ready()
        await self._unfinished.wait(timeout)
        self.return_ready()  # what was being taken meanwhile
        await self._unfinished.wait(timeout)

    def hurry(self) -> None:
        """Have a stop not wait for answers any longer."""
        self._unfinished.let_go()

    async def _finish(self, timeout: float) -> None:
        await self._unfinished.wait(timeout)
        if self._in_flight:
            now = self._reactor.seconds()
            items = list(self._in_flight)
            self._in_flight.clear()
            self._settle([self._outcomes.stopped(item, now) for item in items], items)
            await self._unfinished.wait(STORE_PAUSE_SECONDS)
        self._unfinished.cancel()

    def return_ready(self) -> None:
        """Put segments that were marked, and never submitted, back where they came from."""
        if not self._ready:
            return
        items = self._ready.clear()
        now = self._reactor.seconds()
        due = int(self._pace.resumes(now) * 1000)
        for item in items:
            item.attempts -= 1
            item.due_at = due
        self._returning += len(items)
        self._unfinished.run(self._put_back(items))

    async def _put_back(self, items: list[QueuedSegment]) -> None:
        tries = 1 if self._stopping else TRIES
        rows = [item.queue_row(self._node, item.due_at) for item in items]
        returned = await commit_rows(self._writer, PUT_BACK, rows, self._reactor, tries)
        for item, back in zip(items, returned, strict=True):
            if back:
                self._handfuls.came_to_something(item)
            if back and not self._stopping:
                self.lanes.put_later(item, item.due_at, bounded=False)
            else:
                self.lanes.release(item)
        self._returning -= len(items)
        self.pump()
