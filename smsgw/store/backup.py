"""Copies of an SQLite file: one made while the gateway works on it, and one put back.

A copy is one moment of the file, checked before it gets its name, and never replaces anything.

A copy that is put back does not know what was done after it was made: what waited in it may have
been sent since. So unless one says that nothing was, all of that becomes as doubtful as what a
crash leaves: named in ``sending``, of unknown outcome at the next start.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from smsgw.errors import StoreError
from smsgw.store import revisions
from smsgw.store.sqlite import BUSY_SECONDS, locked

PAGES_AT_A_TIME = 4096
HANDFUL = 256
"""Segments that one row of ``sending`` names."""

Told = Callable[[int, int], None]
"""Called with how many pages are copied, and of how many."""


class Copy(NamedTuple):
    """A copy that was made.

    Attributes:
        revision: The schema's.
        octets: Its size.
        waiting: Segments that wait in it to be sent.
    """

    revision: str
    octets: int
    waiting: int


class Restored(NamedTuple):
    """What was put back.

    Attributes:
        copy: The copy.
        doubtful: Segments that may have been sent since it was made.
        replaced: Where the file is that was there before, or None.
    """

    copy: Copy
    doubtful: int
    replaced: Path | None


def back_up(source: Path, target: Path, told: Told = lambda done, total: None) -> Copy:
    """Copy a database that may be in use into a new file.

    Raises:
        StoreError: One line: there is no such database, ``target`` is there already, the disk is
            full, or the copy is not whole. Then there is no ``target``.
    """
    if not source.is_file():
        raise StoreError(f"{source}: there is no such database")
    _check_new(target)
    if not target.parent.is_dir():
        raise StoreError(f"{target}: folder {target.parent} does not exist; create it")
    with _new_file(target) as fresh:
        return _copy(source, fresh, told)


def restore(
    copy: Path,
    place: Path,
    *,
    sent_since: bool = True,
    now: Callable[[], float] = time.time,
    told: Told = lambda done, total: None,
) -> Restored:
    """Put a copy in the place of a database; what was there is kept beside it.

    Args:
        copy: From :func:`back_up`, or any whole file of the newest schema.
        place: The database.
        sent_since: Whether a gateway may have sent something since the copy was made.
        now: Seconds since 1970.
        told: Told how far it is.

    Raises:
        StoreError: One line: a gateway works on ``place``, the copy is not whole or not of the
            newest schema, or the disk is full. Then nothing has changed.
    """
    if not copy.is_file():
        raise StoreError(f"{copy}: there is no such file")
    if not place.parent.is_dir():
        raise StoreError(f"{place}: folder {place.parent} does not exist; create it")
    if place.exists() and place.samefile(copy):
        raise StoreError(f"{copy}: is the database itself; name a backup of it")
    try:
        lock = locked(place)
    except StoreError as error:
        raise StoreError(f"{place}: {error}") from error
    with closing(lock):
        _check_revision(copy)
        replaced = None
        with _new_file(place) as fresh:
            made = _copy(copy, fresh, told)
            doubtful = _doubt(fresh, int(now() * 1000)) if sent_since else 0
            if place.exists():
                replaced = _move_away(place, now())
        return Restored(made, doubtful, replaced)


# ---- inside ------------------------------------------------------------------------------


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """Give a file to fill; once that is done, and on the disk, it gets its name."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        fresh.touch(mode=0o600)
        yield fresh
        with open(fresh, "rb") as file:
            os.fsync(file.fileno())
        _check_new(target)
        fresh.rename(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{target}: cannot be copied: {error}") from error
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{fresh}{suffix}").unlink()


def _check_new(target: Path) -> None:
    if target.exists():
        raise StoreError(f"{target}: is there already; name a new file")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Path, fresh: Path, told: Told) -> Copy:
    """Copy one moment of ``source``, and check the copy."""
    with _reading(source) as reader, closing(_opened(fresh)) as writer:
        reader.backup(
            writer, pages=PAGES_AT_A_TIME, progress=lambda _, left, all_: told(all_ - left, all_)
        )
        try:
            writer.execute("PRAGMA journal_mode = DELETE")  # one file, whole in itself
            problems = [row[0] for row in writer.execute("PRAGMA integrity_check(3)")]
        except sqlite3.DatabaseError as error:
            problems = [str(error)]
        if problems != ["ok"]:
            raise StoreError(f"{source}: is damaged: {'; '.join(problems)}")
        revision = _revision(writer, source)
        waiting = writer.execute("SELECT count(*) FROM queue").fetchone()[0]
    return Copy(revision, fresh.stat().st_size, waiting)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that sees one moment of a file, and writes nothing."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)) as connection:
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{path}: cannot be read as a database: {error}") from error
        yield connection


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _revision(connection: sqlite3.Connection, path: Path) -> str:
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        row = None
    if row is None:
        raise StoreError(f"{path}: is no database of smsgw")
    return str(row[0])


def _check_revision(copy: Path) -> None:
    with _reading(copy) as connection:
        found = _revision(connection, copy)
    needed = revisions.head()
    if revisions.is_older(found):
        raise StoreError(
            f"{copy}: its schema is at {found}, this version needs {needed};"
            f" run: smsgw db upgrade --database {copy}"
        )
    if found != needed:
        raise StoreError(
            f"{copy}: its schema is at {found}, newer than this version knows ({needed});"
            " install the version that wrote it"
        )


_WAITED = """SELECT q.node, q.link, q.message_id, q.part, coalesce(s.attempts, 0) + 1 FROM queue q
 LEFT JOIN segment s ON s.message_id = q.message_id AND s.part = q.part
 WHERE q.due_at <= ? ORDER BY q.node, q.link, q.message_id, q.part"""


def _doubt(path: Path, now_ms: int) -> int:
    """Name in ``sending`` everything that waits and was due by now; return how many."""
    with closing(_opened(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        waited = connection.execute(_WAITED, (now_ms,)).fetchall()
        key = connection.execute("SELECT coalesce(max(id), 0) FROM sending").fetchone()[0]
        handfuls: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
        for node, link, message_id, part, attempts in waited:
            handfuls.setdefault((node, link), []).append((message_id, part, attempts))
        for (node, link), named in handfuls.items():
            for start in range(0, len(named), HANDFUL):
                key += 1
                values = (key, node, link, json.dumps(named[start : start + HANDFUL]))
                connection.execute("INSERT INTO sending VALUES (?, ?, ?, ?)", values)
        connection.execute("DELETE FROM queue WHERE due_at <= ?", (now_ms,))
        connection.execute("COMMIT")
        return len(waited)


def _move_away(place: Path, now: float) -> Path:
    """Give a database another name, with what belongs to it."""
    at = datetime.fromtimestamp(now).strftime("%Y%m%dT%H%M%S")
    kept = place.with_name(f"{place.name}.replaced-{at}")
    if kept.exists():
        raise StoreError(f"{kept}: is there already; try again in a second")
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            Path(f"{place}{suffix}").rename(f"{kept}{suffix}")
    return kept
