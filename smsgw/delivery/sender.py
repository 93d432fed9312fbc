"""One link's way out: pick by class, mark, submit, settle. The dispatcher has one for each link.

Every segment is marked ``sending`` in a committed batch before it is submitted, so that a crash
never leaves one that may have been sent looking as if it had not. That costs one more write for
each segment; no more than the window's free slots are marked ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smsgw.delivery.commits import commit_rows, log_failure
from smsgw.delivery.lanes import Lane, Lanes, QueuedSegment
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy, retry_at
from smsgw.delivery.throttle import THROTTLE_CODES, Limits, TokenBucket
from smsgw.errors import Disposition
from smsgw.model import FINAL_RANK, STATUS_RANK, MessageStatus, Segment, SubmitResult
from smsgw.protocols.carrier import Carrier
from smsgw.store.backlog import EXPIRED_ERROR, UNKNOWN_ERROR
from smsgw.store.outbox import SETTLE, Settled, Settlement
from smsgw.store.progress import StatusChange
from smsgw.store.writer import Writer

TRIES = 60
"""How often an answer's settlement is tried, a second apart, when the store refuses it."""

STORE_PAUSE_SECONDS = 1.0
"""How long nothing is sent after the store refused to mark segments; one alone waits so long, and
each time twice as long."""

STORE_PAUSE_MAX_SECONDS = 300.0

SIBLING_ERROR = "another part of the message failed"
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

    def submit_many(self, items: Sequence[tuple[Segment, Any]]) -> int: ...


