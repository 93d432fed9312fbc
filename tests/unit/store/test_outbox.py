from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from smsgw.errors import StoreError
from smsgw.model import FINAL_RANK, STATUS_RANK, Event, MessageStatus
from smsgw.store import events, messages
from smsgw.store.ids import IdSource
from smsgw.store.messages import MessageRow, SegmentRow
from smsgw.store.outbox import REPORTS, SETTLE, Reported, ReportFate, ReportRow, Settled, Settlement
from smsgw.store.schema import parked_report
from tests.support.store import NOW, PHONE, message_row, segment_row

S = MessageStatus
STATES = [status for status in S if status is not S.SCHEDULED]


class Outbox:
    """Messages of any number of parts, and what happens to them, in few words."""

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

    def settle(self, segment: SegmentRow, state: S, **fields: Any) -> Settled:
        row = Settlement(segment.id, segment.message_id, state, **{"at": NOW + 1, **fields})
        return SETTLE.execute(self.connection, [row])[0]

    def report(self, carrier_id: str, status: S, **fields: Any) -> Reported:
        return REPORTS.execute(self.connection, [report(carrier_id, status, **fields)])[0]

    def segment(self, segment: SegmentRow) -> SegmentRow:
        rows = messages.segments_of(self.connection, segment.message_id)
        return next(row for row in rows if row.id == segment.id)

    def status(self, message: MessageRow) -> str:
        found = messages.get(self.connection, message.id)
        assert found is not None
        return found.status

    def events(self) -> list[Event]:
        return events.list_after(self.connection)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events()]

    def parked(self) -> int:
        count = self.connection.execute(select(func.count()).select_from(parked_report)).scalar()
        return count or 0


def report(carrier_id: str, status: S, **fields: Any) -> ReportRow:
    row = {"link": "cmcc", "recipient": PHONE, "stat": "DELIVRD", "error": "000", "at": NOW + 9}
    return ReportRow(carrier_message_id=carrier_id, status=status, **{**row, **fields})


@pytest.fixture
def box(connection: Connection, ids: IdSource) -> Outbox:
    return Outbox(connection, ids)


class TestSettling:
    def test_sent_records_the_carriers_id_and_tells(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.QUEUED)
        settled = box.settle(segment, S.SENT, carrier_message_id="0a1b", stat="0", attempts=1)

        assert settled.applied
        assert [(c.message_id, c.account, c.status, c.at) for c in settled.changes] == [
            (message.id, "newsroom", S.SENT, NOW + 1)
        ]
        found = box.segment(segment)
        assert (found.state, found.carrier_message_id, found.sent_at) == ("sent", "0a1b", NOW + 1)
        assert (found.stat, found.attempts, found.final_at) == ("0", 1, None)
        (event,) = box.events()
        assert (event.kind, event.subject_id, event.at) == ("message.sent", message.id, NOW + 1)
        assert event.data == {"to": PHONE, "reference": "order-1"}

    @pytest.mark.parametrize("new", STATES)
    @pytest.mark.parametrize("old", STATES)
    def test_a_segment_moves_only_to_a_higher_rank(self, box: Outbox, old: S, new: S) -> None:
        _, (segment,) = box.message(old, status=old.value)
        settled = box.settle(segment, new)
        assert settled.applied == (STATUS_RANK[new] > STATUS_RANK[old])
        assert box.segment(segment).state == (new if settled.applied else old)

    def test_a_refusal_ends_the_message_with_its_reason(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.SENDING, status="sending")
        (change,) = box.settle(segment, S.REJECTED, stat="8", error="flow control").changes
        found = messages.get(box.connection, message.id)
        assert found is not None
        assert (found.status, found.reason, found.final_at) == (
            "rejected",
            "8 flow control",
            NOW + 1,
        )
        assert change.reason == "8 flow control"
        assert box.events()[0].data["reason"] == "8 flow control"

    def test_many_messages_of_one_batch_each_change_once(self, box: Outbox) -> None:
        made = [box.message(S.QUEUED, S.QUEUED) for _ in range(700)]
        rows = [
            Settlement(segment.id, message.id, S.SENT, NOW, f"{segment.id:x}")
            for message, segments in made
            for segment in segments
        ]
        results = SETTLE.execute(box.connection, rows)
        assert all(result.applied for result in results)
        changes = [change for result in results for change in result.changes]
        assert [c.status for c in changes] == [S.SENDING, S.SENT] * 700
        assert {box.status(message) for message, _ in made} == {"sent"}

    def test_rows_of_one_batch_build_on_each_other(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.QUEUED)
        rows = [
            Settlement(segment.id, message.id, state, NOW)
            for state in (S.SENDING, S.SENT, S.SENDING, S.SENT)
        ]
        applied = [result.applied for result in SETTLE.execute(box.connection, rows)]
        assert applied == [True, True, False, False]
        assert box.kinds() == ["message.sending", "message.sent"]

    def test_a_segment_nobody_recorded_cannot_be_settled(self, box: Outbox) -> None:
        with pytest.raises(StoreError, match="segment 5: not recorded"):
            SETTLE.execute(box.connection, [Settlement(5, 6, S.SENT, NOW)])

    def test_sent_after_we_gave_up_is_kept_as_a_conflict(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.EXPIRED, status="expired")
        assert not box.settle(segment, S.SENT, carrier_message_id="0a").applied
        (event,) = box.events()
        assert event.kind == "message.conflict"
        assert (event.data["is"], event.data["got"]) == ("expired", "sent")
        assert box.status(message) == "expired"
        assert box.segment(segment).carrier_message_id == "0a"


