"""Segments are taken out of the queue by the handful, and each stands in one place at any time."""

from __future__ import annotations

from pathlib import Path

from smsgw.delivery.retry import DoubtPolicy
from smsgw.delivery.settlements import handful
from smsgw.errors import Disposition
from smsgw.model import MessageStatus, SubmitResult
from smsgw.store import queue, unsent
from smsgw.store.queue import EXPIRED_ERROR, SIBLING_ERROR, TAKE, QueuedSegment
from smsgw.store.reports import REPORTS, ReportRow
from smsgw.store.unsent import Place
from tests.support.delivery import (
    handfuls_of,
    message_of,
    queue_of,
    rename,
    segments_of,
    states,
    stored,
)
from tests.support.links import LATER, NO_ANSWER, REFUSED, FakeLink, accepted
from tests.support.reactor import reactor_test
from tests.support.scenes import Scene, scene
from tests.support.store import NOW, PHONE


async def expired(s: Scene, items: list[QueuedSegment]) -> None:
    """These queued segments came to their end in the store, and nobody was told."""
    places = [Place(0, i.link, str(i.message_class), i.due_at, *i.key) for i in items]
    await s.database.writer.run(lambda c: unsent.expire(c, places, NOW + 5000))


async def restarted(s: Scene) -> None:
    """A new run after a kill: its answers and what it had in memory are gone."""
    await s.stop()
    s.link.unanswered.clear()
    s.dispatcher = s.make()
    await s.dispatcher.recover()
    await s.quiet()


@reactor_test
async def test_nothing_is_submitted_before_the_store_names_it(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, parts=3)
        s.dispatcher.offer(items)
        assert s.link.sent == []
        await s.quiet()
        assert len(s.link.sent) == 3
        assert await queue_of(s.database) == []
        assert await handfuls_of(s.database) == [[(*item.key, 1) for item in items]]


@reactor_test
async def test_a_handful_is_forgotten_with_the_next_when_something_came_of_all_of_it(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=8)) as s:
        first, second = await stored(s.database, 2)
        s.dispatcher.offer([first, second])
        await s.quiet()
        s.link.answer(accepted("0a" * 8))
        await s.quiet()
        (third,) = await stored(s.database)
        s.dispatcher.offer([third])
        await s.quiet()
        assert await handfuls_of(s.database) == [
            [(*first.key, 1), (*second.key, 1)],
            [(*third.key, 1)],
        ]
        s.link.answer(NO_ANSWER)
        await s.quiet()
        (fourth,) = await stored(s.database)
        s.dispatcher.offer([fourth])
        await s.quiet()
        assert await handfuls_of(s.database) == [[(*third.key, 1)], [(*fourth.key, 1)]]


@reactor_test
async def test_the_next_handful_waits_for_the_one_before(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=8)) as s:
        for item in await stored(s.database, 3):
            s.dispatcher.offer([item])
        await s.quiet()
        assert [len(one) for one in await handfuls_of(s.database)] == [1, 2]
        assert len(s.link.sent) == 3


