"""``kill -9`` at any instant, again and again: what was promised to either side is kept."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from smsgw.simulator import ismg
from tests.support.crashes import CrashTown
from tests.support.reactor import reactor_test
from tests.support.stores import bare_server

__all__ = ["bare_server"]

LONGEST = 0.5
"""Seconds from a start to its kill: a start takes 0.1 to 0.3 of them."""


@pytest.fixture(autouse=True)
def carriers_repeat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)


Store = tuple[Engine, str]
"""What looks at a database from outside, and the configuration's lines about it."""


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return create_engine(f"sqlite:///{tmp_path}/smsgw.db"), 'database = "smsgw.db"'
    server = str(request.getfixturevalue("bare_server"))
    engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:"))
    return engine, f'database = "{server}"'


@pytest.fixture
def seed() -> int:
    """What chose the instants; set CRASH_SEED to have the same ones again."""
    chosen = int(os.environ.get("CRASH_SEED", random.randrange(1_000_000)))
    print(f"CRASH_SEED={chosen}")
    return chosen


@reactor_test(seconds=240)
async def test_5_kills_lose_nothing_and_every_doubled_message_is_marked(tmp_path, store, seed):
    await killed(5, tmp_path, store, seed)


@pytest.mark.long
@reactor_test(seconds=600)
async def test_200_kills_lose_nothing_and_every_doubled_message_is_marked(tmp_path, store, seed):
    await killed(200, tmp_path, store, seed, longest=0.8)


async def killed(
    times: int, folder: Path, store: Store, seed: int, longest: float = LONGEST
) -> None:
    lots = random.Random(seed)
    async with CrashTown(folder, *store, lots=lots) as town:
        town.load()
        for turn in range(times):
            await town.live(lots.uniform(0.0, longest), reached=turn % 2 == 0)
        await town.finish()
        assert town.problems() == []
        assert not town.refused
        assert town.nursery.said("error", "critical") == []
        assert len(town.promised) > times
