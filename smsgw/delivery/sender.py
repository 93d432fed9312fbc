"""One link's way out: pick by class, mark, submit, settle. The dispatcher has one for each link.

Segments are taken out of the queue by the handful, in a committed batch, before they are submitted:
a crash never leaves one that may have been sent looking as if it had not. No more than the window's
free slots, and a few, are taken ahead. A segment that never left, because its connection was lost,
stays taken and is offered again at once.

After a carrier's "too fast" nothing of the link leaves until the pause is over. What was taken then
goes back behind what was refused, so that the order within a lane is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import commit_rows
from smsgw.delivery.lanes import Lane, Lanes
from smsgw.delivery.pace import STORE_PAUSE_SECONDS, Pace
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy, retry_at
from smsgw.delivery.settlements import gave_up, handful, settlement
from smsgw.delivery.throttle import Limits
from smsgw.delivery.unfinished import Unfinished
from smsgw.errors import Disposition
from smsgw.model import MessageStatus, Segment, SubmitResult
from smsgw.protocols.carrier import Carrier, ResultKind
from smsgw.store.outbox import SETTLE, Settled, Settlement
from smsgw.store.progress import StatusChange
from smsgw.store.queue import PUT_BACK, TAKE, QueuedSegment, Taken
from smsgw.store.writer import Writer
from smsgw.transport.causes import Cause, Limit
from smsgw.transport.results import NOT_SENT

TRIES = 60
"""How often an answer's settlement is tried, a second apart, when the store refuses it."""

AHEAD_MAX = 256
"""Segments taken out of the queue beyond the window's free slots, no more than the whole window:
how far what is urgent can be behind what is not."""

STOPPED_ERROR = "stopped before the answer came"

OnChanges = Callable[[list[StatusChange]], None]


