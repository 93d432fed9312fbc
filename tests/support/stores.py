"""Databases to test on, of both kinds: a new SQLite file, or one of our own on a real PostgreSQL.

Where the server is, ``SMSGW_TEST_POSTGRESQL`` says; without one the tests are skipped, unless
``SMSGW_NEEDS_POSTGRESQL`` is set: then they fail.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from sqlalchemy import Connection
from twisted.internet import reactor

from smsgw.store import events, messages
from smsgw.store.address import Server
from smsgw.store.database import Database, upgrade
from smsgw.store.messages import SegmentRow
from smsgw.store.schema import metadata
from tests.support.delivery import empty_database
from tests.support.store import StoredMessages

T = TypeVar("T")

SERVER = os.environ.get("SMSGW_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
NEEDED = bool(os.environ.get("SMSGW_NEEDS_POSTGRESQL"))

Place = Path | Server

_numbers = itertools.count()


@functools.cache
def _refusal() -> str:
    try:
        psycopg.connect(SERVER, connect_timeout=30).close()
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    return ""


def skip_without_server() -> None:
    """Skip the test that calls it when there is no server to test on."""
    if problem := _refusal():
        text = f"no PostgreSQL to test on (SMSGW_TEST_POSTGRESQL): {problem}"
        pytest.fail(text) if NEEDED else pytest.skip(text)


def execute(place: Server, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Run a statement over a connection of our own: what another program would do or see."""
    with _connected(str(place)) as connection:
        found = connection.execute(text, parameters or None)
        return found.fetchall() if found.description else []


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    connection = psycopg.connect(url, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _own_database() -> Iterator[Server]:
    name = f"smsgw_test_{os.getpid()}_{next(_numbers)}"
    with _connected(SERVER) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # a pid comes again
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield Server.parse(SERVER.rpartition("/")[0] + "/" + name)
    finally:
        with _connected(SERVER) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def schema_server() -> Iterator[Server]:
    skip_without_server()
    with _own_database() as server:
        upgrade(server)
        yield server


@pytest.fixture
def server(schema_server: Server) -> Server:
    """A PostgreSQL database with the newest schema and nothing in it."""
    tables = [table.name for table in reversed(metadata.sorted_tables)]
    execute(schema_server, "; ".join(f"DELETE FROM {table}" for table in tables))
    return schema_server


@pytest.fixture
def bare_server() -> Iterator[Server]:
    """A PostgreSQL database without a table."""
    skip_without_server()
    with _own_database() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A database of either kind with the newest schema and nothing in it."""
    if request.param == "postgresql":
        found: Server = request.getfixturevalue("server")
        return found
    (tmp_path / "smsgw.db").write_bytes(empty_database())
    return tmp_path / "smsgw.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A database of either kind without a table."""
    if request.param == "postgresql":
        found: Server = request.getfixturevalue("bare_server")
        return found
    return tmp_path / "smsgw.db"


long_on_postgresql = pytest.mark.parametrize(
    "place", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
"""For a test of what is the same in both databases, where another one tells them apart."""


@asynccontextmanager
async def opened(place: Place, node: int = 0) -> AsyncIterator[Database]:
    database = Database(place, reactor, node=node)
    database.open()
    try:
        yield database
    finally:
        await database.close()


async def within(database: Database, fn: Callable[[StoredMessages], T]) -> T:
    """Call ``fn`` in a transaction that is committed."""
    return await database.writer.run(lambda c: fn(StoredMessages(c, database.ids)))


async def kinds(database: Database) -> list[str]:
    return [event.kind for event in await database.read(events.list_after)]


async def shown(database: Database, message_id: int) -> tuple[str, list[SegmentRow]]:
    def find(connection: Connection) -> tuple[str, list[SegmentRow]]:
        message = messages.get(connection, message_id)
        assert message is not None
        return message.status, messages.segments_of(connection, message)

    return await database.read(find)
