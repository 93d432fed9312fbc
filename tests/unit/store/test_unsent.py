from __future__ import annotations

from typing import Any

import pytest

from smsgw.errors import Conflict, NotFound
from smsgw.model import MessageClass, MessageStatus
from smsgw.store import queue, unsent
from smsgw.store.backlog import end_waits
from smsgw.store.messages import MessageRow
from smsgw.store.progress import StatusChange
from smsgw.store.queue import PUT_BACK
from smsgw.store.reroute import BEGINNING, Elsewhere, give_finder, move_waiting
from smsgw.store.statements import run
from smsgw.store.unsent import Census, Place
from tests.support.store import NOW, StoredMessages, queued_segment, queued_segments

S = MessageStatus
NODE = 1
LANE = ("cmcc", "interactive")


def resent(store: StoredMessages, *states: S, **fields: Any) -> MessageRow:
    """A message whose first part is queued again after an unknown outcome; 0a is its id."""
    message = store.message(S.SENDING, *states, **fields)
    store.settle(message, S.UNKNOWN, carrier_message_id="0a", next_attempt_at=NOW, attempts=1)
    end_waits(store.connection, NOW, dict.fromkeys(map(str, MessageClass), 3), 100)
    return message


class TestCensus:
    def test_it_counts_what_could_be_sent_and_tells_when_the_first_expires(
        self, store: StoredMessages
    ) -> None:
        store.message(S.QUEUED, S.QUEUED, valid_until=NOW + 500)
        store.message(valid_until=NOW + 700)
        store.message(link="telecom", message_class="bulk", valid_until=NOW + 300)
        later = store.message(S.SENDING, link="telecom", message_class="bulk", valid_until=NOW + 90)
        store.retry(later, NOW + 1)
        store.message(S.SENT, link="unicom")
        found = unsent.census(store.connection, NODE, NOW)
        assert found == [Census(*LANE, 3, NOW + 500), Census("telecom", "bulk", 1, NOW + 90)]
        assert unsent.census(store.connection, 2, NOW) == []


class TestExpiry:
    def expire(self, store: StoredMessages, now: int = NOW, limit: int = 100) -> list[StatusChange]:
        found = unsent.overdue(store.connection, NODE, *LANE, now, limit)
        return unsent.expire(store.connection, found, now)

    def test_queued_messages_expire_at_their_time(self, store: StoredMessages) -> None:
        old = store.message(valid_until=NOW)
        left = store.message(valid_until=NOW + 1)
        sent = store.message(S.SENT, valid_until=NOW)
        sending = store.message(S.SENDING, valid_until=NOW)

        (change,) = self.expire(store)

        assert (change.message_id, change.status) == (old.id, S.EXPIRED)
        found = store.now(old)
        assert (found.status, found.reason) == ("expired", queue.EXPIRED_ERROR)
        assert store.segment(old).state == "expired"
        assert [store.now(m).status for m in (sent, sending)] == ["sent", "queued"]
        assert self.expire(store) == []
        assert store.queued() == [(0, left.id, 1)]
        assert store.kinds() == ["message.expired"]

    def test_parts_and_retries_expire_with_their_message(self, store: StoredMessages) -> None:
        message = store.message(S.QUEUED, S.SENDING, valid_until=NOW)
        store.retry(message, NOW + 60_000, part=2)
        (change,) = self.expire(store)
        assert (change.message_id, store.queued()) == (message.id, [])
        rows = [store.segment(message, part) for part in (1, 2)]
        assert sorted(row.state for row in rows) == ["canceled", "expired"]

    def test_what_expired_cannot_be_taken_any_more(self, store: StoredMessages) -> None:
        message = store.message(valid_until=NOW)
        self.expire(store)
        assert store.take(queued_segments(message)).missing == {(message.id, 1)}

    def test_what_was_taken_after_it_was_found_does_not_expire(self, store: StoredMessages) -> None:
        message = store.message(valid_until=NOW)
        found = unsent.overdue(store.connection, NODE, *LANE, NOW, 9)
        store.take(queued_segments(message))
        assert unsent.expire(store.connection, found, NOW) == []
        assert store.now(message).status == "queued"

    def test_what_waited_to_be_sent_again_says_that_it_may_have_arrived(
        self, store: StoredMessages
    ) -> None:
        message = resent(store, valid_until=NOW + 1)
        self.expire(store, NOW + 1)
        found = store.now(message)
        assert (found.status, found.reason) == ("expired", queue.UNKNOWN_ERROR)

    @pytest.mark.parametrize("status", [S.DELIVERED, S.SENT])
    def test_what_a_report_told_the_outcome_of_meanwhile_only_leaves_the_queue(
        self, store: StoredMessages, status: S
    ) -> None:
        message = resent(store, valid_until=NOW + 1)
        store.report("0a", status)
        assert self.expire(store, NOW + 1) == []
        assert (store.now(message).status, store.queued()) == (status, [])

    def test_what_is_left_of_a_message_that_failed_is_canceled(self, store: StoredMessages) -> None:
        failed = store.message(
            S.REJECTED, S.QUEUED, status="rejected", final_at=NOW, valid_until=NOW
        )
        assert self.expire(store) == []
        row = store.segment(failed, 2)
        assert (row.state, row.error, store.queued()) == ("canceled", queue.SIBLING_ERROR, [])

    def test_no_more_is_found_than_asked(self, store: StoredMessages) -> None:
        for _ in range(5):
            store.message(valid_until=NOW)
        assert [len(self.expire(store, limit=2)) for _ in range(4)] == [2, 2, 1, 0]

    def test_another_nodes_is_left_to_it(self, store: StoredMessages) -> None:
        store.message(valid_until=NOW)
        store.connection.exec_driver_sql("UPDATE queue SET node = 2")
        assert self.expire(store) == []


