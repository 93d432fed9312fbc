from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from sqlalchemy import Connection

from smsgw.model import MessageClass, MessageStatus, Segment
from smsgw.store import queue
from smsgw.store.backlog import end_waits
from smsgw.store.ids import IdSource
from smsgw.store.messages import MessageRow, encode_contents
from smsgw.store.queue import PUT_BACK, TAKE, Handful, QueuedSegment
from smsgw.store.statements import run, spelled
from tests.support.store import (
    NOW,
    PHONE,
    StoredMessages,
    message_row,
    queued_segment,
    queued_segments,
)

S = MessageStatus
NODE = 1
UNTIL = NOW + 600_000
CLASSES = tuple(map(str, MessageClass))
OFTEN = dict.fromkeys(CLASSES, 3)


def waiting(
    store: StoredMessages,
    limit: int = 100,
    held: Collection[tuple[int, int]] = (),
    horizon: int = NOW,
) -> list[QueuedSegment]:
    return queue.waiting(store.connection, NODE, "cmcc", "interactive", NOW, horizon, limit, held)


def keys(found: list[QueuedSegment]) -> list[tuple[int, int]]:
    return [one.key for one in found]


def resent(store: StoredMessages, *states: S, **fields: Any) -> MessageRow:
    """A message whose first part is queued again after an unknown outcome; 0a is its id."""
    message = store.message(S.SENDING, *states, **fields)
    store.settle(message, S.UNKNOWN, carrier_message_id="0a", next_attempt_at=NOW, attempts=1)
    end_waits(store.connection, NOW, OFTEN, 100)
    return message


class TestQueuedSegment:
    def test_it_is_submitted_as_its_part_of_the_message(self, ids: IdSource) -> None:
        one, two = queued_segments(message_row(ids, parts=2, coding=8, want_report=False))
        assert two.segment() == Segment(PHONE, "10690001001", 8, two.content, True, 2, 2, True)
        assert (one.key, two.key) == ((one.message_id, 1), (one.message_id, 2))
        assert not queued_segment(message_row(ids), want_report=False).segment().want_report
        assert not queued_segment(message_row(ids)).segment().udhi


