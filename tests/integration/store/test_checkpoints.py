"""The log of a file is copied back into it beside the writer, and stays small."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.model import Event
from smsgw.store import events, sqlite
from smsgw.store.database import Database
from tests.support.reactor import reactor_test

PAGE = 4096
ROUNDS = 60


def write(pages: int) -> Callable[[Connection], None]:
    """Fill about so many pages."""
    data = {"filling": "x" * 3500}
    return lambda c: events.append(c, 5, [Event("filled", n, "", data) for n in range(pages)])


def log_pages(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size // PAGE


async def copied(path: Path) -> None:
    """Wait until the last page is in the file."""
    with closing(sqlite3.connect(path)) as connection:
        while True:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            if path.stat().st_size == pages * PAGE:
                return
            await deferLater(reactor, 0.01)


@reactor_test
async def test_what_is_committed_is_copied_into_the_file_without_the_writer(
    database: Database, path: Path
) -> None:
    await database.writer.run(write(50))
    assert log_pages(path) < sqlite.LOG_PAGES
    await copied(path)
    assert path.stat().st_size > 50 * PAGE


@reactor_test
async def test_the_log_grows_no_longer_than_its_limit_and_some_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOG_PAGES", 200)
    database = Database(path, reactor)
    database.open()
    for _ in range(ROUNDS):
        await database.writer.run(write(20))
    assert log_pages(path) < ROUNDS * 10
    await database.close()
    assert not Path(f"{path}-wal").exists()


@reactor_test
async def test_a_long_read_keeps_the_log_growing_and_stops_nobody(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOG_PAGES", 200)
    monkeypatch.setattr(sqlite, "LOG_OCTETS_KEPT", 300 * PAGE)
    database = Database(path, reactor)
    database.open()
    await database.writer.run(write(20))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM event").fetchone()
        for _ in range(ROUNDS):
            await database.writer.run(write(20))
        assert log_pages(path) > ROUNDS * 20
        assert reader.execute("SELECT count(*) FROM event").fetchone() == seen
    while log_pages(path) > 320:  # until it begins anew
        await database.writer.run(write(20))
        await deferLater(reactor, 0.01)
    await database.close()
