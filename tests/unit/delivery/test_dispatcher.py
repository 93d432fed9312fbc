from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from smsgw.delivery import sender
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.delivery.throttle import Limits
from smsgw.errors import Disposition
from smsgw.model import MessageClass, MessageStatus, SubmitResult
from smsgw.protocols.carrier import ResultKind
from smsgw.store import queue
from smsgw.store.outbox import SETTLE, Settlement
from smsgw.store.progress import StatusChange
from smsgw.store.queue import UNKNOWN_ERROR, QueuedSegment
from smsgw.store.reports import PARKED_SECONDS, REPORTS, ReportRow
from smsgw.store.schema import parked_report
from tests.support.delivery import (
    message_of,
    segments_of,
    states,
    stored,
    taken,
    told,
)
from tests.support.links import LATER, NO_ANSWER, REFUSED, TOO_FAST, FakeLink, accepted
from tests.support.reactor import reactor_test
from tests.support.scenes import Scene, scene
from tests.support.store import NOW

OTHER = "13800001002"


@reactor_test
async def test_an_offered_segment_is_taken_sent_and_settled(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        assert s.link.sent == []
        await s.quiet()
        assert [(x.to, x.source, x.want_report) for x in s.link.sent] == [
            ("13800001001", "10690001001", True)
        ]
        assert await states(s.database, items) == ["sending"]
        assert s.dispatcher.state()["cmcc"]["sending"] == 1
        s.link.answer(accepted("0a" * 8))
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.carrier_message_id, row.attempts) == ("sent", "0a" * 8, 1)
        assert await told(s.database) == ["message.queued", "message.sent"]
        assert s.statuses == []
        assert s.dispatcher.state()["cmcc"] == {
            "queued": 0,
            "sending": 0,
            "more_in_store": False,
            "rate": None,
            "limited_by": {"cause": "nothing to send", "detail": ""},
        }


@pytest.mark.parametrize(("ahead", "taken"), [(256, 6), (1, 4)])
@reactor_test
async def test_no_more_than_a_second_window_is_taken_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, taken: int
) -> None:
    monkeypatch.setattr(sender, "AHEAD_MAX", ahead)
    async with scene(tmp_path, FakeLink(window=3)) as s:
        items = await stored(s.database, 8)
        s.dispatcher.offer(items)
        await s.quiet()
        assert len(s.link.sent) == 3
        assert await states(s.database, items) == ["sending"] * taken + ["queued"] * (8 - taken)
        s.link.accept_all()
        await s.quiet()
        assert (await states(s.database, items))[:6] == ["sent"] * 3 + ["sending"] * 3
        while s.link.unanswered:
            s.link.accept_all()
            await s.quiet()
        assert len(s.link.sent) == 8


@reactor_test
async def test_parts_of_a_message_leave_in_order(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=2)) as s:
        s.dispatcher.offer(await stored(s.database, 2, parts=3))
        await s.quiet()
        while s.link.unanswered:
            s.link.accept_all()
            await s.quiet()
        assert [x.part for x in s.link.sent] == [1, 2, 3, 1, 2, 3]
        assert [x.total for x in s.link.sent] == [3] * 6


@pytest.mark.parametrize("urgent", ["realtime", "interactive"])
@pytest.mark.parametrize("slow", ["bulk", "notice"])
@reactor_test
async def test_an_urgent_message_takes_the_first_place_that_comes_free_in_a_full_window(
    tmp_path: Path, urgent: str, slow: str
) -> None:
    async with scene(tmp_path, FakeLink(window=4)) as s:
        s.dispatcher.offer(await stored(s.database, 40, message_class=slow))
        await s.quiet()
        assert s.dispatcher.state()["cmcc"]["sending"] == 8
        s.dispatcher.offer(await stored(s.database, message_class=urgent, recipient=OTHER))
        await s.quiet()
        assert len(s.link.sent) == 4
        s.link.answer(accepted("0a"))
        assert [x.to for x in s.link.sent].index(OTHER) == 4


@reactor_test
async def test_urgent_messages_without_end_leave_the_others_their_share(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=4)) as s:
        s.dispatcher.offer(await stored(s.database, 40, message_class="bulk", recipient=OTHER))
        s.dispatcher.offer(await stored(s.database, 400, message_class="realtime"))
        while len(s.link.sent) < 340:
            await s.quiet()
            s.link.accept_all()
        assert [x.to for x in s.link.sent].count(OTHER) >= 20


