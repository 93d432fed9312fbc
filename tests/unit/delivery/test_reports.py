from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from smsgw.delivery.reports import Reports
from smsgw.model import MessageStatus, MoMessage, StatusReport
from smsgw.store.database import Database
from smsgw.store.outbox import SETTLE, ReportFate, Settlement
from smsgw.store.progress import StatusChange
from tests.support.delivery import opened, quiet, started_clock, states, stored, taken
from tests.support.links import FakeLink
from tests.support.reactor import reactor_test
from tests.support.store import NOW

ID = "0c" * 8


def report(status: MessageStatus = MessageStatus.DELIVERED, stat: str = "DELIVRD") -> StatusReport:
    return StatusReport(ID, status, stat, to="13800001001")


class Scene:
    def __init__(self, database: Database) -> None:
        self.database = database
        clock = started_clock()
        self.changes: list[StatusChange] = []
        self.link = FakeLink()
        self.fates: Counter[tuple[str, ReportFate]] = Counter()
        reports = Reports(database.writer, clock, self.changes.extend, self.count)
        self.link.on_inbound = partial(reports.take, "cmcc")

    def count(self, link: str, fate: ReportFate, count: int) -> None:
        self.fates[link, fate] += count

    async def settle(self, state: MessageStatus, *, first: bool = True) -> list[str]:
        items = await stored(self.database)
        await taken(self.database, items)
        item = items[0]
        row = Settlement(item.message_id, 1, item.link, item.account, state, NOW, ID, first=first)
        self.changes += (await self.database.writer.batch(SETTLE, [row]))[0].changes
        return await states(self.database, items)


@asynccontextmanager
async def scene(path: Path) -> AsyncIterator[Scene]:
    async with opened(path) as database:
        yield Scene(database)


@reactor_test
async def test_a_report_is_answered_after_its_commit(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.settle(MessageStatus.SENT)
        s.link.bring(report())
        assert s.link.acknowledged == []
        await quiet(s.database)
        assert s.link.acknowledged == [0]
        assert [change.status for change in s.changes] == [MessageStatus.DELIVERED]
        assert s.fates == {("cmcc", ReportFate.MATCHED): 1}


@pytest.mark.parametrize("first", [True, False])
@reactor_test
async def test_early_repeated_and_contradicting_reports_are_answered_and_counted(
    tmp_path: Path, first: bool
) -> None:
    async with scene(tmp_path) as s:
        s.link.bring(report(), MoMessage("13800001001", "10690001", 0, b"ok"), report())
        await quiet(s.database)
        assert await s.settle(MessageStatus.SENT, first=first) == ["delivered"]
        assert [change.status for change in s.changes] == [MessageStatus.DELIVERED]
        s.link.bring(report(), report(MessageStatus.UNDELIVERED, "UNDELIV"))
        await quiet(s.database)
        assert s.link.acknowledged == [0] * 4
        assert s.fates == {
            ("cmcc", ReportFate.PARKED): 1,
            ("cmcc", ReportFate.DUPLICATE): 2,
            ("cmcc", ReportFate.CONFLICT): 1,
        }
        assert len(s.changes) == 1


@reactor_test
async def test_a_report_the_store_refused_is_not_answered(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.database.writer.run(
            lambda c: c.exec_driver_sql("ALTER TABLE parked_report RENAME TO hidden")
        )
        s.link.bring(report())
        await quiet(s.database)
        assert s.link.acknowledged == []
        assert s.fates == {}
