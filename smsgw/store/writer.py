"""The one writer thread: what a reactor turn asks for becomes one transaction.

Operations are collected on the reactor thread without a lock and handed over whole when the writer
is idle, so groups grow with the load by themselves: one commit, one wake-up of the reactor, every
Deferred of the group. A Deferred fires only after its commit.

In one group the batch operations run first, by rank, all rows of one operation in one call; then
the single functions in the order they were asked for.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import Connection, RootTransaction
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.store import events

_log = Logger()

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")


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


class _Batch:
    """One call of :meth:`Writer.batch`."""

    __slots__ = ("deferred", "operation", "outcome", "rows")

    def __init__(self, operation: Operation[Any, Any], rows: Sequence[Any]) -> None:
        self.operation = operation
        self.rows = rows
        self.deferred: Deferred[list[Any]] = Deferred()
        self.outcome: Any = None

    @property
    def weight(self) -> int:
        return len(self.rows)


class _Single:
    """One call of :meth:`Writer.run`."""

    __slots__ = ("deferred", "fn", "outcome")

    weight = 1

    def __init__(self, fn: Callable[[Connection], Any]) -> None:
        self.fn = fn
        self.deferred: Deferred[Any] = Deferred()
        self.outcome: Any = None


_Group = list[_Batch | _Single]


class Writer:
    """Collects changes on the reactor thread and commits them in groups on its own.

    Every public method is called on the reactor thread, between :meth:`start` and :meth:`close`.

    Attributes:
        queued: Rows asked for and not yet committed: the gauge to hold intake by.
        commits: Groups committed so far.
        rows: Rows committed so far; a single function counts as one.
        seconds: Time the writer thread spent on those groups.
        on_commit: Called on the reactor thread after each commit with its rows and its seconds,
            before the Deferreds fire.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.queued = 0
        self.commits = 0
        self.rows = 0
        self.seconds = 0.0
        self.on_commit: Callable[[int, float], None] | None = None
        self._reactor = reactor
        self._waiting: _Group = []
        self._scheduled: IDelayedCall | None = None
        self._busy = False
        self._groups: SimpleQueue[_Group | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closing: Deferred[None] | None = None

    def start(self, connection: Connection) -> None:
        """Start the thread; from here on ``connection`` is its own, and it closes it."""
        self._thread = Thread(
            target=self._work, args=(connection,), name="smsgw-store-writer", daemon=True
        )
        self._thread.start()

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
        call = _Batch(operation, rows)
        self._add(call)
        return call.deferred

    def run(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Call ``fn`` inside the next group's transaction, in a savepoint of its own.

        ``fn`` runs on the writer thread: it touches nothing but the connection and its own values,
        and does not commit. What it raises reaches the Deferred and undoes only its own changes.
        """
        if refusal := self._refusal():
            return fail(refusal)
        call = _Single(fn)
        self._add(call)
        return call.deferred

    def close(self) -> Deferred[None]:
        """Commit what waits, refuse what comes, and fire when the thread has ended."""
        if self._thread is None:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        if self._closing is not None:
            self._closing.chainDeferred(closed)
            return closed
        self._closing = Deferred()
        self._closing.chainDeferred(closed)
        self._hand_over()
        return closed

    def _refusal(self) -> StoreError | None:
        if self._thread is None:
            return StoreError("the database is not open")
        if self._closing is not None:
            return StoreError("the database is being closed")
        return None

    def _add(self, call: _Batch | _Single) -> None:
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
            group, self._waiting = self._waiting, []
            self._busy = True
            self._groups.put(group)
        elif self._closing is not None:
            self._busy = True
            self._groups.put(None)

    def _group_ended(self, group: _Group, seconds: float, committed: bool) -> None:
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
            except Exception as error:
                _log.error("observing a commit of {rows} rows: {error!r}", rows=rows, error=error)
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

    def _work(self, connection: Connection) -> None:
        while (group := self._groups.get()) is not None:
            started = time.perf_counter()
            committed = _commit_group(connection, group)
            seconds = time.perf_counter() - started
            self._reactor.callFromThread(self._group_ended, group, seconds, committed)
        connection.close()
        self._reactor.callFromThread(self._thread_ended)


def _commit_group(connection: Connection, group: _Group) -> bool:
    """Do all calls in one transaction and note each one's outcome; tell whether it was kept."""
    batches = [call for call in group if isinstance(call, _Batch)]
    singles = [call for call in group if isinstance(call, _Single)]
    try:
        transaction = connection.begin()
        try:
            try:
                _execute_batches(connection, batches, careful=False)
            except Exception:
                # One call is at fault. Start again, each operation behind a savepoint.
                _roll_back(connection, transaction)
                transaction = connection.begin()
                _execute_batches(connection, batches, careful=True)
            for single in singles:
                single.outcome = _in_savepoint(connection, "run", single.fn, connection)
            _check_still_in_transaction(connection)
            events.write_noted(connection)
            _check_still_in_transaction(connection)
            transaction.commit()
        except BaseException:
            _roll_back(connection, transaction)
            raise
    except BaseException as error:
        failure = Failure(translated("commit", error))
        for call in group:
            call.outcome = failure
        return False
    return True


def _roll_back(connection: Connection, transaction: RootTransaction) -> None:
    """Undo everything, also after a failed commit, which SQLAlchemy takes for the end of it."""
    events.noted(connection).clear()
    try:
        transaction.rollback()
    finally:
        connection.connection.rollback()


def _execute_batches(connection: Connection, batches: list[_Batch], *, careful: bool) -> None:
    by_operation: dict[Operation[Any, Any], list[_Batch]] = {}
    for call in batches:
        by_operation.setdefault(call.operation, []).append(call)
    for operation in sorted(by_operation, key=lambda operation: operation.rank):
        calls = by_operation[operation]
        if not careful:
            _execute(connection, operation, calls)
            continue
        outcome = _in_savepoint(connection, operation.name, _execute, connection, operation, calls)
        if isinstance(outcome, Failure):
            for call in calls:
                outcome = _in_savepoint(
                    connection, operation.name, _execute, connection, operation, [call]
                )
                if isinstance(outcome, Failure):
                    call.outcome = outcome


def _execute(
    connection: Connection, operation: Operation[Any, Any], calls: Sequence[_Batch]
) -> None:
    results = operation.execute(connection, [row for call in calls for row in call.rows])
    start = 0
    for call in calls:
        call.outcome = list(results[start : start + len(call.rows)])
        start += len(call.rows)
    if start != len(results):
        raise AssertionError(f"{operation.name}: {len(results)} results for {start} rows")


def _in_savepoint(connection: Connection, name: str, fn: Callable[..., T], *args: Any) -> Any:
    """Return what ``fn`` returns, or the Failure of what it raised after undoing its changes."""
    events.write_noted(connection)  # so that ``fn`` finds them, and takes none of them back
    savepoint = connection.begin_nested()
    try:
        result = fn(*args)
        savepoint.commit()
    except Exception as error:
        savepoint.rollback()
        events.noted(connection).clear()
        return Failure(translated(name, error))
    return result


def _check_still_in_transaction(connection: Connection) -> None:
    """SQLite ends a transaction by itself on a full disk; a commit would then do nothing."""
    if not connection.connection.in_transaction:
        raise StoreError("the database gave up the transaction")


def translated(name: str, error: BaseException) -> BaseException:
    """Return the library's errors as StoreError, without parameters; others as they are."""
    if isinstance(error, SQLAlchemyError):
        cause = getattr(error, "orig", None) or error
        translation = StoreError(f"{name}: {cause}")
        translation.__cause__ = error
        return translation
    return error