@reactor_test
async def test_a_link_that_is_down_gets_its_messages_when_it_comes_up(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(up=False)) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        assert await states(s.database, items) == ["queued"]
        s.link.come_up()
        await s.quiet()
        assert len(s.link.sent) == 1


@reactor_test
async def test_one_links_trouble_does_not_stop_another(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink("ctcc", up=False), FakeLink("cmcc")) as s:
        s.dispatcher.offer(await stored(s.database, link="ctcc"))
        s.dispatcher.offer(await stored(s.database, link="cmcc"))
        await s.quiet()
        assert len(s.others[0].sent) == 1


@reactor_test
async def test_a_segment_of_a_link_nobody_configured_stays_in_the_store(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, link="gone")
        s.dispatcher.offer(items)
        await s.dispatcher.recover()
        assert await states(s.database, items) == ["queued"]


@reactor_test
async def test_a_final_refusal_rejects_and_the_other_parts_are_not_sent(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1)) as s:
        items = await stored(s.database, parts=3)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(REFUSED)
        await s.quiet()
        rows = await segments_of(s.database, items)
        assert [row.state for row in rows] == ["rejected", "canceled", "canceled"]
        assert (rows[0].stat, rows[0].error) == ("13", "Dest_terminal_Id error")
        assert rows[1].error == "another part of the message failed"
        assert (await message_of(s.database, items[0])).reason == "13 Dest_terminal_Id error"
        assert len(s.link.sent) == 1


@reactor_test
async def test_a_refusal_for_now_is_tried_again_later_and_not_for_ever(tmp_path: Path) -> None:
    policy = RetryPolicy(attempts=3, first_seconds=4.0)
    async with scene(tmp_path, policy=policy) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(LATER)
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.next_attempt_at) == ("queued", NOW + 4000)
        await s.pass_time(3.9)
        assert len(s.link.sent) == 1
        await s.pass_time(0.2)
        assert len(s.link.sent) == 2
        s.link.answer(LATER)
        await s.quiet()
        await s.pass_time(8.1)
        s.link.answer(LATER)
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.attempts) == ("rejected", 3)
        assert row.error == "result 90, in no table, after 3 tries"
        assert len(s.link.sent) == 3


@reactor_test
async def test_too_fast_pauses_the_link_and_loses_and_reorders_nothing(tmp_path: Path) -> None:
    policy = RetryPolicy(attempts=1)
    async with scene(tmp_path, FakeLink(window=2), policy=policy) as s:
        items = await stored(s.database, parts=4)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(TOO_FAST, TOO_FAST)
        await s.quiet()
        await s.pass_time(0.5)
        assert len(s.link.sent) == 2
        for _ in range(40):
            await s.pass_time(0.5)
            s.link.accept_all()
            await s.quiet()
        assert [x.part for x in s.link.sent] == [1, 2, 1, 2, 3, 4]
        assert await states(s.database, items) == ["sent"] * 4
        assert s.dispatcher.state()["cmcc"]["rate"] is not None


@reactor_test
async def test_any_code_whose_kind_is_throttle_means_too_fast(tmp_path: Path) -> None:
    async with scene(tmp_path, policy=RetryPolicy(attempts=1)) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        s.link.answer(SubmitResult(90, Disposition.RETRY, "", "slower", ResultKind.THROTTLE))
        await s.quiet()
        assert await states(s.database, items) == ["queued"]
        assert s.dispatcher.state()["cmcc"]["rate"] is not None


@reactor_test
async def test_the_agreed_rate_is_kept(tmp_path: Path) -> None:
    link = FakeLink(window=1000)
    async with scene(tmp_path, link, limits={"cmcc": Limits(rate=10.0)}) as s:
        s.dispatcher.offer(await stored(s.database, 30))
        await s.quiet()
        assert len(link.sent) == 1
        for _ in range(50):
            await s.pass_time(0.02)
        assert 9 <= len(link.sent) <= 11


async def doubtful(s: Scene, **fields: Any) -> list[QueuedSegment]:
    """A message whose submit got no answer."""
    await s.dispatcher.recover()
    items = await stored(s.database, **fields)
    s.dispatcher.offer(items)
    await s.quiet()
    s.link.answer(NO_ANSWER)
    await s.quiet()
    return items


@reactor_test
async def test_an_unanswered_submit_is_unknown_until_its_wait_is_over_and_then_sent_again(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await doubtful(s)
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.error) == ("unknown", "no answer came")
        assert row.next_attempt_at == NOW + 600_000
        for _ in range(19):
            await s.pass_time(30.0)
        assert len(s.link.sent) == 1
        await s.pass_time(30.0)
        await s.pass_time(0.0)
        assert len(s.link.sent) == 2
        assert s.link.sent[0] == s.link.sent[1]
        s.link.answer(accepted("0b" * 8))
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.attempts, row.possible_duplicate) == ("sent", 2, True)
        assert await told(s.database) == [
            "message.queued",
            "message.unknown",
            "message.resent",
            "message.sent",
        ]


