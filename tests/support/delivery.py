"""The real store beside a clock that only tests move: what delivery's tests stand on."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater

from smsgw.delivery.lanes import QueuedSegment
from smsgw.model import MessageClass
from smsgw.store import messages
from smsgw.store.database import Database, upgrade
from smsgw.store.messages import ACCEPT, MessageRow, SegmentRow
from tests.support.store import NOW, message_row, segment_row


def started_clock() -> Clock:
    """A clock at :data:`tests.support.store.NOW`."""
    clock = Clock()
    clock.advance(NOW / 1000)
    return clock


@functools.cache
def _empty_database() -> bytes:
    """A database file at the newest schema: the migrations run once for all tests."""
    with TemporaryDirectory() as folder:
        upgrade(Path(folder) / "smsgw.db")
        return (Path(folder) / "smsgw.db").read_bytes()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    """A new database, closed in the end."""
    (path / "smsgw.db").write_bytes(_empty_database())
    database = Database(path / "smsgw.db", reactor)
    database.open()
    try:
        yield database
    finally:
        await database.close()


async def quiet(database: Database) -> None:
    """Return when nothing waits for the store any more, nor what follows from it."""
    still = 0  # turns of the reactor in which nobody asked for anything
    while still < 2:
        still += 1
        if database.writer.queued:
            await database.writer.run(lambda connection: None)
            still = 0
        elif database.reading:
            await database.read(lambda connection: None)
            still = 0
        else:
            await deferLater(reactor, 0)


async def stored(database: Database, count: int = 1, **fields: Any) -> list[QueuedSegment]:
    """Accept messages of one or several ``parts``; return their segments as they are offered."""
    rows: list[tuple[MessageRow, list[SegmentRow], list[Any]]] = []
    for _ in range(count):
        message = message_row(database.ids, **fields)
        segments = [
            segment_row(database.ids, message, part=part, total=message.parts)
            for part in range(1, message.parts + 1)
        ]
        rows.append((message, segments, []))
    await database.writer.batch(ACCEPT, rows)
    return [
        QueuedSegment(segment, MessageClass(message.message_class), message.valid_until)
        for message, segments, _ in rows
        for segment in segments
    ]


async def segments_of(database: Database, items: Sequence[QueuedSegment]) -> list[SegmentRow]:
    """The rows of these segments as the store has them now."""
    ids = dict.fromkeys(item.row.message_id for item in items)
    found = await database.read(
        lambda connection: [
            row for message_id in ids for row in messages.segments_of(connection, message_id)
        ]
    )
    wanted = {item.row.id for item in items}
    return [row for row in found if row.id in wanted]


async def states(database: Database, items: Sequence[QueuedSegment]) -> list[str]:
    """The states of these segments as the store has them now."""
    return [row.state for row in await segments_of(database, items)]


async def message_of(database: Database, item: QueuedSegment) -> MessageRow:
    """A segment's message as the store has it now."""
    found = await database.read(lambda c: messages.get(c, item.row.message_id))
    assert found is not None
    return found
