"""SQLite: how its file is opened, and how it says what :mod:`smsgw.store.statements` asks for.

A file in WAL mode with ``synchronous=FULL``: a commit is on the disk when it returns. One process
writes, over one connection; reading ones are ``query_only``. A lock on a file beside it keeps a
second writing process away: its start would take what the first one is sending for interrupted.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from smsgw.errors import StoreError
from smsgw.store.checkpoints import Checkpoints
from smsgw.store.statements import chunks, insert_values, values_text

T = TypeVar("T")

SQLITE_NEEDED = (3, 35, 0)
"""``UPDATE … FROM`` needs 3.33, ``RETURNING`` 3.35."""

BUSY_SECONDS = 5.0
"""How long a statement waits for another program's lock on the file."""

WRITE_CACHE_KIB = 32 * 1024
READ_CACHE_KIB = 2 * 1024
"""Of each connection that reads. It is void as a whole with every commit of the writer, so that it
serves one transaction and no other; but the memory stays with the process, once for each reader."""

PREPARED_MAX = 512
"""Statements that stay prepared: each of ours in all its sizes."""

LOG_PAGES = 8000
"""How long the log gets before the writer itself copies the rest of it back: 32 MiB."""

LOG_OCTETS_KEPT = 64 * 1024 * 1024
"""What a log that had to grow, because somebody read for long, is cut back to."""


class File:
    """One database file (:class:`smsgw.store.commit.Backend`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._checkpoints: Checkpoints | None = None

    def __str__(self) -> str:
        return str(self.path)

    def connect(self) -> Connection:
        """Open the one writing connection."""
        path = self.path
        if sqlite3.sqlite_version_info < SQLITE_NEEDED:
            needed = ".".join(map(str, SQLITE_NEEDED))
            raise StoreError(f"SQLite is {sqlite3.sqlite_version}, needed {needed} or newer")
        if not path.parent.is_dir():
            raise StoreError(f"folder {path.parent} does not exist; create it")
        lock = locked(path)
        with suppress(OSError):  # then SQLite says why
            path.touch(mode=0o600)  # a new one has texts and numbers soon, for its owner's eyes
        engine = create_engine(
            _url(path),
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"cached_statements": PREPARED_MAX},
        )
        event.listen(engine, "connect", _write_settings)
        event.listen(engine, "begin", _begin_immediate)
        event.listen(engine, "close", lambda *_: lock.close())
        try:
            connection = engine.connect()
        except BaseException:
            lock.close()
            raise
        try:
            with connection.begin() as transaction:  # shows now what the first change would
                version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
                connection.exec_driver_sql(f"PRAGMA user_version = {version}")
                transaction.rollback()
        except BaseException:
            connection.close()
            raise
        return connection

    def settle_in(self, connection: Connection) -> None:
        """Switch the file to write-ahead logging: only once we know that it is ours."""
        driver = connection.connection.cursor()
        driver.execute("PRAGMA journal_mode = WAL")
        (mode,) = driver.fetchone() or ("unknown",)
        driver.close()
        if mode != "wal":
            raise StoreError(f"journal mode is {mode}, needed wal; use a local disk")
        self._checkpoints = Checkpoints(self.path)
        self._checkpoints.start()
        event.listen(connection.engine, "close", self._stop_checkpoints, insert=True)

    def _stop_checkpoints(self, *_: object) -> None:
        if self._checkpoints is not None:
            self._checkpoints.stop()
            self._checkpoints = None

    def lock_schema(self, connection: Connection) -> None:
        """Whoever writes to the file has it alone already."""

    def readers(self, count: int) -> Engine:
        """Return what connects the readers, ``count`` at most; 0 keeps none open."""
        size: dict[str, Any] = {"poolclass": NullPool}
        if count:
            size = {"poolclass": QueuePool, "pool_size": count, "max_overflow": 0}
        engine = create_engine(_url(self.path), hide_parameters=True, **size)
        event.listen(engine, "connect", _read_settings)
        event.listen(engine, "begin", _begin_deferred)
        return engine

    def size(self, connection: Connection) -> tuple[int, int | None]:
        """Return the octets of the file and what lies beside it, and those free on its disk."""
        beside = [self.path, *(Path(f"{self.path}{end}") for end in ("-wal", "-shm"))]
        octets = sum(path.stat().st_size for path in beside if path.exists())
        return octets, shutil.disk_usage(self.path.parent).free

    def check(self, connection: Connection) -> None:
        """Check that the transaction is there: SQLite ends it by itself on a full disk."""
        if not getattr(connection.connection.driver_connection, "in_transaction", False):
            raise StoreError("the database gave up the transaction")

    def before_commit(self, connection: Connection) -> str:
        """Check that there is something to commit; no commit of a file is ever in doubt."""
        self.check(connection)
        return ""

    def committed(self) -> None:
        """Have the log copied back beside us."""
        if self._checkpoints is not None:
            self._checkpoints.written()

    def was_committed(self, connection: Connection, transaction: str) -> bool:
        """Never asked: a file is not lost between its commit and the answer."""
        raise AssertionError("a file has no commit in doubt")

    def is_lost(self, connection: Connection) -> bool:
        """A file stays where it is."""
        return False

    def is_read_only(self, error: BaseException) -> bool:
        """A file that cannot be written now may be written over the same connection later."""
        return False

    def is_race(self, error: BaseException) -> bool:
        """There is nobody else to be outrun by."""
        return False

    def is_deadlock(self, error: BaseException) -> bool:
        """There is one lock, and who has it waits for nobody."""
        return False


def holder(path: Path) -> str:
    """Return the number of the process that writes to a file; "" when none does."""
    try:
        lock = open(f"{path}-lock", encoding="ascii")  # noqa: SIM115
    except OSError:
        return ""
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return lock.read(20).strip() or "unknown"
    return ""


def locked(path: Path) -> IO[str]:
    """Return the file whose lock says that the database is ours; closing it, or our end, ends that.

    It is a file of its own: closing any descriptor of the database takes away SQLite's own locks.
    """
    try:
        lock = open(f"{path}-lock", "a+", encoding="ascii")  # noqa: SIM115
    except OSError as error:
        raise StoreError(f"cannot write {path.name}-lock beside it: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read(20).strip() or "another one"
        lock.close()
        raise StoreError(
            f"process {holder} writes to this file; stop it, or name another file for this one"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def _write_settings(connection: sqlite3.Connection, _record: object) -> None:
    _settings(connection, WRITE_CACHE_KIB)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_OCTETS_KEPT}")


def _read_settings(connection: sqlite3.Connection, _record: object) -> None:
    _settings(connection, READ_CACHE_KIB)
    connection.execute("PRAGMA query_only = ON")


def _settings(connection: sqlite3.Connection, cache_kib: int) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, for DDL and savepoints too
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


# ---- statements --------------------------------------------------------------------------

_WORDS = re.compile(r"\b(?:IDS|TEXTS)\((\?|:\w+)\)|\bROWS\(([^()]*)\)")


@functools.cache
def spelled(text: str) -> str:
    """Return a statement of ours as SQLite reads it."""

    def word(found: re.Match[str]) -> str:
        if found[1]:
            return f"(SELECT value FROM json_each({found[1]}))"
        return f"json_group_array(json_array({found[2]}))"

    return _WORDS.sub(word, text)


def fetch(
    connection: Connection,
    decoder: msgspec.json.Decoder[list[T]],
    text: str,
    parameters: tuple[Any, ...],
) -> list[T]:
    """Return the rows of a query, which come out as one JSON text."""
    return decoder.decode(connection.exec_driver_sql(spelled(text), parameters).scalar_one())


OWN_VALUES = {
    "message": ("id", "reference", "recipient", "text", "contents", "created_at", "valid_until"),
    "queue": ("message_id", "part", "valid_until"),
    "segment": ("message_id", "part", "carrier_message_id", "sent_at"),
    "event": ("id", "at", "subject_id"),
}
"""What each row has of its own where many are written at a time. What such rows have in common
besides is given once for all of them: that halves what they cost."""

ALIKE_LEAST = 8
"""From so many rows on that have the rest in common, giving it once pays for the statement."""

Values = Callable[[tuple[Any, ...]], tuple[Any, ...]]


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert whole rows."""
    if len(rows) < ALIKE_LEAST or table.name not in OWN_VALUES:
        insert_values(connection, table, rows)
        return
    own, common = _parts_of(table)
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        groups.setdefault(common(row), []).append(row)
    few: list[tuple[Any, ...]] = []
    for shared, alike in groups.items():
        if len(alike) < ALIKE_LEAST:
            few += alike
            continue
        for chunk in chunks(alike):
            values = chain(shared, chain.from_iterable(map(own, chunk)))
            connection.exec_driver_sql(_insert_alike_text(table, len(chunk)), tuple(values))
    insert_values(connection, table, few)


