from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from smsgw.model import MessageClass, MessageStatus
from smsgw.store import backlog, events, messages
from smsgw.store.ids import IdSource
from smsgw.store.messages import MessageRow, SegmentRow
from smsgw.store.outbox import REPORTS, SETTLE, ReportFate, ReportRow, Settlement
from smsgw.store.schema import parked_report
from tests.support.store import NOW, PHONE, message_row, segment_row

S = MessageStatus
INTERACTIVE = MessageClass.INTERACTIVE


class Store:
    """Messages of any number of parts, in any state."""

    def __init__(self, connection: Connection, ids: IdSource) -> None:
        self.connection = connection
        self.ids = ids

    def message(self, *states: S, **fields: Any) -> tuple[MessageRow, list[SegmentRow]]:
        message = message_row(self.ids, parts=len(states), **fields)
        segments = [
            segment_row(self.ids, message, part=part, state=state.value)
            for part, state in enumerate(states, 1)
        ]
        messages.insert(self.connection, [message], segments)
        return message, segments

    def doubtful(self, **fields: Any) -> tuple[MessageRow, SegmentRow]:
        """A message whose one submit got no answer; the wait for its outcome ends at NOW."""
        attempts, carrier_id = fields.pop("attempts", 1), fields.pop("carrier_id", None)
        message, (segment,) = self.message(S.SENDING, status="sending", **fields)
        self.settle(
            segment,
            S.UNKNOWN,
            next_attempt_at=NOW,
            attempts=attempts,
            error="no answer came",
            carrier_message_id=carrier_id,
        )
        return message, segment

    def settle(self, segment: SegmentRow, state: S, **fields: Any) -> bool:
        row = Settlement(segment.id, segment.message_id, state, **{"at": NOW, **fields})
        return SETTLE.execute(self.connection, [row])[0].applied

    def report(self, carrier_id: str, status: S = S.DELIVERED, at: int = NOW) -> ReportFate:
        row = ReportRow("cmcc", carrier_id, PHONE, status, "DELIVRD", "000", at)
        return REPORTS.execute(self.connection, [row])[0].fate

    def segment(self, segment: SegmentRow) -> SegmentRow:
        rows = messages.segments_of(self.connection, segment.message_id)
        return next(row for row in rows if row.id == segment.id)

    def message_now(self, message: MessageRow) -> MessageRow:
        found = messages.get(self.connection, message.id)
        assert found is not None
        return found

    def kinds(self) -> list[str]:
        return [event.kind for event in events.list_after(self.connection)]


@pytest.fixture
def store(connection: Connection, ids: IdSource) -> Store:
    return Store(connection, ids)


class TestWaiting:
    def waiting(self, store: Store, limit: int = 100, held: tuple[int, ...] = ()) -> list[int]:
        found = backlog.waiting(store.connection, "cmcc", INTERACTIVE, NOW, limit, held)
        return [one.segment.id for one in found]

    def test_one_lane_is_read_without_what_others_send_or_nobody_may(self, store: Store) -> None:
        message, (one, sending) = store.message(S.QUEUED, S.SENDING, status="sending")
        store.message(S.QUEUED, link="telecom")
        store.message(S.QUEUED, message_class="bulk")
        store.message(S.SENT, status="sent")
        store.message(S.QUEUED, valid_until=NOW)
        store.message(S.QUEUED, S.REJECTED, status="rejected", final_at=NOW)
        (found,) = backlog.waiting(store.connection, "cmcc", INTERACTIVE, NOW, 100, ())
        assert found.segment == one
        assert (found.message_class, found.valid_until) == ("interactive", message.valid_until)
        assert sending.id not in self.waiting(store)

    def test_no_more_is_read_than_asked_and_nothing_twice(self, store: Store) -> None:
        made = [store.message(S.QUEUED, S.QUEUED)[1] for _ in range(5)]
        ids = [segment.id for segments in made for segment in segments]
        assert self.waiting(store, 4) == ids[:4]
        assert self.waiting(store, 4, tuple(ids[:4])) == ids[4:8]
        assert self.waiting(store, 4, tuple(ids[:8])) == ids[8:]

    def test_what_was_tried_before_comes_first(self, store: Store) -> None:
        fresh, tried = [store.message(S.QUEUED)[1][0] for _ in range(2)]
        assert store.settle(tried, S.QUEUED, next_attempt_at=NOW + 500)
        assert self.waiting(store) == [tried.id, fresh.id]
        assert self.waiting(store, 1) == [tried.id]
        assert self.waiting(store, 1, (tried.id,)) == [fresh.id]

    def test_the_index_gives_the_order_so_a_long_backlog_is_not_sorted(self, store: Store) -> None:
        for query in backlog.WAITING_QUERIES:
            plan = store.connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {query}",
                {"link": "cmcc", "class": "bulk", "now": NOW, "held": "[]", "limit": 10},
            )
            lines = [row[-1] for row in plan]
            assert any("ix_segment_state_next_attempt_at" in line for line in lines), lines
            assert not any("TEMP B-TREE" in line for line in lines), lines

    def test_links_with_something_queued_are_counted(self, store: Store) -> None:
        store.message(S.QUEUED, S.QUEUED, link="gone")
        store.message(S.QUEUED)
        store.message(S.SENT, link="other", status="sent")
        assert backlog.queued_by_link(store.connection) == {"cmcc": 1, "gone": 2}


