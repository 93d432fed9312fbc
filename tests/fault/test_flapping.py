"""Connections of all links that break every second, under load."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.simulator import ismg
from tests.support.crashes import CrashTown
from tests.support.reactor import reactor_test


@pytest.fixture(autouse=True)
def carriers_repeat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)


@pytest.mark.long
@reactor_test(seconds=240)
async def test_links_that_break_every_second_lose_nothing_and_double_nothing_unmarked(tmp_path):
    await flapping(2, tmp_path)


@pytest.mark.long
@reactor_test(seconds=240)
async def test_links_that_break_every_second_for_a_minute_lose_nothing(tmp_path):
    await flapping(60, tmp_path)


async def flapping(seconds, folder):
    async with CrashTown(folder, create_engine(f"sqlite:///{folder}/smsgw.db")) as town:
        town.load()
        await town.start()
        for second in range(seconds):
            await deferLater(reactor, 1.0)
            town.carriers.use("disconnect.answer=once")  # taken, and the answer is never whole
            if second % 2:
                town.carriers.hang_up()
        await town.rest()
        await town.stop()
        await town.finish()
        assert town.problems() == []
        assert not town.refused
        assert town.nursery.said("error", "critical") == []
        assert len(town.promised) > 20 * seconds
