from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event

from smsgw.model import MessageStatus
from smsgw.store import report_ids, reports
from smsgw.store.outbox import SETTLE
from smsgw.store.reports import REPORTS, ReportFate, match_parked, unmatched, unmatched_counts
from smsgw.store.statements import spelled
from tests.support.store import NOW, PHONE, StoredMessages, report_row, settlement

S = MessageStatus


@pytest.fixture
def statements(connection: Connection) -> Iterator[list[str]]:
    """What is asked of the database, in order."""
    asked: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement.strip())

    event.listen(connection, "before_cursor_execute", note)
    yield asked
    event.remove(connection, "before_cursor_execute", note)


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

    def test_of_two_reports_in_one_batch_the_first_counts(self, store: StoredMessages) -> None:
        message = self.sent(store, "0a")
        rows = [report_row("0a", S.UNDELIVERED, stat="UNDELIV"), report_row("0a", S.DELIVERED)]
        fates = [r.fate for r in REPORTS.execute(store.connection, rows)]
        assert fates == [ReportFate.MATCHED, ReportFate.CONFLICT]
        assert store.now(message).status == "undelivered"

    def test_what_was_simply_delivered_takes_as_many_statements_as_one(
        self, store: StoredMessages, statements: list[str]
    ) -> None:
        made = [self.sent(store, f"{n:x}") for n in range(20)]
        report_ids.forms(store.connection)  # read once
        statements.clear()
        rows = [report_row(f"{n:x}", S.DELIVERED) for n in range(20)]
        results = REPORTS.execute(store.connection, rows)
        assert [(r.message_id, r.part, r.fate) for r in results] == [
            (message.id, 1, ReportFate.MATCHED) for message in made
        ]
        assert len(statements) == 3
        assert all(store.now(one).final_at == NOW + 9 for one in made)

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
        assert store.kinds() == ["report.parked", "message.sent", "message.delivered"]

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
        assert store.kinds() == [
            *["report.parked"] * 2,
            *["message.sent", "message.undelivered", "report.conflict"],
        ]

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


class TestUnmatched:
    def test_parked_reports_are_listed_newest_first_and_counted_by_link(
        self, store: StoredMessages
    ) -> None:
        for name, link in (("0a", "cmcc"), ("0b", "world"), ("0c", "cmcc")):
            store.report(name, link=link)
        assert unmatched_counts(store.connection) == {"cmcc": 2, "world": 1}
        first, *rest = unmatched(store.connection)
        assert (first.carrier_message_id, first.link, first.recipient) == ("0c", "cmcc", PHONE)
        assert [one.carrier_message_id for one in rest] == ["0b", "0a"]
        (last,) = unmatched(store.connection, before=first.id, link="cmcc", limit=2)
        assert last.carrier_message_id == "0a"

    def test_what_is_looked_at_again_is_found_by_its_time(self, store: StoredMessages) -> None:
        text = spelled(store.connection, f"EXPLAIN QUERY PLAN {reports._REMATCH}")
        plan = [row[3] for row in store.connection.exec_driver_sql(text, (NOW, 10))]
        assert any("ix_parked_report_received_at" in step for step in plan)
        assert not any("TEMP B-TREE" in step for step in plan)

    def test_a_parked_report_is_told(self, store: StoredMessages) -> None:
        store.report("0a")
        (told,) = store.events()
        (parked,) = unmatched(store.connection)
        assert (told.kind, told.subject_id, told.at) == ("report.parked", parked.id, NOW + 9)
        assert told.data == {"link": "cmcc", "id": "0a", "status": "delivered", "stat": "DELIVRD"}