class TestCanceling:
    def places(
        self, store: StoredMessages, message: MessageRow, account: str = "newsroom"
    ) -> list[Place]:
        return unsent.places_of(store.connection, NODE, account, message.id)

    def cancel(self, store: StoredMessages, message: MessageRow) -> StatusChange:
        found = self.places(store, message)
        return unsent.cancel(store.connection, message.id, found, NOW)

    def test_a_message_that_waits_leaves_the_queue_and_ends(self, store: StoredMessages) -> None:
        message, other = store.message(S.QUEUED, S.QUEUED), store.message()
        change = self.cancel(store, message)
        assert (change.message_id, change.status) == (message.id, S.CANCELED)
        found = store.now(message)
        assert (found.status, found.reason) == ("canceled", unsent.CANCELED_ERROR)
        assert found.final_at == NOW
        assert [store.segment(message, part).state for part in (1, 2)] == ["canceled"] * 2
        assert store.queued() == [(0, other.id, 1)]
        assert store.kinds() == ["message.canceled"]
        assert store.take(queued_segments(message)).missing == {(message.id, 1), (message.id, 2)}

    def test_a_scheduled_one_is_found_by_its_time(self, store: StoredMessages) -> None:
        message = store.message(status="scheduled", send_at=NOW + 5000)
        store.connection.exec_driver_sql(f"UPDATE queue SET due_at = {NOW + 5000}")
        assert store.segment(message).state == "scheduled"
        self.cancel(store, message)
        assert (store.now(message).status, store.queued()) == ("canceled", [])

    def test_where_it_waits_is_found_by_key_however_long_the_queue_is(
        self, store: StoredMessages
    ) -> None:
        text = f"EXPLAIN QUERY PLAN {unsent._WAITS_AT}"
        plan = run(store.connection, text, NODE, '["cmcc"]', "bulk", "[0]", 1).all()
        where = "(node=? AND link=? AND message_class=? AND due_at=? AND message_id=?)"
        assert f"SEARCH queue USING PRIMARY KEY {where}" in [row[-1] for row in plan]

    def test_a_refusal_for_now_leaves_it_unsent(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        store.retry(message, NOW + 5000, attempts=1)
        self.cancel(store, message)
        assert (store.now(message).status, store.queued()) == ("canceled", [])

    def test_what_was_taken_and_put_back_is_found_where_it_is(self, store: StoredMessages) -> None:
        message = store.message()
        store.take(queued_segments(message))
        PUT_BACK.execute(store.connection, [queued_segment(message).queue_row(NODE, NOW + 7)])
        self.cancel(store, message)
        assert (store.now(message).status, store.queued()) == ("canceled", [])

    @pytest.mark.parametrize(
        ("states", "status"),
        [
            ([S.SENDING], "being sent"),
            ([S.QUEUED, S.SENDING], "being sent"),
            ([S.SENT], "sent"),
            ([S.UNKNOWN], "unknown"),
        ],
    )
    def test_what_may_have_left_is_not_canceled(
        self, store: StoredMessages, states: list[S], status: str
    ) -> None:
        message = store.message(*states)
        with pytest.raises(Conflict, match=f"message {message.id} is {status}: too late"):
            self.cancel(store, message)
        assert store.kinds() == []

    def test_what_is_sent_again_after_an_unknown_outcome_is_not_canceled(
        self, store: StoredMessages
    ) -> None:
        with pytest.raises(Conflict, match="is unknown: too late"):
            self.cancel(store, resent(store))

    def test_what_has_come_to_an_end_says_which(self, store: StoredMessages) -> None:
        message = store.message()
        self.cancel(store, message)
        with pytest.raises(Conflict, match="is canceled: too late"):
            self.cancel(store, message)

    def test_what_was_taken_after_it_was_found_is_not_canceled(self, store: StoredMessages) -> None:
        message = store.message()
        found = self.places(store, message)
        store.take(queued_segments(message))
        with pytest.raises(Conflict, match="is being sent"):
            unsent.cancel(store.connection, message.id, found, NOW)

    @pytest.mark.parametrize("parts", [1, 2])
    def test_what_took_another_link_after_it_was_found_is_canceled_there(
        self, store: StoredMessages, parts: int
    ) -> None:
        contents = [b"a", b"b"][:parts]
        give_finder(store.connection, lambda *_: Elsewhere("ctcc", "10690002", 0, contents))
        message = store.message()
        found = self.places(store, message)
        moved = move_waiting(store.connection, *LANE, NOW + 7, BEGINNING, 9).moved
        assert len(store.queued()) == len(moved) == parts
        change = unsent.cancel(store.connection, message.id, found, NOW + 8)
        assert (change.status, store.queued()) == (S.CANCELED, [])
        assert store.take(moved).missing == {(message.id, part + 1) for part in range(parts)}

    def test_where_it_went_is_found_by_key_however_long_the_queue_is(
        self, store: StoredMessages
    ) -> None:
        for which, due in {"= 0": "due_at=? AND message_id=?", "> 0": "due_at>?"}.items():
            text = f"EXPLAIN QUERY PLAN {unsent._WAITS_IN.format(due=which)}"
            plan = run(store.connection, text, "[1]", "cmcc", "bulk", 1).all()
            where = f"(node=? AND link=? AND message_class=? AND {due})"
            assert f"SEARCH queue USING PRIMARY KEY {where}" in [row[-1] for row in plan]

    def test_only_its_own_account_finds_it(self, store: StoredMessages) -> None:
        message = store.message()
        with pytest.raises(NotFound):
            self.places(store, message, account="crm")
        with pytest.raises(NotFound):
            unsent.places_of(store.connection, NODE, "newsroom", 7)
