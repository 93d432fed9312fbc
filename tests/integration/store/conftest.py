from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from smsgw.store.database import Database
from tests.support.delivery import empty_database
from tests.support.stores import bare_server, schema_server, server

__all__ = ["bare_server", "database", "look", "path", "schema_server", "server"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "smsgw.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    path.write_bytes(empty_database())
    database = Database(path, reactor)
    database.open()
    yield database
    pytest_twisted.blockon(database.close())


@pytest.fixture
def look(path: Path) -> Callable[..., list[tuple[Any, ...]]]:
    """Query the file over a connection of our own: what another process would see."""

    def look(text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(text, parameters).fetchall()

    return look
