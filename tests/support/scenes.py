"""A dispatcher between a real store, a clock and links that are no links."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from smsgw.delivery.dispatcher import Dispatcher
from smsgw.store.database import Database
from smsgw.store.progress import StatusChange
from tests.support.delivery import opened, quiet, started_clock
from tests.support.links import FakeLink


class Scene:
    """A store, a clock, links and a dispatcher."""

    def __init__(self, database: Database, links: tuple[FakeLink, ...], **options: Any) -> None:
        self.database = database
        self.clock: Clock = started_clock()
        self.began = self.clock.seconds()
        self.link, *self.others = links
        self.changes: list[StatusChange] = []
        self.make: Callable[[], Dispatcher] = lambda: Dispatcher(
            links,
            database,
            self.clock,
            chance=lambda: 1.0,
            on_changes=self.changes.extend,
            **options,
        )
        self.dispatcher = self.make()

    async def quiet(self) -> None:
        await quiet(self.database)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.quiet()

    async def stop(self) -> None:
        stopped = self.dispatcher.stop(0.0)
        await self.quiet()
        self.clock.advance(0.0)
        await self.quiet()
        self.clock.advance(60.0)
        await stopped

    @property
    def statuses(self) -> list[str]:
        return [str(change.status) for change in self.changes]


@asynccontextmanager
async def scene(path: Path, *links: FakeLink, **options: Any) -> AsyncIterator[Scene]:
    async with opened(path) as database:
        made = Scene(database, links or (FakeLink(),), **options)
        yield made
        await made.stop()
        assert made.clock.getDelayedCalls() == []