class TestInterrupted:
    def test_what_was_being_sent_is_read_page_by_page(self, store: Store) -> None:
        store.message(S.QUEUED, S.SENT, S.UNKNOWN, status="unknown")
        ids = [store.message(S.SENDING, valid_until=NOW)[1][0].id for _ in range(3)]
        first = backlog.interrupted(store.connection, 0, 2)
        assert [row.id for row in first] == ids[:2]
        assert [row.id for row in backlog.interrupted(store.connection, ids[1], 2)] == ids[2:]

    def test_an_unknown_one_that_does_not_wait_yet_is_given_an_end(self, store: Store) -> None:
        _, (old,) = store.message(S.UNKNOWN, status="unknown")
        _, waits = store.doubtful()
        assert backlog.begin_waits(store.connection, NOW + 600_000) == 1
        assert store.segment(old).next_attempt_at == NOW + 600_000
        assert store.segment(waits).next_attempt_at == NOW


class TestEndingWaits:
    def end(self, store: Store, now: int = NOW, attempts: int = 3, limit: int = 100) -> Any:
        return backlog.end_waits(store.connection, now, attempts, limit)

    def test_before_its_end_nothing_happens(self, store: Store) -> None:
        _, segment = store.doubtful()
        assert self.end(store, NOW - 1) == []
        assert store.segment(segment).state == "unknown"

    def test_it_is_queued_again_with_the_doubt_made_visible(self, store: Store) -> None:
        message, segment = store.doubtful(carrier_id="0a")
        (ended,) = self.end(store)
        row = store.segment(segment)
        assert (row.state, row.next_attempt_at, row.possible_duplicate) == ("queued", NOW, True)
        assert ended.resend is not None
        assert ended.resend.segment == row
        assert (ended.resend.message_class, ended.resend.valid_until) == (
            "interactive",
            message.valid_until,
        )
        assert ended.changes == []
        assert store.message_now(message).status == "unknown"
        event = events.list_after(store.connection)[-1]
        assert (event.kind, event.subject_id) == ("message.resent", message.id)
        assert event.data == {
            "to": PHONE,
            "reference": "order-1",
            "segment": str(segment.id),
            "attempts": 1,
            "carrier_message_id": "0a",
        }
        assert self.end(store) == []

    def test_told_to_fail_it_ends_as_expired_and_says_why(self, store: Store) -> None:
        message, segment = store.doubtful()
        (ended,) = self.end(store, attempts=0)
        assert ended.resend is None
        assert [change.status for change in ended.changes] == [S.EXPIRED]
        assert store.segment(segment).state == "expired"
        assert store.message_now(message).reason == backlog.UNKNOWN_ERROR
        assert "may have reached the phone" in backlog.UNKNOWN_ERROR

    @pytest.mark.parametrize(
        "fields", [{"valid_until": NOW}, {"attempts": 3}], ids=["validity", "attempts"]
    )
    def test_past_its_validity_or_too_many_tries_it_is_not_sent_again(
        self, store: Store, fields: dict[str, Any]
    ) -> None:
        message, _ = store.doubtful(**fields)
        (ended,) = self.end(store)
        assert ended.resend is None
        now = store.message_now(message)
        assert (now.status, now.reason) == ("expired", backlog.UNKNOWN_ERROR)

    def test_a_part_of_a_failed_message_is_not_sent_again(self, store: Store) -> None:
        _, (bad, good) = store.message(S.SENDING, S.SENDING, status="sending")
        store.settle(bad, S.REJECTED, stat="13")
        store.settle(good, S.UNKNOWN, next_attempt_at=NOW)
        (ended,) = self.end(store)
        assert (ended.resend, ended.changes) == (None, [])
        assert store.segment(good).state == "expired"

    def test_only_the_doubtful_part_of_a_long_message_goes_again(self, store: Store) -> None:
        _, (one, two) = store.message(S.SENDING, S.SENDING, status="sending")
        store.settle(one, S.SENT, carrier_message_id="0a")
        store.settle(two, S.UNKNOWN, next_attempt_at=NOW)
        (ended,) = self.end(store)
        assert ended.resend.segment.id == two.id
        assert store.segment(one).state == "sent"

    def test_it_takes_no_more_than_asked(self, store: Store) -> None:
        for _ in range(5):
            store.doubtful()
        assert [len(self.end(store, limit=2)) for _ in range(4)] == [2, 2, 1, 0]

    def test_a_late_report_still_ends_it_while_it_waits_to_be_sent_again(
        self, store: Store
    ) -> None:
        message, segment = store.doubtful(carrier_id="0a")
        self.end(store)
        assert store.report("0a") == ReportFate.MATCHED
        assert store.message_now(message).status == "delivered"
        assert not store.settle(segment, S.SENDING)

    def test_an_answer_without_an_id_leaves_the_first_one_matching(self, store: Store) -> None:
        message, segment = store.doubtful(carrier_id="0a")
        self.end(store)
        store.settle(segment, S.SENDING)
        store.settle(segment, S.UNKNOWN, next_attempt_at=NOW + 1)
        assert store.report("0a") == ReportFate.MATCHED
        assert store.message_now(message).status == "delivered"

    def test_the_newest_id_is_matched(self, store: Store) -> None:
        message, segment = store.doubtful(carrier_id="0a")
        self.end(store)
        store.settle(segment, S.SENDING)
        store.settle(segment, S.SENT, carrier_message_id="0b")
        assert store.report("0b") == ReportFate.MATCHED
        assert store.message_now(message).status == "delivered"
        assert store.segment(segment).possible_duplicate


