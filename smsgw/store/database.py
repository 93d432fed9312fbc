"""The store of one process: its schema check, its writer and its readers, on either database.

What the two databases do differently is in :mod:`smsgw.store.sqlite` and
:mod:`smsgw.store.postgresql`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from smsgw.errors import StoreError
from smsgw.store import nodes, revisions
from smsgw.store.address import Server, where
from smsgw.store.commit import Backend, Committer, translated
from smsgw.store.ids import IdSource
from smsgw.store.schema import metadata
from smsgw.store.sqlite import File
from smsgw.store.sqlite import holder as file_holder
from smsgw.store.statements import give_ids
from smsgw.store.writer import Reactor, Writer

if TYPE_CHECKING:
    from smsgw.store.presence import Permit, Presence

T = TypeVar("T")

READERS = 3
ONCE_SECONDS = 60.0
"""How long a process that does one thing may take for it."""


class Database:
    """The store of one process.

    Args:
        place: A file, or the address of a PostgreSQL server's database. The newest schema is made
            when it is empty; a missing file is made too.
        reactor: Provides IReactorTime and IReactorFromThreads.
        node: This process's number in ids, 0 to 1023.
        lease: For a database that several processes write to: how many seconds one of them may be
            silent until another takes over its work. Then :meth:`open` claims a number. 0: this
            process is the only one, as it always is with a file.

    Attributes:
        backend: The database; ``str()`` of it is its name for people.
        ids: Where every id of this process comes from.
        writer: Commits changes in groups.
        presence: What this process is to the others; None when it is the only one.
        reading: Reads that are under way.
    """

    def __init__(
        self,
        place: Path | Server | str,
        reactor: IReactorTime,
        *,
        node: int = 0,
        lease: float = 0.0,
    ) -> None:
        self.backend = _backend(place)
        self._reactor = cast(Reactor, reactor)
        self.ids = IdSource(node, self._reactor.seconds)
        self.writer = Writer(self._reactor)
        self.presence: Presence | None = None
        if lease and not isinstance(self.backend, File):
            self.presence = _presence(self.backend, self._reactor, lease)
        self._lease_seconds = lease
        self._lease: nodes.Lease | None = None
        self._readers: Engine | None = None
        self._pool: ThreadPool | None = None
        self.reading = 0
        self._idle: Deferred[None] | None = None
        self._equipment: list[Callable[[Connection], None]] = []

    def open(self) -> None:
        """Check or create the schema, then start the writer and the readers.

        Raises:
            StoreError: It cannot be used; one line that says why and what to do.
        """
        if self._pool is not None:
            raise StoreError(f"{self.backend}: already open")
        with _one_line(self.backend):
            connection = self._connect()
            try:
                _prepare_schema(self.backend, connection)
                self.backend.settle_in(connection)
                if self.presence is not None:
                    self._claim(connection, self.presence)
                _continue_ids(connection, self.ids)
            except BaseException:
                connection.close()
                raise
        self._readers = self.backend.readers(READERS)
        self._pool = ThreadPool(1, READERS, "smsgw-store-readers")
        # Without close() the process shall end all the same, as it does with the writer's thread.
        self._pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        self._pool.start()
        self.writer.start(Committer(self.backend, connection, self._connect))
        if self.presence is not None and self._lease is not None:
            self.presence.start(self._lease)

    def permit(self, pool: str, size: int) -> Permit | None:
        """Return the right to one of ``size`` places; None when there is nobody to share with."""
        return None if self.presence is None else self.presence.permit(pool, size)

    def read(self, fn: Callable[[Connection], T]) -> Deferred[T]:
        """Call ``fn`` with a read-only connection on a thread of the pool.

        It sees everything committed before. ``fn`` returns plain values, never open results.
        """
        if self._pool is None or self._readers is None:
            return fail(StoreError(f"{self.backend}: the database is not open"))
        reactor = cast(IReactorFromThreads, self._reactor)
        result = deferToThreadPool(reactor, self._pool, _read, self._readers, fn)
        self.reading += 1

        def ended(value: Any) -> Any:
            self.reading -= 1
            if self._idle is not None and not self.reading:
                self._idle.callback(None)
            return value

        return result.addBoth(ended)

    def equip(self, fn: Callable[[Connection], None]) -> Deferred[None]:
        """Call ``fn`` with the writing connection, and with each that ever takes its place.

        It only notes something on the connection (``info``); it runs on the writer's thread.
        """
        self._equipment.append(fn)
        return self.writer.run(fn)

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
        if self.presence is not None:
            await self.presence.stop()

    def _connect(self) -> Connection:
        connection = self.backend.connect()
        give_ids(connection, self.ids)
        for equip in self._equipment:
            equip(connection)
        if self._lease is not None:
            nodes.give_lease(connection, self._lease)
        return connection

    def _claim(self, connection: Connection, presence: Presence) -> None:
        """Get a node that is nobody else's; from then on no other process changes the schema."""
        with connection.begin():
            _check_schema(self.backend, connection)
            self._lease = nodes.claim(connection, self._lease_seconds, presence.lose)
        nodes.give_lease(connection, self._lease)
        self.ids.become(self._lease.node)


