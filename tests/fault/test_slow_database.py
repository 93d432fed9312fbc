"""Another program that locks the database file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.simulator import ismg
from tests.support.crashes import CrashTown
from tests.support.reactor import reactor_test

IMPATIENT = """
import smsgw.store.sqlite
smsgw.store.sqlite.BUSY_SECONDS = 0.05
"""


@pytest.fixture(autouse=True)
def carriers_repeat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_lock_that_is_given_back_in_time_only_delays(tmp_path):
    async with CrashTown(tmp_path, create_engine(f"sqlite:///{tmp_path}/smsgw.db")) as town:
        town.load()
        await town.start()
        await town.until(lambda: len(town.promised) > 100)
        with locked(tmp_path / "smsgw.db"):
            await deferLater(reactor, 0.5)
        before = len(town.promised)
        await town.until(lambda: len(town.promised) > before + 100)
        await town.rest()
        await town.until(lambda: town.settled("sent", "queued", "unknown"))
        await town.stop()
        assert town.problems() == []
        assert not town.refused
        assert max(town.carriers.received.values()) == 1
        assert town.nursery.said("error", "critical") == []


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_lock_that_is_kept_refuses_what_is_new_and_nothing_promised_is_lost(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/smsgw.db")
    async with CrashTown(tmp_path, engine, prelude=IMPATIENT) as town:
        town.load()
        await town.start()
        await town.until(lambda: len(town.promised) > 100)
        with locked(tmp_path / "smsgw.db"):
            await town.until(lambda: town.refused[503] > 3)
        before = len(town.promised)
        await town.until(lambda: len(town.promised) > before + 100)
        await town.rest()
        await town.stop()
        await town.finish()
        assert town.problems() == []
        assert set(town.refused) == {503}
