from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from twisted.logger import Logger, formatEvent

from smsgw.delivery import portability
from smsgw.delivery.portability import READ_SECONDS, SWEEP_SECONDS, Portability
from smsgw.model import Operator, PortedNumber
from smsgw.routing.ported import KEPT_MS, PortedNumbers
from smsgw.store import ported
from smsgw.store.database import Database
from tests.support.delivery import opened, quiet, started_clock
from tests.support.reactor import reactor_test
from tests.support.store import NOW, PHONE

OPERATORS = {"cmcc": Operator.MOBILE, "cucc": Operator.UNICOM}


class Scene:
    """One node: several may share a database."""

    def __init__(self, database: Database, limit: int = 100) -> None:
        self.database = database
        self.clock = started_clock()
        self.numbers = PortedNumbers(self.clock.seconds, limit)
        self.portability = Portability(database, self.clock, self.numbers, OPERATORS)
        self.logged: list[str] = []
        self.portability.log = Logger(observer=lambda event: self.logged.append(_line(event)))

    def believed(self, phone: str = PHONE) -> Operator | None:
        known = self.numbers.find(phone)
        return None if known is None else known.operator

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await quiet(self.database)


def _line(event: object) -> str:
    return str(formatEvent(event))  # type: ignore[arg-type]


def number(phone: str = PHONE, expires_at: int = NOW + KEPT_MS) -> PortedNumber:
    return PortedNumber(phone, Operator.UNICOM, "import", NOW, expires_at)


@asynccontextmanager
async def started(path: Path, count: int = 1) -> AsyncIterator[list[Scene]]:
    async with opened(path) as database:
        scenes = [Scene(database) for _ in range(count)]
        for scene in scenes:
            await scene.portability.start()
        yield scenes
        for scene in scenes:
            scene.portability.stop()
            assert scene.clock.getDelayedCalls() == []


@reactor_test
async def test_what_a_message_proves_is_known_once_it_is_committed(tmp_path: Path) -> None:
    async with started(tmp_path) as (node,):
        node.portability.learn("cucc", [PHONE, "10086"])
        node.portability.learn("cmcc", ["13900001001"])
        node.portability.learn("moon", ["13900001001"])
        assert node.believed() is None
        await quiet(node.database)
        assert node.believed() is Operator.UNICOM
        assert len(node.numbers) == 1
        recorded = await node.portability.page("", 10)
        expected = (PHONE, Operator.UNICOM, "MO on link cucc", NOW, NOW + KEPT_MS)
        assert recorded == [PortedNumber(*expected)]


@reactor_test
async def test_a_start_reads_everything_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portability, "PAGE", 2)
    async with opened(tmp_path) as database:
        phones = [f"1380000100{last}" for last in range(5)]
        rows = [number(phone) for phone in phones]
        await database.writer.run(lambda c: ported.put(c, rows))
        node = Scene(database)
        await node.portability.start()
        node.portability.stop()
        assert [node.believed(phone) for phone in phones] == [Operator.UNICOM] * 5


@reactor_test
async def test_what_one_node_learns_or_forgets_the_other_knows_within_half_a_minute(
    tmp_path: Path,
) -> None:
    async with started(tmp_path, 2) as (one, other):
        one.portability.learn("cucc", [PHONE])
        await quiet(one.database)
        assert other.believed() is None
        await other.pass_time(READ_SECONDS)
        assert other.believed() is Operator.UNICOM
        one.clock.advance(5.0)
        assert await one.portability.forget([PHONE, "13900001001"]) == 1
        assert one.believed() is None
        await other.pass_time(READ_SECONDS)
        assert other.believed() is None


@reactor_test
async def test_an_import_leaves_out_what_is_over_or_older(tmp_path: Path) -> None:
    async with started(tmp_path) as (node,):
        node.clock.advance(1.0)
        node.portability.learn("cucc", [PHONE])
        await quiet(node.database)
        rows = [number(), number("13800001002"), number("13800001003", NOW + 1000)]
        assert await node.portability.put(rows) == 1
        assert node.believed("13800001002") is Operator.UNICOM
        assert len(node.numbers) == 2


@reactor_test
async def test_what_is_over_is_swept_from_memory_and_a_day_later_from_the_store(
    tmp_path: Path,
) -> None:
    async with started(tmp_path) as (node,):
        await node.portability.put([number(expires_at=NOW + 1000)])
        await node.pass_time(SWEEP_SECONDS)
        assert len(node.numbers) == 0
        assert await node.database.read(lambda c: ported.get(c, PHONE)) is not None
        await node.pass_time(86_400.0)
        assert await node.database.read(lambda c: ported.get(c, PHONE)) is None


@reactor_test
async def test_too_many_numbers_are_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as database:
        node = Scene(database, limit=1)
        await node.portability.put([number(), number("13800001002")])
        assert node.logged == [
            "more ported numbers than the 1 that fit in memory: those recorded longest ago"
            " go by their prefix"
        ]


@reactor_test
async def test_a_database_in_trouble_costs_a_line_and_is_read_again(tmp_path: Path) -> None:
    async with started(tmp_path) as (node,):

        async def rename(old: str, new: str) -> None:
            statement = f"ALTER TABLE {old} RENAME TO {new}"
            await node.database.writer.run(lambda c: c.exec_driver_sql(statement))

        await rename("ported_number", "hidden")
        node.portability.learn("cucc", [PHONE])
        await quiet(node.database)
        await node.pass_time(READ_SECONDS)
        assert [line.split(":")[0] for line in node.logged] == [
            "1 ported numbers not recorded, their next message says so again",
            "ported numbers not read",
        ]
        assert node.believed() is None
        await rename("hidden", "ported_number")
        node.portability.learn("cucc", [PHONE])
        await node.pass_time(READ_SECONDS)
        assert node.believed() is Operator.UNICOM


@reactor_test
async def test_a_stop_in_the_middle_of_a_read_is_quiet(tmp_path: Path) -> None:
    async with started(tmp_path) as (node,):
        node.clock.advance(READ_SECONDS)
        node.portability.stop()
        node.portability.stop()
        await node.database.close()
        assert node.logged == []