@reactor_test
async def test_the_wait_for_an_outcome_survives_a_restart(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await doubtful(s)
        await s.pass_time(500.0)
        await s.stop()
        s.dispatcher = s.make()
        await s.dispatcher.recover()
        await s.quiet()
        assert await states(s.database, items) == ["unknown"]
        await s.pass_time(60.0)
        await s.pass_time(0.0)
        assert await states(s.database, items) == ["sending"]
        assert len(s.link.sent) == 2


@reactor_test
async def test_what_was_being_sent_at_a_kill_is_sent_again_after_its_wait(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        await taken(s.database, items)
        await s.dispatcher.recover()
        await s.quiet()
        (row,) = await segments_of(s.database, items)
        assert (row.state, row.attempts) == ("unknown", 1)
        assert (row.next_attempt_at, row.error) == (NOW + 600_000, queue.INTERRUPTED_ERROR)
        await s.pass_time(590.0)
        assert s.link.sent == []
        await s.pass_time(30.0)
        await s.pass_time(0.0)
        assert len(s.link.sent) == 1


@reactor_test
async def test_told_to_fail_an_unknown_outcome_ends_the_message(tmp_path: Path) -> None:
    async with scene(tmp_path, doubt=DoubtPolicy(wait_seconds=60.0, resend=False)) as s:
        items = await doubtful(s)
        await s.pass_time(60.0)
        message = await message_of(s.database, items[0])
        assert (message.status, message.reason) == ("expired", UNKNOWN_ERROR)
        assert s.statuses == ["expired"]
        await s.pass_time(3600.0)
        assert len(s.link.sent) == 1


@reactor_test
async def test_a_carrier_that_never_answers_gets_it_only_so_often(tmp_path: Path) -> None:
    async with scene(tmp_path, doubt=DoubtPolicy(wait_seconds=30.0, attempts=3)) as s:
        items = await doubtful(s)
        for _ in range(8):
            await s.pass_time(30.0)
            await s.pass_time(0.0)
            s.link.answer(*[NO_ANSWER for _ in s.link.unanswered])
            await s.quiet()
        assert len(s.link.sent) == 3
        assert (await message_of(s.database, items[0])).reason == UNKNOWN_ERROR


@reactor_test
async def test_what_waits_to_be_sent_again_past_its_time_says_that_it_may_have_arrived(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, doubt=DoubtPolicy(wait_seconds=30.0)) as s:
        items = await doubtful(s, valid_until=NOW + 40_000)
        s.link.up = False
        await s.pass_time(30.0)
        assert await states(s.database, items) == ["queued"]
        s.clock.advance(15.0)
        s.link.come_up()
        await s.quiet()
        message = await message_of(s.database, items[0])
        assert (message.status, message.reason) == ("expired", UNKNOWN_ERROR)
        assert len(s.link.sent) == 1


@reactor_test
async def test_an_answer_that_comes_while_it_is_sent_again_does_not_disturb_that(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, doubt=DoubtPolicy(wait_seconds=30.0)) as s:
        await s.dispatcher.recover()
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        (context,) = s.link.answer(NO_ANSWER)
        await s.quiet()
        await s.pass_time(30.0)
        await s.pass_time(0.0)
        assert len(s.link.sent) == 2
        for late in (REFUSED, LATER, NO_ANSWER):
            s.link.on_results([(context, late)])
        await s.quiet()
        assert await states(s.database, items) == ["sending"]
        s.link.answer(accepted("0b" * 8))
        await s.quiet()
        assert await states(s.database, items) == ["sent"]


@reactor_test
async def test_what_was_taken_after_all_counts_though_it_is_sent_again(tmp_path: Path) -> None:
    async with scene(tmp_path, doubt=DoubtPolicy(wait_seconds=30.0)) as s:
        await s.dispatcher.recover()
        items = await stored(s.database, parts=2)
        s.dispatcher.offer(items)
        await s.quiet()
        contexts = s.link.answer(NO_ANSWER, NO_ANSWER)
        await s.quiet()
        await s.pass_time(30.0)
        await s.pass_time(0.0)
        s.link.on_results([(context, accepted("0a" * 8)) for context in contexts])
        await s.quiet()
        s.link.answer(REFUSED, accepted("0b" * 8))
        await s.quiet()
        found = await segments_of(s.database, items)
        assert [(row.state, row.carrier_message_id) for row in found] == [("sent", "0a" * 8)] * 2
        assert s.statuses == []
        assert s.dispatcher.state()["cmcc"]["sending"] == 0


@reactor_test
async def test_an_answer_that_comes_while_its_absence_is_settled_counts(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database)
        s.dispatcher.offer(items)
        await s.quiet()
        (context,) = s.link.answer(NO_ANSWER)
        s.link.on_results([(context, accepted("0a" * 8))])
        await s.quiet()
        assert await states(s.database, items) == ["sent"]


@reactor_test
async def test_a_doubtful_segment_of_a_link_nobody_configured_waits_in_the_store(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, link="gone")
        await taken(s.database, items)
        await s.dispatcher.recover()
        await s.pass_time(630.0)
        assert await states(s.database, items) == ["queued"]


@reactor_test
async def test_parked_reports_are_thrown_away_after_three_days(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        await s.dispatcher.recover()
        delivered = MessageStatus.DELIVERED
        row = ReportRow("cmcc", "0a", "13800001001", delivered, "DELIVRD", "000", NOW)
        await s.database.writer.batch(REPORTS, [row])

        async def count() -> int:
            query = select(func.count()).select_from(parked_report)
            found: int = await s.database.read(lambda c: c.execute(query).scalar_one())
            return found

        await s.pass_time(PARKED_SECONDS)
        assert await count() == 1
        await s.pass_time(30.0)
        assert await count() == 0


@reactor_test
async def test_a_start_reads_no_more_of_a_long_backlog_than_fits_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, read = queue.waiting, []

    def counted(*args: Any, **fields: Any) -> list[QueuedSegment]:
        found = real(*args, **fields)
        read.append(len(found))
        return found

    monkeypatch.setattr(queue, "waiting", counted)
    async with scene(tmp_path, FakeLink(window=20), lane_limit=20) as s:
        items = await stored(s.database, 200)
        await taken(s.database, items[:25])
        await s.dispatcher.recover()
        assert read == [0, 20, 0, 0]
        assert await states(s.database, items[:25]) == ["unknown"] * 25
        for _ in range(40):
            await s.quiet()
            s.link.accept_all()
        assert await states(s.database, items[25:]) == ["sent"] * 175
        assert max(read) <= 20
        assert sum(read) == 175


@reactor_test
async def test_a_late_answer_resolves_what_was_unknown(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, 3)
        s.dispatcher.offer(items)
        await s.quiet()
        contexts = s.link.answer(NO_ANSWER, NO_ANSWER, NO_ANSWER)
        await s.quiet()
        results = (accepted("0b" * 8), LATER, NO_ANSWER)
        s.link.on_results(list(zip(contexts, results, strict=True)))
        await s.quiet()
        assert await states(s.database, items) == ["sent", "queued", "unknown"]
        assert (await segments_of(s.database, items))[1].possible_duplicate
        await s.pass_time(6.0)
        assert len(s.link.sent) == 4


@reactor_test
async def test_what_is_past_its_time_is_not_sent(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        items = await stored(s.database, valid_until=NOW)
        s.dispatcher.offer(items)
        await s.quiet()
        assert s.link.sent == []
        assert await states(s.database, items) == ["expired"]
        assert s.statuses == ["expired"]


@reactor_test
async def test_what_waits_for_a_link_expires_in_time(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(up=False)) as s:
        await s.dispatcher.recover()
        items = await stored(s.database, valid_until=NOW + 5000)
        s.dispatcher.offer(items)
        await s.pass_time(30.0)
        assert await states(s.database, items) == ["expired"]
        s.link.come_up()
        await s.quiet()
        assert s.link.sent == []


@reactor_test
async def test_what_was_taken_before_the_link_went_down_waits_and_may_expire(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as s:
        kept = await stored(s.database)
        old = await stored(s.database, valid_until=NOW + 5000)
        s.dispatcher.offer([*kept, *old])
        s.link.up = False
        await s.quiet()
        assert await states(s.database, [*kept, *old]) == ["sending", "sending"]
        await s.pass_time(6.0)
        s.link.come_up()
        await s.quiet()
        assert len(s.link.sent) == 1
        assert await states(s.database, [*kept, *old]) == ["sending", "expired"]


@reactor_test
async def test_a_message_that_ended_elsewhere_sends_no_more_parts(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1)) as s:
        items = await stored(s.database, parts=2)
        s.dispatcher.offer(items)
        await s.quiet()
        ended = StatusChange(items[0].message_id, "", MessageStatus.UNDELIVERED, "", NOW)
        s.dispatcher.follow([ended])
        s.link.accept_all()
        await s.quiet()
        assert len(s.link.sent) == 1
        assert await states(s.database, items) == ["sent", "canceled"]


@reactor_test
async def test_above_the_limit_messages_wait_in_the_store_and_all_leave_in_order(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, FakeLink(window=2), lane_limit=4) as s:
        items = await stored(s.database, 15, recipient="13800001001", parts=2)
        for start in range(0, 30, 3):
            s.dispatcher.offer(items[start : start + 3])
        assert s.dispatcher.state()["cmcc"]["more_in_store"]
        for _ in range(60):
            await s.quiet()
            s.link.accept_all()
        assert await states(s.database, items) == ["sent"] * 30
        assert [x.part for x in s.link.sent] == [1, 2] * 15
        assert not s.dispatcher.state()["cmcc"]["more_in_store"]


@reactor_test
async def test_bulk_that_fills_its_lane_leaves_room_for_urgent_ones(tmp_path: Path) -> None:
    async with scene(tmp_path, FakeLink(window=1), lane_limit=2) as s:
        s.dispatcher.offer(await stored(s.database, 10, message_class="bulk"))
        s.dispatcher.offer(
            await stored(s.database, message_class="realtime", recipient="13800001002")
        )
        for _ in range(3):
            await s.quiet()
            s.link.accept_all()
        assert "13800001002" in [x.to for x in s.link.sent]


@reactor_test
async def test_a_start_takes_up_what_waits_and_doubts_what_was_being_sent(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        sending, waiting, retrying, old, other = [
            (await stored(s.database, **fields))[0]
            for fields in ({}, {}, {}, {"valid_until": NOW}, {"link": "gone"})
        ]
        for one in (sending, retrying, other):
            await taken(s.database, [one])
        retry = Settlement(
            retrying.message_id,
            retrying.part,
            "cmcc",
            retrying.account,
            MessageStatus.QUEUED,
            NOW,
            next_attempt_at=NOW + 9000,
            attempts=1,
            again=retrying.queue_row(s.database.ids.node, NOW + 9000),
        )
        await s.database.writer.batch(SETTLE, [retry])
        await s.dispatcher.recover()
        await s.quiet()
        items = [sending, waiting, retrying, old, other]
        assert await states(s.database, items) == [
            "unknown",
            "sending",
            "queued",
            "expired",
            "unknown",
        ]
        assert (await told(s.database)).count("message.unknown") == 2
        assert s.statuses == ["expired"]
        await s.pass_time(9.1)
        assert await states(s.database, [retrying]) == ["sending"]
        assert len(s.link.sent) == 2


@pytest.mark.parametrize("seed", range(4))
@reactor_test
async def test_whatever_a_carrier_answers_nothing_is_lost_nor_sent_twice_in_silence(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    policy = RetryPolicy(attempts=3, first_seconds=1.0)
    doubt = DoubtPolicy(wait_seconds=80_000.0)
    link = FakeLink(window=5)
    async with scene(tmp_path, link, policy=policy, doubt=doubt, lane_limit=4) as s:
        items = []
        for _ in range(12):
            kind, parts = chance.choice(list(MessageClass)), chance.randint(1, 3)
            items += await stored(s.database, message_class=str(kind), parts=parts)
        s.dispatcher.offer(items)
        done: set[tuple[int, int]] = set()
        for _ in range(200):
            await s.pass_time(chance.random())
            batch = s.link.unanswered[: chance.randint(0, 5)]
            results = []
            for _, item in batch:
                assert item.key not in done
                result = chance.choice(
                    [
                        accepted(f"{item.message_id:016x}{item.part}"),
                        accepted(""),
                        LATER,
                        TOO_FAST,
                        NO_ANSWER,
                    ]
                )
                if result not in (LATER, TOO_FAST):
                    done.add(item.key)
                results.append(result)
            s.link.answer(*results)
            if chance.random() < 0.1:
                s.link.up = not s.link.up
                s.link.on_free()
            if chance.random() < 0.02:
                await s.stop()
                s.link.unanswered.clear()
                s.dispatcher = s.make()
                await s.dispatcher.recover()
        s.link.up = True
        for _ in range(120):
            s.link.accept_all()
            await s.pass_time(1.0)
        ends = await states(s.database, items)
        assert set(ends) <= {"sent", "unknown", "rejected", "canceled"}
        assert s.dispatcher.state()["cmcc"]["queued"] == 0
