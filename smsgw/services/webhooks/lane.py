"""One webhook's deliveries: one batch at a time, in order, as fast as its receiver takes them.

What is under way is in the store before it is posted, under the id it is posted with. So whoever
goes on after a crash posts the same again, and what was acknowledged is only repeated when the
crash came between the answer and its commit. A lane holds one batch in memory, and the next one
while the first is on its way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import Protocol, TypeVar

import msgspec
from sqlalchemy import Connection
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.model import Event
from smsgw.services.queries import event_json
from smsgw.services.webhooks import patience, signing
from smsgw.services.webhooks.posting import Outcome, Result
from smsgw.store import redeliveries, wanted, webhooks
from smsgw.store.database import Database
from smsgw.store.ids import first_at, made_at
from smsgw.store.webhooks import ACTIVE, Batch, Found, WebhookRow

T = TypeVar("T")

BATCH_EVENTS_MAX = 100
BODY_OCTETS_MAX = 512 * 1024
"""A batch is cut before it is larger, but for an event that is so by itself."""

STORE_PAUSE = 5.0
"""Seconds until a lane goes on after the database refused."""

_encode = msgspec.json.Encoder().encode


class Posts(Protocol):
    """What posts (:class:`smsgw.services.webhooks.posting.Poster`)."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Post; never raises."""
        ...


@dataclass(slots=True)
class Tools:
    """What all lanes use.

    Attributes:
        store: The open database.
        poster: Posts.
        clock: Time and timers.
        count: Told of each POST: its result, and how many events it had.
        chance: A number from 0 up to 1.
    """

    store: Database
    poster: Posts
    clock: IReactorTime
    count: Callable[[str, int], None]
    chance: Callable[[], float] = field(default=random.random)

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        return int(self.clock.seconds() * 1000)


def body_of(events: Sequence[Event]) -> bytes:
    """Return the body of a POST."""
    return _encode({"events": [event_json(event) for event in events]})


def fitting(events: Sequence[Event]) -> int:
    """Return how many of the events fit a body: one at least."""
    sizes = accumulate(len(_encode(event_json(event))) + 1 for event in events)
    return max(1, sum(size <= BODY_OCTETS_MAX for size in sizes))


