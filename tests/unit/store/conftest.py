from __future__ import annotations

from collections.abc import Iterator

import pytest
from smsgw.store.ids import IdSource
from smsgw.store.schema import metadata
from smsgw.store.statements import give_ids
from sqlalchemy import Connection, create_engine, event


@pytest.fixture
def ids() -> IdSource:
    return IdSource(1, lambda: 1_800_000_000.0)


@pytest.fixture
def connection(ids: IdSource) -> Iterator[Connection]:
    """Every table in memory, foreign keys on, inside a transaction."""
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA foreign_keys = ON") and None)
    with engine.connect() as connection:
        metadata.create_all(connection)
        give_ids(connection, ids)
        yield connection
    engine.dispose()