class TestRetry:
    def test_a_sending_segment_goes_back_to_queued(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.SENDING, status="sending")
        assert box.settle(segment, S.QUEUED, next_attempt_at=NOW + 500, attempts=2).applied
        found = box.segment(segment)
        assert (found.state, found.next_attempt_at, found.attempts) == ("queued", NOW + 500, 2)
        assert box.status(message) == "sending"
        assert box.kinds() == []

        assert box.settle(segment, S.SENT, carrier_message_id="0a", attempts=1).applied
        found = box.segment(segment)
        assert (found.next_attempt_at, found.attempts) == (None, 2)

    def test_a_queued_segment_may_be_put_off(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.QUEUED)
        assert box.settle(segment, S.QUEUED, next_attempt_at=NOW + 500, attempts=1).applied

    def test_without_a_time_there_is_no_step_back(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.SENDING)
        assert not box.settle(segment, S.QUEUED).applied

    def test_an_unknown_one_is_sent_again_only_as_a_possible_duplicate(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.UNKNOWN, status="unknown")
        again = {"next_attempt_at": NOW + 500}
        assert not box.settle(segment, S.QUEUED, **again).applied
        assert box.settle(segment, S.QUEUED, possible_duplicate=True, **again).applied
        assert box.segment(segment).possible_duplicate
        assert box.settle(segment, S.SENDING).applied
        assert box.segment(segment).possible_duplicate

    @pytest.mark.parametrize("state", [S.SENT, S.DELIVERED, S.EXPIRED])
    def test_what_a_carrier_has_never_goes_back(self, box: Outbox, state: S) -> None:
        _, (segment,) = box.message(state, status=state.value)
        settled = box.settle(segment, S.QUEUED, next_attempt_at=1, possible_duplicate=True)
        assert not settled.applied
        assert box.kinds() == []

    def test_the_first_id_stays_when_a_second_answer_comes(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.SENDING, status="sending")
        box.settle(segment, S.SENT, carrier_message_id="0a")
        assert not box.settle(segment, S.SENT, carrier_message_id="0b").applied
        assert box.segment(segment).carrier_message_id == "0a"