class TestWaiting:
    def test_one_lane_is_read_without_what_others_send_or_nobody_may(
        self, store: StoredMessages
    ) -> None:
        long = store.message(S.QUEUED, S.SENDING)
        store.message(link="telecom")
        store.message(message_class="bulk")
        store.message(S.SENT)
        store.message(valid_until=NOW)
        (found,) = waiting(store)
        assert (found.key, found.ended) == ((long.id, 1), False)
        assert queue.waiting(store.connection, 2, "cmcc", "interactive", NOW, NOW, 9, ()) == []

    def test_a_segment_comes_whole(self, store: StoredMessages) -> None:
        contents = encode_contents([b"\x05\x001", b"\x05\x002"])
        message = store.message(S.QUEUED, S.QUEUED, contents=contents, want_report=False)
        one, two = waiting(store)
        assert (one.content, two.content) == (b"\x05\x001", b"\x05\x002")
        assert (two.message_id, two.part, two.total) == (message.id, 2, 2)
        assert (two.account, two.link, two.recipient) == ("newsroom", "cmcc", PHONE)
        assert (two.source, two.coding, two.want_report) == ("10690001001", 8, False)
        assert two.message_class is MessageClass.INTERACTIVE
        assert (two.valid_until, two.due_at) == (message.valid_until, 0)
        assert (two.attempts, two.recorded, two.possible_duplicate) == (0, False, False)

    def test_what_came_of_it_before_comes_with_it(self, store: StoredMessages) -> None:
        refused = store.message(S.SENDING)
        store.retry(refused, NOW - 1, attempts=2)
        doubtful = resent(store)
        one, two = waiting(store)
        assert (one.key, two.key) == ((refused.id, 1), (doubtful.id, 1))
        assert (one.due_at, two.due_at) == (NOW - 1, NOW)
        assert (one.attempts, one.recorded, one.possible_duplicate) == (2, True, False)
        assert (two.attempts, two.recorded, two.possible_duplicate) == (1, True, True)

    def test_what_is_left_of_a_message_that_failed_is_read_to_be_given_up(
        self, store: StoredMessages
    ) -> None:
        failed = store.message(S.QUEUED, S.REJECTED, status="rejected", final_at=NOW)
        (found,) = waiting(store)
        assert (found.key, found.ended) == ((failed.id, 1), True)

    def test_no_more_is_read_than_asked_and_nothing_twice(self, store: StoredMessages) -> None:
        made = [store.message(S.QUEUED, S.QUEUED).id for _ in range(5)]
        every = [(message_id, part) for message_id in made for part in (1, 2)]
        assert keys(waiting(store, 4)) == every[:4]
        assert keys(waiting(store, 4, every[:3])) == every[3:7]
        assert keys(waiting(store, 4, every[:8])) == every[8:]

    def test_what_was_tried_before_comes_first(self, store: StoredMessages) -> None:
        fresh, tried = store.message(), store.message(S.SENDING)
        store.retry(tried, NOW)
        assert keys(waiting(store)) == [(tried.id, 1), (fresh.id, 1)]
        assert keys(waiting(store, 1)) == [(tried.id, 1)]
        assert keys(waiting(store, 1, [(tried.id, 1)])) == [(fresh.id, 1)]

    def test_what_is_due_later_stays_behind(self, store: StoredMessages) -> None:
        later = store.message(S.SENDING)
        store.retry(later, NOW + 500)
        assert waiting(store, horizon=NOW + 499) == []
        assert keys(waiting(store, horizon=NOW + 500)) == [(later.id, 1)]

    def test_the_key_gives_the_order_so_a_long_backlog_is_not_sorted(
        self, store: StoredMessages
    ) -> None:
        values = {"node": NODE, "link": "cmcc", "class": "bulk", "now": NOW, "held": "[]"}
        for query in queue.WAITING_QUERIES:
            plan = store.connection.exec_driver_sql(
                spelled(store.connection, f"EXPLAIN QUERY PLAN {query}"),
                {**values, "horizon": NOW, "limit": 10},
            )
            lines = [row[-1] for row in plan]
            assert any("SEARCH q USING PRIMARY KEY (node=? AND" in line for line in lines), lines
            assert not any("TEMP B-TREE" in line for line in lines), lines

    def test_links_with_something_queued_are_counted(self, store: StoredMessages) -> None:
        store.message(S.QUEUED, S.QUEUED, link="gone")
        store.message()
        store.message(S.SENT, link="other")
        assert queue.queued_by_link(store.connection, NODE) == {"cmcc": 1, "gone": 2}
        assert queue.queued_by_link(store.connection, 2) == {}

    def test_lanes_with_something_due_are_named_once_and_the_first_time_after(
        self, store: StoredMessages
    ) -> None:
        dues = [("cmcc", "bulk", 50), ("cmcc", "bulk", 60), ("telecom", "notice", 100)]
        dues += [("unicom", "bulk", 110), ("unicom", "notice", -1_000_000), ("cmcc", "bulk", 105)]
        for link, message_class, due in dues:
            message = store.message(S.SENDING, link=link, message_class=message_class)
            store.retry(message, NOW + due)
        store.message(link="fresh")
        links = ("cmcc", "telecom", "unicom", "fresh")
        lanes = [(link, kind) for link in links for kind in ("bulk", "notice", "interactive")]
        found = queue.due_lanes(store.connection, NODE, lanes, NOW + 100)
        assert found.lanes == [("cmcc", "bulk"), ("telecom", "notice"), ("unicom", "notice")]
        assert found.next_at == NOW + 105
        assert queue.due_lanes(store.connection, NODE, lanes[3:], NOW + 100).next_at == NOW + 110
        assert queue.due_lanes(store.connection, NODE, lanes, NOW + 110).next_at == 0
        assert queue.due_lanes(store.connection, 2, lanes, NOW + 100) == queue.Due([], 0)

    def test_what_is_due_is_found_by_key_however_long_the_queue_is(
        self, store: StoredMessages
    ) -> None:
        text = f"EXPLAIN QUERY PLAN {queue._FIRST_DUE}"
        plan = run(store.connection, text, NODE, "cmcc", "bulk", 1).all()
        where = "(node=? AND link=? AND message_class=? AND due_at>?)"
        assert [row[-1] for row in plan] == [f"SEARCH queue USING PRIMARY KEY {where}"]