@reactor_test
async def test_a_retry_is_queued_for_its_time_and_named_again_with_its_attempt(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(LATER)
        await s.quiet()
        assert await queue_of(s.database) == [items[0].key]
        await s.pass_time(5.1)
        assert await handfuls_of(s.database) == [[(*items[0].key, 2)]]


@reactor_test
async def test_what_ended_in_the_store_meanwhile_is_lost_and_the_others_are_sent(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        ended = await stored(s.database, valid_until=NOW + 5000, recipient="13800001002")
        items = await stored(s.database)
        await expired(s, ended)
        s.dispatcher.offer([*ended, *items])
        await s.quiet()
        assert [x.to for x in s.link.sent] == [PHONE]
        assert await states(s.database, [*ended, *items]) == ["expired", "sending"]
        assert await handfuls_of(s.database) == [[(*items[0].key, 1)]]
        assert s.dispatcher.state()["cmcc"]["queued"] == 0


@reactor_test
async def test_a_handful_that_is_lost_whole_leaves_nothing_behind(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, 2, valid_until=NOW + 5000)
        await expired(s, items)
        s.dispatcher.offer(items)
        await s.quiet()
        assert (s.link.sent, await handfuls_of(s.database)) == ([], [])
        assert s.dispatcher.state()["cmcc"]["sending"] == 0
        s.dispatcher.offer(await stored(s.database))
        await s.quiet()
        assert len(s.link.sent) == 1


@reactor_test
async def test_what_is_given_up_is_taken_too_and_never_submitted(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1)) as s:
        parts = await stored(s.database, parts=4)
        old = await stored(s.database, valid_until=NOW + 5000)
        s.dispatcher.offer([*parts, *old])
        await s.quiet()
        s.clock.advance(5.0)
        s.link.answer(REFUSED)
        await s.quiet()
        rows = await segments_of(s.database, [*parts, *old])
        assert [(row.state, row.attempts) for row in rows[:1]] == [("rejected", 1)]
        assert [(row.state, row.error) for row in rows[1:]] == [
            *[("canceled", SIBLING_ERROR)] * 3,
            ("expired", EXPIRED_ERROR),
        ]
        assert await queue_of(s.database) == []
        assert len(s.link.sent) == 1
        assert s.statuses == ["rejected", "expired"]


@reactor_test
async def test_what_was_taken_to_be_given_up_ends_at_the_next_start(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        await s.database.writer.batch(TAKE, [handful("cmcc", [], items, [])])
        await s.dispatcher.recover()
        assert await states(s.database, items) == ["expired"]
        assert s.statuses == ["expired"]
        assert (await message_of(s.database, items[0])).reason == EXPIRED_ERROR


# ---- put back --------------------------------------------------------------------------------


@reactor_test
async def test_a_handful_that_names_what_was_put_back_makes_no_doubt(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1)) as s:
        items = await stored(s.database, 3)
        s.dispatcher.offer(items)
        await s.quiet()
        assert await states(s.database, items) == ["sending", "sending", "queued"]
        await restarted(s)
        assert await states(s.database, items) == ["unknown", "sending", "sending"]
        assert (await segments_of(s.database, items))[0].attempts == 1
        s.link.accept_all()
        await s.quiet()
        s.link.accept_all()
        await s.quiet()
        rows = await segments_of(s.database, items[1:])
        assert [(row.state, row.attempts) for row in rows] == [("sent", 1)] * 2


@reactor_test
async def test_a_start_doubts_only_what_nothing_came_of(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, parts=4)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(accepted("0a" * 8), LATER, NO_ANSWER)
        await s.quiet()
        killed = s.make()  # over the same store, as after kill -9: nothing was said good-bye to
        await killed.recover()
        await s.quiet()
        assert await states(s.database, items) == ["sent", "queued", "unknown", "unknown"]
        assert [row.error for row in (await segments_of(s.database, items))[2:]] == [
            "no answer came",
            queue.INTERRUPTED_ERROR,
        ]
        assert await handfuls_of(s.database) == []
        await killed.stop(0.0)


@reactor_test
async def test_a_start_goes_by_the_last_attempt_of_what_was_taken_twice(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, 2)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(LATER)
        await s.quiet()
        await s.pass_time(5.1)
        assert await handfuls_of(s.database) == [
            [(*items[0].key, 1), (*items[1].key, 1)],
            [(*items[0].key, 2)],
        ]
        killed = s.make()
        await killed.recover()
        rows = await segments_of(s.database, items)
        assert [(row.state, row.attempts) for row in rows] == [("unknown", 2), ("unknown", 1)]
        await killed.stop(0.0)


# ---- while the outcome is unknown ------------------------------------------------------------


@reactor_test
async def test_what_a_report_settled_before_it_was_sent_again_is_not_sent_again(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, doubt=DoubtPolicy(wait_seconds=30.0)) as s:
        await s.dispatcher.recover()
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(SubmitResult(-1, Disposition.UNKNOWN, "0a" * 8, "no answer came"))
        await s.quiet()
        s.link.up = False
        await s.pass_time(30.0)
        assert await queue_of(s.database) == [items[0].key]
        delivered = ReportRow("cmcc", "0a" * 8, PHONE, MessageStatus.DELIVERED, "DELIVRD", "", NOW)
        await s.database.writer.batch(REPORTS, [delivered])
        s.link.come_up()
        await s.quiet()
        assert len(s.link.sent) == 1
        assert await queue_of(s.database) == []
        assert (await message_of(s.database, items[0])).status == "delivered"


# ---- a time of its own -----------------------------------------------------------------------


@reactor_test
async def test_what_is_due_later_stays_in_the_store_until_shortly_before_and_leaves_on_time(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        await s.dispatcher.recover()
        dues = [50_000, 50_700, 51_300, 100_000]
        items = [(await stored(s.database, due_at=NOW + due))[0] for due in dues]
        gone = await stored(s.database, due_at=NOW + 100_000, link="gone")
        s.dispatcher.offer([*items, *gone])
        assert s.dispatcher.state()["cmcc"]["queued"] == 0
        await s.pass_time(30.0)
        assert s.dispatcher.state()["cmcc"]["queued"] == 0
        await s.pass_time(19.1)
        assert s.dispatcher.state()["cmcc"]["queued"] == 2
        for seconds, sent in [(0.85, 0), (0.1, 1), (0.6, 1), (0.1, 2), (0.5, 2), (0.1, 3)]:
            await s.pass_time(seconds)
            assert len(s.link.sent) == sent
        assert s.dispatcher.state()["cmcc"]["queued"] == 0
        await s.pass_time(48.6)
        assert len(s.link.sent) == 3
        await s.pass_time(0.1)
        assert await states(s.database, [*items, *gone]) == ["sending"] * 4 + ["queued"]


@reactor_test
async def test_what_is_due_in_the_next_second_needs_no_look_at_the_store(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, due_at=NOW + 1500)
        s.dispatcher.offer(items)
        assert s.dispatcher.state()["cmcc"]["queued"] == 1
        await s.pass_time(1.4)
        assert s.link.sent == []
        await s.pass_time(0.1)
        assert len(s.link.sent) == 1


@reactor_test
async def test_what_is_due_while_the_store_is_in_trouble_leaves_when_that_is_over(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        await s.dispatcher.recover()
        s.dispatcher.offer(await stored(s.database, due_at=NOW + 10_000))
        await rename(s.database, "queue", "gone")
        await s.pass_time(9.0)
        await s.pass_time(1.0)
        await rename(s.database, "gone", "queue")
        assert s.link.sent == []
        await s.pass_time(1.0)
        assert len(s.link.sent) == 1


@reactor_test
async def test_many_scheduled_messages_keep_none_waiting_that_may_go_at_once(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, lane_limit=4) as s:
        await s.dispatcher.recover()
        planned = await stored(s.database, 40, due_at=NOW + 20_000)
        s.dispatcher.offer(planned)
        now = await stored(s.database)
        s.dispatcher.offer(now)
        await s.quiet()
        assert await states(s.database, now) == ["sending"]
        await s.pass_time(10.0)
        await s.pass_time(10.0)
        for _ in range(30):
            s.link.accept_all()
            await s.pass_time(0.1)
        assert await states(s.database, planned) == ["sent"] * 40


@reactor_test
async def test_what_is_due_is_loaded_however_late_the_sweep_comes(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.dispatcher.recover()
        items = await stored(s.database, due_at=NOW + 100_000)
        s.dispatcher.offer(items)
        await s.pass_time(4000.0)  # the machine slept
        await s.quiet()
        assert await states(s.database, items) == ["sending"]


@reactor_test
async def test_a_retry_that_is_due_much_later_is_loaded_in_time_after_a_restart(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, due_at=NOW + 100_000)
        await s.dispatcher.recover()
        assert s.dispatcher.state()["cmcc"]["queued"] == 0
        for _ in range(3):
            await s.pass_time(30.0)
        await s.pass_time(10.0)
        assert await states(s.database, items) == ["sending"]


@reactor_test
async def test_a_part_without_room_is_loaded_though_its_sibling_is_in_memory(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=1), lane_limit=1) as s:
        items = await stored(s.database, parts=3)
        s.dispatcher.offer(items)
        for _ in range(6):
            await s.quiet()
            s.link.accept_all()
        await s.quiet()
        assert await states(s.database, items) == ["sent"] * 3
        assert [x.part for x in s.link.sent] == [1, 2, 3]