@functools.cache
def _parts_of(table: Table) -> tuple[Values, Values]:
    """Return what takes a row's own values, and what takes the others."""
    places = range(len(table.columns))
    names, of_own = list(table.columns.keys()), OWN_VALUES[table.name]
    own = [place for place in places if names[place] in of_own]
    return itemgetter(*own), itemgetter(*(place for place in places if place not in own))


@functools.cache
def _insert_alike_text(table: Table, count: int) -> str:
    names, of_own = list(table.columns.keys()), OWN_VALUES[table.name]
    place = iter(range(1, len(of_own) + 1))
    selected = [f"v.column{next(place)}" if name in of_own else "?" for name in names]
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {', '.join(selected)}"
        f" FROM (VALUES {values_text(len(of_own), count)}) AS v"
    )


def update_rows(
    connection: Connection,
    table: Table,
    keys: tuple[str, ...],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Set ``columns`` of rows found by ``keys``."""
    for chunk in chunks(rows):
        text = _update_text(table, keys, columns, len(chunk))
        connection.exec_driver_sql(text, tuple(chain.from_iterable(chunk)))


@functools.cache
def _update_text(table: Table, keys: tuple[str, ...], columns: tuple[str, ...], count: int) -> str:
    names = [table.columns[name].name for name in (*keys, *columns)]
    places = [f"v.column{place}" for place in range(1, len(names) + 1)]
    found = " AND ".join(
        f"{table.name}.{name} = {place}" for name, place in zip(keys, places, strict=False)
    )
    changes = ", ".join(
        f"{name} = {place}"
        for name, place in zip(names[len(keys) :], places[len(keys) :], strict=True)
    )
    rows = values_text(len(names), count)
    return f"UPDATE {table.name} SET {changes} FROM (VALUES {rows}) AS v WHERE {found}"