class TestTaking:
    def test_what_is_taken_has_left_the_queue_and_is_named(self, store: StoredMessages) -> None:
        long, short, stays = store.message(S.QUEUED, S.QUEUED), store.message(), store.message()
        taken = store.take([*queued_segments(long), queued_segment(short, attempts=2)])
        assert (taken.id > 0, taken.missing) == (True, set())
        assert store.queued() == [(0, stays.id, 1)]
        assert store.sending() == [[[long.id, 1, 1], [long.id, 2, 1], [short.id, 1, 3]]]

    def test_it_is_shown_as_queued_until_something_comes_of_it(self, store: StoredMessages) -> None:
        message = store.message()
        store.take(queued_segments(message))
        assert (store.segment(message).state, store.now(message).status) == ("queued", "queued")
        assert store.kinds() == []

    def test_handfuls_of_one_batch_are_named_apart(self, store: StoredMessages) -> None:
        made = [store.message(link=link) for link in ("cmcc", "telecom", "cmcc")]
        rows = [Handful(m.link, [("interactive", 0, m.id, 1, 1)], []) for m in (made[0], *made[1:])]
        results = TAKE.execute(store.connection, rows)
        assert len({taken.id for taken in results}) == 3
        assert store.sending() == [[[message.id, 1, 1]] for message in made]
        found = store.connection.exec_driver_sql("SELECT node, link FROM sending ORDER BY id").all()
        assert [tuple(row) for row in found] == [(NODE, m.link) for m in made]

    def test_lanes_and_times_of_their_own_are_taken_in_one_handful(
        self, store: StoredMessages
    ) -> None:
        bulk, urgent = store.message(message_class="bulk"), store.message(message_class="realtime")
        again = store.message(S.SENDING)
        store.retry(again, NOW + 5, attempts=1)
        items = [queued_segment(m) for m in (bulk, urgent)]
        taken = store.take([*items, queued_segment(again, due_at=NOW + 5, attempts=1)])
        assert (taken.missing, store.queued()) == (set(), [])
        assert store.sending()[-1] == [[bulk.id, 1, 1], [urgent.id, 1, 1], [again.id, 1, 2]]

    def test_what_is_not_in_the_queue_is_missing_and_not_named(self, store: StoredMessages) -> None:
        gone, here = store.message(S.CANCELED, status="canceled", final_at=NOW), store.message()
        elsewhere = store.message(link="telecom")
        taken = store.take([queued_segment(m, link="cmcc") for m in (gone, here, elsewhere)])
        assert taken.missing == {(gone.id, 1), (elsewhere.id, 1)}
        assert store.sending() == [[[here.id, 1, 1]]]
        assert store.queued() == [(0, elsewhere.id, 1)]

    def test_nothing_is_taken_twice(self, store: StoredMessages) -> None:
        message = store.message(S.QUEUED, S.QUEUED)
        store.take([queued_segment(message, 2)])
        taken = store.take(queued_segments(message))
        assert taken.missing == {(message.id, 2)}
        assert store.take(queued_segments(message)).missing == {(message.id, 1), (message.id, 2)}
        assert store.sending() == [[[message.id, 2, 1]], [[message.id, 1, 1]]]

    def test_nothing_left_to_take_makes_no_handful(self, store: StoredMessages) -> None:
        taken = store.take([queued_segment(store.message(S.SENT))])
        assert (taken.id, store.sending()) == (0, [])

    def test_another_nodes_queue_is_left_alone(self, store: StoredMessages) -> None:
        message = store.message()
        store.connection.exec_driver_sql("UPDATE queue SET node = 2")
        assert store.take(queued_segments(message)).missing == {(message.id, 1)}
        assert store.queued() == [(0, message.id, 1)]

    def test_handfuls_that_are_done_with_are_forgotten(self, store: StoredMessages) -> None:
        made = [store.message() for _ in range(4)]
        first, second = [store.take([queued_segment(message)]).id for message in made[:2]]
        store.take([queued_segment(made[2])], done=[first, second])
        assert store.sending() == [[[made[2].id, 1, 1]]]
        taken = store.take(
            [queued_segment(made[2])], done=[store.take([queued_segment(made[3])]).id]
        )
        assert (taken.id, store.sending()) == (0, [[[made[2].id, 1, 1]]])

    @pytest.mark.parametrize("parts", [1, 2])
    def test_a_report_that_came_before_it_is_sent_again_spares_the_phone_the_second(
        self, store: StoredMessages, parts: int
    ) -> None:
        message = resent(store, *[S.SENT] * (parts - 1))
        (item,) = [one for one in waiting(store) if one.key == (message.id, 1)]
        store.report("0a")
        assert store.segment(message).state == "delivered"
        taken = store.take([item])
        assert (taken.id, taken.missing) == (0, {(message.id, 1)})
        assert (store.queued(), waiting(store)) == ([], [])