def upgrade(place: Path | Server | str) -> tuple[str, str]:
    """Bring a database to the newest schema; a missing file is made.

    Returns:
        The revision it had ("" when it was empty) and the one it has now.

    Raises:
        StoreError: It cannot be used, is newer than this version, or a gateway works on it.
    """
    backend = _backend(place)
    with _one_line(backend):
        connection = backend.connect()  # of a file, refused while another process writes to it
        try:
            with connection.begin():
                backend.lock_schema(connection)
                found = revisions.current(connection)
                if found and found != revisions.head():
                    if not revisions.is_older(found):
                        raise StoreError(_newer(found))
                    _check_idle(backend, connection)
                revisions.upgrade(connection)
            return found, revisions.head()
        finally:
            connection.close()


def read_once(place: Path | Server | str, fn: Callable[[Connection], T]) -> T:
    """Call ``fn`` with a read-only connection to an existing database, whoever has it open.

    Raises:
        StoreError: It cannot be used.
    """
    backend = _backend(place)
    with _one_line(backend), backend.readers(0).connect() as connection:
        return fn(connection)


def write_once(place: Path | Server | str, fn: Callable[[Connection], T], *, node: int = 0) -> T:
    """Call ``fn`` in one transaction, as a process that has nothing else to do.

    The newest schema is made when the database is empty. A file must be nobody else's meanwhile.

    Args:
        place: As :class:`Database`.
        fn: What it raises undoes what it did.
        node: This process's number; with a server it takes a free one.

    Raises:
        StoreError: It cannot be used.
    """
    backend = _backend(place)
    ids = IdSource(node, time.time)
    with _one_line(backend):
        connection = backend.connect()
        try:
            _prepare_schema(backend, connection)
            give_ids(connection, ids)
            if isinstance(backend, File):
                _continue_ids(connection, ids)
                with connection.begin():
                    return fn(connection)
            return _as_a_node(connection, ids, fn)
        finally:
            connection.close()


def holder(place: Path | Server | str) -> str:
    """Return which process works on a database, for people; "" when none does.

    Raises:
        StoreError: It cannot be asked.
    """
    backend = _backend(place)
    if isinstance(backend, File):
        number = file_holder(backend.path)
        return f"process {number}" if number else ""
    with _one_line(backend), backend.readers(0).connect() as connection:
        if not revisions.current(connection):
            return ""
        return "; ".join(nodes.at_work(connection))


def _as_a_node(connection: Connection, ids: IdSource, fn: Callable[[Connection], T]) -> T:
    with connection.begin():
        lease = nodes.claim(connection, ONCE_SECONDS, lambda: None)
    try:
        ids.become(lease.node)
        _continue_ids(connection, ids)
        with connection.begin():
            return fn(connection)
    finally:
        with connection.begin():
            nodes.give_back(connection, lease)


def _continue_ids(connection: Connection, ids: IdSource) -> None:
    """Keep ids growing over a restart even when the clock was set back meanwhile."""
    tables = [table for table in metadata.tables.values() if "id" in table.c]
    newest = " UNION ALL ".join(f"SELECT max(id) FROM {table.name}" for table in tables)
    with connection.begin():
        for (used,) in connection.execute(text(newest)):
            ids.continue_after(used or 0)


def _backend(place: Path | Server | str) -> Backend:
    found = where(place)
    if isinstance(found, Path):
        return File(found)
    from smsgw.store.postgresql import Cluster  # only who uses it waits for its driver to load

    return Cluster(found)


def _presence(backend: Backend, reactor: Reactor, lease: float) -> Presence:
    from smsgw.store.postgresql import Cluster
    from smsgw.store.presence import Presence  # only who uses it waits for its driver to load

    cluster = cast(Cluster, backend)
    cluster.idle_seconds = min(cluster.idle_seconds, lease)  # what it locked, others wait for
    return Presence(cluster, reactor)


def _prepare_schema(backend: Backend, connection: Connection) -> None:
    """Make the schema of an empty database; refuse one that is not at the newest revision."""
    with connection.begin():
        if not _check_schema(backend, connection):
            revisions.upgrade(connection)


def _check_schema(backend: Backend, connection: Connection) -> str:
    """Return the revision, "" of an empty database; raise StoreError for any but the newest one.

    Until the transaction ends nobody else changes it.
    """
    backend.lock_schema(connection)
    found, needed = revisions.current(connection), revisions.head()
    if found in ("", needed):
        return found
    if revisions.is_older(found):
        raise StoreError(
            f"database schema is at {found}, this version needs {needed};"
            " run: smsgw db upgrade -c smsgw.toml"
        )
    raise StoreError(_newer(found))


def _check_idle(backend: Backend, connection: Connection) -> None:
    """Refuse to change the schema under processes that work with the older one."""
    if isinstance(backend, File):
        return  # which one process has for itself
    working = nodes.at_work(connection)
    if working:
        raise StoreError(
            f"an older gateway works on it: {'; '.join(working)}; stop it with SIGTERM, or when it"
            " crashed wait until its lease is over, then run this again"
        )


def _newer(found: str) -> str:
    return (
        f"database schema is at {found}, newer than this version knows"
        f" ({revisions.head()}); install the version that wrote it"
    )


def _read(readers: Engine, fn: Callable[[Connection], T]) -> T:
    try:
        with readers.connect() as connection:
            return fn(connection)
    except SQLAlchemyError as error:
        raise translated("read", error) from error


@contextmanager
def _one_line(backend: Backend) -> Iterator[None]:
    """Turn the database library's errors into one line that names the database."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"{backend}: {error}") from error
    except SQLAlchemyError as error:
        problem = f"{translated('cannot be used as a database', error)}"
        raise StoreError(f"{backend}: {problem}") from error
