"""Messages that change their link: which may, and what is written then."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from sqlalchemy import select

from smsgw.model import MessageStatus
from smsgw.store import messages, queue, reroute
from smsgw.store.messages import MessageRow
from smsgw.store.outbox import Settled
from smsgw.store.queue import QueuedSegment
from smsgw.store.reports import REPORTS
from smsgw.store.reroute import AHEAD_MS, BEGINNING, Elsewhere, Why
from smsgw.store.schema import rerouted
from tests.support.store import NOW, PHONE, StoredMessages, queued_segment, report_row

S = MessageStatus
CONTENTS = {1: [b"whole"], 2: [b"\x05\x00a", b"\x05\x00b"]}


class Finder:
    """Offers links in order, in so many parts, and remembers what it was asked."""

    def __init__(self, store: StoredMessages, *links: str, parts: int = 1) -> None:
        self.links = links
        self.parts = parts
        self.asked: list[tuple[int, Why]] = []
        reroute.give_finder(store.connection, self)

    def __call__(self, message: MessageRow, but: Collection[str], why: Why) -> Elsewhere | None:
        self.asked.append((message.id, why))
        for link in self.links:
            if link not in but:
                return Elsewhere(link, "10690002", 0, CONTENTS[self.parts])
        return None


def refuse(store: StoredMessages, message: MessageRow, part: int = 1, **fields: Any) -> Settled:
    """The link of a message refuses a part for good, for a reason of its own."""
    again = queued_segment(message, part).queue_row(store.ids.node, NOW + 5000)
    row = {"stat": "11", "error": "Msg_src error", "elsewhere": True, "again": again, **fields}
    return store.settle(message, S.REJECTED, part, **row)


def tried(store: StoredMessages) -> list[tuple[int, str]]:
    return [(row.message_id, row.link) for row in store.connection.execute(select(rerouted))]


def stored(store: StoredMessages, message: MessageRow) -> tuple[str, str, int, int, list[bytes]]:
    row = messages.get(store.connection, message.id)
    assert row is not None
    contents = messages.decode_contents(row.contents)
    return row.link, row.access_number, row.coding, row.parts, contents


def waiting(store: StoredMessages, link: str) -> list[QueuedSegment]:
    later = NOW + 60_000
    return queue.waiting(store.connection, store.ids.node, link, "interactive", NOW, later, 9, ())


class TestRefusals:
    def test_the_message_is_replaced_by_what_another_link_sends(
        self, store: StoredMessages
    ) -> None:
        finder = Finder(store, "ctcc", parts=2)
        message = store.message(S.SENDING)
        settled = refuse(store, message)
        assert (settled.applied, settled.again, settled.changes) == (True, False, [])
        moved: list[QueuedSegment] = settled.moved or []
        assert [(i.key, i.total, i.link, i.source, i.coding, i.content) for i in moved] == [
            ((message.id, 1), 2, "ctcc", "10690002001", 0, b"\x05\x00a"),
            ((message.id, 2), 2, "ctcc", "10690002001", 0, b"\x05\x00b"),
        ]
        assert all(
            (i.attempts, i.recorded, i.possible_duplicate) == (0, False, False) for i in moved
        )
        assert stored(store, message) == ("ctcc", "10690002", 0, 2, CONTENTS[2])
        assert store.queued() == [(NOW + 1, message.id, 1), (NOW + 1, message.id, 2)]
        assert store.now(message).status == "queued"
        assert tried(store) == [(message.id, "cmcc")]
        assert finder.asked == [(message.id, Why.REFUSED)]
        event = store.events()[-1]
        assert event.kind == "message.rerouted"
        assert event.data == {
            "to": PHONE,
            "reference": "order-1",
            "from": "cmcc",
            "link": "ctcc",
            "why": "refused",
            "part": 1,
            "stat": "11",
            "error": "Msg_src error",
        }

    def test_it_is_sent_there_as_if_it_were_new(self, store: StoredMessages) -> None:
        Finder(store, "ctcc")
        message = store.message(S.SENDING)
        (item,) = refuse(store, message).moved or []
        assert store.take([item]).missing == set()
        row = store.now(message)
        store.settle(row, S.SENT, carrier_message_id="0a", attempts=1, first=True)
        store.report("0a", link="ctcc")
        assert store.now(message).status == "delivered"
        assert store.segment(row).link == "ctcc"

    def test_past_its_time_it_is_rejected(self, store: StoredMessages) -> None:
        Finder(store, "ctcc")
        message = store.message(S.SENDING, valid_until=NOW + 1)
        assert refuse(store, message).moved is None
        assert store.now(message).status == "rejected"

    def test_without_another_link_it_is_rejected(self, store: StoredMessages) -> None:
        Finder(store)
        message = store.message(S.SENDING)
        settled = refuse(store, message)
        assert (settled.again, settled.moved) == (False, None)
        assert [change.status for change in settled.changes] == [S.REJECTED]
        assert store.queued() == []

    def test_without_another_link_what_was_refused_for_now_waits(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.SENDING)
        again = queued_segment(message).queue_row(store.ids.node, NOW + 5000)
        settled = store.settle(message, S.QUEUED, again=again, elsewhere=True)
        assert (settled.again, settled.moved) == (True, None)
        assert store.queued() == [(NOW + 5000, message.id, 1)]

    def test_each_link_is_tried_once(self, store: StoredMessages) -> None:
        Finder(store, "cmcc", "ctcc")
        message = store.message(S.SENDING)
        (item,) = refuse(store, message).moved or []
        store.take([item])
        settled = refuse(store, store.now(message))
        assert settled.moved is None
        assert [change.status for change in settled.changes] == [S.REJECTED]

    def test_a_part_waits_until_the_others_are_back_and_the_last_one_takes_all_along(
        self, store: StoredMessages
    ) -> None:
        Finder(store, "ctcc")
        message = store.message(S.SENDING, S.SENDING, S.QUEUED)
        first = refuse(store, message, 1)
        assert (first.again, first.moved, first.changes) == (True, None, [])
        assert store.segment(message, 1).state == "queued"
        assert store.segment(message, 1).next_attempt_at == NOW + 5000
        second = refuse(store, message, 2)
        assert len(second.moved or []) == 1
        assert store.queued() == [(NOW + 1, message.id, 1)]
        assert stored(store, message)[3:] == (1, [b"whole"])

    @pytest.mark.parametrize("state", [S.SENT, S.UNKNOWN, S.DELIVERED])
    def test_a_message_part_of_which_may_be_on_its_way_stays(
        self, store: StoredMessages, state: MessageStatus
    ) -> None:
        finder = Finder(store, "ctcc")
        message = store.message(S.SENDING, S.SENDING)
        store.settle(message, S.SENT if state is S.DELIVERED else state, 2, next_attempt_at=NOW)
        settled = refuse(store, message, 1)
        assert (settled.again, settled.moved) == (False, None)
        assert store.now(message).status == "rejected"
        assert finder.asked == []

    def test_what_was_sent_before_with_unknown_outcome_stays(self, store: StoredMessages) -> None:
        Finder(store, "ctcc")
        message = store.message(S.SENDING)
        store.settle(message, S.UNKNOWN, next_attempt_at=NOW)
        again = queued_segment(message).queue_row(store.ids.node, NOW)
        store.settle(message, S.QUEUED, again=again, possible_duplicate=True)
        assert refuse(store, message).moved is None
        assert store.now(message).status == "rejected"


class TestReports:
    def sent(self, store: StoredMessages, parts: int = 1) -> MessageRow:
        message = store.message(*[S.SENDING] * parts)
        for part in range(1, parts + 1):
            store.settle(message, S.SENT, part, carrier_message_id=f"0{part}", attempts=1)
        return message

    def test_what_was_not_delivered_is_sent_again_elsewhere(self, store: StoredMessages) -> None:
        finder = Finder(store, "ctcc")
        message = self.sent(store)
        assert store.report("01", S.UNDELIVERED, stat="UNDELIV").changes == []
        assert store.queued() == [(NOW + 9, message.id, 1)]
        assert store.now(message).status == "queued"
        assert finder.asked == [(message.id, Why.UNDELIVERED)]
        event = store.events()[-1]
        assert event.kind == "message.rerouted"
        assert (event.data["why"], event.data["stat"]) == ("undelivered", "UNDELIV")
        assert event.data["possible_duplicate"] is False
        (item,) = waiting(store, "ctcc")
        store.take([item])
        row = store.now(message)
        store.settle(row, S.SENT, carrier_message_id="0a", attempts=1, first=True)
        (change,) = store.report("0a", S.UNDELIVERED, link="ctcc", stat="UNDELIV").changes
        assert change.status is S.UNDELIVERED

    @pytest.mark.parametrize("stat", ["UNKNOWN", "MK:0012", "2"])
    def test_after_a_report_that_does_not_exclude_receipt_the_doubt_is_visible(
        self, store: StoredMessages, stat: str
    ) -> None:
        Finder(store, "ctcc")
        message = self.sent(store)
        store.report("01", S.UNDELIVERED, stat=stat)
        row = store.segment(message)
        assert (row.state, row.link, row.possible_duplicate) == ("queued", "ctcc", True)
        assert store.now(message).status == "unknown"
        assert store.events()[-1].data["possible_duplicate"] is True
        (item,) = waiting(store, "ctcc")
        assert (item.possible_duplicate, item.recorded) == (True, True)
        store.take([item])
        store.settle(message, S.SENT, link="ctcc", carrier_message_id="0a", attempts=1)
        assert store.report("0a", link="ctcc").changes[0].status is S.DELIVERED
        assert store.segment(message).possible_duplicate

    def test_of_a_long_message_all_parts_are_sent_again_and_may_come_twice(
        self, store: StoredMessages
    ) -> None:
        Finder(store, "ctcc", parts=2)
        message = self.sent(store, 2)
        store.report("01")
        store.report("02", S.UNDELIVERED, stat="UNDELIV")
        assert [
            row.possible_duplicate for row in [store.segment(message, 1), store.segment(message, 2)]
        ] == [True, True]
        assert store.now(message).status == "unknown"

    def test_a_second_report_of_the_same_commit_is_no_news(self, store: StoredMessages) -> None:
        Finder(store, "ctcc", parts=2)
        message = self.sent(store, 2)
        rows = [report_row(key, S.UNDELIVERED) for key in ("01", "02")]
        fates = [one.fate for one in REPORTS.execute(store.connection, rows)]
        assert fates == ["matched", "duplicate"]
        assert len(store.queued()) == 2
        assert store.now(message).final_at is None

    @pytest.mark.parametrize("state", [S.UNKNOWN, S.SENDING])
    def test_while_a_part_is_in_doubt_nothing_is_sent_elsewhere(
        self, store: StoredMessages, state: MessageStatus
    ) -> None:
        finder = Finder(store, "ctcc")
        message = store.message(S.SENDING, S.SENDING)
        store.settle(message, S.SENT, 1, carrier_message_id="01")
        if state is S.UNKNOWN:
            store.settle(message, S.UNKNOWN, 2, next_attempt_at=NOW)
        (change,) = store.report("01", S.UNDELIVERED, stat="UNDELIV").changes
        assert change.status is S.UNDELIVERED
        assert finder.asked == []

    def test_a_report_that_was_there_before_the_answer_counts_too(
        self, store: StoredMessages
    ) -> None:
        Finder(store, "ctcc")
        store.report("01", S.UNDELIVERED, stat="UNDELIV")
        message = self.sent(store)
        assert store.now(message).link == "ctcc"
        assert store.parked() == 0

    def test_a_second_bad_report_of_the_copy_it_leaves_behind_is_no_end(
        self, store: StoredMessages
    ) -> None:
        Finder(store, "ctcc")
        store.report("01", S.UNDELIVERED, stat="UNDELIV")
        store.report("01", S.EXPIRED, stat="EXPIRED")
        message = self.sent(store)
        assert store.now(message).final_at is None
        assert [key[1] for key in store.queued()] == [message.id]
        assert store.parked() == 0

    def test_a_late_refusal_by_the_link_it_left_is_no_end(self, store: StoredMessages) -> None:
        Finder(store, "ctcc")
        message = self.sent(store)
        store.report("01", S.UNDELIVERED, stat="MK:1")
        late = {"stat": "13", "link": "cmcc", "carrier_message_id": "02"}
        assert not store.settle(message, S.REJECTED, **late).applied
        assert store.segment(message).carrier_message_id is None
        assert store.now(message).status == "unknown"


class TestWaiting:
    def move(
        self,
        store: StoredMessages,
        limit: int = 100,
        now: int = NOW,
        start: reroute.Place = BEGINNING,
    ) -> list[reroute.Waiting]:
        found: list[reroute.Waiting] = []
        place: reroute.Place | None = start
        while place is not None:
            lane = ("cmcc", "interactive")
            found.append(reroute.move_waiting(store.connection, *lane, now, place, limit))
            place = found[-1].last
        return found

    def test_all_that_waits_takes_another_link(self, store: StoredMessages) -> None:
        Finder(store, "ctcc", parts=2)
        made = [store.message() for _ in range(3)] + [store.message(S.QUEUED, S.QUEUED, S.QUEUED)]
        done = self.move(store, limit=2)
        assert set().union(*(one.left for one in done)) == {message.id for message in made}
        assert sum(len(one.moved) for one in done) == 8
        assert {stored(store, message)[0] for message in made} == {"ctcc"}
        assert len(store.queued()) == 8
        assert tried(store) == []
        assert [event.data["why"] for event in store.events()] == ["link down"] * 4

    def test_what_may_not_change_stays_and_is_not_looked_at_again(
        self, store: StoredMessages
    ) -> None:
        Finder(store)
        kept = [store.message(link="cmcc") for _ in range(5)]
        other = store.message(link="cucc")
        done = self.move(store, limit=2)
        assert [one.left for one in done] == [set()] * len(done)
        assert {key for _, key, _ in store.queued()} == {one.id for one in [*kept, other]}

    def test_what_is_in_doubt_or_partly_away_stays(self, store: StoredMessages) -> None:
        finder = Finder(store, "ctcc")
        doubtful = store.message(S.SENDING)
        store.settle(doubtful, S.UNKNOWN, next_attempt_at=NOW)
        again = queued_segment(doubtful).queue_row(store.ids.node, NOW)
        store.settle(doubtful, S.QUEUED, again=again, possible_duplicate=True)
        store.message(S.SENDING, S.QUEUED)
        assert [one.left for one in self.move(store)] == [set()]
        assert finder.asked == []

    def test_what_is_to_be_sent_later_stays_until_then(self, store: StoredMessages) -> None:
        Finder(store, "ctcc")
        due = [NOW + 1, NOW + AHEAD_MS, NOW + AHEAD_MS + 1]
        made = [store.message(send_at=at, status="scheduled") for at in due]
        for at, message in zip(due, made, strict=True):
            change = f"UPDATE queue SET due_at = {at} WHERE message_id = {message.id}"
            store.connection.exec_driver_sql(change)
        for limit in (1, 9):
            done = self.move(store, limit)
            assert [one.left for one in done] == [set()] * len(done)
            assert min(one.next_at for one in done) == NOW + 1
        done = self.move(store, now=NOW + 1, start=reroute.after(NOW))
        assert [(one.left, one.next_at) for one in done] == [({made[0].id}, NOW + AHEAD_MS)]
        assert sorted(store.queued()) == [(at, m.id, 1) for at, m in zip(due, made, strict=True)]
        assert store.now(made[0]).status == "scheduled"
        done = self.move(store, now=NOW + 1, start=reroute.after(NOW + 1))
        assert [(one.left, one.next_at) for one in done] == [(set(), NOW + AHEAD_MS)]

    def test_what_waits_for_another_try_need_not_wait_elsewhere(
        self, store: StoredMessages
    ) -> None:
        Finder(store, "ctcc")
        message = store.message(S.SENDING)
        again = queued_segment(message).queue_row(store.ids.node, NOW + 60_000)
        store.settle(message, S.QUEUED, again=again)
        ((moved,),) = [one.moved for one in self.move(store)]
        assert (moved.due_at, moved.refusals, moved.attempts) == (NOW, 0, 0)
        assert store.queued() == [(NOW, message.id, 1)]
