"""The writer thread's side: one group of changes, one transaction, on a connection that may break.

In one group the batch operations run first, by rank, all rows of one operation in one call; then
the single functions in the order they were asked for.

A group that loses its connection fails, and the next one connects again, unless that was tried a
moment ago. Only when the connection broke between a commit and its answer the group waits, and all
that come after it, until the database is back and can tell whether it was kept: whoever asked for
it must neither take for lost what is kept, nor do it twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.store import events

if TYPE_CHECKING:
    from smsgw.store.writer import Operation

T = TypeVar("T")

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Between tries to connect again; the last for all further ones."""

RACE_TRIES = 3
"""How often a single function is called that others outran, or a group that they lock out."""

_log = Logger()


class Backend(Protocol):
    """One database, of either kind. What goes wrong is raised as the library's errors or as
    StoreError; ``str()`` of it is its name for people, without secrets."""

    def connect(self) -> Connection:
        """Open a connection that writes."""
        ...

    def lock_schema(self, connection: Connection) -> None:
        """Be the only one to look after the schema until the transaction ends."""
        ...

    def settle_in(self, connection: Connection) -> None:
        """Do what is left once the schema is known to be ours."""
        ...

    def readers(self, count: int) -> Engine:
        """Return what connects the readers, ``count`` at most; 0 keeps none open."""
        ...

    def size(self, connection: Connection) -> tuple[int, int | None]:
        """Return the octets it takes, and those left on its disk; None where nobody can tell."""
        ...

    def check(self, connection: Connection) -> None:
        """Check that the transaction is still there."""
        ...

    def before_commit(self, connection: Connection) -> str:
        """Check that a commit would commit; return a name of the transaction to ask for it by."""
        ...

    def committed(self) -> None:
        """Do what follows on a commit."""
        ...

    def was_committed(self, connection: Connection, transaction: str) -> bool | None:
        """Tell whether a transaction was kept; None while that is not decided."""
        ...

    def is_lost(self, connection: Connection) -> bool:
        """Tell whether a connection is of no use any more."""
        ...

    def is_read_only(self, error: BaseException) -> bool:
        """Tell whether this connection takes no changes, and another one may."""
        ...

    def is_race(self, error: BaseException) -> bool:
        """Tell whether another process was faster, and one has to look again."""
        ...

    def is_deadlock(self, error: BaseException) -> bool:
        """Tell whether we and others waited for each other: all is to be done again."""
        ...


class BatchCall:
    """One call of :meth:`smsgw.store.writer.Writer.batch`."""

    __slots__ = ("deferred", "operation", "outcome", "rows")

    def __init__(self, operation: Operation[Any, Any], rows: Sequence[Any]) -> None:
        self.operation = operation
        self.rows = rows
        self.deferred: Deferred[list[Any]] = Deferred()
        self.outcome: Any = None

    @property
    def weight(self) -> int:
        """How many rows it counts for."""
        return len(self.rows)


class SingleCall:
    """One call of :meth:`smsgw.store.writer.Writer.run`."""

    __slots__ = ("deferred", "fn", "outcome", "weight")

    def __init__(self, fn: Callable[[Connection], Any], weight: int = 1) -> None:
        self.fn = fn
        self.weight = weight
        self.deferred: Deferred[Any] = Deferred()
        self.outcome: Any = None


Group = list[BatchCall | SingleCall]


