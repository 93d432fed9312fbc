"""The real store beside a clock that only tests move: what delivery's tests stand on."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from sqlalchemy import Connection, select
from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater

from smsgw.delivery.settlements import handful
from smsgw.store import events, messages
from smsgw.store.database import Database, upgrade
from smsgw.store.messages import ACCEPT, MessageRow, SegmentRow
from smsgw.store.queue import TAKE, QueuedSegment
from smsgw.store.schema import queue, sending
from tests.support.store import NOW, message_row, queued_segments


def started_clock() -> Clock:
    """A clock at :data:`tests.support.store.NOW`."""
    clock = Clock()
    clock.advance(NOW / 1000)
    return clock


@functools.cache
def empty_database() -> bytes:
    """A database file at the newest schema: the migrations run once for all tests."""
    with TemporaryDirectory() as folder:
        upgrade(Path(folder) / "smsgw.db")
        return (Path(folder) / "smsgw.db").read_bytes()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    """A new database, closed in the end."""
    (path / "smsgw.db").write_bytes(empty_database())
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


async def stored(
    database: Database, count: int = 1, due_at: int = 0, **fields: Any
) -> list[QueuedSegment]:
    """Accept messages of one or several ``parts``; return their segments as they are offered."""
    node, rows, items = database.ids.node, [], []
    for _ in range(count):
        message = message_row(database.ids, **fields)
        parts = queued_segments(message)
        for item in parts:
            item.due_at = due_at
        rows.append((message, [item.queue_row(node, due_at) for item in parts]))
        items += parts
    await database.writer.batch(ACCEPT, rows)
    return items


async def segments_of(database: Database, items: Sequence[QueuedSegment]) -> list[SegmentRow]:
    """The rows of these segments as the store has them now."""

    def find(connection: Connection) -> list[SegmentRow]:
        rows: list[SegmentRow] = []
        for message_id in dict.fromkeys(item.message_id for item in items):
            message = messages.get(connection, message_id)
            assert message is not None
            rows += messages.segments_of(connection, message)
        return rows

    wanted = {item.key for item in items}
    return [row for row in await database.read(find) if (row.message_id, row.part) in wanted]


async def states(database: Database, items: Sequence[QueuedSegment]) -> list[str]:
    """What the store says of these segments: ``queued``, ``sending``, or what came of them.

    Each stands in one place: in the queue, named in a handful, or with a state that is neither.
    """

    def find(connection: Connection) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        waiting = connection.execute(select(queue.c.message_id, queue.c.part))
        handfuls = connection.execute(select(sending.c.segments)).scalars()
        named = {(name[0], name[1]) for one in handfuls for name in msgspec.json.decode(one)}
        return {(row[0], row[1]) for row in waiting}, named

    waiting, named = await database.read(find)
    found: list[str] = []
    for row in await segments_of(database, items):
        key, state = (row.message_id, row.part), row.state
        if state == "queued" and key not in waiting:
            assert key in named, f"{key} is nowhere"
            state = "sending"
        found.append(state)
    return found


async def queue_of(database: Database) -> list[tuple[int, int]]:
    """The keys of all that is queued."""
    query = select(queue.c.message_id, queue.c.part).order_by(queue.c.message_id, queue.c.part)
    return [(row[0], row[1]) for row in await database.read(lambda c: c.execute(query).all())]


async def handfuls_of(database: Database) -> list[list[tuple[int, int, int]]]:
    """What each handful in the store names: message, part, and the attempt it is."""
    query = select(sending.c.segments).order_by(sending.c.id)
    found = await database.read(lambda c: c.execute(query).scalars().all())
    return [msgspec.json.decode(one, type=list[tuple[int, int, int]]) for one in found]


async def taken(database: Database, items: Sequence[QueuedSegment]) -> None:
    """Leave segments of one link as a kill does that comes after they were taken to be sent."""
    await database.writer.batch(TAKE, [handful(items[0].link, list(items), [], [])])


async def told(database: Database) -> list[str]:
    """The kinds of all events, in order."""
    return [event.kind for event in await database.read(events.list_after)]


async def message_of(database: Database, item: QueuedSegment) -> MessageRow:
    """A segment's message as the store has it now."""
    found = await database.read(lambda c: messages.get(c, item.message_id))
    assert found is not None
    return found


async def rename(database: Database, old: str, new: str) -> None:
    """Make the store fail, or work again, for real."""
    await database.writer.run(lambda c: c.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}"))
