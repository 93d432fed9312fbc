"""What is past its time, canceled or left over leaves the queue, and is never sent later."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from smsgw.delivery import sweep
from smsgw.model import MessageClass, MessageStatus
from smsgw.store import unsent
from smsgw.store.outbox import SETTLE
from smsgw.store.queue import EXPIRED_ERROR, SIBLING_ERROR, QueuedSegment
from tests.support.delivery import message_of, queue_of, segments_of, states, stored
from tests.support.links import LATER, REFUSED, FakeLink
from tests.support.reactor import reactor_test
from tests.support.scenes import Scene, scene
from tests.support.store import NOW, settlement


@reactor_test
async def test_what_was_taken_ahead_expires_in_time_though_the_link_stays_down(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        await s.dispatcher.recover()
        items = await stored(s.database, 2, valid_until=NOW + 5000)
        s.dispatcher.offer(items)
        s.link.up = False
        await s.quiet()
        assert await states(s.database, items) == ["sending"] * 2
        await s.pass_time(30.0)
        assert await states(s.database, items) == ["expired"] * 2
        assert (s.statuses, s.link.sent) == (["expired"] * 2, [])


@reactor_test
async def test_a_retry_that_is_due_after_its_time_expires_and_is_not_sent(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.dispatcher.recover()
        items = await stored(s.database, valid_until=NOW + 2000)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(LATER)
        await s.pass_time(29.0)
        await s.pass_time(1.0)
        assert await states(s.database, items) == ["expired"]
        assert (await message_of(s.database, items[0])).reason.endswith(EXPIRED_ERROR)
        assert (len(s.link.sent), await queue_of(s.database)) == (1, [])


@reactor_test
async def test_however_much_is_overdue_one_sweep_ends_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "SWEEP_ROWS", 2)
    monkeypatch.setattr(sweep, "OVERDUE_ROWS", 5)
    async with scene(tmp_path, FakeLink(up=False)) as s:
        told = await stored(s.database, 7, valid_until=NOW)
        rows = [settlement(await message_of(s.database, i), MessageStatus.SENT) for i in told]
        await s.database.writer.batch(SETTLE, rows)  # these leave the queue, and change no more
        old = [
            *await stored(s.database, 13, valid_until=NOW),
            *await stored(s.database, 3, valid_until=NOW, link="gone"),
        ]
        kept = await stored(s.database, valid_until=NOW + 1)
        await s.dispatcher.recover()
        assert await states(s.database, [*told, *old]) == ["sent"] * 7 + ["expired"] * 16
        assert await queue_of(s.database) == [kept[0].key]
        assert len(s.statuses) == 16


@reactor_test
async def test_parts_without_room_in_memory_leave_with_the_message_that_failed(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=1), lane_limit=2) as s:
        items = await stored(s.database, parts=9)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(REFUSED)
        for _ in range(5):
            await s.quiet()
        rows = await segments_of(s.database, items)
        assert [row.state for row in rows] == ["rejected"] + ["canceled"] * 8
        assert {row.error for row in rows[1:]} == {SIBLING_ERROR}
        assert (len(s.link.sent), await queue_of(s.database)) == (1, [])
        assert s.dispatcher.state()["cmcc"]["queued"] == 0


async def canceled(s: Scene, item: QueuedSegment) -> None:
    """End a message as its customer asks."""
    find = partial(unsent.places_of, node=0, account=item.account, message_id=item.message_id)
    places = await s.database.read(find)
    end = partial(unsent.cancel, message_id=item.message_id, places=places, now_ms=NOW)
    s.dispatcher.follow([await s.database.writer.run(end)])


@pytest.mark.parametrize("parts", [1, 3])
@reactor_test
async def test_what_is_canceled_while_it_waits_in_memory_is_not_sent(
    tmp_path: Path, parts: int
) -> None:
    async with scene(tmp_path, FakeLink(up=False)) as s:
        items = await stored(s.database, parts=parts)
        others = await stored(s.database, recipient="13800001002")
        s.dispatcher.offer([*items, *others])
        await canceled(s, items[0])
        s.link.come_up()
        await s.quiet()
        assert [x.to for x in s.link.sent] == ["13800001002"]
        assert await states(s.database, items) == ["canceled"] * parts
        assert s.dispatcher.state()["cmcc"]["queued"] == 0


@reactor_test
async def test_a_link_is_full_for_a_class_and_not_for_others(tmp_path: Path) -> None:
    bulk, realtime = MessageClass.BULK, MessageClass.REALTIME
    async with scene(tmp_path, FakeLink(up=False), backlog_max=4, lane_limit=2) as s:
        before = await stored(s.database, message_class="bulk", due_at=NOW + 3_600_000)
        await stored(s.database, message_class="bulk")
        await s.dispatcher.recover()
        s.dispatcher.offer(await stored(s.database, 2, message_class="bulk"))
        assert not s.dispatcher.full("cmcc", bulk)
        s.dispatcher.offer(await stored(s.database, message_class="bulk"))
        assert s.dispatcher.full("cmcc", bulk)
        assert not s.dispatcher.full("cmcc", realtime)
        assert not s.dispatcher.full("gone", bulk)
        s.link.come_up()
        for _ in range(4):
            await s.quiet()
            s.link.accept_all()
        assert not s.dispatcher.full("cmcc", bulk)
        await s.pass_time(30.0)
        assert await queue_of(s.database) == [before[0].key]
        assert not s.dispatcher.full("cmcc", bulk)
