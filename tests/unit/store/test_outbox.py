from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from smsgw.errors import StoreError
from smsgw.model import FINAL_RANK, STATUS_RANK, MessageStatus
from smsgw.store.ids import IdSource
from smsgw.store.outbox import SETTLE, Settlement
from smsgw.store.reports import REPORTS
from tests.support.store import (
    NOW,
    PHONE,
    StoredMessages,
    queued_segment,
    report_row,
    settlement,
)

S = MessageStatus
STATES = [S.SENDING, S.UNKNOWN, S.SENT, *(s for s in S if STATUS_RANK[s] == FINAL_RANK)]


class TestSettling:
    @pytest.mark.parametrize("first", [True, False])
    def test_sent_records_the_carriers_id_and_tells(
        self, store: StoredMessages, first: bool
    ) -> None:
        message = store.message(S.SENDING)
        settled = store.settle(
            message, S.SENT, carrier_message_id="0a1b", stat="0", attempts=1, first=first
        )
        assert (settled.applied, settled.changes) == (True, [])
        found = store.segment(message)
        assert (found.state, found.carrier_message_id, found.sent_at) == ("sent", "0a1b", NOW + 1)
        assert (found.stat, found.attempts, found.final_at) == ("0", 1, None)
        assert (found.link, found.next_attempt_at) == ("cmcc", None)
        assert store.now(message).status == "sent"
        (event,) = store.events()
        assert (event.kind, event.subject_id, event.at) == ("message.sent", message.id, NOW + 1)
        assert (event.account, event.data) == ("newsroom", {"to": PHONE, "reference": "order-1"})

    @pytest.mark.parametrize("new", STATES[1:])
    @pytest.mark.parametrize("old", STATES)
    def test_a_segment_moves_only_to_a_higher_rank(
        self, store: StoredMessages, old: S, new: S
    ) -> None:
        final = NOW if STATUS_RANK[old] == FINAL_RANK else None
        message = store.message(old, status=old.value if final else "queued", final_at=final)
        settled = store.settle(message, new)
        taken = old is S.SENT  # then only a report tells more
        assert settled.applied == (STATUS_RANK[new] > STATUS_RANK[old] and not taken)
        expected = new if settled.applied else old
        if expected is not S.SENDING:
            assert store.segment(message).state == expected
            assert store.now(message).status == expected

    def test_a_refusal_ends_the_message_with_its_reason(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        (change,) = store.settle(message, S.REJECTED, stat="8", error="flow control").changes
        found = store.now(message)
        assert (found.status, found.reason, found.final_at) == (
            "rejected",
            "8 flow control",
            NOW + 1,
        )
        assert (change.message_id, change.account, change.status, change.at) == (
            message.id,
            "newsroom",
            S.REJECTED,
            NOW + 1,
        )
        assert change.reason == "8 flow control"
        assert store.events()[0].data["reason"] == "8 flow control"

    def test_many_messages_of_one_batch_each_change_once(self, store: StoredMessages) -> None:
        made = [store.message(S.SENDING, S.SENDING) for _ in range(700)]
        rows = [
            settlement(message, S.SENT, part, carrier_message_id=f"{message.id:x}{part}")
            for message in made
            for part in (1, 2)
        ]
        results = SETTLE.execute(store.connection, rows)
        assert all(result.applied and not result.changes for result in results)
        assert store.kinds()[:100] == ["message.sending", "message.sent"] * 50
        assert {store.now(message).status for message in made[::50]} == {"sent"}
        ends = [
            report_row(f"{message.id:x}{part}", S.DELIVERED) for message in made for part in (1, 2)
        ]
        told = [one.changes for one in REPORTS.execute(store.connection, ends)]
        assert [len(changes) for changes in told] == [0, 1] * 700
        assert {store.now(message).status for message in made[::50]} == {"delivered"}

    def test_rows_of_one_batch_build_on_each_other(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        rows = [settlement(message, state) for state in (S.UNKNOWN, S.SENT, S.UNKNOWN, S.SENT)]
        applied = [result.applied for result in SETTLE.execute(store.connection, rows)]
        assert applied == [True, True, False, False]
        assert store.kinds() == ["message.unknown", "message.sent"]

    @pytest.mark.parametrize("part", [0, 2])
    def test_a_segment_nobody_recorded_cannot_be_settled(
        self, store: StoredMessages, part: int
    ) -> None:
        with pytest.raises(StoreError, match="message 5 part 1: not recorded, cannot be settled"):
            SETTLE.execute(store.connection, [Settlement(5, 1, "cmcc", "newsroom", S.SENT, NOW)])
        message = store.message(S.SENDING)
        with pytest.raises(StoreError, match=f"message {message.id} part {part}: not recorded"):
            store.settle(message, S.SENT, part)

    def test_an_answer_may_repeat_the_id_that_was_known_before_it(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.SENDING)
        for state in (S.UNKNOWN, S.SENT):
            assert store.settle(message, state, carrier_message_id="0a").applied
        assert store.segment(message).carrier_message_id == "0a"

    def test_sent_after_we_gave_up_is_kept_as_a_conflict(self, store: StoredMessages) -> None:
        message = store.message(S.EXPIRED, status="expired", final_at=NOW)
        assert not store.settle(message, S.SENT, carrier_message_id="0a").changes
        (event,) = store.events()
        assert event.kind == "message.conflict"
        assert (event.data["is"], event.data["got"], event.data["part"]) == ("expired", "sent", 1)
        assert store.now(message).status == "expired"
        assert store.segment(message).carrier_message_id == "0a"


class TestFirstSettlement:
    """Of a one-part message that its carrier took at once: a new row, and nothing is loaded."""

    def both(self, store: StoredMessages, **fields: Any) -> list[Any]:
        """What is there after the same settlement as a first one, and as any other."""
        seen = []
        for first in (True, False):
            message = store.message(S.SENDING)
            name = f"{first:d}a"
            if fields:
                store.report(name, **fields)
            settled = store.settle(
                message, S.SENT, attempts=1, carrier_message_id=name, stat="0", first=first
            )
            row, now = store.segment(message), store.now(message)
            row.message_id = now.id = 0
            row.carrier_message_id = row.carrier_message_id and row.carrier_message_id[1:]
            changes = [(change.status, change.at) for change in settled.changes]
            events = store.events()
            told = [(e.kind, e.account, e.at, e.data) for e in events if e.subject_id == message.id]
            seen.append((settled.applied, changes, row, now, told))
        return seen

    def test_it_writes_what_any_other_would(self, store: StoredMessages) -> None:
        one, other = self.both(store)
        assert one == other
        assert one[2].state == "sent"

    @pytest.mark.parametrize("status", [S.DELIVERED, S.UNDELIVERED, S.SENT])
    def test_a_report_that_overtook_it_ends_it_all_the_same(
        self, store: StoredMessages, status: S
    ) -> None:
        one, other = self.both(store, status=status)
        assert one == other
        assert (one[2].state, one[3].status) == (status, status)
        assert store.parked() == 0

    def test_many_beside_all_others_are_one_batch(self, store: StoredMessages) -> None:
        first = [store.message(S.SENDING) for _ in range(20)]
        long = store.message(S.SENDING, S.SENDING)
        refused = store.message(S.SENDING)
        rows = [settlement(message, S.SENT, first=True) for message in first]
        rows[10:10] = [settlement(long, S.SENT, 2), settlement(refused, S.REJECTED, stat="13")]
        results = SETTLE.execute(store.connection, rows)
        assert [len(result.changes) for result in results] == [0] * 11 + [1] + [0] * 10
        assert {store.now(message).status for message in first} == {"sent"}
        assert [store.now(message).status for message in (long, refused)] == ["sending", "rejected"]

    def test_of_one_something_came_of_before_it_is_refused(self, store: StoredMessages) -> None:
        message = store.message(S.UNKNOWN)
        with pytest.raises(IntegrityError):
            store.settle(message, S.SENT, first=True)


class TestRetry:
    def test_a_segment_refused_for_now_stands_in_the_queue_again(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.SENDING)
        settled = store.retry(message, NOW + 500, attempts=2, stat="8", error="too fast")
        assert (settled.applied, settled.changes) == (True, [])
        found = store.segment(message)
        assert (found.state, found.next_attempt_at, found.attempts) == ("queued", NOW + 500, 2)
        assert (found.stat, found.error) == ("8", "too fast")
        assert store.queued() == [(NOW + 500, message.id, 1)]
        assert store.now(message).status == "queued"
        assert store.kinds() == []

        assert store.settle(message, S.SENT, carrier_message_id="0a", attempts=1).applied
        found = store.segment(message)
        assert (found.next_attempt_at, found.attempts) == (None, 2)

    def test_it_may_be_put_off_again_and_again(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        for attempt in (1, 2, 3):
            due = NOW + 500 * attempt
            assert store.retry(message, due, attempts=attempt).applied
            assert store.queued() == [(due, message.id, 1)]
            again = queued_segment(message, due_at=due, attempts=attempt)
            assert store.take([again]).missing == set()

    def test_without_a_place_in_the_queue_there_is_no_step_back(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.SENDING)
        assert not store.settle(message, S.QUEUED, next_attempt_at=NOW + 500).applied

    def test_an_unknown_one_is_sent_again_only_as_a_possible_duplicate(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.UNKNOWN)
        assert not store.retry(message, NOW + 500).applied
        assert store.queued() == []
        assert store.retry(message, NOW + 500, possible_duplicate=True).applied
        assert store.segment(message).possible_duplicate
        assert store.settle(message, S.SENT).applied
        assert store.segment(message).possible_duplicate

    def test_what_is_queued_again_already_is_not_queued_twice_by_a_late_refusal(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.UNKNOWN)
        assert store.retry(message, NOW + 500, possible_duplicate=True).applied
        assert not store.retry(message, NOW + 700, possible_duplicate=True).applied
        assert store.queued() == [(NOW + 500, message.id, 1)]

    @pytest.mark.parametrize("state", [S.SENT, S.DELIVERED, S.EXPIRED])
    def test_what_a_carrier_has_never_goes_back(self, store: StoredMessages, state: S) -> None:
        message = store.message(state, status=state.value)
        assert not store.retry(message, NOW + 500, possible_duplicate=True).applied
        assert (store.queued(), store.kinds()) == ([], [])

    def test_a_refusal_of_an_older_copy_is_no_news(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        store.settle(message, S.UNKNOWN, attempts=2)
        assert not store.settle(message, S.REJECTED, attempts=1, stat="13").applied
        late = {"possible_duplicate": True, "attempts": 1}
        assert not store.retry(message, NOW + 500, **late).applied
        assert (store.segment(message).state, store.queued()) == ("unknown", [])
        assert store.settle(message, S.REJECTED, attempts=2, stat="13").applied

    def test_a_refusal_of_a_copy_ends_nothing_when_another_was_taken(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.UNKNOWN)
        store.retry(message, NOW + 500, possible_duplicate=True)
        assert store.settle(message, S.SENT, carrier_message_id="0a").applied
        assert not store.settle(message, S.REJECTED, attempts=2, stat="13").applied
        assert store.now(message).status == "sent"

    def test_what_was_taken_after_all_is_news_though_it_was_sent_again(
        self, store: StoredMessages
    ) -> None:
        message = store.message(S.SENDING)
        store.settle(message, S.UNKNOWN, attempts=2)
        assert store.settle(message, S.SENT, attempts=1, carrier_message_id="0a").applied
        found = store.segment(message)
        assert (found.state, found.carrier_message_id, found.attempts) == ("sent", "0a", 2)

    def test_the_first_id_stays_when_a_second_answer_comes(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        store.settle(message, S.SENT, carrier_message_id="0a")
        assert not store.settle(message, S.SENT, carrier_message_id="0b").applied
        assert store.segment(message).carrier_message_id == "0a"

    def test_a_late_answer_names_what_its_report_will_mean(self, store: StoredMessages) -> None:
        message = store.message(S.UNKNOWN)
        store.retry(message, NOW + 500, possible_duplicate=True)
        assert store.retry(message, NOW, possible_duplicate=True, carrier_message_id="0a").applied
        assert store.segment(message).carrier_message_id == "0a"


def test_final_states_share_one_rank() -> None:
    assert {s for s in S if STATUS_RANK[s] == FINAL_RANK} == {
        S.DELIVERED,
        S.UNDELIVERED,
        S.EXPIRED,
        S.REJECTED,
        S.CANCELED,
    }


@pytest.mark.parametrize("count", [1, 3, 4, 40])
def test_a_batch_of_any_mixture_writes_what_single_rows_would(
    connection: Connection, ids: IdSource, count: int
) -> None:
    store = StoredMessages(connection, ids)
    results: list[list[Any]] = []
    for together in (True, False):
        made = [store.message(S.SENDING) for _ in range(4 * count)]
        rows = []
        for place, message in enumerate(made):
            row = settlement(message, S.SENT, at=NOW + place % 2, attempts=1)
            if place % 4 == 0:
                row.carrier_message_id, row.first = f"{together:x}{place:x}", together
            elif place % 4 == 1:
                row.state, row.next_attempt_at = S.QUEUED, NOW + place
                row.again = queued_segment(message).queue_row(1, NOW + place)
            elif place % 4 == 2:
                row.state, row.stat, row.error = S.REJECTED, "13", "no such phone"
            rows.append(row)
        for batch in [rows] if together else [[row] for row in rows]:
            SETTLE.execute(connection, batch)
        segments = [store.segment(message) for message in made]
        names = [row.carrier_message_id and row.carrier_message_id[1:] for row in segments]
        segments = [
            msgspec.structs.replace(row, message_id=0, carrier_message_id=None) for row in segments
        ]
        results.append([segments, names, [store.now(message).status for message in made]])
    assert results[0] == results[1]
    due = [one[0] for one in store.queued()]
    assert sorted(due) == sorted([NOW + place for place in range(1, 4 * count, 4)] * 2)
