"""Two daemons on one PostgreSQL database, one carrier account between them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.simulator import ismg
from smsgw.store.address import Server
from tests.support.reactor import reactor_test
from tests.support.stores import bare_server
from tests.support.two_nodes import BINDS, UNKNOWN_WAIT, TwoNodes

__all__ = ["bare_server"]


@pytest.fixture(autouse=True)
def carriers_repeat_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)


@reactor_test(seconds=240)
async def test_one_is_killed_under_load_and_the_other_does_all_its_work(
    tmp_path: Path, bare_server: Server
) -> None:
    async with TwoNodes(tmp_path, bare_server) as town:
        town.load()
        await town.until(lambda: town.binds_now() == BINDS and min(map(len, town.promised)) > 100)
        await town.kill(0)
        nodes = "SELECT id FROM node"
        await town.until(lambda: len(town.rows(nodes)) == 1)
        await town.until(lambda: town.binds_now() == BINDS)  # the other has them all now
        await town.rest()
        await deferLater(reactor, UNKNOWN_WAIT + 0.05)
        await town.start(0)  # a start sends again what is unknown then
        await town.until(town.settled)
        assert town.problems() == []
        assert town.binds_seen == BINDS
        await town.stop(1)
        await town.stop(0)
        assert town.rows(nodes + " WHERE lease_until > 0") == []


@reactor_test(seconds=240)
async def test_what_one_accepts_is_sent_by_the_one_that_has_the_only_connection(
    tmp_path: Path, bare_server: Server
) -> None:
    async with TwoNodes(tmp_path, bare_server, binds=1) as town:
        for _ in range(3):
            await town.send(0)
            await town.send(1)
        await town.until(town.settled)
        assert town.problems() == []
        assert town.binds_seen == 1
        assert min(map(len, town.promised)) == 60
        await town.stop(0)
        await town.send(1)
        await town.until(town.settled)
        assert town.problems() == []
        await deferLater(reactor, 0)


@pytest.mark.long
@reactor_test(seconds=240)
async def test_one_that_was_only_held_up_commits_nothing_more_and_ends(
    tmp_path: Path, bare_server: Server
) -> None:
    async with TwoNodes(tmp_path, bare_server) as town:
        town.load()
        await town.until(lambda: town.binds_now() == BINDS and min(map(len, town.promised)) > 40)
        town.nurseries[0].run.signal(signal.SIGSTOP)
        town.urls[0] = ""
        await town.until(lambda: len(town.rows("SELECT id FROM node")) == 1)
        town.nurseries[0].run.signal(signal.SIGCONT)
        assert await town.nurseries[0].run.ended == 1
        said = [line for line in town.nurseries[0].said("critical") if "why" in line]
        assert [line["from"] for line in said] == ["smsgw.daemon.main"]
        await town.rest()
        await deferLater(reactor, UNKNOWN_WAIT + 0.05)
        await town.start(0)
        await town.until(town.settled)
        assert town.problems() == []
        assert town.binds_seen == BINDS
