"""A synchronous store in memory, a clock that stands still, and what a Deferred came to."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from smsgw.store import events
from smsgw.store.ids import IdSource
from smsgw.store.schema import metadata
from smsgw.store.statements import give_ids
from smsgw.store.writer import Operation
from tests.support.store import NOW

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

ACCESS = "10690001"
ANN, BOB, EVE = "13800001001", "13300001001", "13000001001"


class Time(Clock):
    """A clock that goes only when told to, and says milliseconds too."""

    def __init__(self) -> None:
        super().__init__()
        self.rightNow = NOW / 1000

    def __call__(self) -> float:
        return self.rightNow

    @property
    def ms(self) -> int:
        return round(self.rightNow * 1000)


def make_tables(connection: Connection) -> None:
    """Make every table in an empty database in memory."""
    _empty_database().backup(cast(Any, connection.connection.dbapi_connection))


@functools.cache
def _empty_database() -> sqlite3.Connection:
    """Every table, made once for all tests."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(engine)
    return cast(sqlite3.Connection, engine.raw_connection().dbapi_connection)


_used: list[Engine] = []
"""They keep the statements they compiled, which takes longer than most tests."""


def _new_engine() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(engine, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
    event.listen(engine, "begin", lambda made: made.exec_driver_sql("BEGIN"))
    return engine


class MemoryStore:
    """SQLite in memory behind the database's interface; every call is done when it returns."""

    queued = 0
    busy_seconds = 0.0

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self.ids = IdSource(0, clock or Time())
        self.writer = self
        self._engine = _used.pop() if _used else _new_engine()
        self._connection = self._engine.connect()
        give_ids(self._connection, self.ids)
        make_tables(self._connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        try:
            with self._connection.begin():
                yield self._connection
                events.write_noted(self._connection)
        finally:
            events.noted(self._connection).clear()

    def run(self, fn: Callable[[Connection], T], rows: int = 1) -> Deferred[T]:
        def work() -> T:
            with self.transaction() as connection:
                return fn(connection)

        return execute(work)

    read = run

    def batch(self, operation: Operation[R, S], rows: Sequence[R]) -> Deferred[list[S]]:
        return self.run(lambda connection: list(operation.execute(connection, rows)))

    def close(self) -> None:
        self._connection.close()
        _used.append(self._engine)


def result_of(deferred: Deferred[T]) -> T:
    """The value of a Deferred that has fired; raises what it failed with."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "has not fired"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    value: T = results[0]
    return value
