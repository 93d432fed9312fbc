"""A PostgreSQL server in trouble under load: restarted, read-only, slow, cut in a commit.

What is new may be refused; what was promised is kept, and the accounts of both ends agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import treq
from sqlalchemy import create_engine
from twisted.internet import reactor
from twisted.internet.task import deferLater

from smsgw.simulator import ismg
from smsgw.store.address import Server
from tests.support import crashes
from tests.support.crashes import CrashTown
from tests.support.reactor import reactor_test
from tests.support.stores import SERVER, bare_server, execute
from tests.support.tcp_proxy import TcpProxy

__all__ = ["bare_server"]

OFTEN = """
import smsgw.delivery.reports, smsgw.delivery.sweep
smsgw.delivery.sweep.SWEEP_SECONDS = smsgw.delivery.reports.SWEEP_SECONDS = 1.0
"""

KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture(autouse=True)
def a_load_that_leaves_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ismg, "REPEAT_AFTER", 0.2)
    monkeypatch.setattr(crashes, "PAUSE", 0.05)


@pytest.fixture
def proxy(bare_server: Server) -> Iterator[TcpProxy]:
    """What stands between the daemon and the server."""
    proxy = TcpProxy(bare_server.host, bare_server.port)
    yield proxy
    proxy.away()


@asynccontextmanager
async def under_load(folder: Path, server: Server, proxy: TcpProxy) -> AsyncIterator[CrashTown]:
    """A town that works; in the end all that was promised is done, and the accounts agree."""
    behind = dataclasses.replace(server, host="127.0.0.1", port=proxy.port)
    engine = create_engine(str(server).replace("postgresql:", "postgresql+psycopg:"))
    async with CrashTown(folder, engine, f'database = "{behind}"', prelude=OFTEN) as town:
        town.load()
        await town.start()
        await town.until(lambda: len(town.promised) > 100)
        yield town
        before = len(town.promised)
        await town.until(lambda: len(town.promised) > before + 100)
        while await readiness(town) != (200, []):
            await deferLater(reactor, 0.05)
        await town.rest()
        await town.until(lambda: all_sent(town))
        town.carriers.hang_up()  # or they bring what was not acknowledged after a minute
        await town.until(lambda: town.settled("sent", "queued", "unknown"))
        await town.stop()
        assert town.problems() == []
        assert set(town.refused) <= {503}
        assert town.nursery.said("critical") == []


def all_sent(town: CrashTown) -> bool:
    """Whether nothing waits for a carrier, nor for its answer."""
    counts = "SELECT (SELECT sum(parts) FROM message), count(*) FROM segment"
    ((parts, taken),) = town.rows(counts + " WHERE state IN ('sent', 'delivered')")
    return bool(parts == taken)


async def readiness(town: CrashTown) -> tuple[int, list[str]]:
    """What ``/readyz`` says."""
    response = await treq.get(town._url + "/readyz", pool=town._pool)
    return response.code, (await response.json()).get("reasons", [])


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_server_that_is_away_again_and_again(
    tmp_path: Path, bare_server: Server, proxy: TcpProxy
) -> None:
    async with under_load(tmp_path, bare_server, proxy) as town:
        for _ in range(3):
            proxy.away()
            before = town.refused[503]
            await town.until(lambda before=before: town.refused[503] > before + 3)
            code, reasons = await readiness(town)
            assert code == 503
            assert reasons[0].startswith("nothing can be written: ")
            proxy.back()
            promised = len(town.promised)
            await town.until(lambda promised=promised: len(town.promised) > promised + 20)


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_server_that_ends_every_session_again_and_again(
    tmp_path: Path, bare_server: Server, proxy: TcpProxy
) -> None:
    async with under_load(tmp_path, bare_server, proxy) as town:
        for _ in range(4):
            execute(bare_server, KILL)
            promised = len(town.promised)
            await town.until(lambda promised=promised: len(town.promised) > promised + 20)


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_server_that_keeps_nothing_for_a_while(
    tmp_path: Path, bare_server: Server, proxy: TcpProxy
) -> None:
    name = bare_server.name
    async with under_load(tmp_path, bare_server, proxy) as town:
        # As with a full disk it reads and answers, and refuses whatever is written.
        execute(bare_server, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        execute(bare_server, KILL)
        await town.until(lambda: town.refused[503] > 10)
        before = len(town.promised)
        code, reasons = await readiness(town)
        assert code == 503
        assert "read-only transaction" in reasons[0]
        await deferLater(reactor, 0.5)
        assert len(town.promised) == before
        other = Server.parse(SERVER)  # in this one nobody writes any more
        execute(other, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        execute(bare_server, KILL)


@pytest.mark.long
@reactor_test(seconds=240)
async def test_a_server_that_is_slow_only_delays(
    tmp_path: Path, bare_server: Server, proxy: TcpProxy
) -> None:
    async with under_load(tmp_path, bare_server, proxy) as town:
        proxy.delay = 0.001
        before = len(town.promised)
        await town.until(lambda: len(town.promised) > before + 100)
        proxy.delay = 0.0
    assert not town.refused
    assert max(town.carriers.received.values()) == 1


@pytest.mark.long
@pytest.mark.parametrize("kept", [True, False])
@reactor_test(seconds=240)
async def test_a_server_that_leaves_in_the_middle_of_commits(
    tmp_path: Path, bare_server: Server, proxy: TcpProxy, kept: bool
) -> None:
    async with under_load(tmp_path, bare_server, proxy) as town:
        proxy.answer, proxy.leave = kept, True
        for seconds in (0.0, 0.1, 0.5, 0.0, 0.2):
            proxy.cut_at = b"COMMIT"
            await town.until(lambda: proxy.is_away)
            await deferLater(reactor, seconds)
            proxy.back()
            promised = len(town.promised)
            await town.until(lambda promised=promised: len(town.promised) > promised + 20)