class TestOtherForms:
    """Ids that are text, which a report spells otherwise than the answer."""

    def sent(self, store: StoredMessages, name: str, **fields: Any) -> Any:
        message = store.message(S.SENDING, link="world", **fields)
        store.settle(message, S.SENT, carrier_message_id=name, first=True)
        return message

    def report(self, store: StoredMessages, name: str, **fields: Any) -> Any:
        return store.report(name, **{"link": "world", "any_form": True, **fields})

    def form(self, store: StoredMessages) -> str | None:
        known = report_ids.stored(store.connection).get("world")
        return None if known is None else known.name

    def test_a_report_in_another_form_finds_its_segment_and_teaches_the_form(
        self, store: StoredMessages
    ) -> None:
        message = self.sent(store, "7f3c9a21")
        reported = self.report(store, "2134678049")
        assert (reported.fate, reported.learned) == (ReportFate.MATCHED, "decimal of hex")
        assert store.now(message).status == "delivered"
        assert self.form(store) == "decimal of hex"
        told = store.events()[-2]
        assert (told.kind, told.subject_id) == ("report.form_learned", message.id)
        assert told.data["form"] == "decimal of hex"
        again = self.report(store, "2134678049")
        assert (again.fate, again.learned) == (ReportFate.DUPLICATE, "")
        assert self.report(store, "2134678049", status=S.EXPIRED).fate == ReportFate.CONFLICT

    def test_the_learned_form_costs_no_further_query(
        self, store: StoredMessages, statements: list[str]
    ) -> None:
        for name in ("7f3c9a21", "7f3c9a22", "7f3c9a23"):
            self.sent(store, name)
        counts = []
        for name in ("2134678049", "2134678050", "7f3c9a23"):
            statements.clear()
            assert self.report(store, name).fate == ReportFate.MATCHED
            counts.append(sum(one.startswith("SELECT") for one in statements))
        assert counts[1:] == [1, 1]

    def test_what_is_found_as_it_stands_costs_one_query(
        self, store: StoredMessages, statements: list[str]
    ) -> None:
        self.sent(store, "7f3c9a21")
        report_ids.forms(store.connection)
        statements.clear()
        self.report(store, "7f3c9a21")
        assert sum(one.startswith("SELECT") for one in statements) == 1

    def test_an_answer_that_comes_after_its_report_finds_it_in_the_learned_form(
        self, store: StoredMessages
    ) -> None:
        self.sent(store, "7f3c9a21")
        self.report(store, "2134678049")
        assert self.report(store, "2134678050").fate == ReportFate.PARKED
        message = self.sent(store, "7f3c9a22")
        assert store.now(message).status == "delivered"
        assert store.parked() == 0

    def test_a_report_parked_before_its_form_was_known_is_found_later(
        self, store: StoredMessages
    ) -> None:
        self.report(store, "2134678049")
        message = self.sent(store, "7f3c9a21")
        assert store.now(message).status == "sent"
        assert match_parked(store.connection, ["cmcc"], 0, 10) == []
        assert match_parked(store.connection, ["world"], NOW + 10, 10) == []
        (found,) = match_parked(store.connection, ["world"], NOW + 9, 10)
        assert [change.status for change in found.changes] == [S.DELIVERED]
        assert (store.now(message).status, store.parked()) == ("delivered", 0)
        assert self.form(store) == "decimal of hex"

    def test_another_phones_segment_is_not_meant(self, store: StoredMessages) -> None:
        self.sent(store, "7f3c9a21", recipient="13800001002")
        assert self.report(store, "2134678049").fate == ReportFate.PARKED
        assert self.form(store) is None

    def test_what_fits_two_segments_is_left_alone(self, store: StoredMessages) -> None:
        made = [self.sent(store, name) for name in ("7f3c9a21", "7F3C9A21")]
        assert self.report(store, "2134678049").fate == ReportFate.PARKED
        store.report("7F3C9A21", link="world")
        assert self.report(store, "2134678049").message_id == made[0].id

    def test_a_closed_segment_teaches_nothing(self, store: StoredMessages) -> None:
        self.sent(store, "7f3c9a21")
        self.report(store, "7f3c9a21")
        assert self.report(store, "2134678049").fate == ReportFate.PARKED

    def test_a_short_id_without_a_phone_is_not_enough(self, store: StoredMessages) -> None:
        self.sent(store, "64")
        assert self.report(store, "100", recipient="").fate == ReportFate.PARKED
        self.sent(store, "7f3c9a21")
        assert self.report(store, "2134678049", recipient="").fate == ReportFate.MATCHED

    def test_an_id_that_is_another_phones_as_it_stands_is_tried_in_its_other_forms(
        self, store: StoredMessages
    ) -> None:
        mine = self.sent(store, "64")
        other = self.sent(store, "100", recipient="13800001002")
        assert self.report(store, "100").message_id == mine.id
        assert self.report(store, "256", recipient="13800001002").message_id == other.id

    def test_the_learned_form_comes_before_the_id_as_it_stands(self, store: StoredMessages) -> None:
        self.sent(store, "7f3c9a21")
        self.report(store, "2134678049")
        first, second = self.sent(store, "100"), self.sent(store, "64")
        assert self.report(store, "100").message_id == second.id
        assert self.report(store, "256").message_id == first.id

    def test_ids_that_are_octets_have_one_form(self, store: StoredMessages) -> None:
        self.sent(store, "7f3c9a21")
        assert self.report(store, "2134678049", any_form=False).fate == ReportFate.PARKED

    def test_a_batch_learns_from_its_first_report(self, store: StoredMessages) -> None:
        made = [self.sent(store, f"{0x7F3C9A21 + n:x}") for n in range(3)]
        rows = [
            report_row(str(0x7F3C9A21 + n), S.DELIVERED, link="world", any_form=True)
            for n in (0, 0, 1, 2)
        ]
        results = REPORTS.execute(store.connection, rows)
        assert [r.fate for r in results] == [
            ReportFate.MATCHED,
            ReportFate.DUPLICATE,
            ReportFate.MATCHED,
            ReportFate.MATCHED,
        ]
        assert [r.learned for r in results] == ["decimal of hex", "", "", ""]
        assert {store.now(message).status for message in made} == {"delivered"}
