"""The end of a run: answers are waited for, and what never left goes back into the queue."""

from __future__ import annotations

from pathlib import Path

from tests.support.delivery import queue_of, segments_of, states, stored, told
from tests.support.links import NO_ANSWER, UNSENT, FakeLink, accepted
from tests.support.reactor import reactor_test
from tests.support.scenes import scene


@reactor_test
async def test_stopping_waits_for_the_answers_in_flight(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1)) as s:
        items = await stored(s.database, 3)
        s.dispatcher.offer(items)
        await s.quiet()
        stopped = s.dispatcher.stop(30.0)
        await s.quiet()
        assert not stopped.called
        s.link.accept_all()
        await s.quiet()
        await stopped
        assert await states(s.database, items) == ["sent", "queued", "queued"]
        s.dispatcher.offer(await stored(s.database))
        await s.quiet()
        assert len(s.link.sent) == 1


@reactor_test
async def test_stopping_gives_up_waiting_and_says_unknown(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        stopped = s.dispatcher.stop(30.0)
        s.clock.advance(30.0)
        await s.quiet()
        await stopped
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.error) == ("unknown", "stopped before the answer came")
        s.link.answer(NO_ANSWER)
        await s.quiet()


@reactor_test
async def test_stopping_puts_back_what_was_taken_and_not_submitted(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        first = await stored(s.database)
        s.dispatcher.offer(first)
        s.link.up = False
        await s.quiet()
        second = await stored(s.database)
        s.dispatcher.offer(second)
        assert await states(s.database, [*first, *second]) == ["sending", "queued"]
        stopped = s.dispatcher.stop(30.0)
        await s.quiet()
        await stopped
        assert await states(s.database, [*first, *second]) == ["queued", "queued"]
        assert s.link.sent == []


@reactor_test
async def test_stopping_while_a_handful_is_being_taken_sends_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        stopped = s.dispatcher.stop(30.0)
        await s.quiet()
        await stopped
        assert await states(s.database, items) == ["queued"]
        assert s.link.sent == []


@reactor_test
async def test_an_answer_that_comes_after_the_stop_gave_up_waiting_is_still_recorded(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        await s.stop()
        assert await states(s.database, items) == ["unknown"]
        s.link.answer(accepted("0a" * 8))
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.carrier_message_id) == ("sent", "0a" * 8)
        assert await told(s.database) == ["message.queued", "message.unknown", "message.sent"]


@reactor_test
async def test_what_never_left_leaves_first_and_in_order_after_the_next_start(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=2)) as s:
        phones = [f"1380000100{number}" for number in range(6)]
        items = [(await stored(s.database, recipient=phone))[0] for phone in phones]
        s.dispatcher.offer(items)
        await s.quiet()
        assert [x.to for x in s.link.sent] == phones[:2]
        s.link.up = False
        s.link.answer(UNSENT, UNSENT)
        await s.stop()
        assert await queue_of(s.database) == [item.key for item in items]
        s.dispatcher = s.make()
        await s.dispatcher.recover()
        s.link.come_up()
        for _ in range(4):
            await s.quiet()
            s.link.accept_all()
        await s.quiet()
        assert [x.to for x in s.link.sent] == [*phones[:2], *phones]
        rows = await segments_of(s.database, items)
        assert [(row.state, row.attempts) for row in rows] == [("sent", 1)] * 6


@reactor_test
async def test_a_stop_that_is_hurried_waits_no_longer_and_says_unknown(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        stopped = s.dispatcher.stop(30.0)
        await s.quiet()
        assert not stopped.called
        s.dispatcher.hurry()
        await s.quiet()
        await stopped
        assert await states(s.database, items) == ["unknown"]