def signed(row: WebhookRow, message_id: int, now: int, body: bytes) -> dict[str, str]:
    """Return the headers of an attempt at a time."""
    secrets = [row.secret]
    if row.old_secret and now < (row.old_secret_until or 0):
        secrets.append(row.old_secret)
    return signing.headers(secrets, f"msg_{message_id}", now // 1000, body)


class Lane:
    """Delivers to one webhook until it is stopped.

    Args:
        row: The webhook, active.
        tools: What it uses.

    Attributes:
        row: The webhook as it is known to be.
        position: No event up to this one is left for the cursor, but for those of the batch.
        working: Whether it is about something; a pause is not.
        oldest_at: When the first event was recorded that is on its way, or fails, in ms; None when
            there is none.
    """

    log = Logger()

    def __init__(self, row: WebhookRow, tools: Tools) -> None:
        self.row = row
        self.position = row.cursor
        self.working = False
        self.oldest_at = made_at(row.batch_until) if row.batch_id and not row.batch_of else None
        self._tools = tools
        self._again = self._stopped = self._stale = False
        self._replay_next = False
        self._body = 0, b""  # of the batch that was declared last, until it is posted
        self._timer: IDelayedCall | None = None
        self._ended: list[Deferred[None]] = []

    # ---- life ----------------------------------------------------------------------------

    def start(self) -> None:
        """Go on where the store says."""
        wait = (self.row.next_attempt_at or 0) - self._tools.now()
        if wait > 0:
            self._pause(wait / 1000)
        else:
            self._work()

    def wake(self) -> None:
        """There may be events for it; while it waits for a failing receiver, that is no news."""
        if self.working:
            self._again = True
        elif self._timer is None:
            self._work()

    def update(self, row: WebhookRow) -> None:
        """Somebody changed the webhook: go on as it is now, and at once."""
        if self.working:
            self._again = self._stale = True
        else:
            self._take(row)
            self._disarm()
            self.start()

    def stop(self) -> Deferred[None]:
        """Begin nothing more; fires when what is on its way was answered and recorded."""
        self._stopped = True
        self._disarm()
        if not self.working:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._ended.append(ended)
        return ended

    @property
    def idle(self) -> bool:
        """Whether it has delivered all it knows of."""
        return not self.working and self._timer is None

    def _take(self, row: WebhookRow) -> None:
        self.row, self.position = row, row.cursor

    def _work(self) -> None:
        if not self._stopped:
            self.working, self._again = True, False
            work = Deferred.fromCoroutine(self._deliver_all())
            work.addErrback(self._failed).addBoth(self._over)

    def _over(self, _: object) -> None:
        self.working = False
        ended, self._ended = self._ended, []
        for one in ended:
            one.callback(None)
        if self._again and (self._timer is None or self._stale):
            self._disarm()
            self._work()

    def _failed(self, failure: Failure) -> None:
        if not failure.check(StoreError):
            told = "webhook {webhook_id} failed"
            self.log.failure(told, failure, event="webhook.failed", webhook_id=self.row.id)
        elif not self._stopped:
            told, why = "webhook {webhook_id} waits: {why}", failure.getErrorMessage()
            self.log.error(told, event="webhook.waits", webhook_id=self.row.id, why=why)
        self._stale = True  # whether the last commit was kept, nobody knows
        self._pause(STORE_PAUSE)
        self._again = False

    def _pause(self, seconds: float) -> None:
        self._disarm()
        if not self._stopped:
            self._timer = self._tools.clock.callLater(seconds, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._work()

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    # ---- one batch after the other -------------------------------------------------------

    async def _deliver_all(self) -> None:
        """Deliver until there is nothing left, or an attempt fails."""
        if self._stale:
            self._stale = False
            self._know(await self._tools.store.read(partial(webhooks.get, webhook_id=self.row.id)))
        done: Batch | None = None
        ahead: Found | None = None
        while self._goes_on():
            found = ahead if ahead is not None and not self._replay_next else await self._look(done)
            batch = await self._next(done, found)
            done = ahead = None
            if batch is None:
                if not found.more and not self._replay_next:
                    self.oldest_at = None
                    return
                continue
            ahead, delivered = await self._post(batch)
            if not delivered:
                return
            if batch.of:
                await self._settle(batch, None, self.position)
            else:
                done, self._replay_next = batch, found.replays
        if done is not None:
            await self._settle(done, None, self.position)

    def _goes_on(self) -> bool:
        return not self._stopped and self.row.state == ACTIVE

    async def _look(self, done: Batch | None) -> Found:
        replay, self._replay_next = self._replay_next, False
        row = self.row if done is None else msgspec.structs.replace(self.row, batch_id=0)
        return await self._tools.store.read(self._finding(row, replay))

    def _finding(self, row: WebhookRow, replay: bool) -> Callable[[Connection], Found]:
        position, limit = self.position, BATCH_EVENTS_MAX
        return partial(webhooks.next_batch, row=row, position=position, limit=limit, replay=replay)

    async def _next(self, done: Batch | None, found: Found) -> Batch | None:
        """Record what was done and what follows; returns that, or None when there is nothing."""
        batch = found.batch
        if batch is None:
            self.position = max(self.position, found.looked_to)
            self._replay_next = found.replays
            if done is not None:
                await self._settle(done, None, self.position)
            return None
        if batch.events and self.row.batch_id and done is None:
            if not batch.of:
                self.position = max(self.position, batch.until)
            return batch  # under way already
        if not batch.events:  # a stretch in which nothing is wanted any more
            if done is not None:
                await self._settle(done, None, self.position)
            await self._settle(batch, None, self.position)
            self._replay_next = found.replays
            return None
        return await self._declare(done, found, batch)

    async def _declare(self, done: Batch | None, found: Found, batch: Batch) -> Batch | None:
        body, looked_to = body_of(batch.events), found.looked_to
        following = msgspec.structs.replace(batch, id=self._tools.store.ids.next())
        if len(body) > BODY_OCTETS_MAX and len(batch.events) > 1:
            events = batch.events[: fitting(batch.events)]
            following = msgspec.structs.replace(following, events=events, until=events[-1].id)
            body, looked_to = body_of(events), following.until
        await self._settle(done, following, self.position)
        if self.row.batch_id != following.id:
            self._replay_next = True  # not nothing: look again
            return None
        if not following.of:
            self.position = max(self.position, looked_to)
        self._body = following.id, body
        return following

    async def _post(self, batch: Batch) -> tuple[Found | None, bool]:
        """Post a batch; returns what follows if that is known, and whether it was delivered."""
        made, body = self._body
        if made != batch.id:
            body = body_of(batch.events)
        self._body = 0, b""
        if not batch.of:
            self.oldest_at = made_at(batch.events[0].id)
        ahead: Deferred[Found] | None = None
        if not batch.of and not self.row.attempts:
            beyond = msgspec.structs.replace(self.row, batch_id=0)
            ahead = self._tools.store.read(self._finding(beyond, False))
            ahead.addErrback(_no_matter)
        row, now = self.row, self._tools.now()
        outcome = await self._tools.poster.post(row.url, signed(row, batch.id, now, body), body)
        found = await ahead if ahead is not None else None
        if outcome.result is Result.CANCELED:
            return None, False
        self._tools.count(outcome.result, len(batch.events))
        if outcome.result is Result.DELIVERED:
            return (found if found is not None and found.batch is not None else None), True
        await self._put_off(batch, outcome)
        return None, False

    async def _settle(self, done: Batch | None, following: Batch | None, cursor: int) -> None:
        row, now = self.row, self._tools.now()

        def work(connection: Connection) -> WebhookRow | None:
            return webhooks.settle(connection, row, done, following, cursor, now)

        self._know(await self._tools.store.writer.run(work))

    def _know(self, row: WebhookRow | None) -> None:
        """Note how the webhook is after a commit; whoever changed it meanwhile is obeyed."""
        if row is None:
            self._stopped = True
        elif row.version != self.row.version or row.cursor > self.position:
            self._take(row)
        else:
            self.row = row

    # ---- what fails ----------------------------------------------------------------------

    async def _put_off(self, batch: Batch, outcome: Outcome) -> None:
        row, now, store = self.row, self._tools.now(), self._tools.store
        version = row.version
        if outcome.result is Result.GONE:
            pause = partial(webhooks.pause, row=row, reason=outcome.problem)
            self._know(await store.writer.run(pause))
            told, why = "webhook {webhook_id} is paused: {why}", outcome.problem
            self.log.warn(told, event="webhook.paused", webhook_id=row.id, why=why)
            return
        attempts, since = row.attempts + 1, row.failing_since or now
        seconds = patience.pause(attempts, outcome.retry_after, self._tools.chance)
        put_off = partial(
            webhooks.put_off,
            row=row,
            attempts=attempts,
            failing_since=since,
            next_attempt_at=now + int(seconds * 1000),
            problem=outcome.problem,
        )
        self._know(await store.writer.run(put_off))
        if self._stopped or self.row.version != version:
            self._again = self._stale = True
            return
        if now - since >= patience.GIVEN_UP_AFTER * 1000:
            await self._give_up(batch, outcome.problem)
        self._pause(seconds)

    async def _give_up(self, batch: Batch, why: str) -> None:
        """Make dead letters of what is as old as that, or of the redelivery."""
        row, now, store = self.row, self._tools.now(), self._tools.store
        after, until = row.cursor, first_at(now - int(patience.GIVEN_UP_AFTER * 1000)) - 1
        if batch.of:
            turn = await store.read(partial(redeliveries.get, redelivery_id=batch.of))
            after, until = (turn.after_id, turn.until_id) if turn is not None else (0, 0)
        if until <= after:
            return
        events, more = 0, True
        while more:
            count = partial(wanted.count_events, row=row, after=after, until=until)
            found, after, more = await store.read(count)
            events += found
        bury = partial(
            webhooks.bury,
            row=row,
            until=until,
            events=events,
            why=why,
            redelivery_id=store.ids.next(),
            now=now,
        )
        self._know(await store.writer.run(bury))
        self.position = self.row.cursor
        if events:
            self.log.warn(
                "webhook {webhook_id}: {count} events are dead letters after a day: {why}",
                event="webhook.gave_up",
                webhook_id=row.id,
                count=events,
                why=why,
            )


def _no_matter(failure: Failure) -> None:
    """What was not read ahead is read when its turn comes."""
