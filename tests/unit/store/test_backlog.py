from __future__ import annotations

from typing import Any

from smsgw.model import MessageClass, MessageStatus
from smsgw.store import backlog
from smsgw.store.messages import MessageRow, encode_contents
from smsgw.store.queue import UNKNOWN_ERROR
from smsgw.store.reports import PARKED_SECONDS, ReportFate, unmatched
from tests.support.store import NOW, PHONE, StoredMessages

S = MessageStatus


def doubtful(
    store: StoredMessages, attempts: int = 1, carrier_id: str = "", **fields: Any
) -> MessageRow:
    """A message whose one submit got no answer; the wait for its outcome ends at NOW."""
    message = store.message(S.SENDING, **fields)
    error = "no answer came"
    doubt: dict[str, Any] = {"next_attempt_at": NOW, "attempts": attempts, "error": error}
    store.settle(message, S.UNKNOWN, carrier_message_id=carrier_id or None, **doubt)
    return message


def end(store: StoredMessages, now: int = NOW, attempts: int = 3, limit: int = 100) -> Any:
    often = dict.fromkeys(map(str, MessageClass), attempts)
    return backlog.end_waits(store.connection, now, often, limit)


class TestEndingWaits:
    def test_before_its_end_nothing_happens(self, store: StoredMessages) -> None:
        message = doubtful(store)
        assert end(store, NOW - 1) == []
        assert store.segment(message).state == "unknown"

    def test_it_is_queued_again_with_the_doubt_made_visible(self, store: StoredMessages) -> None:
        message = doubtful(store, carrier_id="0a", want_report=False)
        (ended,) = end(store)
        row = store.segment(message)
        assert (row.state, row.next_attempt_at, row.possible_duplicate) == ("queued", NOW, True)
        assert store.queued() == [(NOW, message.id, 1)]
        again = ended.resend
        assert (again.key, again.due_at, again.attempts) == ((message.id, 1), NOW, 1)
        assert (again.possible_duplicate, again.recorded, again.want_report) == (True, True, False)
        assert (again.account, again.link, again.recipient) == ("newsroom", "cmcc", PHONE)
        assert (again.source, again.coding, again.total) == ("10690001001", 8, 1)
        assert again.content == message.text.encode("utf-16-be")
        assert (again.message_class, again.valid_until) == ("interactive", message.valid_until)
        assert ended.changes == []
        event = store.events()[-1]
        assert (event.kind, event.subject_id) == ("message.resent", message.id)
        assert event.data == {
            "to": PHONE,
            "reference": "order-1",
            "part": 1,
            "attempts": 1,
            "carrier_message_id": "0a",
        }
        assert end(store) == []

    def test_what_is_queued_again_can_be_taken(self, store: StoredMessages) -> None:
        message = doubtful(store)
        (ended,) = end(store)
        assert store.take([ended.resend]).missing == set()
        assert store.queued() == []
        assert store.settle(message, S.SENT, attempts=2, carrier_message_id="0b").applied
        assert (store.segment(message).attempts, store.now(message).status) == (2, "sent")

    def test_told_to_fail_it_ends_as_expired_and_says_why(self, store: StoredMessages) -> None:
        message = doubtful(store)
        (ended,) = end(store, attempts=0)
        assert ended.resend is None
        assert [change.status for change in ended.changes] == [S.EXPIRED]
        assert store.segment(message).state == "expired"
        assert store.now(message).reason == UNKNOWN_ERROR
        assert "may have reached the phone" in UNKNOWN_ERROR
        assert store.queued() == []

    def test_after_as_many_doubtful_submits_as_may_be_it_is_not_sent_again(
        self, store: StoredMessages
    ) -> None:
        message = doubtful(store)
        for attempts in (2, 3):
            (ended,) = end(store)
            assert store.take([ended.resend]).missing == set()
            doubt = {"next_attempt_at": NOW, "error": "no answer came"}
            assert store.settle(message, S.UNKNOWN, attempts=attempts, **doubt).applied
        (ended,) = end(store)
        assert ended.resend is None
        assert store.now(message).reason == UNKNOWN_ERROR

    def test_submits_that_were_refused_are_no_doubtful_ones(self, store: StoredMessages) -> None:
        doubtful(store, attempts=9)
        (ended,) = end(store)
        assert ended.resend is not None

    def test_past_its_validity_it_is_not_sent_again(self, store: StoredMessages) -> None:
        message = doubtful(store, valid_until=NOW)
        (ended,) = end(store)
        assert ended.resend is None
        now = store.now(message)
        assert (now.status, now.reason) == ("expired", UNKNOWN_ERROR)

    def test_a_part_of_a_failed_message_is_not_sent_again(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING, S.SENDING)
        store.settle(message, S.REJECTED, 1, stat="13")
        store.settle(message, S.UNKNOWN, 2, next_attempt_at=NOW)
        (ended,) = end(store)
        assert (ended.resend, ended.changes) == (None, [])
        assert store.segment(message, 2).state == "expired"
        assert store.now(message).status == "rejected"

    def test_only_the_doubtful_part_of_a_long_message_goes_again(
        self, store: StoredMessages
    ) -> None:
        contents = encode_contents([b"\x05\x001", b"\x05\x002"])
        message = store.message(S.SENDING, S.SENDING, contents=contents)
        store.settle(message, S.SENT, 1, carrier_message_id="0a")
        store.settle(message, S.UNKNOWN, 2, next_attempt_at=NOW)
        (ended,) = end(store)
        assert (ended.resend.key, ended.resend.content) == ((message.id, 2), b"\x05\x002")
        assert store.segment(message, 1).state == "sent"
        assert store.now(message).status == "unknown"

    def test_it_takes_no_more_than_asked_and_the_longest_over_first(
        self, store: StoredMessages
    ) -> None:
        made = [doubtful(store).id for _ in range(5)]
        ended = [[one.resend.message_id for one in end(store, limit=2)] for _ in range(4)]
        assert ended == [made[:2], made[2:4], made[4:], []]

    def test_a_late_report_still_ends_it_while_it_waits_to_be_sent_again(
        self, store: StoredMessages
    ) -> None:
        message = doubtful(store, carrier_id="0a")
        (ended,) = end(store)
        assert store.report("0a").fate == ReportFate.MATCHED
        assert store.now(message).status == "delivered"
        assert store.take([ended.resend]).missing == {(message.id, 1)}

    def test_an_answer_without_an_id_leaves_the_first_one_matching(
        self, store: StoredMessages
    ) -> None:
        message = doubtful(store, carrier_id="0a")
        (ended,) = end(store)
        store.take([ended.resend])
        store.settle(message, S.UNKNOWN, next_attempt_at=NOW + 1)
        assert store.report("0a").fate == ReportFate.MATCHED
        assert store.now(message).status == "delivered"

    def test_the_newest_id_is_matched(self, store: StoredMessages) -> None:
        message = doubtful(store, carrier_id="0a")
        (ended,) = end(store)
        store.take([ended.resend])
        store.settle(message, S.SENT, carrier_message_id="0b")
        assert store.report("0b").fate == ReportFate.MATCHED
        assert store.now(message).status == "delivered"
        assert store.segment(message).possible_duplicate

    def test_the_index_finds_them_among_all_that_was_sent(self, store: StoredMessages) -> None:
        query = "SELECT part FROM segment WHERE state = 'unknown' AND next_attempt_at <= 5"
        plan = store.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
        assert "ix_segment_unknown" in plan[0][-1]


def test_old_parked_reports_are_purged(store: StoredMessages) -> None:
    store.report("0a", at=NOW)
    store.report("0b", at=NOW + 1)
    dropped = unmatched(store.connection)[-1]
    assert backlog.purge_parked(store.connection, NOW + 1) == 1
    assert store.parked() == 1
    told = store.events()[-1]
    assert (told.kind, told.subject_id) == ("report.dropped", dropped.id)
    assert told.data == {"link": "cmcc", "id": "0a", "status": "delivered", "stat": "DELIVRD"}
    assert told.at == NOW + 1 + PARKED_SECONDS * 1000


def test_what_is_sent_again_stays_unknown_until_its_outcome_is_known(store: StoredMessages) -> None:
    message = doubtful(store)
    end(store)
    assert store.now(message).status == "unknown"
    store.settle(message, S.UNKNOWN, next_attempt_at=NOW + 9, attempts=2)
    assert store.now(message).status == "unknown"
    store.settle(message, S.SENT, carrier_message_id="0b", attempts=2)
    assert store.now(message).status == "sent"
    kinds = [event.kind for event in store.events()]
    assert kinds.count("message.unknown") == 1
