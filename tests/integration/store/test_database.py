from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event as ThreadEvent
from typing import Any

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor

from smsgw.errors import StoreError
from smsgw.model import Event
from smsgw.store import events, migrations, revisions
from smsgw.store.database import Database, read_once, upgrade
from smsgw.store.sqlite import SQLITE_NEEDED
from smsgw.store.statements import ids_of
from tests.support.reactor import reactor_test

Look = Callable[..., list[tuple[Any, ...]]]


def refusal(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        Database(path, reactor).open()
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def told(kind: str) -> Callable[[Connection], None]:
    return lambda connection: events.append(connection, 5, [Event(kind, 1)])


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this the version after the present one: it has one more step."""
    steps = tmp_path / "migrations"
    shutil.copytree(Path(next(iter(migrations.__path__))), steps)
    (steps / "versions" / "9999_next.py").write_text(
        "from alembic import op\n"
        "revision, down_revision = '9999', '0001'\n"
        "def upgrade():\n    op.execute('CREATE TABLE next (id INTEGER PRIMARY KEY)')\n"
    )
    monkeypatch.setattr(revisions, "LOCATION", steps)


class TestSchema:
    @reactor_test
    async def test_a_new_file_gets_the_newest_schema(self, database: Database, look: Look) -> None:
        assert look("SELECT version_num FROM alembic_version") == [(revisions.head(),)]
        assert look("PRAGMA journal_mode") == [("wal",)]

    def test_a_new_file_is_for_its_owners_eyes_and_an_older_one_keeps_its_mode(
        self, path: Path
    ) -> None:
        upgrade(path)
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o640)
        upgrade(path)
        assert path.stat().st_mode & 0o777 == 0o640

    @reactor_test
    async def test_an_empty_file_counts_as_new(self, path: Path, look: Look) -> None:
        path.touch()
        database = Database(path, reactor)
        database.open()
        await database.close()
        assert look("SELECT version_num FROM alembic_version") == [(revisions.head(),)]

    def test_upgrading_says_from_where_to_where_and_may_be_repeated(self, path: Path) -> None:
        assert upgrade(str(path)) == ("", revisions.head())
        assert upgrade(path) == (revisions.head(), revisions.head())

    @pytest.mark.usefixtures("next_version")
    def test_an_older_schema_is_refused_until_upgraded(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as present:
            present.setattr(revisions, "LOCATION", Path(next(iter(migrations.__path__))))
            upgrade(path)
        assert refusal(path) == (
            "database schema is at 0001, this version needs 9999;"
            " run: smsgw db upgrade -c smsgw.toml"
        )
        assert upgrade(path) == ("0001", "9999")
        upgrade(path)

    def test_a_newer_schema_is_refused(self, path: Path) -> None:
        upgrade(path)
        execute(path, "UPDATE alembic_version SET version_num = '9999'")
        expected = (
            f"database schema is at 9999, newer than this version knows ({revisions.head()});"
            " install the version that wrote it"
        )
        assert refusal(path) == expected
        with pytest.raises(StoreError, match="newer than this version knows"):
            upgrade(path)


class TestUnusableFiles:
    def test_a_database_of_something_else_is_refused(self, path: Path) -> None:
        execute(path, "CREATE TABLE photos (id INTEGER)")
        assert refusal(path) == "holds tables of something else; name another database"
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)

    def test_a_file_that_is_no_database_is_refused(self, path: Path) -> None:
        path.write_bytes(b"[links]\n" * 200)
        assert refusal(path) == "cannot be used as a database: file is not a database"
        assert path.read_bytes() == b"[links]\n" * 200

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "smsgw.db"
        assert refusal(path) == f"folder {path.parent} does not exist; create it"

    def test_a_folder_is_no_database(self, tmp_path: Path) -> None:
        assert refusal(tmp_path) == "cannot be used as a database: unable to open database file"

    def test_a_file_nobody_may_write_is_refused(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upgrade(path)
        monkeypatch.setattr(
            "smsgw.store.sqlite._url",
            lambda path: f"sqlite:///file:{path}?mode=ro&uri=true",
        )
        expected = "cannot be used as a database: attempt to write a readonly database"
        assert refusal(path) == expected

    def test_a_place_without_shared_memory_is_refused(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("smsgw.store.sqlite._url", lambda path: "sqlite://")
        assert refusal(path) == "journal mode is memory, needed wal; use a local disk"

    def test_an_old_sqlite_is_refused(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
        monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
        assert SQLITE_NEEDED == (3, 35, 0)
        assert refusal(path) == "SQLite is 3.34.1, needed 3.35.0 or newer"
        assert not path.exists()


class TestReading:
    @reactor_test
    async def test_a_read_sees_what_is_committed(self, database: Database) -> None:
        await database.writer.run(told("message.sent"))
        found = await database.read(events.list_after)
        assert [(event.kind, event.subject_id, event.at) for event in found] == [
            ("message.sent", 1, 5)
        ]

    @reactor_test
    async def test_a_read_cannot_write(self, database: Database) -> None:
        def write(connection: Connection) -> None:
            connection.exec_driver_sql("DELETE FROM event")

        with pytest.raises(StoreError, match=r"^read: attempt to write a readonly database$"):
            await database.read(write)

    @reactor_test
    async def test_its_own_errors_reach_the_caller(self, database: Database) -> None:
        with pytest.raises(ZeroDivisionError):
            await database.read(lambda _: 1 // 0)

    @reactor_test
    async def test_closing_waits_for_reads(self, path: Path) -> None:
        database = Database(path, reactor)
        database.open()
        go = ThreadEvent()
        reading = database.read(lambda _: go.wait(5))
        quick = database.read(lambda _: "quick")
        closed = database.close()
        reactor.callLater(0.05, go.set)
        await closed
        assert await reading
        assert await quick == "quick"

    @reactor_test
    async def test_a_database_that_is_not_open_reads_nothing(self, path: Path) -> None:
        database = Database(path, reactor)
        with pytest.raises(StoreError, match="the database is not open"):
            await database.read(events.list_after)
        await database.close()


class TestOpening:
    @reactor_test
    async def test_it_opens_once(self, database: Database) -> None:
        with pytest.raises(StoreError, match="already open"):
            database.open()

    @reactor_test
    async def test_it_can_be_opened_again_after_closing(self, path: Path) -> None:
        database = Database(path, reactor)
        for _ in range(2):
            database.open()
            assert await database.read(events.list_after) == []
            await database.close()

    @reactor_test
    async def test_a_file_that_a_gateway_writes_to_is_nobody_else_s(
        self, database: Database, path: Path
    ) -> None:
        holder = f"process {os.getpid()} writes to this file; stop it, or name another file"
        assert holder in refusal(path)
        with pytest.raises(StoreError, match=holder):
            upgrade(path)
        assert await database.read(events.list_after) == []
        assert read_once(path, events.list_after) == []

    @reactor_test
    async def test_a_refused_file_is_free_again(self, path: Path) -> None:
        path.write_text("no database, but long enough to be read as one")
        assert "is not a database" in refusal(path)
        path.unlink()
        assert upgrade(path)[0] == ""

    def test_a_folder_nobody_may_write_in_is_named(self) -> None:
        assert refusal(Path("/proc/smsgw.db")).startswith("cannot write smsgw.db-lock beside it: ")

    @reactor_test
    async def test_the_writer_is_durable_and_checks_references(self, database: Database) -> None:
        def settings(connection: Connection) -> list[Any]:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

        assert await database.writer.run(settings) == ["wal", 2, 1, 5000]
        assert await database.writer.run(ids_of) is database.ids

    @reactor_test
    async def test_who_reads_keeps_less_in_memory_than_the_writer(self, database: Database) -> None:
        def cache_kib(connection: Connection) -> int:
            return -int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())

        assert await database.read(cache_kib) * 8 <= await database.writer.run(cache_kib)

    @reactor_test
    async def test_ids_grow_over_a_restart_with_the_clock_set_back(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = Database(path, reactor, node=5)
        database.open()
        later = 2**62
        await database.writer.run(told("message.sent"))
        await database.writer.run(
            lambda c: c.exec_driver_sql("UPDATE event SET id = ?", (later,)) and None
        )
        await database.close()
        again = Database(path, reactor, node=5)
        again.open()
        assert again.ids.next() > later
        await again.close()
