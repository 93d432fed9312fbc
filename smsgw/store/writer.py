"""The one writer thread: what a reactor turn asks for becomes one transaction.

Operations are collected on the reactor thread without a lock and handed over whole when the writer
is idle, so groups grow with the load by themselves: one commit, one wake-up of the reactor, every
Deferred of the group. A Deferred fires only after its commit.

What becomes of a group is in :mod:`smsgw.store.commit`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.store.commit import BatchCall, Committer, Group, SingleCall

_log = Logger()

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


SINGLES_MAX = 32
"""Single functions of one group: each takes several statements, and everybody waits for all."""


class Reactor(Protocol):
    """What the store needs of a Twisted reactor (IReactorTime and IReactorFromThreads)."""

    def seconds(self) -> float: ...

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall: ...

    def callFromThread(
        self, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> None: ...


class Operation(ABC, Generic[R, S]):
    """A kind of change done for many rows at once, in a few large statements.

    Attributes:
        name: For error messages and metrics.
        rank: Operations of one group run from the lowest rank to the highest.
    """

    name: ClassVar[str]
    rank: ClassVar[int]

    @abstractmethod
    def execute(self, connection: Connection, rows: Sequence[R]) -> Sequence[S]:
        """Do it for all rows and return one result per row, in their order.

        It may run again for the same rows after a rollback, so it touches only the database.
        """


class Writer:
    """Collects changes on the reactor thread and commits them in groups on its own.

    Every public method is called on the reactor thread, between :meth:`start` and :meth:`close`.

    Attributes:
        queued: Rows asked for and not yet committed: the gauge to hold intake by.
        commits: Groups committed so far.
        rows: Rows committed so far; a single function counts as one, or as many as it says.
        seconds: Time the writer thread spent on those groups.
        on_commit: Called on the reactor thread after each commit with its rows and its seconds,
            before the Deferreds fire.
        watchers: Called on the reactor thread after each commit, when what it wrote can be read.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.queued = 0
        self.commits = 0
        self.rows = 0
        self.seconds = 0.0
        self.on_commit: Callable[[int, float], None] | None = None
        self.watchers: list[Callable[[], None]] = []
        self._reactor = reactor
        self._waiting: Group = []
        self._scheduled: IDelayedCall | None = None
        self._busy = False
        self._busy_since = 0.0
        self._committer: Committer | None = None
        self._groups: SimpleQueue[Group | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closing: Deferred[None] | None = None

    def start(self, committer: Committer) -> None:
        """Start the thread; from here on ``committer`` is its own, and it closes it."""
        self._committer = committer
        self._thread = Thread(
            target=self._work, args=(committer,), name="smsgw-store-writer", daemon=True
        )
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def busy_seconds(self) -> float:
        """How long the present group has been under way; 0 when there is none."""
        return self._reactor.seconds() - self._busy_since if self._busy else 0.0

    def batch(self, operation: Operation[R, S], rows: Sequence[R]) -> Deferred[list[S]]:
        """Do ``operation`` for ``rows`` in the next group.

        Returns:
            Fires after the commit with one result per row. Fails alone when these rows are at
            fault, with StoreError when the database is; then nothing of these rows was kept.
        """
        if refusal := self._refusal():
            return fail(refusal)
        if not rows:
            return succeed([])
        call = BatchCall(operation, rows)
        self._add(call)
        return call.deferred

    def run(self, fn: Callable[[Connection], T], rows: int = 1) -> Deferred[T]:
        """Call ``fn`` inside the next group's transaction, in a savepoint of its own.

        ``fn`` runs on the writer thread: it touches nothing but the connection and its own values,
        and does not commit. What it raises reaches the Deferred and undoes only its own changes.
        ``rows`` is how many it writes, where those are many.
        """
        if refusal := self._refusal():
            return fail(refusal)
        call = SingleCall(fn, rows)
        self._add(call)
        return call.deferred

    def close(self) -> Deferred[None]:
        """Commit what waits, refuse what comes, and fire when the thread has ended.

        A database that is away is not waited for.
        """
        if self._thread is None or self._committer is None:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        if self._closing is not None:
            self._closing.chainDeferred(closed)
            return closed
        self._closing = Deferred()
        self._closing.chainDeferred(closed)
        self._committer.end_soon()
        self._hand_over()
        return closed

    def _refusal(self) -> StoreError | None:
        if self._thread is None:
            return StoreError("the database is not open")
        if self._closing is not None:
            return StoreError("the database is being closed")
        return None

    def _add(self, call: BatchCall | SingleCall) -> None:
        self.queued += call.weight
        self._waiting.append(call)
        if not self._busy and self._scheduled is None:
            self._scheduled = self._reactor.callLater(0, self._turn_ended)

    def _turn_ended(self) -> None:
        self._scheduled = None
        self._hand_over()

    def _hand_over(self) -> None:
        if self._busy:
            return
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        if self._waiting:
            group, self._waiting = _next_group(self._waiting)
            self._busy = True
            self._busy_since = self._reactor.seconds()
            self._groups.put(group)
        elif self._closing is not None:
            self._busy = True
            self._groups.put(None)

    def _group_ended(self, group: Group, seconds: float, committed: bool) -> None:
        self._busy = False
        rows = sum(call.weight for call in group)
        self.queued -= rows
        if committed:
            self.commits += 1
            self.rows += rows
            self.seconds += seconds
        self._hand_over()  # before the callbacks: the thread works while they run
        if committed and self.on_commit is not None:
            try:
                self.on_commit(rows, seconds)
            except Exception:
                told = "observing a commit of {count} rows"
                _log.failure(told, event="store.observer_failed", count=rows)
        if committed:
            for watcher in self.watchers:
                watcher()
        for call in group:
            if isinstance(call.outcome, Failure):
                call.deferred.errback(call.outcome)
            else:
                call.deferred.callback(call.outcome)

    def _thread_ended(self) -> None:
        if self._thread is None or self._closing is None:
            raise AssertionError("a writer thread ended that nobody asked to end")
        self._thread.join()
        self._thread = None
        self._busy = False
        closing, self._closing = self._closing, None
        closing.callback(None)

    # Below this line: the writer thread.

    def _work(self, committer: Committer) -> None:
        while (group := self._groups.get()) is not None:
            started = time.perf_counter()
            committed = committer.commit(group)
            seconds = time.perf_counter() - started
            self._reactor.callFromThread(self._group_ended, group, seconds, committed)
        committer.close()
        self._reactor.callFromThread(self._thread_ended)


def _next_group(waiting: Group) -> tuple[Group, Group]:
    """Return what of it goes into one transaction, and what is left for the next ones."""
    group: Group = []
    left: Group = []
    singles = 0
    for call in waiting:
        if isinstance(call, SingleCall):
            (group if singles < SINGLES_MAX else left).append(call)
            singles += call.weight
        else:
            group.append(call)
    return group, left
