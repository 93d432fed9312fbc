"""Messages that take another link: theirs is down, refuses them, or does not deliver them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from smsgw.delivery import failover
from smsgw.delivery.retry import FAILOVER_REFUSALS, DoubtPolicy, RetryPolicy
from smsgw.delivery.sender import FAR_SECONDS
from smsgw.delivery.throttle import Limits
from smsgw.errors import Disposition
from smsgw.model import MessageClass, MessageStatus, SubmitResult
from smsgw.protocols.carrier import ResultKind
from smsgw.store.messages import MessageRow, decode_contents
from smsgw.store.reports import REPORTS, ReportRow
from smsgw.store.reroute import Elsewhere, Why
from tests.support.delivery import message_of, segments_of, states, stored, told
from tests.support.links import LATER, NO_ANSWER, TOO_FAST, FakeLink, accepted
from tests.support.reactor import reactor_test
from tests.support.scenes import Scene, scene
from tests.support.store import NOW

NOT_OURS = SubmitResult(10, Disposition.FINAL, "", "Src_Id error", ResultKind.SOURCE)
BAD_LOGIN = SubmitResult(68, Disposition.FINAL, "", "user check failed", ResultKind.AUTH)
VOLUME = SubmitResult(75, Disposition.RETRY, "", "over its daily volume", ResultKind.QUOTA)
HOURS = SubmitResult(74, Disposition.RETRY, "", "forbidden period", ResultKind.HOURS)


@asynccontextmanager
async def two_links(
    path: Path, second: bool = True, **options: Any
) -> AsyncIterator[tuple[Scene, FakeLink, FakeLink]]:
    """A scene whose messages may take the second link, if that is up."""
    first, other = FakeLink("cmcc"), FakeLink("ctcc", up=second)

    def elsewhere(message: MessageRow, but: Collection[str], why: Why) -> Elsewhere | None:
        for link in (first, other):
            if link.up and link.name not in but:
                contents = decode_contents(message.contents)
                return Elsewhere(link.name, "10690002", message.coding, contents)
        return None

    async with scene(path, first, other, elsewhere=elsewhere, **options) as s:
        await s.dispatcher.recover()
        yield s, first, other


async def offered(s: Scene, count: int = 1, **fields: Any) -> list[Any]:
    items = await stored(s.database, count, **fields)
    s.dispatcher.offer(items)
    await s.quiet()
    return items


@pytest.mark.parametrize("result", [NOT_OURS, BAD_LOGIN, VOLUME, HOURS])
@reactor_test
async def test_what_a_link_refuses_for_a_reason_of_its_own_leaves_by_another_at_once(
    tmp_path: Path, result: SubmitResult
) -> None:
    async with two_links(tmp_path) as (s, first, other):
        items = await offered(s)
        first.answer(result)
        await s.quiet()
        await s.pass_time(0.01)
        assert [(x.to, x.source) for x in other.sent] == [("13800001001", "10690002001")]
        other.accept_all()
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.link, row.attempts) == ("sent", "ctcc", 1)
        assert await told(s.database) == ["message.queued", "message.rerouted", "message.sent"]
        assert s.statuses == []
        assert len(first.sent) == 1


@reactor_test
async def test_without_another_link_it_is_refused_as_ever(tmp_path: Path) -> None:
    async with two_links(tmp_path, second=False) as (s, first, _):
        items = await offered(s)
        first.answer(NOT_OURS)
        await s.quiet()
        assert await states(s.database, items) == ["rejected"]
        assert s.statuses == ["rejected"]


@reactor_test
async def test_a_long_message_takes_another_link_once_all_its_parts_are_back(
    tmp_path: Path,
) -> None:
    async with two_links(tmp_path) as (s, first, other):
        items = await offered(s, parts=3)
        first.answer(NOT_OURS)
        await s.quiet()
        assert await states(s.database, items) == ["queued", "sending", "sending"]
        first.answer(NOT_OURS, NOT_OURS)
        await s.quiet()
        await s.pass_time(0.01)
        assert [x.part for x in other.sent] == [1, 2, 3]
        other.accept_all()
        await s.pass_time(30.0)
        assert (await message_of(s.database, items[0])).status == "sent"
        assert len(first.sent) == 3
        assert s.dispatcher.state()["cmcc"]["queued"] == 0


@reactor_test
async def test_a_message_part_of_which_was_taken_stays_and_fails(tmp_path: Path) -> None:
    async with two_links(tmp_path) as (s, first, other):
        items = await offered(s, parts=2)
        first.answer(accepted("0a" * 8), NOT_OURS)
        await s.quiet()
        assert await states(s.database, items) == ["sent", "rejected"]
        assert other.sent == []


@reactor_test
async def test_what_a_link_refuses_for_now_again_and_again_leaves_by_another(
    tmp_path: Path,
) -> None:
    async with two_links(tmp_path, policy=RetryPolicy(first_seconds=1.0)) as (s, first, other):
        await offered(s)
        for _ in range(FAILOVER_REFUSALS):
            assert other.sent == []
            first.answer(LATER)
            await s.pass_time(8.0)
        assert len(other.sent) == 1
        assert len(first.sent) == FAILOVER_REFUSALS


@reactor_test
async def test_too_fast_never_makes_a_message_change_its_link(tmp_path: Path) -> None:
    async with two_links(tmp_path) as (s, first, other):
        await offered(s)
        for _ in range(3 * FAILOVER_REFUSALS):
            first.answer(*[TOO_FAST for _ in first.unanswered])
            await s.pass_time(5.0)
        assert other.sent == []


@reactor_test
async def test_a_used_up_volume_is_waited_out_in_the_store(tmp_path: Path) -> None:
    policy = RetryPolicy(attempts=1, quota_seconds=3600.0)
    assert policy.quota_seconds > FAR_SECONDS
    async with two_links(tmp_path, second=False, policy=policy) as (s, first, _):
        items = await offered(s)
        first.answer(VOLUME)
        await s.quiet()
        assert await states(s.database, items) == ["queued"]
        assert s.dispatcher.state()["cmcc"]["queued"] == 0
        for _ in range(119):
            await s.pass_time(30.0)
        assert len(first.sent) == 1
        for _ in range(35):
            await s.pass_time(1.0)
        assert len(first.sent) == 2


@reactor_test
async def test_what_waits_for_a_link_that_stays_down_takes_another(tmp_path: Path) -> None:
    async with two_links(tmp_path, failover_after=60.0) as (s, first, other):
        first.up = False
        items = await offered(s, 3)
        for _ in range(12):
            await s.pass_time(5.0)
        assert other.sent == []
        await s.pass_time(5.0)
        await s.pass_time(0.01)
        assert len(other.sent) == 3
        assert s.dispatcher.state()["cmcc"]["queued"] == 0
        first.come_up()
        other.accept_all()
        await s.quiet()
        assert first.sent == []
        assert await states(s.database, items) == ["sent"] * 3


@reactor_test
async def test_what_was_taken_and_never_left_takes_another_link_too(tmp_path: Path) -> None:
    async with two_links(tmp_path, failover_after=10.0) as (s, first, other):
        first.window = 1
        await offered(s, 2)
        assert s.dispatcher.state()["cmcc"]["sending"] == 2
        first.up = False
        for _ in range(4):
            await s.pass_time(5.0)
        await s.pass_time(0.01)
        assert len(other.sent) == 1  # the one that was submitted may have arrived
        assert len(first.sent) == 1


@reactor_test
async def test_a_link_that_is_back_in_time_keeps_its_messages(tmp_path: Path) -> None:
    async with two_links(tmp_path, failover_after=10.0) as (s, first, other):
        first.up = False
        await offered(s)
        await s.pass_time(5.0)
        first.come_up()
        await s.quiet()
        for _ in range(6):
            await s.pass_time(5.0)
        assert (len(first.sent), len(other.sent)) == (1, 0)


@reactor_test
async def test_a_link_that_comes_and_goes_while_its_messages_leave_loses_the_rest_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failover, "PAGE_ROWS", 1)
    async with two_links(tmp_path, failover_after=10.0) as (s, first, other):
        first.up = False
        await offered(s, 3)
        for _ in range(2):
            await s.pass_time(5.0)
        first.window = 0
        s.clock.advance(5.0)
        first.up = True  # while the first page is moved
        await s.quiet()
        first.up = False
        for _ in range(2):
            await s.pass_time(5.0)
        await s.pass_time(0.01)
        assert len(other.sent) == 3


@reactor_test
async def test_with_all_links_down_messages_wait_and_take_the_first_that_comes(
    tmp_path: Path,
) -> None:
    async with two_links(tmp_path, second=False, failover_after=10.0) as (s, first, other):
        first.up = False
        await offered(s)
        for _ in range(6):
            await s.pass_time(5.0)
        assert other.sent == []
        other.come_up()
        await s.pass_time(5.0)
        await s.pass_time(0.01)
        assert len(other.sent) == 1


@reactor_test
async def test_what_is_scheduled_takes_another_link_when_it_is_due_and_not_before(
    tmp_path: Path,
) -> None:
    async with two_links(tmp_path, failover_after=10.0) as (s, first, other):
        first.up = False
        for seconds in (60, 90):
            at = NOW + seconds * 1000
            await offered(s, status="scheduled", send_at=at, due_at=at)
        now = await offered(s)
        for _ in range(5):
            await s.pass_time(5.0)
        await s.pass_time(0.01)
        assert len(other.sent) == 1
        assert len({one.link for one in await segments_of(s.database, now)}) == 1
        for _ in range(9):
            await s.pass_time(5.0)
        await s.pass_time(0.01)
        assert len(other.sent) == 2
        first.come_up()
        for _ in range(5):
            await s.pass_time(5.0)
        assert (len(first.sent), len(other.sent)) == (1, 2)


@reactor_test
async def test_what_is_of_unknown_outcome_never_takes_another_link(tmp_path: Path) -> None:
    doubt = DoubtPolicy(wait_seconds=30.0)
    async with two_links(tmp_path, doubt=doubt, failover_after=10.0) as (s, first, other):
        items = await offered(s)
        first.answer(NO_ANSWER)
        await s.quiet()
        first.up = False
        for _ in range(20):
            await s.pass_time(5.0)
        assert await states(s.database, items) == ["queued"]
        assert other.sent == []
        first.come_up()
        await s.quiet()
        first.answer(NOT_OURS)
        await s.quiet()
        assert await states(s.database, items) == ["rejected"]
        assert other.sent == []


@reactor_test
async def test_what_is_reported_as_not_delivered_leaves_by_another_link(tmp_path: Path) -> None:
    async with two_links(tmp_path) as (s, first, other):
        items = await offered(s)
        first.answer(accepted("0a"))
        await s.quiet()
        report = ReportRow("cmcc", "0a", "13800001001", MessageStatus.UNDELIVERED, "MK:1", "", NOW)
        await s.database.writer.batch(REPORTS, [report])
        for _ in range(33):
            await s.pass_time(1.0)
        assert len(other.sent) == 1
        other.answer(accepted("0b"))
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.link, row.state, row.possible_duplicate) == ("ctcc", "sent", True)


@reactor_test
async def test_a_class_has_its_own_answer_to_an_unknown_outcome(tmp_path: Path) -> None:
    urgent = DoubtPolicy(wait_seconds=30.0, resend=False)
    doubt = DoubtPolicy(wait_seconds=60.0, classes={MessageClass.REALTIME: urgent})
    async with two_links(tmp_path, doubt=doubt) as (s, first, _):
        code = await offered(s, message_class="realtime")
        notice = await offered(s, message_class="notice")
        first.answer(NO_ANSWER, NO_ANSWER)
        await s.quiet()
        waits = [row.next_attempt_at for row in await segments_of(s.database, [*code, *notice])]
        assert waits == [NOW + 30_000, NOW + 60_000]
        await s.pass_time(30.0)
        assert await states(s.database, [*code, *notice]) == ["expired", "unknown"]
        await s.pass_time(30.0)
        await s.pass_time(0.0)
        assert await states(s.database, notice) == ["sending"]


@reactor_test
async def test_what_waits_for_a_link_that_is_vacated_leaves_at_once_when_another_is_up(
    tmp_path: Path,
) -> None:
    async with two_links(tmp_path) as (s, first, other):
        other.up, first.window = False, 1
        sent, *waiting = await offered(s, 5)
        assert len(first.sent) == 1
        first.up = False
        leaving = Deferred.fromCoroutine(s.dispatcher.vacate("cmcc", 1.0))
        await s.quiet()
        first.accept_all()
        await s.quiet()
        assert leaving.called
        other.up = True
        await s.pass_time(failover.LOOK_SECONDS)  # and not FAILOVER_AFTER
        assert len(other.sent) == len(waiting)
        other.accept_all()
        await s.quiet()
        rows = await segments_of(s.database, [sent, *waiting])
        assert [row.link for row in rows] == ["cmcc"] + ["ctcc"] * 4


@reactor_test
async def test_a_link_that_is_no_more_is_sent_nothing_and_one_that_is_new_sends_what_waits(
    tmp_path: Path,
) -> None:
    async with two_links(tmp_path, second=False) as (s, first, _):
        first.up = False
        waits = await offered(s)
        await s.dispatcher.remove("cmcc")
        assert list(s.dispatcher.state()) == ["ctcc"]
        assert s.dispatcher.has_room("cmcc") == []
        await s.dispatcher.look_again("cmcc")
        s.dispatcher.offer(await stored(s.database))
        assert await states(s.database, waits) == ["queued"]
        again = FakeLink("cmcc")
        added = Deferred.fromCoroutine(s.dispatcher.add(again, Limits(rate=100.0)))
        await s.quiet()
        assert added.called
        assert len(again.sent) == 2
        assert s.dispatcher.state()["cmcc"]["rate"] == 100.0