class TestPuttingBack:
    def put_back(self, store: StoredMessages, items: list[QueuedSegment], due: int) -> None:
        rows = [item.queue_row(NODE, due) for item in items]
        assert PUT_BACK.execute(store.connection, rows) == [True] * len(rows)

    def test_what_is_put_back_once_more_waits_once(self, store: StoredMessages) -> None:
        message = store.message(S.QUEUED)
        items = queued_segments(message)
        store.take(items)
        for _ in range(2):
            self.put_back(store, items, NOW)
        assert store.queued() == [(NOW, message.id, 1)]

    def test_what_was_not_submitted_waits_again(self, store: StoredMessages) -> None:
        message = store.message(S.QUEUED, S.QUEUED)
        items = queued_segments(message)
        store.take(items)
        self.put_back(store, items, NOW)
        assert store.queued() == [(NOW, message.id, 1), (NOW, message.id, 2)]
        found = waiting(store)
        assert keys(found) == keys(items)
        assert [(one.attempts, one.recorded, one.due_at) for one in found] == [(0, False, NOW)] * 2
        assert store.take(found).missing == set()

    def test_it_is_ahead_of_what_came_after_and_behind_what_was_refused_before(
        self, store: StoredMessages
    ) -> None:
        refused, unsent, later = store.message(), store.message(), store.message()
        items = [queued_segment(message) for message in (refused, unsent)]
        store.take(items)
        store.retry(refused, NOW, attempts=1)
        self.put_back(store, items[1:], NOW)
        assert keys(waiting(store)) == [(m.id, 1) for m in (refused, unsent, later)]


