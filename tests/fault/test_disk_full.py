"""A disk without room: what is new is refused, what was promised is kept, and room ends it."""

from __future__ import annotations

import resource

import pytest
from sqlalchemy import create_engine
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.simulator import ismg
from tests.support.crashes import CrashTown
from tests.support.reactor import reactor_test

FEW_PAGES = """
import smsgw.store.sqlite as database
settings = database._write_settings
def limited(connection, record):
    settings(connection, record)
    connection.execute("PRAGMA max_page_count = 250")
database._write_settings = limited
"""


@pytest.fixture(autouse=True)
def carriers_repeat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)


def leave_room(pid: int, octets: int) -> None:
    """Let no file of a process grow beyond this."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (octets, hard))


@pytest.mark.long
@reactor_test(seconds=240)
async def test_new_messages_are_refused_with_503_and_all_goes_on_when_there_is_room(tmp_path):
    file, log = tmp_path / "smsgw.db", tmp_path / "smsgw.db-wal"
    async with CrashTown(tmp_path, create_engine(f"sqlite:///{tmp_path}/smsgw.db")) as town:
        town.load()
        await town.start()
        await town.until(lambda: len(town.promised) > 300)
        leave_room(town.nursery.run.pid, min(path.stat().st_size for path in (file, log)))
        await town.until(lambda: town.refused[503] > 3)
        before = len(town.promised)
        await deferLater(reactor, 0.5)
        assert len(town.promised) == before
        leave_room(town.nursery.run.pid, resource.RLIM_INFINITY)
        await town.until(lambda: len(town.promised) > before + 300)
        await town.rest()
        await town.stop()
        await town.finish()
        assert town.problems() == []
        assert set(town.refused) == {503}


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_file_that_may_not_grow_refuses_and_after_a_start_with_room_all_is_sent(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/smsgw.db")
    async with CrashTown(tmp_path, engine, prelude=FEW_PAGES) as town:
        town.load()
        await town.start()
        await town.until(lambda: town.refused[503] > 10)
        assert town.promised
        await town.replace()
        await town.finish()
        assert town.problems() == []
        assert set(town.refused) == {503}
