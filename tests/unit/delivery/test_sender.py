"""One link's way out: flow control on a Clock, and what happens when a connection is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsgw.delivery.retry import RetryPolicy
from smsgw.delivery.throttle import PAUSE_SECONDS, RECOVERY_SECONDS, Limits
from tests.support.delivery import segments_of, states, stored
from tests.support.links import TOO_FAST, UNSENT, FakeLink, accepted
from tests.support.reactor import reactor_test
from tests.support.scenes import Scene, scene


def cause(s: Scene) -> str:
    return str(s.dispatcher.state()["cmcc"]["limited_by"]["cause"])


def rate(s: Scene) -> float:
    return float(s.dispatcher.state()["cmcc"]["rate"])


async def numbered(s: Scene, count: int, **fields: Any) -> list[str]:
    """Offer so many messages, each to a phone of its own; returns the phones in order."""
    phones = [f"1380000{number:04}" for number in range(1001, 1001 + count)]
    for phone in phones:
        s.dispatcher.offer(await stored(s.database, recipient=phone, **fields))
    await s.quiet()
    return phones


async def emptied(s: Scene) -> None:
    """Let everything be accepted, pauses included."""
    for _ in range(40):
        await s.pass_time(0.5)
        s.link.accept_all()
        await s.quiet()


@reactor_test
async def test_too_fast_halves_the_rate_and_it_climbs_back_within_the_documented_time(
    tmp_path: Path,
) -> None:
    limits = {"cmcc": Limits(rate=100.0)}
    async with scene(tmp_path, FakeLink(window=50), limits=limits) as s:
        await numbered(s, 3)
        assert rate(s) == 100.0
        s.link.answer(TOO_FAST)
        await s.quiet()
        assert rate(s) == pytest.approx(50.0)
        await s.pass_time(PAUSE_SECONDS)
        s.link.accept_all()
        await s.quiet()
        await s.pass_time(RECOVERY_SECONDS / 4)
        assert 70.0 < rate(s) < 80.0
        await s.pass_time(RECOVERY_SECONDS / 4)
        assert rate(s) == 100.0


@reactor_test
async def test_during_the_pause_nothing_leaves_and_then_all_leave_in_order(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=4)) as s:
        phones = await numbered(s, 12)
        s.link.answer(accepted("0a" * 8), TOO_FAST, TOO_FAST)
        s.link.window = 8  # room: only the pause holds up
        s.link.on_free()
        await s.quiet()
        s.link.answer(TOO_FAST)
        await s.quiet()
        await s.pass_time(PAUSE_SECONDS * 0.9)
        assert len(s.link.sent) == 4
        assert cause(s) == "throttled"
        for _ in range(60):
            await s.pass_time(0.5)
            s.link.accept_all()
            await s.quiet()
        assert [x.to for x in s.link.sent] == [*phones[:4], *phones[1:]]


@reactor_test
async def test_what_was_taken_before_a_too_fast_does_not_overtake_what_was_refused(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=2)) as s:
        phones = await numbered(s, 6)
        assert s.dispatcher.state()["cmcc"]["sending"] == 4  # two of them are ready
        s.link.answer(accepted("0a" * 8), TOO_FAST)
        await s.quiet()
        assert len(s.link.sent) == 2
        await emptied(s)
        assert [x.to for x in s.link.sent] == [*phones[:2], *phones[1:]]


@reactor_test
async def test_what_is_being_taken_at_a_too_fast_does_not_overtake_what_was_refused(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=2)) as s:
        await numbered(s, 2)
        later = await stored(s.database, recipient="13800001009")
        s.dispatcher.offer(later)
        s.link.answer(accepted("0a" * 8), TOO_FAST)
        await s.quiet()
        assert len(s.link.sent) == 2
        await emptied(s)
        assert [x.to[-4:] for x in s.link.sent] == ["1001", "1002", "1002", "1009"]


@reactor_test
async def test_the_order_is_kept_even_when_the_lane_is_full(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=2), lane_limit=4) as s:
        phones = await numbered(s, 12)
        s.link.answer(TOO_FAST, TOO_FAST)
        await s.quiet()
        for _ in range(60):
            await s.pass_time(0.5)
            s.link.accept_all()
            await s.quiet()
        assert [x.to for x in s.link.sent] == [*phones[:2], *phones]


@reactor_test
async def test_however_often_a_carrier_says_too_fast_nothing_is_lost_or_reordered(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=1), policy=RetryPolicy(attempts=1)) as s:
        phones = await numbered(s, 6)
        arrived: list[str] = []
        for turn in range(200):
            await s.pass_time(0.5)
            if s.link.unanswered and turn % 3:
                s.link.answer(TOO_FAST)
            elif s.link.unanswered:
                arrived.append(s.link.unanswered[0][0].to)
                s.link.accept_all()
            await s.quiet()
        assert arrived == phones


@reactor_test
async def test_what_never_left_is_offered_again_at_once_and_counts_no_attempt(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=3), policy=RetryPolicy(attempts=1)) as s:
        items = await stored(s.database, 4)
        s.dispatcher.offer(items)
        await s.quiet()
        first = list(s.link.sent)
        s.link.answer(UNSENT, UNSENT, UNSENT)
        assert s.link.sent == first * 2
        s.link.accept_all()
        await s.quiet()
        s.link.accept_all()
        await s.quiet()
        rows = await segments_of(s.database, items)
        assert [(row.state, row.attempts) for row in rows] == [("sent", 1)] * 4


@reactor_test
async def test_what_never_left_stays_taken_while_nothing_is_bound(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.up = False
        s.link.answer(UNSENT)
        await s.quiet()
        assert await states(s.database, items) == ["sending"]
        assert cause(s) == "not bound"
        s.link.come_up()
        assert len(s.link.sent) == 2


@reactor_test
async def test_what_never_left_goes_back_to_the_store_at_a_stop(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        stopped = s.dispatcher.stop(30.0)
        s.link.answer(UNSENT)
        await s.quiet()
        await stopped
        assert await states(s.database, items) == ["queued"]


@reactor_test
async def test_a_link_says_what_holds_it_up(tmp_path: Path) -> None:
    limits = {"cmcc": Limits(rate=10.0)}
    async with scene(tmp_path, FakeLink(window=2, up=False), limits=limits) as s:
        await numbered(s, 8)
        shown = s.dispatcher.state()["cmcc"]["limited_by"]
        assert shown == {"cause": "not bound", "detail": "cannot connect: refused"}
        await s.pass_time(4.0)
        s.link.come_up()
        assert cause(s) == "rate limit"  # one is being taken
        await s.quiet()
        await s.pass_time(0.05)
        assert cause(s) == "rate limit"
        await s.pass_time(0.15)
        assert len(s.link.sent) == 2
        assert cause(s) == "window full"
        s.link.answer_seconds = 3.0
        await s.pass_time(2.0)
        assert cause(s) == "remote latency"
        while s.link.unanswered:
            s.link.accept_all()
            await s.quiet()
            await s.pass_time(0.2)
        assert cause(s) == "nothing to send"
        seconds = s.dispatcher.senders["cmcc"].limited_seconds()
        assert seconds["not bound"] == pytest.approx(4.0)
        assert seconds["rate limit"] > 0.1
        assert seconds["window full"] + seconds["remote latency"] >= 2.0
        assert sum(seconds.values()) == pytest.approx(s.clock.seconds() - s.began)


@reactor_test
async def test_a_link_waits_for_the_store_while_a_handful_is_taken(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.dispatcher.offer(await stored(s.database))
        assert cause(s) == "waiting for the store"
        await s.quiet()
        assert cause(s) == "nothing to send"


@reactor_test
async def test_it_tells_how_much_waits_by_class_and_for_how_long(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1, up=False)) as s:
        sender = s.dispatcher.senders["cmcc"]
        assert set(sender.queues()) == {"realtime", "interactive", "notice", "bulk"}
        assert sender.queues()["bulk"] == (0, 0.0)
        due = int(s.clock.seconds() * 1000)
        for late in (0, 1000):
            items = await stored(s.database, due_at=due + late, message_class="bulk")
            s.dispatcher.offer(items)
        await s.pass_time(10.0)
        assert sender.queues()["bulk"] == (2, 10.0)  # of the one that waits the longest
        assert sender.queues()["realtime"] == (0, 0.0)
        s.link.come_up()
        for _ in range(3):
            await s.quiet()
            s.link.accept_all()
        assert sender.queues()["bulk"] == (0, 0.0)
        waits = sender.waits["bulk"]
        assert (sum(waits.counts), round(waits.sum, 3)) == (2, 19.0)


@reactor_test
async def test_what_was_put_back_unsent_waits_on_and_is_counted_once(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1)) as s:
        sender = s.dispatcher.senders["cmcc"]
        due = int(s.clock.seconds() * 1000)
        for _ in range(3):
            s.dispatcher.offer(await stored(s.database, due_at=due, message_class="bulk"))
        await s.quiet()
        s.link.up = False
        await s.pass_time(10.0)  # what was taken and cannot be sent goes back
        assert sender.queues()["bulk"] == (2, 10.0)
        s.link.come_up()
        for _ in range(4):
            await s.quiet()
            s.link.accept_all()
        assert sender.queues()["bulk"] == (0, 0.0)
        waits = sender.waits["bulk"]
        assert sum(waits.counts) == 3
        assert waits.sum >= 20.0


@reactor_test
async def test_what_is_sent_again_is_counted_by_why(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        sender = s.dispatcher.senders["cmcc"]
        assert sender.retries == {"throttle": 0, "not sent": 0}
        await numbered(s, 2)
        s.link.answer(TOO_FAST, UNSENT)
        await s.quiet()
        assert sender.retries == {"throttle": 1, "not sent": 1}


@reactor_test
async def test_the_time_to_the_first_submit_is_counted_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await numbered(s, 2)
        s.link.answer(TOO_FAST, TOO_FAST)
        await s.quiet()
        await emptied(s)
        assert sum(s.dispatcher.senders["cmcc"].waits["interactive"].counts) == 2