class TestInterrupted:
    def settle(self, connection: Connection, node: int = NODE) -> queue.Interrupted:
        return queue.settle_interrupted(connection, node, NOW, dict.fromkeys(CLASSES, UNTIL))

    def test_nobody_knows_what_became_of_what_was_being_sent(self, store: StoredMessages) -> None:
        message = store.message()
        store.take(queued_segments(message))
        found = self.settle(store.connection)
        assert (found.count, found.changes) == (1, [])
        row = store.segment(message)
        assert (row.state, row.attempts, row.next_attempt_at) == ("unknown", 1, UNTIL)
        assert (row.link, row.error) == ("cmcc", queue.INTERRUPTED_ERROR)
        assert store.now(message).status == "unknown"
        assert store.kinds() == ["message.unknown"]

    def test_its_handfuls_are_forgotten_and_a_second_start_finds_nothing(
        self, store: StoredMessages
    ) -> None:
        for _ in range(2):
            store.take(queued_segments(store.message()))
        assert self.settle(store.connection).count == 2
        assert store.sending() == []
        assert self.settle(store.connection).count == 0

    def test_what_was_taken_to_be_given_up_with_its_message_is_canceled(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.QUEUED, S.REJECTED, status="rejected", final_at=NOW)
        TAKE.execute(
            store.connection, [Handful("cmcc", [("interactive", 0, message.id, 1, 0)], [])]
        )
        assert self.settle(store.connection) == queue.Interrupted(0, [])
        row = store.segment(message)
        assert (row.state, row.error) == ("canceled", queue.SIBLING_ERROR)

    def test_what_something_came_of_stays_as_it_is(self, store: StoredMessages) -> None:
        made = [store.message() for _ in range(5)]
        store.take([queued_segment(message) for message in made])
        sent, refused, again, back, _ = made
        store.settle(sent, S.SENT, first=True)
        store.settle(refused, S.REJECTED, stat="13")
        store.retry(again, NOW + 5, attempts=1)
        PUT_BACK.execute(store.connection, [queued_segment(back).queue_row(NODE, NOW)])
        assert self.settle(store.connection).count == 1
        states = [store.now(message).status for message in made]
        assert states == ["sent", "rejected", "queued", "queued", "unknown"]
        assert store.queued() == [(NOW, back.id, 1), (NOW + 5, again.id, 1)]

    def test_of_a_long_message_only_the_part_that_was_being_sent_is_in_doubt(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.QUEUED, S.QUEUED, S.QUEUED)
        store.take(queued_segments(message)[:2])
        store.settle(message, S.SENT)
        assert self.settle(store.connection).count == 1
        states = [store.segment(message, part).state for part in (1, 2, 3)]
        assert states == ["sent", "unknown", "queued"]
        assert store.now(message).status == "unknown"

    def test_a_retry_that_was_being_sent_counts_its_last_submit(
        self, store: StoredMessages
    ) -> None:
        message = store.message()
        store.take(queued_segments(message))
        store.retry(message, NOW, attempts=1, stat="8", error="too fast")
        store.take([queued_segment(message, due_at=NOW, attempts=1)])
        assert self.settle(store.connection).count == 1
        row = store.segment(message)
        assert (row.state, row.attempts, row.error) == ("unknown", 2, queue.INTERRUPTED_ERROR)
        assert store.sending() == []

    def test_one_that_was_taken_to_be_given_up_is_given_up(self, store: StoredMessages) -> None:
        message = store.message(valid_until=NOW)
        row = Handful("cmcc", [("interactive", 0, message.id, 1, 0)], [])
        TAKE.execute(store.connection, [row])
        found = self.settle(store.connection)
        assert found.count == 0
        assert [change.status for change in found.changes] == [S.EXPIRED]
        assert (store.now(message).status, store.now(message).reason) == (
            "expired",
            queue.EXPIRED_ERROR,
        )

    def test_one_to_be_given_up_that_was_sent_before_says_that_it_may_have_arrived(
        self, store: StoredMessages
    ) -> None:
        message = resent(store)
        row = Handful("cmcc", [("interactive", NOW, message.id, 1, 0)], [])
        TAKE.execute(store.connection, [row])
        assert self.settle(store.connection).count == 0
        assert store.now(message).reason == queue.UNKNOWN_ERROR

    def test_the_last_handful_that_names_it_tells_what_was_meant(
        self, store: StoredMessages
    ) -> None:
        message = store.message()
        store.take(queued_segments(message))
        store.retry(message, NOW, attempts=1)
        row = Handful("cmcc", [("interactive", NOW, message.id, 1, 0)], [])
        TAKE.execute(store.connection, [row])
        assert self.settle(store.connection).count == 0
        assert store.now(message).status == "expired"

    def test_another_nodes_is_left_to_it(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        assert self.settle(store.connection, 2).count == 0
        assert (store.segment(message).state, len(store.sending())) == ("queued", 1)

    def test_its_outcome_is_waited_for_and_a_late_report_still_tells_it(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.SENDING)
        store.report("0a")
        self.settle(store.connection)
        assert end_waits(store.connection, UNTIL - 1, OFTEN, 100) == []
        settled = store.settle(message, S.SENT, carrier_message_id="0a")
        assert [change.status for change in settled.changes] == [S.DELIVERED]
        assert end_waits(store.connection, UNTIL, OFTEN, 100) == []
