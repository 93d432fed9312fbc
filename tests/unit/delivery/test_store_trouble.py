"""While the store is in trouble: nothing is sent that is not recorded, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.python.failure import Failure

from smsgw.errors import StoreError
from smsgw.model import MessageClass
from smsgw.store import queue
from smsgw.store.queue import QueuedSegment
from tests.support.delivery import (
    handfuls_of,
    queue_of,
    rename,
    segments_of,
    states,
    stored,
    told,
)
from tests.support.links import TOO_FAST, FakeLink
from tests.support.reactor import reactor_test
from tests.support.scenes import scene
from tests.support.store import NOW


@reactor_test
async def test_while_the_store_is_in_trouble_nothing_is_sent_and_nothing_lost(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, 2)
        await rename(s.database, "queue", "hidden")
        s.dispatcher.offer(items)
        await s.quiet()
        await s.pass_time(1.1)
        assert s.link.sent == []
        await rename(s.database, "hidden", "queue")
        await s.pass_time(1.1)
        assert [x.to for x in s.link.sent] == ["13800001001"] * 2


@reactor_test
async def test_an_answer_the_store_refused_is_settled_when_it_works_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        await rename(s.database, "segment", "hidden")
        s.link.accept_all()
        await s.quiet()
        await s.pass_time(1.1)
        await rename(s.database, "hidden", "segment")
        await s.pass_time(1.1)
        assert await states(s.database, items) == ["sent"]


@reactor_test
async def test_an_answer_is_settled_however_long_the_store_was_in_trouble(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        await rename(s.database, "segment", "hidden")
        s.link.accept_all()
        for _ in range(65):
            await s.pass_time(1.0)
        await rename(s.database, "hidden", "segment")
        await s.pass_time(1.1)
        assert await states(s.database, items) == ["sent"]


@reactor_test
async def test_reading_more_is_tried_again_when_the_store_was_in_trouble(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=4), lane_limit=2) as s:
        items = await stored(s.database, 6)
        await rename(s.database, "message", "hidden")
        s.dispatcher.offer(items)
        await s.quiet()
        assert len(s.link.sent) == 2
        assert await queue_of(s.database) == [item.key for item in items[2:]]
        await rename(s.database, "hidden", "message")
        for _ in range(8):
            await s.pass_time(1.1)
            s.link.accept_all()
        await s.quiet()
        assert await states(s.database, items) == ["sent"] * 6


@reactor_test
async def test_stopping_while_the_store_is_in_trouble_ends(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=2), lane_limit=2) as s:
        items = await stored(s.database, 4)
        s.dispatcher.offer(items)
        await s.quiet()
        await rename(s.database, "segment", "hidden")
        s.link.accept_all()
        await s.quiet()
        stopped = s.dispatcher.stop(5.0)
        await s.pass_time(5.0)
        await s.pass_time(1.0)
        await stopped
        await rename(s.database, "hidden", "segment")
        assert (await states(s.database, items))[:2] == ["sending"] * 2


@reactor_test
async def test_a_sweep_the_store_refused_comes_again(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(up=False)) as s:
        await s.dispatcher.recover()
        items = await stored(s.database, valid_until=NOW + 5000)
        await rename(s.database, "message", "hidden")
        await s.pass_time(30.0)
        await rename(s.database, "hidden", "message")
        await s.pass_time(30.0)
        assert await states(s.database, items) == ["expired"]


@reactor_test
async def test_a_handful_the_store_refused_leaves_in_order_when_it_works_again(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=2)) as s:
        done = await stored(s.database)
        s.dispatcher.offer(done)
        await s.quiet()
        s.link.accept_all()
        await s.quiet()
        items = await stored(s.database, parts=4)
        await rename(s.database, "sending", "hidden")
        s.dispatcher.offer(items)
        await s.quiet()
        assert len(s.link.sent) == 1
        assert s.dispatcher.state()["cmcc"]["limited_by"]["cause"] == "waiting for the store"
        await rename(s.database, "hidden", "sending")
        assert await queue_of(s.database) == [item.key for item in items]
        await s.pass_time(1.1)
        assert [x.part for x in s.link.sent] == [1, 1, 2]
        (named,) = await handfuls_of(s.database)
        assert [name[0] for name in named] == [items[0].message_id] * 4
        for _ in range(2):
            s.link.accept_all()
            await s.quiet()
        rows = await segments_of(s.database, items)
        assert [(row.state, row.attempts) for row in rows] == [("sent", 1)] * 4


@reactor_test
async def test_what_could_not_be_put_back_is_of_unknown_outcome_after_the_next_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        s.link.up = False
        await s.quiet()
        await rename(s.database, "queue", "hidden")
        await s.stop()
        await rename(s.database, "hidden", "queue")
        assert await states(s.database, items) == ["sending"]
        s.dispatcher = s.make()
        await s.dispatcher.recover()
        assert await states(s.database, items) == ["unknown"]


@reactor_test
async def test_what_was_refused_as_too_fast_is_kept_when_that_cannot_be_recorded(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        await rename(s.database, "segment", "hidden")
        s.link.answer(TOO_FAST)
        await s.quiet()
        await s.pass_time(5.0)
        assert len(s.link.sent) == 1
        await rename(s.database, "hidden", "segment")
        for _ in range(3):
            await s.pass_time(1.1)
        assert len(s.link.sent) == 2


@reactor_test
async def test_what_a_sweep_could_not_load_is_loaded_soon_and_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, trouble = queue.waiting, False

    def waiting(*args: Any, **fields: Any) -> list[QueuedSegment]:
        if trouble:
            raise StoreError("not now")
        return real(*args, **fields)

    monkeypatch.setattr(queue, "waiting", waiting)
    async with scene(tmp_path) as s:
        await s.dispatcher.recover()
        items = await stored(s.database, due_at=NOW + 70_000)
        s.dispatcher.offer(items)
        trouble = True
        await s.pass_time(30.0)
        trouble = False
        others = await stored(s.database)
        s.dispatcher.offer(others)
        await s.pass_time(1.1)
        assert len(s.link.sent) == 1
        await s.pass_time(40.0)
        assert len(s.link.sent) == 2
        assert await states(s.database, items) == ["sending"]


@reactor_test
async def test_what_became_ours_is_sent_though_reading_it_failed_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, trouble = queue.waiting, True

    def waiting(*args: Any, **fields: Any) -> list[QueuedSegment]:
        if trouble:
            raise StoreError("not now")
        return real(*args, **fields)

    monkeypatch.setattr(queue, "waiting", waiting)
    async with scene(tmp_path, FakeLink(window=4)) as s:
        for kind in MessageClass:
            await stored(s.database, message_class=kind)
        with pytest.raises(StoreError):
            await s.dispatcher.look_again("cmcc")
        trouble = False
        for _ in range(3):
            await s.pass_time(1.1)
        assert len(s.link.sent) == len(MessageClass)


@reactor_test
async def test_an_answer_whose_commit_got_no_answer_is_settled_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        batch = s.database.writer.batch

        def unanswered(*asked: Any) -> Any:
            monkeypatch.setattr(s.database.writer, "batch", batch)
            return batch(*asked).addCallback(lambda _: Failure(StoreError("not known")))

        monkeypatch.setattr(s.database.writer, "batch", unanswered)
        s.link.accept_all()
        await s.quiet()
        assert await states(s.database, items) == ["sent"]
        assert s.clock.getDelayedCalls() == []
        assert await told(s.database) == ["message.queued", "message.sent"]