class TestReports:
    def test_a_report_finishes_its_segment_and_message(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.QUEUED)
        box.settle(segment, S.SENT, carrier_message_id="0a")
        reported = box.report("0a", S.DELIVERED)
        assert reported.fate == ReportFate.MATCHED
        assert (reported.segment_id, reported.message_id) == (segment.id, message.id)
        assert [change.status for change in reported.changes] == [S.DELIVERED]
        found = box.segment(segment)
        assert (found.stat, found.error, found.final_at) == ("DELIVRD", "000", NOW + 9)
        assert box.kinds() == ["message.sent", "message.delivered"]

    def test_all_parts_must_be_delivered(self, box: Outbox) -> None:
        message, (one, two) = box.message(S.QUEUED, S.QUEUED)
        for segment, carrier_id in ((one, "0a"), (two, "0b")):
            box.settle(segment, S.SENT, carrier_message_id=carrier_id)
        assert box.report("0a", S.DELIVERED).changes == []
        assert box.status(message) == "sent"
        assert [c.status for c in box.report("0b", S.DELIVERED).changes] == [S.DELIVERED]

    def test_one_undelivered_part_fails_the_message_for_good(self, box: Outbox) -> None:
        message, (one, two) = box.message(S.QUEUED, S.QUEUED)
        for segment, carrier_id in ((one, "0a"), (two, "0b")):
            box.settle(segment, S.SENT, carrier_message_id=carrier_id)
        box.report("0a", S.UNDELIVERED, stat="UNDELIV", error="MK:0012")
        assert box.status(message) == "undelivered"
        assert box.report("0b", S.DELIVERED).fate == ReportFate.MATCHED
        found = messages.get(box.connection, message.id)
        assert found is not None
        assert (found.status, found.reason) == ("undelivered", "UNDELIV MK:0012")

    def test_a_repeated_report_changes_nothing(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.QUEUED)
        box.settle(segment, S.SENT, carrier_message_id="0a")
        rows = [report("0a", S.DELIVERED)] * 2
        fates = [r.fate for r in REPORTS.execute(box.connection, rows)]
        fates.append(box.report("0a", S.DELIVERED).fate)
        assert fates == [ReportFate.MATCHED, ReportFate.DUPLICATE, ReportFate.DUPLICATE]
        assert box.kinds() == ["message.sent", "message.delivered"]

    def test_a_contradicting_report_is_kept_as_an_event(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.QUEUED)
        box.settle(segment, S.SENT, carrier_message_id="0a")
        box.report("0a", S.DELIVERED)
        reported = box.report("0a", S.EXPIRED, stat="EXPIRED")
        assert (reported.fate, reported.changes) == (ReportFate.CONFLICT, [])
        event = box.events()[-1]
        assert event.kind == "report.conflict"
        assert event.data == {
            "is": "delivered",
            "got": "expired",
            "stat": "EXPIRED",
            "segment": str(segment.id),
        }
        assert box.status(message) == "delivered"

    def test_parts_on_two_links_are_reported_in_one_batch(self, box: Outbox) -> None:
        message, (one, two, _) = box.message(S.QUEUED, S.QUEUED, S.QUEUED)
        for segment, link in ((one, "cmcc"), (two, "telecom")):
            box.connection.exec_driver_sql(
                "UPDATE segment SET link = ? WHERE id = ?", (link, segment.id)
            )
            box.settle(segment, S.SENT, carrier_message_id="0a")
        rows = [report("0a", S.DELIVERED, link=link) for link in ("cmcc", "telecom")]
        results = REPORTS.execute(box.connection, rows)
        assert [result.segment_id for result in results] == [one.id, two.id]
        assert box.status(message) == "sending"

    def test_an_id_known_before_the_submit_is_matched_too(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.QUEUED)
        box.settle(segment, S.SENDING, carrier_message_id="0a")
        assert box.report("0a", S.DELIVERED).fate == ReportFate.MATCHED
        assert not box.settle(segment, S.SENT, carrier_message_id="0a").applied
        assert box.status(message) == "delivered"
        assert box.kinds() == ["message.sending", "message.delivered"]

    def test_an_intermediate_report_does_not_finish(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.UNKNOWN, status="unknown")
        box.settle(segment, S.UNKNOWN, carrier_message_id="0a")
        assert box.report("0a", S.SENT, stat="ACCEPTD").fate == ReportFate.MATCHED
        assert box.report("0a", S.SENT, stat="ACCEPTD").fate == ReportFate.DUPLICATE
        assert box.status(message) == "sent"
        assert box.segment(segment).final_at is None
        assert box.report("0a", S.DELIVERED).fate == ReportFate.MATCHED
        assert box.report("0a", S.SENT, stat="ACCEPTD").fate == ReportFate.DUPLICATE

    def test_a_late_report_resolves_an_unknown_outcome(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.SENDING, status="sending")
        box.settle(segment, S.UNKNOWN, carrier_message_id="0a", next_attempt_at=NOW + 60_000)
        assert box.status(message) == "unknown"
        box.report("0a", S.DELIVERED)
        assert box.status(message) == "delivered"
        assert box.segment(segment).next_attempt_at is None

    def test_of_a_repeated_id_the_newest_open_one_is_meant(self, box: Outbox) -> None:
        made = [box.message(S.QUEUED) for _ in range(3)]
        for _, (segment,) in made:
            box.settle(segment, S.SENT, carrier_message_id="0a")
        for expected in (2, 1, 0, 2):
            assert box.report("0a", S.DELIVERED).message_id == made[expected][0].id

    def test_of_a_repeated_id_the_phones_own_is_meant(self, box: Outbox) -> None:
        mine, (segment,) = box.message(S.QUEUED)
        _, (other,) = box.message(S.QUEUED, recipient="13800001002")
        for each in (segment, other):
            box.settle(each, S.SENT, carrier_message_id="0a")
        assert box.report("0a", S.DELIVERED).message_id == mine.id

    def test_the_same_id_on_another_link_is_another_segment(self, box: Outbox) -> None:
        made = {link: box.message(S.QUEUED, link=link) for link in ("cmcc", "telecom")}
        for _, (segment,) in made.values():
            box.settle(segment, S.SENT, carrier_message_id="0a")
        rows = [report("0a", S.DELIVERED, link=link) for link in ("telecom", "cmcc", "unicom")]
        results = REPORTS.execute(box.connection, rows)
        assert [r.message_id for r in results] == [made["telecom"][0].id, made["cmcc"][0].id, 0]
        assert results[2].fate == ReportFate.PARKED


