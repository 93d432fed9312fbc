from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from smsgw.store import events
from smsgw.store.ids import IdSource
from smsgw.store.schema import metadata
from smsgw.store.statements import give_ids
from tests.support.store import StoredMessages


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Every table in memory, foreign keys on."""
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON").close())
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def ids() -> IdSource:
    return IdSource(1, lambda: 1_800_000_000.0)


@pytest.fixture
def connection(engine: Engine, ids: IdSource) -> Iterator[Connection]:
    """A transaction that is rolled back when the test ends."""
    with engine.connect() as connection, connection.begin() as transaction:
        give_ids(connection, ids)
        yield connection
        events.noted(connection).clear()
        transaction.rollback()


@pytest.fixture
def store(connection: Connection, ids: IdSource) -> StoredMessages:
    return StoredMessages(connection, ids)