class Sender:
    """Sends one link's segments and settles what becomes of each.

    Args:
        link: Its ``on_results`` and ``on_free`` are set here.
        writer: Where settlements go.
        reactor: Its clock and one timer.
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
        self._reactor = reactor
        self._policy = policy
        self._doubt = doubt
        self._on_changes = on_changes
        self._on_hungry = on_hungry
        self._chance = chance
        codes = limits.throttle_codes
        self._throttle_codes = (
            THROTTLE_CODES.get(link.carrier.name, frozenset()) if codes is None else codes
        )
        self._bucket = TokenBucket(limits.rate, reactor.seconds())
        self._store_pause = 0.0
        self._marking = 0
        self._ready: deque[QueuedSegment] = deque()  # marked, waiting for the link
        self._in_flight: dict[int, QueuedSegment] = {}
        self._settling: set[Deferred[None]] = set()
        self._timer: IDelayedCall | None = None
        self._stopping = False
        self._idle: Deferred[None] | None = None
        link.on_results = self._answered
        link.on_free = self.pump

    # ---- out -----------------------------------------------------------------------------

    def pump(self) -> None:
        """Send what may be sent now, and arm the timer for what may be sent later."""
        if self._stopping:
            return
        now = self._reactor.seconds()
        if self.link.up:
            self._submit_ready(now)
            room = self.link.free - len(self._ready) - self._marking
            room = min(room, self._bucket.available(now))
            if room > 0 and now >= self._store_pause:
                self._mark(room, now)
        self._arm(now)
        for lane in self.lanes.hungry():
            self._on_hungry(self, lane)

    def _mark(self, room: int, now: float) -> None:
        at = int(now * 1000)
        picked, given_up = self.lanes.pick(room, at)
        rows = [_settlement(item, MessageStatus.SENDING, at) for item in picked]
        for row in rows:
            row.attempts += 1
        rows += [self._gave_up(item, at) for item in given_up]
        if not rows:
            return
        self._bucket.take(len(picked), now)
        self._marking += len(picked)
        self._follow_up(self._mark_and_submit(rows, picked, given_up))

    async def _mark_and_submit(
        self, rows: list[Settlement], picked: list[QueuedSegment], given_up: list[QueuedSegment]
    ) -> None:
        settled = await commit_rows(self._writer, SETTLE, rows, self._reactor)
        self._marking -= len(picked)
        if not any(settled):
            self._pause(picked + given_up)
            return
        for item, result in zip(picked, settled, strict=False):
            if result is None:
                self._put_off(item)
            elif result.applied:
                item.row.attempts += 1
                self._ready.append(item)
            else:
                self.lanes.release(item)  # canceled or expired in the store meanwhile
        for item in given_up:
            self.lanes.release(item)
        self._tell(settled)
        if self._stopping:
            self._return_ready()
        else:
            self.pump()

    def _put_off(self, item: QueuedSegment) -> None:
        """Keep one segment that the store could not mark beside others, and try it again later."""
        item.failures += 1
        wait = min(STORE_PAUSE_SECONDS * 2 ** min(item.failures - 1, 16), STORE_PAUSE_MAX_SECONDS)
        self.lanes.put_later(item, int((self._reactor.seconds() + wait) * 1000))

    def _pause(self, items: list[QueuedSegment]) -> None:
        """Keep what the store could not mark, and wait before anything else is marked."""
        self.log.error("link {link}: the store is in trouble, sending waits", link=self.link.name)
        self.lanes.put_back(items)
        self._store_pause = self._reactor.seconds() + STORE_PAUSE_SECONDS
        self.pump()

    def _submit_ready(self, now: float) -> None:
        if not self._ready:
            return
        at = int(now * 1000)
        given_up = [i for i in self._ready if i.valid_until <= at or self.lanes.failed(i)]
        if given_up:
            self._ready = deque(item for item in self._ready if item not in given_up)
            self._settle([self._gave_up(item, at) for item in given_up], given_up)
        taken = self.link.submit_many([(item.segment(), item) for item in self._ready])
        for _ in range(taken):
            item = self._ready.popleft()
            self._in_flight[item.row.id] = item

    def _gave_up(self, item: QueuedSegment, at: int) -> Settlement:
        if item.valid_until <= at:
            state = MessageStatus.EXPIRED
            error = UNKNOWN_ERROR if item.row.possible_duplicate else EXPIRED_ERROR
        else:
            state, error = MessageStatus.CANCELED, SIBLING_ERROR
        return _settlement(item, state, at, error)

    # ---- back ----------------------------------------------------------------------------

    def _answered(self, results: list[tuple[Any, SubmitResult]]) -> None:
        now = self._reactor.seconds()
        rows: list[Settlement] = []
        items: list[QueuedSegment] = []
        for item, result in results:
            late = self._in_flight.get(item.row.id) is not item
            if not late:
                del self._in_flight[item.row.id]
            elif result.disposition is Disposition.UNKNOWN or not self.lanes.hold(item):
                continue  # nothing new; or it is being sent again, and that decides
            rows.append(self._outcome(item, result, now, late))
            items.append(item)
        if rows:
            self._settle(rows, items)
        self.pump()

    def _outcome(
        self, item: QueuedSegment, result: SubmitResult, now: float, late: bool
    ) -> Settlement:
        """Return what an answer means for its segment."""
        row = _settlement(item, MessageStatus.SENT, int(now * 1000))
        row.carrier_message_id = result.carrier_message_id or None
        if result.disposition is Disposition.ACCEPTED:
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
                row.state, row.next_attempt_at = MessageStatus.QUEUED, int(due * 1000)
                row.possible_duplicate = late  # the store allows the step back only so
        return row

    def _due(self, item: QueuedSegment, result: SubmitResult, now: float) -> float | None:
        if result.code in self._throttle_codes:
            self._bucket.throttled(now)
            return max(now, self._bucket.paused_until)
        item.refusals += 1
        return retry_at(self._policy, item.refusals, now, self._chance())

    def _settle(self, rows: list[Settlement], items: list[QueuedSegment]) -> None:
        self._follow_up(self._settle_and_follow(rows, items))

    def _follow_up(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Run something that waits for the store; :meth:`stop` waits for it."""
        running = Deferred.fromCoroutine(work)
        self._settling.add(running)

        def ended(outcome: Any) -> None:
            self._settling.discard(running)
            log_failure(self.log, outcome)
            self._check_idle()

        running.addBoth(ended)

    async def _settle_and_follow(self, rows: list[Settlement], items: list[QueuedSegment]) -> None:
        tries = 1 if self._stopping else TRIES
        settled = await commit_rows(self._writer, SETTLE, rows, self._reactor, tries)
        again = False
        for row, item, result in zip(rows, items, settled, strict=True):
            retry = row.state is MessageStatus.QUEUED and row.next_attempt_at is not None
            if retry and result is not None and result.applied and not self._stopping:
                self.lanes.put_later(item, row.next_attempt_at or 0)
                again = True
            else:
                self.lanes.release(item)
        self._tell(settled)
        if again:
            self.pump()

    def _tell(self, settled: Iterable[Settled | None]) -> None:
        changes = [change for result in settled if result for change in result.changes]
        if changes:
            self.follow(changes)
            self._on_changes(changes)

    def follow(self, changes: Iterable[StatusChange]) -> None:
        """Stop sending parts of messages that have come to an end."""
        for change in changes:
            if STATUS_RANK[change.status] == FINAL_RANK:
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
            held_up = max(self._bucket.wait(now), self._store_pause - now)
            if held_up > 0:
                waits.append(held_up)
        if waits:
            self.wake_in(max(0.001, min(waits)))

    def state(self) -> dict[str, Any]:
        """Return what waits where, JSON-ready."""
        return {
            "queued": len(self.lanes),
            "sending": self._marking + len(self._ready) + len(self._in_flight),
            "more_in_store": any(lane.more for lane in self.lanes),
            "rate": self._bucket.rate,
        }

    def stop(self, timeout: float) -> Deferred[None]:
        """Stop sending; fire when what is in flight is settled, as unknown after ``timeout``."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._return_ready()
        return Deferred.fromCoroutine(self._finish(timeout))

    async def _finish(self, timeout: float) -> None:
        await self._until_idle(timeout)
        if self._in_flight:
            at = int(self._reactor.seconds() * 1000)
            items = list(self._in_flight.values())
            self._in_flight.clear()
            unknown = MessageStatus.UNKNOWN
            rows = [_settlement(item, unknown, at, STOPPED_ERROR) for item in items]
            for row in rows:
                row.next_attempt_at = self._doubt.until(at)
            self._settle(rows, items)
            await self._until_idle(STORE_PAUSE_SECONDS)
        for running in list(self._settling):
            running.cancel()

    async def _until_idle(self, timeout: float) -> None:
        if self._busy():
            self._idle = Deferred()
            give_up = self._reactor.callLater(timeout, self._fire_idle)
            await self._idle
            if give_up.active():
                give_up.cancel()

    def _busy(self) -> bool:
        return bool(self._in_flight or self._settling)

    def _check_idle(self) -> None:
        if self._idle is not None and not self._busy():
            self._fire_idle()

    def _fire_idle(self) -> None:
        if self._idle is not None:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def _return_ready(self) -> None:
        """Put segments that were marked, and never submitted, back in the store's queue."""
        if not self._ready:
            return
        items = list(self._ready)
        self._ready.clear()
        at = int(self._reactor.seconds() * 1000)
        rows = [_settlement(item, MessageStatus.QUEUED, at) for item in items]
        for row in rows:
            row.next_attempt_at = at
        self._settle(rows, items)


def _settlement(item: QueuedSegment, state: MessageStatus, at: int, error: str = "") -> Settlement:
    row = item.row
    return Settlement(row.id, row.message_id, state, at, error=error, attempts=row.attempts)
