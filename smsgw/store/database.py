"""One SQLite file: its engines, its schema check, its writer and its read pool.

SQLite in WAL mode with ``synchronous=FULL``: a commit is on the disk when it returns. The one
writing connection belongs to :class:`smsgw.store.writer.Writer`; reading ones are ``query_only``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool, QueuePool
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from smsgw.errors import StoreError
from smsgw.store import revisions
from smsgw.store.ids import IdSource
from smsgw.store.schema import metadata
from smsgw.store.statements import give_ids
from smsgw.store.writer import Reactor, Writer, translated

T = TypeVar("T")

SQLITE_NEEDED = (3, 35, 0)
"""``UPDATE … FROM`` needs 3.33, ``RETURNING`` 3.35."""

READERS = 3
BUSY_SECONDS = 5.0
"""How long a statement waits for another program's lock on the file."""

CACHE_KIB = 32 * 1024

CHECKPOINT_PAGES = 4000
"""16 MiB of log between checkpoints: a page that changes often is copied back less often."""


class Database:
    """The store of one process.

    Args:
        path: The database file; made, with the newest schema, when missing or empty.
        reactor: Provides IReactorTime and IReactorFromThreads.
        node: This process's number in ids, 0 to 1023.

    Attributes:
        path: The database file.
        ids: Where every id of this process comes from.
        writer: Commits changes in groups.
        reading: Reads that are under way.
    """

    def __init__(self, path: Path | str, reactor: IReactorTime, *, node: int = 0) -> None:
        self.path = Path(path)
        self._reactor = cast(Reactor, reactor)
        self.ids = IdSource(node, self._reactor.seconds)
        self.writer = Writer(self._reactor)
        self._readers: Engine | None = None
        self._pool: ThreadPool | None = None
        self.reading = 0
        self._idle: Deferred[None] | None = None

    def open(self) -> None:
        """Check or create the schema, then start the writer and the readers.

        Raises:
            StoreError: The file cannot be used; one line that says why and what to do.
        """
        if self._pool is not None:
            raise StoreError(f"{self.path}: already open")
        connection = _connect(self.path)
        try:
            _prepare_schema(self.path, connection)
            _use_wal(self.path, connection)
            self._continue_ids(connection)
        except BaseException:
            connection.close()
            raise
        give_ids(connection, self.ids)
        self._readers = _reading_engine(self.path)
        self._pool = ThreadPool(1, READERS, "smsgw-store-readers")
        # Without close() the process shall end all the same, as it does with the writer's thread.
        self._pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        self._pool.start()
        self.writer.start(connection)

    def read(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Call ``fn`` with a read-only connection on a thread of the pool.

        It sees everything committed before. ``fn`` returns plain values, never open results.
        """
        if self._pool is None or self._readers is None:
            return fail(StoreError(f"{self.path}: the database is not open"))
        reactor = cast(IReactorFromThreads, self._reactor)
        result = deferToThreadPool(reactor, self._pool, _read, self._readers, fn)
        self.reading += 1

        def ended(value: Any) -> Any:
            self.reading -= 1
            if self._idle is not None and not self.reading:
                self._idle.callback(None)
            return value

        return result.addBoth(ended)

    def close(self) -> Deferred[None]:
        """Commit what waits, let reads end, and fire when the file is closed."""
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        await self.writer.close()
        if self._pool is None or self._readers is None:
            return
        pool, readers = self._pool, self._readers
        self._pool = self._readers = None
        if self.reading:
            self._idle = Deferred()
            await self._idle
            self._idle = None
        pool.stop()
        readers.dispose()

    def _continue_ids(self, connection: Connection) -> None:
        """Keep ids growing over a restart even when the clock was set back meanwhile."""
        with connection.begin():
            for table in metadata.sorted_tables:
                if "id" in table.c:
                    used = connection.execute(select(func.max(table.c.id))).scalar()
                    self.ids.continue_after(used or 0)


def upgrade(path: Path | str) -> tuple[str, str]:
    """Bring a database file to the newest schema; a missing one is made.

    Returns:
        The revision it had ("" when it was empty) and the one it has now.

    Raises:
        StoreError: The file cannot be used, or is newer than this version.
    """
    path = Path(path)
    connection = _connect(path)
    try:
        with _one_line(path), connection.begin():
            found = revisions.current(connection)
            if found and found != revisions.head() and not revisions.is_older(found):
                raise StoreError(_newer(found))
            revisions.upgrade(connection)
        return found, revisions.head()
    finally:
        connection.close()


def read_once(path: Path | str, fn: Callable[[Connection], T]) -> T:
    """Call ``fn`` with a read-only connection to an existing file, whoever has it open.

    Raises:
        StoreError: The file cannot be used.
    """
    path = Path(path)
    engine = create_engine(_url(path), poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _read_settings)
    event.listen(engine, "begin", _begin_deferred)
    with _one_line(path), engine.connect() as connection:
        return fn(connection)


def _prepare_schema(path: Path, connection: Connection) -> None:
    """Make the schema of an empty database; refuse one that is not at the newest revision."""
    with _one_line(path), connection.begin():
        found, needed = revisions.current(connection), revisions.head()
        if not found:
            revisions.upgrade(connection)
        elif revisions.is_older(found):
            raise StoreError(
                f"database schema is at {found}, this version needs {needed};"
                " run: smsgw db upgrade -c smsgw.toml"
            )
        elif found != needed:
            raise StoreError(_newer(found))


def _newer(found: str) -> str:
    return (
        f"database schema is at {found}, newer than this version knows"
        f" ({revisions.head()}); install the version that wrote it"
    )


def _connect(path: Path) -> Connection:
    """Open the one writing connection."""
    if sqlite3.sqlite_version_info < SQLITE_NEEDED:
        needed = ".".join(map(str, SQLITE_NEEDED))
        raise StoreError(f"{path}: SQLite is {sqlite3.sqlite_version}, needed {needed} or newer")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: folder {path.parent} does not exist; create it")
    engine = create_engine(_url(path), poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _write_settings)
    event.listen(engine, "begin", _begin_immediate)
    with _one_line(path):
        connection = engine.connect()
        try:
            with connection.begin() as transaction:  # shows now what the first change would
                version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                connection.exec_driver_sql(f"PRAGMA user_version = {version}")
                transaction.rollback()
        except BaseException:
            connection.close()
            raise
    return connection


def _use_wal(path: Path, connection: Connection) -> None:
    """Switch the file to write-ahead logging: only once we know that it is ours."""
    with _one_line(path):
        driver = connection.connection.cursor()
        mode = driver.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        driver.close()
        if mode != "wal":
            raise StoreError(f"journal mode is {mode}, needed wal; use a local disk")


def _reading_engine(path: Path) -> Engine:
    engine = create_engine(
        _url(path), poolclass=QueuePool, pool_size=READERS, max_overflow=0, hide_parameters=True
    )
    event.listen(engine, "connect", _read_settings)
    event.listen(engine, "begin", _begin_deferred)
    return engine


def _url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def _write_settings(connection: sqlite3.Connection, _record: object) -> None:
    _settings(connection)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


def _read_settings(connection: sqlite3.Connection, _record: object) -> None:
    _settings(connection)
    connection.execute("PRAGMA query_only = ON")


def _settings(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, for DDL and savepoints too
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _read(readers: Engine, fn: Callable[[Connection], T]) -> T:
    try:
        with readers.connect() as connection:
            return fn(connection)
    except SQLAlchemyError as error:
        raise translated("read", error) from error


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn the database library's errors into one line that names the file."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from error
    except SQLAlchemyError as error:
        problem = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StoreError(f"{path}: cannot be used as a database: {problem}") from error