class TestParking:
    def test_an_early_report_waits_for_its_answer(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.QUEUED)
        reported = box.report("0a", S.DELIVERED)
        assert (reported.fate, reported.message_id) == (ReportFate.PARKED, 0)
        assert box.parked() == 1

        settled = box.settle(segment, S.SENT, carrier_message_id="0a")

        assert [change.status for change in settled.changes] == [S.SENT, S.DELIVERED]
        assert box.status(message) == "delivered"
        assert box.segment(segment).final_at == NOW + 9
        assert box.parked() == 0
        assert box.kinds() == ["message.sent", "message.delivered"]

    def test_parked_reports_apply_in_the_order_they_came(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.QUEUED)
        fates = [
            box.report("0a", status, stat=stat).fate
            for status, stat in ((S.UNDELIVERED, "U"), (S.DELIVERED, "D"), (S.UNDELIVERED, "U"))
        ]
        assert fates == [ReportFate.PARKED, ReportFate.PARKED, ReportFate.DUPLICATE]
        box.settle(segment, S.SENT, carrier_message_id="0a")
        assert box.segment(segment).stat == "U"
        assert box.kinds() == ["message.sent", "message.undelivered", "report.conflict"]

    def test_a_parked_report_of_another_link_stays(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.QUEUED)
        box.report("0a", S.DELIVERED, link="telecom")
        settled = box.settle(segment, S.SENT, carrier_message_id="0a")
        assert [change.status for change in settled.changes] == [S.SENT]
        assert box.parked() == 1

    def test_a_parked_report_of_another_phone_is_not_this_segments(self, box: Outbox) -> None:
        _, (segment,) = box.message(S.QUEUED)
        box.report("0a", S.UNDELIVERED, recipient="13800001002")
        settled = box.settle(segment, S.SENT, carrier_message_id="0a")
        assert [change.status for change in settled.changes] == [S.SENT]
        assert box.parked() == 1

    def test_each_phone_gets_its_own_of_parked_reports_with_one_id(self, box: Outbox) -> None:
        phones = (PHONE, "13800001002")
        made = [box.message(S.QUEUED, recipient=phone) for phone in phones]
        for phone, status in zip(phones, (S.DELIVERED, S.UNDELIVERED), strict=True):
            box.report("0a", status, recipient=phone)
        rows = [
            Settlement(segment.id, message.id, S.SENT, NOW, "0a") for message, (segment,) in made
        ]
        SETTLE.execute(box.connection, rows)
        assert [box.status(message) for message, _ in made] == ["delivered", "undelivered"]
        assert box.parked() == 0

    def test_a_parked_report_without_a_phone_counts(self, box: Outbox) -> None:
        message, (segment,) = box.message(S.QUEUED)
        box.report("0a", S.DELIVERED, recipient="")
        box.settle(segment, S.SENT, carrier_message_id="0a")
        assert box.status(message) == "delivered"

    def test_a_parked_report_is_too_old_after_three_days(self, box: Outbox) -> None:
        made = [box.message(S.QUEUED) for _ in range(2)]
        late = NOW + 72 * 3_600_000
        for carrier_id, at in (("0a", NOW - 1), ("0b", NOW)):
            box.report(carrier_id, S.UNDELIVERED, at=at)
        for (_, (segment,)), carrier_id in zip(made, ("0a", "0b"), strict=True):
            box.settle(segment, S.SENT, carrier_message_id=carrier_id, at=late)
        assert [box.status(message) for message, _ in made] == ["sent", "undelivered"]


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
    box = Outbox(connection, ids)
    results: list[list[SegmentRow]] = []
    for together in (True, False):
        made = [box.message(S.SENDING, status="sending") for _ in range(4 * count)]
        rows = []
        for place, (message, (segment,)) in enumerate(made):
            row = Settlement(segment.id, message.id, S.SENT, NOW + place % 2, attempts=1)
            if place % 4 == 0:
                row.carrier_message_id = f"{together:x}{place:x}"
            elif place % 4 == 1:
                row.state, row.next_attempt_at = S.QUEUED, NOW + place
            elif place % 4 == 2:
                row.state, row.stat, row.error = S.REJECTED, "13", "no such phone"
            rows.append(row)
        if together:
            SETTLE.execute(connection, rows)
        else:
            for row in rows:
                SETTLE.execute(connection, [row])
        found = [box.segment(segment) for _, (segment,) in made]
        for row in found:
            row.id = row.message_id = 0
            row.carrier_message_id = row.carrier_message_id and row.carrier_message_id[1:]
        results.append(found)
    assert results[0] == results[1]
