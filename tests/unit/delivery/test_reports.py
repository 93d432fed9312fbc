from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from twisted.logger import Logger

from smsgw.delivery.reports import SWEEP_SECONDS, Reports
from smsgw.model import MessageStatus, MoMessage, StatusReport
from smsgw.store.database import Database
from smsgw.store.outbox import SETTLE, Settlement
from smsgw.store.progress import StatusChange
from smsgw.store.reports import ReportFate
from tests.support.delivery import opened, quiet, rename, started_clock, states, stored, taken
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
        self.clock = clock
        self.unmatched: list[dict[str, int]] = []
        self.reports = Reports(
            database,
            clock,
            self.changes.extend,
            self.count,
            lambda counts: self.unmatched.append(dict(counts)),
            text_ids=["world"],
        )
        self.link.on_inbound = partial(self.reports.take, "cmcc")

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
        made = Scene(database)
        yield made
        made.reports.stop()
        assert made.clock.getDelayedCalls() == []


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


async def sent_over_world(s: Scene) -> None:
    """A message whose submit was answered with an id in hexadecimal."""
    items = await stored(s.database, link="world")
    await taken(s.database, items)
    row = Settlement(
        items[0].message_id, 1, "world", "newsroom", MessageStatus.SENT, NOW, "7f3c9a21", first=True
    )
    await s.database.writer.batch(SETTLE, [row])


IN_DECIMAL = StatusReport("2134678049", MessageStatus.DELIVERED, "DELIVRD", to="13800001001")


@reactor_test
async def test_the_form_of_a_links_ids_is_learned_shown_and_known_after_a_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        s.link.on_inbound = partial(s.reports.take, "world")
        await sent_over_world(s)
        assert s.reports.form_of("world") == "as given"
        s.link.bring(IN_DECIMAL)
        await quiet(s.database)
        assert s.fates == {("world", ReportFate.MATCHED): 1}
        assert s.reports.form_of("world") == "decimal of hex"
        started = Reports(s.database, s.clock)
        await started.start()
        assert (started.form_of("world"), started.form_of("cmcc")) == ("decimal of hex", "as given")
        started.stop()


@reactor_test
async def test_a_report_parked_in_another_form_is_found_by_the_next_sweep_and_counted_till_then(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        s.link.on_inbound = partial(s.reports.take, "world")
        s.link.bring(IN_DECIMAL)
        await quiet(s.database)
        await s.reports.start()
        await sent_over_world(s)
        assert s.unmatched == [{"world": 1}]
        assert s.changes == []
        s.clock.advance(SWEEP_SECONDS)
        await quiet(s.database)
        assert [change.status for change in s.changes] == [MessageStatus.DELIVERED]
        assert s.unmatched[1:] == [{}]
        assert s.reports.form_of("world") == "decimal of hex"


@reactor_test
async def test_a_sweep_that_fails_comes_back(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.reports.log = Logger(observer=lambda event: None)
        await rename(s.database, "parked_report", "hidden")
        await s.reports.start()
        await rename(s.database, "hidden", "parked_report")
        s.clock.advance(SWEEP_SECONDS)
        await quiet(s.database)
        assert s.unmatched == [{}]


@reactor_test
async def test_what_reports_say_is_counted_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.settle(MessageStatus.SENT)
        for _ in range(2):
            s.link.bring(report(MessageStatus.UNDELIVERED, "UNDELIV"))
            await quiet(s.database)
        assert s.reports.statuses == {"cmcc": {"undelivered": 1}}


@pytest.mark.parametrize("status", [MessageStatus.DELIVERED, MessageStatus.UNDELIVERED])
@pytest.mark.parametrize("send_at", [None, NOW - 1, NOW + 5000])
@reactor_test
async def test_an_end_says_of_which_class_and_since_when_it_was_wanted(
    tmp_path: Path, status: MessageStatus, send_at: int | None
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, message_class="realtime", send_at=send_at)
        await taken(s.database, items)
        key = items[0].message_id, 1, "cmcc", "newsroom"
        await s.database.writer.batch(
            SETTLE, [Settlement(*key, MessageStatus.SENT, NOW, ID, first=True)]
        )
        s.link.bring(report(status, status.name))
        await quiet(s.database)
        (change,) = s.changes
        assert (change.status, change.message_class) == (status, "realtime")
        assert change.wanted_at == (NOW + 5000 if send_at == NOW + 5000 else NOW)
