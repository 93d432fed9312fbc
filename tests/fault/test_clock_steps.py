"""The machine's clock is set by an hour, ahead or back, while everything is under way."""

from __future__ import annotations

import os
import signal

import pytest
from sqlalchemy import create_engine
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.simulator import ismg
from tests.support.crashes import CrashTown
from tests.support.reactor import reactor_test

CLOCK = """
import signal, time
machine, steps = time.time, [0]
time.time = lambda: machine() + sum(steps)
signal.signal(signal.SIGUSR1, lambda *_: steps.append(3600))
signal.signal(signal.SIGUSR2, lambda *_: steps.append(-3600))
"""
AHEAD, BACK = signal.SIGUSR1, signal.SIGUSR2
LINK = """
response_timeout = "60s"
heartbeat_interval = 0.2
"""


@pytest.fixture(autouse=True)
def carriers_repeat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([AHEAD, BACK], id="ahead"),
        pytest.param([BACK, AHEAD], id="back", marks=pytest.mark.long),
    ],
)
@reactor_test(seconds=240)
async def test_no_step_of_the_clock_holds_up_expires_or_doubles_anything(tmp_path, steps):
    engine = create_engine(f"sqlite:///{tmp_path}/smsgw.db")
    async with CrashTown(tmp_path, engine, link=LINK, valid_for=600, prelude=CLOCK) as town:
        town.load()
        await town.start()
        for step in steps:
            await deferLater(reactor, 0.3)
            os.kill(town.nursery.run.pid, step)
            await goes_on(town)
        await town.rest()
        await town.until(lambda: town.settled("sent", "queued", "unknown"))
        await town.stop()
        assert town.problems() == []
        assert not town.refused
        assert max(town.carriers.received.values()) == 1
        assert town.nursery.said("error", "critical") == []


async def goes_on(town):
    before, received = len(town.promised), len(town.carriers.received)
    await town.until(lambda: len(town.promised) > before + 200)
    await town.until(lambda: len(town.carriers.received) > received + 300)