class Committer:
    """Commits groups, one after the other, on one thread.

    Args:
        backend: The database.
        connection: Open; it is closed here.
        connect: Opens another one.
    """

    def __init__(
        self, backend: Backend, connection: Connection, connect: Callable[[], Connection]
    ) -> None:
        self._backend = backend
        self._connection: Connection | None = connection
        self._connect = connect
        self._failed = 0  # tries to connect since the last good one
        self._try_at = 0.0
        self._problem = ""
        self._ending = Event()

    def end_soon(self) -> None:
        """Wait for nothing any more, called on any thread: a start finds out what was kept."""
        self._ending.set()

    def commit(self, group: Group) -> bool:
        """Do all calls in one transaction and note each one's outcome; tell whether it was kept."""
        error: BaseException | None = None
        for _ in range(RACE_TRIES):
            try:
                self._commit(self._present(), group)
            except BaseException as failed:
                error = failed
                if self._backend.is_deadlock(error):
                    continue
                if self._backend.is_read_only(error) and self._connection is not None:
                    self._drop(self._connection)
                    self._try_at = time.monotonic() + PAUSES[-1] / 4
                    self._problem = str(translated("the database takes no changes", error))
                break
            return True
        failure = Failure(translated("commit", error or AssertionError("no try")))
        for call in group:
            call.outcome = failure
        return False

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._drop(self._connection)

    def _commit(self, connection: Connection, group: Group) -> None:
        backend, name = self._backend, ""
        transaction = connection.begin()
        try:
            transaction = self._work(connection, transaction, group)
            name = backend.before_commit(connection)
            transaction.commit()
            backend.committed()
        except BaseException as error:
            if not backend.is_lost(connection):
                _roll_back(connection, transaction)
                raise
            problem = _line(getattr(error, "orig", None) or error)
            told = "the connection to the database was lost: {why}"
            _log.warn(told, event="database.lost", why=problem)
            self._drop(connection)
            if not (name and self._was_committed(name)):
                raise StoreError("the connection to the database was lost") from error

    def _work(
        self, connection: Connection, transaction: RootTransaction, group: Group
    ) -> RootTransaction:
        """Do all calls; return the transaction they are in."""
        batches = [call for call in group if isinstance(call, BatchCall)]
        singles = [call for call in group if isinstance(call, SingleCall)]
        try:
            self._execute_batches(connection, batches, careful=False)
        except Exception as error:
            if self._backend.is_lost(connection) or self._backend.is_deadlock(error):
                raise
            # One call is at fault. Start again, each operation behind a savepoint.
            _roll_back(connection, transaction)
            transaction = connection.begin()
            self._execute_batches(connection, batches, careful=True)
        for single in singles:
            for _ in range(RACE_TRIES):
                single.outcome = self._in_savepoint(connection, "run", single.fn, connection)
                failed = isinstance(single.outcome, Failure)
                if not (failed and self._backend.is_race(single.outcome.value)):
                    break
        self._backend.check(connection)
        events.write_noted(connection)
        return transaction

    def _execute_batches(
        self, connection: Connection, batches: list[BatchCall], *, careful: bool
    ) -> None:
        by_operation: dict[Operation[Any, Any], list[BatchCall]] = {}
        for call in batches:
            by_operation.setdefault(call.operation, []).append(call)
        for operation in sorted(by_operation, key=lambda operation: operation.rank):
            calls = by_operation[operation]
            if not careful:
                _execute(connection, operation, calls)
                continue
            outcome = self._in_savepoint(
                connection, operation.name, _execute, connection, operation, calls
            )
            if isinstance(outcome, Failure):
                for call in calls:
                    outcome = self._in_savepoint(
                        connection, operation.name, _execute, connection, operation, [call]
                    )
                    if isinstance(outcome, Failure):
                        call.outcome = outcome

    def _in_savepoint(
        self, connection: Connection, name: str, fn: Callable[..., T], *args: Any
    ) -> Any:
        """Return what ``fn`` returns, or the Failure of what it raised, its changes undone."""
        events.write_noted(connection)  # so that ``fn`` finds them, and takes none of them back
        savepoint = connection.begin_nested()
        try:
            result = fn(*args)
            savepoint.commit()
        except Exception as error:
            if self._backend.is_lost(connection) or self._backend.is_deadlock(error):
                raise
            savepoint.rollback()
            events.noted(connection).clear()
            return Failure(translated(name, error))
        return result

    # ---- a connection that breaks ----------------------------------------------------------

    def _present(self) -> Connection:
        """Return the connection; a new one when the last was lost."""
        if self._connection is None:
            if time.monotonic() < self._try_at:
                raise StoreError(self._problem)
            self._reconnect()
        if self._connection is None:
            raise StoreError(self._problem)
        return self._connection

    def _reconnect(self) -> None:
        """Try to connect; note why it failed, and when to try again."""
        try:
            self._connection = self._connect()
        except (StoreError, SQLAlchemyError) as error:
            self._problem = f"the database is away: {_line(getattr(error, 'orig', None) or error)}"
            self._try_at = time.monotonic() + PAUSES[min(self._failed, len(PAUSES) - 1)]
            self._failed += 1
        else:
            self._failed, self._try_at = 0, 0.0
            _log.info("the database is back", event="database.back")

    def _drop(self, connection: Connection) -> None:
        self._connection = None
        with suppress(Exception):
            connection.close()

    def _was_committed(self, transaction: str) -> bool:
        """Wait until the database can tell what became of a commit that was not answered."""
        told = "a commit got no answer: all changes wait until the database tells of it"
        _log.warn(told, event="database.commit_in_doubt")
        while True:
            if self._connection is None and time.monotonic() >= self._try_at:
                self._reconnect()
            if self._connection is not None:
                try:
                    kept = self._backend.was_committed(self._connection, transaction)
                except SQLAlchemyError:
                    kept = None
                    if self._backend.is_lost(self._connection):
                        self._drop(self._connection)
                if kept is not None:
                    told, outcome = "that commit was {outcome}", "kept" if kept else "not kept"
                    _log.info(told, event="database.commit_settled", outcome=outcome)
                    return kept
            if self._ending.wait(PAUSES[0]):
                break
        raise StoreError("the connection was lost, and whether the commit was kept is not known")


def _roll_back(connection: Connection, transaction: RootTransaction) -> None:
    """Undo everything, also after a failed commit, which SQLAlchemy takes for the end of it."""
    events.noted(connection).clear()
    try:
        transaction.rollback()
    finally:
        connection.connection.rollback()


def _execute(
    connection: Connection, operation: Operation[Any, Any], calls: Sequence[BatchCall]
) -> None:
    results = operation.execute(connection, [row for call in calls for row in call.rows])
    start = 0
    for call in calls:
        call.outcome = list(results[start : start + len(call.rows)])
        start += len(call.rows)
    if start != len(results):
        raise AssertionError(f"{operation.name}: {len(results)} results for {start} rows")


def translated(name: str, error: BaseException) -> BaseException:
    """Return the library's errors as StoreError, without parameters; others as they are."""
    if isinstance(error, SQLAlchemyError):
        translation = StoreError(f"{name}: {_line(getattr(error, 'orig', None) or error)}")
        translation.__cause__ = error
        return translation
    return error


def _line(error: BaseException) -> str:
    """Return what a driver says in one line, without what it says of the values."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return primary or " ".join(str(error).split())