class SendingLink(Protocol):
    """What is used of a :class:`smsgw.transport.link.Link`."""

    name: str
    carrier: Carrier
    on_results: Callable[[list[tuple[Any, SubmitResult]]], None]
    on_free: Callable[[], None]

    @property
    def up(self) -> bool: ...

    @property
    def free(self) -> int: ...

    @property
    def in_flight(self) -> int: ...

    @property
    def answer_seconds(self) -> float: ...

    @property
    def reason(self) -> str: ...

    def submit_many(self, items: Sequence[tuple[Segment, Any]]) -> int: ...


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
        on_hungry: Asked to read more of a lane from the store.
        chance: Random numbers from 0 to 1.
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
        on_hungry: Callable[[Sender, Lane], None],
        chance: Callable[[], float],
    ) -> None:
        self.link = link
        self.lanes = Lanes(lane_limit)
        self._writer = writer
        self._node = node
        self._reactor = reactor
        self._policy = policy
        self._doubt = doubt
        self._on_changes = on_changes
        self._on_hungry = on_hungry
        self._chance = chance
        self._pace = Pace(limits, reactor.seconds())
        self._taking = 0
        self._returning = 0  # refused as too fast, or taken before that: go back to their lanes
        self._ready: deque[QueuedSegment] = deque()  # taken, waiting for the link
        self._in_flight: dict[QueuedSegment, None] = {}
        self._left: dict[int, int] = {}  # of each handful, the segments nothing came of yet
        self._done: list[int] = []  # handfuls to forget
        self._unfinished = Unfinished(self._in_flight, reactor, self.log)
        self._timer: IDelayedCall | None = None
        self._stopping = False
        link.on_results = self._answered
        link.on_free = self.pump

    # ---- out -----------------------------------------------------------------------------

    def pump(self) -> None:
        """Send what may be sent now, and arm the timer for what may be sent later."""
        if self._stopping:
            return
        now = self._reactor.seconds()
        if self._returning or self._pace.paused(now):
            self._return_ready()
        elif self.link.up:
            self._submit_ready(now)
            room = min(self._room(), self._pace.available(now))
            if room > 0:
                self._take(room, now)
        self._pace.note(self._why(now), now)
        self._arm(now)
        for lane in self.lanes.hungry():
            self._on_hungry(self, lane)

    def _room(self) -> int:
        """Return how many segments may be taken out of the queue now.

        One handful at a time: the next is as large as what came free meanwhile. A few more than
        are free keep the window full while the store is busy.
        """
        if self._taking:
            return 0
        free = self.link.free
        return free + min(free + self.link.in_flight, AHEAD_MAX) - len(self._ready)

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

    def _take(self, room: int, now: float) -> None:
        picked, given_up = self.lanes.pick(room, int(now * 1000))
        if not picked and not given_up:
            return
        self._pace.take(len(picked), now)
        self._taking += len(picked)
        self._unfinished.run(self._take_and_submit(picked, given_up))

    async def _take_and_submit(
        self, picked: list[QueuedSegment], given_up: list[QueuedSegment]
    ) -> None:
        done, self._done = self._done, []
        row = handful(self.link.name, picked, given_up, done)
        (taken,) = await commit_rows(self._writer, TAKE, [row], self._reactor)
        self._taking -= len(picked)
        if taken is None:
            self._done += done
            self._pause(picked + given_up)
            return
        lost, given_up = self._taken(taken, picked, given_up)
        for item in lost:
            self.lanes.release(item)  # canceled or expired in the store meanwhile
        if given_up:
            at = int(self._reactor.seconds() * 1000)
            self._settle([gave_up(item, at) for item in given_up], given_up)
        if self._stopping:
            self._return_ready()
        else:
            self.pump()

    def _taken(
        self, taken: Taken, picked: list[QueuedSegment], given_up: list[QueuedSegment]
    ) -> tuple[list[QueuedSegment], list[QueuedSegment]]:
        """Make ready what was taken; return what was not there, and what is to be given up."""
        if taken.missing:
            lost = [item for item in picked + given_up if item.key in taken.missing]
            picked = [item for item in picked if item.key not in taken.missing]
            given_up = [item for item in given_up if item.key not in taken.missing]
        else:
            lost = []
        if taken.id:
            self._left[taken.id] = len(picked) + len(given_up)
        for item in picked:
            item.handful = taken.id
            item.attempts += 1
        for item in given_up:
            item.handful = taken.id
        self._ready.extend(picked)
        return lost, given_up

    def _came_to_something(self, item: QueuedSegment) -> None:
        """Count a segment of a handful; a handful that is done with is forgotten with the next."""
        left = self._left.get(item.handful, 0) - 1
        if left > 0:
            self._left[item.handful] = left
        elif item.handful:
            del self._left[item.handful]
            self._done.append(item.handful)
        item.handful = 0

    def _pause(self, items: list[QueuedSegment]) -> None:
        """Keep what the store could not take, and wait before anything else is taken."""
        self.log.error("link {link}: the store is in trouble, sending waits", link=self.link.name)
        self.lanes.put_back(items)
        self._pace.store_failed(self._reactor.seconds())
        self.pump()

    def _submit_ready(self, now: float) -> None:
        if not self._ready:
            return
        at = int(now * 1000)
        given_up = [i for i in self._ready if i.valid_until <= at or self.lanes.failed(i)]
        if given_up:
            self._ready = deque(item for item in self._ready if item not in given_up)
            self._settle([gave_up(item, at) for item in given_up], given_up)
        offered = islice(self._ready, self.link.free)
        taken = self.link.submit_many([(item.segment(), item) for item in offered])
        for _ in range(taken):
            self._in_flight[self._ready.popleft()] = None

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
                    unsent.append(item)
                    continue
            elif result.disposition is Disposition.UNKNOWN or not self.lanes.hold(item):
                continue  # nothing new; or it is being sent again, and that decides
            row = self._outcome(item, result, now, late)
            if row.state is MessageStatus.REJECTED:
                self.lanes.fail(item.message_id)  # at once: its other parts may be ready
            if result.kind == ResultKind.THROTTLE and row.state is MessageStatus.QUEUED:
                back.append((row, item))
            else:
                rows.append(row)
                items.append(item)
        self._ready.extendleft(reversed(unsent))
        if rows:
            self._settle(rows, items)
        if back:
            self._bring_back(back)
        if self._stopping:
            self._return_ready()
        else:
            self.pump()

    def _outcome(
        self, item: QueuedSegment, result: SubmitResult, now: float, late: bool
    ) -> Settlement:
        """Return what an answer means for its segment."""
        row = settlement(item, MessageStatus.SENT, int(now * 1000))
        row.carrier_message_id = result.carrier_message_id or None
        first, item.recorded = item.total == 1 and not item.recorded, True
        if result.disposition is Disposition.ACCEPTED:
            row.first = first
            return row
        row.stat, row.error = str(result.code), result.text
        if result.disposition is Disposition.UNKNOWN:
            row.state, row.stat = MessageStatus.UNKNOWN, ""
            row.next_attempt_at = self._doubt.until(row.at)
        elif result.disposition is Disposition.FINAL:
            row.state = MessageStatus.REJECTED
        else:
            due = self._due(item, result, now)
            if due is None:
                row.state = MessageStatus.REJECTED
                row.error = f"{result.text}, after {item.refusals} tries"
            else:
                item.due_at = int(due * 1000)
                row.state, row.next_attempt_at = MessageStatus.QUEUED, item.due_at
                row.again = item.queue_row(self._node, item.due_at)
                row.possible_duplicate = late  # the store allows the step back only so
        return row

    def _due(self, item: QueuedSegment, result: SubmitResult, now: float) -> float | None:
        if result.kind == ResultKind.THROTTLE:
            return self._pace.throttled(now)
        item.refusals += 1
        return retry_at(self._policy, item.refusals, now, self._chance())

    def _settle(self, rows: list[Settlement], items: list[QueuedSegment]) -> None:
        self._unfinished.run(self._settle_and_follow(rows, items))

    def _bring_back(self, pairs: list[tuple[Settlement, QueuedSegment]]) -> None:
        """Return segments to their lanes, in order; until they are there nothing is sent."""
        self._returning += len(pairs)
        rows, items = [row for row, _ in pairs], [item for _, item in pairs]
        self._unfinished.run(self._settle_and_follow(rows, items, len(pairs)))

    async def _settle_and_follow(
        self, rows: list[Settlement], items: list[QueuedSegment], returning: int = 0
    ) -> None:
        tries = 1 if self._stopping else TRIES
        settled = await commit_rows(self._writer, SETTLE, rows, self._reactor, tries)
        again = False
        for row, item, result in zip(rows, items, settled, strict=True):
            if result is not None:
                self._came_to_something(item)
            retry = row.again is not None and result is not None and result.applied
            if retry and not self._stopping:
                self.lanes.put_later(item, item.due_at, bounded=not returning)
                again = True
            else:
                self.lanes.release(item)
        self._returning -= returning
        self._tell(settled)
        if again or returning:
            self.pump()

    def _tell(self, settled: Iterable[Settled | None]) -> None:
        changes = [change for result in settled if result for change in result.changes]
        if changes:
            self.follow(changes)
            self._on_changes(changes)

    def follow(self, changes: Iterable[StatusChange]) -> None:
        """Stop sending parts of messages that have come to an end."""
        for change in changes:
            self.lanes.fail(change.message_id)

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
        self._return_ready()
        return Deferred.fromCoroutine(self._finish(timeout))

    async def _finish(self, timeout: float) -> None:
        await self._unfinished.wait(timeout)
        if self._in_flight:
            at = int(self._reactor.seconds() * 1000)
            items = list(self._in_flight)
            self._in_flight.clear()
            unknown = MessageStatus.UNKNOWN
            rows = [settlement(item, unknown, at, STOPPED_ERROR) for item in items]
            for row, item in zip(rows, items, strict=True):
                row.next_attempt_at, item.recorded = self._doubt.until(at), True
            self._settle(rows, items)
            await self._unfinished.wait(STORE_PAUSE_SECONDS)
        self._unfinished.cancel()

    def _return_ready(self) -> None:
        """Put segments that were marked, and never submitted, back where they came from."""
        if not self._ready:
            return
        items = list(self._ready)
        self._ready.clear()
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
                self._came_to_something(item)
            if back and not self._stopping:
                self.lanes.put_later(item, item.due_at, bounded=False)
            else:
                self.lanes.release(item)
        self._returning -= len(items)
        self.pump()