class TestExpiry:
    def test_queued_messages_expire_at_their_time(self, store: Store) -> None:
        old, (segment,) = store.message(S.QUEUED, valid_until=NOW)
        store.message(S.QUEUED, valid_until=NOW + 1)
        sent, _ = store.message(S.SENT, status="sent", valid_until=NOW)

        (expired,) = backlog.expire(store.connection, NOW)

        assert (expired.segment_id, expired.message_id) == (segment.id, old.id)
        assert [change.status for change in expired.changes] == [S.EXPIRED]
        found = store.message_now(old)
        assert (found.status, found.reason) == ("expired", backlog.EXPIRED_ERROR)
        assert store.message_now(sent).status == "sent"
        assert backlog.expire(store.connection, NOW) == []
        assert store.kinds() == ["message.expired"]

    def test_what_waited_to_be_sent_again_says_that_it_may_have_arrived(self, store: Store) -> None:
        message, _ = store.doubtful(valid_until=NOW + 1)
        backlog.end_waits(store.connection, NOW, 3, 100)
        backlog.expire(store.connection, NOW + 1)
        found = store.message_now(message)
        assert (found.status, found.reason) == ("expired", backlog.UNKNOWN_ERROR)

    def test_expiry_takes_no_more_than_asked(self, store: Store) -> None:
        for _ in range(5):
            store.message(S.QUEUED, S.QUEUED, valid_until=NOW)
        counts = [len(backlog.expire(store.connection, NOW, limit=4)) for _ in range(4)]
        assert counts == [4, 4, 2, 0]

    def test_old_parked_reports_are_purged(self, store: Store) -> None:
        store.report("0a", at=NOW)
        store.report("0b", at=NOW + 1)
        assert backlog.purge_parked(store.connection, NOW + 1) == 1
        left = store.connection.execute(select(func.count()).select_from(parked_report)).scalar()
        assert left == 1
