"""Calls what is to happen to requests when its time has come, as the store remembers it.

Rules: what a timer is for is done by ``fire``, in the one transaction that takes it out of the
store, so it is done once whoever tries. One that fails stays, is put off for longer each time, and
holds up no other. Where several processes share the database, each takes what it set itself, and
what another one set only when that is late: both would otherwise wait for each other all the time.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import SmsgwError
from smsgw.store import timers
from smsgw.store.database import Database
from smsgw.store.timers import TimerRow

if TYPE_CHECKING:
    from sqlalchemy import Connection


BATCH = 100
"""Timers fired at a time: they share a commit or a few."""

LOOK_SECONDS = 30.0
"""The longest time between two looks into the store: another process may have set a timer."""

LATE_SECONDS = 5.0
"""How late a timer of another process is when we take it: that process is gone, or hangs."""

PAUSES = (1.0, 5.0, 30.0, 60.0)
"""Seconds until what failed is tried again; the last for all further tries."""


class TimerKind(enum.StrEnum):
    """What a timer is for; ``subject_id`` of its row says for whom."""

    REMIND = "remind"
    ESCALATE = "escalate"
    DEADLINE = "deadline"
    PROMPT = "prompt"
    REQUEST_DEADLINE = "request_deadline"


class Timers:
    """Fires timers when they are due.

    Args:
        store: Open before :meth:`start`.
        reactor: Its clock and one timer.
        fire: Takes a timer and does what it is for, in one transaction; nothing when it is taken
            already. The time it is called at is never before ``due_at``.
        shared: Whether other processes fire timers of the same store.
    """

    log = Logger()

    def __init__(
        self,
        store: Database,
        reactor: IReactorTime,
        fire: Callable[[TimerRow], Deferred[None]],
        *,
        shared: bool = False,
    ) -> None:
        self._store = store
        self._reactor = reactor
        self._fire = fire
        self._shared = shared
        self._running = False
        self._looking = False
        self._ended: list[Deferred[None]] = []
        self._timer: IDelayedCall | None = None
        self._next: float = math.inf  # when the next one is due, as far as we know, in ms
        self._failures: dict[int, tuple[int, int]] = {}  # timer -> how many, when it is due again
        self._missed = 0  # looks that failed since the last good one

    @property
    def failing(self) -> int:
        """How many timers failed and are tried again."""
        return len(self._failures)

    def start(self) -> None:
        """Fire what came due meanwhile, and from now on what comes due."""
        self._running = True
        self._look_now()

    def wake(self, due_at: int) -> None:
        """Know of a timer that was committed; called on the reactor thread."""
        self._next = min(self._next, due_at)
        self._arm()

    def stop(self) -> Deferred[None]:
        """Fire no more; the Deferred fires when what was begun has ended."""
        self._running = False
        self._disarm()
        if not self._looking:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._ended.append(ended)
        return ended

    def _arm(self) -> None:
        """Look when the next one is due, and soon in any case."""
        if self._looking or not self._running:
            return
        now = self._reactor.seconds()
        # A millisecond later, so that whoever cuts the time to milliseconds finds it has come.
        at = min((self._next + 1) / 1000, now + LOOK_SECONDS)
        if self._timer is None or at < self._timer.getTime():
            self._disarm()
            self._timer = self._reactor.callLater(max(0.0, at - now), self._look_now)

    def _disarm(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _look_now(self) -> None:
        self._disarm()
        self._looking = True
        looked = Deferred.fromCoroutine(self._look())
        looked.addCallbacks(self._seen, self._not_seen).addBoth(self._looked)

    def _seen(self, _: None) -> None:
        self._missed = 0

    def _not_seen(self, failure: Failure) -> None:
        pause = min(_pause(self._missed), LOOK_SECONDS)
        self._missed += 1
        self.log.error(
            "timers of requests could not be looked after, again in {pause:g} s: {why}",
            event="timers.not_read",
            pause=pause,
            why=_told(failure),
        )
        self._next = self._now() + pause * 1000

    def _looked(self, _: None) -> None:
        self._looking = False
        ended, self._ended = self._ended, []
        for one in ended:
            one.callback(None)
        self._arm()

    def _now(self) -> int:
        return int(self._reactor.seconds() * 1000)

    async def _look(self) -> None:
        """Fire all that is due, and find out when the next one is."""
        before: frozenset[TimerRow] = frozenset()
        while self._running:
            now = self._now()
            self._next = math.inf  # what we are told of from here on may not be in what we read
            rows, following = await self._store.read(self._finding(now))
            if not rows:
                self._next = min(self._next, following)
                self._forget(now)
            if not rows or not self._running:
                return
            await self._fire_all(rows, before)
            before = frozenset(rows)

    def _finding(self, now: int) -> Callable[[Connection], tuple[list[TimerRow], float]]:
        node = self._store.ids.node if self._shared else None
        return partial(_find, now=now, node=node)

    async def _fire_all(self, rows: Collection[TimerRow], before: Collection[TimerRow]) -> None:
        """Fire timers in their order; put off those that failed, or stayed where they were."""
        problems = {row: "it was not taken" for row in rows if row in before}
        fired = [row for row in rows if row not in before]
        calls = [maybeDeferred(self._fire, row) for row in fired]
        outcomes = await DeferredList(calls, consumeErrors=True)
        for row, (_, outcome) in zip(fired, outcomes, strict=True):
            if isinstance(outcome, Failure):
                problems[row] = _told(outcome)
            else:
                self._failures.pop(row.id, None)
        if problems:
            await self._put_off(problems)

    async def _put_off(self, problems: Mapping[TimerRow, str]) -> None:
        now = self._now()
        failures = {row.id: self._failures.get(row.id, (0, 0))[0] for row in problems}
        again = {made: now + int(_pause(count) * 1000) for made, count in failures.items()}

        def work(connection: Connection) -> list[bool]:
            return [timers.move(connection, row.id, again[row.id]) for row in problems]

        moved = await self._store.writer.run(work)
        for (row, problem), is_there in zip(problems.items(), moved, strict=True):
            if is_there:
                self._failures[row.id] = failures[row.id] + 1, again[row.id]
            else:
                self._failures.pop(row.id, None)
            self.log.error(
                "timer {kind} of request {request_id} failed{again}: {why}",
                event="timer.failed",
                kind=row.kind,
                request_id=row.request_id,
                again=f", again in {_pause(failures[row.id]):g} s" if is_there else "",
                why=problem,
            )

    def _forget(self, now: int) -> None:
        """Drop what would have been found by now: it was cleared, or others took it."""
        if self._failures:
            still = now - int(LATE_SECONDS * 1000)
            kept = {made: one for made, one in self._failures.items() if one[1] > still}
            self._failures = kept


def _find(connection: Connection, now: int, node: int | None) -> tuple[list[TimerRow], float]:
    """Return what is due, and when the next one will be if that is soon."""
    late = int(LATE_SECONDS * 1000)
    rows = timers.due(connection, now, BATCH, node=node, late_ms=late)
    before = now + int(LOOK_SECONDS * 1000)
    following = timers.next_due(connection, before, node=node, late_ms=late) if not rows else None
    return rows, math.inf if following is None else following


def _pause(failures: int) -> float:
    return PAUSES[min(failures, len(PAUSES) - 1)]


def _told(failure: Failure) -> str:
    """One line for what we raise on purpose; for what we do not, where it was."""
    if isinstance(failure.value, SmsgwError):
        return failure.getErrorMessage()
    return failure.getTraceback()
