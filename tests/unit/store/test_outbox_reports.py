from __future__ import annotations

from typing import Any

import pytest

from smsgw.model import MessageStatus
from smsgw.store.outbox import REPORTS, SETTLE, ReportFate
from tests.support.store import NOW, PHONE, StoredMessages, report_row, settlement

S = MessageStatus


class TestReports:
    def sent(self, store: StoredMessages, *names: str, **fields: Any) -> Any:
        """A message whose parts the carrier took under these ids."""
        message = store.message(*[S.SENDING] * len(names), **fields)
        for part, name in enumerate(names, 1):
            store.settle(message, S.SENT, part, carrier_message_id=name)
        return message

    def test_a_report_finishes_its_segment_and_message(self, store: StoredMessages) -> None:
        message = self.sent(store, "0a")
        reported = store.report("0a")
        assert reported.fate == ReportFate.MATCHED
        assert (reported.message_id, reported.part) == (message.id, 1)
        assert [change.status for change in reported.changes] == [S.DELIVERED]
        found = store.segment(message)
        assert (found.stat, found.error, found.final_at) == ("DELIVRD", "000", NOW + 9)
        assert (store.now(message).final_at, store.now(message).reason) == (NOW + 9, "")
        assert store.kinds() == ["message.sent", "message.delivered"]

    def test_all_parts_must_be_delivered(self, store: StoredMessages) -> None:
        message = self.sent(store, "0a", "0b")
        assert store.report("0a").changes == []
        assert store.now(message).status == "sent"
        assert [c.status for c in store.report("0b").changes] == [S.DELIVERED]

    def test_one_undelivered_part_fails_the_message_for_good(self, store: StoredMessages) -> None:
        message = self.sent(store, "0a", "0b")
        store.report("0a", S.UNDELIVERED, stat="UNDELIV", error="MK:0012")
        assert store.now(message).status == "undelivered"
        assert store.report("0b").fate == ReportFate.MATCHED
        found = store.now(message)
        assert (found.status, found.reason) == ("undelivered", "UNDELIV MK:0012")

    def test_many_of_one_end_and_some_of_their_own_are_written(self, store: StoredMessages) -> None:
        made = [self.sent(store, f"{n:x}") for n in range(30)]
        long = self.sent(store, "l1", "l2")
        rows = [report_row(f"{n:x}", S.DELIVERED) for n in range(30)]
        rows[7] = report_row("7", S.UNDELIVERED, stat="UNDELIV", at=NOW + 8)
        rows += [report_row(name, S.DELIVERED) for name in ("l2", "l1")]
        REPORTS.execute(store.connection, rows)
        assert {store.now(m).status for m in (*made[:7], *made[8:], long)} == {"delivered"}
        odd = store.segment(made[7])
        assert (odd.state, odd.stat, odd.final_at) == ("undelivered", "UNDELIV", NOW + 8)

    def test_a_repeated_report_changes_nothing(self, store: StoredMessages) -> None:
        self.sent(store, "0a")
        rows = [report_row("0a", S.DELIVERED)] * 2
        fates = [r.fate for r in REPORTS.execute(store.connection, rows)]
        fates.append(store.report("0a").fate)
        assert fates == [ReportFate.MATCHED, ReportFate.DUPLICATE, ReportFate.DUPLICATE]
        assert store.kinds() == ["message.sent", "message.delivered"]

    def test_a_contradicting_report_is_kept_as_an_event(self, store: StoredMessages) -> None:
        message = self.sent(store, "0a")
        store.report("0a")
        reported = store.report("0a", S.EXPIRED, stat="EXPIRED")
        assert (reported.fate, reported.changes) == (ReportFate.CONFLICT, [])
        event = store.events()[-1]
        assert event.kind == "report.conflict"
        assert event.data == {
            "to": PHONE,
            "reference": "order-1",
            "is": "delivered",
            "got": "expired",
            "stat": "EXPIRED",
            "part": 1,
        }
        assert store.now(message).status == "delivered"

    def test_parts_on_two_links_are_reported_in_one_batch(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING, S.SENDING, S.SENDING)
        links = ("cmcc", "telecom")
        for part, link in enumerate(links, 1):
            store.settle(message, S.SENT, part, link=link, carrier_message_id="0a")
        rows = [report_row("0a", S.DELIVERED, link=link) for link in links]
        results = REPORTS.execute(store.connection, rows)
        assert [(result.message_id, result.part) for result in results] == [
            (message.id, 1),
            (message.id, 2),
        ]
        assert store.now(message).status == "sending"

    def test_an_id_known_before_the_answer_is_matched_too(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        store.settle(message, S.UNKNOWN, carrier_message_id="0a")
        assert store.report("0a").fate == ReportFate.MATCHED
        assert not store.settle(message, S.SENT, carrier_message_id="0a").applied
        assert store.now(message).status == "delivered"
        assert store.kinds() == ["message.unknown", "message.delivered"]

    def test_an_intermediate_report_does_not_finish(self, store: StoredMessages) -> None:
        message = store.message(S.UNKNOWN)
        store.settle(message, S.UNKNOWN, carrier_message_id="0a")
        assert store.report("0a", S.SENT, stat="ACCEPTD").fate == ReportFate.MATCHED
        assert store.report("0a", S.SENT, stat="ACCEPTD").fate == ReportFate.DUPLICATE
        assert store.now(message).status == "sent"
        assert store.segment(message).final_at is None
        assert store.report("0a").fate == ReportFate.MATCHED
        assert store.report("0a", S.SENT, stat="ACCEPTD").fate == ReportFate.DUPLICATE

    def test_a_late_report_resolves_an_unknown_outcome(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        store.settle(message, S.UNKNOWN, carrier_message_id="0a", next_attempt_at=NOW + 60_000)
        assert store.now(message).status == "unknown"
        store.report("0a")
        assert store.now(message).status == "delivered"
        assert store.segment(message).next_attempt_at is None

    def test_of_a_repeated_id_the_newest_open_one_is_meant(self, store: StoredMessages) -> None:
        made = [self.sent(store, "0a") for _ in range(3)]
        for expected in (2, 1, 0, 2):
            assert store.report("0a").message_id == made[expected].id

    def test_of_a_repeated_id_the_phones_own_is_meant(self, store: StoredMessages) -> None:
        mine = self.sent(store, "0a")
        self.sent(store, "0a", recipient="13800001002")
        assert store.report("0a").message_id == mine.id

    def test_the_same_id_on_another_link_is_another_segment(self, store: StoredMessages) -> None:
        made = {link: self.sent(store, "0a", link=link) for link in ("cmcc", "telecom")}
        rows = [report_row("0a", S.DELIVERED, link=link) for link in ("telecom", "cmcc", "unicom")]
        results = REPORTS.execute(store.connection, rows)
        assert [r.message_id for r in results] == [made["telecom"].id, made["cmcc"].id, 0]
        assert (results[2].fate, results[2].part) == (ReportFate.PARKED, 0)


class TestParking:
    def test_an_early_report_waits_for_its_answer(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        reported = store.report("0a")
        assert (reported.fate, reported.message_id) == (ReportFate.PARKED, 0)
        assert store.parked() == 1

        settled = store.settle(message, S.SENT, carrier_message_id="0a")

        assert [change.status for change in settled.changes] == [S.DELIVERED]
        assert store.now(message).status == "delivered"
        assert store.segment(message).final_at == NOW + 9
        assert store.parked() == 0
        assert store.kinds() == ["message.sent", "message.delivered"]

    @pytest.mark.parametrize("first", [True, False])
    def test_parked_reports_apply_in_the_order_they_came(
        self, store: StoredMessages, first: bool
    ) -> None:
        message = store.message(S.SENDING)
        fates = [
            store.report("0a", status, stat=stat).fate
            for status, stat in ((S.UNDELIVERED, "U"), (S.DELIVERED, "D"), (S.UNDELIVERED, "U"))
        ]
        assert fates == [ReportFate.PARKED, ReportFate.PARKED, ReportFate.DUPLICATE]
        store.settle(message, S.SENT, carrier_message_id="0a", first=first)
        assert store.segment(message).stat == "U"
        assert store.kinds() == ["message.sent", "message.undelivered", "report.conflict"]

    def test_a_parked_report_of_another_link_stays(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        store.report("0a", link="telecom")
        assert store.settle(message, S.SENT, carrier_message_id="0a").changes == []
        assert store.parked() == 1

    @pytest.mark.parametrize("first", [True, False])
    def test_a_parked_report_of_another_phone_is_not_this_segments(
        self, store: StoredMessages, first: bool
    ) -> None:
        message = store.message(S.SENDING)
        store.report("0a", S.UNDELIVERED, recipient="13800001002")
        settled = store.settle(message, S.SENT, carrier_message_id="0a", first=first)
        assert (settled.changes, store.now(message).status) == ([], "sent")
        assert store.parked() == 1

    @pytest.mark.parametrize("first", [True, False])
    def test_each_phone_gets_its_own_of_parked_reports_with_one_id(
        self, store: StoredMessages, first: bool
    ) -> None:
        phones = (PHONE, "13800001002")
        made = [store.message(S.SENDING, recipient=phone) for phone in phones]
        for phone, status in zip(phones, (S.DELIVERED, S.UNDELIVERED), strict=True):
            store.report("0a", status, recipient=phone)
        rows = [settlement(m, S.SENT, carrier_message_id="0a", first=first) for m in made]
        results = SETTLE.execute(store.connection, rows)
        assert [[c.message_id for c in r.changes] for r in results] == [[m.id] for m in made]
        assert [store.now(message).status for message in made] == ["delivered", "undelivered"]
        assert store.parked() == 0

    def test_a_parked_report_without_a_phone_counts(self, store: StoredMessages) -> None:
        message = store.message(S.SENDING)
        store.report("0a", recipient="")
        store.settle(message, S.SENT, carrier_message_id="0a")
        assert store.now(message).status == "delivered"

    def test_a_parked_report_is_too_old_after_three_days(self, store: StoredMessages) -> None:
        made = [store.message(S.SENDING) for _ in range(2)]
        late = NOW + 72 * 3_600_000
        for name, at in (("0a", NOW - 1), ("0b", NOW)):
            store.report(name, S.UNDELIVERED, at=at)
        for message, name in zip(made, ("0a", "0b"), strict=True):
            store.settle(message, S.SENT, carrier_message_id=name, at=late)
        assert [store.now(message).status for message in made] == ["sent", "undelivered"]
